import ClusterProbe
import Foundation
import ProcessProbe
import Proffer
import Testing

/// Status updates while everybody dies again and again.
@Suite("Updates under random kills", .timeLimit(.minutes(600)))
struct RandomKillTests {
    private static func number(_ name: String, _ standard: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
    }

    @Test("no update is lost, and none that was acknowledged is handed out again")
    func kills() async throws {
        let tasks = Self.number("PROFFER_CRASH_TASKS", 120)
        let kills = Self.number("PROFFER_CRASH_KILLS", 16)
        let seed = Self.number("PROFFER_CRASH_SEED", Int.random(in: 1...1_000_000))
        // Named by every failure, and seen in the log of a run that passes.
        let context = "PROFFER_CRASH_SEED=\(seed)"
        print(context)
        var generator = SeededGenerator(seed: UInt64(clamping: seed))
        try await withBench { bench in
            var master = try await bench.cluster.startMaster()
            var agent = try await bench.startAgent()
            let load = Load(bench, tasks)
            var framework = try load.start()
            for number in 1...kills {
                // Each kill comes after some progress, wherever that is.
                let goal = min(load.ended() + Int(generator.next() % 4), tasks - 1)
                try await eventually("progress, \(context): \(load.ended())") {
                    load.ended() >= goal
                }
                // Nothing is waited for: the moment of a kill is drawn by lot.
                try await Task.sleep(for: .milliseconds(Int(generator.next() % 60)))
                switch (number + Int(generator.next() % 2)) % 4 {
                case 0:
                    try await framework.crash()
                    framework = try load.start()
                case 1:
                    try await master.crash()
                    master = try await bench.cluster.startMaster()
                case 2:
                    try await agent.crash()
                    agent = try await bench.startAgent()
                default:
                    for pid in bench.cluster.executors().prefix(1) { ProcessTable.kill(pid) }
                }
            }
            try await load.check(mayFail: true, context)
        }
    }
}
