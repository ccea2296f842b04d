import ClusterProbe
import Proffer
import ProfferEmbedded
import Testing

@Suite("Update", .serialized, .timeLimit(.minutes(5)))
struct UpdateTests {
    private static func manual(_ info: FrameworkInfo) -> FrameworkOptions {
        var options = FrameworkOptions(info: info)
        options.acknowledgement = .manual
        options.reconciliation = .manual
        return options
    }

    private static func acknowledge(_ probe: Probe, _ status: TaskStatus) throws {
        probe.call(
            .acknowledge(
                status.taskID, agent: try #require(status.agentID),
                uuid: try #require(status.uuid)))
    }

    @Test("an update that was not acknowledged comes again with the same uuid")
    func unacknowledged() async throws {
        try await withCluster { cluster in
            let first = try Probe(
                Self.manual(FrameworkInfo(name: "probe")), cluster.connection)
            let id = try await first.subscribed()
            let offer = try await first.offer()
            first.launch([TaskInfo("t", "exit 3", on: offer)], on: offer)
            let ended = try await first.update("t", .failed)
            await first.stop()

            let second = try Probe(
                Self.manual(FrameworkInfo(name: "probe", id: id)), cluster.connection)
            let again = try await second.update("t", .failed) { $0.uuid != nil }
            #expect(again.uuid == ended.uuid)
            #expect(again.timestamp == ended.timestamp)
            for status in second.history.updates where status.uuid != nil {
                try Self.acknowledge(second, status)
            }
            try await eventually("the task to be forgotten") {
                try await cluster.tasks().allSatisfy { $0.state.isTerminal }
            }
            try await eventually("the framework to have no task") {
                try await cluster.frameworks().first?.tasks == 0
            }
            await second.stop(teardown: true)
        }
    }

    @Test("resources follow the newest state, the record follows the acknowledgement")
    func resourcesBeforeRecord() async throws {
        try await withCluster { cluster in
            let probe = try Probe(
                Self.manual(FrameworkInfo(name: "probe")), cluster.connection)
            let offer = try await probe.offer()
            probe.launch(
                [TaskInfo("t", "true", on: offer, cpus: Milli(2))], on: offer,
                refuse: .seconds(3600))
            // Nothing was acknowledged, and all of the agent is offered again.
            let next = try await probe.offer { $0.resources.cpus == Milli(2) }
            #expect(next.resources == offer.resources)

            let end = try await probe.update("t", .finished)
            probe.call(.reconcile([]))
            try await probe.update("t", .finished) { $0.reason == .reconciliation }

            for status in probe.history.updates where status.uuid != nil {
                try Self.acknowledge(probe, status)
            }
            try Self.acknowledge(probe, end)
            try await probe.settled()
            let count = probe.history.states(of: "t").count
            probe.call(.reconcile([]))
            try await probe.settled()
            #expect(probe.history.states(of: "t").count == count)
            await probe.stop(teardown: true)
        }
    }

    @Test("updates that the master makes carry no uuid")
    func withoutUUID() async throws {
        try await withCluster { cluster in
            let probe = try Probe(
                Self.manual(FrameworkInfo(name: "probe")), cluster.connection)
            let offer = try await probe.offer()
            probe.launch([TaskInfo("big", "true", on: offer, cpus: Milli(99))], on: offer)
            #expect(try await probe.update("big", .error).uuid == nil)
            probe.call(.reconcile([ReconcileTask(taskID: "nobody")]))
            #expect(try await probe.update("nobody", .unknown).uuid == nil)
            await probe.stop(teardown: true)
        }
    }

    @Test("explicit reconciliation answers for each task")
    func explicit() async throws {
        try await withProbe { _, probe in
            let running = try await probe.run("t", "sleep 600")
            let agent = try #require(running.agentID)
            probe.call(
                .reconcile([
                    ReconcileTask(taskID: "t", agentID: agent),
                    ReconcileTask(taskID: "other", agentID: agent),
                    ReconcileTask(taskID: "stranger"),
                ]))
            let known = try await probe.update("t", .running) { $0.reason == .reconciliation }
            #expect(known.agentID == agent)
            #expect(known.uuid == nil)
            try await probe.update("other", .gone)
            try await probe.update("stranger", .unknown)
        }
    }

    @Test("implicit reconciliation lists every live task")
    func implicit() async throws {
        try await withCluster { cluster in
            let probe = try Probe(
                {
                    var options = FrameworkOptions(info: FrameworkInfo(name: "probe"))
                    options.reconciliation = .manual
                    return options
                }(), cluster.connection)
            for id in ["a", "b"] as [TaskID] { try await probe.run(id, "sleep 600") }
            probe.call(.reconcile([]))
            for id in ["a", "b"] as [TaskID] {
                try await probe.update(id, .running) { $0.reason == .reconciliation }
            }
            await probe.stop(teardown: true)
        }
    }

    @Test("what a task uses is seen at its agent")
    func usage() async throws {
        let often: (inout EmbeddedClusterOptions) -> Void = {
            $0.usageInterval = .milliseconds(50)
        }
        try await withProbe(FrameworkInfo(name: "probe"), agents: 1, often) { cluster, probe in
            let id = try await probe.subscribed()
            try await probe.run("t", "i=0; while :; do i=$((i+1)); done")
            let usage = try await eventually("the usage of the task") {
                try await cluster.agents().first?.usage?.tasks.first { $0.cpuTime > .zero }
            }
            #expect(usage.key == TaskKey(id, "t"))
            #expect(usage.processes == 1)
            #expect(usage.memoryBytes > 0)
        }
    }
}
