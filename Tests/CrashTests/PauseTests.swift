import ClusterProbe
import Foundation
import ProcessProbe
import ProfferFailpoints
import Testing

/// Who stands still for longer than its sessions last, and who falls together with others.
@Suite("Pauses and falls together", .timeLimit(.minutes(15)))
struct PauseTests {
    /// Starts everything and waits until the task runs.
    private func running(
        _ bench: CrashBench
    ) async throws -> (master: Program, agent: Program, framework: Program, task: Int) {
        let master = try await bench.cluster.startMaster()
        let agent = try await bench.startAgent()
        let framework = try bench.startFramework()
        try await eventually("the task to run") { bench.states().contains("TASK_RUNNING") }
        let task = try await eventually("the task to say so") { bench.starts().first }
        return (master, agent, framework, task)
    }

    /// The task is the same process as ever, ends well, and was told of once.
    private func finish(_ bench: CrashBench, _ task: Int, _ birth: String?) async throws {
        #expect(bench.birth(task) == birth)
        try await eventually("the end of the task, after \(bench.entries())") {
            bench.openGate()
            return bench.end() != nil
        }
        try await bench.wholeAgain()
        #expect(bench.states() == ["TASK_RUNNING", "TASK_FINISHED"])
        #expect(bench.starts() == [task])
        #expect(!bench.entries().contains { $0.first == "again" || $0.first == "vanished" })
    }

    @Test(
        "a pause that outlasts every session disturbs no task",
        arguments: ["master", "agent", "executor", "framework"])
    func pause(_ part: String) async throws {
        try await withBench { bench in
            let (master, agent, framework, task) = try await running(bench)
            let birth = bench.birth(task)
            let executor = try #require(bench.cluster.executors().first)
            let (pid, witness, words) =
                switch part {
                case "master": (master.pid, agent, "lost the master")
                case "agent": (agent.pid, master, "state=disconnected")
                case "executor": (executor, agent, "the session with an executor broke")
                default: (framework.pid, master, "state=disconnected")
                }
            kill(Int32(pid), SIGSTOP)
            defer { kill(Int32(pid), SIGCONT) }
            try await eventually("the end of the session, as told by \(witness.output)") {
                witness.output.contains(words)
            }
            kill(Int32(pid), SIGCONT)
            try await finish(bench, task, birth)
        }
    }

    @Test("agent and master killed together leave the task alone")
    func together() async throws {
        try await withBench { bench in
            let (master, agent, _, task) = try await running(bench)
            let birth = bench.birth(task)
            ProcessTable.kill(master.pid)
            ProcessTable.kill(agent.pid)
            try await master.exitCode()
            try await agent.exitCode()
            _ = try await bench.cluster.startMaster()
            _ = try await bench.startAgent()
            try await finish(bench, task, birth)
        }
    }

    @Test("when every process is killed, the framework is told that its task has ended")
    func everybody() async throws {
        try await withBench { bench in
            let (master, agent, framework, task) = try await running(bench)
            for program in [master, agent, framework] { ProcessTable.kill(program.pid) }
            for pid in bench.cluster.executors() + bench.cluster.tasks() { ProcessTable.kill(pid) }
            for program in [master, agent, framework] { try await program.exitCode() }
            _ = try await bench.cluster.startMaster()
            _ = try await bench.startAgent()
            _ = try bench.startFramework()
            try await eventually("the end of the task, after \(bench.entries())") {
                bench.end() != nil
            }
            try await bench.wholeAgain()
            #expect(bench.states() == ["TASK_RUNNING", "TASK_FAILED"])
            #expect(bench.starts() == [task])
        }
    }

    @Test("a daemon that stops at a failpoint goes on as if nothing had been")
    func stopped() async throws {
        try await withBench { bench in
            _ = try await bench.cluster.startMaster()
            let agent = try await bench.startAgent(
                environment: bench.armed(.agentRunningStoredAfter, action: "stop"))
            _ = try bench.startFramework()
            try await eventually("the failpoint") { bench.isReached(.agentRunningStoredAfter) }
            agent.signal(SIGCONT)
            try await eventually("the end of the task") {
                bench.openGate()
                return bench.end() != nil
            }
            #expect(bench.states().last == "TASK_FINISHED")
        }
    }

    @Test("an agent that aborts is as one that is killed")
    func aborted() async throws {
        try await withBench { bench in
            _ = try await bench.cluster.startMaster()
            let agent = try await bench.startAgent(
                environment: bench.armed(.agentRunningBefore, action: "abort")
                    .merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 })
            _ = try bench.startFramework()
            #expect(try await agent.exitCode() == SIGABRT)
            _ = try await bench.startAgent()
            try await eventually("the task to run") { bench.states().contains("TASK_RUNNING") }
            let task = try await eventually("the task to say so") { bench.starts().first }
            try await finish(bench, task, bench.birth(task))
        }
    }
}
