import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

/// A root file system of one static program, and a runtime that works here.
final class ContainerBench {
    let cgroups: CgroupBench
    let planner: ContainerPlanner
    let runtime: ContainerRuntime
    let root: String
    let sandbox: String
    private var plan: IsolationPlan?
    private var watcher: ProcessWatcher
    private var isOver = false

    static let busybox = ["/bin/busybox", "/usr/bin/busybox"].first { (path: String) in
        access(path, X_OK) == 0
    }
    static let isPossible =
        canMakeCgroups && busybox != nil
        && ContainerRuntime.names.contains { ContainerRuntime.path(of: $0) != nil }

    init(runtime name: String? = nil, allowedHostPaths: [String] = []) throws {
        cgroups = try CgroupBench()
        let base = cgroups.scratch.path
        #expect(chmod(base, 0o711) == 0)
        planner = ContainerPlanner(
            directory: base + "/bundles", allowedHostPaths: allowedHostPaths)
        root = base + "/image"
        sandbox = base + "/sandbox"
        let busybox = try #require(Self.busybox)
        let script = """
            mkdir -m 711 bundles; mkdir sandbox; mkdir -p image/bin image/etc image/root image/data
            for name in proc dev sys run mnt; do mkdir image/$name; done; mkdir -m 1777 image/tmp
            cp '\(busybox)' image/bin/busybox
            for name in sh cat ls id sleep echo mount ping grep touch ip mkdir hostname dmesg \
            unshare kill chown; do ln -s busybox image/bin/$name; done
            echo root:x:0:0::/:/bin/sh >image/etc/passwd
            """
        let made = try cgroups.scratch.run(cgroups.scratch.plan(script))
        #expect(made?.code == 0)
        runtime = try ContainerRuntime.find(
            name, planner: planner, cgroups: cgroups.planner, runner: cgroups.runner)
        watcher = try ProcessWatcher()
    }

    deinit {
        if let plan { _ = eventually { cgroups.runner.undo(plan) } }
        // The runtime makes cgroups in trees that the planner does not use.
        _ = try? cgroups.scratch.run(
            cgroups.scratch.plan(
                "find /sys/fs/cgroup -depth -maxdepth 2 -path '*\(cgroups.planner.root)'"
                    + " -exec rmdir {} ';'"))
    }

    /// Runs a shell command in a container to its end and returns what it wrote.
    func run(
        _ command: String, user: ContainerUser = ContainerUser(id: 65_534, group: 65_534),
        memory: Int64 = 48 << 20, image: ImageDefaults = ImageDefaults(),
        _ change: (inout ContainerInfo) -> Void = { _ in }
    ) throws -> String {
        try start(command, user: user, memory: memory, image: image, change)
        #expect(isOver || !watcher.takeEnds(within: 20_000).isEmpty)
        return cgroups.scratch.text("sandbox/stdout") + cgroups.scratch.text("sandbox/stderr")
    }

    func start(
        _ command: String, user: ContainerUser, memory: Int64 = 48 << 20,
        image: ImageDefaults = ImageDefaults(), _ change: (inout ContainerInfo) -> Void
    ) throws {
        var container = ContainerInfo(network: .none)
        change(&container)
        let environment = [
            EnvironmentVariable(name: "PATH", value: "/bin"),
            EnvironmentVariable(name: "PROFFER_SANDBOX", value: sandbox),
        ]
        let subject = BundleSubject(
            name: "task", root: root, image: image, command: CommandInfo(value: command),
            environment: environment, sandbox: sandbox, groupSandbox: sandbox, user: user,
            container: container,
            limits: [ProcessLimit(.descriptors, soft: 64, hard: 64)],
            cgroup: cgroups.planner.root + "/task", oomScore: 300)
        var planner = planner
        planner.capabilities = NodeIsolation.capabilities
        let (steps, _) = cgroups.planner.steps("task", CgroupBench.limits(memory: memory))
        var plan = IsolationPlan(name: "task", steps: steps)
        plan.steps += try planner.steps(subject)
        plan.steps += cgroups.planner.leftovers("task")
        plan.steps.append(runtime.undoStep("task"))
        let owner = ContainerPlanner.owner(subject)
        #expect(chown(sandbox, owner.id, owner.group) == 0)
        try cgroups.runner.carryOut(plan)
        self.plan = plan
        let process = try runtime.start(
            "task", bundle: planner.bundle("task"), output: sandbox)
        // A test does not take up orphans, so the exit code is not known here.
        isOver = try !watcher.watchStranger(process, token: 1)
    }

    /// Whether the container's first process is there.
    var isRunning: Bool { watcher.count > 0 && watcher.takeEnds().isEmpty }

    func kill() -> Bool {
        eventually { cgroups.probe.kill("task") } && !watcher.takeEnds(within: 20_000).isEmpty
    }

    /// Undoes the container and tells whether nothing is left.
    func undo() throws -> Bool {
        let plan = try #require(plan)
        self.plan = nil
        let mounts = { ProcFile.text("/proc/self/mountinfo", limit: 1 << 20) ?? "" }
        return eventually { cgroups.runner.undo(plan) } && cgroups.isGone()
            && !mounts().contains(planner.directory)
            && access(planner.bundle("task"), F_OK) != 0
    }
}

@Suite(
    "Containers", .serialized,
    .enabled(if: ContainerBench.isPossible, "needs root, cgroups, busybox-static and runc or crun"))
struct ContainerTests {
    @Test("a container has processes, host name and files of its own, and leaves nothing")
    func plain() throws {
        let bench = try ContainerBench()
        let output = try bench.run("echo $$; hostname; ls /; pwd; echo $PROFFER_SANDBOX") {
            $0.hostname = "inside"
        }
        let lines = output.split(separator: "\n")
        #expect(lines.prefix(2) == ["1", "inside"])
        #expect(lines.contains("data"))
        #expect(!lines.contains("home"))
        #expect(lines.suffix(2) == ["/mnt/mesos/sandbox", "/mnt/mesos/sandbox"])
        #expect(try bench.undo())
    }

    @Test("a contained task has no privileges, and cannot get any")
    func privileges() throws {
        let bench = try ContainerBench()
        let output = try bench.run(
            "id -u; grep -E '^(Cap(Eff|Prm|Bnd)|NoNewPrivs|Seccomp):' /proc/self/status")
        let none = "0000000000000000"
        #expect(
            output.split(separator: "\n") == [
                "65534", "CapPrm:\t\(none)", "CapEff:\t\(none)", "CapBnd:\t\(none)",
                "NoNewPrivs:\t1", "Seccomp:\t2",
            ])
        #expect(try bench.undo())
    }

    @Test("the root of a container is nobody on the node, and still owns its sandbox")
    func ownRoot() throws {
        let bench = try ContainerBench()
        let output = try bench.run("id -u; touch made; cat /proc/self/uid_map", user: .root)
        #expect(output.hasPrefix("0\n"))
        var status = stat()
        #expect(stat(bench.sandbox + "/made", &status) == 0)
        #expect(status.st_uid == ContainerPlanner.firstMappedUser)
        #expect(output.contains("\(ContainerPlanner.firstMappedUser)"))
        #expect(try bench.undo())
    }

    @Test(
        "what could harm the node is refused",
        arguments: [
            "touch /x", "touch /bin/x", "mount -t tmpfs x /mnt", "dmesg", "unshare -U true",
            "echo 60 >/proc/sys/kernel/panic", "grep -q . /proc/kcore", "mkdir /sys/fs/cgroup/x",
            "cat /dev/mem", "chown 1 /etc/passwd", "kill -9 -1",
        ])
    func refused(command: String) throws {
        for user in [ContainerUser.root, ContainerUser(id: 65_534, group: 65_534)] {
            let bench = try ContainerBench()
            let output = try bench.run("if \(command) 2>/dev/null; then echo did; fi", user: user)
            #expect(!output.contains("did"))
            #expect(try bench.undo())
        }
    }

    @Test("temporary directories can be written to, and count as memory")
    func temporary() throws {
        let bench = try ContainerBench()
        let output = try bench.run("echo a >/tmp/x; echo b >/dev/shm/x; cat /tmp/x /dev/shm/x")
        #expect(output == "a\nb\n")
        #expect(try bench.undo())
    }

    @Test("a container sees only its own processes and a network without a way out")
    func namespaces() throws {
        let bench = try ContainerBench()
        let output = try bench.run("ls -d /proc/[0-9]* | grep -c . ; cat /proc/net/route")
        let lines = output.split(separator: "\n")
        #expect((Int(lines.first ?? "") ?? 99) <= 4)
        #expect(lines.count <= 2)
        #expect(try bench.undo())
    }

    @Test("a container is limited, and its end for want of memory is seen")
    func memory() throws {
        let bench = try ContainerBench()
        try bench.start(
            "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done",
            user: ContainerUser(id: 65_534, group: 65_534), memory: 24 << 20
        ) { _ in }
        #expect(eventually { bench.cgroups.probe.full("task").outOfMemoryKills > 0 })
        #expect(bench.cgroups.probe.full("task").memoryLimitBytes == 24 << 20)
        #expect(try bench.undo())
    }

    @Test("a container is killed with everything in it")
    func kill() throws {
        let bench = try ContainerBench()
        try bench.start(
            "trap '' TERM; sleep 1000 & sleep 1000 & wait", user: .root
        ) { _ in }
        #expect(bench.isRunning)
        #expect(bench.kill())
        #expect(try bench.undo())
    }

    @Test("volumes of sandbox, memory and node are where they were asked for")
    func volumes() throws {
        let outside = try Scratch()
        #expect(chmod(outside.path, 0o755) == 0)
        #expect(try outside.run(outside.plan("echo shared >file"))?.code == 0)
        let bench = try ContainerBench(allowedHostPaths: [outside.path])
        let command = """
            cat /data/file; (echo no >/data/file) 2>/dev/null || echo read only; \
            echo kept >/data2/file || id; echo t >/scratch/t; cat /scratch/t; ls /mnt/mesos/sandbox
            """
        #expect(mkdir(bench.root + "/data2", 0o755) == 0)
        #expect(mkdir(bench.root + "/scratch", 0o755) == 0)
        let output = try bench.run(command) { container in
            container.volumes = [
                Volume(containerPath: "/data", hostPath: outside.path, isReadOnly: true),
                Volume(containerPath: "/data2", sandboxPath: .init("kept/deep")),
                Volume(containerPath: "/scratch", temporaryBytes: 4096),
            ]
        }
        #expect(output == "shared\nread only\nt\nkept\nstderr\nstdout\n")
        #expect(bench.cgroups.scratch.text("sandbox/kept/deep/file") == "kept\n")
        #expect(try bench.undo())
        #expect(outside.text("file") == "shared\n")
    }

    @Test("what an image says is what its programs get")
    func imageDefaults() throws {
        let bench = try ContainerBench()
        var image = ImageDefaults()
        image.environment = [
            EnvironmentVariable(name: "PATH", value: "/bin:/opt"),
            EnvironmentVariable(name: "GREETING", value: "hello"),
        ]
        image.directory = "/etc"
        #expect(
            try bench.run("echo $PATH $GREETING; pwd", image: image) == "/bin:/opt hello\n/etc\n")
        #expect(try bench.undo())
    }

    @Test("a capability that was granted is there, and no other")
    func capability() throws {
        let bench = try ContainerBench()
        let capability = try #require(Capability("NET_BIND_SERVICE"))
        let output = try bench.run("grep CapEff /proc/self/status") {
            $0.capabilities = [capability]
        }
        #expect(output == "CapEff:\t0000000000000400\n")
        #expect(try bench.undo())
    }

    @Test("a program that is not in the image is told with what the runtime said")
    func missing() throws {
        let bench = try ContainerBench()
        #expect(unlink(bench.root + "/bin/sh") == 0)
        let error = #expect(throws: SystemError.self) { try bench.run("true") }
        #expect(error?.hint?.contains("/bin/sh") == true)
        #expect(try bench.undo())
    }

    @Test("a crash while a container runs leaves nothing behind")
    func crash() throws {
        let bench = try ContainerBench()
        try bench.start("sleep 1000", user: .root) { _ in }
        let next = PlanRunner(directory: bench.cgroups.runner.directory)
        #expect(next.recover { $0 == "task" }.isEmpty)
        #expect(try bench.undo())
    }

    @Test("a runtime that does not work, or is not there, is not taken")
    func find() throws {
        let error = #expect(throws: SystemError.self) { try ContainerBench(runtime: "no-such") }
        #expect(error?.hint == "no-such is not installed")
        let failing = #expect(throws: SystemError.self) {
            try ContainerBench(runtime: "/bin/false")
        }
        #expect(failing?.hint?.contains("/bin/false") == true)
    }
}
