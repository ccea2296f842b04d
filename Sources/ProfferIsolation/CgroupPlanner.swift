public import ProfferModel

/// What a task's cgroup is limited to.
public struct CgroupLimits: Hashable, Sendable {
    /// The share of the processor when others want it too: what the task has taken.
    public var cpus: Milli
    /// The most of it that the task gets; `nil` is all there is.
    public var cpuLimit: Milli?
    /// Memory that is the last to be taken away, in bytes.
    public var memory: Int64
    /// Beyond which the kernel kills, in bytes; `nil` is all there is.
    public var memoryLimit: Int64?
    /// What may be swapped out beyond that, in bytes.
    public var swap: Int64
    /// Processes and threads; `nil` is any number.
    public var processes: Int?
    /// The cores that may be used, as the kernel writes lists; `nil` is all.
    public var cores: String?
    /// Devices that may not be used, as the kernel writes them.
    public var deniedDevices: [String] = []

    /// Sets every field.
    public init(
        cpus: Milli, cpuLimit: Milli?, memory: Int64, memoryLimit: Int64?, swap: Int64 = 0,
        processes: Int? = nil, cores: String? = nil
    ) {
        self.cpus = cpus
        self.cpuLimit = cpuLimit
        self.memory = memory
        self.memoryLimit = memoryLimit
        self.swap = swap
        self.processes = processes
        self.cores = cores
    }

    /// The limits of a task: what it took from its offer, and its own upper bounds above that.
    ///
    /// A task that took no memory has no limit of memory.
    public init(_ resources: Resources, _ bounds: [ResourceLimit], _ settings: IsolationSettings) {
        let bound = { (name: String) in bounds.last { $0.name == name } }
        // What can be taken back gets only what nobody else wants.
        cpus = resources.nonRevocable.cpus
        cpuLimit = bound("cpus").map(\.amount) ?? (settings.limitsCPU ? resources.cpus : nil)
        memory = Self.bytes(resources.mem)
        memoryLimit = bound("mem").map { $0.amount.map(Self.bytes) } ?? memory
        if memoryLimit == 0 { memoryLimit = nil }
        swap = max(0, settings.swapBytes)
        processes = settings.processLimit > 0 ? settings.processLimit : nil
        cores = settings.cores
    }

    /// Mebibytes in thousandths as bytes.
    private static func bytes(_ mebibytes: Milli) -> Int64 {
        let (whole, isTooMuch) = mebibytes.thousandths.multipliedReportingOverflow(by: 1_048_576)
        return isTooMuch ? .max / 2 : max(0, whole / 1000)
    }
}

/// The cgroup of one task: where it is in each tree, and what is written to it.
public struct CgroupPlanner: Hashable, Sendable {
    /// The trees of the node.
    public let layout: CgroupLayout
    /// Below which cgroup the tasks have theirs, from the top of every tree.
    public let root: String
    /// Whether tasks are kept from devices that others have.
    public let keepsDevices: Bool

    /// Plans for one node.
    public init(layout: CgroupLayout, root: String, keepsDevices: Bool = false) {
        self.layout = layout
        self.root = root
        self.keepsDevices = keepsDevices
    }

    /// The time within which a limit of processor time is counted; 100 ms, the kernel's own.
    static let period: Int64 = 100_000
    /// The kernel's least quota.
    private static let leastQuota: Int64 = 1000

    /// The trees that tasks have cgroups in.
    ///
    /// The unified tree is among them wherever there is one, because there a group is killed as a
    /// whole, and its time is counted; where there is none, the freezer keeps a group still while
    /// it is killed, and `cpuacct` counts. Every tree costs a task a tenth of its start.
    public func trees(cores: Bool = false) -> [CgroupHierarchy] {
        var wanted = ["cpu", "memory", "pids"]
        if layout.unified == nil { wanted += ["cpuacct", "freezer"] }
        if cores { wanted.append("cpuset") }
        // The unified tree has no files for them.
        if keepsDevices, layout.hierarchy(of: "devices")?.version == .one {
            wanted.append("devices")
        }
        var trees: [CgroupHierarchy] = []
        for controller in wanted {
            if let tree = layout.hierarchy(of: controller), !trees.contains(tree) {
                trees.append(tree)
            }
        }
        if let unified = layout.unified, !trees.contains(unified) { trees.append(unified) }
        return trees
    }

    /// The directory of a task's cgroup in one tree.
    public func path(_ name: String, in tree: CgroupHierarchy) -> String {
        tree.mountPoint + root + "/" + name
    }

    /// What makes the group that all tasks of the node are in; to be done once, before any task.
    ///
    /// In the unified tree every level above has to hand the controllers down.
    public func preparation(cores: Bool = false) -> [IsolationStep] {
        var steps: [IsolationStep] = []
        for tree in trees(cores: cores) {
            var path = tree.mountPoint
            let names = tree.controllers.filter { CgroupLayout.known.contains($0) }
            let enabling = names.filter { $0 != "freezer" }.map { "+\($0)" }
            for name in root.split(separator: "/") {
                if tree.version == .two, !enabling.isEmpty {
                    steps += enabling.map {
                        .set(path + "/cgroup.subtree_control", to: $0, .wanted)
                    }
                }
                path += "/" + name
                steps.append(.makeCgroup(path))
                if tree.version == .one, tree.controllers.contains("cpuset") {
                    steps.append(.set(path + "/cgroup.clone_children", to: "1", .wanted))
                }
            }
            if tree.version == .two, !enabling.isEmpty {
                steps += enabling.map { .set(path + "/cgroup.subtree_control", to: $0, .required) }
            }
        }
        return steps
    }

    /// Makes the cgroup of a task, with its limits, in every tree.
    ///
    /// - Parameters:
    ///   - name: The name of the task's plan.
    ///   - limits: Its limits.
    ///   - nodes: The memory nodes that go with `limits.cores`, as the kernel writes lists.
    /// - Returns: The steps, and the files by which a process enters the group.
    public func steps(
        _ name: String, _ limits: CgroupLimits, nodes: String = "0"
    ) -> (steps: [IsolationStep], entries: [String]) {
        var steps: [IsolationStep] = []
        var entries: [String] = []
        for tree in trees(cores: limits.cores != nil) {
            let path = path(name, in: tree)
            steps.append(.makeCgroup(path))
            for controller in tree.controllers {
                let own = layout.hierarchy(of: controller) == tree
                if own { steps += settings(controller, tree.version, path, limits, nodes) }
            }
            entries.append(entry(name, in: tree))
        }
        return (steps, entries)
    }

    /// The file by which a process that is alone in its thread group enters a task's cgroup.
    ///
    /// `tasks` moves one thread, which needs no lock that every process of the node waits for. The
    /// unified tree moves whole processes only.
    public func entry(_ name: String, in tree: CgroupHierarchy) -> String {
        path(name, in: tree) + (tree.version == .one ? "/tasks" : Self.unifiedEntry)
    }

    /// How the entry of a cgroup in the unified tree ends.
    public static let unifiedEntry = "/cgroup.procs"

    /// What undoes the groups of a container that its runtime makes where the plan of its task has
    /// none.
    public func leftovers(_ name: String, cores: Bool = false) -> [IsolationStep] {
        let own = trees(cores: cores)
        let mounts = layout.hierarchies.filter { !own.contains($0) }.map(\.mountPoint)
        return (mounts + layout.others).map { .promise(.removeCgroup("\($0)\(root)/\(name)")) }
    }

    private func settings(
        _ controller: String, _ version: CgroupHierarchy.Version, _ path: String,
        _ limits: CgroupLimits, _ nodes: String
    ) -> [IsolationStep] {
        switch (controller, version) {
        case ("cpu", _): processor(version, path, limits)
        case ("memory", .one): memoryOne(path, limits, isGrowing: false)
        case ("memory", .two): memoryTwo(path, limits)
        case ("pids", _):
            [.set(path + "/pids.max", to: limits.processes.map { "\($0)" } ?? "max", .required)]
        case ("devices", .one):
            limits.deniedDevices.map { .set(path + "/devices.deny", to: $0, .required) }
        case ("cpuset", _):
            limits.cores.map {
                [
                    .set(path + "/cpuset.mems", to: nodes, .required),
                    .set(path + "/cpuset.cpus", to: $0, .required),
                ]
            } ?? []
        default: []
        }
    }

    private func processor(
        _ version: CgroupHierarchy.Version, _ path: String, _ limits: CgroupLimits
    ) -> [IsolationStep] {
        let quota = limits.cpuLimit.map {
            max(Self.leastQuota, $0.thousandths * Self.period / 1000)
        }
        let shares = Self.shares(limits.cpus)
        switch version {
        case .one:
            return [
                .set(path + "/cpu.shares", to: "\(shares)", .required),
                .set(path + "/cpu.cfs_quota_us", to: "\(quota ?? -1)", quota.need),
            ]
        case .two:
            let limit = quota.map { "\($0)" } ?? "max"
            return [
                .set(path + "/cpu.weight", to: "\(Self.weight(shares))", .required),
                .set(path + "/cpu.max", to: "\(limit) \(Self.period)", quota.need),
            ]
        }
    }

    /// 1024 for each core, as Mesos and the kernel count; from 2 to 262144.
    static func shares(_ cpus: Milli) -> Int64 {
        min(262_144, max(2, cpus.thousandths * 1024 / 1000))
    }

    /// The weight of the unified tree, from 1 to 10000, for shares; 100 is one core.
    static func weight(_ shares: Int64) -> Int64 {
        min(10_000, max(1, (shares * 100 + 512) / 1024))
    }

    /// Swap is counted together with memory, and must never be limited to less than it.
    private func memoryOne(
        _ path: String, _ limits: CgroupLimits, isGrowing: Bool
    ) -> [IsolationStep] {
        let limit = limits.memoryLimit
        let both = limit.map { $0 + limits.swap }
        var steps: [IsolationStep] = [
            .set(
                path + "/memory.limit_in_bytes", to: limit.map { "\($0)" } ?? "-1", .required),
            .set(
                path + "/memory.memsw.limit_in_bytes", to: both.map { "\($0)" } ?? "-1", .wanted),
        ]
        if isGrowing { steps.reverse() }
        if limits.memory > 0, limits.memory != limit {
            steps.append(
                .set(path + "/memory.soft_limit_in_bytes", to: "\(limits.memory)", .wanted))
        }
        return steps
    }

    private func memoryTwo(_ path: String, _ limits: CgroupLimits) -> [IsolationStep] {
        let swap = limits.memoryLimit == nil ? "max" : "\(limits.swap)"
        return [
            .set(
                path + "/memory.max", to: limits.memoryLimit.map { "\($0)" } ?? "max", .required),
            .set(path + "/memory.swap.max", to: swap, .wanted),
            .set(path + "/memory.low", to: "\(limits.memory)", .wanted),
            // One process less would leave a task that is neither alive nor dead.
            .set(path + "/memory.oom.group", to: "1", .wanted),
        ]
    }

    /// Changes the limits of a task that runs.
    ///
    /// - Returns: The settings, in an order that the kernel takes while the task runs. A limit of
    ///   memory below what the task holds is refused by the kernel (v1) or kills it (v2).
    public func resize(
        _ name: String, from old: CgroupLimits, to new: CgroupLimits
    ) -> [IsolationStep] {
        let isGrowing = (new.memoryLimit ?? .max) > (old.memoryLimit ?? .max)
        var steps: [IsolationStep] = []
        for tree in trees() {
            let path = path(name, in: tree)
            for controller in tree.controllers where layout.hierarchy(of: controller) == tree {
                if controller == "memory", tree.version == .one {
                    steps += memoryOne(path, new, isGrowing: isGrowing)
                } else if controller != "cpuset", controller != "devices" {
                    steps += settings(controller, tree.version, path, new, "0")
                }
            }
        }
        return steps
    }
}

extension Int64? {
    /// A limit that was asked for has to be kept; none is the state of a fresh group.
    fileprivate var need: Need { self == nil ? .wanted : .required }
}
