import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import Testing

@Suite(
    "Daemons on a full disk", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
struct FullDiskTests {
    @Test("an agent that cannot keep its checkpoints ends, and its tasks live on")
    func agent() async throws {
        try await withProcesses { cluster in
            let disk = try cluster.moveToSmallDisk("agent-0")
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "exec sleep 600")
            let pid = try #require(status.containerStatus?.pid)
            try disk.fill()
            var number = 0
            // Room in the log of the database lasts for a few tasks.
            try await eventually("the end of the agent") {
                guard agent.isRunning else { return true }
                number += 1
                if let offer = probe.openOffer() {
                    probe.launch([TaskInfo(TaskID("more-\(number)"), "true", on: offer)], on: offer)
                }
                return false
            }
            #expect(try await agent.exitCode() == 103)
            #expect(agent.output.contains("try: make room on the disk"))
            #expect(ProcessTable.isAlive(pid))
            try disk.resize(kibibytes: 16_384)
            _ = try await cluster.startAgent()
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            #expect(!ProcessTable.isAlive(pid))
            await probe.stop(teardown: true)
            await cluster.end()
            withExtendedLifetime(disk) {}
        }
    }

    @Test("a master that cannot keep its registry ends, and forgets nothing it confirmed")
    func master() async throws {
        try await withProcesses { cluster in
            let disk = try cluster.moveToSmallDisk("master")
            let master = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let id = try await probe.subscribed()
            let status = try await probe.run("t", "exec sleep 600")
            try disk.fill()
            var info = FrameworkInfo(name: "probe", id: id)
            info.labels = [Label("large", String(repeating: "x", count: 200_000))]
            try await eventually("the end of the master") {
                guard master.isRunning else { return true }
                probe.call(.updateFramework(Subscription(framework: info)))
                return false
            }
            #expect(try await master.exitCode() == 103)
            #expect(master.output.contains("try: make room on the disk"))
            try disk.resize(kibibytes: 16_384)
            _ = try await cluster.startMaster()
            #expect(try await probe.subscribed(2) == id)
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            #expect(!ProcessTable.isAlive(try #require(status.containerStatus?.pid)))
            await probe.stop(teardown: true)
            await cluster.end()
            withExtendedLifetime(disk) {}
        }
    }
}
