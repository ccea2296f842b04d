import Glibc
import ProfferIsolation
import ProfferModel
import Testing

@testable import ProfferContainers

/// Whether this machine lets tests make cgroups.
let canMakeCgroups: Bool = {
    guard isRoot, NodeCgroups.layout().missing.isEmpty else { return false }
    let planner = CgroupPlanner(layout: NodeCgroups.layout(), root: "/proffer-probe-\(getpid())")
    defer { NodeCgroups.discard(planner, cores: false) }
    return (try? NodeCgroups.prepare(planner, cores: false)) != nil
}()

/// Cgroups of a test's own, and tasks in them; at its end nothing may be left.
final class CgroupBench {
    /// Which trees are used.
    enum Trees: String, CaseIterable, Sendable {
        /// All that the machine has.
        case all
        /// Only those of single controllers, as on a machine without the unified tree.
        case separate
    }

    let scratch: Scratch
    let planner: CgroupPlanner
    let runner: PlanRunner
    let probe: CgroupProbe
    private var watcher: ProcessWatcher
    private var plans: [String: IsolationPlan] = [:]

    init(_ trees: Trees = .all) throws {
        scratch = try Scratch()
        var layout = NodeCgroups.layout()
        if trees == .separate { layout.hierarchies.removeAll { $0.version == .two } }
        let unique = scratch.path.suffix(6)
        planner = CgroupPlanner(layout: layout, root: "/proffer-test-\(unique)")
        runner = PlanRunner(directory: scratch.path)
        probe = CgroupProbe(planner)
        watcher = try ProcessWatcher()
        try NodeCgroups.prepare(planner, cores: false)
    }

    deinit {
        for plan in plans.values {
            probe.kill(plan.name)
            _ = eventually { runner.undo(plan) }
        }
        NodeCgroups.discard(planner, cores: false)
    }

    /// Small limits, so that no test can disturb the machine.
    static func limits(
        cpuLimit: Milli? = nil, memory: Int64 = 48 << 20, processes: Int = 100
    ) -> CgroupLimits {
        CgroupLimits(
            cpus: Milli(1), cpuLimit: cpuLimit, memory: memory, memoryLimit: memory,
            processes: processes)
    }

    /// Starts a shell command in a cgroup of its own.
    func start(
        _ command: String, name: String = "task", limits: CgroupLimits = CgroupBench.limits()
    ) throws {
        let (steps, entries) = planner.steps(name, limits)
        var plan = IsolationPlan(name: name, steps: steps)
        plan.confinement.cgroups = entries
        plan.confinement.oomScore = 500
        try runner.carryOut(plan)
        plans[name] = plan
        var start = scratch.plan(command)
        start.confinement = plan.confinement
        try watcher.watchChild(try ProcessLauncher.start(start), token: UInt64(plans.count))
    }

    /// Waits for the end of the first process of some task.
    func end() -> TaskExit? { watcher.takeEnds(within: 20_000).first?.exit }

    /// Sends a signal to the group of the first process of the first task.
    func signal(_ number: Int32) { watcher.signalGroup(1, number) }

    /// Undoes a task's plan, as often as it takes, and tells whether nothing is left.
    func undo(_ name: String = "task") -> Bool {
        guard let plan = plans.removeValue(forKey: name) else { return false }
        return eventually { runner.undo(plan) } && isGone(name)
    }

    /// The same, while other tasks go on.
    func undoPlan(_ name: String) -> Bool {
        guard let plan = plans.removeValue(forKey: name) else { return false }
        return eventually { runner.undo(plan) } && !runner.names().contains(name)
    }

    /// Whether no trace of a task is left.
    func isGone(_ name: String = "task") -> Bool {
        runner.names().isEmpty
            && planner.trees().allSatisfy { access(planner.path(name, in: $0), F_OK) != 0 }
    }

    /// The processes of a task.
    func members(_ name: String = "task") -> [Int32] {
        planner.trees().first.map { Cgroup(planner.path(name, in: $0)).members } ?? []
    }
}
