import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Demand in a subscription")
struct SubscribedDemandTests {
    private func demand(
        _ id: String = "d", role: String = "*", count: Int = 1, priority: Int = 0
    ) -> Demand {
        Demand(
            id: id, role: role, resources: ResourceQuantities(cpus: 1, mem: 128), count: count,
            priority: priority)
    }

    private func offered(_ stage: Stage, _ id: FrameworkID) -> [Resources] {
        stage.events(id).flatMap { event -> [Resources] in
            if case .offers(let list) = event { list.map(\.resources) } else { [] }
        }
    }

    private func refusals(_ stage: Stage, _ id: FrameworkID) -> [String] {
        stage.events(id).compactMap { event in
            if case .demandRefused(let problem) = event { problem } else { nil }
        }
    }

    @Test("a framework that subscribes with demand is offered what fits it from the first offer on")
    func fits() {
        var stage = Stage()
        stage.addAgent()
        let id = stage.subscribe(Stage.info("a"), demands: [demand()])
        #expect(offered(stage, id) == [Stage.small])
        stage.pass(.seconds(10))
        #expect(offered(stage, id) == [Stage.small])
    }

    @Test("one that is going to state demand is offered nothing before it has")
    func announced() throws {
        var stage = Stage()
        stage.addAgent()
        let id = stage.subscribe(Stage.info("a"), demands: [])
        stage.pass(.seconds(10))
        stage.call(.revive(roles: []), by: id)
        stage.pass(.seconds(10))
        #expect(offered(stage, id).isEmpty)
        guard case .demands(let list) = try stage.ask(.whyFramework(id)) else {
            Issue.record("another answer")
            return
        }
        #expect(list.first?.explanation.obstacle?.contains("not done so yet") == true)
        stage.call(.demand([demand()]), by: id)
        #expect(offered(stage, id) == [Stage.small])
    }

    @Test("one that states no demand after all is a classic one")
    func classicAfterAll() {
        var stage = Stage()
        stage.addAgent()
        let id = stage.subscribe(Stage.info("a"), demands: [])
        stage.call(.demand([]), by: id)
        #expect(offered(stage, id) == [Resources(cpus: Milli(4), mem: Milli(4096))])
    }

    @Test("suppression outlives the wait for a demand")
    func suppressed() {
        var stage = Stage()
        stage.addAgent()
        let id = stage.subscribe(Stage.info("a"), suppressed: ["*"], demands: [])
        stage.call(.demand([demand()]), by: id)
        #expect(offered(stage, id).isEmpty)
        stage.call(.revive(roles: []), by: id)
        #expect(offered(stage, id) == [Stage.small])
    }

    @Test("a demand that cannot be served is told, and its framework offered nothing until it can")
    func refused() {
        var stage = Stage()
        stage.addAgent()
        let id = stage.subscribe(Stage.info("a"), demands: [demand(role: "other")])
        #expect(refusals(stage, id).count == 1)
        #expect(refusals(stage, id).first?.contains("not one of the framework's") == true)
        stage.pass(.seconds(10))
        #expect(offered(stage, id).isEmpty)
        stage.call(.demand([demand()]), by: id)
        #expect(offered(stage, id) == [Stage.small])
    }

    @Test("a new subscription says what is wanted from then on")
    func replaced() {
        var stage = Stage()
        stage.addAgent()
        let id = stage.subscribe(Stage.info("a"), demands: [demand("d", count: 2)])
        stage.disconnect(id)
        stage.forget()
        stage.subscribe(Stage.info("a", id: id), demands: [demand("e")])
        #expect(stage.master.frameworks[id]?.demands == [demand("e")])
        #expect(offered(stage, id) == [Stage.small])
        stage.forget()
        stage.subscribe(Stage.info("a", id: id))
        #expect(stage.master.frameworks[id]?.demands == [])
        #expect(offered(stage, id) == [Resources(cpus: Milli(4), mem: Milli(4096))])
    }

    @Test("who gives up the role of its last demand waits for another one")
    func lastRole() {
        var stage = Stage()
        stage.addAgent()
        let id = stage.subscribe(
            Stage.info("a", roles: ["r", "q"]), demands: [demand(role: "r", count: 0)])
        stage.call(
            .updateFramework(Subscription(framework: Stage.info("a", roles: ["q"], id: id))),
            by: id)
        stage.pass(.seconds(10))
        #expect(offered(stage, id).isEmpty)
        stage.call(.demand([demand(role: "q")]), by: id)
        #expect(offered(stage, id) == [Stage.small])
    }
}
