import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// Whatever an allocator is told, it goes on.
@Suite("Bad input of allocators")
struct BadInputTests {
    /// Every call that names somebody.
    private func everyCall(
        _ cluster: inout Cluster, framework: FrameworkID, role: String, agent: AgentID,
        _ resources: Resources
    ) {
        let allocation = Allocation(
            framework: framework, role: role, agent: agent, resources: resources)
        cluster.allocator.setActive(framework: framework, true)
        cluster.allocator.setActive(agent: agent, true)
        cluster.allocator.use(allocation)
        cluster.allocator.convert(allocation, into: size(99))
        for wasOffered in [true, false] {
            cluster.allocator.recover(
                allocation, wasOffered: wasOffered, refuse: .seconds(1), at: cluster.now)
        }
        cluster.allocator.hold(allocation)
        cluster.allocator.revive(framework, roles: [role])
        cluster.allocator.suppress(framework, roles: [role])
        cluster.allocator.setDemands(framework, [demand("d", role)], at: cluster.now)
        _ = cluster.allocator.free(agent, roles: [role])
        _ = cluster.allocator.explain(
            PlacementQuestion(framework: framework, demand: demand("d", role)), at: cluster.now)
        _ = cluster.allocator.shareMillionths(framework: framework)
        _ = cluster.allocator.shareMillionths(role: role)
    }

    @Test("calls about what is unknown are without effect", arguments: Subject.allCases)
    func unknown(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agent("n", size(4, 400))
        everyCall(&cluster, framework: "ghost", role: "r", agent: "n", size(1))
        everyCall(&cluster, framework: "ghost", role: "none", agent: "nowhere", size(1))
        cluster.allocator.removeFramework("ghost")
        cluster.allocator.removeAgent("nowhere")
        cluster.allocator.setAgent(AgentInfo(hostname: "nameless"), isActive: true)
        #expect(cluster.round().resources == [size(4, 400)])
        #expect(cluster.allocator.shareMillionths(framework: "f") == 1_000_000)
        everyCall(&cluster, framework: "f", role: "r", agent: "nowhere", size(1))
        cluster.allocator.revive("f", roles: ["r"])
        cluster.allocator.setDemands("f", [], at: cluster.now)
        #expect(cluster.allocator.shareMillionths(framework: "f") == 1_000_000)
        #expect(cluster.round().isEmpty)
    }

    @Test("what is not held is neither used, changed nor given back", arguments: Subject.allCases)
    func unheld(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["r"], suppressed: ["r"])
        cluster.agent("n", size(4, 400))
        let offer = cluster.round()[0]
        for (framework, role, amount) in [("g", "r", 1), ("f", "s", 1), ("f", "r", 5)]
            as [(FrameworkID, String, Int)]
        {
            let wrong = Allocation(
                framework: framework, role: role, agent: "n", resources: size(amount, 1))
            cluster.allocator.recover(wrong, wasOffered: true, refuse: nil, at: cluster.now)
            cluster.allocator.recover(wrong, wasOffered: false, refuse: nil, at: cluster.now)
            cluster.allocator.convert(wrong, into: size(100))
            cluster.allocator.use(wrong)
        }
        #expect(cluster.round().isEmpty)
        #expect(cluster.allocator.shareMillionths(framework: "f") == 1_000_000)
        cluster.decline(offer)
        cluster.decline(offer)
        #expect(cluster.round().resources == [size(4, 400)])
    }

    @Test("the largest quantities of the wire add up", arguments: Subject.allCases)
    func largest(subject: Subject) {
        let limit = Milli(thousandths: Milli.wireLimit)
        let all = Resources(cpus: limit, mem: limit, disk: limit)
        var cluster = Cluster(subject)
        for number in 0..<3 {
            cluster.framework(FrameworkID("f\(number)"), ["r\(number)"])
            cluster.allocator.setWeight(role: "r\(number)", thousandths: 1_000_000_000)
            cluster.allocator.setQuota(
                Quota(
                    role: "r\(number)",
                    guarantees: all.quantities,
                    limits: [QuotaLimit(name: "cpus", amount: limit)]))
        }
        cluster.agents(9, all)
        let grants = cluster.round()
        #expect(grants.count >= 3)
        for grant in grants.prefix(3) { cluster.accept(grant, size(1, 1), refuse: .seconds(1)) }
        for number in 0..<3 {
            let share = cluster.allocator.shareMillionths(framework: FrameworkID("f\(number)"))
            #expect((0...1_000_000).contains(share))
        }
    }

    @Test(
        "weights of any size are taken", arguments: Subject.allCases,
        [Int64.min, -1, 0, 1, Int64.max])
    func weights(subject: Subject, weight: Int64) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["a"])
        cluster.framework("g", ["b"])
        cluster.allocator.setWeight(role: "a", thousandths: weight)
        cluster.allocator.setWeight(role: "", thousandths: weight)
        cluster.agents(4, size(1, 100))
        #expect(cluster.round().count == 4)
    }

    @Test("odd names of roles do no harm", arguments: Subject.allCases)
    func names(subject: Subject) {
        let names = [
            "", "/", "//", "a//b", "/a", "a/", ".", "a/.", "a/./b", "..", "*/*", "a/*", "\u{0}",
            String(repeating: "x", count: 10_000),
        ]
        var cluster = Cluster(subject)
        for (index, name) in names.enumerated() {
            cluster.framework(FrameworkID("f\(index)"), [name])
            cluster.allocator.setWeight(role: name, thousandths: 2000)
            cluster.allocator.setQuota(Quota(role: name, guarantees: amounts(["cpus": 1])))
        }
        cluster.framework("a", ["a"])
        cluster.framework("b", ["a/./b/c"])
        cluster.agents(18, size(1, 100))
        #expect(cluster.round().count == 18)
    }

    @Test("a role below ten thousand others is one more role", arguments: Subject.with(.tree))
    func deep(subject: Subject) {
        let deep = Array(repeating: "r", count: 10_000).joined(separator: "/")
        var cluster = Cluster(subject)
        cluster.framework("f", [deep])
        cluster.framework("g", ["r"])
        cluster.allocator.setWeight(role: deep, thousandths: 2000)
        cluster.agents(2, size(1, 100))
        #expect(cluster.round().frameworks.sorted() == ["f", "g"])
        _ = cluster.allocator.shareMillionths(role: deep)
        cluster.allocator.removeFramework("f")
    }

    @Test("ten thousand roles beside each other are served", arguments: Subject.with(.demand))
    func wide(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", (0..<10_000).map { "r\($0)" })
        cluster.agents(3, size(1, 100))
        #expect(cluster.round().count == 3)
    }

    @Test("demand that makes no sense is survived", arguments: Subject.with(.demand))
    func demands(subject: Subject) {
        let limit = Milli(thousandths: Milli.wireLimit)
        var negative = ResourceQuantities()
        negative.add(Milli(-5), to: "cpus")
        var huge = ResourceQuantities()
        huge.add(limit, to: "cpus")
        let odd: [Demand] = [
            Demand(id: "", role: "r", resources: ResourceQuantities()),
            Demand(id: "1", role: "r", resources: negative, count: 5),
            Demand(id: "2", role: "r", resources: huge, count: .max),
            demand("3", "r", count: .min),
            demand("4", "r", count: 3) { $0.gang = 0 },
            demand("5", "r", count: 3) { $0.gang = .max },
            demand("6", "r", count: 3) { $0.gang = .min },
            demand("7", "r", count: 3) { $0.perOffer = 0 },
            demand("8", "r", count: 3) { $0.perOffer = .min },
            demand("9", "r", count: 3) { $0.perAgent = 0 },
            demand("10", "r", count: 3) { $0.perAgent = .min },
            demand("11", "r", count: .max) { $0.ports = .max },
            demand("12", "r", count: 3) { $0.ports = -1 },
            demand("13", "r", count: 3) { $0.priority = .min },
            demand("14", "r", count: 3) { $0.priority = .max },
            demand("15", "r", count: 3) { $0.constraints = [[]] },
            demand("16", "r", count: .max) { $0.gang = .max },
            demand("16", "r", count: 2),
            demand("17", "", count: 2),
        ]
        for one in odd.map({ [$0] }) + [odd, odd + odd] {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.framework("g", ["s"])
            cluster.demands("g", demand("e", "s", count: 2))
            cluster.allocator.setDemands("f", one, at: cluster.now)
            cluster.agent("n", Resources([scalar("cpus", 9), scalar("mem", 900), ports(1...9)]))
            cluster.agent("m", Resources(cpus: limit))
            for _ in 0..<3 {
                let grants = cluster.round()
                for grant in grants {
                    #expect(grant.allocation.resources.items.allSatisfy { !$0.value.isEmpty })
                    cluster.accept(grant)
                }
                _ = cluster.allocator.shortfalls(at: cluster.now)
                for one in one {
                    _ = cluster.allocator.explain(
                        PlacementQuestion(framework: "f", demand: one), at: cluster.now)
                    _ = cluster.allocator.explain(
                        PlacementQuestion(framework: nil, demand: one), at: cluster.now)
                }
                cluster.wait(.seconds(1))
            }
        }
    }

    @Test("quotas that make no sense are survived", arguments: Subject.with(.quota))
    func quotas(subject: Subject) {
        var negative = ResourceQuantities()
        negative.add(Milli(-5), to: "cpus")
        let limit = Milli(thousandths: Milli.wireLimit)
        for quota in [
            Quota(role: "*", guarantees: amounts(["cpus": 1])),
            Quota(role: "r/x", guarantees: amounts(["cpus": 1])),
            Quota(role: "", guarantees: amounts(["cpus": 1])),
            Quota(role: "r", guarantees: negative),
            Quota(role: "r", limits: [QuotaLimit(name: "cpus", amount: Milli(-1))]),
            Quota(
                role: "r",
                limits: [
                    QuotaLimit(name: "cpus", amount: limit),
                    QuotaLimit(name: "cpus", amount: .zero),
                ]),
            Quota(
                role: "r", guarantees: amounts(["cpus": 9]),
                limits: [QuotaLimit(name: "cpus", amount: Milli(1))]),
            Quota(role: "r", guarantees: amounts(["none": 9])),
        ] {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.framework("g", ["r/x"])
            cluster.framework("h", ["*"])
            cluster.allocator.setQuota(quota)
            cluster.agents(4, size(2, 200))
            let grants = cluster.round()
            #expect(grants.resources.allSatisfy { $0.items.allSatisfy { !$0.value.isEmpty } })
            let all = grants.resources.reduce(into: Resources()) { $0 += $1 }
            #expect(size(8, 800).contains(all), "\(subject) \(quota)")
        }
    }

    @Test("patterns that would explode take steps in proportion", arguments: Subject.allCases)
    func patterns(subject: Subject) throws {
        let bombs = ["(a*)*b", "(a|aa)+", "(a|a?)+b", "((((a*)*)*)*)*b", "(.*)(.*)(.*)(.*)(.*)b"]
        for bomb in bombs {
            #expect(try TextPattern(bomb).size <= 100)
            var cluster = Cluster(subject)
            let rule = AttributeConstraint(
                selector: .attribute("text"), predicate: .textMatches(bomb))
            cluster.framework(
                "f", ["r"], constraints: [OfferConstraint(role: "r", groups: [[rule]])])
            let text = String(repeating: "a", count: 2000)
            cluster.agent("n", size(1, 100), [Attribute(name: "text", value: .text(text))])
            let matches = bomb == "(a|aa)+"
            #expect(cluster.round().isEmpty == !matches)
        }
        // What cannot be read matches nothing, whichever way it is asked.
        for predicate in [
            AttributeConstraint.Predicate.textMatches("(["), .textMatches("a{100000}"),
            .textMatches(String(repeating: "(", count: 4000)),
        ] {
            var cluster = Cluster(subject)
            let rule = AttributeConstraint(selector: .hostname, predicate: predicate)
            cluster.framework(
                "f", ["r"], constraints: [OfferConstraint(role: "r", groups: [[rule]])])
            cluster.agent("n", size(1, 100))
            #expect(cluster.round().isEmpty)
        }
    }

    @Test("time that runs backwards is survived", arguments: Subject.allCases)
    func backwards(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agent("n", size(1, 100))
        for now in [Instant.distantFuture, .distantPast, .zero] {
            cluster.now = now
            for refuse in [Duration.seconds(Int64.max), .seconds(Int64.min), .nanoseconds(1)] {
                cluster.allocator.revive("f", roles: ["r"])
                cluster.declineAll(cluster.round(), refuse)
            }
            cluster.allocator.awaitAgents(.max, until: now)
            cluster.allocator.awaitAgents(.min, until: now)
        }
        cluster.allocator.revive("f", roles: ["r"])
        #expect(cluster.round().count == 1)
    }

    @Test("agents without anything, or with a negative amount, are no offers")
    func emptyAgents() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject) { $0.minimums = [] }
            cluster.framework("f", ["r"])
            cluster.agent("n", Resources())
            cluster.agent("m", Resources([Resource("cpus", .scalar(Milli(-1)))]))
            for grant in cluster.round() {
                #expect(grant.allocation.agent == "m", "\(subject)")
            }
            cluster.allocator.removeAgent("m")
            cluster.agent("o", size(1))
            #expect(cluster.round().agents == ["o"], "\(subject)")
        }
    }
}
