import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

/// What is said of an offer that is not made.
@Suite("Explanations of placement")
struct ExplanationTests {
    private func anything(_ role: String) -> Demand {
        Demand(id: "any", role: role, resources: ResourceQuantities())
    }

    private func ask(
        _ cluster: Cluster, _ framework: FrameworkID?, _ demand: Demand
    ) -> PlacementExplanation {
        cluster.allocator.explain(
            PlacementQuestion(framework: framework, demand: demand), at: cluster.now)
    }

    private func removed(_ answer: PlacementExplanation, _ check: PlacementCheck) -> Int {
        answer.steps.first { $0.check == check }?.removed ?? 0
    }

    @Test("each check says how many agents it removes", arguments: Subject.with(.demand))
    func steps(subject: Subject) {
        var cluster = Cluster(subject) { $0.region = "here" }
        let rule = AttributeConstraint(selector: .hostname, predicate: .textNotEquals("c.host"))
        cluster.framework(
            "f", ["r"], constraints: [OfferConstraint(role: "r", groups: [[rule]])])
        cluster.agent("fits", size(4, 400))
        cluster.agent("off", size(4, 400), isActive: false)
        cluster.agent("c", size(4, 400))
        cluster.agent("far", size(4, 400), domain: FaultDomain(region: "there", zone: "z"))
        cluster.agent("gpu", Resources([scalar("cpus", 4), scalar("gpus", 1)]))
        cluster.agent("kept", Resources([scalar("cpus", 4, ["s"])]))
        cluster.agent("small", size(1, 400))
        let answer = ask(cluster, "f", demand("d", "r", cpus: 2))
        #expect(answer.agents == 7)
        #expect(answer.fitting == 1)
        #expect(answer.obstacle == nil)
        for check in [
            PlacementCheck.agentActive, .constraints, .region, .gpus, .reservations, .resources,
        ] {
            #expect(removed(answer, check) == 1, "\(subject) \(check)")
        }
        let order = answer.steps.map(\.check)
        #expect(order == PlacementCheck.allCases.filter(order.contains))
        #expect(answer.steps.first { $0.check == .constraints }?.examples == ["c"])
    }

    @Test("removed agents and those that fit are all agents", arguments: Subject.with(.demand))
    func funnel(subject: Subject) {
        for seed in 0..<60 as Range<UInt64> {
            var walk = Walk(
                subject, seed: seed, style: [.kinds, .tree, .quota, .demand, .claims])
            for _ in 0..<80 { walk.step() }
            for id in walk.frameworkIDs {
                for role in walk.roles {
                    for wanted in [anything(role), demand("d", role, cpus: 2, mem: 50)] {
                        let answer = walk.subject.explain(
                            PlacementQuestion(framework: id, demand: wanted), at: walk.now)
                        let removed = answer.steps.reduce(0) { $0 + $1.removed }
                        #expect(answer.agents == walk.agentIDs.count)
                        if answer.obstacle != nil { continue }
                        #expect(removed + answer.fitting == answer.agents, "seed \(seed)")
                        #expect(answer.steps.allSatisfy { $0.removed <= $0.alone })
                        #expect(answer.steps.allSatisfy { $0.examples.count <= 5 })
                        #expect(answer.nearest.count <= 5)
                    }
                }
            }
        }
    }

    @Test("an offer is made exactly when an explanation says that it fits")
    func agreement() {
        for subject in Subject.with(.demand) {
            var granted = 0
            var silent = 0
            for seed in 100..<300 as Range<UInt64> {
                let styles: [Walk.Style] = [
                    [.kinds], [.kinds, .tree], [.kinds, .quota], [.tree, .quota, .claims],
                ]
                var walk = Walk(subject, seed: seed, style: styles[Int(seed % 4)])
                for _ in 0..<Int(20 + seed % 60) { walk.step() }
                let fitting = walk.fitting
                var grants: [Grant] = []
                walk.subject.allocate(at: walk.now, into: &grants)
                if let first = grants.first?.allocation {
                    granted += 1
                    #expect(
                        fitting.contains {
                            $0.framework == first.framework && $0.role == first.role
                        },
                        "seed \(seed): \(Walk.text(grants)) was not foreseen in \(fitting)")
                } else {
                    silent += 1
                    #expect(fitting.isEmpty, "seed \(seed): nothing came of \(fitting)")
                }
                let left = walk.fitting
                #expect(left.isEmpty, "seed \(seed): after the round there is still \(left)")
            }
            #expect(granted > 20 && silent > 20, "\(granted) \(silent)")
        }
    }

    @Test("the same is said of stated demand", arguments: Subject.with(.demand))
    func agreementOnDemand(subject: Subject) {
        for seed in 300..<450 as Range<UInt64> {
            var walk = Walk(subject, seed: seed, style: [.demand, .tree, .quota])
            for _ in 0..<Int(20 + seed % 60) { walk.step() }
            let framework = FrameworkID("asks")
            let wanted = demand("d", "c", cpus: 1 + Int(seed % 4), mem: 60, count: 1)
            walk.subject.setFramework(
                AllocatorFramework(id: framework, roles: ["c"]), isActive: true)
            walk.subject.setDemands(framework, [wanted], at: walk.now)
            let answer = walk.subject.explain(
                PlacementQuestion(framework: framework, demand: wanted), at: walk.now)
            var grants: [Grant] = []
            walk.subject.allocate(at: walk.now, into: &grants)
            if answer.fitting == 0 || answer.obstacle != nil {
                #expect(grants.count(framework) == 0, "seed \(seed): it came all the same")
            } else if grants.isEmpty {
                Issue.record("seed \(seed): it fits \(answer.fitting) agents, and nothing came")
            }
        }
    }

    @Test("what stands in the way whatever is free is named", arguments: Subject.with(.demand))
    func obstacles(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r", "s"], suppressed: ["s"])
        cluster.framework("idle", ["r"], isActive: false)
        cluster.agent("n", size(4, 400))
        #expect(ask(cluster, "f", anything("r")).obstacle == nil)
        #expect(ask(cluster, "f", anything("s")).obstacle != nil)
        #expect(ask(cluster, "f", anything("t")).obstacle != nil)
        #expect(ask(cluster, "idle", anything("r")).obstacle != nil)
        #expect(ask(cluster, "ghost", anything("r")).obstacle != nil)
        #expect(ask(cluster, nil, demand("d", "new")).obstacle == nil)
        #expect(ask(cluster, nil, demand("d", "new")).fitting == 1)
    }

    @Test("the nearest agent says what it lacks", arguments: Subject.with(.demand))
    func nearest(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agent("near", size(3, 400))
        cluster.agent("farther", size(1, 50))
        cluster.agent("off", size(1, 50), isActive: false)
        let answer = ask(cluster, "f", demand("d", "r", cpus: 4, mem: 100))
        #expect(answer.fitting == 0)
        #expect(answer.nearest.first?.agent == "near")
        #expect(answer.nearest.first?.hostname == "near.host")
        #expect(answer.nearest.first?.failed == [.resources])
        #expect(answer.nearest.first?.missing == amounts(["cpus": 1]))
        #expect(!answer.suggestions.isEmpty)
    }

    @Test("a refusal, a limit and a guarantee are told apart", arguments: Subject.with(.demand))
    func quotaSteps(subject: Subject) {
        var cluster = Cluster(subject)
        cluster.framework("f", ["r"])
        cluster.agent("n", size(4, 400))
        cluster.declineAll(cluster.round(), .seconds(60))
        #expect(removed(ask(cluster, "f", anything("r")), .refusal) == 1)
        cluster.allocator.revive("f", roles: ["r"])
        cluster.allocator.setQuota(
            Quota(role: "r", limits: [QuotaLimit(name: "cpus", amount: Milli(1))]))
        let limited = ask(cluster, "f", demand("d", "r", cpus: 2))
        #expect(removed(limited, .quotaLimit) == 1)
        #expect(limited.quota.contains { $0.name == "cpus" && $0.limit == Milli(1) })
        cluster.allocator.setQuota(Quota(role: "r"))
        cluster.allocator.setQuota(Quota(role: "q", guarantees: amounts(["cpus": 3])))
        #expect(removed(ask(cluster, "f", demand("d", "r", cpus: 2)), .headroom) == 1)
        #expect(ask(cluster, "f", demand("d", "r", cpus: 1)).fitting == 1)
    }

    @Test("who comes first in the order of fairness is counted", arguments: Subject.with(.demand))
    func ahead(subject: Subject) {
        var cluster = Cluster(subject)
        for name in ["f", "g", "h"] { cluster.framework(FrameworkID(name), [name]) }
        cluster.agent("n", size(10, 1000))
        cluster.hold("h", "h", "n", size(5, 500))
        cluster.hold("g", "g", "n", size(2, 200))
        #expect(ask(cluster, "f", anything("f")).ahead == 0)
        let last = ask(cluster, "h", anything("h"))
        #expect(last.ahead == 2)
        #expect(last.shareMillionths == 500_000)
        #expect(last.roleShareMillionths == 500_000)
    }
}

extension Walk {
    /// Everybody of whom an explanation says that an offer is about to be made.
    fileprivate var fitting: [ReferenceAllocator.Member] {
        frameworkIDs.flatMap { id in
            roles.compactMap { role in
                let anything = Demand(id: "any", role: role, resources: ResourceQuantities())
                let answer = subject.explain(
                    PlacementQuestion(framework: id, demand: anything), at: now)
                guard answer.fitting > 0, answer.obstacle == nil else { return nil }
                return ReferenceAllocator.Member(framework: id, role: role)
            }
        }
    }
}
