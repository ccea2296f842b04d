import ProfferSimulation
import Testing

@Suite("Planted bugs")
struct PlantedBugTests {
    /// Those that need a rare coincidence.
    private static let rare: Set<PlantedBug> = [
        .constraintsIgnored, .deposedMasterWrites, .epochNotChecked, .masterForgetsNoPeer,
        .quotaIgnored,
    ]

    private static func runs(until bug: PlantedBug, limit: UInt64) -> UInt64? {
        var configuration = Support.small
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
