internal import Glibc

/// Finds and kills processes that a task has left behind.
///
/// A process belongs to a task when it is in the task's session or has the task's mark in its
/// environment. So a child that made a session of its own is found too; one that also cleared
/// its environment is not: that needs a cgroup.
public struct ProcessSweeper: Sendable {
    private struct Target {
        var mark: [UInt8]
        var startTicks: UInt64
        /// Whether the mark is only the beginning of the variable.
        var isPrefix = false
    }

    private var targets: [Target] = []

    /// Makes a sweeper without work.
    public init() {}

    /// Whether there is work.
    public var isEmpty: Bool { targets.isEmpty }

    /// The variable that marks the processes of a task; its value is the path of the sandbox.
    public static let markName = "PROFFER_SANDBOX"

    /// Remembers a task whose first process is gone.
    public mutating func add(sandbox: String, process: ProcessIdentity) {
        targets.append(
            Target(mark: Self.mark(sandbox), startTicks: process.startTicks))
    }

    /// Remembers every task whose sandbox lies below a directory.
    public mutating func add(allBelow directory: String) {
        targets.append(Target(mark: Self.mark(directory + "/"), startTicks: 0, isPrefix: true))
    }

    /// So often all processes are looked at, at most: what is killed may have forked just before.
    private static let passLimit = 10

    /// Kills what is left of the tasks remembered, in passes over all processes until one finds
    /// nothing.
    ///
    /// - Returns: How many processes were killed.
    /// - Complexity: O(processes of the node) for each pass, a few microseconds each.
    @discardableResult
    public mutating func sweep() -> Int { sweepAll().count }

    /// Kills what is left of the tasks remembered and waits until it is gone.
    ///
    /// - Returns: Whether it is gone; `false` when something has not died in `limit`, as a process
    ///   that waits for a disk that does not answer.
    /// - Complexity: As `sweep()`, and up to `limit`.
    public mutating func sweepCompletely(within limit: Duration) -> Bool {
        let killed = sweepAll()
        let end = ContinuousClock.now + limit
        while killed.contains(where: { ProcessStat(pid: $0)?.isRunning == true }) {
            if ContinuousClock.now >= end { return false }
            // They are not children of this process, so nobody tells it of their ends.
            usleep(2000)
        }
        return true
    }

    private mutating func sweepAll() -> Set<Int32> {
        guard let since = targets.map(\.startTicks).min() else { return [] }
        defer { targets = [] }
        var killed: Set<Int32> = []
        for _ in 0..<Self.passLimit {
            let before = killed.count
            let isSure = pass(since, &killed)
            if isSure, killed.count == before { break }
        }
        return killed
    }

    /// Looks at every process once.
    ///
    /// - Returns: Whether every process could be judged.
    private func pass(_ since: UInt64, _ killed: inout Set<Int32>) -> Bool {
        var isSure = true
        let own = getpid()
        ProcFile.forEachProcess { pid, directory in
            guard pid != own, !killed.contains(pid),
                let stat = ProcessStat(pid: pid, in: directory), stat.isRunning,
                stat.startTicks >= since,
                let environment = Self.environment(of: pid, stat, in: directory)
            else { return }
            if environment.isEmpty { isSure = isSure && !Self.isChanging(pid, stat, in: directory) }
            guard targets.contains(where: { Self.contains(environment, $0) }) else { return }
            if kill(pid, SIGKILL) == 0 { killed.insert(pid) }
        }
        return isSure
    }

    /// The environment of a process.
    ///
    /// One that is just becoming another program has none for a moment, and is waited for.
    private static func environment(
        of pid: Int32, _ stat: ProcessStat, in directory: Int32
    ) -> [UInt8]? {
        for _ in 0..<10 {
            let bytes = ProcFile.bytes("\(pid)/environ", in: directory, limit: 131_072)
            guard let bytes, bytes.isEmpty, isChanging(pid, stat, in: directory) else {
                return bytes
            }
            usleep(500)
        }
        return []
    }

    /// Whether a process has neither environment nor arguments because it is in the middle of
    /// `exec`; the kernel's own threads, children of process 2, never have any.
    private static func isChanging(
        _ pid: Int32, _ stat: ProcessStat, in directory: Int32
    ) -> Bool {
        guard pid != 2, stat.parent != 2 else { return false }
        return ProcFile.bytes("\(pid)/cmdline", in: directory, limit: 1)?.isEmpty == true
    }

    /// Sends a signal to every process of a live task outside the group of its first process.
    ///
    /// - Complexity: O(processes of the node).
    public static func signalStrays(
        of process: ProcessIdentity, sandbox: String, _ number: Int32
    ) {
        let target = Target(mark: mark(sandbox), startTicks: process.startTicks)
        let own = getpid()
        ProcFile.forEachProcess { pid, directory in
            guard pid != own, let stat = ProcessStat(pid: pid, in: directory), stat.isRunning,
                stat.startTicks >= process.startTicks, stat.group != process.pid
            else { return }
            var isOurs = stat.session == process.pid
            if !isOurs {
                let environment = environment(of: pid, stat, in: directory)
                isOurs = environment.map { contains($0, target) } ?? false
            }
            if isOurs { kill(pid, number) }
        }
    }

    private static func mark(_ sandbox: String) -> [UInt8] {
        Array("\(markName)=\(sandbox)".utf8)
    }

    /// Whether the mark is one of the variables, each of which ends with a zero byte.
    private static func contains(_ environment: [UInt8], _ target: Target) -> Bool {
        environment.withUnsafeBytes { whole in
            target.mark.withUnsafeBytes { part in
                guard let base = whole.baseAddress, let wanted = part.baseAddress else {
                    return false
                }
                var start = 0
                while start < whole.count {
                    let end = memchr(base + start, 0, whole.count - start)
                    let stop = end.map { UnsafeRawPointer($0) - base } ?? whole.count
                    let isLong = stop - start > part.count && target.isPrefix
                    if isLong || stop - start == part.count,
                        memcmp(base + start, wanted, part.count) == 0
                    {
                        return true
                    }
                    start = stop + 1
                }
                return false
            }
        }
    }
}
