import ClusterProbe
import Foundation
import Proffer
import ProfferRuntime
import ProfferZeroMQ
import Testing

/// What an operator orders about agents, machines and keys, in a cluster of processes.
@Suite("Operator's orders about agents", .serialized, .timeLimit(.minutes(5)))
struct AgentOrderTests {
    @Test("a drain ends every task, says why, outlives the master, and can be undone")
    func drain() async throws {
        try await withProcesses { cluster in
            let master = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            try cluster.writeContext()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "exec sleep 600")
            let id = try #require(status.agentID?.value)
            let pid = try #require(status.containerStatus?.pid)
            let order = try await cluster.proffer("agent", "drain", id, "--max-grace", "1s")
            #expect(order.code == 0, "\(order.output)")
            let end = try await probe.update("t", .killed)
            #expect(end.reason == .agentDraining)
            #expect(!ProcessTable.isAlive(pid))
            try await cluster.agent(id, is: "drained")
            try await master.crash()
            _ = try await cluster.startMaster()
            _ = try await probe.subscribed(2)
            try await cluster.agent(id, is: "drained")
            let before = probe.history.offers.count
            try await probe.settled()
            #expect(probe.history.offers.count == before)
            let undo = try await cluster.proffer("agent", "reactivate", id)
            #expect(undo.code == 0, "\(undo.output)")
            try await probe.run("next", "exec sleep 600")
            await probe.stop(teardown: true)
        }
    }

    @Test("14: an agent that is declared gone ends with its tasks and is never let in again")
    func gone() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            try cluster.writeContext()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "exec sleep 600")
            let id = try #require(status.agentID?.value)
            let pid = try #require(status.containerStatus?.pid)
            let order = try await cluster.proffer("agent", "gone", id)
            #expect(order.code == 0, "\(order.output)")
            let end = try await probe.update("t", .goneByOperator)
            #expect(end.reason == .agentRemovedByOperator)
            #expect(try await agent.exitCode() == 0)
            #expect(!ProcessTable.isAlive(pid))
            probe.call(.reconcile([ReconcileTask(taskID: "t", agentID: AgentID(id))]))
            try await probe.update("t", .goneByOperator) { $0.reason == .reconciliation }
            let again = try cluster.start(
                "proffer-agent", try cluster.agentArguments(0), log: "again")
            #expect(try await again.exitCode() == 0)
            #expect(again.output.contains("declared this agent gone"))
            let unknown = try await cluster.proffer("agent", "gone", "nobody")
            #expect(unknown.code == 3, "\(unknown.output)")
            await probe.stop(teardown: true)
        }
    }

    @Test("a machine is planned, left, taken down and up again")
    func maintenance() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            try cluster.writeContext()
            let probe = try cluster.probe()
            let status = try await probe.run("t", "exec sleep 600")
            let early = try await cluster.proffer("maintenance", "down", "127.0.0.1")
            #expect(early.code == 7, "\(early.output)")
            let plan = try await cluster.proffer(
                "maintenance", "plan", "127.0.0.1", "--start", "2100-01-31T12:00:00Z",
                "--duration", "2h")
            #expect(plan.code == 0, "\(plan.output)")
            let request = try await eventually("a request to leave") {
                probe.history.inverseOffers.first
            }
            #expect(request.agentID == status.agentID)
            #expect(request.unavailability.duration == .seconds(7200))
            _ = try await probe.offer { $0.unavailability == request.unavailability }
            probe.call(.acceptInverseOffers([request.id], filters: nil))
            try await eventually("the answer to be shown") {
                let shown = try await cluster.proffer("maintenance")
                return shown.output.contains("draining") && shown.output.contains("accepted")
            }
            let down = try await cluster.proffer("maintenance", "down", "127.0.0.1")
            #expect(down.code == 0, "\(down.output)")
            let end = try await probe.update("t", .lost)
            #expect(end.reason == .agentRemoved)
            #expect(try await agent.exitCode() == 0)
            // It is not let in until the machine is up.
            let refused = try cluster.start(
                "proffer-agent", try cluster.agentArguments(0), log: "again")
            #expect(try await refused.exitCode() == 0)
            #expect(refused.output.contains("is down for maintenance"))
            #expect(try await cluster.proffer("maintenance").output.contains(" down "))
            let up = try await cluster.proffer("maintenance", "up", "127.0.0.1")
            #expect(up.code == 0, "\(up.output)")
            _ = try await cluster.startAgent()
            try await probe.run("next", "exec sleep 600")
            await probe.stop(teardown: true)
        }
    }

    @Test("the id of a framework is given to another key, with its tasks")
    func rebind() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            try cluster.writeContext()
            let other = try KeyPair.generate()
            try TextFile.write(
                cluster.frameworkKeys.publicKey + " test\n" + other.publicKey + " other\n",
                to: cluster.data("master") + "/frameworks.allow")
            let probe = try cluster.probe()
            let id = try await probe.subscribed()
            try await probe.run("t", "exec sleep 600")
            let order = try await cluster.proffer(
                "rebind", "framework", id.value, "--key", other.publicKey)
            #expect(order.code == 0, "\(order.output)")
            try await eventually("the end of the old one") { probe.history.ended != nil }
            let heir = try cluster.probe(FrameworkInfo(name: "probe", id: id), keys: other)
            #expect(try await heir.subscribed() == id)
            heir.call(.reconcile([]))
            try await heir.update("t", .running) { $0.reason == .reconciliation }
            let short = try await cluster.proffer("rebind", "framework", id.value, "--key", "x")
            #expect(short.code == 7, "\(short.output)")
            await probe.stop()
            await heir.stop(teardown: true)
        }
    }
}
