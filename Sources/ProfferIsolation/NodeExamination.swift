/// What was found out about a node, as facts; see ``judge(for:)`` for what they mean.
public struct NodeExamination: Hashable, Sendable {
    /// A container runtime that was tried.
    public struct Runtime: Hashable, Sendable {
        /// The name of its program.
        public var name: String
        /// What it says that it is; `nil` when it is not installed.
        public var version: String?
        /// Why it ran no container; `nil` when it did.
        public var problem: String?

        /// Sets every field.
        public init(name: String, version: String?, problem: String?) {
            self.name = name
            self.version = version
            self.problem = problem
        }
    }

    /// A network that is described on the node.
    public struct Network: Hashable, Sendable {
        /// What tasks call it.
        public var name: String
        /// The plug-ins that it needs and that are not there.
        public var missing: [String]

        /// Sets both.
        public init(name: String, missing: [String]) {
            self.name = name
            self.missing = missing
        }
    }

    /// A file that only its owner should be able to read.
    public struct PrivateFile: Hashable, Sendable {
        /// Where it is.
        public var path: String
        /// Its permission bits.
        public var mode: UInt32

        /// Sets both.
        public init(path: String, mode: UInt32) {
            self.path = path
            self.mode = mode
        }
    }

    /// A port that a daemon listens on.
    public struct Port: Hashable, Sendable {
        /// The port.
        public var number: Int
        /// Why it cannot be listened on; `nil` when it can.
        public var problem: String?

        /// Sets both.
        public init(number: Int, problem: String?) {
            self.number = number
            self.problem = problem
        }
    }

    /// A disk.
    public struct Disk: Hashable, Sendable {
        /// A path on it.
        public var path: String
        /// Free bytes, and all of them.
        public var free: Int64
        /// All bytes.
        public var total: Int64
        /// Files that can be made; `nil` where they are not counted.
        public var freeFiles: Int64?

        /// Sets every field.
        public init(path: String, free: Int64, total: Int64, freeFiles: Int64?) {
            self.path = path
            self.free = free
            self.total = total
            self.freeFiles = freeFiles
        }
    }

    /// Whether the examiner is privileged.
    public var isRoot = false
    /// The trees of cgroups.
    public var layout = CgroupLayout(hierarchies: [])
    /// Why no cgroup could be made; `nil` when one could, or when it was not tried.
    public var cgroupProblem: String?
    /// The container runtimes, the preferred one first.
    public var runtimes: [Runtime] = []
    /// How many user namespaces there may be; `nil` when the kernel has none.
    public var userNamespaces: Int?
    /// Whether the place of bundles and of files with secrets is in memory.
    public var hasMemoryDirectory = false
    /// The programs for images that are not installed.
    public var missingImageTools: [String] = []
    /// The directory of the descriptions of networks.
    public var networkDirectory = ""
    /// The networks in it.
    public var networks: [Network] = []
    /// Whether the packet filter's program is installed, which port mappings need.
    public var hasPacketFilter = false
    /// The disk of sandboxes.
    public var disk: Disk?
    /// Whether the kernel counts the clock as synchronised; `nil` when it does not say.
    public var isClockSynchronised: Bool?
    /// Files with keys, tokens and secrets.
    public var privateFiles: [PrivateFile] = []
    /// What is wrong with the directory of secrets, if one was named.
    public var secretsProblem: String?
    /// How many descriptors a process may have.
    public var descriptorLimit: UInt64 = 0
    /// The ports of the daemons.
    public var ports: [Port] = []
    /// Whether it is an error when a port is in use.
    public var needsPorts = false
    /// The version of libzmq.
    public var messagingVersion = ""
    /// Whether libzmq encrypts.
    public var hasEncryption = false
    /// Programs of this project that should stand beside the examiner and do not.
    public var missingPrograms: [String] = []

    /// Knows nothing yet.
    public init() {}
}

/// What one fact means for a node.
public struct NodeFinding: Hashable, Sendable {
    /// How it is.
    public enum Verdict: String, Hashable, Sendable {
        /// It works.
        case works
        /// Something is missing that the node can do without.
        case lacks
        /// Without it the node is of no use in the wanted mode.
        case fails
    }

    /// What it is about, one word or two.
    public var subject: String
    /// How it is.
    public var verdict: Verdict
    /// What was found, as a phrase.
    public var detail: String
    /// The command that mends it, or what to do; `nil` when there is nothing to mend.
    public var mend: String?

    /// Sets every field; what is left out has the default shown.
    public init(_ subject: String, _ verdict: Verdict, _ detail: String, mend: String? = nil) {
        self.subject = subject
        self.verdict = verdict
        self.detail = detail
        self.mend = mend
    }
}

extension NodeExamination {
    /// Less free disk than this is too little for sandboxes: 1 GiB.
    static let leastDisk: Int64 = 1 << 30
    /// So many descriptors an agent with hundreds of tasks needs.
    static let wantedDescriptors: UInt64 = 16_384
    static let leastDescriptors: UInt64 = 1024

    /// What the facts mean for an agent that keeps its tasks apart in this way.
    ///
    /// - Returns: The findings, in the order in which they are read best. The node is fit when none
    ///   of them fails.
    public func judge(for mode: IsolationMode) -> [NodeFinding] {
        [
            judgeEncryption(), judgePrograms(), judgeDisk(), judgeDescriptors(), judgeClock(),
        ] + judgePrivateFiles() + judgePorts() + [
            judgePrivilege(mode), judgeCgroups(mode), judgeRuntimes(mode), judgeUsers(mode),
            judgeMemory(mode), judgeImageTools(), judgeNetworks(), judgePacketFilter(),
        ]
    }

    private func judgeEncryption() -> NodeFinding {
        hasEncryption
            ? NodeFinding("messaging", .works, "libzmq \(messagingVersion) with CURVE")
            : NodeFinding(
                "messaging", .fails, "libzmq \(messagingVersion) encrypts nothing",
                mend: "apt install libzmq5 libsodium23")
    }

    private func judgePrograms() -> NodeFinding {
        missingPrograms.isEmpty
            ? NodeFinding("programs", .works, "all stand beside this one")
            : NodeFinding(
                "programs", .lacks, "\(missingPrograms.joined(separator: ", ")) not found",
                mend: "copy them beside this program")
    }

    private func judgeDisk() -> NodeFinding {
        guard let disk else {
            return NodeFinding(
                "disk", .fails, "the data directory cannot be looked at",
                mend: "name one that is there with --data-dir")
        }
        let text = "\(disk.free >> 20) of \(disk.total >> 20) MiB free at \(disk.path)"
        if disk.free < Self.leastDisk || disk.freeFiles == 0 {
            let what = disk.freeFiles == 0 ? ", but no file can be made" : ""
            return NodeFinding(
                "disk", .fails, text + what, mend: "make room, or name another disk's --data-dir")
        }
        let isTight = disk.free < disk.total / 10
        return NodeFinding(
            "disk", isTight ? .lacks : .works, text,
            mend: isTight ? "make room: sandboxes are removed early below a tenth" : nil)
    }

    private func judgeDescriptors() -> NodeFinding {
        let text = "\(descriptorLimit) descriptors for each process"
        if descriptorLimit >= Self.wantedDescriptors {
            return NodeFinding("descriptors", .works, text)
        }
        return NodeFinding(
            "descriptors", descriptorLimit < Self.leastDescriptors ? .fails : .lacks, text,
            mend: "ulimit -n 65536, or LimitNOFILE=65536 in the unit")
    }

    private func judgeClock() -> NodeFinding {
        switch isClockSynchronised {
        case true: NodeFinding("clock", .works, "synchronised")
        case false:
            NodeFinding(
                "clock", .lacks, "not synchronised: times in logs and updates may be off",
                mend: "timedatectl set-ntp true, or apt install chrony")
        case nil: NodeFinding("clock", .lacks, "the kernel does not say whether it is right")
        }
    }

    private func judgePrivateFiles() -> [NodeFinding] {
        if let secretsProblem {
            return [NodeFinding("secrets", .fails, secretsProblem)] + judgeModes()
        }
        return judgeModes()
    }

    private func judgeModes() -> [NodeFinding] {
        let open = privateFiles.filter { $0.mode & 0o077 != 0 }
        if open.isEmpty {
            return [
                NodeFinding(
                    "key files", .works,
                    privateFiles.isEmpty ? "none found" : "\(privateFiles.count), all private")
            ]
        }
        return open.map { file in
            NodeFinding(
                "key files", .fails,
                "\(file.path) has mode \(String(file.mode & 0o7777, radix: 8))",
                mend: "chmod 0600 \(file.path)")
        }
    }

    private func judgePorts() -> [NodeFinding] {
        let taken = ports.filter { $0.problem != nil }
        if taken.isEmpty {
            let list = ports.map { "\($0.number)" }.joined(separator: ", ")
            return [NodeFinding("ports", .works, "free: \(list)")]
        }
        return taken.map { port in
            NodeFinding(
                "ports", needsPorts ? .fails : .lacks, "\(port.number): \(port.problem ?? "")",
                mend: "ss -lptn 'sport = :\(port.number)' tells who has it")
        }
    }

    private func judgePrivilege(_ mode: IsolationMode) -> NodeFinding {
        if isRoot { return NodeFinding("privilege", .works, "root") }
        return NodeFinding(
            "privilege", mode == .process ? .lacks : .fails,
            "not root: all tasks run as one user, without limits",
            mend: "run this and the agent as root")
    }

    private func judgeCgroups(_ mode: IsolationMode) -> NodeFinding {
        let bad: NodeFinding.Verdict = mode == .process ? .lacks : .fails
        if let name = layout.missing.first {
            return NodeFinding(
                "cgroups", bad, "the node has no controller '\(name)'",
                mend: "boot with systemd.unified_cgroup_hierarchy=1 cgroup_enable=\(name)")
        }
        if let cgroupProblem {
            return NodeFinding(
                "cgroups", bad, cgroupProblem, mend: "mount -o remount,rw /sys/fs/cgroup")
        }
        return NodeFinding("cgroups", isRoot ? .works : .lacks, layout.name)
    }

    private func judgeRuntimes(_ mode: IsolationMode) -> NodeFinding {
        let bad: NodeFinding.Verdict = mode == .oci ? .fails : .lacks
        if let good = runtimes.first(where: { $0.version != nil && $0.problem == nil }) {
            return NodeFinding("runtime", .works, "\(good.version ?? "") runs a container")
        }
        let installed = runtimes.filter { $0.version != nil }
        if installed.isEmpty {
            let names = runtimes.map(\.name).joined(separator: " nor ")
            return NodeFinding(
                "runtime", bad, "neither \(names) is installed", mend: "apt install runc")
        }
        return NodeFinding(
            "runtime", bad,
            installed.map { "\($0.name): \($0.problem ?? "")" }.joined(separator: "; "),
            mend: installed.count < runtimes.count
                ? "apt install \(runtimes.first { $0.version == nil }?.name ?? "runc")" : nil)
    }

    private func judgeUsers(_ mode: IsolationMode) -> NodeFinding {
        if let count = userNamespaces, count > 0 {
            return NodeFinding("user namespaces", .works, "\(count)")
        }
        return NodeFinding(
            "user namespaces", mode == .oci ? .fails : .lacks,
            "none: containers of root cannot be had",
            mend: "sysctl -w user.max_user_namespaces=15000")
    }

    private func judgeMemory(_ mode: IsolationMode) -> NodeFinding {
        hasMemoryDirectory
            ? NodeFinding("secrets in memory", .works, "there is a tmpfs for them")
            : NodeFinding(
                "secrets in memory", .lacks, "neither /run nor /dev/shm is in memory",
                mend: "mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm")
    }

    private func judgeImageTools() -> NodeFinding {
        missingImageTools.isEmpty
            ? NodeFinding("images", .works, "skopeo and umoci are there")
            : NodeFinding(
                "images", .lacks,
                "without \(missingImageTools.joined(separator: " and ")) only"
                    + " directories can be images",
                mend: "apt install \(missingImageTools.joined(separator: " "))")
    }

    private func judgeNetworks() -> NodeFinding {
        if networks.isEmpty {
            return NodeFinding(
                "networks", .lacks, "none is described in \(networkDirectory)",
                mend: "apt install containernetworking-plugins, and write a .conflist there")
        }
        let broken = networks.filter { !$0.missing.isEmpty }
        if broken.isEmpty {
            return NodeFinding(
                "networks", .works, networks.map(\.name).joined(separator: ", "))
        }
        return NodeFinding(
            "networks", .lacks,
            broken.map { "\($0.name) needs \($0.missing.joined(separator: ", "))" }
                .joined(separator: "; "), mend: "apt install containernetworking-plugins")
    }

    private func judgePacketFilter() -> NodeFinding {
        hasPacketFilter
            ? NodeFinding("port mappings", .works, "iptables is there")
            : NodeFinding(
                "port mappings", .lacks, "iptables is not installed", mend: "apt install iptables")
    }
}
