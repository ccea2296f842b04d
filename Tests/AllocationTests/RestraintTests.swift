import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// What keeps one framework from sitting on the cluster, and a round from doing more than it must.
@Suite("Restraint")
struct RestraintTests {
    @Test("nobody holds more than its part in offers while another waits")
    func offeredLimit() {
        for subject in Subject.with(.restraint) {
            for limit in [500, 1000] as [UInt64] {
                var cluster = Cluster(subject) { $0.offeredLimitThousandths = limit }
                cluster.framework("f", ["r"])
                let rule = AttributeConstraint(selector: .hostname, predicate: .textEquals("x"))
                cluster.framework(
                    "g", ["s"], constraints: [OfferConstraint(role: "s", groups: [[rule]])])
                cluster.agents(10, size(1, 100))
                let grants = cluster.round()
                #expect(grants.count("f") == (limit == 500 ? 5 : 10), "\(subject)")
                cluster.allocator.suppress("g", roles: ["s"])
                #expect(cluster.round().count("f") == (limit == 500 ? 5 : 0), "\(subject)")
            }
        }
    }

    /// Sixteen agents, "f" of the role "r" that takes any, and eight of the role "s" that no agent
    /// does for.
    private func nineWait(_ subject: Subject) -> Cluster {
        var cluster = Cluster(subject) { $0.offeredLimitThousandths = 500 }
        cluster.framework("f", ["r"])
        let rule = AttributeConstraint(selector: .hostname, predicate: .textEquals("x"))
        for number in 0..<8 {
            cluster.framework(
                FrameworkID("g\(number)"), ["s"],
                constraints: [OfferConstraint(role: "s", groups: [[rule]])])
        }
        cluster.agents(16, size(1, 100))
        return cluster
    }

    @Test("the more wait, the less one may hold in offers; room comes back as they leave")
    func offeredLimitOfMany() {
        for subject in Subject.with(.restraint) {
            var cluster = nineWait(subject)
            // Nine wait, and count as sixteen: two sixteenths.
            #expect(cluster.round().count("f") == 2, "\(subject)")
            cluster.allocator.suppress("g0", roles: ["s"])
            #expect(cluster.round().count("f") == 2, "\(subject)")
            for number in 1..<8 {
                cluster.allocator.suppress(FrameworkID("g\(number)"), roles: ["s"])
            }
            #expect(cluster.round().count("f") == 12, "\(subject)")
        }
    }

    @Test("the limit is exact for a thousand who wait: each gets its equal part at once")
    func offeredLimitOfThousands() {
        for subject in Subject.with(.restraint) {
            var cluster = Cluster(subject) { $0.offeredLimitThousandths = 500 }
            for number in 0..<1000 { cluster.framework(FrameworkID("f\(number)"), ["r"]) }
            cluster.agents(1000, size(1, 100))
            #expect(cluster.round().count == 1000, "\(subject)")
            // A limit of one equal part would keep these back till the next thousand.
            for number in 0..<100 {
                cluster.agent(AgentID("m\(number)"), size(1, 100))
                #expect(cluster.round().count == 1, "\(subject)")
            }
        }
    }

    @Test("a guarantee is not kept back because its framework holds many offers")
    func offeredLimitAndGuarantee() {
        for subject in Subject.with([.restraint, .quota]) {
            var cluster = nineWait(subject)
            #expect(cluster.round().count("f") == 2, "\(subject)")
            cluster.allocator.setQuota(Quota(role: "r", guarantees: amounts(["cpus": 5])))
            #expect(cluster.round().count("f") == 3, "\(subject)")
        }
    }

    @Test("a cluster that grows makes room for offers on the agents it had")
    func growth() {
        for subject in Subject.with(.restraint) {
            var cluster = Cluster(subject) { $0.offeredLimitThousandths = 500 }
            cluster.framework("f", ["r"])
            let rule = AttributeConstraint(selector: .hostname, predicate: .textEquals("x"))
            cluster.framework(
                "g", ["s"], constraints: [OfferConstraint(role: "s", groups: [[rule]])])
            cluster.agents(8, size(1, 100))
            #expect(cluster.round().count("f") == 4, "\(subject)")
            // It wants none of the new ones.
            let other = AttributeConstraint(
                selector: .hostname, predicate: .textNotEquals("m.host"))
            cluster.framework(
                "f", ["r"], constraints: [OfferConstraint(role: "r", groups: [[other]])])
            #expect(cluster.round().isEmpty, "\(subject)")
            cluster.agent("m", size(8, 800))
            #expect(cluster.round().count("f") == 4, "\(subject)")
        }
    }

    @Test("what many have declined goes first to those who are known to want something")
    func known() {
        for subject in Subject.with(.restraint) {
            for isStated in [true, false] {
                var cluster = Cluster(subject) { $0.declinesBeforeKnown = 3 }
                cluster.framework("worker", ["w"])
                if isStated {
                    cluster.allocator.setDemands(
                        "worker",
                        [Demand(id: "d", role: "w", resources: size(1, 100).quantities, count: 9)],
                        at: cluster.now)
                }
                cluster.agents(1, size(1, 100))
                cluster.acceptAll(cluster.round())
                for number in 0..<6 { cluster.framework(FrameworkID("idle\(number)"), ["i"]) }
                cluster.agent("m", size(1, 100))
                // Having nothing, the idle ones come first, but only three of them.
                for number in 0..<3 {
                    let grants = cluster.round()
                    #expect(grants.frameworks == [FrameworkID("idle\(number)")], "\(subject)")
                    cluster.declineAll(grants, .seconds(5))
                }
                let grants = cluster.round()
                #expect(grants.frameworks == ["worker"], "\(subject)")
                cluster.acceptAll(grants)
                cluster.finish(grants[0])
                #expect(cluster.round().frameworks == ["idle3"], "\(subject)")
            }
        }
    }

    @Test("a crowd that only declines is asked seldom, until one of it wants something")
    func crowd() {
        for subject in Subject.with(.restraint) {
            var cluster = Cluster(subject) { $0.declinesBeforeKnown = 3 }
            cluster.framework("worker", ["w"])
            cluster.agents(2, size(1, 100))
            var held = cluster.round()
            cluster.acceptAll(held)
            // Holding the other one, it comes last.
            held.removeFirst()
            for number in 0..<300 { cluster.framework(FrameworkID("idle\(number)"), ["i"]) }
            /// How many others are offered a slot before the worker has it again.
            func others(using isNew: Bool = false) -> Int {
                cluster.finishAll(held)
                var count = 0
                while true {
                    held = cluster.round()
                    if held.frameworks == ["worker"] || held.isEmpty { break }
                    count += 1
                    if isNew { break }
                    cluster.declineAll(held, .seconds(5))
                }
                cluster.acceptAll(held)
                return count
            }
            #expect((0..<10).map { _ in others() } == Array(repeating: 3, count: 10), "\(subject)")
            #expect((0..<320).reduce(0) { sum, _ in sum + others() } == 10, "\(subject)")
            while others(using: true) == 0 {}
            // One of them has used what it was offered, so the others may want something too.
            held = held.filter { $0.allocation.framework != "worker" }
            #expect(held.count == 1, "\(subject)")
            cluster.finishAll(held)
            let next = cluster.round()
            #expect(next.frameworks != ["worker"], "\(subject)")
        }
    }

    @Test("what is in use is not held in offers", arguments: Subject.with(.restraint))
    func used(subject: Subject) {
        var cluster = Cluster(subject) { $0.offeredLimitThousandths = 500 }
        cluster.framework("f", ["r"])
        let rule = AttributeConstraint(selector: .hostname, predicate: .textEquals("x"))
        cluster.framework("g", ["s"], constraints: [OfferConstraint(role: "s", groups: [[rule]])])
        cluster.agents(10, size(1, 100))
        let first = cluster.round()
        #expect(first.count == 5)
        cluster.acceptAll(first)
        #expect(cluster.round().count == 5)
    }

    @Test("one offer is made even if it is more than the part", arguments: Subject.with(.restraint))
    func first(subject: Subject) {
        var cluster = Cluster(subject) { $0.offeredLimitThousandths = 100 }
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"])
        cluster.agents(2, size(1, 100))
        #expect(cluster.round().frameworks == ["f", "g"])
    }

    @Test("who returns the same without a refusal over and over is given a pause")
    func returns() {
        for subject in Subject.with(.restraint) {
            var cluster = Cluster(subject) { $0.returnPauseLimit = .seconds(1) }
            cluster.framework("f", ["r"])
            cluster.agent("n", size(1, 100))
            var offers = 0
            // A minute in steps of a millisecond, everything returned at once.
            for _ in 0..<60_000 {
                if cluster.allocator.needsAllocation
                    || cluster.allocator.nextDeadline.map({ $0 <= cluster.now }) == true
                {
                    let grants = cluster.round()
                    offers += grants.count
                    cluster.declineAll(grants)
                }
                cluster.wait(.milliseconds(1))
            }
            #expect((30...120).contains(offers), "\(subject) \(offers)")
        }
    }

    @Test("a round with nothing new leaves nothing to do", arguments: Subject.allCases)
    func quiet(subject: Subject) {
        var cluster = Cluster(subject)
        #expect(!cluster.allocator.needsAllocation)
        #expect(cluster.allocator.nextDeadline == nil)
        cluster.framework("f", ["r"])
        cluster.agent("n", size(1, 100))
        #expect(cluster.allocator.needsAllocation)
        let grants = cluster.round()
        #expect(!cluster.allocator.needsAllocation)
        #expect(cluster.round().isEmpty)
        cluster.declineAll(grants)
        #expect(cluster.allocator.needsAllocation)
    }

    @Test("agents are visited in the order of their admission", arguments: Subject.with(.tree))
    func order(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        for name in ["n3", "n1", "n2"] as [AgentID] { cluster.agent(name, size(1, 100)) }
        let first = cluster.round()
        #expect(first.agents == ["n3", "n1", "n2"])
        for grant in first.reversed() { cluster.decline(grant) }
        cluster.agent("n1", size(2, 100))
        #expect(cluster.round().agents == ["n3", "n1", "n2"])
    }

    @Test("an agent that is new comes last, whoever has left", arguments: Subject.with(.tree))
    func orderAfterRemoval(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agents(3, size(1, 100))
        cluster.declineAll(cluster.round())
        cluster.allocator.removeAgent("n00")
        #expect(cluster.round().agents == ["n01", "n02"])
        cluster.agent("n09", size(1, 100))
        cluster.declineAll(cluster.round())
        cluster.agents(3, size(2, 200))
        cluster.allocator.removeAgent("n00")
        cluster.framework("g", ["s"])
        #expect(cluster.round().agents.last == "n09")
    }
}
