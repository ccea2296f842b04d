import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// Resources that are taken without an offer.
@Suite("Claims")
struct ClaimTests {
    private func part(
        _ framework: FrameworkID, _ role: String, _ agent: AgentID, _ resources: Resources
    ) -> Allocation {
        Allocation(framework: framework, role: role, agent: agent, resources: resources)
    }

    /// Two agents of four cores; a framework that has claims but wants no offers.
    private func cluster(_ subject: Subject) -> Cluster {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.demands("f", demand("none", "r", count: 0))
        cluster.agents(2, size(4, 400))
        return cluster
    }

    @Test("all parts of a claim are taken, and count as offered", arguments: Subject.with(.demand))
    func taken(subject: Subject) {
        var cluster = cluster(subject)
        let parts = [part("f", "r", "n00", size(3, 300)), part("f", "r", "n01", size(1, 100))]
        #expect(cluster.allocator.claim(parts, at: cluster.now).isEmpty)
        #expect(cluster.allocator.shareMillionths(framework: "f") == 500_000)
        #expect(cluster.allocator.free("n00", roles: ["r"]).isSame(as: size(1, 100)))
        for part in parts { cluster.allocator.use(part) }
        for part in parts {
            cluster.allocator.recover(part, wasOffered: false, refuse: nil, at: cluster.now)
        }
        #expect(cluster.allocator.shareMillionths(framework: "f") == 0)
        #expect(cluster.allocator.free("n00", roles: ["r"]).isSame(as: size(4, 400)))
    }

    @Test("one part that cannot be had leaves all untouched", arguments: Subject.with(.demand))
    func none(subject: Subject) {
        var cluster = cluster(subject)
        let parts = [part("f", "r", "n00", size(3, 300)), part("f", "r", "n01", size(5, 100))]
        let conflicts = cluster.allocator.claim(parts, at: cluster.now)
        #expect(conflicts.map(\.agentID) == ["n01"])
        #expect(conflicts.first?.check == .resources)
        #expect(conflicts.first?.available.isSame(as: size(4, 400)) == true)
        #expect(conflicts.first?.message.isEmpty == false)
        #expect(cluster.allocator.shareMillionths(framework: "f") == 0)
        #expect(cluster.allocator.free("n00", roles: ["r"]).isSame(as: size(4, 400)))
    }

    @Test("two parts of one agent are seen together", arguments: Subject.with(.demand))
    func together(subject: Subject) {
        var cluster = cluster(subject)
        let half = part("f", "r", "n00", size(3, 100))
        #expect(!cluster.allocator.claim([half, half], at: cluster.now).isEmpty)
        #expect(cluster.allocator.shareMillionths(framework: "f") == 0)
        #expect(cluster.allocator.claim([half], at: cluster.now).isEmpty)
        #expect(!cluster.allocator.claim([half], at: cluster.now).isEmpty)
    }

    @Test(
        "what is unknown, foreign or inactive cannot be claimed", arguments: Subject.with(.demand))
    func unknown(subject: Subject) {
        var cluster = cluster(subject)
        cluster.agent("gone", size(4, 400), isActive: false)
        cluster.agent("kept", Resources([scalar("cpus", 4, ["other"])]))
        cluster.framework("idle", ["r"], isActive: false)
        let wrong = [
            part("f", "r", "nowhere", size(1)), part("nobody", "r", "n00", size(1)),
            part("f", "elsewhere", "n00", size(1)), part("f", "r", "gone", size(1)),
            part("f", "r", "kept", Resources([scalar("cpus", 1, ["other"])])),
            part("idle", "r", "n00", size(1)),
        ]
        for wrong in wrong {
            let conflicts = cluster.allocator.claim([wrong], at: cluster.now)
            #expect(conflicts.map(\.agentID) == [wrong.agent], "\(wrong)")
        }
        #expect(cluster.allocator.shareMillionths(framework: "f") == 0)
        #expect(cluster.allocator.shareMillionths(role: "r") == 0)
    }

    @Test("quota limits and guarantees hold for claims", arguments: Subject.with(.demand))
    func quota(subject: Subject) {
        var cluster = cluster(subject)
        cluster.allocator.setQuota(
            Quota(role: "r", limits: [QuotaLimit(name: "cpus", amount: Milli(5))]))
        let parts = ["n00", "n01"].map { part("f", "r", $0, size(3)) }
        let limited = cluster.allocator.claim(parts, at: cluster.now)
        #expect(limited.contains { $0.check == .quotaLimit })
        cluster.allocator.setQuota(Quota(role: "r"))
        cluster.allocator.setQuota(Quota(role: "q", guarantees: amounts(["cpus": 3])))
        let kept = cluster.allocator.claim(parts, at: cluster.now)
        #expect(kept.contains { $0.check == .headroom })
        #expect(cluster.allocator.claim([part("f", "r", "n00", size(4))], at: cluster.now).isEmpty)
        #expect(cluster.allocator.shareMillionths(framework: "f") == 500_000)
    }

    @Test("the rules of regions, GPUs and constraints hold for claims")
    func agentRules() {
        for subject in Subject.with(.demand) {
            var cluster = Cluster(subject) { $0.region = "here" }
            let rule = AttributeConstraint(selector: .hostname, predicate: .textNotEquals("c.host"))
            cluster.framework(
                "f", ["r"], suppressed: ["r"],
                constraints: [OfferConstraint(role: "r", groups: [[rule]])])
            cluster.agent("a", size(1), domain: FaultDomain(region: "there", zone: "z"))
            cluster.agent("b", Resources([scalar("cpus", 1), scalar("gpus", 1)]))
            cluster.agent("c", size(1))
            for (agent, check) in [("a", .region), ("b", .gpus), ("c", .constraints)]
                as [(AgentID, PlacementCheck)]
            {
                let conflicts = cluster.allocator.claim(
                    [part("f", "r", agent, size(1))], at: cluster.now)
                #expect(conflicts.map(\.check) == [check], "\(subject) \(agent)")
            }
        }
    }

    @Test("an empty claim takes nothing", arguments: Subject.with(.demand))
    func empty(subject: Subject) {
        var cluster = cluster(subject)
        #expect(cluster.allocator.claim([], at: cluster.now).isEmpty)
        _ = cluster.allocator.claim([part("f", "r", "n00", Resources())], at: cluster.now)
        #expect(cluster.allocator.shareMillionths(framework: "f") == 0)
    }

    @Test("a claim of less than nothing is refused", arguments: Subject.with(.demand))
    func negative(subject: Subject) {
        var cluster = cluster(subject)
        let less = Resources([
            Resource("cpus", .scalar(Milli(thousandths: -1000))), scalar("mem", 1),
        ])
        _ = cluster.allocator.claim([part("f", "r", "n00", less)], at: cluster.now)
        #expect(!cluster.allocator.free("n00", roles: ["r"]).contains(size(5)))
    }

    @Test("what is free is what could be claimed", arguments: Subject.with(.demand))
    func free(subject: Subject) {
        var cluster = cluster(subject)
        cluster.agent(
            "kept",
            Resources([
                scalar("cpus", 1, ["r"]), scalar("cpus", 2, ["s"]), scalar("cpus", 4),
            ]))
        let both = cluster.allocator.free("kept", roles: ["r", "s"])
        #expect(both.cpus == Milli(7))
        #expect(cluster.allocator.free("kept", roles: ["r/x"]).cpus == Milli(5))
        #expect(cluster.allocator.free("kept", roles: []).reservedNothing)
        #expect(cluster.allocator.free("nowhere", roles: ["r"]).isEmpty)
    }

    @Test("agents whose free resources change are told once", arguments: Subject.with(.demand))
    func changedAgents(subject: Subject) {
        var cluster = cluster(subject)
        #expect(Set(cluster.allocator.takeChangedAgents()) == ["n00", "n01"])
        #expect(cluster.allocator.takeChangedAgents().isEmpty)
        let claim = part("f", "r", "n01", size(1, 100))
        #expect(cluster.allocator.claim([claim], at: cluster.now).isEmpty)
        #expect(cluster.allocator.takeChangedAgents() == ["n01"])
        cluster.allocator.recover(claim, wasOffered: true, refuse: nil, at: cluster.now)
        #expect(cluster.allocator.takeChangedAgents() == ["n01"])
        cluster.framework("g", ["s"])
        let grants = cluster.round()
        #expect(Set(cluster.allocator.takeChangedAgents()) == Set(grants.agents))
    }
}

extension Resources {
    /// Whether nothing in it is reserved for anybody.
    fileprivate var reservedNothing: Bool { items.allSatisfy { $0.reservations.isEmpty } }
}
