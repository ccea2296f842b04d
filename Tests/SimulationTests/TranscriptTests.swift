import Foundation
import ProfferSimulation
import Testing

@Suite("Transcripts of simulated clusters")
struct TranscriptTests {
    private static let seeds: [UInt64] = [1, 2, 3, 4, 5, 6, 7, 8]

    private static func line(_ seed: UInt64) -> String {
        let report = Simulation(Support.small).run(seed: seed)
        return "\(seed) \(report.events) \(String(report.transcript.hash, radix: 16))"
    }

    /// The same in every process, in debug and release builds.
    ///
    /// A change of any machine changes these numbers: run the tests once with
    /// `PROFFER_REWRITE_FIXTURES=1` then.
    @Test("a seed gives the same run in every process and build")
    func golden() throws {
        let text = Self.seeds.map(Self.line).joined(separator: "\n") + "\n"
        let path = Support.folder.appendingPathComponent("transcripts.txt")
        if Support.isRewriting {
            try text.write(to: path, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: path, encoding: .utf8) == text)
    }

    @Test("a seed gives the same lines twice")
    func twice() {
        var configuration = Support.small
        configuration.keepsTranscript = true
        let first = Simulation(configuration).run(seed: 7).transcript
        let second = Simulation(configuration).run(seed: 7).transcript
        #expect(first.lines == second.lines)
        #expect(first.hash == second.hash)
        #expect(first.lines.count > 100)
    }

    @Test("two seeds give two runs")
    func different() {
        #expect(Self.line(1) != Self.line(2))
    }
}
