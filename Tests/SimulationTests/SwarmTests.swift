import ProfferSimulation
import Testing

@Suite("Clusters in which things go wrong")
struct SwarmTests {
    @Test("nothing happens that must never be", arguments: UInt64(0)..<10)
    func swarm(block: UInt64) {
        let size = 5 * Support.factor
        for seed in (block * size + 1)...(block * size + size) {
            let report = Simulation().run(seed: seed)
            #expect(
                report.violation == nil,
                "proffer simulate --seed \(seed) --replay: \(report.violation?.description ?? "")")
        }
    }

    @Test("without faults every kind of work gets done")
    func calm() {
        var configuration = SimulationConfiguration()
        configuration.faults = []
        for seed in UInt64(1)...5 {
            let report = Simulation(configuration).run(seed: seed)
            #expect(report.violation == nil, "\(report.violation?.description ?? "")")
            #expect(FaultKind.allCases.allSatisfy { !$0.isPlanned || report.faults[$0] == 0 })
        }
    }

    @Test("three masters, twenty agents and three frameworks come to rest")
    func large() {
        var configuration = SimulationConfiguration()
        configuration.masters = 3...3
        configuration.agents = 20...20
        configuration.frameworks = 3...3
        let report = Simulation(configuration).run(seed: 1)
        #expect(report.violation == nil, "\(report.violation?.description ?? "")")
        #expect(report.simulated >= .seconds(270))
    }

    @Test("runs that failed once are run for ever")
    func kept() throws {
        for line in try Support.text("seeds.txt").split(separator: "\n") where !line.hasPrefix("#")
        {
            let words = line.prefix { $0 != "#" }.split(separator: " ").map(String.init)
            let seed = try #require(words.first.flatMap { UInt64($0) })
            try #require(words.count == 6)
            var configuration = SimulationConfiguration()
            if let count = Int(words[1]) { configuration.masters = count...count }
            if let count = Int(words[2]) { configuration.agents = count...count }
            if let count = Int(words[3]) { configuration.frameworks = count...count }
            if let seconds = Int(words[4]) { configuration.faultPhase = .seconds(seconds) }
            if words[5] != "-" {
                configuration.onlyFaults = Set(
                    words[5].split(separator: ",").compactMap { Int($0) })
            }
            let report = Simulation(configuration).run(seed: seed)
            #expect(report.violation == nil, "\(line): \(report.violation?.description ?? "")")
        }
    }
}
