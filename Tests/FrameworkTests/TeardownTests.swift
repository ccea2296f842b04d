@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferFramework

@Suite("Stop without a master")
struct TeardownTests {
    /// A driver that was subscribed and has lost its master.
    private func disconnected() -> Bench {
        var bench = Bench()
        bench.connect()
        bench.give(.closed(Bench.peer, reason: "gone"))
        bench.forget()
        return bench
    }

    /// Why the framework has ended: `nil` when it has not.
    private func end(_ bench: Bench) -> String?? {
        for case .ended(let reason) in bench.effects { return .some(reason) }
        return nil
    }

    @Test("a stop that ends the framework waits for a master, and says so")
    func waits() {
        var bench = disconnected()
        bench.give(.stop(teardown: true))
        #expect(end(bench) == nil)
        let said = bench.effects.contains {
            if case .observe(.teardownWaits(.seconds(30))) = $0 { true } else { false }
        }
        #expect(said)
        bench.pass(.seconds(20))
        bench.connect(PeerID(2))
        #expect(bench.calls.last == .teardown)
        #expect(end(bench) == .some(nil))
        #expect(bench.driver.nextDeadline == nil)
    }

    @Test("it gives up after the patience it was given, and says that the tasks live on")
    func givesUp() {
        var bench = disconnected()
        bench.give(.stop(teardown: true))
        bench.pass(.milliseconds(29_999))
        #expect(end(bench) == nil)
        bench.pass(.milliseconds(1))
        #expect(end(bench)??.contains("live on") == true)
        #expect(bench.driver.nextDeadline == nil)
        bench.forget()
        bench.give(.opened(PeerID(2)))
        #expect(bench.effects.isEmpty)
    }

    @Test("it gives up also while a master does not answer its subscription")
    func silentMaster() {
        var bench = disconnected()
        bench.give(.stop(teardown: true))
        bench.give(.opened(PeerID(2)))
        bench.pass(.seconds(30))
        #expect(end(bench)??.contains("live on") == true)
    }

    @Test("a second stop does not wait", arguments: [true, false])
    func second(teardown: Bool) {
        var bench = disconnected()
        bench.give(.stop(teardown: true))
        bench.give(.stop(teardown: teardown))
        #expect(end(bench) == .some(nil))
    }

    @Test("what no master knows is not waited for")
    func neverSubscribed() {
        var bench = Bench()
        bench.give(.stop(teardown: true))
        #expect(end(bench) == .some(nil))
    }

    @Test("a framework that the master has removed meanwhile does not start anew to end")
    func removedMeanwhile() {
        var bench = Bench(id: "f") { $0.startsAnewWhenRemoved = true }
        bench.give(.stop(teardown: true))
        bench.give(.opened(PeerID(2)))
        bench.event(.error("Framework has been removed"), from: PeerID(2))
        #expect(end(bench) == .some("Framework has been removed"))
        #expect(bench.calls.count == 1)
    }

    @Test("a stop that leaves the tasks alive does not wait")
    func withoutTeardown() {
        var bench = disconnected()
        bench.give(.stop(teardown: false))
        #expect(end(bench) == .some(nil))
        #expect(bench.calls.isEmpty)
    }
}
