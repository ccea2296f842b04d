import ProfferElection
@_spi(Driver) import ProfferKernel
import Testing

@Suite("Election under faults")
struct ElectionPropertyTests {
    /// A world with faults that the seed chooses, after a minute of them.
    private func world(
        seed: UInt64, lies: Coordinator.Lies = .init(), isFaulty: Bool = true
    ) -> ElectionWorld {
        var choice = SeededGenerator(seed: seed)
        var world = ElectionWorld(members: 3, seed: choice.next())
        if isFaulty {
            if choice.next() % 2 == 0 { world.faults.lossPerMille = choice.next() % 300 }
            if choice.next() % 2 == 0 { world.faults.pausesPerMille = 1 }
            if choice.next() % 2 == 0 { world.faults.crashesPerMille = 1 }
            if choice.next() % 3 == 0 { world.faults.longestDelay = .milliseconds(900) }
        }
        world.coordinator.lies = lies
        world.run(until: .zero + .seconds(60))
        return world
    }

    private func allLies(_ seed: UInt64) -> Coordinator.Lies {
        var choice = SeededGenerator(seed: seed ^ 0xFF)
        var lies = Coordinator.Lies()
        if choice.next() % 2 == 0 { lies.renewsDeadLeases = true }
        if choice.next() % 2 == 0 { lies.revokesPerMille = 5 + choice.next() % 50 }
        if choice.next() % 2 == 0 { lies.staleReadsPerMille = choice.next() % 600 }
        return lies
    }

    @Test("whatever is late, lost, paused or killed: no two masters write, no epoch goes back")
    func safetyUnderFaults() {
        for seed in UInt64(0)..<60 {
            let world = world(seed: seed)
            #expect(world.violations == [], "seed \(seed)")
        }
    }

    @Test("with a truthful coordinator, terms do not even overlap in time")
    func noOverlap() {
        for seed in UInt64(100)..<140 {
            var world = ElectionWorld(members: 3, seed: seed)
            world.faults.pausesPerMille = 1
            world.faults.lossPerMille = seed % 4 * 60
            for step in Int64(1)...12_000 {
                world.run(until: at(step * 5))
                #expect(world.leaders.count <= 1, "seed \(seed), step \(step)")
            }
        }
    }

    @Test("false renewals, false revocations and old reads never let two masters write")
    func safetyUnderLies() {
        var longest = 0
        for seed in UInt64(0)..<60 {
            let world = world(seed: seed, lies: allLies(seed))
            #expect(world.violations == [], "seed \(seed)")
            longest = max(longest, world.terms.count)
        }
        #expect(longest > 3)
    }

    @Test("when faults end there is one leader within three leases, and it stays")
    func liveness() {
        for seed in UInt64(0)..<40 {
            var world = world(seed: seed, lies: allLies(seed))
            world.faults = .init()
            world.coordinator.lies = .init()
            world.run(until: world.now + .seconds(9 + 8))
            #expect(world.leaders.count == 1, "seed \(seed)")
            let terms = world.terms.count
            world.run(until: world.now + .seconds(30))
            #expect(world.leaders.count == 1, "seed \(seed)")
            #expect(world.terms.count == terms, "seed \(seed)")
        }
    }

    @Test("a leader that is killed is followed by another within lease and a second")
    func failover() {
        for seed in UInt64(0)..<20 {
            var world = ElectionWorld(members: 3, seed: seed)
            world.run(until: .zero + .seconds(5))
            #expect(world.leaders.count == 1)
            world.faults.crashesPerMille = 1000
            world.run(until: world.now + .milliseconds(5))
            world.faults.crashesPerMille = 0
            #expect(world.leaders.isEmpty)
            world.run(until: world.now + .seconds(4))
            #expect(world.leaders.count == 1, "seed \(seed)")
        }
    }

    @Test("the checks find a coordinator that does not look at the fence")
    func checksCanFail() {
        var found = false
        for seed in UInt64(0)..<60 where !found {
            var lies = Coordinator.Lies()
            lies.ignoresFences = true
            lies.revokesPerMille = 20
            lies.renewsDeadLeases = true
            found = !world(seed: seed, lies: lies).violations.isEmpty
        }
        #expect(found)
    }

    @Test("one seed gives one history")
    func determinism() {
        let first = world(seed: 7, lies: allLies(7))
        let second = world(seed: 7, lies: allLies(7))
        #expect(first.coordinator.commits == second.coordinator.commits)
        #expect(!first.coordinator.commits.isEmpty)
    }
}
