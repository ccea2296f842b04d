import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferExecutor

@Suite("An executor and its agent")
struct SubscriptionTests {
    @Test("a new session begins with every task and update that is not acknowledged, in order")
    func resubscribes() throws {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.launch(Stage.task("b"))
        let known = try #require(stage.updates.last)
        stage.tell(.acknowledged("b", uuid: try #require(known.uuid)))
        stage.send(.agentClosed(Stage.peer))
        stage.effects = []
        stage.exit("a", code: 0)
        #expect(stage.updates.isEmpty)
        stage.send(.agentOpened(PeerID(2)))
        let subscription = try #require(stage.subscriptions.last)
        #expect(subscription.tasks.map(\.id) == ["a"])
        #expect(subscription.updates.map(\.state) == [.running, .finished])
    }

    @Test("an update has the same name in every session, and is gone once acknowledged")
    func sameName() throws {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.exit("a", code: 0)
        let sent = stage.updates.map(\.uuid)
        stage.send(.agentOpened(PeerID(2)))
        #expect(stage.subscriptions.last?.updates.map(\.uuid) == sent)
        for uuid in sent {
            stage.tell(.acknowledged("a", uuid: try #require(uuid)), in: PeerID(2))
        }
        #expect(stage.effects.contains(.forget("a")))
        stage.send(.agentOpened(PeerID(3)))
        #expect(stage.subscriptions.last?.updates.isEmpty == true)
        #expect(stage.subscriptions.last?.tasks.isEmpty == true)
    }

    @Test("an old session is not listened to")
    func oldSession() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.send(.agentOpened(PeerID(2)))
        stage.tell(.kill("a", policy: nil), in: PeerID(1))
        #expect(stage.signals.isEmpty)
        stage.send(.agentClosed(PeerID(1)))
        stage.tell(.kill("a", policy: nil), in: PeerID(2))
        #expect(stage.signals == [15])
    }

    @Test("health that flaps while the agent is away does not pile up")
    func flaps() throws {
        let check = HealthCheck(
            kind: .tcp(port: 1), delay: .zero, interval: .seconds(1), gracePeriod: .zero)
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: check))
        stage.send(.agentClosed(Stage.peer))
        for round in 0..<200 {
            stage.pass(.seconds(1))
            let reference = try #require(stage.checks.last)
            stage.send(.checkFinished(reference, .tcp(succeeded: round.isMultiple(of: 2))))
        }
        stage.send(.agentOpened(PeerID(2)))
        #expect(stage.subscriptions.last?.updates.map(\.healthy) == [nil, false])
    }

    @Test("without an agent for too long, everything is killed and the executor ends")
    func agentLost() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.send(.agentClosed(Stage.peer))
        stage.pass(.seconds(899))
        #expect(stage.signals.isEmpty)
        stage.pass(.seconds(1))
        #expect(stage.signals == [15])
        stage.exit("a", signal: 15)
        stage.pass(.seconds(5))
        #expect(stage.hasExited)
    }

    @Test("an executor that never hears of an agent ends")
    func neverConnected() {
        var stage = Stage(isSubscribed: false)
        stage.pass(.seconds(900))
        #expect(stage.hasExited)
        #expect(stage.executor.nextDeadline == nil)
    }

    @Test("shutdown kills all tasks and ends when the last update is acknowledged")
    func shutdown() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.tell(.shutdown)
        #expect(stage.signals == [15])
        stage.exit("a", signal: 15)
        #expect(stage.states == [.running, .killing, .killed])
        #expect(!stage.hasExited)
        stage.acknowledgeAll()
        #expect(stage.hasExited)
    }

    @Test("shutdown ends after its grace, whatever still runs")
    func shutdownByForce() {
        var stage = Stage()
        stage.launch(Stage.task("a", killPolicy: KillPolicy(gracePeriod: .seconds(60))))
        stage.tell(.shutdown)
        stage.pass(.seconds(4))
        #expect(stage.signals == [15, 9])
        stage.pass(.seconds(1))
        #expect(stage.hasExited)
    }

    @Test("TERM to the executor is a shutdown; without tasks it ends at once")
    func terminate() {
        var stage = Stage()
        stage.send(.terminate)
        #expect(stage.hasExited)
    }

    @Test("a task launched while the executor ends is dropped")
    func launchWhileEnding() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.tell(.shutdown)
        stage.launch(Stage.task("b"), runs: false)
        #expect(stage.updates.last?.state == .dropped)
        #expect(stage.launches.count == 1)
    }
}
