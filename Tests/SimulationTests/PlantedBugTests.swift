import Foundation
import ProfferSimulation
import Testing

@Suite("Planted bugs")
struct PlantedBugTests {
    /// Clusters in which a bug has the occasion to show: few coincidences do.
    private static func configuration(_ bug: PlantedBug) -> SimulationConfiguration {
        var configuration = Support.small
        configuration.bug = bug
        switch bug {
        case .epochNotChecked:
            configuration.masters = 2...3
            configuration.faults = [
                .leaderKilled, .leaderSuspended, .registrySlow, .coordinatorOutage,
            ]
        case .staleReadBelieved:
            configuration.masters = 2...3
            configuration.faults = [.leaderKilled, .leaseRevoked, .readStale]
        case .quotaIgnored:
            configuration.frameworks = 3...3
            configuration.faults = [.operatorSetsQuota]
        case .constraintsIgnored:
            configuration.agents = 4...4
            configuration.frameworks = 3...3
            configuration.faults = []
        default: break
        }
        return configuration
    }

    /// Whether a run finds the bug; what else it finds is a mistake of a checker or of the product.
    private static func finds(_ bug: PlantedBug, _ seed: UInt64) -> Bool {
        guard let violation = Simulation(configuration(bug)).run(seed: seed).violation else {
            return false
        }
        #expect(
            bug.invariants.contains(violation.invariant), "\(bug.rawValue), \(seed): \(violation)")
        return bug.invariants.contains(violation.invariant)
    }

    private static func keptSeeds() throws -> [String: UInt64] {
        var seeds: [String: UInt64] = [:]
        for line in try Support.text("planted.txt").split(separator: "\n")
        where !line.hasPrefix("#") {
            let words = line.split(separator: " ")
            if words.count == 2 { seeds[String(words[0])] = UInt64(words[1]) }
        }
        return seeds
    }

    /// The kept seed finds it at once; when a change of the machines has made it another run,
    /// the first ones are tried.
    @Test(
        "a planted bug is found, and by the invariants that it breaks",
        arguments: PlantedBug.allCases)
    func found(bug: PlantedBug) throws {
        if let seed = try Self.keptSeeds()[bug.rawValue], Self.finds(bug, seed) { return }
        let limit: UInt64 = Support.isRewriting ? 2000 : 100
        #expect(
            (1...limit).contains { Self.finds(bug, $0) },
            "no run shows \(bug.rawValue); PROFFER_REWRITE_FIXTURES=1 looks further")
    }

    @Test("the seeds that show planted bugs are kept", .enabled(if: Support.isRewriting))
    func rewrite() throws {
        var lines = ["# The first seed that shows each planted bug, for PlantedBugTests."]
        for bug in PlantedBug.allCases {
            if let seed = (UInt64(1)...2000).first(where: { Self.finds(bug, $0) }) {
                lines.append("\(bug.rawValue) \(seed)")
            }
        }
        try (lines.joined(separator: "\n") + "\n").write(
            to: Support.folder.appendingPathComponent("planted.txt"), atomically: true,
            encoding: .utf8)
    }

    @Test(
        "every planted bug is found by runs of all kinds",
        .enabled(
            if: Support.factor > 1, "takes minutes: set PROFFER_SIMULATION_FACTOR to 2 or more"),
        arguments: PlantedBug.allCases)
    func foundAnywhere(bug: PlantedBug) {
        var configuration = Support.small
        configuration.bug = bug
        #expect(
            (UInt64(1)...3000).contains {
                Simulation(configuration).run(seed: $0).violation != nil
            })
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
                Simulation(configuration).run(seed: $0).violation?.invariant == "S13"
            })
        let result = try #require(Shrinker(configuration, runLimit: 60).shrink(seed: failing))
        #expect(result.violation.invariant == "S13")
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
