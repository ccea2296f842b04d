import Proffer
import Testing

@testable import ServicePolicy

@Suite("Scaling")
struct ScalingTests {
    private var bench: ServiceBench

    init() throws { bench = try ServiceBench() }

    /// Instances that were started one after another.
    private mutating func deploy(_ fields: JSON, started count: Int) throws {
        for instances in 1...count {
            try bench.ask(
                .put, "/v2/apps/web",
                app("/web", fields).appending([("instances", .int(instances))]))
            bench.converge()
            bench.wait(.seconds(1))
        }
    }

    @Test("more instances are started beside those that run")
    mutating func up() throws {
        try deploy([:], started: 1)
        let old = bench.tasks[0].info.id
        try bench.ask(.put, "/v2/apps/web", ["instances": 4])
        bench.converge()
        #expect(bench.tasks.count == 4)
        #expect(bench.tasks[0].info.id == old)
    }

    @Test("one message launches no more than the master reads, and the rest follows at once")
    func largeApps() throws {
        var bench = try ServiceBench(racks: ["r1"])
        let text = String(repeating: "x", count: 100_000)
        try bench.ask(
            .put, "/v2/apps/large",
            app("/large", ["instances": 20, "env": ["TEXT": .string(text)]]))
        bench.offer()
        #expect(bench.tasks.count == 7, "600 KiB are full with the seventh")
        let refusals = bench.calls.compactMap { call -> Duration? in
            if case .accept(_, _, let filters) = call { filters?.refuse } else { nil }
        }
        #expect(refusals == [.zero])
        bench.offer()
        bench.offer()
        #expect(bench.tasks.count == 20)
    }

    @Test("a change of the instance count keeps the configuration")
    mutating func versions() throws {
        try deploy([:], started: 2)
        let info = try bench.ask(.get, "/v2/apps/web").json["app"]?["versionInfo"]
        let scaled = try #require(info?["lastScalingAt"]?.text)
        let changed = try #require(info?["lastConfigChangeAt"]?.text)
        #expect(scaled > changed)
    }

    @Test("the youngest goes first, unless the app says the oldest", arguments: [true, false])
    mutating func killSelection(_ isYoungestFirst: Bool) throws {
        let selection: JSON = isYoungestFirst ? "YOUNGEST_FIRST" : "OLDEST_FIRST"
        try deploy(["killSelection": selection], started: 3)
        let ids = bench.tasks.map(\.info.id)
        try bench.ask(.put, "/v2/apps/web", ["instances": 2])
        #expect(bench.killed() == [isYoungestFirst ? ids[2] : ids[0]])
    }

    @Test("an instance that does no work goes before one that does")
    mutating func unhealthyFirst() throws {
        try deploy(["healthChecks": quickCheck], started: 3)
        let first = bench.tasks[0].info.id
        bench.becomeHealthy(first, false)
        try bench.ask(.put, "/v2/apps/web", ["instances": 2])
        #expect(bench.killed() == [first])
    }

    @Test("with GROUP_BY the fullest group gives up an instance, whatever the age")
    mutating func groupsStayEven() throws {
        try deploy(
            ["constraints": [["rack", "GROUP_BY", "3"]], "killSelection": "YOUNGEST_FIRST"],
            started: 4)
        var counts = bench.agents.map { agent in
            bench.tasks.count { $0.info.agentID == agent.id }
        }
        #expect(counts.sorted() == [1, 1, 2])
        try bench.ask(.put, "/v2/apps/web", ["instances": 3])
        bench.converge()
        counts = bench.agents.map { agent in
            bench.tasks.count { $0.info.agentID == agent.id }
        }
        #expect(counts == [1, 1, 1])
    }

    @Test("GROUP_BY without a count spreads evenly over the racks there are")
    mutating func evenSpread() throws {
        try bench.ask(
            .post, "/v2/apps",
            app("/web", ["instances": 6, "constraints": [["rack", "GROUP_BY"]]]))
        bench.offer()
        for agent in bench.agents {
            #expect(bench.tasks.count { $0.info.agentID == agent.id } == 2)
        }
    }

    @Test("scaling to nothing ends every instance and keeps the app")
    mutating func toZero() throws {
        try deploy([:], started: 2)
        try bench.ask(.put, "/v2/apps/web", ["instances": 0])
        bench.converge()
        #expect(bench.tasks.isEmpty)
        #expect(try bench.ask(.get, "/v2/apps/web").status == 200)
        #expect(try bench.ask(.get, "/v2/deployments").json == [])
    }

    @Test("the queue tells how many are missing and which checks refused the offers")
    mutating func queue() throws {
        try bench.ask(
            .post, "/v2/apps",
            app("/web", ["instances": 5, "constraints": [["rack", "UNIQUE"]]]))
        bench.offer()
        bench.offer()
        let item = try bench.ask(.get, "/v2/queue").json["queue"]?.elements.first
        #expect(item?["count"] == 2)
        #expect(item?["app"]?["id"] == "/web")
        let summary = item?["processedOffersSummary"]
        #expect(summary?["processedOffersCount"] == 6)
        #expect(summary?["unusedOffersCount"] == 3)
        let last = summary?["rejectSummaryLastOffers"]?.elements
        #expect(
            last?.first { $0["reason"] == "UnfulfilledConstraint" }
                == ["reason": "UnfulfilledConstraint", "declined": 3, "processed": 3])
    }

    @Test(
        "each kind of shortage is named",
        arguments: [
            ("InsufficientCpus", ["cpus": 9]), ("InsufficientMemory", ["mem": 9000]),
            ("InsufficientDisk", ["disk": 9000]), ("InsufficientGpus", ["gpus": 1]),
            ("InsufficientPorts", ["requirePorts": true, "ports": [80]]),
            ("UnfulfilledConstraint", ["constraints": [["rack", "IS", "r9"]]]),
        ] as [(String, JSON)])
    mutating func shortages(_ reason: String, _ fields: JSON) throws {
        try bench.ask(.post, "/v2/apps", app("/web", fields))
        bench.offer()
        #expect(bench.tasks.isEmpty)
        let item = try bench.ask(.get, "/v2/queue").json["queue"]?.elements.first
        let reasons = item?["processedOffersSummary"]?["rejectSummaryLastOffers"]?.elements
        #expect(reasons?.first { $0["reason"]?.text == reason }?["declined"] == 3)
    }
}
