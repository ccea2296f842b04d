import ClusterProbe
import Foundation
import Proffer
@_spi(Testing) import ProfferEmbedded
import Synchronization
import Testing

@Suite("Kill", .serialized, .timeLimit(.minutes(5)))
struct KillTests {
    @Test("KILL of a task that nobody knows is answered once")
    func unknown() async throws {
        try await withProbe { _, probe in
            _ = try await probe.subscribed()
            probe.call(.kill("nobody", agent: nil, policy: nil))
            let status = try await probe.update("nobody", .unknown)
            #expect(status.reason == .reconciliation)
            try await probe.settled()
            #expect(probe.history.states(of: "nobody") == [.unknown])
        }
    }

    @Test("KILL that names another agent than the task's does nothing")
    func wrongAgent() async throws {
        try await withProbe { _, probe in
            try await probe.run("t", "sleep 600")
            probe.call(.kill("t", agent: "another", policy: nil))
            try await probe.settled()
            probe.call(.reconcile([ReconcileTask(taskID: "t")]))
            let status = try await probe.update("t", .running) { $0.reason == .reconciliation }
            #expect(ProcessTable.isAlive(try #require(status.containerStatus?.pid)))
            #expect(!probe.history.states(of: "t").contains(.killing))
        }
    }

    @Test("KILL while the agent is away is carried out when it is back")
    func agentAway() async throws {
        try await withProbe { cluster, probe in
            try await probe.run("t", "sleep 600")
            try await cluster.stopAgent(0)
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.settled()
            try cluster.startAgent(0)
            try await probe.update("t", .killed)
        }
    }

    /// Keeps executors from starting until it is opened.
    private final class Gate: Sendable {
        private let isOpen = Mutex(false)

        func open() { isOpen.withLock { $0 = true } }

        func pass() async {
            try? await eventually("the gate to open") { isOpen.withLock { $0 } }
        }
    }

    private func withHeldExecutors(_ gate: Gate, _ body: (Probe) async throws -> Void) async throws
    {
        try await withCluster(
            agents: 1, { $0.executorMayStart = { await gate.pass() } },
            { cluster in
                let probe = try Probe(FrameworkInfo(name: "probe"), cluster.connection)
                try await body(probe)
                await probe.stop(teardown: true)
            })
    }

    @Test("KILL before a task reached its executor ends it without a start")
    func duringLaunch() async throws {
        let gate = Gate()
        defer { gate.open() }
        try await withHeldExecutors(gate) { probe in
            let offer = try await probe.offer()
            probe.launch(
                [TaskInfo("t", "true", on: offer), TaskInfo("other", "true", on: offer)],
                on: offer)
            probe.call(.kill("t", agent: nil, policy: nil))
            let status = try await probe.update("t", .killed)
            #expect(status.reason == .taskKilledDuringLaunch)
            gate.open()
            // A task that only waits for the same executor is not meant.
            try await probe.update("other", .finished)
            #expect(probe.history.states(of: "t") == [.killed])
        }
    }

    @Test("KILL of one task of a group before its launch ends the whole group")
    func groupDuringLaunch() async throws {
        let gate = Gate()
        defer { gate.open() }
        try await withHeldExecutors(gate) { probe in
            let offer = try await probe.offer()
            let pod = ExecutorInfo(id: "pod", kind: .default)
            let tasks = [TaskInfo("a", "true", on: offer), TaskInfo("b", "true", on: offer)]
            probe.call(
                .accept(
                    offers: [offer.id],
                    operations: [Operation(action: .launchGroup(executor: pod, tasks: tasks))],
                    filters: nil))
            probe.call(.kill("a", agent: nil, policy: nil))
            for id in ["a", "b"] as [TaskID] {
                let status = try await probe.update(id, .killed)
                #expect(status.reason == .taskKilledDuringLaunch)
            }
            gate.open()
            try await probe.settled()
            #expect(probe.history.states(of: "a") == [.killed])
            #expect(probe.history.states(of: "b") == [.killed])
        }
    }

    @Test("a task that ignores TERM is killed when its grace is over")
    func escalation() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            try await probe.run("t", "trap 'echo no' TERM; echo ready; while :; do sleep 0.1; done")
            let sandbox = try #require(await cluster.sandbox(TaskKey(id, "t")))
            try await eventually("the trap to be set") {
                TextFile.read(sandbox + "/stdout") == "ready\n"
            }
            let begun = ContinuousClock.now
            probe.call(
                .kill("t", agent: nil, policy: KillPolicy(gracePeriod: .milliseconds(700))))
            try await probe.update("t", .killing)
            let status = try await probe.update("t", .killed)
            #expect(ContinuousClock.now - begun >= .milliseconds(700))
            #expect(status.exit?.signal == 9)
            #expect(TextFile.read(sandbox + "/stdout") == "ready\nno\n")
        }
    }

    @Test("a task that ends by itself when asked to is KILLED, whatever its exit code")
    func politeEnd() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            try await probe.run(
                "t", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done")
            let sandbox = try #require(await cluster.sandbox(TaskKey(id, "t")))
            try await eventually("the trap to be set") {
                TextFile.read(sandbox + "/stdout") == "ready\n"
            }
            probe.call(.kill("t", agent: nil, policy: nil))
            let status = try await probe.update("t", .killed)
            #expect(status.exit?.code == 0)
        }
    }

    @Test("a shorter grace takes over from a longer one")
    func shorterGrace() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            try await probe.run("t", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
            let sandbox = try #require(await cluster.sandbox(TaskKey(id, "t")))
            try await eventually("the trap to be set") {
                TextFile.read(sandbox + "/stdout") == "ready\n"
            }
            probe.call(.kill("t", agent: nil, policy: KillPolicy(gracePeriod: .seconds(600))))
            try await probe.update("t", .killing)
            probe.call(.kill("t", agent: nil, policy: KillPolicy(gracePeriod: .milliseconds(1))))
            #expect(try await probe.update("t", .killed).exit?.signal == 9)
        }
    }

    @Test("what a task leaves running dies with it, even in a session of its own")
    func strays() async throws {
        try await withProbe { _, probe in
            let status = try await probe.run("t", "setsid sleep 600 & sleep 600")
            let pid = try #require(status.containerStatus?.pid)
            let directory = try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(pid)/cwd")
            try await eventually("both sleeps") {
                ProcessTable.having("PROFFER_SANDBOX", below: directory).count >= 3
            }
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            try await eventually("every process of the task to be gone") {
                ProcessTable.having("PROFFER_SANDBOX", below: directory).isEmpty
            }
        }
    }

    @Test("a task that fails its health checks is killed and was not healthy")
    func health() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            var task = TaskInfo("t", "sleep 600", on: offer)
            task.healthCheck = HealthCheck(
                kind: .command(CommandInfo(value: "exit 1")), delay: .milliseconds(1),
                interval: .milliseconds(50), timeout: .seconds(30), gracePeriod: .zero,
                consecutiveFailures: 2)
            probe.launch([task], on: offer)
            let sick = try await probe.update("t", .running) { $0.healthy == false }
            #expect(sick.reason == .taskHealthCheckStatusUpdated)
            let status = try await probe.update("t", .killed)
            #expect(status.healthy == false)
            #expect(status.reason == .taskHealthCheckStatusUpdated)
        }
    }

    @Test("a task that runs longer than it may has failed")
    func timeLimit() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            var task = TaskInfo("t", "sleep 600", on: offer)
            task.maxCompletionTime = .milliseconds(200)
            probe.launch([task], on: offer)
            let status = try await probe.update("t", .failed)
            #expect(status.reason == .maxCompletionTimeReached)
        }
    }

    @Test("SHUTDOWN of an executor kills its tasks, and the framework hears of its end")
    func shutdownExecutor() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            let pod = ExecutorInfo(id: "pod", kind: .default)
            let task = TaskInfo("t", "sleep 600", on: offer)
            probe.call(
                .accept(
                    offers: [offer.id],
                    operations: [Operation(action: .launchGroup(executor: pod, tasks: [task]))],
                    filters: nil))
            let status = try await probe.update("t", .running)
            let executor = try #require(status.executorID)
            let agent = try #require(status.agentID)
            // Bytes for an executor that takes none do no harm.
            probe.call(.message(agent: agent, executor: executor, data: [1, 2, 3]))
            probe.call(.shutdown(executor, agent: agent))
            try await probe.update("t", .killed)
            try await eventually("news of the executor") {
                probe.history.failures.contains { $0.agent == agent && $0.executor == executor }
            }
        }
    }

    @Test("an operator's KILL ends a task")
    func byOperator() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            try await probe.run("t", "sleep 600")
            let answer = try await cluster.answer(.kill(TaskKey(id, "t")))
            #expect(answer == .done)
            try await probe.update("t", .killed)
        }
    }
}
