import ClusterProbe
import Foundation
import ProcessProbe
import Testing

@Suite(
    "An agent whose disk fills up again and again", .timeLimit(.minutes(10)),
    .enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
struct DiskTests {
    @Test("it loses no update and starts no task twice")
    func full() async throws {
        try await withBench { bench in
            let disk = try bench.cluster.moveToSmallDisk("agent-0")
            _ = try await bench.cluster.startMaster()
            var agent = try await bench.startAgent()
            let load = Load(bench, 60)
            _ = try load.start()
            var ends = 0
            var size = 2048
            // With its id kept, it is the same agent after each end.
            try await eventually("the first end of a task") { load.ended() > 0 }
            try disk.fill()
            try await eventually("all tasks, \(load.ended()), \(ends) ends: \(agent.output)") {
                if !agent.isRunning {
                    #expect(try await agent.exitCode() == 103)
                    ends += 1
                    size += 256
                    try disk.resize(kibibytes: ends < 3 ? size : 65_536)
                    agent = try await bench.startAgent()
                    if ends < 3 { try disk.fill() }
                }
                return load.ended() == load.count
            }
            #expect(ends > 0)
            // A sandbox that could not be made is the end of its task.
            try await load.check(mayFail: true)
            await bench.cluster.end()
            withExtendedLifetime(disk) {}
        }
    }
}
