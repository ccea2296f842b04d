import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("Recovery of an agent")
struct RecoveryTests {
    let peer = PeerID(5)

    /// An agent with `t1` running and `t2` launched but not mentioned by the executor.
    private func busy(checkpoint: Bool = true) -> AgentBench {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1", in: framework(checkpoint: checkpoint)))
        bench.bringUp(peer)
        bench.say(.update(update("t1", .running, 1)), from: peer)
        bench.fromMaster(.acknowledge(TaskKey("f1", "t1"), uuid: uuid(1)))
        bench.fromMaster(run("t2", in: framework(checkpoint: checkpoint)))
        return bench
    }

    private func rejoin(_ bench: inout AgentBench, reconcile: [TaskKey] = []) {
        bench.give(.masterOpened(AgentBench.master))
        bench.fromMaster(
            .reregistered(AgentBench.agentID, pingTimeout: .seconds(75), reconcile: reconcile))
    }

    @Test("a restarted agent comes back with its id, tasks, executors and frameworks")
    func reregistration() throws {
        let before = busy()
        var bench = before.restarted(living: [before.launches[0].containerID])
        bench.give(.masterOpened(AgentBench.master))
        guard case .reregister(let message, _, _) = try #require(bench.toMaster.first) else {
            Issue.record("no re-registration")
            return
        }
        #expect(message.info.id == AgentBench.agentID)
        #expect(message.tasks.map(\.info.id) == ["t1", "t2"])
        #expect(message.tasks.map(\.state) == [.running, .staging])
        #expect(message.executors.map(\.info.id) == [AgentBench.ownExecutor])
        #expect(message.frameworks.map(\.id) == ["f1"])
    }

    @Test("scenario 17: a living executor comes back and goes on; nothing is reported")
    func survival() {
        let before = busy()
        var bench = before.restarted(living: [before.launches[0].containerID])
        rejoin(&bench)
        #expect(bench.updates.isEmpty)
        bench.subscribe(PeerID(6), before.launches[0], tasks: [task("t2")])
        #expect(bench.launched.isEmpty && bench.updates.isEmpty)
        bench.pass(.seconds(60))
        #expect(bench.kills.isEmpty && bench.updates.isEmpty)
        bench.say(.update(update("t1", .finished, 2)), from: PeerID(6))
        #expect(bench.updates.map(\.state) == [.finished])
    }

    @Test("a task that the executor had not received is launched once, after the restart")
    func launchAfterRestart() {
        let before = busy()
        var bench = before.restarted(living: [before.launches[0].containerID])
        bench.subscribe(PeerID(6), before.launches[0])
        #expect(bench.launched == ["t2"])
    }

    @Test("the sandbox of a task is made before it is launched after a restart")
    func sandboxAfterRestart() throws {
        let before = busy()
        var bench = before.restarted(living: [before.launches[0].containerID])
        bench.subscribe(PeerID(6), before.launches[0])
        let made = bench.effects.firstIndex {
            if case .makeSandbox(let path, _) = $0 { path.contains("t2") } else { false }
        }
        let told = bench.effects.firstIndex {
            if case .tellExecutor(.launch, _) = $0 { true } else { false }
        }
        #expect(try #require(made) < #require(told))
    }

    @Test("an executor that does not come back is killed, and its tasks FAILED, seen or not")
    func absence() throws {
        let before = busy()
        let container = before.launches[0].containerID
        var bench = before.restarted(living: [container])
        rejoin(&bench)
        bench.pass(.seconds(14))
        #expect(bench.kills.isEmpty)
        bench.pass(.seconds(1))
        #expect(bench.kills == [container])
        bench.give(.executorExited(container, status: 9))
        let byTask = Dictionary(uniqueKeysWithValues: bench.updates.map { ($0.taskID, $0) })
        #expect(byTask["t1"]?.state == .failed)
        #expect(byTask["t1"]?.reason == .executorReregistrationTimeout)
        // It may have been started: the executor was there to be told of it.
        #expect(byTask["t2"]?.state == .failed)
        #expect(byTask["t2"]?.reason == .executorReregistrationTimeout)
    }

    @Test("an executor that died meanwhile is reported at once")
    func deadExecutor() {
        var bench = busy().restarted(living: [])
        rejoin(&bench)
        #expect(bench.updates.map(\.state) == [.failed, .failed])
        #expect(!bench.records.contains { if case .executor = $0 { true } else { false } })
    }

    @Test("after a reboot no executor lives, whatever the process table says")
    func reboot() {
        let before = busy()
        var bench = before.restarted(living: [before.launches[0].containerID], bootID: "b2")
        rejoin(&bench)
        #expect(bench.updates.map(\.state) == [.failed, .failed])
        var again = bench.restarted(living: [], bootID: "b2")
        rejoin(&again)
        #expect(
            !again.effects.contains {
                if case .observe(.rebooted) = $0 { true } else { false }
            })
    }

    @Test("executors of a framework that does not checkpoint die with the agent's restart")
    func noCheckpoint() {
        let before = busy(checkpoint: false)
        let container = before.launches[0].containerID
        var bench = before.restarted(living: [container])
        bench.pass(.zero)
        #expect(bench.kills == [container])
        rejoin(&bench)
        bench.give(.executorExited(container, status: 9))
        #expect(bench.updates.count == 2)
    }

    @Test("unacknowledged updates are sent again with their uuids")
    func updates() {
        var before = busy()
        before.say(.update(update("t1", .finished, 2)), from: peer)
        var bench = before.restarted(living: [before.launches[0].containerID])
        rejoin(&bench)
        #expect(bench.updates.map(\.uuid) == [uuid(2)])
        bench.fromMaster(.acknowledge(TaskKey("f1", "t1"), uuid: uuid(2)))
        #expect(
            !bench.records.contains { record in
                if case .task(let key, _) = record { key.task == "t1" } else { false }
            })
    }

    @Test("an acknowledged update that the executor repeats after a restart goes no further")
    func repeatedUpdates() {
        let before = busy()
        var bench = before.restarted(living: [before.launches[0].containerID])
        rejoin(&bench)
        bench.subscribe(
            PeerID(6), before.launches[0], tasks: [task("t2")],
            updates: [
                update("t1", .starting, 0), update("t1", .running, 1),
                update("t1", .finished, 2),
            ])
        #expect(bench.updates.map(\.uuid) == [uuid(2)])
        for number in UInt64(0)...2 {
            #expect(bench.toExecutors.contains(.acknowledged("t1", uuid: uuid(number))))
        }
    }

    @Test("an executor started just before the crash may still come")
    func startedInTheDark() {
        var before = AgentBench()
        before.join()
        before.fromMaster(run("t1"))
        var bench = before.restarted(living: [])
        bench.subscribe(PeerID(6), before.launches[0])
        #expect(bench.launched == ["t1"])
        var other = before.restarted(living: [])
        rejoin(&other)
        other.pass(.seconds(15))
        #expect(other.updates.map(\.state) == [.dropped])
        other.subscribe(PeerID(6), before.launches[0])
        #expect(other.closed == [PeerID(6)])
        #expect(other.launched.isEmpty)
    }

    @Test("a task the master asks for and nobody knows is DROPPED, also after another crash")
    func reconciliation() {
        var bench = busy()
        bench.give(.masterClosed(AgentBench.master, reason: "gone"))
        rejoin(&bench, reconcile: [TaskKey("f1", "t1"), TaskKey("f1", "t9")])
        #expect(bench.updates.map(\.taskID) == ["t9"])
        #expect(bench.updates.map(\.state) == [.dropped])
        let uuid = bench.updates.first?.uuid
        var again = bench.restarted(living: [bench.launches[0].containerID])
        rejoin(&again)
        #expect(again.updates.map(\.uuid) == [uuid])
    }

    @Test("what is left after everything has ended is the agent's identity")
    func nothingLeft() {
        var bench = busy()
        for (number, id) in [(UInt64(2), TaskID("t1")), (3, "t2")] {
            bench.say(.update(update(id, .finished, number)), from: peer)
            bench.fromMaster(.acknowledge(TaskKey("f1", id), uuid: uuid(number)))
        }
        bench.passPinged(300)
        bench.give(.executorExited(bench.launches[0].containerID, status: 0))
        #expect(bench.records == [.identity(bench.identity, bootID: "b1")])
    }
}
