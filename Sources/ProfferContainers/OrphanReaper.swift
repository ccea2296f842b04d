internal import Glibc
internal import Synchronization

/// The children of this process that somebody in it watches and will reap.
enum WatchedChildren {
    private static let numbers = Mutex<Set<Int32>>([])

    static func insert(_ pid: Int32) { _ = numbers.withLock { $0.insert(pid) } }

    static func remove(_ pid: Int32) { _ = numbers.withLock { $0.remove(pid) } }

    static func contains(_ pid: Int32) -> Bool { numbers.withLock { $0.contains(pid) } }
}

/// Reaps processes that have become children of this one because their parents ended, in a program
/// that takes up orphans.
///
/// A child that has ended and that nobody watches is reaped when it is seen a second time: by then
/// whoever has just started one has begun to watch it.
public struct OrphanReaper: Sendable {
    private var suspects: [Int32: UInt64] = [:]

    /// Makes a reaper; one is enough for a program.
    public init() {}

    /// Whether the next ``reap()`` may find something.
    public var isWaiting: Bool { !suspects.isEmpty }

    /// Reaps what was there at the last call already.
    ///
    /// To be called with seconds in between. O(processes of the node) when a child has ended and
    /// is not reaped, one call to the system otherwise.
    ///
    /// - Returns: How many were reaped.
    @discardableResult
    public mutating func reap() -> Int {
        guard Self.hasZombies else {
            suspects = [:]
            return 0
        }
        let own = getpid()
        var seen: [Int32: UInt64] = [:]
        ProcFile.forEachProcess { pid, _ in
            guard let stat = ProcessStat(pid: pid), stat.parent == own, !stat.isRunning,
                !WatchedChildren.contains(pid)
            else { return }
            seen[pid] = stat.startTicks
        }
        var count = 0
        for (pid, ticks) in seen where suspects[pid] == ticks {
            var status: Int32 = 0
            if waitpid(pid, &status, WNOHANG) == pid {
                seen[pid] = nil
                count += 1
            }
        }
        suspects = seen
        return count
    }

    private static var hasZombies: Bool {
        var information = siginfo_t()
        return waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0
            && information.si_signo != 0
    }
}
