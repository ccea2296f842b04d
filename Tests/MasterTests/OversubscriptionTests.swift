import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Resources that can be taken back")
struct OversubscriptionTests {
    private static func revocable(_ cpus: Int) -> Resources {
        Resources([Resource("cpus", .scalar(Milli(cpus)), isRevocable: true)])
    }

    private static func info(_ name: String, takes: Bool = true) -> FrameworkInfo {
        var info = Stage.info(name)
        if takes { info.capabilities.insert(.revocableResources) }
        return info
    }

    /// A framework with a task on all that is guaranteed, so that what is revocable stands alone.
    private func full(takes: Bool = true) throws -> (Stage, AgentID, FrameworkID) {
        var stage = Stage()
        let agent = stage.addAgent()
        let id = stage.subscribe(Self.info("f", takes: takes))
        try stage.launch(
            "all", by: id, Resources(cpus: Milli(4), mem: Milli(4096)), refuse: .zero)
        stage.forget()
        return (stage, agent, id)
    }

    @Test("what an agent does not use is offered to frameworks that can give it back, to no other")
    func capability() throws {
        var (stage, agent, id) = try full()
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        #expect(try stage.offer(id).resources == Self.revocable(2))
        guard case .agents(let shown) = try stage.ask(.agents) else {
            Issue.record("no agents")
            return
        }
        #expect(shown.first?.oversubscribed == Self.revocable(2))
        #expect(shown.first?.total == Resources(cpus: Milli(4), mem: Milli(4096)))

        (stage, agent, id) = try full(takes: false)
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        #expect(stage.offers[id] == [])
    }

    @Test("a task may hold it, and is counted apart from what is guaranteed")
    func launch() throws {
        var (stage, agent, id) = try full()
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        try stage.launch("spare", by: id, Self.revocable(1), refuse: .zero)
        #expect(stage.runs(agent) == [["spare"]])
        #expect(try stage.offer(id).resources == Self.revocable(1))
        guard case .summary(let summary) = try stage.ask(.summary) else {
            Issue.record("no summary")
            return
        }
        #expect(summary.total.cpus == Milli(4))
        #expect(summary.oversubscribed == Self.revocable(2))
        #expect(summary.allocated.nonRevocable.cpus == Milli(4))
        #expect(summary.allocated.revocable == Self.revocable(1))
    }

    @Test("when there is less of it, offers of it end, and what tasks hold counts first")
    func less() throws {
        var (stage, agent, id) = try full()
        stage.tell(.oversubscribed(Self.revocable(3)), by: agent)
        try stage.launch("spare", by: id, Self.revocable(1), refuse: .zero)
        let offer = try stage.offer(id)
        stage.forget()
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        #expect(stage.rescinded(id) == [offer.id])
        #expect(try stage.offer(id).resources == Self.revocable(1))
        stage.tell(.oversubscribed(Resources()), by: agent)
        #expect(stage.offers[id] == [])
        #expect(stage.messages(agent).isEmpty)
        // The agent kills it; then there is nothing left to be offered.
        stage.report("spare", .gone, of: id, on: agent)
        #expect(stage.offers[id] == [])
        stage.tell(.oversubscribed(Self.revocable(1)), by: agent)
        #expect(try stage.offer(id).resources == Self.revocable(1))
    }

    @Test("more of it ends no offer")
    func more() throws {
        var (stage, agent, id) = try full()
        stage.tell(.oversubscribed(Self.revocable(1)), by: agent)
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        #expect(stage.rescinded(id).isEmpty)
        #expect(stage.offers[id]?.map(\.resources) == [Self.revocable(1), Self.revocable(1)])
    }

    @Test(
        "what is no plain amount, or is guaranteed, is not believed",
        arguments: [
            Resources(cpus: Milli(1)),
            Resources([Resource("ports", .ranges(IntervalSet([1...2])), isRevocable: true)]),
            Resources([Resource("cpus", .scalar(Milli(-1)), isRevocable: true)]),
            Resources([
                Resource(
                    "cpus", .scalar(Milli(1)),
                    reservations: [Reservation(kind: .static, role: "r")],
                    isRevocable: true)
            ]),
        ])
    func nonsense(resources: Resources) throws {
        var (stage, agent, id) = try full()
        stage.tell(.oversubscribed(resources), by: agent)
        #expect(stage.problems.count == 1)
        #expect(stage.offers[id] == [])
        #expect(stage.master.agents[agent]?.oversubscribed.isEmpty == true)
    }

    @Test("a new master knows of none until the agent says so, and learns of tasks that hold it")
    func failover() throws {
        var (stage, agent, id) = try full()
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        stage = stage.restarted()
        var info = Self.info("f")
        info.id = id
        var task = Stage.agentTask("spare", id, on: agent, .running)
        task.info.resources = Self.revocable(1)
        let own = AgentInfo(
            hostname: "node", resources: Resources(cpus: Milli(4), mem: Milli(4096)), id: agent)
        stage.comeBack(agent, own, tasks: [task], frameworks: [info])
        #expect(stage.master.agents[agent]?.oversubscribed.isEmpty == true)
        stage.subscribe(info)
        #expect(try stage.offer(id).resources.revocable.isEmpty)
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        let offered = stage.offers[id]?.reduce(into: Resources()) { $0 += $1.resources }
        #expect(offered?.revocable == Self.revocable(1))
    }

    @Test("what an agent offered beyond its resources is void until it says so in its new session")
    func newSession() throws {
        var (stage, agent, id) = try full()
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        let own = try #require(stage.master.agents[agent]?.info)
        stage.comeBack(agent, own)
        // This one was started again without.
        #expect(stage.master.agents[agent]?.oversubscribed.isEmpty == true)
        stage.pass(.seconds(10))
        let offered = stage.offers[id]?.reduce(into: Resources()) { $0 += $1.resources }
        #expect(offered?.revocable.isEmpty == true)
    }

    @Test("a framework that does not know TASK_GONE hears of a task that was taken back as lost")
    func classic() throws {
        var stage = Stage()
        let agent = stage.addAgent()
        var info = Stage.info("old", isAware: false)
        info.capabilities.insert(.revocableResources)
        let id = stage.subscribe(info)
        stage.tell(.oversubscribed(Self.revocable(2)), by: agent)
        let offer = try #require(
            stage.offers[id]?.first { !$0.resources.revocable.isEmpty })
        stage.accept(
            offer, [.launch([Stage.task("spare", agent, Self.revocable(1))])], refuse: .zero)
        stage.report("spare", .gone, of: id, on: agent)
        #expect(stage.updates(id).map(\.state) == [.lost])
    }
}
