import ProfferSimulation
import Testing

@Suite("Planted bugs")
struct PlantedBugTests {
    /// Those that need a rare coincidence.
    private static let rare: Set<PlantedBug> = [
        .constraintsIgnored, .epochNotChecked, .masterForgetsNoPeer, .quotaIgnored,
        .staleReadBelieved,
    ]

    private static func runs(
        until bug: PlantedBug, limit: UInt64,
        _ configuration: SimulationConfiguration = Support.small
    ) -> UInt64? {
        var configuration = configuration
        configuration.bug = bug
        return (1...limit).first {
            Simulation(configuration).run(seed: $0).violation != nil
        }
    }

    @Test(
        "a planted bug is found in a few runs",
        arguments: PlantedBug.allCases.filter { !rare.contains($0) })
    func found(bug: PlantedBug) {
        #expect(Self.runs(until: bug, limit: 50) != nil)
    }

    @Test(
        "a planted bug that few coincidences show is found in 2,000 runs",
        .enabled(
            if: Support.factor > 1, "takes minutes: set PROFFER_SIMULATION_FACTOR to 2 or more"),
        arguments: rare.sorted { $0.rawValue < $1.rawValue })
    func foundSomeTime(bug: PlantedBug) {
        #expect(Self.runs(until: bug, limit: 2000) != nil)
    }

    @Test("a client that takes up sessions with masters of the past is found by what deceives them")
    func epochs() {
        var configuration = Support.small
        configuration.masters = 2...3
        configuration.faults = [
            .leaderKilled, .leaderSuspended, .registrySlow, .coordinatorOutage,
        ]
        #expect(Self.runs(until: .epochNotChecked, limit: 400, configuration) != nil)
    }

    @Test("a new leader that believes an old registry is found where reads are old")
    func staleReads() {
        var configuration = Support.small
        configuration.masters = 2...3
        configuration.faults = [.leaderKilled, .leaseRevoked, .readStale]
        #expect(Self.runs(until: .staleReadBelieved, limit: 400, configuration) != nil)
    }

    @Test("the canary is always found at once")
    func canary() {
        var configuration = Support.small
        configuration.bug = .canary
        for seed in UInt64(1)...3 {
            let report = Simulation(configuration).run(seed: seed)
            #expect(report.violation?.invariant == "M2")
        }
    }

    @Test("a failing run becomes small and is printed as one command that repeats it")
    func shrinks() throws {
        var configuration = Support.small
        configuration.bug = .resurrected
        let failing = try #require(
            (UInt64(1)...20).first {
                Simulation(configuration).run(seed: $0).violation?.invariant == "S12"
            })
        let result = try #require(Shrinker(configuration, runLimit: 60).shrink(seed: failing))
        #expect(result.violation.invariant == "S12")
        #expect(result.configuration.agents == 1...1)
        #expect(result.configuration.onlyFaults == [])
        #expect(result.command.hasPrefix("proffer simulate --seed \(failing) --masters 1"))
        let again = Simulation(result.configuration).run(seed: failing)
        #expect(again.violation == result.violation)
    }

    @Test("a seed that does not fail is not made small")
    func nothing() {
        #expect(Shrinker(Support.small).shrink(seed: 1) == nil)
    }
}
