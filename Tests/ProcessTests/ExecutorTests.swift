import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import ProfferZeroMQ
import Testing

/// Executors of frameworks, written with the SDK, under a real agent.
@Suite("Custom executors", .serialized, .timeLimit(.minutes(5)))
struct ExecutorTests {
    private func program(_ name: String) -> String {
        Program.folder.appendingPathComponent(name).path
    }

    private func executor(grace: Duration? = nil) -> ExecutorInfo {
        let path = program("scripted-executor")
        return ExecutorInfo(
            id: "scripted", command: CommandInfo(value: path, shell: false, arguments: [path]),
            resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(64)),
            shutdownGracePeriod: grace)
    }

    private func task(_ id: TaskID, _ order: String, on offer: Offer) -> TaskInfo {
        TaskInfo(
            name: id.value, id: id, agentID: offer.agentID,
            resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(16)),
            executor: executor(), data: Array(order.utf8))
    }

    @Test("tasks run in one process, end, fail and are killed; messages go both ways")
    func life() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let gate = cluster.data("gate")
            let offer = try await probe.offer()
            probe.launch(
                [
                    task("ends", "wait \(gate)", on: offer),
                    task("fails", "fail on purpose", on: offer),
                    task("killed", "wait \(gate).never", on: offer),
                ], on: offer)
            let waiting = try await probe.update("ends", .running) { $0.message == "waiting" }
            #expect(waiting.healthy == true)
            try await probe.update("killed", .running) { $0.message == "waiting" }
            let failed = try await probe.update("fails", .failed)
            #expect(failed.message == "on purpose")
            #expect(failed.reason == .commandExecutorFailed)
            #expect(cluster.executors().count == 1)

            probe.call(
                .message(agent: offer.agentID, executor: "scripted", data: Array("ping".utf8)))
            try await eventually("an answer of the executor") {
                probe.history.messages == [Array("ping".utf8)]
            }
            probe.call(.kill("killed", agent: nil, policy: nil))
            let killed = try await probe.update("killed", .killed)
            #expect(killed.message == "killed on request")
            try TextFile.write("", to: gate)
            let ended = try await probe.update("ends", .finished)
            #expect(ended.data == waiting.data)
            await probe.stop(teardown: true)
            try await eventually("the end of the executor") { cluster.executors().isEmpty }
        }
    }

    @Test("a task that ends while the agent is dead is known when it is back")
    func agentRestart() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let gate = cluster.data("gate")
            let offer = try await probe.offer()
            probe.launch(
                [
                    task("ends", "wait \(gate)", on: offer),
                    task("lives", "wait \(gate).later", on: offer),
                ], on: offer)
            let waiting = try await probe.update("ends", .running) { $0.message == "waiting" }
            try await probe.update("lives", .running) { $0.message == "waiting" }
            try await agent.crash()
            try TextFile.write("", to: gate)
            _ = try await cluster.startAgent()
            let ended = try await probe.update("ends", .finished)
            #expect(ended.data == waiting.data)
            try TextFile.write("", to: gate + ".later")
            let later = try await probe.update("lives", .finished)
            #expect(later.data == waiting.data)
            #expect(cluster.executors().count == 1)
            await probe.stop(teardown: true)
            try await eventually("the end of the executor") { cluster.executors().isEmpty }
        }
    }

    @Test("a task that does not end by itself ends with its executor")
    func stubborn() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let offer = try await probe.offer()
            var info = task("stays", "stay", on: offer)
            info.executor = executor(grace: .milliseconds(600))
            probe.launch([info], on: offer)
            try await probe.update("stays", .running)
            probe.call(.shutdown("scripted", agent: offer.agentID))
            let ended = try await probe.update("stays", .killed)
            #expect(ended.message == "killed because its executor ends")
            try await eventually("the end of the executor") { cluster.executors().isEmpty }
            await probe.stop(teardown: true)
        }
    }

    @Test("the example answers every job from one warm process")
    func warm() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let keys = cluster.data("framework.key")
            try cluster.frameworkKeys.save(keys)
            let master = try cluster.master
            let framework = try cluster.start(
                "warm-framework",
                [program("warm-executor"), "10", "100", "1000", "1000000", "5000000"],
                environment: [
                    "PROFFER_MASTER": try master.frameworks.orThrow("no address"),
                    "PROFFER_MASTER_KEY": try master.publicKey.orThrow("no key"),
                    "PROFFER_KEY_FILE": keys,
                ], log: "warm")
            #expect(try await framework.exitCode() == 0, "\(framework.output)")
            let lines = framework.output.split(separator: "\n")
            for line in [
                "below-10: 4", "below-100: 25", "below-1000: 168", "below-1000000: 78498",
                "1 failed",
            ] {
                #expect(lines.contains(Substring(line)), "\(framework.output)")
            }
            #expect(framework.output.contains("'5000000' is no number between 0 and 2000000"))
        }
    }
}
