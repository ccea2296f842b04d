import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Quota")
struct QuotaTests {
    private func quota(_ role: String, promised cpus: Int = 0, limit: Int? = nil) -> Quota {
        Quota(
            role: role, guarantees: ResourceQuantities(cpus: cpus),
            limits: limit.map { [QuotaLimit(name: "cpus", amount: Milli($0))] } ?? [])
    }

    private func set(
        _ list: [Quota], _ stage: inout Stage, forced: Bool = false
    ) throws -> OperatorAnswer {
        try stage.ask(.setQuotas(list, isForced: forced))
    }

    @Test("a quota is durable, told to the allocator and listed; a default one is taken away")
    func setAndRemoved() throws {
        var (stage, script) = Stage.scripted()
        stage.addAgent()
        let first = quota("r", promised: 2, limit: 3)
        #expect(try set([first], &stage) == .done)
        #expect(script.calls.contains(.setQuota(first)))
        #expect(stage.ledger.quotas == ["r": first])
        guard case .quotas(let list) = try stage.ask(.quotas) else {
            Issue.record("another answer")
            return
        }
        #expect(list == [QuotaSummary(quota: first, consumed: ResourceQuantities())])
        #expect(try set([Quota(role: "r")], &stage) == .done)
        #expect(stage.ledger.quotas.isEmpty)
        #expect(script.calls.contains(.setQuota(Quota(role: "r"))))
        #expect(try stage.ask(.quotas) == .quotas([]))
    }

    @Test("a weight of one is what every role has, so it is not kept")
    func defaultWeight() throws {
        var (stage, script) = Stage.scripted()
        #expect(try stage.ask(.setWeight(role: "r", thousandths: 2000)) == .done)
        #expect(stage.ledger.weights == ["r": 2000])
        #expect(try stage.ask(.setWeight(role: "r", thousandths: 1000)) == .done)
        #expect(stage.ledger.weights.isEmpty)
        #expect(script.calls.contains(.setWeight("r", 1000)))
    }

    @Test("of several quotas all are set or none")
    func allOrNothing() throws {
        var (stage, script) = Stage.scripted()
        stage.addAgent()
        guard case .refused = try set([quota("r", promised: 1), quota("*", limit: 1)], &stage)
        else {
            Issue.record("set")
            return
        }
        #expect(stage.ledger.quotas.isEmpty)
        #expect(script.calls.allSatisfy { if case .setQuota = $0 { false } else { true } })
    }

    static let wrong: [(Quota, String)] = [
        (Quota(role: "*"), "'*'"), (Quota(role: "a/b"), "below another"),
        (Quota(role: "a b"), "white space"), (Quota(role: ""), "empty"),
        (
            Quota(
                role: "r", guarantees: ResourceQuantities(cpus: 2),
                limits: [QuotaLimit(name: "cpus", amount: Milli(1))]), "above the limit"
        ),
        (Quota(role: "r", limits: [QuotaLimit(name: "", amount: Milli(1))]), "without a name"),
        (Quota(role: "r", guarantees: ResourceQuantities(cpus: 10_000_000_000)), "can be"),
    ]

    @Test("a quota that makes no sense is refused in words", arguments: wrong.indices)
    func malformed(index: Int) throws {
        var (stage, _) = Stage.scripted()
        let (bad, word) = Self.wrong[index]
        guard case .refused(let why) = try set([bad], &stage, forced: true) else {
            Issue.record("set")
            return
        }
        #expect(why.contains(word))
    }

    @Test("one role is named once")
    func duplicate() throws {
        var (stage, _) = Stage.scripted()
        guard case .refused(let why) = try set([quota("r"), quota("r")], &stage) else {
            Issue.record("another answer")
            return
        }
        #expect(why.contains("twice"))
    }

    @Test("more than the cluster has cannot be promised, unless it is forced")
    func capacity() throws {
        var (stage, _) = Stage.scripted()
        let agent = stage.addAgent()
        #expect(try set([quota("r", promised: 3)], &stage) == .done)
        guard case .refused(let why) = try set([quota("q", promised: 2)], &stage) else {
            Issue.record("set")
            return
        }
        #expect(why.contains("5 cpus") && why.contains("have 4"))
        #expect(try set([quota("q", promised: 2)], &stage, forced: true) == .done)
        // What does not promise more is no matter of capacity.
        #expect(try set([quota("p", limit: 1)], &stage) == .done)
        stage.disconnect(agent: agent)
        guard case .refused = try set([quota("r", promised: 3)], &stage) else {
            Issue.record("an agent that is away counts")
            return
        }
    }

    @Test("what is reserved for a role counts for its own guarantee only")
    func reserved() throws {
        var (stage, _) = Stage.scripted()
        var resources = Resources(cpus: Milli(2), mem: Milli(1))
        resources += Resource(
            "cpus", .scalar(Milli(4)), reservations: [Reservation(kind: .static, role: "r/a")])
        stage.addAgent(resources)
        #expect(try set([quota("r", promised: 6)], &stage) == .done)
        guard case .refused = try set([quota("q", promised: 1)], &stage) else {
            Issue.record("another role's reservation was promised")
            return
        }
        guard case .quotas(let list) = try stage.ask(.quotas) else {
            Issue.record("another answer")
            return
        }
        #expect(list.map(\.consumed) == [ResourceQuantities(cpus: 4)])
    }

    @Test("a limit below what a role and those below it have is refused, unless it is forced")
    func consumption() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", roles: ["r/a"]))
        stage.addAgent()
        try stage.launch("t", by: id, Resources(cpus: Milli(3), mem: Milli(1)), refuse: .zero)
        guard case .refused(let why) = try set([quota("r", limit: 2)], &stage) else {
            Issue.record("set")
            return
        }
        #expect(why.contains("3 cpus") && why.contains("limit of 2"))
        guard case .quotas(let none) = try stage.ask(.quotas) else {
            Issue.record("another answer")
            return
        }
        #expect(none.isEmpty)
        #expect(try set([quota("r", limit: 2)], &stage, forced: true) == .done)
        // A mere offer is not consumed.
        guard case .quotas(let list) = try stage.ask(.quotas) else {
            Issue.record("another answer")
            return
        }
        #expect(list.first?.consumed[String("cpus")] == Milli(3))
    }

    @Test("offers of a role beyond its new limit are taken back, and no more")
    func limitRescinds() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a", roles: ["r", "q"]))
        let agents = (0..<3).map { stage.addAgent(host: "n\($0)") }
        let two = Resources(cpus: Milli(2), mem: Milli(10))
        for agent in agents { script.grant(id, agent, role: "r", two) }
        script.grant(id, agents[0], role: "q", two)
        stage.pass(.seconds(1))
        let offers = stage.offers[id] ?? []
        try #require(offers.count == 4)
        #expect(try set([quota("r", limit: 4)], &stage) == .done)
        #expect(stage.rescinded(id) == [offers[0].id])
        let commit = stage.effects.firstIndex { if case .commit = $0 { true } else { false } }
        let rescind = stage.effects.firstIndex { effect in
            if case .tellFramework(.rescind, _) = effect { true } else { false }
        }
        #expect(try #require(commit) < #require(rescind))
    }

    @Test("for a guarantee enough offers of other roles are taken back, but none they are promised")
    func guaranteeRescinds() throws {
        var (stage, script) = Stage.scripted()
        let id = stage.subscribe(Stage.info("a", roles: ["p", "q", "r"]))
        let agents = (0..<3).map { stage.addAgent(host: "n\($0)") }
        let all = Resources(cpus: Milli(4), mem: Milli(4096))
        #expect(try set([quota("p", promised: 4)], &stage) == .done)
        for (agent, role) in zip(agents, ["p", "q", "q"]) {
            script.grant(id, agent, role: role, all)
        }
        stage.pass(.seconds(1))
        let offers = stage.offers[id] ?? []
        try #require(offers.count == 3)
        #expect(try set([quota("r", promised: 3)], &stage) == .done)
        #expect(stage.rescinded(id) == [offers[1].id])
        #expect(try set([quota("r", promised: 8)], &stage) == .done)
        #expect(stage.rescinded(id) == [offers[2].id])
    }

    @Test("after a restart guarantees make the allocator wait for four of five agents")
    func recovery() throws {
        var (stage, _) = Stage.scripted()
        for number in 0..<6 { stage.addAgent(host: "n\(number)") }
        let promised = quota("r", promised: 2)
        #expect(try set([promised, quota("q", limit: 1)], &stage) == .done)
        let (_, script) = Stage.scripted(replaying: stage.ledger.records)
        #expect(script.calls.contains(.setQuota(promised)))
        #expect(script.calls.contains(.setQuota(quota("q", limit: 1))))
        #expect(script.calls.last == .awaitAgents(5, .zero + .seconds(600)))
        #expect(try set([Quota(role: "r")], &stage) == .done)
        let (_, free) = Stage.scripted(replaying: stage.ledger.records)
        #expect(free.calls == [.setQuota(quota("q", limit: 1))])
    }
}
