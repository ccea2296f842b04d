internal import CLinux
internal import Glibc
public import ProfferIsolation
internal import ProfferModel

/// Finds facts about the node that this process runs on; ``NodeExamination/judge(for:)`` says what
/// they mean.
public struct NodeExaminer: Sendable {
    private let settings: ContainerSettings
    private let dataDirectory: String
    private let secretsDirectory: String?

    /// Prepares an examination.
    ///
    /// - Parameters:
    ///   - settings: Where networks and plug-ins are.
    ///   - dataDirectory: Where an agent's data are, or will be.
    ///   - secretsDirectory: The directory of secrets, if there is one.
    public init(
        _ settings: ContainerSettings = ContainerSettings(), dataDirectory: String,
        secretsDirectory: String?
    ) {
        self.settings = settings
        self.dataDirectory = dataDirectory
        self.secretsDirectory = secretsDirectory
    }

    /// Looks at everything that there is, and tries container runtimes, which takes a second.
    ///
    /// What is made for that is removed again.
    public func examine() -> NodeExamination {
        var found = NodeExamination()
        found.isRoot = NodeIsolation.isRoot
        found.layout = NodeCgroups.layout()
        found.userNamespaces = ProcFile.text("/proc/sys/user/max_user_namespaces", limit: 64)
            .flatMap { Int($0) }
        found.hasMemoryDirectory = ["/run", "/dev/shm"].contains { MemoryFile.isInMemory($0) }
        found.missingImageTools = ["skopeo", "umoci"].filter {
            ContainerRuntime.path(of: $0) == nil
        }
        found.hasPacketFilter = ContainerRuntime.path(of: "iptables") != nil
        found.networkDirectory = settings.networks
        found.networks = networks()
        found.disk = disk()
        found.isClockSynchronised = clock()
        found.privateFiles = privateFiles()
        found.secretsProblem = secretsDirectory.flatMap { SecretDirectory($0).problem }
            .map(\.description)
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        found.descriptorLimit = UInt64(limit.rlim_max)
        tryContainers(&found)
        return found
    }

    // MARK: Containers

    private func tryContainers(_ found: inout NodeExamination) {
        let planner = CgroupPlanner(
            layout: found.layout, root: "/proffer-doctor-\(getpid())")
        guard found.isRoot, found.layout.missing.isEmpty else {
            found.runtimes = ContainerRuntime.names.map { name in
                NodeExamination.Runtime(
                    name: name, version: version(name),
                    problem: found.isRoot ? "it was not tried" : "only root can try it")
            }
            return
        }
        defer {
            for tree in planner.trees() { rmdir(tree.mountPoint + planner.root) }
        }
        do throws(SystemError) {
            try NodeCgroups.prepare(planner, cores: false)
        } catch {
            found.cgroupProblem = error.description
        }
        found.runtimes = ContainerRuntime.names.map { name in
            NodeExamination.Runtime(
                name: name, version: version(name), problem: problem(name, planner))
        }
    }

    private func problem(_ name: String, _ cgroups: CgroupPlanner) -> String? {
        do throws(SystemError) {
            let place = "doctor-\(getpid())"
            let bundles = try NodeIsolation.memoryDirectory(place)
            defer { _ = FileTree.remove(bundles) }
            _ = try ContainerRuntime.find(
                name,
                planner: ContainerPlanner(
                    directory: bundles, capabilities: NodeIsolation.capabilities),
                cgroups: cgroups, runner: PlanRunner(directory: bundles))
            return nil
        } catch {
            return error.hint ?? error.description
        }
    }

    /// The first line that a program says about itself; `nil` when it is not installed.
    private func version(_ name: String) -> String? {
        guard let path = ContainerRuntime.path(of: name) else { return nil }
        let result = try? Program.run(
            Invocation([path, "--version"], environment: ContainerRuntime.environment),
            within: 5000)
        let line = result?.output.split(separator: "\n").first.map(String.init) ?? ""
        return line.isEmpty ? name : line
    }

    private func networks() -> [NodeExamination.Network] {
        let networks = NodeNetworks(settings)
        return networks.all().map { network in
            let needed = ["loopback"] + network.plugins.compactMap { $0["type"]?.text }
            return NodeExamination.Network(
                name: network.name, missing: needed.filter { networks.plugin($0) == nil })
        }
    }

    // MARK: The node

    private func disk() -> NodeExamination.Disk? {
        // The directory may not be there yet; its disk is.
        var path = dataDirectory
        while access(path, F_OK) != 0, path.count > 1 {
            let parent = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
            path = parent.isEmpty ? "/" : String(parent)
        }
        var numbers = statvfs()
        guard statvfs(path, &numbers) == 0 else { return nil }
        let size = Int64(clamping: numbers.f_frsize)
        return NodeExamination.Disk(
            path: path, free: Int64(clamping: numbers.f_bavail) * size,
            total: Int64(clamping: numbers.f_blocks) * size,
            freeFiles: numbers.f_files == 0 ? nil : Int64(clamping: numbers.f_favail))
    }

    private func clock() -> Bool? {
        switch linux_clock_synchronised() {
        case 1: true
        case 0: false
        default: nil
        }
    }

    /// Keys and tokens in the data directory and one level below, and all secrets.
    private func privateFiles() -> [NodeExamination.PrivateFile] {
        let isPrivate = { (name: String) in
            name.hasSuffix(".key") || name.hasSuffix(".token")
        }
        let keys = files(below: dataDirectory, levels: 2).filter { file in
            isPrivate(file.path)
        }
        return keys + (secretsDirectory.map { files(below: $0, levels: 3) } ?? [])
    }

    private func files(below path: String, levels: Int) -> [NodeExamination.PrivateFile] {
        guard levels > 0 else { return [] }
        var found: [NodeExamination.PrivateFile] = []
        for name in DirectoryNames.list(path) {
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: found += files(below: "\(path)/\(name)", levels: levels - 1)
            case S_IFREG:
                found.append(
                    NodeExamination.PrivateFile(
                        path: "\(path)/\(name)", mode: status.st_mode & 0o7777))
            default: break
            }
        }
        return found.sorted { $0.path < $1.path }
    }
}
