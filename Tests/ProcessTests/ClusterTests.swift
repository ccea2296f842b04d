import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import ProfferZeroMQ
import Testing

@Suite("Processes", .serialized, .timeLimit(.minutes(5)))
struct ClusterTests {
    @Test("HelloFramework runs to its end")
    func hello() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let keyFile = cluster.directory.file("framework.key")
            try cluster.frameworkKeys.save(keyFile)
            let program = try cluster.start(
                "HelloFramework", [],
                environment: [
                    "PROFFER_MASTER": try cluster.master.frameworks.orThrow("no address"),
                    "PROFFER_MASTER_KEY": try cluster.master.publicKey.orThrow("no key"),
                    "PROFFER_KEY_FILE": keyFile,
                ], log: "hello")
            #expect(try await program.exitCode() == 0)
            for number in 1...3 {
                #expect(program.output.contains("hello-\(number) is TASK_FINISHED"))
            }
        }
    }

    @Test("a task survives kill -9 of its agent")
    func agentCrash() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let before = try await probe.run("t", "exec sleep 600")
            let pid = try #require(before.containerStatus?.pid)
            try await agent.crash()
            #expect(ProcessTable.isAlive(pid))
            _ = try await cluster.startAgent()
            try await activeAgents(1, cluster)
            probe.call(.reconcile([ReconcileTask(taskID: "t")]))
            let after = try await probe.update("t", .running) { $0.reason == .reconciliation }
            #expect(after.containerStatus?.pid == pid)
            #expect(after.agentID == before.agentID)
            #expect(ProcessTable.isAlive(pid))
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            #expect(!ProcessTable.isAlive(pid))
            await probe.stop(teardown: true)
        }
    }

    @Test("a task that ends while its crashed agent is away is reported afterwards")
    func endDuringCrash() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "while [ ! -e end ]; do sleep 0.05; done; exit 9")
            let pid = try #require(status.containerStatus?.pid)
            let sandbox = try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(pid)/cwd")
            try await agent.crash()
            try TextFile.write("", to: sandbox + "/end")
            try await eventually("the end of the task") { !ProcessTable.isAlive(pid) }
            _ = try await cluster.startAgent()
            #expect(try await probe.update("t", .failed).exit?.code == 9)
            await probe.stop(teardown: true)
        }
    }

    @Test("framework, agent and task survive kill -9 of the master")
    func masterCrash() async throws {
        try await withProcesses { cluster in
            let master = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let id = try await probe.subscribed()
            let before = try await probe.run("t", "exec sleep 600")
            let pid = try #require(before.containerStatus?.pid)
            try await master.crash()
            _ = try await cluster.startMaster()
            #expect(try await probe.subscribed(2) == id)
            try await activeAgents(1, cluster)
            probe.call(.reconcile([ReconcileTask(taskID: "t")]))
            try await probe.update("t", .running) { $0.reason == .reconciliation }
            #expect(ProcessTable.isAlive(pid))
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            // What the task held is offered again, and the acknowledgement has arrived when the
            // task is not listed any more.
            _ = try await probe.offer { $0.resources.cpus == Milli(thousandths: 100) }
            try await eventually("the task to be forgotten") {
                try await get("\(cluster.master.http)/v1/frameworks").body.contains(#""tasks":0"#)
            }
            await probe.stop(teardown: true)
        }
    }

    @Test("kill -9 of an executor ends its tasks, and nothing of them is left")
    func executorCrash() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            try await probe.run("t", "setsid sleep 600 & sleep 600")
            let executor = try #require(cluster.executors().first)
            ProcessTable.kill(executor)
            let status = try await eventually("the end of the task") {
                probe.history.updates.first { $0.taskID == "t" && $0.state.isTerminal }
            }
            #expect([.failed, .gone].contains(status.state))
            #expect(status.reason == .executorTerminated)
            try await eventually("every process of the task to be gone") {
                cluster.tasks().isEmpty
            }
            // The node is whole again.
            try await probe.run("next", "sleep 600")
            await probe.stop(teardown: true)
        }
    }

    @Test("TERM ends an agent and leaves its tasks alive")
    func agentTerm() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "exec sleep 600")
            let pid = try #require(status.containerStatus?.pid)
            agent.signal(SIGTERM)
            #expect(try await agent.exitCode() == 0)
            #expect(ProcessTable.isAlive(pid))
            let file = cluster.data("agent-0") + "/endpoints.json"
            #expect(!FileManager.default.fileExists(atPath: file))
            _ = try await cluster.startAgent()
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            await probe.stop(teardown: true)
        }
    }

    @Test("USR1 kills an agent's tasks, takes it out of the cluster and ends it")
    func agentUnregisters() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "exec sleep 600")
            let pid = try #require(status.containerStatus?.pid)
            agent.signal(SIGUSR1)
            #expect(try await agent.exitCode() == 0)
            try await eventually("the end of the task") { !ProcessTable.isAlive(pid) }
            try await eventually("news of the task") {
                probe.history.updates.contains { $0.taskID == "t" && $0.state.isTerminal }
            }
            #expect(cluster.executors().isEmpty)
            try await eventually("the agent to be gone") {
                try await get("\(cluster.master.http)/v1/agents").body.contains(#""items":[]"#)
            }
            await probe.stop(teardown: true)
        }
    }

    @Test("TERM ends a master in order")
    func masterTerm() async throws {
        try await withProcesses { cluster in
            let master = try await cluster.startMaster()
            master.signal(SIGTERM)
            #expect(try await master.exitCode() == 0)
            let file = cluster.data("master") + "/endpoints.json"
            #expect(!FileManager.default.fileExists(atPath: file))
        }
    }

    @Test("both daemons serve HTTP: health, agents, metrics, a task's sandbox")
    func http() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let served = try await cluster.endpoints("agent-0", of: agent).http
            let probe = try cluster.probe()
            let id = try await probe.subscribed()
            let offer = try await probe.offer()
            probe.launch([TaskInfo("t", "printf 0123456789", on: offer)], on: offer)
            try await probe.update("t", .finished)
            let master = try cluster.master.http
            #expect(try await get("\(master)/health").body == "ok\n")
            #expect(try await get("\(served)/health").body == "ok\n")
            #expect(try await get("\(master)/v1/agents").body.contains("127.0.0.1"))
            #expect(try await get("\(master)/metrics").body.contains("proffer_offers_total"))
            #expect(
                try await get("\(served)/metrics").body.contains("proffer_agent_task_transitions"))
            let sandbox = "\(served)/v1/sandboxes/\(id)/t"
            #expect(try await get(sandbox).body.contains("stdout"))
            #expect(try await get("\(sandbox)/stdout").body == "0123456789")
            #expect(try await get("\(sandbox)/stdout?offset=2&length=3").body == "234")
            #expect(try await get("\(sandbox)/none").status == 404)
            #expect(try await get("\(sandbox)/%2e%2e/%2e%2e/agent.key").status >= 400)
            #expect(try await get("\(served)/v1/sandboxes/\(id)/other/stdout").status == 404)
            #expect("\(served)".hasSuffix(":\(offer.agentPort)"))
            await probe.stop(teardown: true)
        }
    }

    @Test(
        "a full disk below the sandboxes fails the task, not the agent",
        .enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
    func fullDisk() async throws {
        try await withProcesses { cluster in
            let disk = try SmallDisk(kibibytes: 64, at: workDirectory(cluster))
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let offer = try await probe.offer()
            let command = "yes full > data; echo yes, the disk is full >&2; exit 5"
            probe.launch([TaskInfo("t", command, on: offer)], on: offer)
            let status = try await probe.update("t", .failed)
            #expect(status.exit?.code == 5)
            let next = try await probe.offer()
            probe.launch([TaskInfo("next", "echo hello", on: next)], on: next)
            let end = try await eventually("the end of the next task") {
                probe.history.updates.first { $0.taskID == "next" && $0.state.isTerminal }
            }
            #expect(
                end.message?.contains("No space left") == true,
                "\(end.state) \(end.message ?? "")")
            #expect(agent.isRunning)
            try disk.resize(kibibytes: 4096)
            let last = try await probe.offer()
            probe.launch([TaskInfo("last", "echo hello", on: last)], on: last)
            try await probe.update("last", .finished)
            await probe.stop(teardown: true)
            await cluster.end()
            withExtendedLifetime(disk) {}
        }
    }

    private func workDirectory(_ cluster: ProcessCluster) throws -> String {
        let path = cluster.data("agent-0") + "/work"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false)
        return path
    }

    private func activeAgents(_ count: Int, _ cluster: ProcessCluster) async throws {
        try await eventually("\(count) active agents") {
            let body = try await get("\(cluster.master.http)/v1/agents").body
            return body.split(separator: #""state":"active""#, omittingEmptySubsequences: false)
                .count == count + 1
        }
    }
}
