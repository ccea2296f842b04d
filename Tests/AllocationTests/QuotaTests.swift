import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

@Suite("Quota")
struct QuotaTests {
    private func guarantee(_ role: String, _ entries: KeyValuePairs<String, Int>) -> Quota {
        Quota(role: role, guarantees: amounts(entries))
    }

    private func limit(_ role: String, _ name: String, _ units: Int) -> Quota {
        Quota(role: role, limits: [QuotaLimit(name: name, amount: Milli(units))])
    }

    @Test("what is guaranteed to a role without frameworks stays free", arguments: [24, 1])
    func headroom(agentCount: Int) {
        for subject in Subject.with(.quota) {
            var cluster = Cluster(subject)
            cluster.framework("q", ["q"], isActive: false)
            cluster.framework("f", ["f"])
            cluster.framework("g", ["g"])
            cluster.agents(agentCount, size(24 / agentCount, 2400 / agentCount))
            var left = 4
            for number in 0..<min(4, agentCount) {
                let part = agentCount == 1 ? 4 : 1
                cluster.hold("q", "q", AgentID("n0\(number)"), size(part, 100 * part))
                left -= part
            }
            #expect(left == 0)
            cluster.allocator.setQuota(guarantee("q", ["cpus": 10]))
            let grants = cluster.round()
            #expect(grants.total("f").cpus + grants.total("g").cpus == Milli(14), "\(subject)")
        }
    }

    @Test("a guarantee for two resources keeps both", arguments: Subject.with(.quota))
    func twoNames(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["f"])
        cluster.agent("n", size(10, 1000))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 3, "mem": 400]))
        #expect(cluster.round().resources == [size(7, 600)])
    }

    @Test("guarantees of several roles add up", arguments: Subject.with(.quota))
    func severalRoles(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["f"])
        cluster.agents(10, size(1))
        cluster.allocator.setQuota(guarantee("p", ["cpus": 3]))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 4]))
        #expect(cluster.round().total("f").cpus == Milli(3))
    }

    @Test("idle reservations count towards a limit", arguments: Subject.with(.quota))
    func limitWithReservations(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.allocator.setQuota(limit("q", "cpus", 5))
        cluster.agent("n1", Resources([scalar("cpus", 3, ["q"]), scalar("mem", 100)]))
        cluster.allocator.setActive(agent: "n1", false)
        for name in ["n2", "n3", "n4", "n5"] as [AgentID] { cluster.agent(name, size(1)) }
        #expect(cluster.round().total("f").cpus == Milli(2))
        cluster.allocator.setActive(agent: "n1", true)
        let reserved = Resources([scalar("cpus", 3, ["q"]), scalar("mem", 100)])
        #expect(cluster.round().total("f").isSame(as: reserved))
    }

    @Test("idle reservations count towards a guarantee", arguments: Subject.with(.quota))
    func guaranteeWithReservations(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["f"])
        cluster.allocator.setQuota(guarantee("q", ["cpus": 5]))
        cluster.agent("n", Resources([scalar("cpus", 3, ["q/x"]), scalar("cpus", 10)]))
        #expect(cluster.round().total("f").cpus == Milli(8))
    }

    @Test("a reservation that is held counts once", arguments: Subject.with(.quota))
    func heldReservation(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.allocator.setQuota(limit("q", "cpus", 5))
        cluster.agent("n", Resources([scalar("cpus", 3, ["q"])]))
        cluster.hold("f", "q", "n", Resources([scalar("cpus", 3, ["q"])]))
        cluster.agent("m", size(8))
        #expect(cluster.round().total("f").cpus == Milli(2))
    }

    @Test("outstanding offers count towards a limit", arguments: Subject.with(.quota))
    func offersCount(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.allocator.setQuota(limit("q", "cpus", 5))
        cluster.agents(10, size(1, 100))
        let grants = cluster.round()
        #expect(grants.total("f").cpus == Milli(5))
        cluster.decline(grants[0], .seconds(60))
        #expect(cluster.round().total("f").cpus == Milli(1))
    }

    @Test("what has no limit is offered although the limit of another is reached")
    func otherNames() {
        for subject in Subject.with(.quota) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["q"])
            cluster.allocator.setQuota(limit("q", "cpus", 0))
            cluster.agent("n", Resources([scalar("cpus", 4), scalar("mem", 400), ports(1...9)]))
            let expected = Resources([scalar("mem", 400), ports(1...9)])
            #expect(cluster.round().total("f").isSame(as: expected), "\(subject)")
        }
    }

    @Test("a limit holds for all roles below it together", arguments: Subject.with(.quota))
    func subtree(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("x", ["q/x"])
        cluster.framework("y", ["q/y/z"])
        cluster.framework("o", ["qq"])
        cluster.allocator.setQuota(limit("q", "cpus", 4))
        cluster.agents(12, size(1, 100))
        let grants = cluster.round()
        let cores = ["x", "y", "o"].map { grants.total(FrameworkID($0)).cpus }
        #expect(cores[0] + cores[1] == Milli(4))
        #expect(cores[2] == Milli(8))
    }

    @Test("a limit that is lowered below what is held kills nothing and gives nothing")
    func lowered() {
        for subject in Subject.with(.quota) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["q"])
            cluster.agents(10, size(1))
            cluster.agent("n", size(8))
            cluster.hold("f", "q", "n", size(8))
            cluster.allocator.setQuota(limit("q", "cpus", 5))
            #expect(cluster.round().isEmpty, "\(subject)")
            #expect(cluster.allocator.shareMillionths(framework: "f") == 444_444)
            let task = Allocation(framework: "f", role: "q", agent: "n", resources: size(5))
            cluster.allocator.recover(task, wasOffered: false, refuse: nil, at: cluster.now)
            #expect(cluster.round().total("f").cpus == Milli(2), "\(subject)")
        }
    }

    @Test("revocable resources count for no quota", arguments: Subject.with(.quota))
    func revocable(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"], capabilities: .revocableResources)
        cluster.allocator.setQuota(limit("q", "cpus", 2))
        let spare = scalar("cpus", 10, isRevocable: true)
        cluster.agent("n", Resources([spare, scalar("cpus", 5)]))
        let expected = Resources([spare, scalar("cpus", 2)])
        #expect(cluster.round().total("f").isSame(as: expected))
    }

    @Test("what can be taken away at any time is no room for a guarantee")
    func revocableHeadroom() {
        for subject in Subject.with(.quota) {
            var cluster = Cluster(subject)
            cluster.framework("f", ["f"], capabilities: .revocableResources)
            cluster.allocator.setQuota(guarantee("q", ["cpus": 5]))
            let spare = scalar("cpus", 10, isRevocable: true)
            cluster.agent("n", Resources([spare, scalar("cpus", 6)]))
            let expected = Resources([spare, scalar("cpus", 1)])
            #expect(cluster.round().total("f").isSame(as: expected), "\(subject)")
        }
    }

    @Test("reservations of others are no room for a guarantee", arguments: Subject.with(.quota))
    func reservedHeadroom(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["f"])
        cluster.allocator.setQuota(guarantee("q", ["cpus": 5]))
        cluster.agent("n", Resources([scalar("cpus", 4, ["f"]), scalar("cpus", 5)]))
        #expect(cluster.round().total("f").isSame(as: Resources([scalar("cpus", 4, ["f"])])))
    }

    @Test("guarantees come before fair shares", arguments: Subject.with(.quota))
    func guaranteeFirst(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.framework("g", ["a"])
        cluster.agent("big", size(8, 800))
        cluster.hold("f", "q", "big", size(8, 800))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 10, "mem": 1000]))
        cluster.agents(4, size(1, 100))
        let grants = cluster.round()
        #expect(grants.prefix(2).map(\.allocation.framework) == ["f", "f"])
        #expect(grants.count("f") == 2)
        #expect(grants.count("g") == 2)
    }

    @Test("a guarantee serves the roles below it", arguments: Subject.with(.quota))
    func guaranteedSubtree(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q/x"])
        cluster.framework("g", ["a"])
        cluster.agent("big", size(8, 800))
        cluster.hold("f", "q/x", "big", size(8, 800))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 10, "mem": 1000]))
        cluster.agents(2, size(1, 100))
        #expect(cluster.round().frameworks == ["f", "f"])
    }

    @Test("mount disks are not split at a limit", arguments: Subject.with(.quota))
    func mountDisk(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.allocator.setQuota(limit("q", "disk", 150))
        let mount = DiskInfo(source: .mount(root: "/m"))
        let other = DiskInfo(source: .mount(root: "/o"))
        cluster.agent(
            "n",
            Resources([
                scalar("cpus", 1), scalar("disk", 200, disk: mount),
                scalar("disk", 100, disk: other),
            ]))
        let expected = Resources([scalar("cpus", 1), scalar("disk", 100, disk: other)])
        #expect(cluster.round().total("f").isSame(as: expected))
    }

    @Test("a quota of nothing takes it away in the next round", arguments: Subject.with(.quota))
    func removed(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["f"])
        cluster.agents(4, size(1))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 3]))
        #expect(cluster.round().count == 1)
        cluster.allocator.setQuota(Quota(role: "q"))
        #expect(cluster.allocator.needsAllocation)
        #expect(cluster.round().count == 3)
    }

    @Test("a higher limit takes effect in the next round", arguments: Subject.with(.quota))
    func raised(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"])
        cluster.agents(4, size(1, 100))
        cluster.allocator.setQuota(limit("q", "cpus", 1))
        cluster.allocator.setQuota(limit("q", "mem", 100))
        cluster.allocator.setQuota(
            Quota(
                role: "q",
                limits: [
                    QuotaLimit(name: "cpus", amount: Milli(1)),
                    QuotaLimit(name: "mem", amount: Milli(100)),
                ]))
        #expect(cluster.round().count == 1)
        cluster.allocator.setQuota(limit("q", "cpus", 3))
        #expect(cluster.allocator.needsAllocation)
        #expect(cluster.round().total("f").cpus == Milli(2))
    }

    @Test("what is freed elsewhere makes room for what was kept", arguments: Subject.with(.quota))
    func freedElsewhere(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["f"])
        cluster.framework("g", ["g"], suppressed: ["g"])
        cluster.agents(2, size(2, 200))
        cluster.hold("g", "g", "n01", size(2, 200))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 2, "mem": 200]))
        #expect(cluster.round().isEmpty)
        let task = Allocation(framework: "g", role: "g", agent: "n01", resources: size(2, 200))
        cluster.allocator.recover(task, wasOffered: false, refuse: nil, at: cluster.now)
        #expect(cluster.round().total("f").isSame(as: size(2, 200)))
    }

    @Test("a guarantee that is met by a grant frees what was kept", arguments: Subject.with(.quota))
    func met(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["q"], suppressed: ["q"])
        cluster.framework("g", ["g"])
        cluster.agents(4, size(1, 100))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 2, "mem": 200]))
        #expect(cluster.round().count("g") == 2)
        cluster.allocator.revive("f", roles: ["q"])
        #expect(cluster.round().count("f") == 2)
    }

    @Test("a guarantee above what there is keeps everything", arguments: Subject.with(.quota))
    func overCapacity(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["f"])
        cluster.framework("q", ["q"], suppressed: ["q"])
        cluster.agents(4, size(1))
        cluster.allocator.setQuota(guarantee("q", ["cpus": 1000]))
        #expect(cluster.round().isEmpty)
        cluster.allocator.revive("q", roles: ["q"])
        #expect(cluster.round().count("q") == 4)
    }

    @Test("after a restart nothing is granted before enough agents are back")
    func recoveryHold() {
        for subject in Subject.with(.quota) {
            var cluster = Cluster(subject)
            cluster.allocator.awaitAgents(3, until: .zero + .seconds(600))
            cluster.allocator.setQuota(guarantee("q", ["cpus": 1]))
            cluster.framework("f", ["f"])
            cluster.agents(2, size(1))
            #expect(cluster.round().isEmpty, "\(subject)")
            cluster.agent("n02", size(1), isActive: false)
            #expect(cluster.round().isEmpty, "\(subject)")
            cluster.allocator.setActive(agent: "n02", true)
            #expect(cluster.round().count == 2, "\(subject)")
        }
    }

    @Test("the hold ends at its instant", arguments: Subject.with(.quota))
    func holdEnds(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.allocator.setQuota(guarantee("q", ["cpus": 1]))
        cluster.allocator.awaitAgents(3, until: .zero + .seconds(600))
        cluster.framework("f", ["f"])
        cluster.agents(2, size(1))
        #expect(cluster.round().isEmpty)
        #expect(cluster.allocator.nextDeadline == .zero + .seconds(600))
        cluster.now = .zero + .seconds(600) - .nanoseconds(1)
        #expect(cluster.round().isEmpty)
        cluster.wait(.nanoseconds(1))
        #expect(cluster.round().count == 1)
        #expect(cluster.allocator.nextDeadline == nil)
    }

    @Test("without a guarantee nobody waits", arguments: Subject.with(.quota))
    func noHold(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.allocator.awaitAgents(3, until: .zero + .seconds(600))
        cluster.allocator.setQuota(limit("q", "cpus", 1))
        cluster.framework("f", ["f"])
        cluster.agents(2, size(1, 100))
        #expect(cluster.round().count == 2)
    }
}
