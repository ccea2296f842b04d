import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Reservations of operators")
struct ReservationTests {
    private func reserved(_ cpus: Int, _ roles: String..., principal: String? = nil) -> Resources {
        Resources([
            Resource(
                "cpus", .scalar(Milli(cpus)),
                reservations: roles.map { Reservation(role: $0, principal: principal) })
        ])
    }

    private func total(_ stage: Stage, _ agent: AgentID) -> Resources {
        stage.master.agents[agent]?.info.resources ?? Resources()
    }

    @Test("what nobody uses is reserved: durable, told to the agent, and offered to the role alone")
    func reserve() throws {
        var stage = Stage()
        let other = stage.subscribe(Stage.info("other"))
        let agent = stage.addAgent()
        let before = try stage.offer(other)
        let answer = try stage.ask(.reserve(agent, reserved(3, "web"), source: Resources()))
        #expect(answer == .done)
        let after = Resources(cpus: Milli(1), mem: Milli(4096)) + reserved(3, "web")
        #expect(total(stage, agent) == after)
        #expect(stage.ledger.agents[agent]?.info.resources == after)
        #expect(stage.messages(agent) == [.updateResources(after)])
        #expect(stage.rescinded(other) == [before.id])
        #expect(stage.offers[other]?.map(\.resources.cpus) == [Milli(1)])
        let web = stage.subscribe(Stage.info("web", roles: ["web"]))
        #expect(stage.offers[web]?.map(\.resources) == [reserved(3, "web")])
    }

    @Test("what is reserved can be reserved anew, and unreserved")
    func again() throws {
        var stage = Stage()
        let agent = stage.addAgent()
        #expect(
            try stage.ask(.reserve(agent, reserved(3, "web"), source: Resources())) == .done)
        #expect(
            try stage.ask(
                .reserve(
                    agent, reserved(2, "batch", principal: "p"), source: reserved(2, "web")))
                == .done)
        let plain = Resources(cpus: Milli(1), mem: Milli(4096))
        #expect(
            total(stage, agent)
                == plain + reserved(1, "web") + reserved(2, "batch", principal: "p"))
        #expect(
            try stage.ask(
                .reserve(agent, reserved(1, "web", "web/api"), source: Resources())) == .done)
        #expect(try stage.ask(.unreserve(agent, reserved(1, "web", "web/api"))) == .done)
        #expect(try stage.ask(.unreserve(agent, reserved(1, "web"))) == .done)
        #expect(
            try stage.ask(.unreserve(agent, reserved(2, "batch", principal: "p"))) == .done)
        #expect(total(stage, agent) == Resources(cpus: Milli(4), mem: Milli(4096)))
    }

    @Test("what a task holds cannot be reserved, and only offers in the way are taken back")
    func inUse() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        let far = stage.addAgent(host: "far")
        let offer = try #require(stage.offers[id]?.first { $0.agentID == agent })
        stage.accept(offer, [.launch([Stage.task("t", agent)])])
        guard
            case .refused(let why) = try stage.ask(
                .reserve(agent, reserved(4, "web"), source: Resources()))
        else {
            Issue.record("reserved what is used")
            return
        }
        #expect(why.contains("nobody uses"))
        #expect(
            try stage.ask(.reserve(agent, reserved(3, "web"), source: Resources())) == .done)
        #expect(stage.offers[id]?.contains { $0.agentID == far } == true)
    }

    @Test("an agent that is away is not changed")
    func away() throws {
        var stage = Stage()
        let agent = stage.addAgent()
        stage.disconnect(agent: agent)
        guard
            case .refused = try stage.ask(
                .reserve(agent, reserved(1, "web"), source: Resources()))
        else {
            Issue.record("reserved")
            return
        }
    }

    @Test("a framework's RESERVE with a source is refused with a reason")
    func framework() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["web"]))
        stage.addAgent()
        let offer = try stage.offer(id)
        stage.call(
            .accept(
                offers: [offer.id],
                operations: [
                    Operation(
                        id: "op",
                        action: .reserve(reserved(1, "web"), source: Resources(cpus: Milli(1))))
                ], filters: nil), by: id)
        let states = stage.events(id).compactMap { event in
            if case .updateOperation(let status) = event { status } else { nil }
        }
        #expect(states.map(\.state) == [.error])
        #expect(states.first?.message?.contains("only an operator") == true)
    }
}
