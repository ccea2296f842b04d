import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferExecutor

@Suite("Life of a task in an executor")
struct TaskLifeTests {
    @Test("a task runs and finishes, with its pid and its exit code")
    func finishes() throws {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.exit("a", code: 0)
        #expect(stage.states == [.running, .finished])
        let first = try #require(stage.updates.first)
        #expect(first.containerStatus == ContainerStatus(containerID: "run", pid: 100))
        #expect(first.executorID == "executor")
        #expect(first.source == .executor)
        #expect(stage.updates.last?.exit?.code == 0)
        #expect(Set(stage.updates.map(\.uuid)).count == 2)
    }

    @Test("a failed task carries its exit code and the end of its errors")
    func fails() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.exit("a", code: 3, tail: "first\nno \u{1B}[31msuch file\n")
        #expect(stage.states == [.running, .failed])
        #expect(
            stage.updates.last?.message
                == "exited with code 3: first\nno \u{FFFD}[31msuch file")
        #expect(stage.updates.last?.reason == .commandExecutorFailed)
    }

    @Test("a task for which there was no memory says so, with limit and peak")
    func outOfMemory() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        let exit = TaskExit(
            signal: 9, peakMemoryBytes: 31 << 20, memoryLimitBytes: 32 << 20, isOutOfMemory: true)
        stage.send(.processExited("a", exit, errorTail: "last words\n"))
        #expect(stage.updates.last?.reason == .containerLimitationMemory)
        #expect(
            stage.updates.last?.message
                == "out of memory: its limit is 32 MiB, its peak was 31 MiB, ended by SIGKILL:"
                + " last words")
    }

    @Test("a task that was killed on request is no victim of its memory")
    func killedWithoutMemory() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.tell(.kill("a", policy: nil))
        let exit = TaskExit(signal: 9, memoryLimitBytes: 1, isOutOfMemory: true)
        stage.send(.processExited("a", exit, errorTail: ""))
        #expect(stage.states.last == .killed)
        #expect(stage.updates.last?.reason == nil)
    }

    @Test("the addresses of a task's own network are in its updates")
    func addresses() {
        var stage = Stage()
        stage.launch(Stage.task("a"), runs: false)
        stage.send(.processStarted("a", pid: 7, startTicks: 1, addresses: ["10.0.0.7"]))
        #expect(stage.updates.last?.containerStatus?.addresses == ["10.0.0.7"])
    }

    @Test("a task ended by a signal names it")
    func endsBySignal() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.send(
            .processExited("a", TaskExit(signal: 11, isCoreDumped: true), errorTail: ""))
        #expect(stage.updates.last?.message == "ended by SIGSEGV (core dumped)")
        #expect(stage.updates.last?.state == .failed)
    }

    @Test("a task that cannot be started has failed, and why")
    func cannotStart() {
        var stage = Stage()
        stage.launch(Stage.task("a"), runs: false)
        stage.send(.startFailed("a", message: "cannot start 'nosuch': No such file"))
        #expect(stage.states == [.failed])
        #expect(stage.updates.last?.reason == .containerLaunchFailed)
        #expect(stage.updates.last?.message == "cannot start 'nosuch': No such file")
    }

    @Test("a launch of a known task changes nothing")
    func relaunch() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.launch(Stage.task("a"))
        #expect(stage.launches.count == 1)
        #expect(stage.states == [.running])
    }

    @Test("a task without a command is an error")
    func noCommand() {
        var stage = Stage()
        stage.launch(TaskInfo(name: "a", id: "a", agentID: "agent"), runs: false)
        #expect(stage.states == [.error])
        #expect(stage.launches.isEmpty)
    }

    @Test("what a task is given overrides what every task has, but not its mark")
    func environment() throws {
        var stage = Stage()
        var info = Stage.task("a")
        info.resources = Resources([Resource("ports", .ranges(IntervalSet([31005...31006])))])
        info.command?.environment = [
            EnvironmentVariable(name: "PATH", value: "/opt"),
            EnvironmentVariable(name: "PROFFER_SANDBOX", value: "elsewhere"),
        ]
        stage.launch(info)
        let environment = try #require(stage.launches.first).environment
        let table = Dictionary(uniqueKeysWithValues: environment.map { ($0.name, $0.value) })
        #expect(table["PATH"] == "/opt")
        #expect(table["HOME"] == "/sandbox/a")
        #expect(table["PROFFER_SANDBOX"] == "/sandbox/a")
        #expect(table["PORT0"] == "31005")
        #expect(table["PORTS"] == "31005,31006")
    }

    @Test("a variable name with '=' in it is refused")
    func badVariable() {
        var stage = Stage()
        var info = Stage.task("a")
        info.command?.environment = [EnvironmentVariable(name: "A=B", value: "")]
        stage.launch(info, runs: false)
        #expect(stage.states == [.error])
        #expect(stage.updates.last?.reason == .taskInvalid)
    }

    @Test("a task that runs longer than it may is killed at once and has failed")
    func timeLimit() {
        var stage = Stage()
        stage.launch(Stage.task("a", limit: .seconds(10)))
        stage.pass(.seconds(10))
        #expect(stage.signals == [9])
        stage.exit("a", signal: 9)
        #expect(stage.states == [.running, .failed])
        #expect(stage.updates.last?.reason == .maxCompletionTimeReached)
    }

    @Test("a task that takes more of the disk than it has is killed, where that is wanted")
    func diskLimit() {
        func after(_ bytes: Int64, disk: Int, isLimited: Bool = true) -> Stage {
            var stage = Stage(
                configuration: ExecutorConfiguration(
                    frameworkID: Stage.frameworkID, executorID: "executor",
                    limitsDisk: isLimited))
            var info = Stage.task("a")
            info.resources = Resources(disk: Milli(disk))
            stage.launch(info)
            stage.send(
                .usage([TaskUsage(key: TaskKey("framework", "a"), diskBytes: bytes)]))
            return stage
        }
        #expect(after(4 << 20, disk: 4).signals.isEmpty)
        #expect(after(1 << 40, disk: 0).signals.isEmpty)
        #expect(after(1 << 40, disk: 4, isLimited: false).signals.isEmpty)
        var stage = after(5 << 20, disk: 4)
        #expect(stage.signals == [9])
        stage.exit("a", signal: 9)
        // It is no wish of the framework, so nothing is said of a kill under way.
        #expect(stage.states == [.running, .failed])
        #expect(stage.updates.last?.reason == .containerLimitationDisk)
        #expect(
            stage.updates.last?.message?.hasPrefix(
                "killed because its sandbox takes 5 MiB of the disk, above the 4 MiB") == true)
    }

    @Test("live tasks are measured while there are any")
    func usage() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.pass(.seconds(11))
        #expect(stage.effects.filter { $0 == .measure(["a"]) }.count == 2)
        let usage = [TaskUsage(key: TaskKey("framework", "a"), memoryBytes: 1)]
        stage.send(.usage(usage))
        #expect(stage.effects.last == .tellAgent(.usage(usage), Stage.peer))
        stage.exit("a", code: 0)
        stage.effects = []
        stage.pass(.seconds(20))
        #expect(stage.effects.isEmpty)
    }
}

@Suite("Kills")
struct KillTests {
    @Test("a kill is TERM, then KILL after the grace, and KILL again until it works")
    func escalates() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.tell(.kill("a", policy: nil))
        #expect(stage.states == [.running, .killing])
        #expect(stage.signals == [15])
        stage.pass(.milliseconds(2999))
        #expect(stage.signals == [15])
        stage.pass(.milliseconds(1))
        #expect(stage.signals == [15, 9])
        stage.pass(.seconds(5))
        #expect(stage.signals == [15, 9, 9])
        #expect(stage.effects.contains(.observe(.unkillable("a", after: .seconds(8)))))
        stage.exit("a", signal: 9)
        #expect(stage.states == [.running, .killing, .killed])
    }

    @Test("TASK_KILLING is not said to a framework that does not know it")
    func withoutCapability() {
        var stage = Stage(capabilities: [])
        stage.launch(Stage.task("a"))
        stage.tell(.kill("a", policy: nil))
        stage.exit("a", signal: 15)
        #expect(stage.states == [.running, .killed])
    }

    @Test("a task that exits with code 0 while it is killed was killed")
    func exitsWhileKilled() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.tell(.kill("a", policy: nil))
        stage.exit("a", code: 0)
        #expect(stage.updates.last?.state == .killed)
        #expect(stage.updates.last?.exit?.code == 0)
    }

    @Test("a later kill may shorten the grace, counted from the first")
    func shortens() {
        var stage = Stage()
        stage.launch(Stage.task("a", killPolicy: KillPolicy(gracePeriod: .seconds(30))))
        stage.tell(.kill("a", policy: nil))
        stage.pass(.seconds(2))
        stage.tell(.kill("a", policy: KillPolicy(gracePeriod: .seconds(5))))
        stage.pass(.milliseconds(2999))
        #expect(stage.signals == [15])
        stage.pass(.milliseconds(1))
        #expect(stage.signals == [15, 9])
        #expect(stage.states == [.running, .killing])
    }

    @Test("a later kill cannot lengthen the grace")
    func cannotLengthen() {
        var stage = Stage()
        stage.launch(Stage.task("a"))
        stage.tell(.kill("a", policy: KillPolicy(gracePeriod: .seconds(5))))
        stage.tell(.kill("a", policy: KillPolicy(gracePeriod: .seconds(60))))
        stage.pass(.seconds(5))
        #expect(stage.signals == [15, 9])
    }

    @Test("a task killed before it has a process gets its signal as soon as it has one")
    func killedWhileStarting() {
        var stage = Stage()
        stage.launch(Stage.task("a"), runs: false)
        stage.tell(.kill("a", policy: nil))
        #expect(stage.signals.isEmpty)
        stage.send(.processStarted("a", pid: 1, startTicks: 1))
        #expect(stage.signals == [15])
        stage.exit("a", signal: 15)
        #expect(stage.states == [.killing, .killed])
    }

    @Test("a kill of an unknown task does nothing")
    func unknown() {
        var stage = Stage()
        stage.tell(.kill("a", policy: nil))
        #expect(stage.effects == [.observe(.unknownTask("a"))])
    }

    @Test("when one task of a group fails, the others are killed")
    func groupFails() {
        var stage = Stage()
        stage.tell(
            .launchGroup(
                [Stage.task("a"), Stage.task("b"), Stage.task("c")],
                sandboxes: ["/a", "/b", "/c"]))
        for id in ["a", "b", "c"] as [TaskID] {
            stage.send(.processStarted(id, pid: 1, startTicks: 1))
        }
        stage.exit("c", code: 0)
        #expect(stage.signals.isEmpty)
        stage.exit("a", code: 1)
        #expect(stage.effects.contains(.signal("b", 15)))
        stage.exit("b", signal: 15)
        #expect(stage.updates.last?.state == .killed)
        #expect(stage.updates.last?.message?.contains("task 'a' of its group") == true)
    }

    @Test("a kill of one task of a group kills all of it at once")
    func groupKilled() {
        var stage = Stage()
        stage.tell(
            .launchGroup([Stage.task("a"), Stage.task("b")], sandboxes: ["/a", "/b"]))
        stage.send(.processStarted("a", pid: 1, startTicks: 1))
        stage.send(.processStarted("b", pid: 2, startTicks: 1))
        stage.tell(.kill("a", policy: nil))
        #expect(stage.effects.contains(.signal("a", 15)))
        #expect(stage.effects.contains(.signal("b", 15)))
    }

    @Test("a group with an invalid task starts none of the rest")
    func groupInvalid() {
        var stage = Stage()
        let bad = TaskInfo(name: "a", id: "a", agentID: "agent")
        stage.tell(.launchGroup([bad, Stage.task("b")], sandboxes: ["/a", "/b"]))
        #expect(stage.launches.isEmpty)
        #expect(stage.updates.last?.state == .killed)
        #expect(stage.updates.last?.reason == .taskKilledDuringLaunch)
    }
}
