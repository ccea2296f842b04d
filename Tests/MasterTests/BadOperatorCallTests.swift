import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Bad calls of operators")
struct BadOperatorCallTests {
    private static func quota(
        _ role: String = "r", promised: Milli? = nil, limit: Milli? = nil, name: String = "cpus"
    ) -> OperatorCall {
        var quota = Quota(role: role)
        if let promised { quota.guarantees.add(promised, to: name) }
        if let limit { quota.limits = [QuotaLimit(name: name, amount: limit)] }
        return .setQuotas([quota], isForced: false)
    }

    private static func why(_ change: (inout Demand) -> Void) -> OperatorCall {
        var demand = Demand(id: "d", resources: ResourceQuantities(cpus: 1))
        change(&demand)
        return .why(PlacementQuestion(framework: nil, demand: demand))
    }

    private static let tooMuch = Milli(thousandths: Milli.wireLimit + 1)
    private static let names = ["", " ", "a b", "a//b", "/a", "a/", "..", "a/*", "-a", "a\u{7F}"]

    private static func cpus(
        _ reservations: [Reservation], amount: Milli = Milli(1), name: String = "cpus",
        isRevocable: Bool = false
    ) -> Resources {
        Resources([
            Resource(name, .scalar(amount), reservations: reservations, isRevocable: isRevocable)
        ])
    }

    private static let reserved = [Reservation(role: "r")]

    /// The first agent of the master with the seed of the test.
    private static let agent = AgentID("the agent")

    static let reservations: [OperatorCall] =
        names.map { .reserve(agent, cpus([Reservation(role: $0)]), source: Resources()) } + [
            .reserve("none", cpus(reserved), source: Resources()),
            .reserve(agent, Resources(), source: Resources()),
            .reserve(agent, cpus([]), source: Resources()),
            .reserve(agent, cpus([Reservation(role: "*")]), source: Resources()),
            .reserve(agent, cpus([Reservation(kind: .static, role: "r")]), source: Resources()),
            .reserve(agent, cpus(reserved, amount: Milli(-1)), source: Resources()),
            .reserve(agent, cpus(reserved, amount: tooMuch), source: Resources()),
            .reserve(agent, cpus(reserved, name: ""), source: Resources()),
            .reserve(agent, cpus(reserved, isRevocable: true), source: Resources()),
            // Of four one is used.
            .reserve(agent, cpus(reserved, amount: Milli(4)), source: Resources()),
            .reserve(
                agent, cpus([Reservation(role: "r"), Reservation(role: "q")]),
                source: Resources()),
            .reserve(
                agent, cpus(reserved), source: cpus([Reservation(role: "q")], amount: Milli(2))),
            .reserve(agent, cpus(reserved), source: cpus([Reservation(role: "q")])),
            .reserve(
                agent, cpus(reserved), source: cpus([Reservation(kind: .static, role: "r")])),
            .unreserve("none", cpus(reserved)), .unreserve(agent, Resources()),
            .unreserve(agent, cpus([])), .unreserve(agent, cpus(reserved)),
            .unreserve(agent, cpus([Reservation(kind: .static, role: "r")])),
        ]

    static let calls: [OperatorCall] =
        reservations
        + names.flatMap { name -> [OperatorCall] in
            [
                .setWeight(role: name, thousandths: 2000), .setPriorityLimit(role: name, 1),
                .setPriorityLimit(role: name, nil), quota(name, limit: Milli(1)),
                why { $0.role = name },
            ]
        }
        + [0, -1, .min, (1 << 20) + 1, .max].map { .setWeight(role: "r", thousandths: $0) }
        + [1_000_001, -1_000_001, .max, .min].map { .setPriorityLimit(role: "r", $0) }
        + [
            quota("*", limit: Milli(1)), quota("r/a", limit: Milli(1)),
            quota(promised: Milli(-1)), quota(limit: Milli(-1)), quota(promised: tooMuch),
            quota(limit: tooMuch), quota(promised: Milli(thousandths: .max)),
            quota(limit: Milli(thousandths: .min)),
            quota(promised: Milli(2), limit: Milli(1)), quota(promised: Milli(5)),
            quota(promised: Milli(1), name: "none"), quota(limit: Milli(1), name: ""),
            // Less than the task holds.
            quota("used", limit: .zero),
            .setQuotas([Quota(role: "good"), Quota(role: "good")], isForced: true),
            .setQuotas(
                [
                    Quota(role: "good", limits: [QuotaLimit(name: "cpus", amount: Milli(1))]),
                    Quota(role: "/"),
                ], isForced: true),
            .setWhitelist([""]), .setWhitelist(["n1", "n1"]), .setWhitelist(["n 1"]),
            .setWhitelist(["n1\n"]), .setWhitelist([String(repeating: "n", count: 256)]),
            .setWhitelist((0...100_000).map { "n\($0)" }),
            .setWhitelist((10_000..<40_000).map { "\($0)" + String(repeating: "n", count: 240) }),
            why { $0.resources = ResourceQuantities(cpus: -1) }, why { $0.count = -1 },
            why { $0.count = .max }, why { $0.ports = -1 }, why { $0.ports = .max },
            why { $0.gang = 0 }, why { $0.gang = .max }, why { $0.priority = .min },
            why { $0.perAgent = 0 }, why { $0.perOffer = .min },
            why { $0.resources = ResourceQuantities(cpus: .max / 1_000_000) },
            why {
                $0.constraints = [
                    [AttributeConstraint(selector: .zone, predicate: .textMatches("("))]
                ]
            }, .kill(TaskKey("none", "t")), .kill(TaskKey("", "")), .teardown("none"),
            .whyFramework("none"),
            .why(
                PlacementQuestion(
                    framework: "none",
                    demand: Demand(id: "d", resources: ResourceQuantities(cpus: 1)))),
        ]

    private func everything(_ stage: inout Stage) throws -> [OperatorAnswer] {
        try [
            .roles, .quotas, .whitelist, .inverseOffers, .offers, .frameworks, .agents,
            .tasks(nil),
        ].map { try stage.ask($0) }
    }

    @Test("is answered with a reason and changes nothing", arguments: calls.indices)
    func refused(index: Int) throws {
        let wanted = Self.calls[index]
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["used"]))
        let agent = stage.addAgent(host: "n1")
        try stage.launch("t", by: id)
        let call =
            switch wanted {
            case .reserve(Self.agent, let resources, let source):
                OperatorCall.reserve(agent, resources, source: source)
            case .unreserve(Self.agent, let resources):
                OperatorCall.unreserve(agent, resources)
            default: wanted
            }
        #expect(try stage.ask(.setWeight(role: "used", thousandths: 1500)) == .done)
        #expect(try stage.ask(.setPriorityLimit(role: "used", 7)) == .done)
        #expect(try stage.ask(.setWhitelist(["n1"])) == .done)
        let before = (records: stage.ledger.records, answers: try everything(&stage))
        switch try stage.ask(call) {
        case .refused(let reason), .notFound(let reason):
            #expect(reason.utf8.count > 10, "a reason is a sentence")
        case let other: Issue.record("\(call) was answered with \(other)")
        }
        #expect(!stage.effects.contains { if case .commit = $0 { true } else { false } })
        #expect(stage.ledger.records == before.records)
        // Ages of offers grow, nothing else.
        let after = try everything(&stage).filter { if case .offers = $0 { false } else { true } }
        #expect(
            after == before.answers.filter { if case .offers = $0 { false } else { true } })
    }

    @Test("quotas are listed by the names of their roles, before and after a restart")
    func order() throws {
        var stage = Stage()
        for role in ["m", "z", "a", "ab", "B"] {
            let quota = Quota(role: role, limits: [QuotaLimit(name: "cpus", amount: Milli(1))])
            #expect(try stage.ask(.setQuotas([quota], isForced: false)) == .done)
        }
        func roles(_ answer: OperatorAnswer) -> [String] {
            if case .quotas(let list) = answer { list.map(\.quota.role) } else { [] }
        }
        #expect(roles(try stage.ask(.quotas)) == ["B", "a", "ab", "m", "z"])
        var next = Stage(replaying: stage.ledger.records.reversed())
        #expect(roles(try next.ask(.quotas)) == ["B", "a", "ab", "m", "z"])
    }
}
