import ProfferSimulation
import Testing

@Suite("Planted bugs")
struct PlantedBugTests {
    @Test("every planted bug is found", arguments: PlantedBug.allCases)
    func found(bug: PlantedBug) {
        var configuration = Support.small
        configuration.bug = bug
        for seed in UInt64(1)...25 {
            if Simulation(configuration).run(seed: seed).violation != nil { return }
        }
        Issue.record("\(bug.rawValue) was not found in 25 runs")
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
