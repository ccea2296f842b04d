import Glibc
import ProfferIsolation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("Cgroups", .enabled(if: canMakeCgroups, "needs root and writable cgroups"))
struct CgroupTests {
    @Test("a task begins in its cgroup and leaves nothing", arguments: CgroupBench.Trees.allCases)
    func plain(trees: CgroupBench.Trees) throws {
        let bench = try CgroupBench(trees)
        try bench.start("cat /proc/self/cgroup")
        #expect(bench.end()?.code == 0)
        let groups = bench.scratch.text("stdout").split(separator: "\n")
        let ours = groups.filter { $0.hasSuffix("\(bench.planner.root)/task") }
        #expect(ours.count == bench.planner.trees().count)
        #expect(bench.undo())
    }

    @Test("a task that takes too much memory dies alone, and that is told with limit and peak")
    func memoryHog() throws {
        let bench = try CgroupBench()
        try bench.start("exec sleep 1000", name: "neighbour")
        try bench.start("tail /dev/zero", limits: CgroupBench.limits(memory: 24 << 20))
        let exit = try #require(bench.end())
        #expect(exit.signal == Int(SIGKILL) || exit.code == 137)
        let usage = bench.probe.full("task")
        #expect(usage.outOfMemoryKills > 0)
        #expect(usage.memoryLimitBytes == 24 << 20)
        let peak = try #require(usage.peakMemoryBytes)
        #expect((20 << 20)...(24 << 20) ~= peak)
        #expect(bench.members("neighbour").count == 1)
        #expect(bench.probe.full("neighbour").outOfMemoryKills == 0)
        #expect(bench.undoPlan("task"))
        bench.probe.kill("neighbour")
        #expect(bench.undo("neighbour"))
    }

    @Test("a sampler reads what a probe reads, and lets go of a group that is gone")
    func sampler() throws {
        let bench = try CgroupBench()
        let sampler = CgroupSampler(bench.probe)
        try bench.start("sleep 1000 & exec sleep 1000")
        for _ in 0..<2 {
            #expect(eventually { sampler.sample("task").processes == 2 })
            #expect(sampler.sample("task").cpuTime != nil)
            #expect(sampler.sample("task").memoryBytes ?? 0 > 0)
        }
        #expect(sampler.openCount == 1)
        bench.probe.kill("task")
        #expect(bench.end() != nil)
        #expect(bench.undo())
        #expect(sampler.sample("task").processes == nil)
        #expect(sampler.openCount == 0)
    }

    @Test("memory in files of a temporary file system counts too")
    func temporaryFiles() throws {
        let bench = try CgroupBench()
        try bench.start(
            "dd if=/dev/zero of=/dev/shm/proffer-test-$$ bs=1M count=64; rm /dev/shm/*-$$",
            limits: CgroupBench.limits(memory: 24 << 20))
        let exit = try #require(bench.end())
        #expect(exit.code != 0 || bench.probe.full("task").outOfMemoryKills > 0)
        #expect(bench.undo())
        unlinkLeftovers()
    }

    private func unlinkLeftovers() {
        guard let stream = opendir("/dev/shm") else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix("proffer-test-") { unlink("/dev/shm/" + name) }
        }
    }

    @Test("a fork bomb is bounded and can be killed", arguments: CgroupBench.Trees.allCases)
    func forkBomb(trees: CgroupBench.Trees) throws {
        let bench = try CgroupBench(trees)
        try bench.start(
            "f() { f & f & }; while :; do f; done", limits: CgroupBench.limits(processes: 60))
        #expect(eventually { (bench.probe.sample("task").processes ?? 0) >= 50 })
        #expect((bench.probe.sample("task").processes ?? .max) <= 60)
        #expect(eventually { bench.probe.kill("task") })
        #expect(bench.end() != nil)
        #expect(bench.undo())
    }

    @Test(
        "a daemon that has left session and environment is reaped with its task",
        arguments: CgroupBench.Trees.allCases)
    func daemon(trees: CgroupBench.Trees) throws {
        let bench = try CgroupBench(trees)
        // The pipe holds the first process until the daemon is there.
        try bench.start(
            "(setsid env -i /bin/sh -c 'echo; exec >/dev/null; sleep 1000 & sleep 1000' &) "
                + "| head -n 1; exit 0")
        #expect(bench.end()?.code == 0)
        #expect(eventually { !bench.members().isEmpty })
        let left = bench.members()
        #expect(bench.undo())
        #expect(eventually { left.allSatisfy { kill($0, 0) != 0 } })
    }

    @Test(
        "nothing that a task does to TERM, or to itself, keeps it from being killed",
        arguments: [("trap '' TERM; touch on; sleep 1000 & wait", "S"), ("kill -STOP $$", "T")])
    func stubborn(command: String, state: Character) throws {
        let bench = try CgroupBench()
        try bench.start(command)
        #expect(
            eventually {
                let first = bench.members().first.flatMap { ProcessStat(pid: $0) }
                return first?.state == state.asciiValue
                    && (state == "T" || access(bench.scratch.path + "/on", F_OK) == 0)
            })
        bench.signal(SIGTERM)
        #expect(!bench.members().isEmpty)
        #expect(eventually { bench.probe.kill("task") })
        #expect(bench.end()?.signal == Int(SIGKILL))
        #expect(bench.undo())
    }

    @Test("a frozen task is killed", arguments: CgroupBench.Trees.allCases)
    func frozen(trees: CgroupBench.Trees) throws {
        let bench = try CgroupBench(trees)
        try bench.start("sleep 1000")
        let tree = try #require(bench.planner.trees().last)
        #expect(Cgroup(bench.planner.path("task", in: tree)).freeze())
        #expect(eventually { bench.probe.kill("task") })
        #expect(bench.end()?.signal == Int(SIGKILL))
        #expect(bench.undo())
    }

    @Test("a task gets no more of the processor than its limit, and that is counted")
    func processorHog() throws {
        let bench = try CgroupBench()
        try bench.start(
            "while :; do :; done", limits: CgroupBench.limits(cpuLimit: Milli(thousandths: 50)))
        #expect(eventually { (bench.probe.full("task").throttledTime ?? .zero) > .zero })
        #expect(try #require(bench.probe.sample("task").cpuTime) > .zero)
        #expect(eventually { bench.probe.kill("task") })
        #expect(bench.end() != nil)
        #expect(bench.undo())
    }

    @Test("the limits of a running task grow and shrink in place")
    func resize() throws {
        let bench = try CgroupBench()
        let small = CgroupBench.limits(memory: 16 << 20)
        try bench.start("exec sleep 1000", limits: small)
        var large = CgroupBench.limits(cpuLimit: Milli(1), memory: 32 << 20, processes: 50)
        large.swap = 1 << 20
        try bench.probe.resize("task", from: small, to: large)
        #expect(bench.probe.full("task").memoryLimitBytes == 32 << 20)
        try bench.probe.resize("task", from: large, to: small)
        #expect(bench.probe.full("task").memoryLimitBytes == 16 << 20)
        #expect(bench.members().count == 1)
        #expect(eventually { bench.probe.kill("task") })
        #expect(bench.end() != nil)
        #expect(bench.undo())
    }

    @Test("groups that a task has made below its own go too")
    func nested() throws {
        let bench = try CgroupBench()
        try bench.start("sleep 1000")
        let tree = try #require(bench.planner.trees().last)
        let path = bench.planner.path("task", in: tree) + "/below"
        #expect(mkdir(path, 0o755) == 0)
        try Cgroup.write("\(try #require(bench.members().first))", to: path + "/cgroup.procs")
        #expect(eventually { bench.probe.kill("task") })
        #expect(bench.end()?.signal == Int(SIGKILL))
        #expect(bench.undo())
    }

    // MARK: Plans

    @Test("what a crash has left is found by its record and undone")
    func crash() throws {
        let bench = try CgroupBench()
        try bench.start("sleep 1000 & setsid sleep 1000 & wait", name: "executor-1.7")
        #expect(eventually { bench.members("executor-1.7").count == 3 })
        let next = PlanRunner(directory: bench.scratch.path)
        #expect(next.names() == ["executor-1.7"])
        #expect(next.recover { $0.hasPrefix("executor-2.") }.isEmpty)
        #expect(next.names() == ["executor-1.7"])
        #expect(next.recover { $0.hasPrefix("executor-1.") }.isEmpty)
        #expect(bench.isGone("executor-1.7"))
        #expect(bench.end()?.signal == Int(SIGKILL))
        #expect(next.recover { _ in true }.isEmpty)
    }

    @Test("a plan whose last step fails leaves nothing of the others")
    func failing() throws {
        let bench = try CgroupBench()
        var (steps, _) = bench.planner.steps("task", CgroupBench.limits())
        let tree = try #require(bench.planner.layout.hierarchy(of: "pids"))
        let path = bench.planner.path("task", in: tree)
        steps.append(.set(path + "/pids.max", to: "many", .required))
        let error = #expect(throws: SystemError.self) {
            try bench.runner.carryOut(IsolationPlan(name: "task", steps: steps))
        }
        #expect(error?.hint == "the value was many")
        #expect(bench.isGone())
    }

    @Test("a record that cannot be read is told and left")
    func badRecord() throws {
        let scratch = try Scratch()
        #expect(
            try scratch.run(scratch.plan("printf 'file\\t/x\\nnonsense\\n' > a.plan"))?.code == 0)
        let problems = PlanRunner(directory: scratch.path).recover { _ in true }
        #expect(problems.first?.hint == "line 2 is no step that can be undone")
        #expect(access(scratch.path + "/a.plan", F_OK) == 0)
    }

    @Test("a process does not start when its cgroup is not there")
    func missing() throws {
        let scratch = try Scratch()
        var plan = scratch.plan("true")
        plan.confinement.cgroups = [scratch.path + "/cgroup.procs"]
        #expect(throws: SystemError.self) { try ProcessLauncher.start(plan) }
    }
}
