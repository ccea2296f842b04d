import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Lost agents: removal, its limits, and what is forgotten")
struct RemovalTests {
    private func stage(
        agents count: Int, _ change: (inout MasterConfiguration) -> Void = { _ in }
    ) -> (Stage, [AgentID]) {
        var configuration = MasterConfiguration()
        change(&configuration)
        var stage = Stage(configuration)
        let ids = (0..<count).map { stage.addAgent(host: "node-\($0)") }
        stage.forget()
        return (stage, ids)
    }

    private func states(_ stage: Stage, _ ids: [AgentID]) -> [AgentState?] {
        ids.map { stage.master.agents[$0]?.state }
    }

    @Test("16: with a limit of one in ten minutes three silent agents go one by one")
    func rateLimit() {
        var (stage, ids) = stage(agents: 3) {
            $0.agentRemovalRateLimit = RateLimit(count: 1, span: .seconds(600))
            $0.agentLossThreshold = nil
        }
        stage.silent = Set(ids)
        stage.pass(.seconds(80))
        #expect(states(stage, ids) == [.unreachable, .active, .active])
        stage.pass(.seconds(590))
        #expect(states(stage, ids) == [.unreachable, .active, .active])
        stage.pass(.seconds(15))
        #expect(states(stage, ids) == [.unreachable, .unreachable, .active])
        stage.pass(.seconds(600))
        #expect(states(stage, ids) == [.unreachable, .unreachable, .unreachable])
    }

    @Test("16: an agent that answers before its turn stays, and is pinged until then")
    func lateAnswer() {
        var (stage, ids) = stage(agents: 3) {
            $0.agentRemovalRateLimit = RateLimit(count: 1, span: .seconds(600))
            $0.agentLossThreshold = nil
        }
        stage.silent = Set(ids)
        stage.pass(.seconds(80))
        stage.silent = [ids[0]]
        stage.pass(.seconds(1300))
        #expect(states(stage, ids) == [.unreachable, .active, .active])
        #expect(
            stage.effects.contains { effect in
                if case .observe(.removalCancelled(ids[1])) = effect { true } else { false }
            })
    }

    @Test("when most agents are missing they are removed slowly, the rest as usual")
    func massLoss() {
        var (stage, ids) = stage(agents: 10)
        stage.silent = Set(ids.prefix(6))
        stage.pass(.seconds(100))
        #expect(stage.master.agents.values.count { $0.state == .unreachable } == 0)
        // The first one after the pause, then five of nine are missing still.
        stage.pass(.seconds(120))
        #expect(stage.master.agents.values.count { $0.state == .unreachable } == 1)
        // With four of eight it is not most of them any more; who comes back still has its time.
        stage.pass(.seconds(120))
        #expect(stage.master.agents.values.count { $0.state == .unreachable } == 2)
        #expect(stage.master.slowSince == nil)
        stage.pass(.seconds(75))
        #expect(stage.master.agents.values.count { $0.state == .unreachable } == 6)
    }

    @Test("a master that was cut off from every agent removes none when they are back in time")
    func cutOff() throws {
        var (stage, ids) = stage(agents: 5)
        let id = stage.subscribe(Stage.info("a"))
        for offer in stage.offers[id] ?? [] {
            stage.accept(offer, [.launch([Stage.task(TaskID(offer.hostname), offer.agentID)])])
        }
        for (number, agent) in ids.enumerated() {
            stage.report(TaskID("node-\(number)"), .running, of: id, on: agent)
        }
        stage.forget()
        for agent in ids { stage.disconnect(agent: agent) }
        stage.pass(.seconds(150))
        for (number, agent) in ids.enumerated() {
            let task = Stage.agentTask(TaskID("node-\(number)"), id, on: agent, .running)
            stage.comeBack(agent, tasks: [task])
        }
        #expect(states(stage, ids).allSatisfy { $0 == .active })
        #expect(stage.updates(id) == [])
        #expect(stage.master.slowSince == nil)
    }

    @Test("of two agents in a small cluster both may be lost at once")
    func fewAgents() {
        var (stage, ids) = stage(agents: 2)
        stage.silent = Set(ids)
        stage.pass(.seconds(91))
        #expect(states(stage, ids) == [.unreachable, .unreachable])
    }

    @Test("after a failover, agents that do not come back are removed slowly when they are most")
    func afterFailover() {
        let (old, ids) = stage(agents: 8)
        var stage = old.restarted()
        for agent in ids.prefix(2) { stage.comeBack(agent) }
        stage.pass(.seconds(601))
        #expect(stage.master.agents.values.count { $0.state == .unreachable } == 0)
        stage.pass(.seconds(120))
        #expect(stage.master.agents.values.count { $0.state == .unreachable } == 1)
    }

    @Test("a lost agent is forgotten after its time, with tasks that were never heard of again")
    func age() throws {
        var (stage, ids) = stage(agents: 1) {
            $0.registryMaxAgentAge = .seconds(7200)
            $0.registryGCInterval = .seconds(600)
        }
        let id = stage.subscribe(Stage.info("a"))
        try stage.launch("t", by: id)
        stage.report("t", .running, of: id, on: ids[0])
        stage.silent = Set(ids)
        stage.pass(.seconds(7200))
        #expect(states(stage, ids) == [.unreachable])
        stage.pass(.seconds(800))
        #expect(stage.master.agents.isEmpty && stage.ledger.agents.isEmpty)
        #expect(stage.master.tasks.isEmpty)
        stage.forget()
        stage.call(.reconcile([ReconcileTask(taskID: "t", agentID: ids[0])]), by: id)
        #expect(stage.updates(id).map(\.state) == [.unknown])
    }

    @Test("no more than so many lost agents are kept, the newest, also over a restart")
    func number() throws {
        var (stage, ids) = stage(agents: 6) {
            $0.registryMaxAgentCount = 2
            $0.agentLossThreshold = nil
        }
        for agent in ids.prefix(4) {
            #expect(try stage.ask(.markAgentGone(agent)) == .done)
            stage.pass(.seconds(1))
        }
        var next = stage.restarted()
        for agent in ids[4...] { next.comeBack(agent) }
        next.pass(.seconds(901))
        #expect(next.master.agents.keys.elementsEqual([ids[2], ids[3]] + ids[4...]))
        #expect(Set(next.ledger.agents.keys) == Set(ids[2...]))
        stage.pass(.seconds(901))
        #expect(Set(stage.ledger.agents.keys) == Set(ids[2...]))
    }

    @Test("an agent that comes back unchanged costs no write to the registry")
    func quietReturn() {
        let (old, ids) = stage(agents: 1)
        var stage = old.restarted()
        stage.comeBack(ids[0])
        let commits = stage.effects.count { effect in
            if case .commit = effect { true } else { false }
        }
        #expect(commits == 0)
        #expect(states(stage, ids) == [.active])
    }
}
