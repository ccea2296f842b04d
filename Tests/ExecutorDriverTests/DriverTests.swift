import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferExecutorDriver

@Suite("The driver of a custom executor")
struct DriverTests {
    @Test("news is completed, sent once, and forgotten when it is acknowledged")
    func news() throws {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.now = .zero + .seconds(2)
        bench.report("t", .running)
        let status = try #require(bench.updates.last)
        #expect(status.source == .executor)
        #expect(status.executorID == "e")
        #expect(status.agentID == "a")
        #expect(status.containerStatus?.containerID == "c")
        #expect(status.timestamp == WallTime(nanosecondsSince1970: 2_000_001_000))
        bench.report("t", .finished)
        #expect(Set(bench.updates.map(\.uuid)).count == 2)
        bench.acknowledge("t")
        bench.give(.closed(Bench.peer))
        bench.give(.opened(PeerID(2)))
        #expect(bench.listed.tasks.isEmpty)
        #expect(bench.listed.updates.isEmpty)
    }

    @Test("a new session is told of tasks and news that the agent may not know")
    func resubscription() throws {
        var bench = Bench.subscribed()
        bench.launch("old")
        bench.report("old", .running)
        bench.acknowledge("old")
        bench.launch("new")
        bench.report("new", .running)
        bench.give(.closed(Bench.peer))
        let sent = bench.updates.count
        bench.report("old", .finished)
        #expect(bench.updates.count == sent)
        bench.give(.opened(PeerID(2)))
        #expect(bench.listed.tasks == ["new"])
        #expect(bench.listed.updates.map(\.taskID) == ["old", "new"])
        #expect(bench.listed.updates.first?.state == .finished)
        // Until it is acknowledged, it is told to every session.
        bench.give(.closed(PeerID(2)))
        bench.give(.opened(PeerID(3)))
        #expect(bench.listed.updates.count == 2)
    }

    @Test("while the agent is away, news of the same state takes the place of the last")
    func talkative() {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.report("t", .running, message: "sent")
        bench.give(.closed(Bench.peer))
        for number in 0..<1000 { bench.report("t", .running, message: "\(number)") }
        bench.give(.opened(PeerID(2)))
        #expect(bench.listed.updates.map(\.message) == ["sent", "999"])
    }

    @Test("a launch that comes again changes nothing")
    func launchTwice() {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.launch("t")
        #expect(bench.driver.policy.launches == ["t"])
        bench.report("t", .finished)
        bench.launch("t")
        #expect(bench.driver.policy.launches == ["t"])
    }

    @Test("an event of another session is not heard")
    func strangers() {
        var bench = Bench.subscribed()
        bench.event(.message([1]), from: PeerID(7))
        #expect(bench.driver.policy.happenings.count == 1)
    }

    @Test("a kill is told once, and again only when it leaves less time, from the first one on")
    func kills() {
        var bench = Bench.subscribed()
        bench.launch("t", killGrace: .seconds(60))
        bench.report("t", .running)
        bench.event(.kill("t", policy: nil))
        bench.event(.kill("t", policy: nil))
        #expect(bench.driver.policy.kills == [.seconds(60)])
        bench.now = bench.now + .seconds(10)
        bench.event(.kill("t", policy: KillPolicy(gracePeriod: .seconds(90))))
        #expect(bench.driver.policy.kills == [.seconds(60)])
        bench.event(.kill("t", policy: KillPolicy(gracePeriod: .seconds(15))))
        #expect(bench.driver.policy.kills == [.seconds(60), .seconds(5)])
        bench.event(.kill("t", policy: KillPolicy(gracePeriod: .zero)))
        #expect(bench.driver.policy.kills.last == .zero)
        bench.event(.kill("nobody", policy: nil))
        #expect(bench.notices.contains(.unknownTask("nobody")))
    }

    @Test("the driver says TASK_KILLING to a framework that understands it, and to no other")
    func killing() {
        var bench = Bench.subscribed(capabilities: [.taskKillingState])
        bench.launch("t")
        bench.report("t", .running)
        bench.event(.kill("t", policy: nil))
        #expect(bench.updates.map(\.state) == [.running, .killing])
        // A report that was under way.
        bench.report("t", .running)
        #expect(bench.notices.contains(.droppedUpdate("t", .running)))
        var other = Bench.subscribed()
        other.launch("t")
        other.event(.kill("t", policy: nil))
        #expect(other.updates.isEmpty)
    }

    @Test("news that cannot be is dropped")
    func impossible() {
        var bench = Bench.subscribed()
        bench.report("nobody", .running)
        bench.launch("t")
        bench.report("t", .finished)
        bench.report("t", .running)
        #expect(bench.updates.map(\.state) == [.finished])
        #expect(
            bench.notices.filter { if case .droppedUpdate = $0 { true } else { false } }.count == 2)
    }

    @Test("the policy's timer is kept")
    func timer() {
        var bench = Bench(wakeAt: .zero + .seconds(3))
        bench.pass(.seconds(2))
        #expect(bench.effects.isEmpty)
        bench.pass(.seconds(1))
        #expect(bench.effects.contains { if case .output("woken") = $0 { true } else { false } })
    }
}

@Suite("The end of a custom executor")
struct EndTests {
    @Test("a shutdown leaves the policy its time and ends when all news is acknowledged")
    func graceful() {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.report("t", .running)
        bench.event(.shutdown)
        bench.event(.shutdown)
        let shutdowns = bench.driver.policy.happenings.compactMap {
            if case .shutdown(let grace) = $0 { grace } else { nil }
        }
        #expect(shutdowns == [.seconds(4)])
        bench.report("t", .killed)
        #expect(!bench.hasEnded)
        bench.acknowledge("t")
        #expect(bench.hasEnded)
        #expect(bench.driver.nextDeadline == nil)
    }

    @Test("what has not ended in time is reported as killed, and the end does not wait for ever")
    func late() {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.report("t", .running)
        bench.event(.shutdown)
        bench.pass(.milliseconds(3999))
        #expect(bench.updates.last?.state == .running)
        bench.pass(.milliseconds(1))
        #expect(bench.updates.last?.state == .killed)
        #expect(!bench.hasEnded)
        bench.pass(.seconds(1))
        #expect(bench.hasEnded)
    }

    @Test("half of a short grace is for the last news, and without one it ends at once")
    func short() {
        var bench = Bench.subscribed(shutdownGrace: .milliseconds(500))
        bench.launch("t")
        bench.give(.terminate)
        bench.pass(.milliseconds(250))
        #expect(bench.updates.last?.state == .killed)
        var other = Bench.subscribed(shutdownGrace: .zero)
        other.launch("t")
        other.give(.terminate)
        other.pass(.zero)
        #expect(other.hasEnded)
    }

    @Test("a task that comes during the end is dropped")
    func lateLaunch() {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.event(.shutdown)
        bench.launch("late")
        #expect(bench.driver.policy.launches == ["t"])
        #expect(bench.updates.map(\.state) == [.dropped])
    }

    @Test("without tasks it ends at once")
    func idle() {
        var bench = Bench.subscribed()
        bench.give(.terminate)
        #expect(bench.hasEnded)
    }

    @Test("a policy that ends the executor has its tasks fail")
    func ownEnd() {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.report("t", .running)
        bench.give(.command(.end))
        #expect(bench.updates.last?.state == .failed)
        bench.acknowledge("t")
        #expect(bench.hasEnded)
    }

    @Test("it shuts down when the agent was away for too long, and not when it came back")
    func orphan() {
        var bench = Bench.subscribed()
        bench.launch("t")
        bench.give(.closed(Bench.peer))
        bench.pass(.seconds(899))
        bench.give(.opened(PeerID(2)))
        bench.pass(.seconds(10000))
        #expect(!bench.hasEnded)
        bench.give(.closed(PeerID(2)))
        bench.pass(.seconds(900))
        #expect(bench.notices.contains(.agentLost))
        bench.pass(.seconds(5))
        #expect(bench.hasEnded)
    }
}
