public import ProfferModel

/// A network that containers can join, as the Container Network Interface describes it.
public struct NetworkConfiguration: Hashable, Sendable {
    /// What tasks call it.
    public var name: String
    /// The version of the interface that it is written for.
    public var version: String
    /// Its plug-ins, in the order in which they are called.
    public var plugins: [JSON]

    /// Reads a list of plug-ins, or a single one.
    ///
    /// - Returns: `nil` when the text describes neither.
    public init?(_ json: JSON) {
        guard let name = json["name"]?.text, !name.isEmpty else { return nil }
        let list = json["plugins"]?.elements ?? (json["type"] == nil ? [] : [json])
        guard !list.isEmpty, list.allSatisfy({ Self.isProgram($0["type"]?.text) }) else {
            return nil
        }
        self.name = name
        version = json["cniVersion"]?.text ?? "0.4.0"
        plugins = list
    }

    /// Whether a plug-in's name leads to no other directory.
    private static func isProgram(_ name: String?) -> Bool {
        guard let name, !name.isEmpty else { return false }
        return !name.utf8.contains(0x2F) && !name.hasPrefix(".")
    }
}

/// Plans how a container joins a network.
public struct NetworkPlanner: Hashable, Sendable {
    /// Where the plug-ins are; the first that has one is taken.
    public var plugins: [String]
    /// Finds programs for the plug-ins.
    private static let searchPath =
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// Sets where the plug-ins are.
    public init(plugins: [String]) { self.plugins = plugins }

    /// The file by which the runtime finds the network namespace of a container.
    public static func namespace(_ bundle: String) -> String { bundle + "/network" }

    /// The file to which the last plug-in's answer is written.
    public static func answer(_ bundle: String) -> String { bundle + "/network.json" }

    /// Makes a network namespace in a bundle that is there, and has it join a network.
    ///
    /// - Parameters:
    ///   - name: The container.
    ///   - bundle: Its bundle.
    ///   - network: The network.
    ///   - mappings: Ports of the container to be made reachable on the node.
    ///   - find: The path of a plug-in.
    /// - Returns: The steps.
    /// - Throws: ``ContainerProblem`` when a plug-in is missing.
    public func steps(
        _ name: String, bundle: String, network: NetworkConfiguration, mappings: [PortMapping],
        find: (String) -> String?
    ) throws(ContainerProblem) -> [IsolationStep] {
        let path = Self.namespace(bundle)
        var steps: [IsolationStep] = [
            .makeFile(path, contents: "", mode: 0o600), .pinNamespace(.network, at: path),
        ]
        let loopback: JSON = ["type": "loopback"]
        var calls: [Invocation] = []
        for (index, plugin) in ([loopback] + network.plugins).enumerated() {
            let type = plugin["type"]?.text ?? ""
            guard let program = find(type) else {
                throw ContainerProblem(
                    description: "the network '\(network.name)' needs the plug-in '\(type)', which"
                        + " is not in \(plugins.joined(separator: ":"))")
            }
            let text = configuration(plugin, of: network, mappings).description
            let call = { (command: String) in
                Invocation(
                    [program],
                    environment: [
                        EnvironmentVariable(name: "CNI_COMMAND", value: command),
                        EnvironmentVariable(name: "CNI_CONTAINERID", value: name),
                        EnvironmentVariable(name: "CNI_NETNS", value: path),
                        EnvironmentVariable(
                            name: "CNI_IFNAME", value: index == 0 ? "lo" : "eth0"),
                        EnvironmentVariable(
                            name: "CNI_PATH", value: plugins.joined(separator: ":")),
                        EnvironmentVariable(name: "PATH", value: Self.searchPath),
                    ], input: text)
            }
            steps.append(.promise(.run(call("DEL"))))
            calls.append(call("ADD"))
        }
        steps.append(.chain(Array(calls.prefix(1)), answer: nil))
        steps.append(.chain(Array(calls.dropFirst()), answer: Self.answer(bundle)))
        return steps
    }

    /// What a plug-in is told: its own part, and what it can do with the container's ports.
    private func configuration(
        _ plugin: JSON, of network: NetworkConfiguration, _ mappings: [PortMapping]
    ) -> JSON {
        guard case .object(var members) = plugin else { return plugin }
        members.removeAll { ["name", "cniVersion"].contains($0.name) }
        members += [
            JSON.Member("cniVersion", .string(network.version)),
            JSON.Member("name", .string(network.name)),
        ]
        if plugin["capabilities"]?["portMappings"] == true, !mappings.isEmpty {
            let ports = mappings.map { mapping -> JSON in
                [
                    "hostPort": .number(Int64(mapping.hostPort)),
                    "containerPort": .number(Int64(mapping.containerPort)),
                    "protocol": .string(mapping.protocolName?.lowercased() ?? "tcp"),
                ]
            }
            members.append(
                JSON.Member("runtimeConfig", ["portMappings": .array(ports)]))
        }
        return .object(members)
    }

    /// The addresses in a plug-in's answer, without the size of their networks.
    public static func addresses(_ answer: JSON) -> [String] {
        (answer["ips"]?.elements ?? []).compactMap { $0["address"]?.text }.compactMap {
            $0.split(separator: "/").first.map(String.init)
        }
    }
}
