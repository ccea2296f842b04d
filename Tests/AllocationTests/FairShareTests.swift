import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// An allocator with named agents and frameworks, and shorter calls.
struct Bench {
    var allocator: HierarchicalAllocator
    var now = Instant.zero

    init(_ change: (inout HierarchicalAllocator.Options) -> Void = { _ in }) {
        var options = HierarchicalAllocator.Options()
        options.returnPauseLimit = .zero
        change(&options)
        allocator = HierarchicalAllocator(options: options)
    }

    mutating func framework(
        _ id: FrameworkID, _ roles: [String] = ["*"], capabilities: FrameworkCapabilities = [],
        constraints: [OfferConstraint] = []
    ) {
        allocator.setFramework(
            AllocatorFramework(
                id: id, roles: roles, capabilities: capabilities, constraints: constraints),
            isActive: true)
    }

    mutating func agent(_ id: AgentID, _ resources: Resources, _ attributes: [Attribute] = []) {
        allocator.setAgent(
            AgentInfo(hostname: id.value, resources: resources, attributes: attributes, id: id),
            isActive: true)
    }

    mutating func round() -> [Allocation] {
        var grants: [Grant] = []
        allocator.allocate(at: now, into: &grants)
        return grants.map(\.allocation)
    }

    mutating func decline(_ grant: Allocation, _ refuse: Duration? = nil) {
        allocator.recover(grant, wasOffered: true, refuse: refuse, at: now)
    }

    /// Uses a part of a grant and returns the rest without a refusal.
    mutating func use(_ grant: Allocation, _ part: Resources) {
        var used = grant
        used.resources = part
        allocator.use(used)
        var rest = grant
        rest.resources -= part
        decline(rest)
    }

    /// Launches one task of the given size per offer until nobody can; returns who launched.
    mutating func fill(_ demand: [FrameworkID: Resources]) -> [FrameworkID] {
        var order: [FrameworkID] = []
        var idle = 0
        while idle < 4 {
            let grants = round()
            if grants.isEmpty { break }
            for grant in grants {
                guard let size = demand[grant.framework], grant.resources.contains(size) else {
                    decline(grant, .seconds(1000))
                    idle += 1
                    continue
                }
                order.append(grant.framework)
                use(grant, size)
                idle = 0
            }
        }
        return order
    }
}

@Suite("Fair sharing")
struct FairShareTests {
    private func size(_ cpus: Int, _ gigabytes: Int) -> Resources {
        Resources(cpus: Milli(cpus), mem: Milli(gigabytes * 1024))
    }

    @Test("the example of the DRF paper ends at three tasks of A and two of B")
    func paper() {
        var bench = Bench()
        bench.framework("a", ["a"])
        bench.framework("b", ["b"])
        bench.agent("n", size(9, 18))
        let order = bench.fill(["a": size(1, 4), "b": size(3, 1)])
        #expect(order == ["a", "b", "a", "b", "a"])
        #expect(bench.allocator.shareMillionths(role: "a") == 666_666)
        #expect(bench.allocator.shareMillionths(framework: "b") == 666_666)
    }

    @Test("a role of weight two gets twice as much")
    func weights() {
        var bench = Bench()
        bench.framework("a", ["a"])
        bench.framework("b", ["b"])
        bench.allocator.setWeight(role: "b", thousandths: 2000)
        bench.agent("n", Resources(cpus: Milli(12)))
        let one = Resources(cpus: Milli(1))
        let order = bench.fill(["a": one, "b": one])
        #expect(order.count { $0 == "a" } == 4)
        #expect(order.count { $0 == "b" } == 8)
    }

    @Test("frameworks of one role share it evenly, roles come first")
    func withinRole() {
        var bench = Bench()
        bench.framework("x", ["eng"])
        bench.framework("y", ["eng"])
        bench.framework("z", ["ops"])
        for number in 0..<8 { bench.agent(AgentID("n\(number)"), Resources(cpus: Milli(1))) }
        var count: [FrameworkID: Int] = [:]
        for _ in 0..<8 {
            for grant in bench.round() {
                count[grant.framework, default: 0] += 1
                bench.allocator.use(grant)
            }
        }
        #expect(count == ["x": 2, "y": 2, "z": 4])
    }

    @Test("shares are compared exactly, however large the numbers")
    func exact() {
        var held = Amounts()
        var total = Amounts()
        held[0] = .max / 3
        total[0] = .max
        let third = DominantShare(held, of: total, counted: ~0)
        held[0] += 1
        let more = DominantShare(held, of: total, counted: ~0)
        #expect(third.precedes(more, weight: 1 << 20, otherWeight: 1 << 20) == true)
        #expect(more.precedes(third, weight: 1 << 20, otherWeight: 1 << 20) == false)
        #expect(third.precedes(third, weight: 7, otherWeight: 7) == nil)
        #expect(more.precedes(third, weight: 2, otherWeight: 1) == true)
    }

    @Test("a refusal holds for as much or less of the agent, until its time")
    func refusals() {
        var bench = Bench()
        bench.framework("a")
        bench.agent("n", size(4, 4))
        bench.decline(bench.round()[0], .seconds(5))
        #expect(bench.round().isEmpty)
        #expect(bench.allocator.nextDeadline == .zero + .seconds(5))
        bench.agent("n", size(2, 2))
        #expect(bench.round().isEmpty)
        bench.agent("n", size(5, 4))
        let larger = bench.round()
        #expect(larger.map(\.resources) == [size(5, 4)])
        bench.decline(larger[0], .seconds(5))
        bench.now = .zero + .seconds(5)
        #expect(bench.round().count == 1)
        #expect(bench.allocator.nextDeadline == nil)
    }

    @Test("refusals that are forgotten leave no timer behind")
    func forgottenRefusals() {
        var bench = Bench()
        bench.framework("a")
        bench.agent("n", size(4, 4))
        for _ in 0..<5 {
            bench.decline(bench.round()[0], .seconds(500))
            bench.allocator.revive("a", roles: ["*"])
        }
        #expect(bench.allocator.nextDeadline == nil)
        bench.decline(bench.round()[0], .seconds(500))
        bench.allocator.removeAgent("n")
        #expect(bench.allocator.nextDeadline == nil)
    }

    @Test("a suppressed or inactive framework gets nothing and is not waited for")
    func suppression() {
        var bench = Bench()
        bench.framework("a")
        bench.framework("b")
        bench.agent("n", size(4, 4))
        bench.allocator.suppress("a", roles: ["*"])
        let grants = bench.round()
        #expect(grants.map(\.framework) == ["b"])
        bench.allocator.setActive(framework: "b", false)
        bench.decline(grants[0])
        #expect(bench.round().isEmpty)
        #expect(!bench.allocator.needsAllocation)
        bench.allocator.revive("a", roles: ["*"])
        #expect(bench.round().map(\.framework) == ["a"])
    }

    @Test("what is too little is not offered: cpus or memory must reach the minimum")
    func minimum() {
        var bench = Bench()
        bench.framework("a")
        bench.agent("n1", Resources(cpus: Milli(thousandths: 9), mem: Milli(31)))
        bench.agent("n2", Resources(cpus: Milli(thousandths: 10)))
        bench.agent("n3", Resources(mem: Milli(32)))
        #expect(bench.round().map(\.agent) == ["n2", "n3"])
    }

    @Test("reserved resources go to their role and those below it only")
    func reservations() {
        var bench = Bench()
        bench.framework("a", ["r/s"])
        bench.framework("b", ["rs"])
        let kept = [Reservation(kind: .static, role: "r")]
        bench.agent(
            "n",
            Resources([
                Resource("cpus", .scalar(Milli(1)), reservations: kept),
                Resource("mem", .scalar(Milli(100))),
            ]))
        let first = bench.round()
        #expect(first.map(\.framework) == ["a"])
        bench.allocator.suppress("a", roles: ["r/s"])
        bench.decline(first[0])
        #expect(bench.round().map(\.resources) == [Resources(mem: Milli(100))])
    }

    @Test("an agent with GPUs is kept for frameworks that can use them")
    func gpus() {
        var bench = Bench()
        bench.framework("a")
        bench.agent(
            "n",
            Resources([Resource("gpus", .scalar(Milli(1))), Resource("cpus", .scalar(Milli(1)))]))
        #expect(bench.round().isEmpty)
        bench.framework("b", capabilities: .gpuResources)
        #expect(bench.round().map(\.framework) == ["b"])
    }

    @Test(
        "constraints decide which agents are heard of",
        arguments: [
            (AttributeConstraint.Predicate.exists, ["n1", "n2"]), (.notExists, ["n3"]),
            (.textEquals("r1"), ["n1"]), (.textNotEquals("r1"), ["n2", "n3"]),
            (.textMatches("r[12]"), ["n1", "n2"]), (.textMatches("r"), []),
            (.textNotMatches("r1"), ["n2", "n3"]), (.textMatches("("), []),
        ] as [(AttributeConstraint.Predicate, [AgentID])])
    func constraints(predicate: AttributeConstraint.Predicate, agents: [AgentID]) {
        var bench = Bench()
        let constraint = AttributeConstraint(selector: .attribute("rack"), predicate: predicate)
        bench.framework(
            "a", constraints: [OfferConstraint(role: "*", groups: [[constraint]])])
        for (agent, rack) in [("n1", "r1"), ("n2", "r2"), ("n3", nil)] as [(AgentID, String?)] {
            bench.agent(
                agent, size(1, 1), rack.map { [Attribute(name: "rack", value: .text($0))] } ?? [])
        }
        #expect(bench.round().map(\.agent) == agents)
    }

    @Test("what nobody holds cannot be given back")
    func unheld() {
        var bench = Bench()
        bench.framework("a")
        bench.agent("n", size(4, 4))
        let grant = bench.round()[0]
        bench.decline(grant)
        bench.decline(grant)
        #expect(bench.allocator.shareMillionths(framework: "a") == 0)
        #expect(bench.round().map(\.resources) == [size(4, 4)])
    }

    @Test("an agent that goes takes what was used and offered there out of the books")
    func removal() {
        var bench = Bench()
        bench.framework("a")
        bench.agent("n", size(4, 4))
        let grant = bench.round()[0]
        var part = grant
        part.resources = size(1, 1)
        bench.allocator.use(part)
        bench.allocator.removeAgent("n")
        #expect(bench.allocator.frameworks.allSatisfy { $0.offered.isZero && $0.held.isZero })
        #expect(bench.allocator.total.isZero && bench.allocator.available.isZero)
    }

    @Test("a deactivated agent is not offered until it is active again")
    func deactivated() {
        var bench = Bench()
        bench.framework("a")
        bench.agent("n", size(4, 4))
        bench.allocator.setActive(agent: "n", false)
        #expect(bench.round().isEmpty)
        bench.allocator.setActive(agent: "n", true)
        #expect(bench.round().count == 1)
    }

    @Test("a thousand agents and a hundred frameworks are served in one round, alike each time")
    func large() {
        func run() -> [Allocation] {
            var bench = Bench { $0.offeredLimitThousandths = 1000 }
            for number in 0..<100 {
                bench.framework(FrameworkID("f\(number)"), ["r\(number % 10)"])
            }
            for number in 0..<1000 { bench.agent(AgentID("n\(number)"), size(4, 4)) }
            return bench.round()
        }
        let grants = run()
        #expect(grants.count == 1000)
        var count: [FrameworkID: Int] = [:]
        for grant in grants { count[grant.framework, default: 0] += 1 }
        #expect(count.count == 100 && count.values.allSatisfy { $0 == 10 })
        #expect(run() == grants)
    }
}
