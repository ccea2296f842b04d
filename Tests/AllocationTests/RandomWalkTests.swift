import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation

@Suite("Random lives of clusters")
struct RandomWalkTests {
    /// Walks and reports the first problem with what led to it.
    private func walk(
        _ subject: Subject, seeds: Range<UInt64>, steps: Int, style: Walk.Style,
        _ change: (inout Knobs) -> Void = { _ in }
    ) {
        var failed = 0
        // The model is only compared with itself; a few seeds show that it keeps the rules.
        for seed in subject == .reference ? seeds.prefix(20) : seeds {
            var walk = Walk(subject, seed: seed, style: style, change)
            for _ in 0..<steps {
                walk.step()
                if !walk.problems.isEmpty { break }
            }
            guard let problem = walk.problems.first else { continue }
            failed += 1
            if failed <= 3 {
                let last = walk.log.suffix(60).joined(separator: "\n")
                Issue.record("seed \(seed): \(problem)\n\(last)")
            }
        }
        #expect(failed == 0, "\(failed) of \(seeds.count) walks failed")
    }

    @Test("plain roles: every grant is the one the rules name", arguments: Subject.allCases)
    func plain(subject: Subject) { walk(subject, seeds: 0..<100, steps: 100, style: []) }

    @Test("all kinds of resources: every grant is the one the rules name")
    func kinds() {
        for subject in Subject.allCases {
            walk(subject, seeds: 1000..<1100, steps: 100, style: .kinds)
        }
    }

    @Test("a tree of roles: every grant is the one the rules name", arguments: Subject.with(.tree))
    func tree(subject: Subject) {
        walk(subject, seeds: 2000..<2100, steps: 100, style: [.tree, .kinds])
    }

    @Test("quota: every grant is the one the rules name", arguments: Subject.with(.quota))
    func quota(subject: Subject) {
        walk(subject, seeds: 3000..<3050, steps: 100, style: [.quota])
        walk(subject, seeds: 3100..<3160, steps: 100, style: [.quota, .tree, .kinds])
    }

    @Test("claims: every grant is the one the rules name", arguments: Subject.with(.demand))
    func claims(subject: Subject) {
        walk(subject, seeds: 3500..<3600, steps: 100, style: [.claims, .kinds, .tree])
    }

    @Test("demand and claims: every grant keeps the rules", arguments: Subject.with(.demand))
    func demand(subject: Subject) {
        walk(subject, seeds: 4000..<4150, steps: 150, style: [.demand, .claims, .tree])
        walk(subject, seeds: 4150..<4300, steps: 150, style: [.demand, .claims, .quota, .kinds])
    }

    @Test("demand: nothing stays free that somebody waits for", arguments: Subject.with(.demand))
    func nothingLeft(subject: Subject) {
        walk(subject, seeds: 4300..<4400, steps: 120, style: [.demand, .single, .kinds, .tree])
    }

    @Test("with restraints on, every grant keeps the rules", arguments: Subject.with(.demand))
    func restraint(subject: Subject) {
        walk(
            subject, seeds: 5000..<5100, steps: 150,
            style: [.demand, .claims, .quota, .kinds, .tree]
        ) {
            $0.offeredLimitThousandths = 500
            $0.returnPauseLimit = .seconds(1)
            $0.backOffLimit = .seconds(60)
        }
    }

    @Test("with chance for an order, every grant keeps the rules", arguments: Subject.with(.chance))
    func chance(subject: Subject) {
        walk(subject, seeds: 6000..<6100, steps: 120, style: [.demand, .quota, .kinds, .tree]) {
            $0.hasRandomRoles = true
            $0.hasRandomFrameworks = true
        }
    }

    @Test("a planted mistake is found", arguments: Fault.allCases)
    func faults(fault: Fault) {
        let isFound = (9000..<9100 as Range<UInt64>).contains { seed in
            let isOfOrder = fault == .ordersByName || fault == .ignoresWeights
            let style: Walk.Style = isOfOrder ? [.tree] : [.kinds, .quota, .tree]
            var walk = Walk(.reference, seed: seed, style: style) { $0.fault = fault }
            for _ in 0..<100 where walk.problems.isEmpty { walk.step() }
            return !walk.problems.isEmpty
        }
        #expect(isFound)
    }

    @Test("what is given back and revived is all free again", arguments: Subject.allCases)
    func allBack(subject: Subject) {
        for seed in 7000..<7050 as Range<UInt64> {
            var walk = Walk(subject, seed: seed, style: .kinds)
            for _ in 0..<100 { walk.step() }
            let now = walk.now
            for grant in walk.offers {
                walk.both("back") {
                    $0.recover(grant.allocation, wasOffered: true, refuse: nil, at: now)
                }
            }
            for task in walk.tasks {
                walk.both("back") {
                    $0.recover(task, wasOffered: false, refuse: nil, at: now)
                }
            }
            for id in walk.frameworkIDs {
                #expect(walk.subject.shareMillionths(framework: id) == 0)
                walk.both("remove") { $0.removeFramework(id) }
            }
            let everything: FrameworkCapabilities = [
                .revocableResources, .gpuResources, .sharedResources, .reservationRefinement,
            ]
            for id in walk.agentIDs { walk.both("on") { $0.setActive(agent: id, true) } }
            for role in Walk.tops {
                walk.subject.setFramework(
                    AllocatorFramework(
                        id: FrameworkID("last \(role)"), roles: [role], capabilities: everything),
                    isActive: true)
            }
            var all = Resources()
            for _ in 0..<3 {
                var grants: [Grant] = []
                walk.subject.allocate(at: walk.now, into: &grants)
                all += grants.resources.reduce(into: Resources()) { $0 += $1 }
            }
            let expected = walk.model.agents.keys.sorted().reduce(into: Resources()) {
                $0 += walk.model.agents[$1]?.info.resources ?? Resources()
            }
            // Of a reservation that no role can see nothing comes back; there is none here, and
            // what is left below the minimum may stay.
            #expect(all.cpus == expected.cpus && all.mem == expected.mem, "\(subject) \(seed)")
        }
    }
}
