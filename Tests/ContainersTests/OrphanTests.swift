import Glibc
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Children that others have left", .serialized)
struct OrphanTests {
    /// The number of a child that ends at once and that nobody watches.
    private func orphan() throws -> Int32 {
        let scratch = try Scratch()
        let process = try ProcessLauncher.start(scratch.plan("exit 0"))
        #expect(eventually { ProcessStat(pid: process.pid)?.isRunning == false })
        return process.pid
    }

    private func isThere(_ pid: Int32) -> Bool { ProcessStat(pid: pid)?.parent == getpid() }

    @Test("a child that nobody watches is reaped when it is seen for the second time")
    func second() throws {
        let pid = try orphan()
        var reaper = OrphanReaper()
        reaper.reap()
        #expect(isThere(pid))
        #expect(reaper.isWaiting)
        #expect(reaper.reap() >= 1)
        #expect(!isThere(pid))
    }

    @Test("a child that somebody watches is left to whoever does")
    func watched() throws {
        let scratch = try Scratch()
        var watcher = try ProcessWatcher()
        let process = try ProcessLauncher.start(scratch.plan("exit 7"))
        try watcher.watchChild(process, token: 1)
        #expect(eventually { ProcessStat(pid: process.pid)?.isRunning == false })
        var reaper = OrphanReaper()
        for _ in 0..<3 { reaper.reap() }
        #expect(watcher.takeEnds(within: 10_000).first?.exit?.code == 7)
        #expect(!WatchedChildren.contains(process.pid))
    }
}
