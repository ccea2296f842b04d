import Proffer
@_spi(Driver) import ProfferKernel
import Testing

@testable import ServicePolicy

@Suite("Demand of services")
struct DemandTests {
    private var bench: ServiceBench

    init() throws { bench = try ServiceBench() }

    private var stated: [Demand] { bench.policy.book.stated ?? [] }

    private func constraint(
        _ selector: AttributeConstraint.Selector, _ predicate: AttributeConstraint.Predicate
    ) -> AttributeConstraint { AttributeConstraint(selector: selector, predicate: predicate) }

    @Test("what is missing of each app is stated, before offers are wished for")
    mutating func missing() throws {
        bench.calls = []
        try bench.ask(
            .put, "/v2/apps/web",
            app(
                "/web", ["instances": 3, "gpus": 1, "portDefinitions": [["port": 0], ["port": 0]]]))
        let wanted = Demand(
            id: "/web",
            resources: {
                var quantities = Resources(cpus: Milli(thousandths: 100), mem: Milli(16)).quantities
                quantities.add(Milli(1), to: "gpus")
                return quantities
            }(), ports: 2, count: 3)
        #expect(bench.calls == [.demand([wanted]), .revive(roles: [])])
        #expect(wanted.problem == nil)
    }

    @Test("when nothing is missing there is silence, and then no demand")
    mutating func silence() throws {
        try bench.ask(.put, "/v2/apps/web", app("/web"))
        bench.calls = []
        bench.offer([bench.agents[0].id])
        #expect(Array(bench.calls.dropFirst()) == [.suppress(roles: []), .demand([])])
    }

    @Test("an instance that is lost is wanted again")
    mutating func loss() throws {
        try bench.ask(.put, "/v2/apps/web", app("/web", ["instances": 2]))
        bench.converge()
        #expect(stated.isEmpty)
        bench.update(bench.tasks[0].info.id, .lost)
        bench.wait(.seconds(600))
        #expect(stated.map(\.count) == [1])
    }

    @Test("an offer for a demand takes off what is launched from it")
    mutating func deduction() throws {
        try bench.ask(.put, "/v2/apps/web", app("/web", ["instances": 3, "cpus": 4]))
        bench.calls = []
        let agent = bench.agents[0]
        bench.handle(
            .offers([
                Offer(
                    id: "o", frameworkID: "framework", agentID: agent.id, hostname: agent.host,
                    resources: agent.free, attributes: agent.attributes, role: "*",
                    demandID: "/web", instances: 2)
            ]))
        #expect(bench.tasks.count == 2)
        #expect(stated.map(\.count) == [1])
        #expect(!bench.calls.contains { if case .demand = $0 { true } else { false } })
    }

    @Test("UNIQUE on the host is one for each agent, without those that have one")
    mutating func unique() throws {
        try bench.ask(
            .put, "/v2/apps/web",
            app("/web", ["instances": 3, "constraints": [["hostname", "UNIQUE"]]]))
        #expect(stated.map(\.perAgent) == [1])
        #expect(stated.first?.constraints == [[constraint(.hostname, .exists)]])
        bench.offer([bench.agents[1].id])
        #expect(stated.map(\.count) == [2])
        #expect(
            stated.first?.constraints == [
                [constraint(.hostname, .exists), constraint(.hostname, .textNotEquals("node-2"))]
            ])
    }

    @Test(
        "constraints are stated as far as a demand can say them",
        arguments: [
            (["rack", "LIKE", "r[12]"], [.textMatches("r[12]")], nil),
            (["rack", "UNLIKE", "r3"], [.textNotMatches("r3")], nil),
            (["rack", "CLUSTER", "r2"], [.textEquals("r2")], nil),
            (["rack", "CLUSTER"], [.exists], nil),
            (["rack", "IS", "r1"], [.textEquals("r1")], nil),
            (["rack", "GROUP_BY", "3"], [.exists], nil), (["rack", "UNIQUE"], [.exists], nil),
            (["rack", "MAX_PER", "2"], [.exists], nil),
            (["hostname", "MAX_PER", "2"], [.exists], 2),
        ] as [([String], [AttributeConstraint.Predicate], Int?)])
    mutating func constraints(
        rule: [String], predicates: [AttributeConstraint.Predicate], perAgent: Int?
    ) throws {
        try bench.ask(
            .put, "/v2/apps/web", app("/web", ["constraints": [.texts(rule)]]))
        #expect(stated.first?.constraints.map { $0.map(\.predicate) } == [predicates])
        #expect(stated.map(\.perAgent) == [perAgent])
    }

    @Test("no more is stated at once than the master reads in one message")
    mutating func size() throws {
        let pattern = String(repeating: "r", count: 4000)
        let apps = (0..<300).map { index in
            app("/a\(index)", ["constraints": [.texts(["rack", "LIKE", pattern])]])
        }
        try bench.ask(.put, "/v2/apps", .array(apps))
        #expect((100..<200).contains(stated.count))
    }

    @Test("a long id is cut to what a demand may be called")
    func longIDs() {
        let path = AppPath(segments: (0..<40).map { "segment-\($0)" })
        let id = ServicePolicy.demandID(path)
        #expect(id.utf8.count <= 255)
        #expect(path.description.hasSuffix(id))
        #expect(ServicePolicy.demandID(AppPath("/a/b")) == "/a/b")
    }

    @Test("after a new subscription of the same policy nothing is stated twice")
    mutating func resubscription() throws {
        try bench.ask(.put, "/v2/apps/web", app("/web"))
        bench.calls = []
        bench.handle(.disconnected)
        bench.subscribe()
        #expect(!bench.calls.contains { if case .demand = $0 { true } else { false } })
    }
}
