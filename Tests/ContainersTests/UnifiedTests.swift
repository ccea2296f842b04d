import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

@Suite("The unified tree of cgroups")
struct UnifiedTests {
    /// A directory that looks like the group of a task in a unified tree.
    private static func fake(_ files: [String: String]) throws -> (Scratch, CgroupProbe) {
        let scratch = try Scratch()
        let layout = CgroupLayout(hierarchies: [
            CgroupHierarchy(
                version: .two, mountPoint: scratch.path,
                controllers: ["cpuset", "cpu", "io", "memory", "pids"])
        ])
        for path in ["/p", "/p/t"] { #expect(mkdir(scratch.path + path, 0o755) == 0) }
        for (name, text) in files {
            let path = scratch.path + "/p/t/" + name
            let file = open(path, O_WRONLY | O_CREAT, 0o600)
            let bytes = Array(text.utf8)
            #expect(write(file, bytes, bytes.count) == bytes.count)
            close(file)
        }
        return (scratch, CgroupProbe(CgroupPlanner(layout: layout, root: "/p")))
    }

    @Test("its files are read: time, throttling, memory, peak, kills, pressure")
    func reading() throws {
        let (scratch, probe) = try Self.fake([
            "cpu.stat": "usage_usec 1500\nuser_usec 1000\nnr_throttled 3\nthrottled_usec 250\n",
            "memory.current": "4096\n", "memory.peak": "8192\n", "memory.max": "16384\n",
            "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 1\n",
            "pids.current": "3\n",
            "cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n",
            "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=34\nfull total=9\n",
        ])
        let usage = probe.full("t")
        #expect(usage.cpuTime == .microseconds(1500))
        #expect(usage.throttledTime == .microseconds(250))
        #expect(usage.memoryBytes == 4096)
        #expect(usage.peakMemoryBytes == 8192)
        #expect(usage.memoryLimitBytes == 16384)
        #expect(usage.outOfMemoryKills == 1)
        #expect(usage.processes == 3)
        #expect(usage.pressure?.cpu == .microseconds(12))
        #expect(usage.pressure?.memory == .microseconds(34))
        #expect(usage.pressure?.io == nil)
        withExtendedLifetime(scratch) {}
    }

    @Test("no limit reads as none, and what is not there is not known")
    func absent() throws {
        let (scratch, probe) = try Self.fake(["memory.max": "max\n"])
        let usage = probe.full("t")
        #expect(usage == CgroupUsage(outOfMemoryKills: 0))
        withExtendedLifetime(scratch) {}
    }

    @Test("new limits are written to its files")
    func resize() throws {
        let names = [
            "cpu.weight", "cpu.max", "memory.max", "memory.swap.max", "memory.low",
            "memory.oom.group", "pids.max",
        ]
        let (scratch, probe) = try Self.fake(
            Dictionary(uniqueKeysWithValues: names.map { ($0, "") }))
        let limits = CgroupLimits(
            cpus: Milli(2), cpuLimit: nil, memory: 1 << 20, memoryLimit: 2 << 20, processes: 5)
        try probe.resize("t", from: limits, to: limits)
        let values = names.map { ProcFile.text(scratch.path + "/p/t/" + $0) }
        #expect(values == ["200", "max 100000", "2097152", "0", "1048576", "1", "5"])
    }

    @Test(
        "a real one kills a whole group at once, counts its time and freezes it",
        .enabled(
            if: isRoot && NodeCgroups.layout().unified != nil, "needs root and a unified tree"))
    func real() throws {
        let scratch = try Scratch()
        let unified = try #require(NodeCgroups.layout().unified)
        let root = "/proffer-test-\(scratch.path.suffix(6))"
        // Only what the tree has whatever its controllers are.
        let layout = CgroupLayout(hierarchies: [
            CgroupHierarchy(version: .two, mountPoint: unified.mountPoint, controllers: [])
        ])
        let planner = CgroupPlanner(layout: layout, root: root)
        try NodeCgroups.prepare(planner, cores: false)
        defer { NodeCgroups.discard(planner, cores: false) }
        let limits = CgroupLimits(
            cpus: Milli(1), cpuLimit: nil, memory: 0, memoryLimit: nil, processes: 50)
        let (steps, entries) = planner.steps("t", limits)
        var plan = IsolationPlan(name: "t", steps: steps)
        plan.confinement.cgroups = entries
        let runner = PlanRunner(directory: scratch.path)
        try runner.carryOut(plan)
        var start = scratch.plan("sleep 1000 & setsid sleep 1000 & while :; do :; done")
        start.confinement = plan.confinement
        var watcher = try ProcessWatcher()
        try watcher.watchChild(try ProcessLauncher.start(start), token: 1)
        let probe = CgroupProbe(planner)
        #expect(eventually { (probe.sample("t").cpuTime ?? .zero) > .zero })
        let group = Cgroup(planner.path("t", in: try #require(planner.trees().first)))
        #expect(eventually { group.members.count == 3 })
        #expect(group.freeze())
        #expect(
            eventually {
                ProcFile.text(group.path + "/cgroup.events")?.contains("frozen 1") == true
            })
        #expect(eventually { probe.kill("t") })
        #expect(watcher.takeEnds(within: 20_000).first?.exit?.signal == Int(SIGKILL))
        #expect(eventually { runner.undo(plan) })
        #expect(access(group.path, F_OK) != 0)
    }
}
