import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Demand")
struct DemandTests {
    private func demand(_ id: String = "d", role: String = "*", count: Int = 2) -> Demand {
        Demand(id: id, role: role, resources: ResourceQuantities(cpus: 1, mem: 128), count: count)
    }

    private func refusals(_ stage: Stage, _ id: FrameworkID) -> [String] {
        stage.events(id).compactMap { event in
            if case .demandRefused(let problem) = event { problem } else { nil }
        }
    }

    @Test("a demand replaces everything that was stated before")
    func replaced() {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        stage.call(.demand([demand("d"), demand("e")]), by: id)
        stage.call(.demand([demand("f")]), by: id)
        stage.call(.demand([]), by: id)
        #expect(
            script.calls.filter { if case .setDemands = $0 { true } else { false } } == [
                .setDemands(id, [demand("d"), demand("e")]), .setDemands(id, [demand("f")]),
                .setDemands(id, []),
            ])
        #expect(stage.problems.isEmpty)
    }

    static let wrong: [(String, [Demand], String)] = [
        ("no id", [Demand(id: "", resources: ResourceQuantities(cpus: 1))], "id"),
        ("nothing", [Demand(id: "d", resources: ResourceQuantities())], "asks for nothing"),
        (
            "foreign role",
            [
                Demand(id: "d", role: "other", resources: ResourceQuantities(cpus: 1))
            ], "not one of the framework's"
        ),
        (
            "one id twice",
            [
                Demand(id: "d", resources: ResourceQuantities(cpus: 1)),
                Demand(id: "d", resources: ResourceQuantities(cpus: 2)),
            ], "two demands"
        ),
        (
            "too many",
            (0...Demand.countLimit).map {
                Demand(id: "d\($0)", resources: ResourceQuantities(cpus: 1))
            }, "1000 are possible"
        ),
        (
            "priority",
            [
                Demand(id: "d", resources: ResourceQuantities(cpus: 1), priority: 1_000_001)
            ], "priority"
        ),
        (
            "more than there can be",
            [
                Demand(
                    id: "d", resources: ResourceQuantities(cpus: 9_000_000_000), count: 10_000_000)
            ], "than there can be"
        ),
        (
            "a bad pattern",
            [
                Demand(
                    id: "d", resources: ResourceQuantities(cpus: 1),
                    constraints: [
                        [AttributeConstraint(selector: .hostname, predicate: .textMatches("("))]
                    ])
            ], "regular expression"
        ),
    ]

    @Test("a wrong demand changes nothing and its framework is told", arguments: wrong)
    func refused(name: String, demands: [Demand], word: String) {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        stage.call(.demand([demand("good")]), by: id)
        script.calls = []
        stage.call(.demand(demands), by: id)
        #expect(script.calls.isEmpty)
        #expect(stage.problems.count == 1)
        #expect(refusals(stage, id).count == 1)
        #expect(refusals(stage, id).first?.contains(word) == true)
        #expect(stage.master.frameworks[id]?.demands == [demand("good")])
    }

    @Test(
        "a demand ends with the subscription, however that ends",
        arguments: ["disconnected", "failed over", "torn down"])
    func forgotten(end: String) {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        stage.call(.demand([demand()]), by: id)
        script.calls = []
        switch end {
        case "disconnected": stage.disconnect(id)
        case "failed over": stage.subscribe(Stage.info("a", id: id))
        default: stage.call(.teardown, by: id)
        }
        #expect(script.calls.contains(.setDemands(id, [])))
        #expect(stage.master.frameworks[id]?.demands ?? [] == [])
        #expect(stage.master.demanding.isEmpty)
    }

    @Test("demands of a role that its framework gives up end, the others stay")
    func droppedRole() {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a", roles: ["r", "q"]))
        stage.call(.demand([demand("d", role: "r"), demand("e", role: "q")]), by: id)
        stage.call(
            .updateFramework(Subscription(framework: Stage.info("a", roles: ["r"], id: id))),
            by: id)
        #expect(script.calls.contains(.setDemands(id, [demand("d", role: "r")])))
    }

    @Test("an offer names the demand it is for, and what is launched from it is taken off")
    func launched() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        stage.call(.demand([demand(count: 3)]), by: id)
        script.grant(id, agent, demand: "d", instances: 1)
        stage.pass(.seconds(1))
        let offer = try stage.offer(id)
        #expect(offer.demandID == "d")
        #expect(offer.instances == 1)
        stage.accept(offer, [.launch([Stage.task("t", agent)])])
        guard case .demands(let list) = try stage.ask(.whyFramework(id)) else {
            Issue.record("another answer")
            return
        }
        #expect(list.map(\.demand.count) == [2])
        stage.call(.demand([demand(count: 3)]), by: id)
        guard case .demands(let anew) = try stage.ask(.whyFramework(id)) else {
            Issue.record("another answer")
            return
        }
        #expect(anew.map(\.demand.count) == [3])
    }

    @Test("a framework hears of a pause, and an absent one is none the wiser")
    func backOff() {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        let pause = BackOff(framework: id, role: "*", declines: 9, pause: .seconds(2))
        script.backOffs = [pause, BackOff(framework: "x", role: "*", declines: 1, pause: .zero)]
        stage.addAgent()
        #expect(
            stage.events(id).contains(
                .backedOff(role: "*", declines: 9, pause: .seconds(2))))
        let count = stage.events(id).count
        stage.addAgent(host: "n2")
        #expect(stage.events(id).count == count)
    }
}

@Suite("Why something waits")
struct WhyTests {
    private let nothing = ResourceQuantities()

    @Test("a question is passed to the allocator and its answer is passed on")
    func question() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a"))
        script.explanation = PlacementExplanation(agents: 7, fitting: 3)
        let asked = PlacementQuestion(
            framework: id, demand: Demand(id: "", resources: ResourceQuantities(cpus: 1)))
        #expect(try stage.ask(.why(asked)) == .why(script.explanation))
        #expect(script.questions == [asked])
        let anything = PlacementQuestion(
            framework: nil, demand: Demand(id: "", resources: nothing))
        #expect(try stage.ask(.why(anything)) == .why(script.explanation))
    }

    @Test("a question about nobody is not found, one that makes no sense is refused")
    func badQuestion() throws {
        var (stage, script) = Stage.scripted()
        func ask(_ framework: FrameworkID?, _ demand: Demand) throws -> OperatorAnswer {
            try stage.ask(.why(PlacementQuestion(framework: framework, demand: demand)))
        }
        guard case .notFound = try ask("x", Demand(id: "", resources: nothing)),
            case .refused = try ask(nil, Demand(id: "", role: "/", resources: nothing)),
            case .refused = try ask(nil, Demand(id: "", resources: nothing, ports: -1)),
            case .notFound = try stage.ask(.whyFramework("x"))
        else {
            Issue.record("answered")
            return
        }
        #expect(script.questions.isEmpty)
    }

    @Test("a classic framework is explained by role, another one by demand")
    func framework() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a", roles: ["r", "q"]))
        guard case .demands(let classic) = try stage.ask(.whyFramework(id)) else {
            Issue.record("another answer")
            return
        }
        #expect(classic.map(\.demand.role) == ["r", "q"])
        #expect(classic.allSatisfy { $0.demand.resources == nothing && $0.waitingSince == nil })
        let stated = Demand(
            id: "d", role: "q", resources: ResourceQuantities(cpus: 1), count: 5)
        stage.call(.demand([stated]), by: id)
        var missing = stated
        missing.count = 4
        script.shortfalls = [
            Shortfall(framework: id, demand: missing, isGuaranteed: false, since: stage.now)
        ]
        let since = stage.now
        stage.pass(.seconds(3))
        guard case .demands(let list) = try stage.ask(.whyFramework(id)) else {
            Issue.record("another answer")
            return
        }
        #expect(list.map(\.demand) == [missing])
        #expect(
            list.map(\.waitingSince) == [WallClock(.zero, is: Stage.epoch).time(at: since)])
        #expect(script.questions.last?.demand == stated)
    }
}
