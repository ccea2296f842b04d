import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Maintenance of machines")
struct MaintenanceTests {
    private static let away = Unavailability(
        start: WallTime(nanosecondsSince1970: 1_800_000_000_000_000_000),
        duration: .seconds(3600))

    private static func window(_ hosts: String...) -> MaintenanceWindow {
        MaintenanceWindow(
            machines: hosts.map { MachineID(hostname: $0) }, unavailability: away)
    }

    private func running() throws -> (Stage, FrameworkID, AgentID) {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent(host: "node-1")
        try stage.launch("t", by: id, refuse: .zero)
        stage.report("t", .running, of: id, on: agent)
        stage.forget()
        return (stage, id, agent)
    }

    private func requests(_ stage: Stage, _ id: FrameworkID) -> [InverseOffer] {
        stage.events(id).flatMap { event -> [InverseOffer] in
            if case .inverseOffers(let list) = event { list } else { [] }
        }
    }

    @Test("a plan is told with every offer, and who is there is asked to leave")
    func plan() throws {
        var (stage, id, agent) = try running()
        let before = try stage.offer(id)
        #expect(
            try stage.ask(.setMaintenanceSchedule([Self.window("NODE-1")])) == .done)
        #expect(stage.rescinded(id) == [before.id])
        #expect(try stage.offer(id).unavailability == Self.away)
        let asked = requests(stage, id)
        #expect(asked.map(\.agentID) == [agent])
        #expect(asked.map(\.unavailability) == [Self.away])
        #expect(asked.allSatisfy { $0.tasks.isEmpty && $0.resources.isEmpty })
        #expect(
            try stage.ask(.maintenanceSchedule) == .maintenanceSchedule([Self.window("NODE-1")]))
    }

    @Test("an answer binds nobody and is shown; whoever has left is not asked any more")
    func answers() throws {
        var (stage, id, agent) = try running()
        _ = try stage.ask(.setMaintenanceSchedule([Self.window("node-1")]))
        let request = try #require(requests(stage, id).first)
        stage.call(.acceptInverseOffers([request.id], filters: nil), by: id)
        guard case .maintenanceStatus(let status) = try stage.ask(.maintenanceStatus) else {
            Issue.record("no status")
            return
        }
        #expect(status.draining.map(\.id.hostname) == ["node-1"])
        guard case .accepted? = status.draining.first?.requests.first?.response else {
            Issue.record("the answer is not shown")
            return
        }
        let uuid = stage.report("t", .finished, of: id, on: agent)
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(
            stage.events(id).contains { event in
                if case .rescindInverseOffer(request.id) = event { true } else { false }
            })
        #expect(stage.master.inverseOffers.isEmpty)
    }

    @Test("who launches on a machine that is planned to be away is asked to leave it")
    func lateLaunch() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.addAgent(host: "node-1")
        _ = try stage.ask(.setMaintenanceSchedule([Self.window("node-1")]))
        stage.forget()
        try stage.launch("t", by: id)
        #expect(requests(stage, id).count == 1)
    }

    @Test("a plan outlives the master, and a framework that subscribes anew is asked anew")
    func durable() throws {
        var (stage, id, agent) = try running()
        _ = try stage.ask(.setMaintenanceSchedule([Self.window("node-1")]))
        var next = stage.restarted()
        next.subscribe(Stage.info("a", id: id))
        next.comeBack(agent, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(requests(next, id).count == 1)
        #expect(try next.offer(id).unavailability == Self.away)
        next.subscribe(Stage.info("a", id: id))
        #expect(requests(next, id).count == 1)
    }

    @Test("a machine that goes down loses its agents and tasks, and none is let in until it is up")
    func down() throws {
        var (stage, id, agent) = try running()
        let machine = MachineID(hostname: "node-1")
        #expect(
            try stage.ask(.startMaintenance([machine]))
                == .refused(
                    "the machine 'node-1' is not in the plan; schedule its maintenance first"))
        _ = try stage.ask(.setMaintenanceSchedule([Self.window("node-1")]))
        #expect(try stage.ask(.startMaintenance([machine])) == .done)
        #expect(stage.updates(id).map(\.state) == [.lost])
        #expect(stage.updates(id).map(\.reason) == [.agentRemoved])
        #expect(stage.messages(agent).count == 1)
        #expect(stage.master.agents.isEmpty && stage.ledger.agents.isEmpty)
        #expect(
            try stage.ask(.setMaintenanceSchedule([]))
                == .refused(
                    "the machine 'node-1' is down and has to stay in the plan; take it up first"))
        var next = stage.restarted()
        next.addAgent(host: "node-1")
        #expect(next.master.agents.isEmpty)
        // One that has tasks is told to end them.
        var info = AgentInfo(hostname: "node-1", resources: Stage.small)
        info.id = agent
        next.comeBack(agent, info, tasks: [Stage.agentTask("t", id, on: agent, .running)])
        #expect(next.messages(agent).count == 1)
        #expect(next.master.agents.isEmpty)
        #expect(
            try next.ask(.maintenanceStatus)
                == .maintenanceStatus(MaintenanceStatus(down: [machine])))
        #expect(try next.ask(.stopMaintenance([machine])) == .done)
        #expect(try next.ask(.maintenanceSchedule) == .maintenanceSchedule([]))
        next.addAgent(host: "node-1")
        #expect(next.master.agents.count == 1)
    }

    @Test(
        "a plan that makes no sense is refused in words",
        arguments: [
            ([window("a"), window("A")], "planned twice"), ([window("")], "no host name"),
            (
                [
                    MaintenanceWindow(
                        machines: [MachineID(hostname: "a")],
                        unavailability: Unavailability(
                            start: WallTime(nanosecondsSince1970: 0), duration: .seconds(-1)))
                ], "less than no time"
            ),
        ])
    func refusals(windows: [MaintenanceWindow], word: String) throws {
        var stage = Stage()
        guard case .refused(let why) = try stage.ask(.setMaintenanceSchedule(windows)) else {
            Issue.record("it was taken")
            return
        }
        #expect(why.contains(word))
        #expect(stage.ledger.maintenance == nil)
    }
}
