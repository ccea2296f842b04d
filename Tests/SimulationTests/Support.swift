import Foundation
import ProfferSimulation

enum Support {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    static let isRewriting =
        ProcessInfo.processInfo.environment["PROFFER_REWRITE_FIXTURES"] == "1"

    /// How many times as much is done as in the usual run of the tests.
    static let factor =
        ProcessInfo.processInfo.environment["PROFFER_SIMULATION_FACTOR"].flatMap { UInt64($0) } ?? 1

    static func text(_ name: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
    }

    /// Small clusters, for tests that have to be quick in a debug build.
    static var small: SimulationConfiguration {
        var configuration = SimulationConfiguration()
        configuration.agents = 1...3
        configuration.frameworks = 1...2
        configuration.faultPhase = .seconds(60)
        configuration.quietPhase = .seconds(150)
        return configuration
    }
}
