import Glibc
import ProfferIsolation
import ProfferKernel
import ProfferModel
import ProfferZeroMQ
import Testing

@testable import ProfferContainers
@testable import ProfferExecutorShell

/// Whether this machine lets tests limit tasks.
private let canLimit = NodeIsolation.isRoot && NodeCgroups.layout().missing.isEmpty

/// An executor that keeps its tasks apart, with an agent and cgroups of its own.
private struct Bench {
    let scratch: Scratch
    let agent: FakeAgent
    let shell: ExecutorShell
    let planner: CgroupPlanner

    init(_ settings: IsolationSettings = IsolationSettings(mode: .cgroup)) throws {
        let context = try Context()
        scratch = try Scratch()
        agent = try FakeAgent(address: "inproc://agent", context: context)
        var settings = settings
        settings.cgroupRoot = "/proffer-shell-\(scratch.path.suffix(6))"
        planner = CgroupPlanner(layout: NodeCgroups.layout(), root: settings.cgroupRoot)
        if settings.mode != .process { try NodeCgroups.prepare(planner, cores: false) }
        shell = try ExecutorShell(
            configuration: ExecutorShellConfiguration(
                frameworkID: "framework", executorID: "executor", agentAddress: agent.address,
                token: "secret", directory: scratch.path, usageInterval: .milliseconds(50),
                isolation: settings, containerID: "run",
                plansDirectory: scratch.makeDirectory("plans")), context: context)
        try shell.start()
        let agent = agent
        let isConnected = eventually { agent.calls.count == 1 }
        #expect(isConnected)
    }

    func launch(
        _ id: TaskID, _ command: String, memory: Int = 48, processes: [ProcessLimit] = [],
        grace: Duration? = nil
    ) {
        let info = TaskInfo(
            name: id.value, id: id, agentID: "agent",
            resources: Resources(cpus: Milli(1), mem: Milli(memory)),
            command: CommandInfo(value: command),
            container: processes.isEmpty ? nil : ContainerInfo(limits: processes),
            killPolicy: KillPolicy(gracePeriod: grace))
        agent.tell(.launch(info, sandbox: scratch.makeDirectory(id.value)))
    }

    func end(of id: TaskID) -> TaskStatus? {
        _ = eventually { agent.updates(of: id).last?.state.isTerminal == true }
        return agent.updates(of: id).last
    }

    /// Ends the executor and tells whether it left no cgroup and no record.
    func finish() async -> Bool {
        agent.tell(.shutdown)
        await shell.finished()
        await agent.stop()
        let isGone = planner.trees().allSatisfy { tree in
            rmdir(tree.mountPoint + planner.root) == 0 || errno == ENOENT
        }
        return isGone && PlanRunner(directory: scratch.path + "/plans").names().isEmpty
    }
}

@Suite("Executor with isolated tasks", .timeLimit(.minutes(2)))
struct IsolationShellTests {
    @Test(
        "a task without memory left fails with the reason, its limit and its peak",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func outOfMemory() async throws {
        let bench = try Bench()
        bench.launch("hog", "echo going >&2; exec tail /dev/zero", memory: 24)
        let last = try #require(bench.end(of: "hog"))
        #expect(last.state == .failed)
        #expect(last.reason == .containerLimitationMemory)
        let exit = try #require(last.exit)
        #expect(exit.isOutOfMemory)
        #expect(exit.signal == Int(SIGKILL))
        #expect(exit.memoryLimitBytes == 24 << 20)
        #expect((exit.peakMemoryBytes ?? 0) > 20 << 20)
        #expect(
            last.message?.hasPrefix("out of memory: its limit is 24 MiB, its peak was 2") == true)
        #expect(last.message?.hasSuffix("ended by SIGKILL: going") == true)
        #expect(await bench.finish())
    }

    @Test(
        "the end of a task carries processor time of all its processes, and its wall time",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func figures() async throws {
        let bench = try Bench()
        bench.launch("a", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done & wait")
        let exit = try #require(bench.end(of: "a")?.exit)
        #expect(try #require(exit.cpuTime) > .zero)
        #expect(try #require(exit.wallTime) > .zero)
        #expect(exit.memoryLimitBytes == 48 << 20)
        #expect(!exit.isOutOfMemory)
        #expect(await bench.finish())
    }

    @Test(
        "a task's report says how long it was held back, and how long it waited where that counts",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func throttling() async throws {
        let bench = try Bench(IsolationSettings(mode: .cgroup, limitsCPU: true))
        let info = TaskInfo(
            name: "a", id: "a", agentID: "agent",
            resources: Resources(cpus: Milli(thousandths: 50), mem: Milli(48)),
            command: CommandInfo(value: "while :; do :; done"))
        bench.agent.tell(.launch(info, sandbox: bench.scratch.makeDirectory("a")))
        #expect(eventually { (bench.agent.usages.last?.throttledTime ?? .zero) > .zero })
        let counts = access("/sys/fs/cgroup/unified/cgroup.pressure", F_OK) == 0
        if counts { #expect(eventually { bench.agent.usages.last?.pressure?.cpu != nil }) }
        #expect(await bench.finish())
    }

    @Test(
        "a task has ended when its last process has gone, escaped daemons included",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func daemon() async throws {
        let bench = try Bench()
        bench.launch("a", "(setsid env -i /bin/sh -c 'echo $$ >pid; exec sleep 1000' &); sleep 0.2")
        #expect(bench.end(of: "a")?.state == .finished)
        let pid = Int32(bench.scratch.text("a/pid").filter { $0 != "\n" }) ?? 0
        #expect(pid > 0)
        #expect(eventually { kill(pid, 0) != 0 })
        #expect(await bench.finish())
    }

    @Test(
        "a fork bomb can be killed, and its neighbour goes on",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func forkBomb() async throws {
        let bench = try Bench(IsolationSettings(mode: .cgroup, processLimit: 60))
        bench.launch("neighbour", "exec sleep 1000")
        // A shell ends when it cannot fork; the first process of the task does not fork again.
        bench.launch(
            "bomb", "(f() { f & f & sleep 1000; }; f) 2>/dev/null & exec sleep 1000", grace: .zero)
        #expect(
            eventually { (bench.agent.usages.last { $0.key.task == "bomb" }?.processes ?? 0) > 40 })
        bench.agent.tell(.kill("bomb", policy: nil))
        #expect(bench.end(of: "bomb")?.state == .killed)
        #expect(bench.agent.updates(of: "neighbour").last?.state == .running)
        #expect(await bench.finish())
    }

    @Test(
        "an executor that ends leaves nothing of its running tasks",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func shutdown() async throws {
        let bench = try Bench()
        bench.launch("a", "trap '' TERM; setsid sleep 1000 & sleep 1000 & wait", grace: .zero)
        #expect(eventually { bench.agent.updates(of: "a").last?.state == .running })
        #expect(await bench.finish())
    }

    // MARK: Checks

    @Test(
        "a command check runs as the task's user, whatever it says itself, and in its cgroup",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func check() async throws {
        let bench = try Bench()
        #expect(chmod(bench.scratch.path, 0o711) == 0)
        let tell = "(id -u; cat /proc/self/cgroup)"
        let info = TaskInfo(
            name: "a", id: "a", agentID: "agent",
            resources: Resources(cpus: Milli(1), mem: Milli(48)),
            command: CommandInfo(
                value: tell + " >task; exec sleep 1000", user: "nobody"),
            check: CheckInfo(
                kind: .command(
                    CommandInfo(value: tell + " >check; cmp task check", user: "root")),
                delay: .zero, interval: .milliseconds(20)))
        bench.agent.tell(.launch(info, sandbox: bench.scratch.makeDirectory("a")))
        #expect(
            eventually {
                bench.agent.updates(of: "a").last?.checkResult == .command(exitCode: 0)
            })
        #expect(bench.scratch.text("a/check").hasPrefix("65534\n"))
        #expect(bench.scratch.text("a/check").contains(bench.planner.root + "/run."))
        #expect(await bench.finish())
    }

    @Test(
        "a task may not put itself before all others",
        arguments: [.realTimePriority, .realTime, .nice] as [ProcessLimit.Kind])
    func greed(kind: ProcessLimit.Kind) async throws {
        let bench = try Bench(IsolationSettings())
        bench.launch("a", "true", processes: [ProcessLimit(kind, soft: 1, hard: 1)])
        let last = try #require(bench.end(of: "a"))
        #expect(last.state == .failed)
        #expect(last.message?.contains("RLIMIT_\(kind.name)") == true)
        bench.launch("b", "true", processes: [ProcessLimit(kind, soft: 0, hard: 0)])
        #expect(bench.end(of: "b")?.state == .finished)
        _ = await bench.finish()
    }

    // MARK: How processes end

    @Test("every exit code is reported as it is", arguments: [0, 1, 2, 42, 126, 127, 128, 255])
    func codes(code: Int) async throws {
        let bench = try Bench(IsolationSettings())
        bench.launch("a", "exit \(code)")
        let last = try #require(bench.end(of: "a"))
        #expect(last.exit?.code == code)
        #expect(last.exit?.signal == nil)
        #expect(last.state == (code == 0 ? .finished : .failed))
        #expect(last.exit?.wallTime != nil)
        _ = await bench.finish()
    }

    @Test("every signal that ends a process is reported as it is")
    func signals() async throws {
        let bench = try Bench(IsolationSettings())
        let ignored = [SIGCHLD, SIGCONT, SIGURG, SIGWINCH]
        let stopping = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]
        for number in 1...31 where !(ignored + stopping).contains(Int32(number)) {
            let id = TaskID("s\(number)")
            bench.launch(id, "kill -\(number) $$; sleep 1000")
            let exit = bench.end(of: id)?.exit
            #expect(exit?.signal == number)
            #expect(exit?.code == nil)
            #expect(exit?.isCoreDumped == false)
        }
        _ = await bench.finish()
    }

    @Test("a core is reported when the task asked for one")
    func core() async throws {
        let bench = try Bench(IsolationSettings())
        bench.launch(
            "a", "exec sh -c 'kill -SEGV $$'",
            processes: [ProcessLimit(.core, soft: 64 << 20, hard: 64 << 20)])
        let exit = try #require(bench.end(of: "a")?.exit)
        #expect(exit.signal == Int(SIGSEGV))
        #expect(exit.isCoreDumped)
        _ = await bench.finish()
    }
}
