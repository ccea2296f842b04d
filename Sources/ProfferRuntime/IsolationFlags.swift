internal import Foundation
internal import Logging
internal import ProfferContainers
internal import ProfferIsolation
internal import ProfferModel

extension IsolationSettings {
    /// Reads what an operator has decided about the isolation of tasks.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    init(_ settings: DaemonSettings) throws {
        self.init()
        if let text = settings.text("isolation") {
            guard let mode = IsolationMode(rawValue: text) else {
                let modes = IsolationMode.allCases.map(\.rawValue).joined(separator: ", ")
                throw settings.invalid("isolation", text, "one of \(modes)")
            }
            self.mode = mode
        }
        cgroupRoot = settings.text("cgroup-root") ?? ""
        let parts = cgroupRoot.split(separator: "/", omittingEmptySubsequences: false)
        let isPath =
            parts.count > 1 && parts[0].isEmpty
            && parts.dropFirst().allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
        guard cgroupRoot.isEmpty || isPath else {
            throw settings.invalid(
                "cgroup-root", cgroupRoot, "a path from the top of the cgroups, such as /proffer")
        }
        limitsCPU = try settings.flag("cpu-limit", default: limitsCPU)
        swapBytes = Int64(try settings.number("task-swap", default: 0, in: 0...1_048_576)) << 20
        processLimit = try settings.number(
            "task-processes", default: processLimit, in: 1...4_194_304)
        limitsDisk = try settings.flag("disk-limit", default: limitsDisk)
        diskInterval = try settings.duration("disk-interval", default: diskInterval)
        cores = settings.text("task-cores")
        if let cores, cores.isEmpty || !cores.utf8.allSatisfy({ Self.isListByte($0) }) {
            throw settings.invalid("task-cores", cores, "a list of cores, such as 0-2,5")
        }
        try readContainers(settings)
        try readVolumes(settings)
    }

    /// Reads the drivers of volumes.
    ///
    /// - Throws: ``DaemonProblem`` when their file cannot be read or is not valid.
    private mutating func readVolumes(_ settings: DaemonSettings) throws {
        guard let path = settings.text("volume-drivers") else { return }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw settings.invalid("volume-drivers", path, "a file that can be read")
        }
        guard let drivers = VolumeSettings.drivers(in: text) else {
            throw settings.invalid(
                "volume-drivers", path,
                #"a file with drivers, such as {"nfs": {"mount": ["mount", "{name}", "{target}"]}}"#
            )
        }
        volumes.drivers = drivers
    }

    /// Reads what concerns containers.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    mutating func readContainers(_ settings: DaemonSettings) throws {
        containers.runtime = settings.text("runtime") ?? ""
        containers.credentials = settings.text("registry-credentials")
        containers.allowsPrivileged = try settings.flag("allow-privileged", default: false)
        containers.imageBytes =
            Int64(try settings.number("image-cache", default: 10_240, in: 0...1_073_741_824)) << 20
        containers.networks = settings.text("network-config-dir") ?? containers.networks
        if let text = settings.text("network-plugin-dir") {
            containers.networkPlugins = text.split(separator: ":").map(String.init)
        }
        for path in (settings.text("allowed-host-paths") ?? "").split(separator: ":") {
            let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            guard path.hasPrefix("/"), parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." })
            else {
                throw settings.invalid(
                    "allowed-host-paths", String(path), "an absolute path without '.' and '..'")
            }
            containers.hostPaths.append(String(path))
        }
        for name in (settings.text("allowed-capabilities") ?? "").split(separator: ",") {
            guard let capability = Capability(String(name)) else {
                throw settings.invalid(
                    "allowed-capabilities", String(name), "a capability, such as NET_ADMIN")
            }
            containers.capabilities.append(capability)
        }
    }

    private static func isListByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || byte == 0x2C || byte == 0x2D
    }
}

extension DaemonSettings {
    /// True or false.
    ///
    /// - Throws: ``DaemonProblem`` when it is neither.
    func flag(_ name: String, default standard: Bool) throws -> Bool {
        switch text(name) {
        case nil: return standard
        case "true": return true
        case "false": return false
        case let text?: throw invalid(name, text, "true or false")
        }
    }
}

/// Makes a node ready to keep tasks apart, and says what it cannot do.
enum IsolationStart {
    /// Looks whether the node has what the mode needs, and makes the group of all tasks.
    ///
    /// - Parameters:
    ///   - wanted: What the operator has decided.
    ///   - work: The directory of sandboxes.
    ///   - name: Tells what is made for this agent from what others make.
    ///   - hasSecrets: Whether tasks may have secrets, some of them as files in memory.
    ///   - logger: Told what is not enforced.
    /// - Returns: The settings, with what was found.
    /// - Throws: ``DaemonProblem`` when the mode cannot be had here.
    static func prepare(
        _ wanted: IsolationSettings, work: String, name: String, hasSecrets: Bool = false,
        logger: Logger
    ) throws -> IsolationSettings {
        var settings = wanted
        if settings.cgroupRoot.isEmpty { settings.cgroupRoot = "/proffer/" + name }
        do throws(SystemError) {
            settings.volumes.directory = try Sandbox.create(["volumes"], below: work)
            settings.volumes.mounts = try Sandbox.create(["mounts"], below: work)
        } catch {
            throw problem(settings, because: error.description)
        }
        let facts = NodeIsolation.facts(for: settings)
        if facts.isRoot { protectMemory(logger) }
        if let planner = TaskPlanner(settings: settings, facts: facts).cgroups {
            guard facts.isRoot else {
                throw problem(settings, because: "only root may limit tasks on this node")
            }
            if let name = facts.layout.missing.first {
                throw problem(settings, because: "the node has no cgroup controller '\(name)'")
            }
            do throws(SystemError) {
                try NodeCgroups.prepare(planner, cores: settings.cores != nil)
            } catch {
                throw problem(settings, because: error.description)
            }
            if settings.mode == .oci {
                do throws(SystemError) {
                    try findRuntime(&settings, planner, work: work, name: name)
                } catch {
                    throw problem(settings, because: error.description)
                }
            }
        }
        if hasSecrets {
            do throws(SystemError) {
                settings.memory = try NodeIsolation.memoryDirectory(name)
            } catch {
                throw problem(settings, because: error.description)
            }
        }
        var metadata: Logger.Metadata = ["isolation": "\(settings.mode.rawValue)"]
        if settings.mode != .process { metadata["cgroups"] = "\(facts.layout.name)" }
        let gaps = settings.gaps(on: facts.layout, isRoot: facts.isRoot)
        metadata["not_enforced"] = "\(gaps.joined(separator: "; "))"
        if settings.mode == .oci { metadata["runtime"] = "\(settings.containers.runtime)" }
        logger.info("how tasks are kept apart", metadata: metadata)
        return settings
    }

    private static func protectMemory(_ logger: Logger) {
        do throws(SystemError) {
            try NodeIsolation.protectFromOutOfMemory()
        } catch {
            logger.warning(
                "the kernel can take the agent's memory before that of others",
                metadata: ["error": "\(error)"])
        }
    }

    /// Gives the agent ten times the weight of all tasks together, where tasks have cgroups.
    ///
    /// - Returns: How it leaves that again; `nil` when it was not done.
    static func protectProcessor(
        _ settings: IsolationSettings, logger: Logger
    ) -> NodeCgroups.Place? {
        let facts = NodeIsolation.facts(for: settings)
        guard let planner = TaskPlanner(settings: settings, facts: facts).cgroups else {
            return nil
        }
        do throws(SystemError) {
            return try NodeCgroups.protectProcessor(planner)
        } catch {
            logger.warning(
                "tasks can keep the agent waiting for a processor", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private static func findRuntime(
        _ settings: inout IsolationSettings, _ cgroups: CgroupPlanner, work: String, name: String
    ) throws(SystemError) {
        let wanted = settings.containers.runtime
        settings.containers.images = work + "/images"
        settings.containers.bundles = try NodeIsolation.memoryDirectory(name)
        let plans = try Sandbox.create(["plans"], below: work)
        settings.containers.runtime = try ContainerRuntime.find(
            wanted.isEmpty ? nil : wanted,
            planner: ContainerPlanner(
                directory: settings.containers.bundles,
                capabilities: NodeIsolation.capabilities), cgroups: cgroups,
            runner: PlanRunner(directory: plans)
        ).program
    }

    private static func problem(
        _ settings: IsolationSettings, because reason: String
    ) -> DaemonProblem {
        DaemonProblem(
            .configuration, "--isolation \(settings.mode.rawValue) cannot be had here",
            because: reason,
            try: "start the agent as root on a node with cgroups, or use --isolation process")
    }
}
