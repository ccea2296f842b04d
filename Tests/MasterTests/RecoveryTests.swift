import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("A new master over an old registry")
struct RecoveryTests {
    private func before(
        _ info: FrameworkInfo = Stage.info("a")
    ) throws -> (Stage, FrameworkID, AgentID) {
        var stage = Stage()
        let id = stage.subscribe(info)
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        stage.report("t", .running, of: id, on: agent)
        return (stage, id, agent)
    }

    @Test("frameworks come back under their id, ids of two masters never meet")
    func ids() throws {
        let (old, id, agent) = try before()
        var stage = old.restarted()
        #expect(stage.subscribe(Stage.info("a", id: id)) == id)
        let other = stage.subscribe(Stage.info("b"))
        let newAgent = stage.addAgent()
        #expect(other != id && newAgent != agent)
        #expect(other.value.hasPrefix(stage.master.info.id))
        #expect(stage.master.info.id != old.master.info.id)
    }

    @Test("a task on an agent that is expected back is answered for, not passed over in silence")
    func recovering() throws {
        let (old, id, agent) = try before()
        var stage = old.restarted()
        stage.subscribe(Stage.info("a", id: id))
        stage.forget()
        stage.call(
            .reconcile([
                ReconcileTask(taskID: "t", agentID: agent), ReconcileTask(taskID: "t"),
            ]), by: id)
        #expect(stage.updates(id).map(\.isRecovering) == [true, true])
        stage.forget()
        stage.call(.reconcile([]), by: id)
        #expect(stage.updates(id).isEmpty)
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        stage.forget()
        stage.call(.reconcile([ReconcileTask(taskID: "t")]), by: id)
        #expect(stage.updates(id).map(\.state) == [.running])
    }

    @Test("an agent that begins anew takes the place of what was kept of it")
    func anew() {
        var old = Stage()
        let first = old.addAgent(key: "own")
        var stage = old.restarted()
        let second = stage.addAgent(key: "own")
        #expect(second != first)
        #expect(stage.master.agents[first] == nil)
        #expect(stage.ledger.agents[first] == nil && stage.ledger.agents[second] != nil)
        stage.pass(.seconds(601))
        #expect(stage.master.agents[second]?.state == .active)
    }

    @Test(
        "an agent with another key, another host or no key takes nobody's place",
        arguments: [("other", "node"), ("own", "far"), (nil, "node")])
    func others(key: String?, host: String) {
        var old = Stage()
        let first = old.addAgent(key: key == nil ? nil : "own")
        var stage = old.restarted()
        stage.addAgent(host: host, key: key)
        #expect(stage.master.agents[first]?.state == .recovered)
    }

    @Test("an agent that does not come back in time is unreachable")
    func lateAgent() throws {
        let (old, id, agent) = try before()
        var stage = old.restarted()
        stage.subscribe(Stage.info("a", id: id))
        stage.pass(.seconds(601))
        stage.forget()
        stage.call(.reconcile([ReconcileTask(taskID: "t", agentID: agent)]), by: id)
        #expect(stage.updates(id).map(\.state) == [.unreachable])
        #expect(stage.updates(id).first?.unreachableTime != nil)
        // It may still return.
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(stage.updates(id).last?.reason == .agentReregistered)
    }

    @Test("what a framework's tasks hold counts for its share before it has subscribed again")
    func share() throws {
        let (old, id, agent) = try before()
        var stage = old.restarted()
        stage.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(stage.master.allocator.shareMillionths(framework: id) == 250_000)
        stage.subscribe(Stage.info("a", id: id))
        #expect(try stage.offer(id).resources.cpus == Milli(3))
    }

    @Test("a framework that was connected has its whole time-out from the start of the master")
    func failoverOfConnected() throws {
        let (old, id, _) = try before()
        var stage = old.restarted()
        stage.pass(.seconds(59))
        #expect(stage.master.frameworks[id] != nil)
        stage.pass(.seconds(2))
        #expect(stage.master.removedFrameworks[id] != nil)
    }

    @Test("one whose time ran out without a master still gets a heartbeat's time")
    func failoverOfDisconnected() throws {
        var (old, id, _) = try before()
        old.disconnect(id)
        old.now = old.now + .seconds(3600)
        var stage = old.restarted()
        stage.pass(.seconds(14))
        #expect(stage.master.frameworks[id] != nil)
        stage.pass(.seconds(2))
        #expect(stage.master.frameworks[id] == nil)
    }

    @Test("an ended framework stays ended")
    func ended() throws {
        var (old, id, _) = try before()
        old.call(.teardown, by: id)
        var stage = old.restarted()
        stage.subscribe(Stage.info("a", id: id))
        #expect(stage.problems == ["Framework has been removed"])
    }

    @Test("weights, reservations and unreachable agents are remembered")
    func durable() throws {
        var (old, id, agent) = try before()
        #expect(try old.ask(.setWeight(role: "r", thousandths: 2500)) == .done)
        old.silent = [agent]
        old.pass(.seconds(76))
        var stage = old.restarted()
        #expect(stage.master.agents[agent]?.state == .unreachable)
        guard case .roles(let roles) = try stage.ask(.roles) else { return }
        #expect(roles.first { $0.name == "r" }?.weightThousandths == 2500)
        _ = id
    }

    @Test("a framework that only an agent knows is taken in, and has to return in its time")
    func learnedFromAgent() throws {
        let (old, id, agent) = try before()
        // A registry that has lost the framework.
        var stage = Stage(
            replaying: old.ledger.records.filter { record in
                if case .framework = record { false } else { true }
            })
        var info = try #require(old.master.agents[agent]?.info)
        info.id = agent
        stage.comeBack(
            agent, info, tasks: [Stage.agentTask("t", id, on: agent, .running)],
            frameworks: [Stage.info("a", id: id)])
        #expect(stage.master.tasks.count == 1)
        #expect(stage.ledger.frameworks[id] != nil)
        stage.pass(.seconds(61))
        #expect(stage.messages(agent).last == .shutdownFramework(id))
        #expect(stage.master.tasks.isEmpty)
    }

    @Test("the same inputs give the same effects")
    func deterministic() throws {
        let (first, _, _) = try before()
        let (second, _, _) = try before()
        #expect(first.effects.map { "\($0)" } == second.effects.map { "\($0)" })
    }
}
