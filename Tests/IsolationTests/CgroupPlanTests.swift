import ProfferIsolation
import ProfferModel
import Testing

@Suite("Cgroups, planned")
struct CgroupPlanTests {
    private static let separate = """
        24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda rw
        30 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
        31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
        32 30 0:29 / /sys/fs/cgroup/memory rw shared:10 master:2 - cgroup cgroup rw,memory
        33 30 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
        34 30 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
        35 30 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
        """
    private static let unified =
        "40 24 0:40 / /sys/fs/cg\\040x rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

    private static func layout(_ text: String, _ controllers: String = "") -> CgroupLayout {
        CgroupLayout(mountInfo: text) { $0 == "/sys/fs/cg x" ? controllers : nil }
    }

    private static let limits = CgroupLimits(
        Resources(cpus: Milli(thousandths: 1500), mem: Milli(64)), [], IsolationSettings())

    private static func settings(_ steps: [IsolationStep]) -> [String: String] {
        var found: [String: String] = [:]
        for case .set(let path, let value, _) in steps { found[path] = value }
        return found
    }

    // MARK: Layout

    @Test("trees of their own are v1, the unified one v2, both with controllers are a hybrid")
    func names() {
        #expect(Self.layout(Self.separate).name == "v1")
        #expect(Self.layout(Self.unified, "cpu memory pids").name == "v2")
        #expect(Self.layout(Self.separate + "\n" + Self.unified, "hugetlb").name == "v1")
        #expect(Self.layout(Self.separate + "\n" + Self.unified, "cpuset io").name == "hybrid")
        #expect(Self.layout("").name == "none")
    }

    @Test("controllers that share a tree are found in it, and a tree of its own goes first")
    func owners() throws {
        let layout = Self.layout(Self.separate + "\n" + Self.unified, "cpuset pids memory\n")
        #expect(layout.hierarchy(of: "cpu") == layout.hierarchy(of: "cpuacct"))
        #expect(layout.hierarchy(of: "memory")?.version == .one)
        #expect(layout.hierarchy(of: "cpuset")?.version == .two)
        #expect(layout.hierarchy(of: "cpuset")?.mountPoint == "/sys/fs/cg x")
        #expect(layout.hierarchy(of: "blkio") == nil)
    }

    @Test("what cannot be limited is named")
    func missing() {
        #expect(Self.layout("").missing == ["cpu", "memory", "pids"])
        #expect(Self.layout(Self.separate).missing.isEmpty)
        #expect(Self.layout(Self.unified, "cpu").missing == ["memory", "pids"])
    }

    @Test(
        "a table that is cut or odd gives no tree that is not there",
        arguments: ["31", "31 30 0:28 / /x rw -", "- cgroup", "31 30 0:28 / /x rw - cgroup c"])
    func odd(line: String) {
        #expect(Self.layout(line).hierarchies.isEmpty)
    }

    // MARK: Limits

    @Test("what a task took is its share, and the most it may use unless it says otherwise")
    func limitsOfTask() {
        let resources = Resources(cpus: Milli(2), mem: Milli(100))
        var limits = CgroupLimits(resources, [], IsolationSettings())
        #expect(limits.cpuLimit == nil)
        #expect(limits.memoryLimit == 100 << 20)
        limits = CgroupLimits(resources, [], IsolationSettings(limitsCPU: true))
        #expect(limits.cpuLimit == Milli(2))
        let bounds = [
            ResourceLimit(name: "cpus", amount: nil),
            ResourceLimit(name: "mem", amount: Milli(150)),
        ]
        limits = CgroupLimits(resources, bounds, IsolationSettings(limitsCPU: true))
        #expect(limits.cpuLimit == nil)
        #expect(limits.memory == 100 << 20)
        #expect(limits.memoryLimit == 150 << 20)
        limits = CgroupLimits(
            resources, [ResourceLimit(name: "mem", amount: nil)], IsolationSettings())
        #expect(limits.memoryLimit == nil)
        limits = CgroupLimits(Resources(), [], IsolationSettings())
        #expect(limits.memoryLimit == nil)
        limits = CgroupLimits(
            Resources(mem: Milli(thousandths: .max)), [], IsolationSettings())
        #expect(limits.memory > 0)
    }

    @Test("in trees of their own, swap is counted with memory and set after it")
    func versionOne() throws {
        let planner = CgroupPlanner(layout: Self.layout(Self.separate), root: "/proffer/n")
        let (steps, entries) = planner.steps("t.1", Self.limits)
        let base = "/sys/fs/cgroup"
        #expect(
            entries == [
                "\(base)/cpu,cpuacct/proffer/n/t.1/tasks",
                "\(base)/memory/proffer/n/t.1/tasks",
                "\(base)/pids/proffer/n/t.1/tasks",
                "\(base)/freezer/proffer/n/t.1/tasks",
            ])
        let values = Self.settings(steps)
        #expect(values["\(base)/cpu,cpuacct/proffer/n/t.1/cpu.shares"] == "1536")
        #expect(values["\(base)/cpu,cpuacct/proffer/n/t.1/cpu.cfs_quota_us"] == "-1")
        #expect(values["\(base)/pids/proffer/n/t.1/pids.max"] == "4096")
        let memory = "\(base)/memory/proffer/n/t.1"
        let order = steps.compactMap { step -> String? in
            if case .set(let path, let value, _) = step, value == "\(64 << 20)" {
                path
            } else {
                nil
            }
        }
        #expect(
            order == ["\(memory)/memory.limit_in_bytes", "\(memory)/memory.memsw.limit_in_bytes"])
    }

    @Test("in the unified tree, weight, quota, swap and the killing of the whole group are set")
    func versionTwo() {
        let planner = CgroupPlanner(
            layout: Self.layout(Self.unified, "cpuset cpu memory pids"), root: "/p")
        var limits = Self.limits
        limits.cpuLimit = Milli(thousandths: 2500)
        limits.swap = 4096
        limits.cores = "0-1"
        let path = "/sys/fs/cg x/p/t"
        let (steps, entries) = planner.steps("t", limits, nodes: "0,1")
        #expect(entries == ["\(path)/cgroup.procs"])
        #expect(
            Self.settings(steps) == [
                "\(path)/cpu.weight": "150", "\(path)/cpu.max": "250000 100000",
                "\(path)/memory.max": "\(64 << 20)", "\(path)/memory.swap.max": "4096",
                "\(path)/memory.low": "\(64 << 20)", "\(path)/memory.oom.group": "1",
                "\(path)/pids.max": "4096", "\(path)/cpuset.cpus": "0-1",
                "\(path)/cpuset.mems": "0,1",
            ])
    }

    @Test("every level above hands its controllers down before there is one below")
    func preparation() {
        let planner = CgroupPlanner(
            layout: Self.layout(Self.unified, "cpu memory pids"), root: "/a/b")
        let top = "/sys/fs/cg x"
        let steps = planner.preparation()
        let made = steps.compactMap { if case .makeCgroup(let path) = $0 { path } else { nil } }
        #expect(made == ["\(top)/a", "\(top)/a/b"])
        #expect(steps.first == .set("\(top)/cgroup.subtree_control", to: "+cpu", .wanted))
        #expect(steps.last == .set("\(top)/a/b/cgroup.subtree_control", to: "+pids", .required))
    }

    @Test("a hybrid has a group in each tree, and each controller is set where it is")
    func hybrid() {
        let planner = CgroupPlanner(
            layout: Self.layout(Self.separate + "\n" + Self.unified, "pids hugetlb"), root: "/p")
        let (steps, entries) = planner.steps("t", Self.limits)
        #expect(entries.count == 4)
        #expect(entries.last == "/sys/fs/cg x/p/t/cgroup.procs")
        let values = Self.settings(steps)
        #expect(values["/sys/fs/cgroup/pids/p/t/pids.max"] == "4096")
        #expect(values["/sys/fs/cg x/p/t/pids.max"] == nil)
    }

    @Test(
        "shares and weights stay within what the kernel takes",
        arguments: [
            (0, "2", "1"), (1, "2", "1"), (1000, "1024", "100"), (900_000_000, "262144", "10000"),
        ])
    func bounds(thousandths: Int, shares: String, weight: String) {
        var limits = Self.limits
        limits.cpus = Milli(thousandths: Int64(thousandths))
        limits.cpuLimit = limits.cpus
        let one = CgroupPlanner(layout: Self.layout(Self.separate), root: "/p").steps("t", limits)
        let two = CgroupPlanner(layout: Self.layout(Self.unified, "cpu"), root: "/p")
            .steps("t", limits)
        let values = Self.settings(one.steps + two.steps)
        #expect(values["/sys/fs/cgroup/cpu,cpuacct/p/t/cpu.shares"] == shares)
        #expect(values["/sys/fs/cg x/p/t/cpu.weight"] == weight)
        let quota = values["/sys/fs/cgroup/cpu,cpuacct/p/t/cpu.cfs_quota_us"].flatMap { Int($0) }
        #expect((quota ?? 0) >= 1000)
    }

    @Test("memory grows swap first and shrinks memory first")
    func resize() {
        let planner = CgroupPlanner(layout: Self.layout(Self.separate), root: "/p")
        var more = Self.limits
        more.memoryLimit = 128 << 20
        let files = { (steps: [IsolationStep]) in
            steps.compactMap { step -> Substring? in
                guard case .set(let path, _, _) = step, path.contains("limit_in_bytes"),
                    !path.contains("soft")
                else { return nil }
                return path.split(separator: "/").last
            }
        }
        #expect(
            files(planner.resize("t", from: Self.limits, to: more))
                == ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"])
        #expect(
            files(planner.resize("t", from: more, to: Self.limits))
                == ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"])
        var endless = more
        endless.memoryLimit = nil
        #expect(
            files(planner.resize("t", from: more, to: endless))
                == ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"])
    }

    @Test("what can be taken back has the least weight, whatever there is of it")
    func revocable() {
        let spare = Resources([Resource("cpus", .scalar(Milli(4)), isRevocable: true)])
        #expect(CgroupLimits(spare, [], IsolationSettings()).cpus == .zero)
        let limited = CgroupLimits(spare, [], IsolationSettings(limitsCPU: true))
        #expect(limited.cpuLimit == Milli(4))
    }

    // MARK: Settings

    @Test("what an executor is told arrives as it was")
    func environment() {
        let settings = IsolationSettings(
            mode: .cgroup, cgroupRoot: "/a", limitsCPU: true, swapBytes: 7,
            processLimit: 9, descriptorLimit: 11, cores: "0-3", oomScore: -5, user: "web")
        let list = settings.environment
        let read = IsolationSettings { name in list.last { $0.name == name }?.value }
        #expect(read == settings)
        #expect(IsolationSettings { _ in nil } == IsolationSettings())
    }

    @Test("each mode says what it does not enforce")
    func gaps() {
        let layout = Self.layout(Self.separate)
        let process = IsolationSettings().gaps(on: layout, isRoot: false)
        #expect(process.contains { $0.contains("counted, not limited") })
        #expect(process.contains { $0.contains("user of the agent") })
        let bare = IsolationSettings(mode: .cgroup).gaps(on: Self.layout(""), isRoot: true)
        #expect(bare.contains { $0.contains("'memory'") })
        let full = IsolationSettings(mode: .oci, limitsCPU: true).gaps(on: layout, isRoot: true)
        #expect(full == ["disk is counted, not limited"])
    }
}
