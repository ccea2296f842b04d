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

    /// Kills what is left of the tasks remembered, in one pass over all processes.
    ///
    /// - Returns: How many processes were killed.
    /// - Complexity: O(processes of the node), a few microseconds each.
    @discardableResult
    public mutating func sweep() -> Int {
        guard let since = targets.map(\.startTicks).min() else { return 0 }
        defer { targets = [] }
        var killed = 0
        let own = getpid()
        ProcFile.forEachProcess { pid, directory in
            guard pid != own, let stat = ProcessStat(pid: pid, in: directory), stat.isRunning,
                stat.startTicks >= since,
                let environment = ProcFile.bytes(
                    "\(pid)/environ", in: directory, limit: 131_072)
            else { return }
            guard targets.contains(where: { Self.contains(environment, $0.mark) }) else { return }
            if kill(pid, SIGKILL) == 0 { killed += 1 }
        }
        return killed
    }

    /// Sends a signal to every process of a live task outside the group of its first process.
    ///
    /// - Complexity: O(processes of the node).
    public static func signalStrays(
        of process: ProcessIdentity, sandbox: String, _ number: Int32
    ) {
        let mark = mark(sandbox)
        let own = getpid()
        ProcFile.forEachProcess { pid, directory in
            guard pid != own, let stat = ProcessStat(pid: pid, in: directory), stat.isRunning,
                stat.startTicks >= process.startTicks, stat.group != process.pid
            else { return }
            var isOurs = stat.session == process.pid
            if !isOurs {
                let environment = ProcFile.bytes(
                    "\(pid)/environ", in: directory, limit: 131_072)
                isOurs = environment.map { contains($0, mark) } ?? false
            }
            if isOurs { kill(pid, number) }
        }
    }

    private static func mark(_ sandbox: String) -> [UInt8] {
        Array("\(markName)=\(sandbox)".utf8)
    }

    /// Whether `mark` is one of the variables, each of which ends with a zero byte.
    private static func contains(_ environment: [UInt8], _ mark: [UInt8]) -> Bool {
        environment.withUnsafeBytes { whole in
            mark.withUnsafeBytes { part in
                guard let base = whole.baseAddress, let wanted = part.baseAddress else {
                    return false
                }
                var start = 0
                while start < whole.count {
                    let end = memchr(base + start, 0, whole.count - start)
                    let stop = end.map { UnsafeRawPointer($0) - base } ?? whole.count
                    if stop - start == part.count, memcmp(base + start, wanted, part.count) == 0 {
                        return true
                    }
                    start = stop + 1
                }
                return false
            }
        }
    }
}
