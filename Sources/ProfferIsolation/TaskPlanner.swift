public import ProfferModel

/// A task to be kept apart, as far as that needs to know it.
public struct IsolationSubject: Hashable, Sendable {
    /// Names its plan; a file name.
    public var name: String
    /// What it took from its offer.
    public var resources: Resources
    /// Its own upper bounds above that.
    public var bounds: [ResourceLimit]
    /// Its container, if it asks for one.
    public var container: ContainerInfo?
    /// The GPUs it has.
    public var gpus: [GPUDevice]

    /// Sets every field; what is left out has the default shown.
    public init(
        name: String, resources: Resources = Resources(), bounds: [ResourceLimit] = [],
        container: ContainerInfo? = nil, gpus: [GPUDevice] = []
    ) {
        self.name = name
        self.resources = resources
        self.bounds = bounds
        self.container = container
        self.gpus = gpus
    }
}

/// What a node allows to be planned.
public struct NodeFacts: Hashable, Sendable {
    /// Its cgroups.
    public var layout: CgroupLayout
    /// Its memory nodes, as the kernel writes lists.
    public var memoryNodes: String
    /// The most descriptors that a process of the executor may have.
    public var descriptorLimit: UInt64
    /// Whether the executor is privileged.
    public var isRoot: Bool

    /// Sets every field.
    public init(
        layout: CgroupLayout, memoryNodes: String, descriptorLimit: UInt64, isRoot: Bool
    ) {
        self.layout = layout
        self.memoryNodes = memoryNodes
        self.descriptorLimit = descriptorLimit
        self.isRoot = isRoot
    }
}

/// Makes the plans of tasks.
public struct TaskPlanner: Hashable, Sendable {
    /// What the operator has decided.
    public let settings: IsolationSettings
    /// What the node allows.
    public let facts: NodeFacts
    /// Plans the cgroups of tasks; `nil` when they have none.
    public let cgroups: CgroupPlanner?

    /// Plans for one node.
    public init(settings: IsolationSettings, facts: NodeFacts) {
        self.settings = settings
        self.facts = facts
        cgroups =
            settings.mode == .process
            ? nil
            : CgroupPlanner(
                layout: facts.layout, root: settings.cgroupRoot,
                keepsDevices: !settings.gpus.devices.isEmpty)
    }

    /// What is made for a task before it starts.
    public func plan(_ subject: IsolationSubject) -> IsolationPlan {
        var plan = IsolationPlan(name: subject.name)
        plan.confinement.limits = limits(subject.container?.limits ?? [])
        plan.confinement.oomScore = settings.oomScore
        guard let cgroups else { return plan }
        var limits = CgroupLimits(subject.resources, subject.bounds, settings)
        limits.deniedDevices = settings.gpus.denied(but: subject.gpus)
        let (steps, entries) = cgroups.steps(subject.name, limits, nodes: facts.memoryNodes)
        plan.steps = steps
        plan.confinement.cgroups = entries
        let isPrivileged = subject.container?.isPrivileged == true
        plan.confinement.keepsUnprivileged =
            !(isPrivileged && settings.containers.allowsPrivileged)
        return plan
    }

    /// What a task without an image asks for that only one with an image can have, as a sentence;
    /// `nil` when there is nothing.
    ///
    /// Files with secrets are another matter, see ``SecretPlanner``.
    public static func problem(withoutImage container: ContainerInfo?) -> String? {
        guard let container else { return nil }
        if let volume = container.volumes.first(where: {
            $0.secret == nil && $0.external == nil
        }) {
            return "the volume '\(volume.containerPath)' cannot be had: a task without an image has"
                + " the node's files"
        }
        if container.network != .host || !container.portMappings.isEmpty {
            return "a network of its own cannot be had: a task without an image has the node's"
        }
        return nil
    }

    /// Why a task may not have the limits that it asks for; `nil` when it may.
    ///
    /// Real-time scheduling and better nice values would take the processors from everybody else,
    /// whatever the cgroup says.
    public func problem(with container: ContainerInfo?) -> String? {
        guard let container else { return nil }
        if container.isPrivileged, settings.containers.allowsPrivileged { return nil }
        let greedy: [ProcessLimit.Kind] = [.realTimePriority, .realTime, .nice]
        let found = container.limits.first { greedy.contains($0.kind) && $0.hard != 0 }
        guard let found else { return nil }
        return "RLIMIT_\(found.kind.name) lets a task put itself before all others; only a"
            + " privileged one may have it"
    }

    /// What the kernel counts for each process: what every task has, then what it asks for.
    ///
    /// Core files are off: they would fill the sandbox with what the task held in memory.
    private func limits(_ wanted: [ProcessLimit]) -> [ProcessLimit] {
        let descriptors = min(settings.descriptorLimit, facts.descriptorLimit)
        let standard = [
            ProcessLimit(.core, soft: 0, hard: 0),
            ProcessLimit(.descriptors, soft: descriptors, hard: descriptors),
        ]
        return standard.filter { one in !wanted.contains { $0.kind == one.kind } } + wanted
    }
}
