import ClusterProbe
import Proffer
import ProfferEmbedded
import ProfferMaster
import Testing

extension Demand {
    /// So many instances of a small task.
    init(
        _ id: String, role: String = "*", cpus: Milli, mem: Milli = Milli(64), count: Int = 1,
        constraints: [[AttributeConstraint]] = [], priority: Int = 0, gang: Int = 1
    ) {
        self.init(
            id: id, role: role, resources: ResourceQuantities([("cpus", cpus), ("mem", mem)]),
            count: count, constraints: constraints, priority: priority, gang: gang)
    }
}

extension EmbeddedCluster {
    /// The demands of a framework as its operator sees them.
    func demands(of framework: FrameworkID) async throws -> [DemandSummary] {
        guard case .demands(let demands) = try await answer(.whyFramework(framework)) else {
            throw NeverHappened(description: "no answer about the demands of \(framework)")
        }
        return demands
    }

    /// Sets quotas, which must be accepted.
    func set(_ quotas: [Quota]) async throws {
        let answer = try await answer(.setQuotas(quotas, isForced: false))
        guard answer == .done else { throw NeverHappened(description: "\(answer)") }
    }
}

@Suite("Demand", .serialized, .timeLimit(.minutes(5)))
struct DemandTests {
    private static let half = Milli(thousandths: 500)

    /// A framework that wants nothing until it says so.
    private func quiet(
        _ name: String, _ cluster: EmbeddedCluster, roles: [String] = ["*"]
    ) throws -> Probe {
        var options = FrameworkOptions(info: FrameworkInfo(name: name, roles: roles))
        options.suppressedRoles = roles
        return try Probe(options, cluster.connection)
    }

    @Test("a demand is offered what fits it and no more, and what is launched is taken off it")
    func sized() async throws {
        try await withCluster(agents: 2) { cluster in
            try await cluster.activeAgents(2)
            let probe = try quiet("probe", cluster)
            let id = try await probe.subscribed()
            let onSecond = AttributeConstraint(
                selector: .attribute("rack"), predicate: .textEquals("r2"))
            probe.call(
                .demand([Demand("web", cpus: Self.half, count: 3, constraints: [[onSecond]])]))
            probe.call(.revive(roles: []))
            let offer = try await probe.offer()
            #expect(offer.demandID == "web")
            #expect(offer.hostname == "agent-1")
            #expect(offer.instances == 3)
            #expect(offer.resources == Resources(cpus: Milli(thousandths: 1500), mem: Milli(192)))

            probe.launch(
                ["a", "b"].map {
                    TaskInfo(TaskID($0), "sleep 600", on: offer, cpus: Self.half, mem: Milli(64))
                }, on: offer)
            for task in ["a", "b"] { try await probe.update(TaskID(task), .running) }
            let rest = try await probe.offer()
            #expect(rest.instances == 1)
            #expect(rest.resources == Resources(cpus: Self.half, mem: Milli(64)))
            probe.launch(
                [TaskInfo("c", "sleep 600", on: rest, cpus: Self.half, mem: Milli(64))], on: rest)
            try await probe.update("c", .running)
            try await probe.settled()
            #expect(probe.history.offers.count == 2)
            #expect(try await cluster.demands(of: id).map(\.demand.count) == [0])
            await probe.stop(teardown: true)
        }
    }

    @Test("a demand that cannot be is refused by its name and changes nothing")
    func refused() async throws {
        try await withCluster { cluster in
            let probe = try quiet("probe", cluster)
            let id = try await probe.subscribed()
            probe.call(.demand([Demand("good", cpus: Milli(64))]))
            probe.call(.demand([Demand("bad", role: "strange", cpus: Milli(1))]))
            try await eventually("a refusal") { !probe.history.refusals.isEmpty }
            #expect(probe.history.refusals.first?.contains("'bad'") == true)
            #expect(try await cluster.demands(of: id).map(\.demand.id) == ["good"])
            await probe.stop(teardown: true)
        }
    }

    private func parts(_ offers: [Offer], tooLarge: Bool = false) -> [OfferAcceptance] {
        offers.enumerated().map { index, offer in
            let tasks = (0..<offer.instances).map { number in
                TaskInfo(
                    TaskID("\(tooLarge ? "bad" : "good")-\(index)-\(number)"), "sleep 600",
                    on: offer,
                    cpus: Milli(tooLarge && index == 1 && number == 1 ? 64 : 1), mem: Milli(64))
            }
            return OfferAcceptance(
                offers: [offer.id], operations: [Operation(action: .launch(tasks))])
        }
    }

    private func gang(_ probe: Probe) async throws -> [Offer] {
        let first = try await probe.offer { $0.gang != nil }
        let second = try await probe.offer { $0.gang == first.gang }
        return [first, second]
    }

    @Test("a gang over two agents is accepted together: one bad task spoils it, else all run")
    func gang() async throws {
        try await withCluster(agents: 2) { cluster in
            try await cluster.activeAgents(2)
            let probe = try quiet("probe", cluster)
            let id = try await probe.subscribed()
            probe.call(.demand([Demand("gang", cpus: Milli(1), count: 4, gang: 4)]))
            probe.call(.revive(roles: []))
            let first = try await gang(probe)
            #expect(first.map(\.instances) == [2, 2])
            #expect(Set(first.map(\.hostname)) == ["agent-0", "agent-1"])
            let none = Filters(refuse: .zero)
            probe.call(.acceptTogether(parts(first, tooLarge: true), filters: none))
            for task in ["bad-0-0", "bad-0-1", "bad-1-0", "bad-1-1"] {
                try await eventually("the end of \(task)") {
                    probe.history.states(of: TaskID(task)).contains { $0.isTerminal }
                }
            }
            #expect(try await cluster.tasks().isEmpty)

            let second = try await gang(probe)
            #expect(second[0].gang != first[0].gang)
            probe.call(.acceptTogether(parts(second), filters: none))
            for task in ["good-0-0", "good-0-1", "good-1-0", "good-1-1"] {
                try await probe.update(TaskID(task), .running)
            }
            try await probe.settled()
            #expect(try await cluster.demands(of: id).map(\.demand.count) == [0])
            await probe.stop(teardown: true)
        }
    }

    @Test("a limit holds a role, and a guarantee keeps room that only its role gets")
    func quota() async throws {
        try await withCluster { cluster in
            try await cluster.activeAgents(1)
            try await cluster.set([
                Quota(
                    role: "web", limits: [QuotaLimit(name: "cpus", amount: Milli(1))]),
                Quota(role: "db", guarantees: ResourceQuantities([("cpus", Self.half)])),
            ])
            let web = try quiet("web", cluster, roles: ["web"])
            let id = try await web.subscribed()
            web.call(.demand([Demand("w", role: "web", cpus: Self.half, count: 4)]))
            web.call(.revive(roles: []))
            try await run("w", 2, web)
            try await web.settled()
            #expect(web.history.offers.reduce(0) { $0 + $1.instances } == 2)
            let why = try await cluster.demands(of: id)
            #expect(why.first?.explanation.fitting == 0)
            #expect(why.first?.explanation.steps.contains { $0.check == .quotaLimit } == true)
            #expect(
                why.first?.explanation.quota.first { $0.name == "cpus" }
                    == .init(
                        name: "cpus", consumed: Milli(1), guarantee: .zero, limit: Milli(1)))

            let other = try quiet("other", cluster, roles: ["other"])
            let otherID = try await other.subscribed()
            other.call(.demand([Demand("o", role: "other", cpus: Self.half, count: 4)]))
            other.call(.revive(roles: []))
            try await run("o", 1, other)
            try await other.settled()
            #expect(other.history.offers.reduce(0) { $0 + $1.instances } == 1)
            let headroom = try await cluster.demands(of: otherID)
            #expect(
                headroom.first?.explanation.steps.contains { $0.check == .headroom } == true)

            let db = try quiet("db", cluster, roles: ["db"])
            _ = try await db.subscribed()
            db.call(.demand([Demand("d", role: "db", cpus: Self.half)]))
            db.call(.revive(roles: []))
            try await run("d", 1, db)
            for probe in [web, other, db] { await probe.stop(teardown: true) }
        }
    }

    /// Launches what is offered until so many tasks run.
    private func run(_ name: String, _ count: Int, _ probe: Probe) async throws {
        var launched = 0
        while launched < count {
            let offer = try await probe.offer()
            let tasks = (launched..<(launched + offer.instances)).map {
                TaskInfo(
                    TaskID("\(name)-\($0)"), "sleep 600", on: offer, cpus: Self.half,
                    mem: Milli(64))
            }
            probe.launch(tasks, on: offer)
            launched += tasks.count
        }
        for index in 0..<launched { try await probe.update(TaskID("\(name)-\(index)"), .running) }
    }

    @Test("why names the resource that is missing, and tells that a framework is suppressed")
    func why() async throws {
        try await withCluster { cluster in
            try await cluster.activeAgents(1)
            let probe = try quiet("probe", cluster)
            let id = try await probe.subscribed()
            let idle = try await cluster.demands(of: id)
            #expect(idle.map(\.explanation.obstacle).contains { $0?.contains("suppress") == true })

            probe.call(.demand([Demand("large", cpus: Milli(1), mem: Milli(2048))]))
            probe.call(.revive(roles: []))
            try await probe.settled()
            let large = try #require(try await cluster.demands(of: id).first)
            #expect(large.waitingSince != nil)
            #expect(large.explanation.obstacle == nil)
            #expect(large.explanation.steps.map(\.check) == [.resources])
            #expect(large.explanation.nearest.first?.hostname == "agent-0")
            #expect(
                large.explanation.nearest.first?.missing
                    == ResourceQuantities([("mem", Milli(1024))]))
            #expect(large.explanation.suggestions.first?.contains("mem") == true)

            let shape = PlacementQuestion(
                framework: nil, demand: Demand("", cpus: Milli(3), mem: Milli(64)))
            guard case .why(let answer) = try await cluster.answer(.why(shape)) else {
                throw NeverHappened(description: "no answer")
            }
            #expect(answer.fitting == 0)
            #expect(
                answer.nearest.first?.missing == ResourceQuantities([("cpus", Milli(1))]))
            await probe.stop(teardown: true)
        }
    }
}
