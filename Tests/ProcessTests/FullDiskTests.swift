import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import Testing

@Suite(
    "Daemons on a full disk", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
struct FullDiskTests {
    /// Puts a daemon's data directory, with what is in it, on a disk of its own.
    private func move(_ name: String, of cluster: ProcessCluster) throws -> SmallDisk {
        let path = cluster.data(name)
        let contents = try FileManager.default.contentsOfDirectory(atPath: path).map {
            ($0, try String(contentsOfFile: path + "/" + $0, encoding: .utf8))
        }
        let disk = try SmallDisk(kibibytes: 2048, at: path)
        for (file, text) in contents {
            try TextFile.write(text, to: path + "/" + file)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600], ofItemAtPath: path + "/" + file)
        }
        return disk
    }

    /// Takes what room is left on a disk.
    private func fill(_ disk: SmallDisk) throws {
        let path = disk.path + "/filler"
        try TextFile.write("", to: path)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        let block = Data(repeating: 1, count: 4096)
        while (try? file.write(contentsOf: block)) != nil {}
        try file.close()
    }

    @Test("an agent that cannot keep its checkpoints ends, and its tasks live on")
    func agent() async throws {
        try await withProcesses { cluster in
            let disk = try move("agent-0", of: cluster)
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "exec sleep 600")
            let pid = try #require(status.containerStatus?.pid)
            try fill(disk)
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
            let disk = try move("master", of: cluster)
            let master = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let id = try await probe.subscribed()
            let status = try await probe.run("t", "exec sleep 600")
            try fill(disk)
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
