internal import Glibc
public import ProfferIsolation

/// A group of processes that the kernel limits and counts together: one directory in one tree.
struct Cgroup: Sendable {
    /// Its directory.
    let path: String

    init(_ path: String) { self.path = path }

    /// The processes in it, without those in groups below.
    var members: [Int32] {
        let bytes = ProcFile.bytes(path + "/cgroup.procs", limit: 262_144) ?? []
        return bytes.split(separator: 0x0A).compactMap {
            Int32(String(decoding: $0, as: UTF8.self))
        }
    }

    /// The groups directly below.
    private var below: [Cgroup] {
        DirectoryNames.list(path, directoriesOnly: true).map { Cgroup(path + "/" + $0) }
    }

    /// Writes to one of its files.
    ///
    /// - Throws: ``SystemError`` that names the file and the value.
    static func write(_ value: String, to path: String) throws(SystemError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw SystemError("open", path, code: errno) }
        defer { close(descriptor) }
        let bytes = Array(value.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw SystemError("write to", path, code: errno, hint: "the value was \(value)")
        }
    }

    /// Kills every process in it and below, whatever they do to escape.
    ///
    /// The unified tree does this in one step. Elsewhere the group is frozen first, so that nothing
    /// forks while it is killed; a tree without a freezer is killed in passes.
    ///
    /// - Returns: Whether nothing is left; what is dying still counts.
    @discardableResult
    func kill() -> Bool {
        if isEmpty { return true }
        if (try? Self.write("1", to: path + "/cgroup.kill")) != nil { return isEmpty }
        let canFreeze = freeze()
        defer { if canFreeze { thaw() } }
        for _ in 0..<(canFreeze ? 2 : 10) {
            let all = everyone
            if all.isEmpty { return true }
            for pid in all where pid > 0 { Glibc.kill(pid, SIGKILL) }
        }
        return false
    }

    private var isEmpty: Bool { members.isEmpty && below.allSatisfy(\.isEmpty) }

    private var everyone: [Int32] { members + below.flatMap(\.everyone) }

    /// Stops every process in it where it is.
    ///
    /// - Returns: Whether the group can be frozen at all; it may need some time yet.
    func freeze() -> Bool {
        if (try? Self.write("1", to: path + "/cgroup.freeze")) != nil { return true }
        let state = path + "/freezer.state"
        guard (try? Self.write("FROZEN", to: state)) != nil else { return false }
        // Processes that are just being made are caught by a later look; version 1 tells nobody
        // when all are frozen, so it is asked, for 10 ms at most.
        for _ in 0..<50 {
            if ProcFile.text(state, limit: 64) == "FROZEN" { break }
            usleep(200)
            try? Self.write("FROZEN", to: state)
        }
        return true
    }

    /// Lets them go on.
    func thaw() {
        if (try? Self.write("0", to: path + "/cgroup.freeze")) == nil {
            try? Self.write("THAWED", to: path + "/freezer.state")
        }
    }

    /// Removes the group and those below it.
    ///
    /// - Returns: Whether it is gone; otherwise there are processes in it.
    func remove() -> Bool {
        if rmdir(path) == 0 || errno == ENOENT { return true }
        for group in below where !group.remove() { return false }
        return rmdir(path) == 0 || errno == ENOENT
    }
}

/// The cgroups of the node that this process runs on.
public enum NodeCgroups {
    /// Finds the trees.
    public static func layout() -> CgroupLayout {
        CgroupLayout(mountInfo: ProcFile.text("/proc/self/mountinfo", limit: 1 << 20) ?? "") {
            ProcFile.text($0 + "/cgroup.controllers", limit: 4096)
        }
    }

    /// The memory nodes, as the kernel writes lists.
    public static var memoryNodes: String {
        ProcFile.text("/sys/devices/system/node/has_memory", limit: 256)
            ?? ProcFile.text("/sys/devices/system/node/online", limit: 256) ?? "0"
    }

    /// Makes the group that all tasks are in, if it is not there.
    ///
    /// - Throws: ``SystemError`` when a tree cannot be written to.
    public static func prepare(_ planner: CgroupPlanner, cores: Bool) throws(SystemError) {
        for step in planner.preparation(cores: cores) {
            switch step {
            case .makeCgroup(let path):
                if mkdir(path, 0o755) != 0, errno != EEXIST {
                    throw SystemError("make", path, code: errno)
                }
            case .set(let path, let value, let need):
                do throws(SystemError) {
                    try Cgroup.write(value, to: path)
                } catch {
                    if need == .required { throw error }
                }
            default: break
            }
        }
    }

    /// Where this process is in the tree that shares out the processors, and was before it was
    /// protected.
    public struct Place: Sendable {
        /// Its own group.
        fileprivate let own: String
        /// The file by which a process enters the group that it came from.
        public let origin: String

        /// Goes back to where it was, and removes its own group if nobody else is in it.
        public func leave() {
            try? Cgroup.write("0", to: origin)
            rmdir(own)
        }
    }

    /// So many times what all tasks together get is this process's part of the processors, as far
    /// as both want any.
    private static let weightFactor: Int64 = 10

    /// Puts this process, and the children that it has from now on, into a group beside the one of
    /// all tasks with ten times its weight.
    ///
    /// - Parameters:
    ///   - planner: Of the tasks; their group must be there.
    ///   - membership: The text of `/proc/self/cgroup`.
    /// - Returns: Where it is now; `nil` when there is no tree that shares out processors.
    /// - Throws: ``SystemError`` when the group cannot be made or entered.
    public static func protectProcessor(
        _ planner: CgroupPlanner, membership: String? = nil
    ) throws(SystemError) -> Place? {
        guard let tree = planner.layout.hierarchy(of: "cpu") else { return nil }
        let text = membership ?? ProcFile.text("/proc/self/cgroup") ?? ""
        let own = tree.mountPoint + planner.root + ".agent"
        var present = path(in: tree, text) ?? "/"
        // An agent that was killed before it could leave has left its group to its executors.
        if present == planner.root + ".agent" { present = "/" }
        if mkdir(own, 0o755) != 0, errno != EEXIST {
            throw SystemError("make", own, code: errno)
        }
        let isFirst = tree.version == .one
        try Cgroup.write(
            "\((isFirst ? 1024 : 100) * weightFactor)",
            to: own + (isFirst ? "/cpu.shares" : "/cpu.weight"))
        try Cgroup.write("0", to: own + "/cgroup.procs")
        let origin = tree.mountPoint + (present == "/" ? "" : present)
        return Place(own: own, origin: origin + "/cgroup.procs")
    }

    /// Where a process is in a tree, by its list of groups.
    static func path(in tree: CgroupHierarchy, _ membership: String) -> String? {
        for line in membership.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let controllers = fields[1].split(separator: ",").map(String.init)
            let isMeant =
                tree.version == .two
                ? controllers.isEmpty : controllers.contains { tree.controllers.contains($0) }
            if isMeant { return String(fields[2]) }
        }
        return nil
    }

    /// Removes the group that all tasks are in, once there is none in it.
    public static func discard(_ planner: CgroupPlanner, cores: Bool) {
        for step in planner.preparation(cores: cores).reversed() {
            if case .makeCgroup(let path) = step { rmdir(path) }
        }
    }
}
