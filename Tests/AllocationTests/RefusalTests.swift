import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

@Suite("Refusals")
struct RefusalTests {
    @Test(
        "a refusal withholds as much or less of an agent, not more", arguments: Subject.allCases)
    func containment(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.framework("g", ["s"], suppressed: ["s"])
        cluster.agent("a", size(8, 8192))
        for _ in 0..<2 { cluster.hold("g", "s", "a", size(2, 2048)) }
        cluster.decline(cluster.round()[0], .seconds(60))
        cluster.wait(.seconds(10))
        #expect(cluster.round().isEmpty)
        cluster.hold("g", "s", "a", size(1, 1024))
        cluster.agent("a", size(8, 8192))
        #expect(cluster.round().isEmpty)
        let task = Allocation(framework: "g", role: "s", agent: "a", resources: size(3, 3072))
        cluster.allocator.recover(task, wasOffered: false, refuse: nil, at: cluster.now)
        #expect(cluster.round().resources == [size(6, 6144)])
    }

    @Test("what is not within the refused resources passes", arguments: Subject.allCases)
    func otherKind(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f")
        cluster.agent("a", size(4, 4096))
        cluster.decline(cluster.round()[0], .seconds(60))
        let changed = Resources([scalar("cpus", 1), ports(1...2)])
        cluster.agent("a", changed)
        #expect(cluster.round().resources == [changed])
    }

    @Test(
        "no refusal, or one of no time, lets the same go out at once",
        arguments: Subject.allCases, [nil, .zero, .seconds(-3)] as [Duration?])
    func nothing(subject: Subject, refuse: Duration?) {
        var cluster = Cluster(subject)
        cluster.framework("f")
        cluster.agent("a", size(4, 4096))
        for _ in 0..<8 {
            let grants = cluster.round()
            #expect(grants.resources == [size(4, 4096)])
            grants.first.map { cluster.decline($0, refuse) }
        }
        #expect(cluster.allocator.nextDeadline == nil)
    }

    @Test("a refusal ends exactly at its time", arguments: Subject.allCases)
    func end(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f")
        cluster.agent("a", size(4, 4096))
        cluster.wait(.seconds(7))
        cluster.decline(cluster.round()[0], .seconds(5))
        #expect(cluster.allocator.nextDeadline == .zero + .seconds(12))
        cluster.now = .zero + .seconds(12) - .nanoseconds(1)
        cluster.agent("a", size(4, 4096))
        #expect(cluster.round().isEmpty)
        cluster.wait(.nanoseconds(1))
        #expect(cluster.round().count == 1)
        #expect(cluster.allocator.nextDeadline == nil)
    }

    @Test("a refusal of the rest of an accepted offer counts as well", arguments: Subject.allCases)
    func rest(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f")
        cluster.agent("a", size(4, 4096))
        let grant = cluster.round()[0]
        cluster.accept(grant, size(2, 2048), refuse: .seconds(5))
        #expect(cluster.round().isEmpty)
        cluster.finish(grant, size(1, 0))
        #expect(cluster.round().resources == [size(3, 2048)])
    }

    @Test("what one framework refuses in one role, others and other roles get")
    func others() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r", "s"])
            cluster.framework("g", ["t"])
            cluster.agent("a", size(4, 4096))
            var seen: [String] = []
            for _ in 0..<3 {
                let grants = cluster.round()
                seen += grants.roles
                for grant in grants { cluster.decline(grant, .seconds(60)) }
            }
            #expect(seen.sorted() == ["r", "s", "t"])
            #expect(cluster.round().isEmpty)
        }
    }

    /// Two roles that have both refused the only agent.
    private func refused(_ subject: Subject) -> Cluster {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r1", "r2"])
        cluster.agent("a", size(4, 4096))
        for _ in 0..<2 {
            for grant in cluster.round() { cluster.decline(grant, .seconds(1000)) }
        }
        #expect(cluster.round().isEmpty)
        return cluster
    }

    @Test("a revived role is offered again, the other is not", arguments: Subject.allCases)
    func revive(subject: Subject) {
        var cluster = refused(subject)
        cluster.allocator.revive("f", roles: ["r1"])
        let grants = cluster.round()
        #expect(grants.roles == ["r1"])
        cluster.decline(grants[0], .seconds(1000))
        #expect(cluster.round().isEmpty)
    }

    @Test("refusals die with deactivation, in every role", arguments: Subject.allCases)
    func deactivation(subject: Subject) {
        var cluster = refused(subject)
        cluster.allocator.setActive(framework: "f", false)
        #expect(cluster.allocator.nextDeadline == nil)
        #expect(cluster.round().isEmpty)
        cluster.allocator.setActive(framework: "f", true)
        var seen: [String] = []
        for _ in 0..<2 {
            let grants = cluster.round()
            seen += grants.roles
            for grant in grants { cluster.decline(grant, .seconds(1000)) }
        }
        #expect(seen.sorted() == ["r1", "r2"])
    }

    @Test("an agent with other attributes is seen again by all", arguments: Subject.allCases)
    func attributes(subject: Subject) {
        var cluster = refused(subject)
        cluster.agent("a", size(4, 4096))
        #expect(cluster.round().isEmpty)
        cluster.agent("a", size(4, 4096), [Attribute(name: "rack", value: .text("r"))])
        #expect(cluster.round().count == 1)
    }

    @Test("an agent that was removed and comes back is a new one", arguments: Subject.allCases)
    func removedAgent(subject: Subject) {
        var cluster = refused(subject)
        cluster.allocator.removeAgent("a")
        #expect(cluster.allocator.nextDeadline == nil)
        cluster.agent("a", size(4, 4096))
        #expect(cluster.round().count == 1)
    }

    @Test("a role that is left and joined again starts anew", arguments: Subject.allCases)
    func leftRole(subject: Subject) {
        var cluster = refused(subject)
        cluster.framework("f", ["r2"])
        #expect(cluster.round().isEmpty)
        cluster.framework("f", ["r1", "r2"])
        #expect(cluster.round().roles == ["r1"])
    }

    @Test("an update that ends suppression forgets refusals", arguments: Subject.allCases)
    func unsuppressed(subject: Subject) {
        var cluster = refused(subject)
        cluster.framework("f", ["r1", "r2"], suppressed: ["r2"])
        #expect(cluster.round().isEmpty)
        cluster.framework("f", ["r1", "r2"])
        #expect(cluster.round().roles == ["r2"])
    }

    @Test("an update that changes nothing forgets no refusal", arguments: Subject.allCases)
    func unchanged(subject: Subject) {
        var cluster = refused(subject)
        cluster.framework("f", ["r1", "r2"])
        #expect(cluster.round().isEmpty)
    }

    @Test("a refusal of all eternity does no harm", arguments: Subject.allCases)
    func eternity(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f")
        cluster.agent("a", size(4, 4096))
        cluster.wait(.seconds(1_000_000_000))
        cluster.decline(cluster.round()[0], .seconds(Int64.max))
        #expect(cluster.round().isEmpty)
        cluster.wait(.seconds(365 * 86_400))
        #expect(cluster.round().isEmpty)
        cluster.allocator.revive("f", roles: ["*"])
        #expect(cluster.round().count == 1)
    }

    @Test("suppression leaves offers as they are and stops new ones", arguments: Subject.allCases)
    func suppression(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r1", "r2"])
        cluster.agent("a", size(4, 4096))
        let offer = cluster.round()[0]
        cluster.allocator.suppress("f", roles: ["r1", "r2"])
        #expect(cluster.allocator.shareMillionths(framework: "f") == 1_000_000)
        cluster.accept(offer, size(1, 1024))
        #expect(cluster.allocator.shareMillionths(framework: "f") == 250_000)
        #expect(cluster.round().isEmpty)
        cluster.allocator.revive("f", roles: ["r2"])
        #expect(cluster.round().roles == ["r2"])
    }

    @Test("a role the framework is not in can be neither suppressed nor revived")
    func foreignRole() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject)
            cluster.framework("f", ["r"])
            cluster.allocator.suppress("f", roles: ["s"])
            cluster.framework("f", ["r", "s"])
            cluster.agent("a", size(1, 100))
            cluster.agent("b", size(1, 100))
            #expect(cluster.round().roles == ["r", "s"], "\(subject)")
            cluster.allocator.revive("f", roles: ["t"])
            cluster.agent("c", size(1, 100))
            #expect(cluster.round().roles.contains("t") == false, "\(subject)")
        }
    }

    @Test("an update replaces suppressed roles and constraints", arguments: Subject.allCases)
    func update(subject: Subject) {
        var cluster = Cluster(subject)
        let constraint = OfferConstraint(
            role: "r1",
            groups: [[AttributeConstraint(selector: .hostname, predicate: .textEquals("none"))]])
        cluster.framework("f", ["r1", "r2"], suppressed: ["r2"], constraints: [constraint])
        cluster.agent("a", size(1, 100))
        #expect(cluster.round().isEmpty)
        cluster.framework("f", ["r1", "r2"], suppressed: ["r1"], constraints: [constraint])
        let second = cluster.round()
        #expect(second.roles == ["r2"])
        cluster.decline(second[0])
        cluster.framework("f", ["r1", "r2"], suppressed: ["r2"])
        #expect(cluster.round().roles == ["r1"])
    }

    @Test("offers of a poisoned acceptance are free for all at the next round")
    func poisoned() {
        for subject in Subject.allCases {
            var cluster = Cluster(subject)
            cluster.framework("f", ["f"])
            cluster.agents(2, size(1, 100))
            let offers = cluster.round()
            #expect(offers.count == 2)
            cluster.framework("g", ["g"])
            for offer in offers { cluster.decline(offer) }
            #expect(cluster.round().frameworks.sorted() == ["f", "g"], "\(subject)")
        }
    }

    @Test("what operations make of an offer is what is offered next", arguments: Subject.allCases)
    func operations(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agent("a", Resources(cpus: Milli(2), disk: Milli(10)))
        var offer = cluster.round()[0]
        let (plain, reserved) = (scalar("disk", 4), scalar("disk", 4, ["r"]))
        let volume = scalar(
            "disk", 4, ["r"], disk: DiskInfo(persistenceID: "v", containerPath: "data"))
        var step = offer.allocation
        for (before, after) in [(plain, reserved), (reserved, volume)] {
            step.resources = Resources([before])
            cluster.allocator.convert(step, into: Resources([after]))
            offer.allocation.resources -= Resources([before])
            offer.allocation.resources += after
        }
        let task = Resources([scalar("cpus", 1), volume])
        cluster.accept(offer, task)
        let rest = cluster.round()
        #expect(rest.resources == [Resources(cpus: Milli(1), disk: Milli(6))])
        cluster.declineAll(rest)
        cluster.finish(offer, task)
        cluster.allocator.suppress("f", roles: ["r"])
        cluster.framework("g", ["s"])
        let foreign = cluster.round()
        #expect(foreign.total("g").isSame(as: Resources(cpus: Milli(2), disk: Milli(6))))
        cluster.declineAll(foreign)
        cluster.allocator.setActive(framework: "g", false)
        cluster.allocator.revive("f", roles: ["r"])
        let own = Resources(cpus: Milli(2), disk: Milli(6)) + Resources([volume])
        #expect(cluster.round().total("f").isSame(as: own))
    }

    @Test("offers that are gone go out again once the agent is back", arguments: Subject.allCases)
    func disconnectedAgent(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f")
        cluster.agent("a", size(4, 4096))
        let offer = cluster.round()[0]
        cluster.allocator.setActive(agent: "a", false)
        cluster.decline(offer)
        #expect(cluster.round().isEmpty)
        cluster.allocator.setActive(agent: "a", true)
        #expect(cluster.round().resources == [size(4, 4096)])
    }
}
