import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

@Suite("Reconciliation")
struct ReconcileTests {
    @Test("14: four kinds of not there, and LOST for a framework that is not aware")
    func fourKinds() throws {
        for isAware in [true, false] {
            var stage = Stage()
            let id = stage.subscribe(Stage.info("a", isAware: isAware))
            let (here, silent, gone) = (
                stage.addAgent(host: "1"), stage.addAgent(host: "2"), stage.addAgent(host: "3")
            )
            stage.silent = [silent]
            stage.pass(.seconds(80))
            _ = try stage.ask(.markAgentGone(gone))
            stage.forget()
            stage.call(
                .reconcile([
                    ReconcileTask(taskID: "a", agentID: here),
                    ReconcileTask(taskID: "b", agentID: silent),
                    ReconcileTask(taskID: "c", agentID: gone),
                    ReconcileTask(taskID: "d", agentID: "never"), ReconcileTask(taskID: "e"),
                ]), by: id)
            let states: [TaskState] = [
                .gone, .unreachable, .goneByOperator, .unknown, .unknown,
            ]
            let answers = stage.updates(id)
            #expect(answers.map(\.state) == (isAware ? states : states.map { _ in .lost }))
            #expect(answers.allSatisfy { $0.uuid == nil && $0.reason == .reconciliation })
            let times = answers.map { $0.unreachableTime != nil }
            #expect(times == [false, true, false, false, false])
        }
    }

    @Test("13: of an agent that a new master waits for, the answer is that it is expected back")
    func expected() throws {
        var old = Stage()
        let id = old.subscribe(Stage.info("a"))
        let agent = old.addAgent()
        var stage = old.restarted()
        stage.subscribe(Stage.info("a", id: id))
        stage.forget()
        stage.call(
            .reconcile([
                ReconcileTask(taskID: "t", agentID: agent), ReconcileTask(taskID: "u"),
            ]), by: id)
        #expect(stage.updates(id).map(\.isRecovering) == [true, true])
        stage.pass(.seconds(601))
        stage.forget()
        stage.call(.reconcile([ReconcileTask(taskID: "t", agentID: agent)]), by: id)
        #expect(stage.updates(id).map(\.state) == [.unreachable])
    }

    @Test("a long list is answered in parts, every task once and in order")
    func parts() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        stage.forget()
        let asked = (0..<10_000).map { ReconcileTask(taskID: TaskID("t\($0)")) }
        for start in stride(from: 0, to: asked.count, by: 1000) {
            stage.call(.reconcile(Array(asked[start..<start + 1000])), by: id)
        }
        #expect(stage.updates(id).count < asked.count)
        stage.pass(.seconds(1))
        #expect(stage.updates(id).map(\.taskID) == asked.map(\.taskID))
        #expect(stage.master.questions.isEmpty)
    }

    @Test("what a framework has asked ends with its session")
    func disconnection() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a"))
        let asked = (0..<5000).map { ReconcileTask(taskID: TaskID("t\($0)")) }
        stage.call(.reconcile(asked), by: id)
        stage.disconnect(id)
        #expect(stage.master.questions.isEmpty)
        stage.forget()
        stage.pass(.seconds(1))
        #expect(stage.effects.isEmpty)
    }

    @Test("a task of a group is known as one by the next master")
    func groups() throws {
        var old = Stage()
        let id = old.subscribe(Stage.info("a"))
        let agent = old.addAgent()
        var stage = old.restarted()
        let tasks = ["a", "b", "c"].map { name -> AgentTask in
            var task = Stage.agentTask(TaskID(name), id, on: agent, .running)
            task.grouping = name == "c" ? .single : .group("a")
            return task
        }
        stage.comeBack(agent, tasks: tasks)
        let rows = ["a", "b", "c"].map { stage.master.tasks[TaskKey(id, TaskID($0))] }
        #expect(rows.map { $0?.groupID } == ["a", "a", nil])
        #expect(rows.map { $0?.isLearned } == [false, false, false])
    }

    @Test("a failover deadline that began with a master goes on with the next ones")
    func deadlines() {
        var stage = Stage()
        let id = stage.subscribe(Stage.info("a", failover: .seconds(100)))
        for seed in 2..<6 {
            stage = stage.restarted(seed: UInt64(seed))
            stage.pass(.seconds(24))
            #expect(stage.master.frameworks[id] != nil)
        }
        stage = stage.restarted(seed: 9)
        stage.pass(.seconds(16))
        #expect(stage.master.removedFrameworks[id] != nil)
    }
}
