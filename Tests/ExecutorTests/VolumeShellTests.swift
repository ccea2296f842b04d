import Glibc
import ProfferContainers
import ProfferIsolation
import ProfferKernel
import ProfferModel
import ProfferZeroMQ
import Testing

@testable import ProfferExecutorShell

/// An executor whose tasks have volumes, with an agent of the test's own.
private struct Bench {
    let scratch: Scratch
    let agent: FakeAgent
    let shell: ExecutorShell
    let volumes: String

    init(drivers: [String: CommandVolumeDriver] = [:], limitsDisk: Bool = false) throws {
        let context = try Context()
        scratch = try Scratch()
        agent = try FakeAgent(address: "inproc://agent", context: context)
        volumes = scratch.makeDirectory("volumes")
        var settings = IsolationSettings(
            limitsDisk: limitsDisk, diskInterval: .milliseconds(50))
        settings.volumes = VolumeSettings(
            directory: volumes, mounts: scratch.makeDirectory("mounts"), drivers: drivers)
        shell = try ExecutorShell(
            configuration: ExecutorShellConfiguration(
                frameworkID: "framework", executorID: "executor", agentAddress: agent.address,
                token: "secret", directory: scratch.path, isolation: settings,
                containerID: "run", plansDirectory: scratch.makeDirectory("plans")),
            context: context)
        try shell.start()
        let agent = agent
        let isConnected = eventually { agent.calls.count == 1 }
        #expect(isConnected)
    }

    static func volume(_ id: String, isShared: Bool = false) -> Resource {
        Resource(
            "disk", .scalar(Milli(10)), reservations: [Reservation(role: "db")],
            disk: DiskInfo(persistenceID: id, containerPath: "data"), isShared: isShared)
    }

    func run(
        _ id: TaskID, _ command: String, volumes: [Resource] = [],
        container: ContainerInfo? = nil, user: String? = nil
    ) -> TaskStatus? {
        var resources = Resources(cpus: Milli(1))
        for volume in volumes { resources += volume }
        let info = TaskInfo(
            name: id.value, id: id, agentID: "agent", resources: resources,
            command: CommandInfo(value: command, user: user), container: container)
        agent.tell(.launch(info, sandbox: scratch.makeDirectory(id.value)))
        _ = eventually { agent.updates(of: id).last?.state.isTerminal == true }
        return agent.updates(of: id).last
    }

    /// What a task has written.
    func output(_ id: TaskID) -> String { TextReader.text("\(scratch.path)/\(id)/stdout") }

    /// Ends the executor and tells whether it left no mount and no record.
    func finish() async -> Bool {
        agent.tell(.shutdown)
        await shell.finished()
        await agent.stop()
        return !TextReader.text("/proc/self/mountinfo").contains(scratch.path)
            && PlanRunner(directory: scratch.path + "/plans").names().isEmpty
    }
}

private enum TextReader {
    static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF {
            bytes.append(UInt8(truncatingIfNeeded: byte))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private let isRoot = geteuid() == 0

@Suite("Executor with volumes", .timeLimit(.minutes(2)))
struct VolumeShellTests {
    @Test("a task finds what another one has left in the same volume, and nothing in its sandbox")
    func kept() async throws {
        let bench = try Bench()
        let volume = Bench.volume("a")
        #expect(bench.run("t1", "echo kept >data/file", volumes: [volume])?.state == .finished)
        let second = bench.run("t2", "cat data/file; ls", volumes: [volume])
        #expect(second?.state == .finished, "\(second?.message ?? "")")
        #expect(bench.output("t2") == "kept\ndata\nstderr\nstdout\n")
        #expect(bench.run("t3", "test ! -e data")?.state == .finished)
        #expect(TextReader.text(bench.volumes + "/roles/db/a/file") == "kept\n")
        #expect(await bench.finish())
    }

    @Test(
        "a task under another user has its volume as its own, and cannot gain by files in it",
        .enabled(if: isRoot, "needs root, to run tasks as somebody else"))
    func otherUser() async throws {
        let bench = try Bench()
        let volume = Bench.volume("a")
        let first = bench.run(
            "t1", "echo x >data/file && stat -c %U data", volumes: [volume], user: "nobody")
        #expect(first?.state == .finished, "\(first?.message ?? "")")
        #expect(bench.output("t1") == "nobody\n")
        let options = bench.run(
            "t2", "grep ' '$(pwd)/data' ' /proc/self/mountinfo", volumes: [volume])
        #expect(options?.state == .finished)
        #expect(bench.output("t2").contains("nosuid,nodev"))
        #expect(await bench.finish())
    }

    @Test("tasks have a shared volume at the same time")
    func shared() async throws {
        let bench = try Bench()
        let volume = Bench.volume("s", isShared: true)
        var resources = Resources(cpus: Milli(1))
        resources += volume
        let waiting = TaskInfo(
            name: "w", id: "w", agentID: "agent", resources: resources,
            command: CommandInfo(
                value: "echo here >data/w; while [ ! -e data/go ]; do sleep 0.05; done"))
        bench.agent.tell(.launch(waiting, sandbox: bench.scratch.makeDirectory("w")))
        #expect(
            bench.run(
                "t",
                "while ! grep -q here data/w; do sleep 0.05; done; touch data/go",
                volumes: [volume])?.state == .finished)
        let agent = bench.agent
        #expect(eventually { agent.updates(of: "w").last?.state == .finished })
        #expect(await bench.finish())
    }

    // MARK: Use of disks

    @Test(
        "a task that fills its volume is killed, its data stays, and one within its bounds is not")
    func overVolume() async throws {
        let bench = try Bench(limitsDisk: true)
        let fill = "dd if=/dev/zero of=data/big bs=1M count=16 2>/dev/null; exec sleep 600"
        let status = bench.run("t1", fill, volumes: [Bench.volume("a")])
        #expect(status?.state == .failed)
        #expect(status?.reason == .containerLimitationDisk)
        #expect(
            status?.message?.contains("16 MiB of the volume 'a', and has taken 10") == true,
            "\(status?.message ?? "")")
        #expect(access(bench.volumes + "/roles/db/a/big", F_OK) == 0)
        let within = bench.run(
            "t2", "dd if=/dev/zero of=data/small bs=1M count=4 2>/dev/null; sleep 0.4",
            volumes: [Bench.volume("b")])
        #expect(within?.state == .finished)
        #expect(await bench.finish())
    }

    @Test("a task that fills its sandbox is told of, where tasks are not held to their disk")
    func overSandbox() async throws {
        let bench = try Bench()
        let info = TaskInfo(
            name: "t", id: "t", agentID: "agent",
            resources: Resources(cpus: Milli(1), disk: Milli(2)),
            command: CommandInfo(
                value:
                    "dd if=/dev/zero of=big bs=1M count=4; while [ ! -e go ]; do sleep 0.05; done"
            ))
        let sandbox = bench.scratch.makeDirectory("t")
        bench.agent.tell(.launch(info, sandbox: sandbox))
        let agent = bench.agent
        #expect(
            eventually {
                agent.updates(of: "t").last?.message?.contains("MiB of its sandbox") == true
            })
        #expect(agent.updates(of: "t").last?.state == .running)
        close(creat(sandbox + "/go", 0o600))
        #expect(eventually { agent.updates(of: "t").last?.state == .finished })
        #expect(await bench.finish())
    }

    // MARK: Drivers

    private static let bind = CommandVolumeDriver(mount: ["mount", "--bind", "{name}", "{target}"])
    private static let memory = CommandVolumeDriver(
        mount: ["mount", "-t", "tmpfs", "-o", "size={option:size}", "tmpfs", "{target}"])

    private static func far(
        _ driver: String, _ name: String, _ options: [Label] = [], isReadOnly: Bool = false
    ) -> ContainerInfo {
        ContainerInfo(volumes: [
            Volume(
                containerPath: "far", isReadOnly: isReadOnly,
                external: .init(driver: driver, name: name, options: options))
        ])
    }

    @Test(
        "a driver mounts what a task asks for, and unmounts it after the task",
        .enabled(if: isRoot, "needs root, to mount"))
    func driver() async throws {
        let bench = try Bench(drivers: ["bind": Self.bind, "memory": Self.memory])
        let source = bench.scratch.makeDirectory("server")
        let first = bench.run(
            "t1", "echo x >far/file", container: Self.far("bind", source), user: "root")
        #expect(first?.state == .finished, "\(first?.message ?? "")")
        #expect(TextReader.text(source + "/file") == "x\n")
        let second = bench.run(
            "t2", "cat far/file && ! touch far/other",
            container: Self.far("bind", source, isReadOnly: true))
        #expect(second?.state == .finished, "\(second?.message ?? "")")
        let third = bench.run(
            "t3", "stat -f -c %T far; df -k far | tail -1",
            container: Self.far("memory", "m", [Label("size", "1m")]))
        #expect(third?.state == .finished, "\(third?.message ?? "")")
        #expect(bench.output("t3").hasPrefix("tmpfs\n"))
        #expect(bench.output("t3").contains(" 1024 "))
        #expect(await bench.finish())
    }

    @Test(
        "a driver that fails fails the task with what it says, and leaves nothing",
        .enabled(if: isRoot, "needs root, to mount"))
    func failingDriver() async throws {
        let failing = CommandVolumeDriver(mount: ["sh", "-c", "echo no such server >&2; exit 32"])
        let bench = try Bench(drivers: ["bad": failing])
        let status = bench.run("t1", "true", container: Self.far("bad", "n"))
        #expect(status?.state == .failed)
        #expect(status?.reason == .containerLaunchFailed)
        #expect(status?.message?.contains("no such server") == true, "\(status?.message ?? "")")
        let unknown = bench.run("t2", "true", container: Self.far("none", "n"))
        #expect(unknown?.message?.contains("no volume driver 'none'") == true)
        #expect(await bench.finish())
    }

    @Test(
        "what an executor that was killed has mounted is undone from its records",
        .enabled(if: isRoot, "needs root, to mount"))
    func crash() async throws {
        let scratch = try Scratch()
        let source = scratch.makeDirectory("server")
        let planner = VolumePlanner(
            VolumeSettings(
                directory: scratch.makeDirectory("volumes"),
                mounts: scratch.makeDirectory("mounts"), drivers: ["bind": Self.bind]))
        let sandbox = scratch.makeDirectory("s")
        var resources = Resources()
        resources += Bench.volume("a")
        let steps = try planner.steps(
            "run.1", planner.mounts(of: resources), Self.far("bind", source), sandbox: sandbox,
            owner: .root, isRoot: true)
        let runner = PlanRunner(directory: scratch.makeDirectory("plans"))
        try runner.carryOut(IsolationPlan(name: "run.1", steps: steps))
        #expect(TextReader.text("/proc/self/mountinfo").contains(sandbox + "/far"))
        let left = PlanRunner(directory: scratch.path + "/plans").recover { _ in true }
        #expect(left.isEmpty)
        #expect(!TextReader.text("/proc/self/mountinfo").contains(scratch.path))
        #expect(access(source, F_OK) == 0)
    }
}
