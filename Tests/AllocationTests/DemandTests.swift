import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

func demand(
    _ id: String, _ role: String, cpus: Int = 1, mem: Int = 0, count: Int = 1,
    _ change: (inout Demand) -> Void = { _ in }
) -> Demand {
    var demand = Demand(
        id: id, role: role, resources: amounts(["cpus": cpus, "mem": mem]), count: count)
    change(&demand)
    return demand
}

extension Cluster {
    mutating func demands(_ framework: FrameworkID, _ demands: Demand...) {
        allocator.setDemands(framework, demands, at: now)
    }
}

extension [Grant] {
    func instances(_ framework: FrameworkID, _ demand: String? = nil) -> Int {
        reduce(0) {
            $1.allocation.framework == framework && (demand == nil || $1.demandID == demand)
                ? $0 + $1.instances : $0
        }
    }
}

/// Frameworks that say what they want.
@Suite("Demand")
struct DemandTests {
    @Test("only what fits is offered, and so many instances as are wanted")
    func fits() {
        for subject in Subject.with(.demand) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.demands("f", demand("d", "r", cpus: 2, mem: 200, count: 3))
            cluster.agent("n1", size(1, 4000))
            cluster.agent("n2", size(5, 300))
            cluster.agent("n3", size(9, 9000))
            let grants = cluster.round()
            #expect(!grants.agents.contains("n1"))
            #expect(grants.instances("f", "d") == 3)
            for grant in grants {
                let need = size(2 * grant.instances, 200 * grant.instances)
                #expect(grant.allocation.resources.isSame(as: need))
                #expect(grant.demandID == "d" && grant.gang == nil)
            }
        }
    }

    @Test("what nothing fits gets no offer at all", arguments: Subject.with(.demand))
    func nothingFits(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", cpus: 5))
        cluster.agents(10, size(4, 4000))
        #expect(cluster.round().isEmpty)
        cluster.agent("big", size(5))
        #expect(cluster.round().agents == ["big"])
    }

    @Test("instances in outstanding offers are covered", arguments: Subject.with(.demand))
    func outstanding(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 4))
        cluster.agent("n", size(3))
        let first = cluster.round()
        #expect(first.instances("f") == 3)
        cluster.agent("m", size(8))
        let second = cluster.round()
        #expect(second.instances("f") == 1)
        cluster.agent("o", size(8))
        #expect(cluster.round().isEmpty)
        cluster.declineAll(second, .seconds(60))
        #expect(cluster.round().instances("f") == 1)
    }

    @Test("what is launched is taken off until demand is stated anew")
    func used() {
        for subject in Subject.with(.demand) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.demands("f", demand("d", "r", count: 2))
            cluster.agent("n", size(10))
            let first = cluster.round()
            #expect(first.instances("f") == 2, "\(subject)")
            cluster.acceptAll(first)
            cluster.agent("m", size(10))
            #expect(cluster.round().isEmpty, "\(subject)")
            cluster.finishAll(first)
            #expect(cluster.round().isEmpty, "\(subject)")
            cluster.demands("f", demand("d", "r", count: 2))
            #expect(cluster.round().instances("f") == 2, "\(subject)")
        }
    }

    @Test("an offer that is used in part covers that part only", arguments: Subject.with(.demand))
    func usedInPart(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 4) { $0.perOffer = 4 })
        cluster.agent("n", size(4))
        let grants = cluster.round()
        #expect(grants.count == 1 && grants[0].instances == 4)
        cluster.accept(grants[0], size(1), refuse: .seconds(1000))
        cluster.agent("m", size(9))
        #expect(cluster.round().instances("f") == 3)
    }

    @Test("a framework whose demand is met gets nothing", arguments: Subject.with(.demand))
    func met(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 0))
        cluster.agents(3, size(4))
        #expect(cluster.round().isEmpty)
        cluster.allocator.setDemands("f", [], at: cluster.now)
        #expect(cluster.round().count == 3)
    }

    @Test("demand in one role brings no offers in another", arguments: Subject.with(.demand))
    func otherRole(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r", "s"])
        cluster.demands("f", demand("d", "s", count: 2))
        cluster.agents(3, size(1))
        let grants = cluster.round()
        #expect(grants.roles == ["s", "s"])
        cluster.demands("f", demand("d", "unknown", count: 2))
        #expect(cluster.round().isEmpty)
    }

    @Test("new demand replaces the old", arguments: Subject.with(.demand))
    func replaced(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", cpus: 9, count: 5))
        cluster.agent("n", size(4))
        #expect(cluster.round().isEmpty)
        cluster.demands("f", demand("e", "r", cpus: 2))
        #expect(cluster.allocator.needsAllocation)
        let grants = cluster.round()
        #expect(grants.map(\.demandID) == ["e"])
        #expect(grants.resources == [size(2)])
    }

    @Test("an offer carries no more instances than is allowed", arguments: Subject.with(.demand))
    func perOffer(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 7) { $0.perOffer = 2 })
        cluster.agent("n", size(20))
        let grants = cluster.round()
        #expect(grants.allSatisfy { $0.instances <= 2 })
        #expect(grants.instances("f") == 7)
    }

    @Test("an agent gets no more instances than is allowed", arguments: Subject.with(.demand))
    func perAgent(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 7) { $0.perAgent = 2 })
        cluster.agents(3, size(20))
        let grants = cluster.round()
        #expect(grants.instances("f") == 6)
        for agent in ["n00", "n01", "n02"] as [AgentID] {
            let here = grants.filter { $0.allocation.agent == agent }
            #expect(here.instances("f") == 2)
        }
        cluster.acceptAll(grants)
        cluster.agents(3, size(21))
        #expect(cluster.round().isEmpty)
        cluster.agent("n03", size(4))
        #expect(cluster.round().instances("f") == 1)
    }

    @Test("a task that ends makes room for one more on its agent", arguments: Subject.with(.demand))
    func perAgentFreed(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 3) { $0.perAgent = 1 })
        cluster.agent("n", size(20))
        let first = cluster.round()
        #expect(first.instances("f") == 1)
        cluster.acceptAll(first)
        #expect(cluster.round().isEmpty)
        cluster.finishAll(first)
        #expect(cluster.round().instances("f") == 1)
    }

    @Test("ports are offered as many as are needed", arguments: Subject.with(.demand))
    func portCount(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 5) { $0.ports = 2 })
        cluster.agent("n", Resources([scalar("cpus", 9), ports(31000...31004)]))
        let grants = cluster.round()
        #expect(grants.instances("f") == 2)
        for grant in grants {
            #expect(grant.allocation.resources.ports.count == UInt64(2 * grant.instances))
        }
    }

    @Test("a demand for ports alone is one too", arguments: Subject.with(.demand))
    func portsOnly(subject: Subject) {
        var cluster = Cluster(subject) { $0.minimums = [] }
        cluster.framework("f", ["r"])
        let wanted = Demand(id: "d", role: "r", resources: ResourceQuantities(), ports: 3)
        cluster.demands("f", wanted)
        cluster.agent("n", Resources([scalar("cpus", 9), ports(31000...31004)]))
        #expect(cluster.round().resources == [Resources([ports(31000...31002)])])
    }

    @Test("the agents of a demand are those its constraints name", arguments: Subject.with(.demand))
    func constraints(subject: Subject) {
        var cluster = Cluster(subject)
        let rack = { (value: String) in
            [
                AttributeConstraint(
                    selector: .attribute("rack"), predicate: .textEquals(value))
            ]
        }
        cluster.framework("f", ["r"])
        cluster.demands(
            "f",
            demand("d", "r", count: 9) { $0.constraints = [rack("r1"), rack("r3")] })
        for number in 1...4 {
            cluster.agent(
                AgentID("n\(number)"), size(1),
                [Attribute(name: "rack", value: .text("r\(number)"))])
        }
        #expect(cluster.round().agents == ["n1", "n3"])
    }

    @Test("constraints of the framework hold as well", arguments: Subject.with(.demand))
    func bothConstraints(subject: Subject) {
        var cluster = Cluster(subject)
        let host = { (names: String) in
            [[AttributeConstraint(selector: .hostname, predicate: .textMatches(names))]]
        }
        cluster.framework(
            "f", ["r"],
            constraints: [OfferConstraint(role: "r", groups: host("n0[12].host"))])
        cluster.demands("f", demand("d", "r", count: 9) { $0.constraints = host("n0[23].host") })
        cluster.agents(4, size(1))
        #expect(cluster.round().agents == ["n02"])
    }

    @Test("demand of higher priority is served first", arguments: Subject.with(.demand))
    func priority(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.demands(
            "f", demand("low", "r", count: 9), demand("high", "r", count: 2) { $0.priority = 5 })
        cluster.demands("g", demand("mid", "s", count: 2) { $0.priority = 3 })
        cluster.agents(5, size(1))
        let grants = cluster.round()
        #expect(grants.instances("f", "high") == 2)
        #expect(grants.instances("g", "mid") == 2)
        #expect(grants.instances("f", "low") == 1)
    }

    @Test("demand of a negative priority comes last", arguments: Subject.with(.demand))
    func negativePriority(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.demands("f", demand("a", "r", count: 9) { $0.priority = -1 })
        cluster.demands("g", demand("b", "s", count: 3))
        cluster.agents(4, size(1))
        let grants = cluster.round()
        #expect(grants.instances("g") == 3)
        #expect(grants.instances("f") == 1)
    }

    @Test("those who wait divide a large agent evenly", arguments: Subject.with(.demand), [2, 4])
    func part(subject: Subject, frameworks: Int) {
        var cluster = Cluster(subject)
        for number in 0..<frameworks {
            cluster.framework(FrameworkID("f\(number)"), ["r\(number)"])
            cluster.demands(
                FrameworkID("f\(number)"), demand("d", "r\(number)", mem: 10, count: 1000))
        }
        cluster.agent("n", size(40, 4000))
        let grants = cluster.round()
        for number in 0..<frameworks {
            #expect(grants.instances(FrameworkID("f\(number)")) == 40 / frameworks)
        }
        #expect(grants.allSatisfy { $0.instances <= 40 / frameworks })
    }

    @Test("an instance larger than a fair part is offered all the same")
    func atLeastOne() {
        for subject in Subject.with(.demand) {
            var cluster = Cluster(subject)
            for name in ["f", "g", "h"] {
                cluster.framework(FrameworkID(name), [name])
                cluster.demands(FrameworkID(name), demand("d", name, cpus: 8, count: 3))
            }
            cluster.agent("n", size(10))
            let grants = cluster.round()
            #expect(grants.map(\.instances) == [1], "\(subject)")
        }
    }

    @Test("one who waits alone gets all it wants", arguments: Subject.with(.demand))
    func alone(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"], suppressed: ["s"])
        cluster.demands("f", demand("d", "r", count: 30))
        cluster.agent("n", size(40))
        #expect(cluster.round().instances("f") == 30)
    }

    @Test("classic frameworks and those with demand share fairly", arguments: Subject.with(.demand))
    func mixed(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.demands("f", demand("d", "r", mem: 100, count: 100))
        cluster.agents(12, size(1, 100))
        let grants = cluster.round()
        #expect(grants.count("f") == 6)
        #expect(grants.count("g") == 6)
        for grant in grants where grant.allocation.framework == "g" {
            #expect(grant.demandID == nil && grant.instances == 0)
        }
    }

    @Test("what is refused is not offered for the demand either", arguments: Subject.with(.demand))
    func refused(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 2) { $0.perOffer = 2 })
        cluster.agent("n", size(4))
        cluster.declineAll(cluster.round(), .seconds(10))
        #expect(cluster.round().isEmpty)
        cluster.wait(.seconds(10))
        #expect(cluster.round().instances("f") == 2)
    }

    @Test("quota limits hold for demand", arguments: Subject.with(.demand))
    func quotaLimit(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q/x"])
        cluster.demands("f", demand("d", "q/x", cpus: 2, count: 9))
        cluster.allocator.setQuota(
            Quota(role: "q", limits: [QuotaLimit(name: "cpus", amount: Milli(7))]))
        cluster.agents(2, size(10))
        let grants = cluster.round()
        #expect(grants.instances("f") == 3)
    }

    @Test("guarantees of others hold for demand", arguments: Subject.with(.demand))
    func headroom(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", cpus: 2, count: 9))
        cluster.allocator.setQuota(Quota(role: "q", guarantees: amounts(["cpus": 5])))
        cluster.agent("n", size(10))
        #expect(cluster.round().instances("f") == 2)
    }

    @Test("reserved resources serve demand of their role", arguments: Subject.with(.demand))
    func reserved(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.demands("f", demand("d", "r", cpus: 3))
        cluster.demands("g", demand("e", "s", cpus: 3))
        cluster.agent("n", Resources([scalar("cpus", 2, ["r"]), scalar("cpus", 2)]))
        let grants = cluster.round()
        #expect(grants.frameworks == ["f"])
        #expect(grants.total("f").cpus == Milli(3))
    }

    @Test("revocable resources do not meet demand", arguments: Subject.with(.demand))
    func revocable(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", cpus: 3))
        cluster.agent(
            "n", Resources([scalar("cpus", 2), scalar("cpus", 9, isRevocable: true)]))
        #expect(cluster.round().isEmpty)
    }

    @Test("who only declines is asked less and less often", arguments: Subject.with(.demand))
    func backOff(subject: Subject) {
        var cluster = Cluster(subject) { $0.backOffLimit = .seconds(120) }
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r"))
        cluster.agent("n", size(1))
        var offers = 0
        // Ten minutes in steps of a second, each offer refused for a second.
        for _ in 0..<600 {
            for grant in cluster.round() {
                offers += 1
                cluster.decline(grant, .seconds(1))
            }
            cluster.wait(.seconds(1))
        }
        #expect(offers >= 5)
        #expect(offers < 100)
        #expect(cluster.allocator.nextDeadline.map { $0 <= cluster.now + .seconds(121) } == true)
        cluster.allocator.revive("f", roles: ["r"])
        #expect(cluster.round().count == 1)
    }

    @Test("who takes what is offered is not slowed down", arguments: Subject.with(.demand))
    func noBackOff(subject: Subject) {
        var cluster = Cluster(subject) { $0.backOffLimit = .seconds(120) }
        cluster.framework("f", ["r"])
        cluster.agent("n", size(1))
        for _ in 0..<40 {
            cluster.demands("f", demand("d", "r"))
            let grants = cluster.round()
            #expect(grants.count == 1)
            cluster.acceptAll(grants)
            cluster.finishAll(grants)
            cluster.wait(.seconds(1))
        }
    }

    @Test("a stopped or removed framework drops its demand", arguments: Subject.with(.demand))
    func stopped(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("d", "r", count: 2))
        cluster.allocator.setActive(framework: "f", false)
        cluster.agents(4, size(1))
        #expect(cluster.round().isEmpty)
        #expect(cluster.allocator.shortfalls(at: cluster.now).isEmpty)
        cluster.allocator.removeFramework("f")
        cluster.framework("f", ["r"])
        #expect(cluster.round().count == 4)
        #expect(cluster.allocator.shortfalls(at: cluster.now).isEmpty)
    }

    @Test("what is missing is said, the most urgent first", arguments: Subject.with(.demand))
    func shortfalls(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.wait(.seconds(9))
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.demands("f", demand("low", "r", cpus: 2, count: 5))
        cluster.demands("g", demand("high", "s", cpus: 3, count: 2) { $0.priority = 7 })
        cluster.agent("n", size(5))
        let grants = cluster.round()
        #expect(grants.instances("g") == 1)
        #expect(grants.instances("f") == 1)
        cluster.wait(.seconds(3))
        let missing = cluster.allocator.shortfalls(at: cluster.now)
        #expect(missing.map(\.framework) == ["g", "f"])
        #expect(missing.map(\.demand.count) == [1, 4])
        #expect(missing.map(\.demand.id) == ["high", "low"])
        #expect(missing.allSatisfy { !$0.isGuaranteed && $0.since <= cluster.now })
        #expect(missing.allSatisfy { $0.since >= .zero + .seconds(9) })
        cluster.agent("m", size(50))
        #expect(cluster.round().instances("f") == 4)
        #expect(cluster.allocator.shortfalls(at: cluster.now).isEmpty)
    }

    @Test("a shortfall below a guarantee says so", arguments: Subject.with(.demand))
    func guaranteedShortfall(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.framework("g", ["g"])
        cluster.agent("n", size(4))
        cluster.hold("g", "g", "n", size(4))
        cluster.allocator.setQuota(Quota(role: "q", guarantees: amounts(["cpus": 2])))
        cluster.demands("f", demand("d", "q", count: 2))
        #expect(cluster.round().isEmpty)
        let missing = cluster.allocator.shortfalls(at: cluster.now)
        #expect(missing.contains { $0.framework == "f" && $0.isGuaranteed })
    }
}
