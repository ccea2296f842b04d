import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Agents by order: deactivated, drained, gone")
struct DrainTests {
    private func running(
        _ info: FrameworkInfo = Stage.info("a"), policy: KillPolicy? = nil
    ) throws -> (Stage, FrameworkID, AgentID) {
        var stage = Stage()
        let id = stage.subscribe(info)
        let agent = stage.addAgent()
        let offer = try stage.offer(id)
        var task = Stage.task("t", agent)
        task.killPolicy = policy
        stage.accept(offer, [.launch([task])], refuse: .zero)
        stage.report("t", .running, of: id, on: agent)
        stage.forget()
        return (stage, id, agent)
    }

    private func kills(_ stage: Stage, _ agent: AgentID) -> [KillPolicy?] {
        stage.messages(agent).compactMap { message in
            if case .kill(_, let policy) = message { .some(policy) } else { nil }
        }
    }

    @Test("a deactivated agent is not offered, keeps its tasks, and stays so over a failover")
    func deactivate() throws {
        var (stage, id, agent) = try running()
        let held = try stage.offer(id)
        #expect(try stage.ask(.deactivateAgent(agent)) == .done)
        #expect(stage.rescinded(id) == [held.id])
        #expect(stage.updates(id) == [] && stage.messages(agent) == [])
        #expect(stage.master.agents[agent]?.state == .deactivated)
        var next = stage.restarted()
        next.subscribe(Stage.info("a", id: id))
        next.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(next.master.agents[agent]?.state == .deactivated)
        #expect(next.offers[id] == [])
        #expect(try next.ask(.reactivateAgent(agent)) == .done)
        next.pass(.seconds(1))
        #expect(try next.offer(id).resources.cpus == Milli(3))
    }

    @Test("a drain kills every task, says why, and ends with the last acknowledgement")
    func drain() throws {
        var (stage, id, agent) = try running()
        #expect(
            try stage.ask(.drainAgent(agent, maxGrace: nil, marksGone: false)) == .done)
        #expect(kills(stage, agent) == [nil])
        #expect(stage.offers[id] == [])
        stage.pass(.seconds(6))
        #expect(kills(stage, agent).count == 2)
        stage.forget()
        let uuid = stage.report("t", .killed, of: id, on: agent)
        #expect(stage.updates(id).map(\.state) == [.killed])
        #expect(stage.updates(id).map(\.reason) == [.agentDraining])
        #expect(stage.ledger.agents[agent]?.drain?.isDrained == false)
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(stage.ledger.agents[agent]?.drain?.isDrained == true)
        #expect(stage.master.agents[agent]?.state == .deactivated)
        #expect(try stage.ask(.reactivateAgent(agent)) == .done)
        stage.pass(.seconds(1))
        #expect(try stage.offer(id).resources.cpus == Milli(4))
    }

    @Test("the grace of a drain only shortens a task's own")
    func grace() throws {
        let cases: [(own: Duration?, most: Duration, wanted: Duration)] = [
            (nil, .seconds(1), .seconds(1)), (nil, .seconds(10), .seconds(3)),
            (.seconds(60), .seconds(10), .seconds(10)), (.seconds(2), .seconds(10), .seconds(2)),
            (.seconds(60), .zero, .zero),
        ]
        for (own, most, wanted) in cases {
            var (stage, _, agent) = try running(
                policy: own.map { KillPolicy(gracePeriod: $0) })
            _ = try stage.ask(.drainAgent(agent, maxGrace: most, marksGone: false))
            #expect(kills(stage, agent) == [KillPolicy(gracePeriod: wanted)])
        }
    }

    @Test("an agent that is away is drained when it is back, also by another master")
    func drainAway() throws {
        var (stage, id, agent) = try running()
        stage.disconnect(agent: agent)
        _ = try stage.ask(.drainAgent(agent, maxGrace: nil, marksGone: false))
        var next = stage.restarted()
        next.subscribe(Stage.info("a", id: id))
        next.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(kills(next, agent) == [nil])
        next.forget()
        next.comeBack(
            agent,
            tasks: [
                Stage.agentTask(
                    "t", id, on: agent, .killed,
                    last: TaskStatus(
                        taskID: "t", state: .killed, uuid: UpdateID(high: 9, low: 9)))
            ])
        next.call(.reconcile([]), by: id)
        #expect(next.updates(id).last?.state == .killed)
        next.acknowledge("t", UpdateID(high: 9, low: 9), of: id, on: agent)
        #expect(next.ledger.agents[agent]?.drain?.isDrained == true)
    }

    @Test("an agent that was drained when its master died, and not gone yet, is gone with the next")
    func drainToGoneWithTheNext() throws {
        var (stage, id, agent) = try running()
        _ = try stage.ask(.drainAgent(agent, maxGrace: nil, marksGone: true))
        stage.report("t", .killed, of: id, on: agent)
        // The first of two records has been kept.
        var entry = try #require(stage.ledger.agents[agent])
        entry.drain?.isDrained = true
        stage.ledger.keep(.agent(agent, entry))
        var next = stage.restarted()
        next.subscribe(Stage.info("a", id: id))
        next.comeBack(agent)
        #expect(next.master.agents[agent]?.state == .gone)
    }

    @Test("an agent that is not on the whitelist stays away when it is taken into use again")
    func reactivateUnlisted() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent(host: "n1")
        #expect(try stage.ask(.setWhitelist(["n2"])) == .done)
        #expect(try stage.ask(.deactivateAgent(agent)) == .done)
        #expect(try stage.ask(.reactivateAgent(agent)) == .done)
        stage.pass(.seconds(1))
        #expect(stage.offers[id] == [])
        #expect(try stage.ask(.setWhitelist(["n1"])) == .done)
        #expect(stage.offers[id]?.count == 1)
    }

    @Test("a drain that marks gone ends tasks as GONE_BY_OPERATOR and then the agent")
    func drainToGone() throws {
        var (stage, id, agent) = try running()
        _ = try stage.ask(.drainAgent(agent, maxGrace: nil, marksGone: true))
        let uuid = stage.report("t", .killed, of: id, on: agent)
        #expect(stage.updates(id).last?.state == .goneByOperator)
        #expect(stage.updates(id).last?.uuid == uuid)
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(stage.master.agents[agent]?.state == .gone)
        guard case .shutdown? = stage.messages(agent).last else {
            Issue.record("the agent was not told to end")
            return
        }
    }

    @Test("an empty agent is drained at once; an order twice is one order")
    func drainEmpty() throws {
        var stage = Stage()
        let agent = stage.addAgent()
        _ = try stage.ask(.drainAgent(agent, maxGrace: nil, marksGone: false))
        #expect(stage.ledger.agents[agent]?.drain?.isDrained == true)
        #expect(
            try stage.ask(.drainAgent(agent, maxGrace: .seconds(-1), marksGone: false))
                == .refused("the longest grace may not be negative"))
    }

    @Test("14: a gone agent loses its tasks, is told to end, and is never let in again")
    func gone() throws {
        var (stage, id, agent) = try running()
        #expect(try stage.ask(.markAgentGone(agent)) == .done)
        #expect(stage.updates(id).map(\.state) == [.goneByOperator])
        #expect(stage.updates(id).map(\.reason) == [.agentRemovedByOperator])
        #expect(stage.messages(agent).count == 1)
        var next = stage.restarted()
        next.subscribe(Stage.info("a", id: id))
        next.forget()
        next.call(.reconcile([ReconcileTask(taskID: "t", agentID: agent)]), by: id)
        #expect(next.updates(id).map(\.state) == [.goneByOperator])
        next.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        guard case .shutdown? = next.messages(agent).last else {
            Issue.record("the agent was not told to end")
            return
        }
        #expect(next.master.agents[agent]?.state == .gone)
        #expect(next.master.tasks.isEmpty)
        for order in [
            OperatorCall.deactivateAgent(agent), .reactivateAgent(agent),
            .drainAgent(agent, maxGrace: nil, marksGone: false),
        ] {
            #expect(
                try next.ask(order) == .refused("the agent '\(agent)' was declared gone"))
        }
        #expect(try next.ask(.markAgentGone("x")) == .notFound("there is no agent 'x'"))
    }

    @Test("of an unreachable agent that is declared gone the tasks are gone")
    func goneWhileUnreachable() throws {
        var (stage, id, agent) = try running()
        stage.silent = [agent]
        stage.pass(.seconds(80))
        #expect(stage.updates(id).map(\.state) == [.unreachable])
        stage.forget()
        #expect(try stage.ask(.markAgentGone(agent)) == .done)
        #expect(stage.updates(id).map(\.state) == [.goneByOperator])
        #expect(stage.master.tasks.isEmpty)
    }

    @Test("without partition awareness a task of a gone agent is LOST")
    func goneUnaware() throws {
        var (stage, id, agent) = try running(Stage.info("a", isAware: false))
        _ = try stage.ask(.markAgentGone(agent))
        #expect(stage.updates(id).map(\.state) == [.lost])
    }
}
