import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Keys of frameworks and agents")
struct KeyTests {
    private func refusals(_ stage: Stage) -> [ClaimedIdentity] {
        stage.effects.compactMap { effect in
            if case .observe(.identityRefused(let claimed, _)) = effect { claimed } else { nil }
        }
    }

    /// What the peer of the newest session was told before it was cut off.
    private func refusal(_ stage: Stage) throws -> String {
        let peer = try #require(stage.closed.max())
        for effect in stage.effects {
            if case .tellFramework(.error(let text), peer) = effect { return text }
            if case .tellAgent(.refused(let text), peer) = effect { return text }
        }
        return ""
    }

    @Test("a framework id belongs to the key that made it", arguments: ["other", nil])
    func framework(key: String?) throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"), key: "own")
        let own = stage.frameworkPeers[id]
        stage.forget()
        #expect(stage.subscribe(Stage.info("a", id: id), key: key) == "not subscribed")
        #expect(refusals(stage) == [.framework(id)])
        let text = try refusal(stage)
        #expect(text.contains("'\(id)'") && text.contains("another key"))
        #expect(text.contains("subscribe without an id"))
        // The owner has noticed nothing.
        #expect(stage.master.frameworks[id]?.peer == own)
        #expect(!stage.closed.contains(try #require(own)))
        stage.forget()
        #expect(stage.subscribe(Stage.info("a", id: id), key: "own") == id)
        #expect(refusals(stage).isEmpty)
    }

    @Test("a framework's key outlives the master and every change of the framework")
    func frameworkAfterRestart() throws {
        var old = Stage()
        let id = old.subscribe(Stage.info("a"), key: "own")
        var renamed = Stage.info("b", id: id)
        renamed.failoverTimeout = .seconds(90)
        old.call(.updateFramework(Subscription(framework: renamed)), by: id)
        #expect(old.ledger.frameworks[id]?.publicKey == "own")
        old.disconnect(id)
        #expect(old.ledger.frameworks[id]?.publicKey == "own")
        var stage = old.restarted()
        #expect(stage.subscribe(Stage.info("b", id: id), key: "other") == "not subscribed")
        #expect(stage.subscribe(Stage.info("b", id: id), key: "own") == id)
        stage.call(.teardown, by: id)
        #expect(stage.ledger.frameworks[id]?.publicKey == "own")
    }

    @Test("that a framework has ended is told to its own key only")
    func removedFramework() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"), key: "own")
        stage.call(.teardown, by: id)
        stage.subscribe(Stage.info("a", id: id), key: "other")
        #expect(try refusal(stage).contains("another key"))
        stage.subscribe(Stage.info("a", id: id), key: "own")
        #expect(try refusal(stage) == "Framework has been removed")
    }

    @Test("a framework without a key is bound to the first key that uses its id")
    func unboundFramework() {
        var old = Stage()
        let id = old.subscribe(Stage.info("a"))
        #expect(old.ledger.frameworks[id]?.publicKey == nil)
        var stage = old.restarted()
        #expect(stage.subscribe(Stage.info("a", id: id), key: "first") == id)
        #expect(stage.ledger.frameworks[id]?.publicKey == "first")
        #expect(stage.subscribe(Stage.info("a", id: id), key: "second") == "not subscribed")
    }

    @Test("peers that prove nothing share the ids that no key has made")
    func withoutKeys() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        #expect(stage.subscribe(Stage.info("a", id: id)) == id)
        #expect(refusals(stage).isEmpty)
    }

    @Test("an agent id belongs to the key that made it", arguments: ["other", nil])
    func agent(key: String?) throws {
        var stage = Stage()
        let id = stage.addAgent(key: "own")
        let own = stage.agentPeers[id]
        stage.forget()
        stage.comeBack(id, key: key)
        #expect(refusals(stage) == [.agent(id)])
        let text = try refusal(stage)
        #expect(text.contains("'\(id)'") && text.contains("another key"))
        #expect(text.contains("new data directory"))
        #expect(stage.master.agents[id]?.peer == own)
        stage.forget()
        stage.comeBack(id, key: "own")
        #expect(refusals(stage).isEmpty)
        #expect(stage.master.agents[id]?.peer == stage.agentPeers[id])
    }

    @Test("an agent's key outlives the master, and agents without one are bound at their return")
    func agentAfterRestart() {
        var old = Stage()
        let bound = old.addAgent(host: "n1", key: "own")
        let free = old.addAgent(host: "n2")
        #expect(old.ledger.agents[bound]?.publicKey == "own")
        #expect(old.ledger.agents[free]?.publicKey == nil)
        var stage = old.restarted()
        stage.comeBack(bound, key: "other")
        stage.comeBack(free, key: "first")
        #expect(refusals(stage) == [.agent(bound)])
        #expect(stage.ledger.agents[free]?.publicKey == "first")
        stage.pass(.seconds(601))
        #expect(stage.ledger.agents[bound]?.publicKey == "own")
        stage.comeBack(bound, key: "own")
        #expect(stage.master.agents[bound]?.state == .active)
    }

    @Test("an agent that has become unreachable keeps its key")
    func unreachableAgent() {
        var stage = Stage()
        let id = stage.addAgent(key: "own")
        stage.disconnect(agent: id)
        stage.pass(.seconds(601))
        #expect(stage.master.agents[id]?.state == .unreachable)
        stage.comeBack(id, key: "other")
        #expect(refusals(stage) == [.agent(id)])
        #expect(stage.master.agents[id]?.state == .unreachable)
    }

    @Test("a key is forgotten with its session")
    func sessionEnds() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"), key: "own")
        #expect(stage.master.peerKeys.count == 1)
        stage.disconnect(id)
        #expect(stage.master.peerKeys.isEmpty)
    }

    private static let first = String(repeating: "a", count: 40)
    private static let second = String(repeating: "b", count: 40)

    @Test("an operator gives a framework's id to another key; the old one is cut off")
    func rebindFramework() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", failover: .zero), key: Self.first)
        let old = try #require(stage.frameworkPeers[id])
        #expect(
            try stage.ask(.rebindFramework(id, publicKey: "short"))
                == .refused("a public key has 40 characters; this one has 5"))
        #expect(try stage.ask(.rebindFramework(id, publicKey: Self.second)) == .done)
        #expect(stage.closed.contains(old))
        #expect(stage.ledger.frameworks[id]?.publicKey == Self.second)
        // Even without a failover time-out it has a heartbeat's time to come back.
        stage.pass(.seconds(10))
        #expect(
            stage.subscribe(Stage.info("a", failover: .zero, id: id), key: Self.first)
                == "not subscribed")
        #expect(
            stage.subscribe(Stage.info("a", failover: .zero, id: id), key: Self.second) == id)
    }

    @Test("an operator gives an agent's id to another key, or to the first that uses it")
    func rebindAgent() throws {
        var stage = Stage()
        let agent = stage.addAgent(key: Self.first)
        let old = try #require(stage.agentPeers[agent])
        #expect(try stage.ask(.rebindAgent(agent, publicKey: nil)) == .done)
        #expect(stage.closed.contains(old))
        #expect(stage.master.agents[agent]?.state == .disconnected)
        stage.comeBack(agent, key: Self.second)
        #expect(stage.master.agents[agent]?.state == .active)
        #expect(stage.ledger.agents[agent]?.publicKey == Self.second)
        #expect(
            try stage.ask(.rebindAgent("x", publicKey: nil)) == .notFound("there is no agent 'x'"))
    }
}
