import ProfferAgent
import ProfferKernel
import ProfferModel
import Testing

@Suite("Launch")
struct LaunchTests {
    @Test("a task is durable before its sandbox, its executor and its launch")
    func order() throws {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        let first = try #require(bench.effects.first)
        guard case .commit(let records) = first else {
            Issue.record("the first effect is \(first)")
            return
        }
        #expect(records.count == 3)
        #expect(bench.launches.count == 1)
        let sandboxes = bench.effects.compactMap { effect -> String? in
            if case .makeSandbox(let path, _) = effect { path } else { nil }
        }
        #expect(sandboxes == ["/data/sandboxes/f1/t1"])
        bench.bringUp(PeerID(5))
        #expect(bench.launched == ["t1"])
    }

    @Test("tasks of one framework share the agent's own executor, others have another")
    func sharing() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.fromMaster(run("t2"))
        bench.fromMaster(run("t1", in: framework("f2")))
        #expect(bench.launches.map(\.key.framework) == ["f1", "f2"])
        #expect(bench.launches.allSatisfy { $0.info.kind == .default })
    }

    @Test("every custom executor id has its own executor")
    func customExecutors() {
        var bench = AgentBench()
        bench.join()
        for id in ["a", "b", "a"] as [ExecutorID] {
            let executor = ExecutorInfo(id: id, command: CommandInfo(value: "run"))
            bench.fromMaster(run(TaskID("t\(bench.disk.count)"), executor: executor))
        }
        #expect(bench.launches.map(\.key.executor) == ["a", "b"])
    }

    @Test("tasks reach their executor in launch order, a group in one message")
    func launchOrder() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t2"))
        bench.fromMaster(run("g1", "g2", isGroup: true))
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        #expect(bench.launched == ["t2", "g1", "g2", "t1"])
        bench.fromMaster(run("t0"))
        #expect(bench.launched == ["t0"])
    }

    @Test("a launch that is repeated changes nothing")
    func repetition() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        bench.fromMaster(run("t1"))
        #expect(bench.launched.isEmpty && bench.toMaster.isEmpty)
        #expect(!bench.effects.contains { if case .commit = $0 { true } else { false } })
    }

    @Test("a launch for another agent is ignored")
    func foreignLaunch() {
        var bench = AgentBench()
        bench.join()
        var foreign = task("t1")
        foreign.agentID = "other"
        bench.fromMaster(.run(RunTask(framework: framework(), tasks: [foreign], role: "*")))
        #expect(bench.launches.isEmpty && bench.toMaster.isEmpty)
    }

    @Test("a task that is killed before its executor has it is KILLED, with its whole group")
    func queuedKill() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.fromMaster(run("g1", "g2", isGroup: true))
        bench.fromMaster(.kill(TaskKey("f1", "g2"), policy: nil))
        #expect(Set(bench.updates.map(\.taskID)) == ["g1", "g2"])
        #expect(bench.updates.allSatisfy { $0.state == .killed })
        #expect(bench.updates.allSatisfy { $0.reason == .taskKilledDuringLaunch })
        bench.bringUp(PeerID(5))
        #expect(bench.launched == ["t1"])
    }

    @Test("a kill reaches the executor that has the task")
    func kill() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        let policy = KillPolicy(gracePeriod: .seconds(9))
        bench.fromMaster(.kill(TaskKey("f1", "t1"), policy: policy))
        #expect(bench.toExecutors == [.kill("t1", policy: policy)])
    }

    @Test("a kill while the executor is away is repeated when it is back")
    func killWhileAway() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.bringUp(PeerID(5))
        bench.say(.update(update("t1", .running, 1)), from: PeerID(5))
        bench.give(.executorClosed(PeerID(5)))
        bench.fromMaster(.kill(TaskKey("f1", "t1"), policy: nil))
        #expect(bench.toExecutors.isEmpty)
        bench.subscribe(PeerID(6), bench.launches[0])
        #expect(bench.toExecutors.contains(.kill("t1", policy: nil)))
    }

    @Test("a launch that got lost with the session is repeated, one that arrived is not")
    func lostLaunch() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(run("t1"))
        bench.fromMaster(run("t2"))
        bench.bringUp(PeerID(5))
        bench.give(.executorClosed(PeerID(5)))
        bench.subscribe(PeerID(6), bench.launches[0], tasks: [task("t1")])
        #expect(bench.launched == ["t2"])
    }

    @Test("killing a task that was never here answers DROPPED, reliably")
    func unknownKill() {
        var bench = AgentBench()
        bench.join()
        bench.fromMaster(.kill(TaskKey("f1", "t9"), policy: nil))
        #expect(bench.updates.map(\.state) == [.dropped])
        bench.pass(.seconds(11))
        #expect(bench.updates.count == 1)
    }

    @Test("beyond the limit of tasks a launch is DROPPED")
    func limit() {
        var configuration = AgentBench.configuration
        configuration.taskLimit = 2
        var bench = AgentBench(configuration)
        bench.join()
        bench.fromMaster(run("t1", "t2"))
        bench.fromMaster(run("t3"))
        #expect(bench.updates.map(\.taskID) == ["t3"])
        #expect(bench.updates.map(\.state) == [.dropped])
    }

    @Test("sandboxes stay below the work directory whatever the id is")
    func sandboxNames() throws {
        var bench = AgentBench()
        bench.join()
        let ids: [TaskID] = ["../../etc", ".hidden", "a b", "~", "é", "a%2Fb", "plain.1_x-y"]
        var paths: [String] = []
        for id in ids {
            bench.fromMaster(run(id))
            for case .makeSandbox(let path, _) in bench.effects { paths.append(path) }
        }
        #expect(
            paths == [
                "/data/sandboxes/f1/%2E.%2F..%2Fetc", "/data/sandboxes/f1/%2Ehidden",
                "/data/sandboxes/f1/a%20b", "/data/sandboxes/f1/%7E",
                "/data/sandboxes/f1/%C3%A9", "/data/sandboxes/f1/a%252Fb",
                "/data/sandboxes/f1/plain.1_x-y",
            ])
        bench.fromMaster(run(TaskID(String(repeating: "é", count: 120))))
        for case .makeSandbox(let path, _) in bench.effects {
            #expect(path.split(separator: "/").allSatisfy { $0.utf8.count <= 255 })
        }
    }

    @Test("a task id that is used again has a sandbox of its own")
    func reuse() {
        var bench = AgentBench()
        bench.join()
        var paths: [String] = []
        for round in UInt64(0)..<2 {
            bench.fromMaster(run("t1"))
            for case .makeSandbox(let path, _) in bench.effects { paths.append(path) }
            if round == 0 { bench.bringUp(PeerID(5)) }
            bench.say(.update(update("t1", .finished, round)), from: PeerID(5))
            bench.fromMaster(.acknowledge(TaskKey("f1", "t1"), uuid: uuid(round)))
        }
        #expect(paths == ["/data/sandboxes/f1/t1", "/data/sandboxes/f1/t1~2"])
    }
}
