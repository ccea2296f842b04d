import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// Which agents and resources a framework may be offered at all.
@Suite("What may be offered")
struct OfferRuleTests {
    private static func rule(
        _ selector: AttributeConstraint.Selector, _ predicate: AttributeConstraint.Predicate
    ) -> AttributeConstraint {
        AttributeConstraint(selector: selector, predicate: predicate)
    }

    private static let cases: [([[AttributeConstraint]], [AgentID])] = [
        ([[rule(.attribute("rack"), .exists)]], ["n1", "n2", "n4"]),
        ([[rule(.attribute("rack"), .notExists)]], ["n3"]),
        ([[rule(.attribute("rack"), .textEquals("r1"))]], ["n1", "n4"]),
        ([[rule(.attribute("rack"), .textNotEquals("r1"))]], ["n2", "n3", "n4"]),
        ([[rule(.attribute("rack"), .textMatches("r[23]"))]], ["n2", "n4"]),
        ([[rule(.attribute("rack"), .textMatches("r"))]], ["n4"]),
        ([[rule(.attribute("rack"), .textNotMatches("r1"))]], ["n2", "n3", "n4"]),
        ([[rule(.hostname, .textEquals("n2.host"))]], ["n2"]),
        ([[rule(.hostname, .textMatches("n[12].host"))]], ["n1", "n2"]),
        ([[rule(.zone, .textEquals("z1"))]], ["n1"]),
        ([[rule(.zone, .notExists)]], ["n3", "n4"]),
        ([[rule(.region, .exists)]], ["n1", "n2"]),
        ([[rule(.region, .textNotEquals("here"))]], ["n3", "n4"]),
        // Every constraint of a group, any group.
        (
            [[rule(.attribute("rack"), .exists), rule(.zone, .textEquals("z2"))]], ["n2"]
        ),
        (
            [[rule(.hostname, .textEquals("n3.host"))], [rule(.zone, .textEquals("z2"))]],
            ["n2", "n3"]
        ),
    ]

    @Test("constraints decide which agents are heard of", arguments: Subject.allCases)
    func constraints(subject: Subject) {
        for (groups, expected) in Self.cases {
            var cluster = Cluster(subject)
            cluster.framework(
                "f", ["r"], constraints: [OfferConstraint(role: "r", groups: groups)])
            let text = { (value: String) in [Attribute(name: "rack", value: .text(value))] }
            let one = size(1, 100)
            cluster.agent("n1", one, text("r1"), domain: FaultDomain(region: "here", zone: "z1"))
            cluster.agent(
                "n2", one, text("r2") + text("r1"), domain: FaultDomain(region: "here", zone: "z2"))
            cluster.agent("n3", one, [Attribute(name: "other", value: .text("r1"))])
            cluster.agent("n4", one, [Attribute(name: "rack", value: .scalar(Milli(1)))])
            #expect(cluster.round().agents == expected, "\(subject): \(groups)")
        }
    }

    @Test("constraints of one role leave another alone", arguments: Subject.allCases)
    func constrainedRole(subject: Subject) {
        var cluster = Cluster(subject)
        let never = OfferConstraint(
            role: "r", groups: [[Self.rule(.attribute("rack"), .exists)]])
        cluster.framework("f", ["r", "s"], constraints: [never])
        cluster.agents(3, size(1, 100))
        #expect(cluster.round().roles == ["s", "s", "s"])
    }

    @Test("an offer reaches one of the minimums, the framework's own or the master's")
    func minimums() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject)
            let own = MinimumOffer(
                role: "s", quantities: [amounts(["cpus": 2, "mem": 200]), amounts(["disk": 10])])
            cluster.framework("f", ["r"])
            cluster.framework("g", ["s"], minimums: [own])
            cluster.agent("n1", Resources(cpus: Milli(thousandths: 9), mem: Milli(31)))
            cluster.agent("n2", Resources(cpus: Milli(thousandths: 10)))
            cluster.agent("n3", Resources(mem: Milli(32)))
            cluster.agent("n4", Resources(disk: Milli(10)))
            #expect(cluster.round().agents == ["n2", "n3", "n4"], "\(subject)")
            cluster.allocator.suppress("f", roles: ["r"])
            cluster.agent("n5", size(2, 199))
            cluster.agent("n6", size(2, 200))
            #expect(cluster.round().agents == ["n6"], "\(subject)")
        }
    }

    @Test("the master's minimums can be changed", arguments: Subject.allCases)
    func mastersMinimums(subject: Subject) {
        var cluster = Cluster(subject) { $0.minimums = [amounts(["disk": 5])] }
        cluster.framework("f")
        cluster.agent("n1", size(4, 4000))
        cluster.agent("n2", Resources(disk: Milli(5)))
        #expect(cluster.round().agents == ["n2"])
    }

    @Test(
        "reserved resources go to their role and those below it",
        arguments: Subject.allCases, [Reservation.Kind.static, .dynamic])
    func reservations(subject: Subject, kind: Reservation.Kind) {
        let all = Resources([
            scalar("cpus", 1, ["eng"], kind: kind), scalar("cpus", 2, ["eng/x"], kind: kind),
            scalar("cpus", 4),
        ])
        for (role, cores) in [
            ("eng", 5), ("eng/x", 7), ("eng/x/y", 7), ("eng/y", 5), ("engine", 4), ("*", 4),
        ] {
            var cluster = Cluster(subject)
            cluster.framework("f", [role])
            cluster.agent("n", all)
            #expect(cluster.round().total("f").cpus == Milli(cores), "\(role)")
        }
    }

    @Test("refined reservations go to those who understand them", arguments: Subject.allCases)
    func refined(subject: Subject) {
        let refined = scalar("cpus", 2, ["eng", "eng/x"])
        var cluster = Cluster(subject)
        cluster.framework("f", ["eng/x"])
        cluster.agent("n", Resources([refined, scalar("cpus", 1), scalar("mem", 100)]))
        let plain = cluster.round()
        #expect(plain.resources == [size(1, 100)])
        cluster.framework("g", ["eng/x"], capabilities: .reservationRefinement)
        #expect(cluster.round().total("g").isSame(as: Resources([refined])))
    }

    @Test("volumes go to their role, shared ones to those who can share them")
    func volumes() {
        for subject in Subject.allCases {
            let own = scalar("disk", 5, ["r"], disk: DiskInfo(persistenceID: "v1"))
            let shared = scalar(
                "disk", 7, ["r"], disk: DiskInfo(persistenceID: "v2"), isShared: true)
            let all = Resources([own, shared, scalar("cpus", 4)])
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.agent("n", all)
            let first = cluster.round()
            let expected = Resources([own, scalar("cpus", 4)])
            #expect(first.total("f").isSame(as: expected), "\(subject)")
            cluster.decline(first[0])
            cluster.framework("f", ["r"], capabilities: .sharedResources)
            #expect(cluster.round().total("f").isSame(as: all), "\(subject)")
        }
    }

    @Test("a shared volume is offered again while it is in use", arguments: Subject.with(.tree))
    func sharedInUse(subject: Subject) {
        let shared = scalar("disk", 7, ["r"], disk: DiskInfo(persistenceID: "v"), isShared: true)
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"], capabilities: .sharedResources)
        cluster.agent("n", Resources([shared, scalar("cpus", 4), scalar("mem", 400)]))
        let first = cluster.round()
        cluster.accept(first[0], Resources([shared, scalar("cpus", 1)]))
        let second = cluster.round()
        let rest = Resources([shared, scalar("cpus", 3), scalar("mem", 400)])
        #expect(second.total("f").isSame(as: rest))
        #expect(cluster.allocator.shareMillionths(framework: "f") == 1_000_000)
        cluster.declineAll(second)
        cluster.finish(first[0], Resources([shared, scalar("cpus", 1)]))
        let all = Resources([shared, scalar("cpus", 4), scalar("mem", 400)])
        #expect(cluster.round().total("f").isSame(as: all))
    }

    @Test("a shared volume goes to one framework in a round", arguments: Subject.with(.tree))
    func sharedOnce(subject: Subject) {
        let shared = scalar("disk", 7, ["r"], disk: DiskInfo(persistenceID: "v"), isShared: true)
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"], capabilities: .sharedResources)
        cluster.framework(
            "g", ["r"], capabilities: [.sharedResources, .revocableResources])
        cluster.agent(
            "n", Resources([shared, scalar("cpus", 4), scalar("cpus", 4, isRevocable: true)]))
        let grants = cluster.round()
        #expect(grants.frameworks == ["f", "g"])
        #expect(grants.count { $0.allocation.resources.contains(Resources([shared])) } == 1)
    }

    @Test("revocable resources go to those who can give them back", arguments: Subject.allCases)
    func revocable(subject: Subject) {
        let spare = scalar("cpus", 3, isRevocable: true)
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agent("n", Resources([spare, scalar("cpus", 1)]))
        #expect(cluster.round().resources == [size(1)])
        cluster.framework("g", ["r"], capabilities: .revocableResources)
        #expect(cluster.round().resources == [Resources([spare])])
    }

    @Test("agents with GPUs are kept for those who use them, if so wished")
    func gpus() {
        for subject in Subject.allCases {
            for keepsGPUs in [true, false] {
                var cluster = Cluster(subject) { $0.keepsGPUs = keepsGPUs }
                cluster.framework("f", ["r"])
                cluster.agent("n", Resources([scalar("gpus", 1), scalar("cpus", 1)]))
                #expect(cluster.round().count == (keepsGPUs ? 0 : 1), "\(subject)")
                cluster.framework("g", ["s"], capabilities: .gpuResources)
                #expect(cluster.round().frameworks == (keepsGPUs ? ["g"] : []), "\(subject)")
            }
        }
    }

    @Test("an agent whose GPUs are in use stays kept", arguments: Subject.allCases)
    func usedGPUs(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"], suppressed: ["s"], capabilities: .gpuResources)
        cluster.agent("n", Resources([scalar("gpus", 1), scalar("cpus", 4)]))
        cluster.hold("g", "s", "n", Resources([scalar("gpus", 1), scalar("cpus", 1)]))
        #expect(cluster.round().isEmpty)
    }

    @Test(
        "agents of another region are for those who can use them",
        arguments: Subject.with(.tree), [nil, "here"])
    func regions(subject: Subject, region: String?) {
        var cluster = Cluster(subject) { $0.region = region }
        cluster.framework("f", ["r"])
        let one = size(1, 100)
        cluster.agent("n1", one, domain: FaultDomain(region: "here", zone: "z"))
        cluster.agent("n2", one, domain: FaultDomain(region: "there", zone: "z"))
        cluster.agent("n3", one)
        #expect(cluster.round().agents == (region == nil ? ["n1", "n2", "n3"] : ["n1", "n3"]))
        cluster.framework("g", ["s"], capabilities: .regionAware)
        #expect(cluster.round().agents == (region == nil ? [] : ["n2"]))
    }

    @Test(
        "agents that cannot cope with several roles get no frameworks that have them",
        arguments: Subject.with(.tree))
    func multiRole(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["a", "b"], capabilities: .multiRole)
        cluster.agent("n1", size(1, 100), capabilities: [.hierarchicalRole])
        #expect(cluster.round().isEmpty)
        cluster.framework("g", ["c"], capabilities: [])
        #expect(cluster.round().frameworks == ["g"])
    }

    @Test(
        "agents that cannot cope with roles below others get none",
        arguments: Subject.with(.tree))
    func hierarchicalRole(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["a/b"])
        cluster.agent("n1", size(1, 100), capabilities: [.multiRole])
        #expect(cluster.round().isEmpty)
        cluster.framework("g", ["a"])
        #expect(cluster.round().frameworks == ["g"])
    }

    @Test("inactive frameworks and agents get and give nothing", arguments: Subject.allCases)
    func inactive(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"], isActive: false)
        cluster.framework("g", [])
        cluster.agent("n1", size(1, 100))
        cluster.agent("n2", size(1, 100), isActive: false)
        #expect(cluster.round().isEmpty)
        cluster.allocator.setActive(framework: "f", true)
        #expect(cluster.round().agents == ["n1"])
        cluster.allocator.setActive(agent: "n2", true)
        #expect(cluster.round().agents == ["n2"])
    }

    @Test("a framework set again keeps what it holds", arguments: Subject.allCases)
    func setAgain(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agent("n", size(4, 400))
        let offer = cluster.round()[0]
        cluster.accept(offer, size(2, 200))
        cluster.framework("f", ["s"])
        cluster.agent("n", size(6, 600))
        #expect(cluster.allocator.shareMillionths(framework: "f") == 333_333)
        #expect(cluster.round().resources == [size(4, 400)])
        cluster.finish(offer, size(2, 200))
        #expect(cluster.round().resources == [size(2, 200)])
    }

    @Test("nothing is lost or doubled when an agent shrinks below what is held there")
    func shrunken() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.agent("n", size(4, 400))
            let offer = cluster.round()[0]
            cluster.accept(offer)
            cluster.agent("n", size(2, 200))
            #expect(cluster.round().isEmpty, "\(subject)")
            cluster.finish(offer)
            #expect(cluster.round().resources == [size(2, 200)], "\(subject)")
        }
    }
}
