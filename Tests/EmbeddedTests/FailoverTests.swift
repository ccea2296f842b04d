import ClusterProbe
import Proffer
import ProfferEmbedded
import Testing

@Suite("Failover", .serialized, .timeLimit(.minutes(5)))
struct FailoverTests {
    private static func pid(_ status: TaskStatus) throws -> Int {
        try #require(status.containerStatus?.pid)
    }

    @Test("an agent that stops and starts again keeps its task and its process")
    func agentRestart() async throws {
        try await withProbe { cluster, probe in
            let before = try await probe.run("t", "sleep 600")
            let agent = try #require(before.agentID)
            try await cluster.stopAgent(0)
            try await probe.settled()
            #expect(probe.history.states(of: "t").last == .running)
            try cluster.startAgent(0)
            try await cluster.activeAgents(1)
            probe.call(.reconcile([ReconcileTask(taskID: "t")]))
            let after = try await probe.update("t", .running) { $0.reason == .reconciliation }
            #expect(after.agentID == agent)
            #expect(try Self.pid(after) == Self.pid(before))
            #expect(ProcessTable.isAlive(try Self.pid(before)))
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            #expect(!ProcessTable.isAlive(try Self.pid(before)))
        }
    }

    @Test("the end of a task while its agent is away is not lost")
    func endWhileAway() async throws {
        try await withProbe { cluster, probe in
            let status = try await probe.run("t", "while [ ! -e end ]; do sleep 0.05; done; exit 4")
            let id = try await probe.subscribed()
            let sandbox = try #require(await cluster.sandbox(TaskKey(id, "t")))
            try await cluster.stopAgent(0)
            try TextFile.write("", to: sandbox + "/end")
            let pid = try Self.pid(status)
            try await eventually("the end of the process") { !ProcessTable.isAlive(pid) }
            try cluster.startAgent(0)
            #expect(try await probe.update("t", .failed).exit?.code == 4)
        }
    }

    @Test("without checkpoints a task is lost with its agent's process")
    func withoutCheckpoint() async throws {
        let info = FrameworkInfo(name: "probe", checkpoint: false)
        try await withProbe(info) { cluster, probe in
            try await probe.run("t", "sleep 600")
            try await cluster.stopAgent(0)
            let status = try await probe.update("t", .lost)
            #expect(status.reason == .agentDisconnected)
        }
    }

    @Test("a new master knows frameworks, agents and tasks, and the framework keeps its id")
    func masterRestart() async throws {
        try await withProbe(agents: 2) { cluster, probe in
            let id = try await probe.subscribed()
            let before = try await probe.run("t", "sleep 600")
            try await cluster.stopMaster()
            try await eventually("the loss of the master") { probe.history.disconnections == 1 }
            try cluster.startMaster()
            #expect(try await probe.subscribed(2) == id)
            try await cluster.activeAgents(2)
            let task = try await eventually("the task at the new master") {
                try await cluster.tasks().first { $0.state == .running }
            }
            #expect(task.key == TaskKey(id, "t"))
            #expect(task.agentID == before.agentID)
            #expect(ProcessTable.isAlive(try Self.pid(before)))
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            // What the task held is offered again.
            _ = try await probe.offer {
                $0.agentID == before.agentID && $0.resources.cpus == Milli(thousandths: 100)
            }
        }
    }

    @Test("13: a task on an agent that a new master waits for is no news until the agent is back")
    func expectedBack() async throws {
        try await withProbe { cluster, probe in
            let before = try await probe.run("t", "sleep 600")
            let agent = try #require(before.agentID)
            try await cluster.stopAgent(0)
            try await cluster.stopMaster()
            try cluster.startMaster()
            _ = try await probe.subscribed(2)
            let known = probe.history.updates.count
            for _ in 1...3 { probe.call(.reconcile([ReconcileTask(taskID: "t", agentID: agent)])) }
            // The answer about an agent that is never heard of comes after those before.
            let other = ReconcileTask(taskID: "other", agentID: "nobody")
            probe.call(.reconcile([other]))
            try await probe.update("other", .unknown)
            #expect(probe.history.updates.count == known + 1)
            #expect(try await cluster.agents().map(\.state) == [.recovered])
            try cluster.startAgent(0)
            try await cluster.activeAgents(1)
            probe.call(.reconcile([ReconcileTask(taskID: "t", agentID: agent)]))
            try await probe.update("t", .running) { $0.reason == .reconciliation }
            #expect(ProcessTable.isAlive(try Self.pid(before)))
        }
    }

    @Test("the end of a task while there is no master is not lost")
    func endWithoutMaster() async throws {
        try await withProbe { cluster, probe in
            let status = try await probe.run("t", "while [ ! -e end ]; do sleep 0.05; done; exit 4")
            let id = try await probe.subscribed()
            let sandbox = try #require(await cluster.sandbox(TaskKey(id, "t")))
            try await cluster.stopMaster()
            try TextFile.write("", to: sandbox + "/end")
            let pid = try Self.pid(status)
            try await eventually("the end of the process") { !ProcessTable.isAlive(pid) }
            try cluster.startMaster()
            #expect(try await probe.update("t", .failed).exit?.code == 4)
        }
    }

    @Test("a framework without a failover time-out takes its tasks with it")
    func noFailoverTimeout() async throws {
        try await withCluster { cluster in
            let probe = try Probe(
                FrameworkInfo(name: "probe", failoverTimeout: .zero), cluster.connection)
            let pid = try Self.pid(try await probe.run("t", "sleep 600"))
            await probe.stop()
            try await eventually("the end of the task") { !ProcessTable.isAlive(pid) }
            let frameworks = try await cluster.frameworks()
            #expect(frameworks.allSatisfy { $0.isRemoved })
        }
    }

    @Test("a framework that comes back in time finds its tasks")
    func backInTime() async throws {
        try await withCluster { cluster in
            let first = try Probe(FrameworkInfo(name: "probe"), cluster.connection)
            let id = try await first.subscribed()
            let pid = try Self.pid(try await first.run("t", "sleep 600"))
            await first.stop()
            try await eventually("the loss of the framework") {
                try await cluster.frameworks().first?.isConnected == false
            }
            let second = try Probe(FrameworkInfo(name: "probe", id: id), cluster.connection)
            #expect(try await second.subscribed() == id)
            let status = try await second.update("t", .running)
            #expect(try Self.pid(status) == pid)
            second.call(.kill("t", agent: nil, policy: nil))
            try await second.update("t", .killed)
            await second.stop(teardown: true)
        }
    }

    @Test("a framework that comes back too late has been removed, with its tasks")
    func backTooLate() async throws {
        try await withCluster { cluster in
            let info = FrameworkInfo(name: "probe", failoverTimeout: .milliseconds(300))
            let first = try Probe(info, cluster.connection)
            let id = try await first.subscribed()
            let pid = try Self.pid(try await first.run("t", "sleep 600"))
            await first.stop()
            try await eventually("the end of the task") { !ProcessTable.isAlive(pid) }
            let second = try Probe(FrameworkInfo(name: "probe", id: id), cluster.connection)
            let reason = try await eventually("a refusal") { second.history.ended }
            #expect(reason == "Framework has been removed")
            await second.stop()
        }
    }

    @Test("the newest subscriber wins, the one before is told")
    func newestWins() async throws {
        try await withCluster { cluster in
            let first = try Probe(FrameworkInfo(name: "probe"), cluster.connection)
            let id = try await first.subscribed()
            let pid = try Self.pid(try await first.run("t", "sleep 600"))
            let second = try Probe(FrameworkInfo(name: "probe", id: id), cluster.connection)
            #expect(try await second.subscribed() == id)
            #expect(
                try await eventually("its end") { first.history.ended } == "Framework failed over")
            #expect(ProcessTable.isAlive(pid))
            second.call(.kill("t", agent: nil, policy: nil))
            try await second.update("t", .killed)
            await first.stop()
            await second.stop(teardown: true)
        }
    }

    @Test("teardown kills every task")
    func teardown() async throws {
        try await withCluster { cluster in
            let probe = try Probe(FrameworkInfo(name: "probe"), cluster.connection)
            let pids = [
                try Self.pid(try await probe.run("a", "sleep 600")),
                try Self.pid(try await probe.run("b", "sleep 600")),
            ]
            await probe.stop(teardown: true)
            for pid in pids {
                try await eventually("the end of process \(pid)") { !ProcessTable.isAlive(pid) }
            }
        }
    }

    @Test("an operator's teardown ends a framework and its tasks")
    func teardownByOperator() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            let pid = try Self.pid(try await probe.run("t", "sleep 600"))
            #expect(try await cluster.answer(.teardown(id)) == .done)
            try await eventually("the end of the task") { !ProcessTable.isAlive(pid) }
            let other = try Probe(FrameworkInfo(name: "other"), cluster.connection)
            let offer = try await other.offer { $0.resources.cpus == Milli(2) }
            #expect(offer.resources.mem == Milli(1024))
            await other.stop(teardown: true)
        }
    }

    @Test("ending the cluster leaves no process of a task")
    func shutdown() async throws {
        var pid = 0
        try await withProbe { _, probe in
            pid = try Self.pid(try await probe.run("t", "trap '' TERM; while :; do sleep 1; done"))
        }
        #expect(pid > 0)
        #expect(!ProcessTable.isAlive(pid))
    }
}
