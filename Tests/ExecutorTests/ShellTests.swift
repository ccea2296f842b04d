import Glibc
import ProfferContainers
import ProfferKernel
import ProfferModel
import ProfferZeroMQ
import Testing

@testable import ProfferExecutorShell

/// An executor in this process with an agent of its own.
private struct Pair {
    let scratch: Scratch
    let agent: FakeAgent
    let shell: ExecutorShell

    init(_ change: (inout ExecutorShellConfiguration) -> Void = { _ in }) throws {
        let context = try Context()
        scratch = try Scratch()
        agent = try FakeAgent(address: "inproc://agent", context: context)
        var configuration = ExecutorShellConfiguration(
            frameworkID: "framework", executorID: "executor", agentAddress: agent.address,
            token: "secret", directory: scratch.path)
        change(&configuration)
        shell = try ExecutorShell(configuration: configuration, context: context)
        try shell.start()
        let agent = agent
        let isConnected = eventually { agent.calls.count == 1 }
        #expect(isConnected)
    }

    func launch(_ id: TaskID, _ command: CommandInfo, killPolicy: KillPolicy? = nil) {
        let info = TaskInfo(
            name: id.value, id: id, agentID: "agent", command: command, killPolicy: killPolicy)
        agent.tell(.launch(info, sandbox: scratch.makeDirectory(id.value)))
    }

    func states(_ id: TaskID) -> [TaskState] { agent.updates(of: id).map(\.state) }

    func waitForEnd(of id: TaskID) -> TaskStatus? {
        _ = eventually { states(id).last?.isTerminal == true }
        return agent.updates(of: id).last
    }

    func end() async {
        agent.tell(.shutdown)
        await shell.finished()
        await agent.stop()
    }
}

@Suite("Executor with real processes", .timeLimit(.minutes(2)))
struct ShellTests {
    @Test("a task runs to its end, and the executor proves itself with its token")
    func runs() async throws {
        let pair = try Pair()
        pair.launch("a", CommandInfo(value: "echo $PROFFER_TASK_ID; exit 0"))
        let last = try #require(pair.waitForEnd(of: "a"))
        #expect(pair.states("a") == [.running, .finished])
        #expect(last.exit?.code == 0)
        #expect(last.exit?.cpuTime != nil)
        #expect(pair.scratch.text("a/stdout") == "a\n")
        #expect(pair.agent.credentials.first == Array("secret".utf8))
        await pair.end()
    }

    @Test("a command that does not exist fails with the reason, and its sandbox is kept")
    func missing() async throws {
        let pair = try Pair()
        pair.launch("a", CommandInfo(value: "no-such-program", shell: false))
        let last = try #require(pair.waitForEnd(of: "a"))
        #expect(last.state == .failed)
        #expect(last.reason == .containerLaunchFailed)
        #expect(last.message == "cannot start 'no-such-program': No such file or directory")
        #expect(pair.scratch.exists("a/stdout"))
        await pair.end()
    }

    @Test("a failing task carries the end of its errors")
    func fails() async throws {
        let pair = try Pair()
        pair.launch("a", CommandInfo(value: "echo 'disk on fire' >&2; exit 9"))
        let last = try #require(pair.waitForEnd(of: "a"))
        #expect(last.message == "exited with code 9: disk on fire")
        await pair.end()
    }

    @Test("a task that ignores TERM is killed after its grace")
    func ignoresTerm() async throws {
        let pair = try Pair()
        let policy = KillPolicy(gracePeriod: .milliseconds(300))
        pair.launch(
            "a", CommandInfo(value: "trap '' TERM; touch up; while :; do sleep 1; done"),
            killPolicy: policy)
        #expect(eventually { pair.scratch.exists("a/up") })
        pair.agent.tell(.kill("a", policy: nil))
        let last = try #require(pair.waitForEnd(of: "a"))
        #expect(pair.states("a") == [.running, .killing, .killed])
        #expect(last.exit?.signal == Int(SIGKILL))
        await pair.end()
    }

    @Test("a kill reaches a child in a session of its own")
    func escapee() async throws {
        let pair = try Pair()
        let command = "setsid sh -c 'echo $$ > pid; mv pid child; exec sleep 1000' & wait"
        pair.launch("a", CommandInfo(value: command))
        #expect(eventually { pair.scratch.exists("a/child") })
        let child = try #require(Int32(pair.scratch.text("a/child").dropLast()))
        let escapee = try #require(ProcessIdentity(pid: child))
        pair.agent.tell(.kill("a", policy: nil))
        #expect(pair.waitForEnd(of: "a")?.state == .killed)
        #expect(eventually { !escapee.isAlive })
        await pair.end()
    }

    @Test("two hundred tasks all finish")
    func many() async throws {
        let pair = try Pair()
        for number in 0..<200 {
            pair.launch(TaskID("\(number)"), CommandInfo(value: "/bin/true", shell: false))
        }
        #expect(eventually { pair.agent.updates.filter { $0.state == .finished }.count == 200 })
        #expect(pair.agent.updates.count == 400)
        await pair.end()
    }

    @Test("output over the limit is moved away")
    func rotation() async throws {
        let pair = try Pair { $0.outputLimitBytes = 10_000 }
        pair.launch(
            "a", CommandInfo(value: "while :; do echo 0123456789abcdef; sleep 0.0001; done"))
        #expect(eventually { pair.scratch.exists("a/stdout.1") })
        await pair.end()
    }

    @Test("usage of live tasks is reported")
    func usage() async throws {
        let pair = try Pair { $0.usageInterval = .milliseconds(50) }
        pair.launch("a", CommandInfo(value: "exec sleep 1000"))
        #expect(eventually { !pair.agent.usages.isEmpty })
        let usage = try #require(pair.agent.usages.first)
        #expect(usage.key == TaskKey("framework", "a"))
        #expect(usage.processes == 1)
        #expect(usage.memoryBytes > 0)
        await pair.end()
    }

    @Test("what a task has in its sandbox is reported, and what is taken out of it is not")
    func diskUsage() async throws {
        let pair = try Pair { $0.usageInterval = .milliseconds(20) }
        pair.launch(
            "a",
            CommandInfo(
                value: """
                    head -c 3000000 /dev/zero >big
                    while [ ! -e stop ]; do sleep 0.01; done; rm big; sleep 1000
                    """))
        #expect(
            eventually { (pair.agent.usages.last?.diskBytes ?? 0) >= 3_000_000 })
        close(open(pair.scratch.path + "/a/stop", O_CREAT | O_WRONLY, 0o600))
        #expect(
            eventually { (pair.agent.usages.last?.diskBytes ?? .max) < 1_000_000 })
        #expect(pair.agent.usages.last?.network == nil)
        await pair.end()
    }

    @Test("a command health check makes a task healthy, then kills it")
    func healthCheck() async throws {
        let pair = try Pair()
        let check = HealthCheck(
            kind: .command(CommandInfo(value: "test ! -e sick")), delay: .zero,
            interval: .milliseconds(20), gracePeriod: .zero, consecutiveFailures: 2)
        let info = TaskInfo(
            name: "a", id: "a", agentID: "agent", command: CommandInfo(value: "exec sleep 1000"),
            healthCheck: check)
        let sandbox = pair.scratch.makeDirectory("a")
        pair.agent.tell(.launch(info, sandbox: sandbox))
        #expect(eventually { pair.agent.updates(of: "a").last?.healthy == true })
        close(open(sandbox + "/sick", O_CREAT | O_WRONLY, 0o600))
        let last = try #require(pair.waitForEnd(of: "a"))
        #expect(last.state == .killed)
        #expect(last.healthy == false)
        #expect(last.message?.hasPrefix("killed after 2 failed health checks") == true)
        await pair.end()
    }

    @Test("shutdown kills what runs and ends the executor")
    func shutdown() async throws {
        let pair = try Pair()
        pair.launch("a", CommandInfo(value: "echo $$ > pid; mv pid self; exec sleep 1000"))
        #expect(eventually { pair.scratch.exists("a/self") })
        let pid = try #require(Int32(pair.scratch.text("a/self").dropLast()))
        let process = try #require(ProcessIdentity(pid: pid))
        await pair.end()
        #expect(!process.isAlive)
        #expect(pair.states("a").last == .killed)
    }
}

@Suite("The program proffer-executor", .timeLimit(.minutes(2)))
struct ProgramTests {
    /// Where the programs of this package are: beside the test runner.
    private static var program: String {
        let runner = ProcessLookup.ownPath
        return String(runner[..<(runner.lastIndex(of: "/") ?? runner.endIndex)])
            + "/proffer-executor"
    }

    private func environment(
        _ agent: FakeAgent, _ more: [(String, String)] = []
    ) -> [EnvironmentVariable] {
        let pairs =
            [
                ("PROFFER_FRAMEWORK_ID", "framework"), ("PROFFER_EXECUTOR_ID", "executor"),
                ("PROFFER_AGENT_ADDRESS", agent.address), ("PROFFER_EXECUTOR_TOKEN", "secret"),
            ] + more
        return pairs.map { EnvironmentVariable(name: $0.0, value: $0.1) }
    }

    private func task(_ id: TaskID, _ command: String) -> TaskInfo {
        TaskInfo(name: id.value, id: id, agentID: "agent", command: CommandInfo(value: command))
    }

    @Test("it outlives its agent, tells the next one what happened, and ends by TERM")
    func outlives() async throws {
        let scratch = try Scratch()
        let address = "ipc://\(scratch.path)/executors.sock"
        let first = try FakeAgent(address: address, context: try Context())
        var launcher = try ExecutorLauncher()
        let process = try launcher.start(
            CommandInfo(value: Self.program, shell: false), environment: environment(first),
            directory: scratch.path, token: 1)
        #expect(eventually { first.calls.count == 1 })
        let sandbox = scratch.makeDirectory("a")
        first.tell(
            .launch(
                task("a", "env > variables; while [ ! -e go ]; do sleep 0.01; done; exit 3"),
                sandbox: sandbox))
        #expect(eventually { first.updates.last?.state == .running })
        await first.stop()
        close(open(sandbox + "/go", O_CREAT | O_WRONLY, 0o600))
        unlink("\(scratch.path)/executors.sock")
        let second = try FakeAgent(address: address, context: try Context())
        #expect(eventually { second.updates.last?.state == .failed })
        #expect(second.updates.last?.exit?.code == 3)
        let variables = scratch.text("a/variables")
        #expect(!variables.contains("secret"))
        #expect(ProcessIdentity(pid: process.pid) == process)
        launcher.signal(1, SIGTERM)
        let end = launcher.takeEnds(within: 15_000).first
        #expect(end?.exit?.code == 0)
        await second.stop()
    }

    @Test("without its settings it says what is missing")
    func missingSettings() throws {
        let scratch = try Scratch()
        var launcher = try ExecutorLauncher()
        _ = try launcher.start(
            CommandInfo(value: Self.program, shell: false), environment: [],
            directory: scratch.path, token: 1)
        let end = launcher.takeEnds(within: 15_000).first
        #expect(end?.exit?.code == 78)
        #expect(scratch.text("executor.log").contains("PROFFER_FRAMEWORK_ID is not set"))
    }
}

/// The path of the running program.
private enum ProcessLookup {
    static var ownPath: String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map {
                readlink("/proc/self/exe", $0.assumingMemoryBound(to: CChar.self), bytes.count)
            } ?? 0
        }
        return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    }
}
