import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Tasks: updates, acknowledgement, kill, reconciliation")
struct TaskTests {
    private func running(
        isAware: Bool = true, _ configuration: MasterConfiguration = MasterConfiguration()
    ) throws -> (Stage, FrameworkID, AgentID) {
        var stage = Stage(configuration)
        let id = stage.subscribe(Stage.info("a", isAware: isAware))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        let uuid = stage.report("t", .running, of: id, on: agent)
        stage.acknowledge("t", uuid, of: id, on: agent)
        stage.forget()
        return (stage, id, agent)
    }

    @Test("a launch names the framework, its role and the update window")
    func run() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        guard case .run(let run)? = stage.messages(agent).last else {
            Issue.record("not launched")
            return
        }
        #expect(run.framework.id == id)
        #expect(run.role == "*")
        #expect(run.updateWindow == stage.master.configuration.updateWindow)
        #expect(!run.isGroup)
        #expect(stage.master.tasks[TaskKey(id, "t")]?.state == .staging)
    }

    @Test("what an agent says of a task of another agent is not passed on")
    func foreignTask() throws {
        var (stage, id, agent) = try running()
        let other = stage.addAgent(host: "other")
        stage.forget()
        stage.report("t", .failed, of: id, on: other)
        #expect(stage.updates(id).isEmpty)
        #expect(stage.master.tasks[TaskKey(id, "t")]?.state == .running)
        stage.report("t", .finished, of: id, on: agent)
        #expect(stage.updates(id).map(\.state) == [.finished])
    }

    @Test("what was under way when a session ended comes before later updates in the next one")
    func inTurn() throws {
        var (stage, id, agent) = try running()
        let first = stage.report("t", .running, of: id, on: agent)
        let second = stage.report("t", .killing, of: id, on: agent)
        stage.disconnect(id)
        stage.subscribe(Stage.info("a", id: id))
        stage.forget()
        let third = stage.report("t", .killed, of: id, on: agent)
        #expect(stage.updates(id).isEmpty)
        let again: [(TaskState, UpdateID)] = [
            (.running, first), (.killing, second), (.killed, third),
        ]
        for (state, uuid) in again {
            stage.report(
                "t", state, of: id, on: agent,
                latest: UpdatePosition(latestState: .killed, latestUUID: third), uuid: uuid)
        }
        #expect(stage.updates(id).map(\.uuid) == [first, second, third])
    }

    @Test("an update whose acknowledgement was lost is passed on although another one is awaited")
    func lostAcknowledgement() throws {
        var (stage, id, agent) = try running()
        let first = stage.report("t", .running, of: id, on: agent)
        stage.acknowledge("t", first, of: id, on: agent)
        stage.report("t", .killing, of: id, on: agent)
        stage.disconnect(id)
        stage.subscribe(Stage.info("a", id: id))
        stage.forget()
        stage.report("t", .running, of: id, on: agent, uuid: first)
        #expect(stage.updates(id).map(\.uuid) == [first])
    }

    @Test("an update that is acknowledged before it is said again holds up no later one")
    func acknowledgedFirst() throws {
        var (stage, id, agent) = try running()
        let first = stage.report("t", .killing, of: id, on: agent)
        stage.disconnect(id)
        stage.subscribe(Stage.info("a", id: id))
        stage.acknowledge("t", first, of: id, on: agent)
        stage.forget()
        stage.report("t", .killing, of: id, on: agent, uuid: first)
        let second = stage.report("t", .killed, of: id, on: agent)
        #expect(stage.updates(id).last?.uuid == second)
        stage.acknowledge("t", second, of: id, on: agent)
        #expect(stage.master.tasks[TaskKey(id, "t")] == nil)
    }

    @Test("an update is passed on with its uuid and the agent it came from")
    func passedOn() throws {
        var (stage, id, agent) = try running()
        let uuid = stage.report("t", .killing, of: id, on: agent)
        let status = try #require(stage.updates(id).first)
        #expect(status.uuid == uuid)
        #expect(status.agentID == agent)
        #expect(status.state == .killing)
    }

    @Test("an acknowledgement goes to the agent, known or not")
    func acknowledged() throws {
        var (stage, id, agent) = try running()
        let uuid = UpdateID(high: 5, low: 5)
        stage.acknowledge("unknown", uuid, of: id, on: agent)
        #expect(
            stage.messages(agent) == [.acknowledge(TaskKey(id, "unknown"), uuid: uuid)])
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(stage.master.tasks[TaskKey(id, "t")] != nil)
    }

    @Test("a finished task stays until its end is acknowledged, by that uuid only")
    func end() throws {
        var (stage, id, agent) = try running()
        let uuid = stage.report("t", .finished, of: id, on: agent)
        stage.acknowledge("t", UpdateID(high: 8, low: 8), of: id, on: agent)
        #expect(stage.master.tasks.count == 1)
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(stage.master.tasks.isEmpty)
        #expect(stage.master.frameworks[id]?.completed.map(\.state) == [.finished])
        // Late and repeated ones are harmless.
        stage.acknowledge("t", uuid, of: id, on: agent)
        stage.report("t", .finished, of: id, on: agent, uuid: uuid)
        #expect(stage.master.tasks.isEmpty)
        #expect(stage.updates(id).count == 2)
    }

    @Test("an older update that is sent again takes nothing back")
    func olderUpdate() throws {
        var (stage, id, agent) = try running()
        let end = UpdateID(high: 7, low: 7)
        let latest = UpdatePosition(latestState: .finished, latestUUID: end)
        stage.report("t", .finished, of: id, on: agent, latest: latest, uuid: end)
        stage.report("t", .running, of: id, on: agent, latest: latest)
        stage.forget()
        stage.call(.reconcile([]), by: id)
        #expect(stage.updates(id).map(\.state) == [.finished])
        stage.acknowledge("t", end, of: id, on: agent)
        #expect(stage.master.tasks.isEmpty)
    }

    @Test("what a framework without partition awareness sees is LOST")
    func unaware() throws {
        var (stage, id, agent) = try running(isAware: false)
        stage.report("t", .gone, of: id, on: agent)
        #expect(stage.updates(id).map(\.state) == [.lost])
        #expect(stage.master.tasks[TaskKey(id, "t")]?.state == .gone)
    }

    @Test("updates for a framework that is away are not lost with it: the agent sends again")
    func away() throws {
        var (stage, id, agent) = try running()
        stage.disconnect(id)
        stage.forget()
        let uuid = stage.report("t", .finished, of: id, on: agent)
        #expect(stage.updates(id).isEmpty)
        #expect(stage.master.tasks[TaskKey(id, "t")]?.state == .finished)
        stage.subscribe(Stage.info("a", id: id))
        stage.report("t", .finished, of: id, on: agent, uuid: uuid)
        stage.acknowledge("t", uuid, of: id, on: agent)
        #expect(stage.master.tasks.isEmpty)
    }

    @Test("an update of an ended framework makes the agent end it too")
    func endedFramework() throws {
        var (stage, id, agent) = try running()
        stage.call(.teardown, by: id)
        stage.forget()
        stage.report("t", .running, of: id, on: agent)
        #expect(stage.messages(agent) == [.shutdownFramework(id)])
    }

    @Test("only so many ended tasks are remembered")
    func boundedHistory() throws {
        var configuration = MasterConfiguration()
        configuration.completedTasks = 3
        var stage = Stage(configuration)
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        for number in 0..<5 {
            let task = TaskID("t\(number)")
            try stage.launch(task, by: id, Resources(cpus: Milli(4), mem: Milli(4096)))
            let uuid = stage.report(task, .finished, of: id, on: agent)
            stage.acknowledge(task, uuid, of: id, on: agent)
        }
        #expect(stage.master.frameworks[id]?.completed.map(\.key.task) == ["t2", "t3", "t4"])
    }

    @Test("only so many unreachable tasks are remembered; the others are answered for")
    func boundedUnreachable() throws {
        var configuration = MasterConfiguration()
        configuration.unreachableTasks = 2
        var stage = Stage(configuration)
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        let tasks = ["1", "2", "3"].map { Stage.task($0, agent) }
        stage.accept(try stage.offer(id), [.launch(tasks)])
        stage.silent = [agent]
        stage.pass(.seconds(76))
        #expect(stage.master.tasks.keys.map(\.task) == ["2", "3"])
        stage.forget()
        stage.call(.reconcile([ReconcileTask(taskID: "1", agentID: agent)]), by: id)
        #expect(stage.updates(id).map(\.state) == [.unreachable])
    }

    @Test("a kill is repeated until the end is known, then no more")
    func repeatedKill() throws {
        var (stage, id, agent) = try running()
        let policy = KillPolicy(gracePeriod: .seconds(9))
        stage.call(.kill("t", agent: agent, policy: policy), by: id)
        stage.pass(.seconds(11))
        let kill = MasterToAgent.kill(TaskKey(id, "t"), policy: policy)
        #expect(stage.messages(agent) == [kill, kill, kill])
        stage.report("t", .killed, of: id, on: agent)
        stage.forget()
        stage.call(.kill("t", agent: agent, policy: policy), by: id)
        stage.pass(.seconds(30))
        #expect(stage.messages(agent).isEmpty)
    }

    @Test("a later kill without a policy keeps the earlier one's, another policy replaces it")
    func killPolicy() throws {
        var (stage, id, agent) = try running()
        let long = KillPolicy(gracePeriod: .seconds(30))
        let short = KillPolicy(gracePeriod: .seconds(5))
        stage.call(.kill("t", agent: nil, policy: long), by: id)
        stage.call(.kill("t", agent: nil, policy: nil), by: id)
        stage.call(.kill("t", agent: nil, policy: short), by: id)
        let key = TaskKey(id, "t")
        #expect(
            stage.messages(agent) == [
                .kill(key, policy: long), .kill(key, policy: long), .kill(key, policy: short),
            ])
    }

    @Test(
        "four kinds of not being there, and LOST for those who know no better",
        arguments: [true, false])
    func notThere(isAware: Bool) throws {
        var (stage, id, agent) = try running(isAware: isAware)
        let gone = stage.addAgent(host: "gone")
        stage.silent = [gone]
        stage.pass(.seconds(76))
        stage.forget()
        stage.call(
            .reconcile([
                ReconcileTask(taskID: "x", agentID: agent),
                ReconcileTask(taskID: "x", agentID: gone),
                ReconcileTask(taskID: "x", agentID: "never"),
                ReconcileTask(taskID: "x"),
            ]), by: id)
        let states: [TaskState] = [.gone, .unreachable, .unknown, .unknown]
        #expect(stage.updates(id).map(\.state) == (isAware ? states : states.map { _ in .lost }))
        #expect(stage.updates(id).allSatisfy { $0.reason == .reconciliation && $0.uuid == nil })
        #expect(stage.updates(id)[1].unreachableTime != nil)
    }

    @Test("a task that is only launched is STAGING when asked for")
    func staging() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        try stage.launch("t", by: id)
        stage.forget()
        stage.call(.reconcile([ReconcileTask(taskID: "t")]), by: id)
        #expect(stage.updates(id).map(\.state) == [.staging])
        #expect(stage.updates(id).first?.agentID == agent)
    }

    @Test("messages go both ways as they are")
    func messages() throws {
        var (stage, id, agent) = try running()
        stage.call(.message(agent: agent, executor: "e", data: [1, 2]), by: id)
        stage.tell(.message(ExecutorKey(id, "e"), data: [3]), by: agent)
        #expect(stage.messages(agent) == [.message(ExecutorKey(id, "e"), data: [1, 2])])
        #expect(stage.events(id) == [.message(agent: agent, executor: "e", data: [3])])
        stage.call(.message(agent: "nobody", executor: "e", data: []), by: id)
        #expect(stage.events(id).count == 1)
    }

    @Test("an executor that an agent names twice is held once")
    func executorTwice() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        var next = stage.restarted()
        next.subscribe(Stage.info("a", id: id))
        let executor = AgentExecutor(
            info: ExecutorInfo(
                id: "e", command: CommandInfo(value: "run"), resources: Resources(cpus: Milli(1))),
            frameworkID: id, role: "*")
        next.comeBack(agent, executors: [executor, executor])
        #expect(try next.offer(id).resources.cpus == Milli(3))
        next.tell(.executorExited(ExecutorKey(id, "e"), status: 0), by: agent)
        // What it held is given back once: as an offer beside the first.
        let offered = next.offers[id, default: []].map(\.resources.cpus)
        #expect(offered == [Milli(3), Milli(1)])
    }

    @Test("the end of an executor is asked for again when its agent is back")
    func executorShutdown() throws {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let agent = stage.addAgent()
        var task = Stage.task("t", agent)
        task.command = nil
        let executor = ExecutorInfo(id: "e", command: CommandInfo(value: "run"))
        task.executor = executor
        stage.accept(try stage.offer(id), [.launch([task])])
        stage.disconnect(agent: agent)
        stage.forget()
        stage.call(.shutdown("e", agent: agent), by: id)
        stage.comeBack(
            agent, tasks: [Stage.agentTask("t", id, on: agent, .running)],
            executors: [AgentExecutor(info: executor, frameworkID: id, role: "*")])
        #expect(stage.messages(agent).contains(.shutdownExecutor(ExecutorKey(id, "e"))))
        stage.tell(.executorExited(ExecutorKey(id, "e"), status: 0), by: agent)
        stage.disconnect(agent: agent)
        stage.forget()
        stage.comeBack(agent)
        #expect(!stage.messages(agent).contains(.shutdownExecutor(ExecutorKey(id, "e"))))
    }
}
