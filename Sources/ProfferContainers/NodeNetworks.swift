internal import Glibc
public import ProfferIsolation

/// The networks that an operator has described on the node.
public struct NodeNetworks: Hashable, Sendable {
    private let settings: ContainerSettings

    /// Looks where the settings say.
    public init(_ settings: ContainerSettings) { self.settings = settings }

    /// Plans with the plug-ins of the node.
    public var planner: NetworkPlanner { NetworkPlanner(plugins: settings.networkPlugins) }

    /// The path of a plug-in.
    public func plugin(_ name: String) -> String? {
        settings.networkPlugins.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Finds a network by its name, in the files of the directory in the order of their names.
    ///
    /// - Returns: The first with this name.
    /// - Throws: ``SystemError`` when there is none.
    public func find(_ name: String) throws(SystemError) -> NetworkConfiguration {
        if let network = all().first(where: { $0.name == name }) { return network }
        throw SystemError(
            "join the network", name, code: ENOENT,
            hint: "no file in \(settings.networks) describes it")
    }

    /// All that are described, in the order of their files.
    public func all() -> [NetworkConfiguration] {
        files().compactMap { file in
            guard let bytes = ProcFile.bytes(file, limit: 1 << 20),
                let json = try? JSON(text: String(decoding: bytes, as: UTF8.self))
            else { return nil }
            return NetworkConfiguration(json)
        }
    }

    /// The addresses of a container that has joined a network.
    public static func addresses(bundle: String) -> [String] {
        guard let bytes = ProcFile.bytes(NetworkPlanner.answer(bundle), limit: 1 << 20),
            let json = try? JSON(text: String(decoding: bytes, as: UTF8.self))
        else { return [] }
        return NetworkPlanner.addresses(json)
    }

    private func files() -> [String] {
        DirectoryNames.list(settings.networks)
            .filter { name in [".conflist", ".conf", ".json"].contains { name.hasSuffix($0) } }
            .map { "\(settings.networks)/\($0)" }
    }
}
