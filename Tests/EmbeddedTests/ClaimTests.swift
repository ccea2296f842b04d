import ClusterProbe
import Proffer
import ProfferEmbedded
import Testing

@Suite("Claims and the view of the cluster", .serialized, .timeLimit(.minutes(5)))
struct ClaimTests {
    /// Runs `body` with a framework that is offered nothing and watches a cluster of two agents.
    private func withWatcher(
        _ body: (EmbeddedCluster, Probe) async throws -> Void
    ) async throws {
        try await withCluster(agents: 2) { cluster in
            try await cluster.activeAgents(2)
            var options = FrameworkOptions(info: FrameworkInfo(name: "watcher"))
            options.suppressedRoles = ["*"]
            let watcher = try Probe(options, cluster.connection)
            _ = try await watcher.subscribed()
            watcher.call(.watchCluster(true))
            try await body(cluster, watcher)
            await watcher.stop(teardown: true)
        }
    }

    /// The cluster by the steps so far.
    private func view(_ probe: Probe) -> WatchedCluster {
        var cluster = WatchedCluster()
        for step in probe.history.steps { cluster.take(step) }
        return cluster
    }

    private func agent(_ hostname: String, _ probe: Probe) async throws -> AgentView {
        try await eventually("a view of \(hostname)") {
            view(probe).agents.values.first { $0.hostname == hostname }
        }
    }

    private func part(_ agent: AgentView, _ task: TaskID, cpus: Milli) -> ClaimPart {
        let resources = Resources(cpus: cpus, mem: Milli(64))
        return ClaimPart(
            agentID: agent.id, role: "*", resources: resources,
            operations: [
                Operation(
                    action: .launch([
                        TaskInfo(
                            name: task.value, id: task, agentID: agent.id, resources: resources,
                            command: CommandInfo(value: "sleep 600"))
                    ]))
            ])
    }

    @Test("who watches gets everything, and then what changes when another one launches")
    func watch() async throws {
        try await withWatcher { cluster, watcher in
            let whole = try await agent("agent-0", watcher)
            #expect(watcher.history.steps.first?.isSnapshot == true)
            #expect(watcher.history.steps.first?.agents.count == 2)
            #expect(whole.free.cpus == Milli(2))

            let other = try Probe(FrameworkInfo(name: "other"), cluster.connection)
            let offer = try await other.offer { $0.hostname == "agent-0" }
            other.launch(
                [TaskInfo("t", "sleep 600", on: offer, cpus: Milli(1))], on: offer,
                refuse: .seconds(3600))
            try await other.update("t", .running)
            other.call(.suppress(roles: []))
            try await eventually("a delta with what is left") {
                view(watcher).agents[whole.id]?.free.cpus == Milli(1)
            }
            let steps = watcher.history.steps
            #expect(steps.filter(\.isSnapshot).count == 1)
            let first = try #require(steps.first?.serial)
            #expect(steps.map(\.serial) == steps.indices.map { first + UInt64($0) })

            try await cluster.stopAgent(0)
            try await eventually("news that the agent is away") {
                view(watcher).agents[whole.id] == nil
            }
            await other.stop(teardown: true)
        }
    }

    @Test("a claim over two agents commits, and one against an old view says what is available")
    func claims() async throws {
        try await withWatcher { cluster, watcher in
            let first = try await agent("agent-0", watcher)
            let second = try await agent("agent-1", watcher)
            watcher.call(
                .claim(
                    Claim(
                        id: "both",
                        parts: [
                            part(first, "a", cpus: Milli(1)),
                            part(second, "b", cpus: Milli(thousandths: 1500)),
                        ])))
            #expect(try await watcher.outcome(of: "both") == .committed)
            for task in ["a", "b"] { try await watcher.update(TaskID(task), .running) }

            watcher.call(
                .claim(
                    Claim(
                        id: "stale",
                        parts: [
                            part(first, "c", cpus: Milli(1)), part(second, "d", cpus: Milli(1)),
                        ])))
            guard case .conflict(let conflicts) = try await watcher.outcome(of: "stale") else {
                throw NeverHappened(description: "the claim is committed")
            }
            #expect(conflicts.map(\.agentID) == [second.id])
            #expect(conflicts.map(\.check) == [.resources])
            #expect(conflicts.first?.available.cpus == Milli(thousandths: 500))
            #expect(conflicts.first?.available.mem == Milli(960))
            // All or none: the part that would have fitted is not taken either.
            #expect(try await Set(cluster.tasks().map(\.key.task)) == ["a", "b"])

            watcher.call(
                .claim(Claim(id: "again", parts: [part(first, "e", cpus: Milli(1))])))
            #expect(try await watcher.outcome(of: "again") == .committed)
            try await watcher.update("e", .running)
        }
    }
}
