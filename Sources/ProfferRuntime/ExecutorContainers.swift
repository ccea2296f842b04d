internal import ProfferAgent
internal import ProfferContainers
internal import ProfferIsolation
internal import ProfferModel
internal import Synchronization

/// What custom executors are held to: a cgroup with the limits of all that an executor and its
/// tasks have taken, and their volumes in its directory.
///
/// The plans of an executor have its run and a dot in their names, so what is left after a crash is
/// undone with the rest of it: `run.0` is its cgroup, `run.v` and a digest a volume.
final class ExecutorContainers: Sendable {
    private struct State {
        var limits: [ContainerID: CgroupLimits] = [:]
        /// Those that have no volume, which need not be looked for.
        var plain: Set<ContainerID> = []
    }

    private let planner: TaskPlanner
    private let volumes: VolumePlanner
    private let runner: PlanRunner
    private let probe: CgroupProbe?
    private let state = Mutex(State())

    init(_ settings: IsolationSettings, runner: PlanRunner) {
        planner = TaskPlanner(settings: settings, facts: NodeIsolation.facts(for: settings))
        volumes = VolumePlanner(settings.volumes)
        probe = planner.cgroups.map { CgroupProbe($0) }
        self.runner = runner
    }

    private static func name(_ container: ContainerID) -> String { container.value + ".0" }

    /// Whether everything of a custom executor dies with its cgroup.
    var hasCgroups: Bool { probe != nil }

    /// Makes what an executor needs before it starts.
    ///
    /// - Returns: What it does to itself first.
    /// - Throws: ``SystemError`` that says what failed; then nothing is left.
    func prepare(_ launch: ExecutorLaunch) throws(SystemError) -> Confinement {
        let container = launch.containerID
        let size = ExecutorSize(
            containerID: container, directory: launch.directory, user: launch.user,
            resources: launch.info.resources)
        let gpus = planner.settings.gpus.devices(of: launch.environment)
        let plan = planner.plan(
            IsolationSubject(
                name: Self.name(container), resources: size.resources,
                container: launch.info.container, gpus: gpus))
        try runner.carryOut(plan)
        state.withLock {
            $0.limits[container] = CgroupLimits(size.resources, [], planner.settings)
        }
        do throws(SystemError) {
            try mount(size)
        } catch {
            runner.undo(plan, within: 100)
            throw error
        }
        return plan.confinement
    }

    /// Holds an executor that was launched, or found again, to a new size.
    ///
    /// - Throws: ``SystemError`` of the first limit or volume that cannot be had.
    func resize(_ size: ExecutorSize) throws(SystemError) {
        let container = size.containerID
        let limits = CgroupLimits(size.resources, [], planner.settings)
        let old = state.withLock { state in
            defer { state.limits[container] = limits }
            return state.limits[container]
        }
        if let probe, old != limits { try resize(container, probe, from: old, to: limits) }
        try mount(size)
    }

    private func resize(
        _ container: ContainerID, _ probe: CgroupProbe, from old: CgroupLimits?,
        to new: CgroupLimits
    ) throws(SystemError) {
        let name = Self.name(container)
        if let old { return try probe.resize(name, from: old, to: new) }
        // An earlier process of the agent has set the limits: either order may be the right one.
        var unlimited = new
        unlimited.memoryLimit = nil
        var nothing = new
        nothing.memoryLimit = 0
        do throws(SystemError) {
            try probe.resize(name, from: unlimited, to: new)
        } catch {
            try probe.resize(name, from: nothing, to: new)
        }
    }

    /// Lets the executor find the volumes that it and its tasks have, and no others.
    private func mount(_ size: ExecutorSize) throws(SystemError) {
        let container = size.containerID
        let mounts: [VolumeMount]
        do throws(ContainerProblem) {
            mounts = try volumes.mounts(of: size.resources)
        } catch {
            throw SystemError("start", container.value, code: 0, hint: error.description)
        }
        if mounts.isEmpty, state.withLock({ $0.plain.contains(container) }) { return }
        let prefix = container.value + ".v"
        let there = Set(runner.names().filter { $0.hasPrefix(prefix) })
        var wanted: Set<String> = []
        for mount in mounts {
            let name = prefix + SocketPath.digest(of: mount.place.path)
            wanted.insert(name)
            if there.contains(name) { continue }
            try runner.carryOut(try plan(name, mount, size))
        }
        let unwanted = there.subtracting(wanted)
        if !unwanted.isEmpty { _ = runner.recover(within: 100, where: unwanted.contains) }
        state.withLock { state in
            if mounts.isEmpty {
                state.plain.insert(container)
            } else {
                state.plain.remove(container)
            }
        }
    }

    private func plan(
        _ name: String, _ mount: VolumeMount, _ size: ExecutorSize
    ) throws(SystemError) -> IsolationPlan {
        let owner = try NodeUsers.find(size.user)
        do throws(ContainerProblem) {
            return IsolationPlan(
                name: name,
                steps: try volumes.steps(
                    name, [mount], nil, sandbox: size.directory, owner: owner,
                    isRoot: planner.facts.isRoot))
        } catch {
            throw SystemError("start", name, code: 0, hint: error.description)
        }
    }

    /// Forgets an executor that has ended.
    func forget(_ container: ContainerID) {
        state.withLock { state in
            state.limits[container] = nil
            state.plain.remove(container)
        }
    }
}
