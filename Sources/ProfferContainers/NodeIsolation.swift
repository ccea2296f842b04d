internal import Glibc
public import ProfferIsolation
public import ProfferModel

/// What the node that this process runs on allows.
public enum NodeIsolation {
    /// Whether this process may do what is kept for the privileged.
    public static var isRoot: Bool { geteuid() == 0 }

    /// Finds out what plans depend on; the cgroups only for a mode that has any.
    public static func facts(for settings: IsolationSettings) -> NodeFacts {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        let hasCgroups = settings.mode != .process
        return NodeFacts(
            layout: hasCgroups ? NodeCgroups.layout() : CgroupLayout(hierarchies: []),
            memoryNodes: hasCgroups ? NodeCgroups.memoryNodes : "0",
            descriptorLimit: UInt64(limit.rlim_max), isRoot: isRoot)
    }

    /// The privileges that this process could have at most.
    public static var capabilities: [Capability] {
        let lines = (ProcFile.text("/proc/self/status") ?? "").split(separator: "\n")
        let text = lines.first { $0.hasPrefix("CapBnd:") }?.split(separator: "\t").last
        let bits = text.flatMap { UInt64($0, radix: 16) } ?? 0
        return Capability.all.filter { bits & 1 << UInt64($0.number) != 0 }
    }

    /// Makes the directory in memory of one agent, where everybody can walk but only its user can
    /// look around or write: below `/run`, or below `/dev/shm` for an agent that is not root or on
    /// a node whose `/run` is on a disk.
    ///
    /// - Parameter name: Tells the agent from others.
    /// - Returns: Its path; what is in it is on a disk if there is nothing else on the node.
    /// - Throws: ``SystemError`` when it cannot be made, or is somebody else's.
    public static func memoryDirectory(_ name: String) throws(SystemError) -> String {
        let shared = "/dev/shm"
        let takesShared =
            !isRoot || (!MemoryFile.isInMemory("/run") && MemoryFile.isInMemory(shared))
        var path = takesShared ? shared : "/run"
        for part in [isRoot ? "proffer" : "proffer-\(geteuid())", name] {
            path += "/" + part
            if mkdir(path, 0o711) != 0, errno != EEXIST {
                throw SystemError("make", path, code: errno)
            }
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
                status.st_uid == geteuid(), chmod(path, 0o711) == 0
            else { throw SystemError("use", path, code: EPERM) }
        }
        return path
    }

    /// Makes the kernel take the node's memory from tasks first, and from this process late.
    ///
    /// Children inherit it; tasks have a score of their own.
    ///
    /// - Throws: ``SystemError`` when the kernel does not let it, which takes `CAP_SYS_RESOURCE`.
    public static func protectFromOutOfMemory() throws(SystemError) {
        try Cgroup.write("-900", to: "/proc/self/oom_score_adj")
    }
}
