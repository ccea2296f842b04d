public import ProfferModel

/// Who a contained task is, by the numbers of the node.
public struct ContainerUser: Hashable, Sendable {
    /// The user.
    public var id: UInt32
    /// The first group.
    public var group: UInt32
    /// Further groups.
    public var groups: [UInt32]

    /// Sets every field; what is left out has the default shown.
    public init(id: UInt32, group: UInt32, groups: [UInt32] = []) {
        self.id = id
        self.group = group
        self.groups = groups
    }

    /// The privileged one.
    public static let root = ContainerUser(id: 0, group: 0)
}

/// What an image says about the programs in it.
public struct ImageDefaults: Hashable, Sendable {
    /// What every program gets.
    public var arguments: [String] = []
    /// Variables for every program.
    public var environment: [EnvironmentVariable] = []
    /// Where programs begin; `nil` is the sandbox.
    public var directory: String?

    /// Nothing.
    public init() {}

    /// Reads the configuration of an image.
    public init(_ image: JSON) {
        guard let config = image["config"] ?? image["Config"] else { return }
        let texts = { (name: String) in (config[name]?.elements ?? []).compactMap(\.text) }
        arguments = texts("Entrypoint") + texts("Cmd")
        environment = texts("Env").compactMap { line in
            guard let sign = line.firstIndex(of: "=") else { return nil }
            return EnvironmentVariable(
                name: String(line[..<sign]), value: String(line[line.index(after: sign)...]))
        }
        if let path = config["WorkingDir"]?.text, path.hasPrefix("/"), path != "/" {
            directory = path
        }
    }
}

/// A container to be made.
public struct BundleSubject: Hashable, Sendable {
    /// The name of the task's plan, which is the container's too.
    public var name: String
    /// The unpacked image on the node.
    public var root: String
    /// What the image says.
    public var image: ImageDefaults
    /// What to execute.
    public var command: CommandInfo
    /// The whole environment of the task.
    public var environment: [EnvironmentVariable]
    /// The sandbox on the node.
    public var sandbox: String
    /// The sandbox of the task's group; its own when it has none.
    public var groupSandbox: String
    /// Who runs it.
    public var user: ContainerUser
    /// What the task asks for.
    public var container: ContainerInfo
    /// What the kernel counts for each process.
    public var limits: [ProcessLimit]
    /// The container's cgroup, from the top of every tree.
    public var cgroup: String
    /// The task's chance to die when the node has no memory left.
    public var oomScore: Int
    /// A network namespace to enter; `nil` is a new one without any network.
    public var network: String?
    /// An IPC namespace to enter; `nil` is a new one.
    public var ipc: String?
    /// Files with secrets.
    public var secrets: [SecretFile] = []
    /// Whether a secret is in the environment, so that the bundle has to be in memory.
    public var hasSecretEnvironment = false
    /// Its persistent volumes.
    public var mounts: [VolumeMount]
    /// The device files that it may use.
    public var devices: [DeviceNode] = []

    /// Sets every field.
    public init(
        name: String, root: String, image: ImageDefaults, command: CommandInfo,
        environment: [EnvironmentVariable], sandbox: String, groupSandbox: String,
        user: ContainerUser, container: ContainerInfo, limits: [ProcessLimit], cgroup: String,
        oomScore: Int, network: String? = nil, ipc: String? = nil, mounts: [VolumeMount] = []
    ) {
        self.name = name
        self.root = root
        self.image = image
        self.command = command
        self.environment = environment
        self.sandbox = sandbox
        self.groupSandbox = groupSandbox
        self.user = user
        self.container = container
        self.limits = limits
        self.cgroup = cgroup
        self.oomScore = oomScore
        self.network = network
        self.ipc = ipc
        self.mounts = mounts
    }
}

/// A container cannot be had as it is asked for.
public struct ContainerProblem: Error, Hashable, CustomStringConvertible {
    /// What is wrong.
    public var description: String
}

/// Makes bundles: what a container runtime needs to know about one container.
public struct ContainerPlanner: Hashable, Sendable {
    /// Where bundles are; its path can be walked by everybody, unlike the agent's own directory.
    public var directory: String
    /// Which directories of the node tasks may have as volumes, with all below them.
    public var allowedHostPaths: [String]
    /// What a privileged task can have: no more than the executor.
    public var capabilities: [Capability]

    /// Sets every field; what is left out has the default shown.
    public init(
        directory: String, allowedHostPaths: [String] = [],
        capabilities: [Capability] = Capability.all
    ) {
        self.directory = directory
        self.allowedHostPaths = allowedHostPaths
        self.capabilities = capabilities
    }

    /// Where a task finds its sandbox.
    public static let sandboxPath = "/mnt/mesos/sandbox"
    /// The node's number of the container's root, and of as many users after it as it can see.
    public static let firstMappedUser: UInt32 = 1_879_048_192
    static let mappedUsers: Int64 = 65_536
    /// What a temporary file system of a container may hold at most, in bytes.
    private static let temporaryBytes: Int64 = 64 << 20

    /// The directory of a container's bundle.
    public func bundle(_ name: String) -> String { "\(directory)/\(name)" }

    /// Whether the container has users of its own: a root that is nobody on the node.
    static func hasOwnUsers(_ subject: BundleSubject) -> Bool {
        hasOwnUsers(subject.user, subject.container)
    }

    private static func hasOwnUsers(_ user: ContainerUser, _ container: ContainerInfo) -> Bool {
        user.id == 0 && !container.isPrivileged
    }

    /// The owner of the sandbox, by the node's numbers.
    public static func owner(_ subject: BundleSubject) -> ContainerUser {
        owner(subject.user, subject.container)
    }

    /// Who a user of a container is, by the node's numbers.
    public static func owner(
        _ user: ContainerUser, _ container: ContainerInfo
    ) -> ContainerUser {
        hasOwnUsers(user, container)
            ? ContainerUser(id: firstMappedUser, group: firstMappedUser) : user
    }

    /// What makes the bundle of a container.
    ///
    /// Everything the container sees of the node is mounted into the bundle first, so that the
    /// runtime, and a root that is nobody on the node, need no other path.
    ///
    /// - Parameters:
    ///   - subject: The container.
    ///   - network: What makes its network, once the bundle's directory is there.
    ///   - planner: Knows the drivers of volumes.
    /// - Returns: The steps.
    /// - Throws: ``ContainerProblem`` for a volume that may not be had.
    public func steps(
        _ subject: BundleSubject, network: [IsolationStep] = [],
        volumes planner: VolumePlanner = VolumePlanner(VolumeSettings())
    ) throws(ContainerProblem) -> [IsolationStep] {
        let bundle = bundle(subject.name)
        var steps: [IsolationStep] = [.makeDirectory(bundle, mode: 0o711)] + network
        func bind(
            _ source: String, _ name: String, _ options: [String], below top: String? = nil
        ) {
            steps.append(.makeDirectory("\(bundle)/\(name)", mode: 0o711))
            steps.append(
                .mount(
                    MountPoint(
                        source: source, target: "\(bundle)/\(name)", kind: "bind",
                        options: options, below: top)))
        }
        bind(subject.root, "rootfs", ["ro", "nosuid", "nodev"])
        bind(subject.sandbox, "sandbox", ["nosuid", "nodev"])
        func bindVolume(
            _ index: Int, _ volume: Volume, _ source: (path: String, top: String, isMade: Bool),
            _ target: String
        ) {
            let mode = volume.isReadOnly ? "ro" : "rw"
            bind(
                source.path, "volume-\(index)",
                ["nosuid", "nodev"] + (volume.isReadOnly ? ["ro"] : []), below: source.top)
            mounts.append(
                Self.mount("\(bundle)/volume-\(index)", target, ["rbind", mode, "nosuid", "nodev"]))
        }
        var mounts = Self.standardMounts(subject)
        mounts.append(Self.mount("\(bundle)/sandbox", Self.sandboxPath, ["rbind", "rw"]))
        // Mounted, not made: who is root in a container only can make none.
        for node in subject.devices {
            mounts.append(
                Self.mount(node.path, node.containerPath, ["bind", "rw", "nosuid", "noexec"]))
        }
        for (index, mount) in subject.mounts.enumerated() {
            steps.append(VolumePlanner.making(mount, owner: Self.owner(subject)))
            bind(
                mount.place.path, "persistent-\(index)", ["nosuid", "nodev"],
                below: mount.place.top)
            mounts.append(
                Self.mount(
                    "\(bundle)/persistent-\(index)", "\(Self.sandboxPath)/\(mount.path)",
                    ["rbind", "rw", "nosuid", "nodev"]))
        }
        for (index, volume) in subject.container.volumes.enumerated() {
            let target = try Self.target(of: volume, subject)
            if let bytes = volume.temporaryBytes {
                mounts.append(Self.temporary(target, max(0, bytes), mode: "1777", subject.user))
                continue
            }
            if let external = volume.external {
                let made = try planner.external(external, name: "\(subject.name)-\(index)")
                steps += made.steps
                bindVolume(index, volume, (made.directory, made.directory, false), target)
                continue
            }
            let source = try source(of: volume, subject)
            if source.isMade {
                steps.append(
                    .ensureDirectory(source.path, below: source.top, owner: Self.owner(subject)))
            }
            bindVolume(index, volume, source, target)
        }
        let secrets = try secrets(subject)
        steps += secrets.steps
        steps.append(configurationFile(subject, mounts + secrets.mounts, bundle))
        return steps
    }

    private func configurationFile(
        _ subject: BundleSubject, _ mounts: [JSON], _ bundle: String
    ) -> IsolationStep {
        let text = configuration(subject, mounts).description
        return subject.hasSecretEnvironment
            ? .makeSecret("\(bundle)/config.json", SecretContents(text), owner: .root)
            : .makeFile("\(bundle)/config.json", contents: text, mode: 0o600)
    }

    // MARK: Groups

    /// What the tasks of a group share: a directory, IPC, and a network unless it is the node's.
    ///
    /// A group's own users are those of the node: namespaces belong to the users that made them,
    /// and only a network without users of its own can be entered by all tasks of a group.
    public func groupSteps(
        _ name: String, network: ContainerInfo.Network, joining: [IsolationStep]
    ) -> [IsolationStep] {
        let bundle = bundle(name)
        var steps: [IsolationStep] = [
            .makeDirectory(bundle, mode: 0o711),
            .makeDirectory(Self.shared(bundle), mode: 0o1777),
            .makeFile(Self.ipc(bundle), contents: "", mode: 0o600),
            .pinNamespace(.ipc, at: Self.ipc(bundle)),
        ]
        if network == .none {
            let path = NetworkPlanner.namespace(bundle)
            steps += [
                .makeFile(path, contents: "", mode: 0o600), .pinNamespace(.network, at: path),
            ]
        }
        return steps + joining
    }

    /// The directory that the tasks of a group share.
    public static func shared(_ bundle: String) -> String { bundle + "/shared" }

    /// The file of their IPC namespace.
    public static func ipc(_ bundle: String) -> String { bundle + "/ipc" }

    // MARK: Volumes

    private static func target(
        of volume: Volume, _ subject: BundleSubject
    ) throws(ContainerProblem) -> String {
        let path = volume.containerPath
        let target = path.hasPrefix("/") ? path : "\(sandboxPath)/\(path)"
        guard isPlain(target.dropFirst()) else {
            throw ContainerProblem(description: "'\(path)' is no path for a volume")
        }
        return target
    }

    /// Whether a path has names only, no way back.
    static func isPlain(_ path: some StringProtocol) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.isEmpty && !path.utf8.contains(0)
            && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }

    private func source(
        of volume: Volume, _ subject: BundleSubject
    ) throws(ContainerProblem) -> (path: String, top: String, isMade: Bool) {
        if let inside = volume.sandboxPath {
            guard Self.isPlain(inside.path) else {
                throw ContainerProblem(description: "'\(inside.path)' is no path in a sandbox")
            }
            let top = inside.isShared ? subject.groupSandbox : subject.sandbox
            return ("\(top)/\(inside.path)", top, true)
        }
        guard let path = volume.hostPath else {
            let name =
                "volume-" + volume.containerPath.map { $0 == "/" ? "~" : String($0) }.joined()
            return ("\(subject.sandbox)/\(name)", subject.sandbox, true)
        }
        let top = allowedHostPaths.first { path == $0 || path.hasPrefix($0 + "/") }
        guard let top, path.hasPrefix("/"), Self.isPlain(path.dropFirst()) else {
            throw ContainerProblem(
                description: "the directory '\(path)' of the node may not be a volume;"
                    + " the agent's --allowed-host-paths does not list it")
        }
        return (path, top, false)
    }

    // MARK: Configuration

    private static func mount(_ source: String, _ target: String, _ options: [String]) -> JSON {
        [
            "destination": .string(target), "type": "bind", "source": .string(source),
            "options": .strings(options),
        ]
    }

    /// Runtimes give it the mode of the directory below, so a volume belongs to the task's user.
    private static func temporary(
        _ target: String, _ bytes: Int64, mode: String, _ user: ContainerUser = .root
    ) -> JSON {
        [
            "destination": .string(target), "type": "tmpfs", "source": "tmpfs",
            "options": .strings([
                "nosuid", "nodev", "mode=\(mode)", "size=\(bytes)", "uid=\(user.id)",
                "gid=\(user.group)",
            ]),
        ]
    }

    private static func standardMounts(_ subject: BundleSubject) -> [JSON] {
        func mount(_ target: String, _ kind: String, _ options: [String]) -> JSON {
            [
                "destination": .string(target), "type": .string(kind), "source": .string(kind),
                "options": .strings(options),
            ]
        }
        var mounts = [
            mount("/proc", "proc", ["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount(
                "/dev/pts", "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            temporary("/dev/shm", temporaryBytes, mode: "1777"),
            temporary("/tmp", temporaryBytes, mode: "1777"),
            temporary("/run", temporaryBytes, mode: "755"),
            temporary("/mnt", 4096, mode: "755"),
        ]
        // What shows a namespace can be mounted by whoever has made it only.
        if subject.ipc == nil {
            mounts.append(mount("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"]))
        }
        if subject.network == nil, subject.container.network != .host {
            mounts.append(mount("/sys", "sysfs", ["nosuid", "noexec", "nodev", "ro"]))
        }
        return mounts
    }

    private func configuration(_ subject: BundleSubject, _ mounts: [JSON]) -> JSON {
        [
            "ociVersion": "1.0.2",
            "process": process(subject),
            "root": ["path": "rootfs", "readonly": true],
            "hostname": .string(subject.container.hostname ?? Self.hostname(subject.name)),
            "mounts": .array(mounts),
            "linux": linux(subject),
        ]
    }

    /// A host name of the name of a container.
    private static func hostname(_ name: String) -> String {
        String(name.suffix(32).map { $0.isLetter || $0.isNumber ? $0 : "-" })
    }

    private func process(_ subject: BundleSubject) -> JSON {
        let given =
            subject.container.isPrivileged ? capabilities : subject.container.capabilities
        let names = given.map { "CAP_\($0)" }
        let capabilities = JSON.strings(names)
        let isOther = subject.user.id != 0
        return [
            "terminal": false,
            "user": [
                "uid": .number(Int64(subject.user.id)), "gid": .number(Int64(subject.user.group)),
                "additionalGids": .array(subject.user.groups.map { .number(Int64($0)) }),
            ],
            "args": .strings(Self.arguments(subject)),
            "env": .strings(Self.environment(subject).map { "\($0.name)=\($0.value)" }),
            "cwd": .string(subject.image.directory ?? Self.sandboxPath),
            "capabilities": [
                "bounding": capabilities, "permitted": capabilities, "effective": capabilities,
                "inheritable": capabilities, "ambient": isOther ? capabilities : [],
            ],
            "rlimits": .array(
                subject.limits.map { limit in
                    [
                        "type": .string("RLIMIT_\(limit.kind.name)"),
                        "hard": .number(Int64(clamping: limit.hard ?? .max)),
                        "soft": .number(Int64(clamping: limit.soft ?? .max)),
                    ]
                }),
            "noNewPrivileges": .bool(!subject.container.isPrivileged),
            "oomScoreAdj": .number(Int64(subject.oomScore)),
        ]
    }

    private static func arguments(_ subject: BundleSubject) -> [String] {
        let command = subject.command
        if let value = command.value, !value.isEmpty {
            if command.shell { return ["/bin/sh", "-c", value] }
            return [value] + command.arguments.dropFirst()
        }
        return subject.image.arguments + command.arguments
    }

    /// What the image says, then what the task has; the paths are those inside.
    private static func environment(_ subject: BundleSubject) -> [EnvironmentVariable] {
        var list = subject.image.environment
        for variable in subject.environment {
            var variable = variable
            if variable.value == subject.sandbox { variable.value = sandboxPath }
            // The image knows better where its programs are.
            if variable.name == "PATH", list.contains(where: { $0.name == "PATH" }) { continue }
            list.removeAll { $0.name == variable.name }
            list.append(variable)
        }
        return list
    }

    private func linux(_ subject: BundleSubject) -> JSON {
        var kinds: [JSON] = [["type": "pid"], ["type": "mount"], ["type": "uts"]]
        kinds.append(
            subject.ipc.map { ["type": "ipc", "path": .string($0)] } ?? ["type": "ipc"])
        if let path = subject.network {
            kinds.append(["type": "network", "path": .string(path)])
        } else if subject.container.network != .host {
            kinds.append(["type": "network"])
        }
        var members: [JSON.Member] = []
        if Self.hasOwnUsers(subject) {
            kinds.append(["type": "user"])
            let mapping: JSON = [
                [
                    "containerID": 0, "hostID": .number(Int64(Self.firstMappedUser)),
                    "size": .number(Self.mappedUsers),
                ]
            ]
            members += [JSON.Member("uidMappings", mapping), JSON.Member("gidMappings", mapping)]
        }
        members += [
            JSON.Member("namespaces", .array(kinds)),
            JSON.Member("cgroupsPath", .string(subject.cgroup)),
            JSON.Member("resources", ["devices": Self.devices(subject)]),
        ]
        if !subject.container.isPrivileged {
            members += [
                JSON.Member(
                    "seccomp", SeccompProfile.json(capabilities: subject.container.capabilities)),
                JSON.Member("maskedPaths", .strings(Self.maskedPaths)),
                JSON.Member("readonlyPaths", .strings(Self.readOnlyPaths)),
            ]
        }
        return .object(members)
    }

    /// No device but those that the runtime makes for every container, and those it was given.
    private static func devices(_ subject: BundleSubject) -> JSON {
        var rules: [JSON] = [["allow": false, "access": "rwm"]]
        for node in subject.devices {
            rules.append([
                "allow": true, "type": "c", "major": .number(Int64(node.major)),
                "minor": .number(Int64(node.minor)), "access": "rw",
            ])
        }
        return .array(rules)
    }

    private static let maskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
        "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
        "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
    ]

    private static let readOnlyPaths = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]
}
