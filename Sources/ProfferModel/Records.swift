public import ProfferKernel

/// Whether an admitted agent may be used.
public enum AgentAdmission: Hashable, Sendable {
    /// It is part of the cluster.
    case admitted
    /// It has not answered since then.
    case unreachable(since: WallTime)
    /// The operator has declared it gone; it may never come back.
    case gone(since: WallTime)
}

/// What the registry keeps of an agent.
public struct AgentEntry: Hashable, Sendable {
    /// The agent, with its id.
    public var info: AgentInfo
    /// Whether it may be used.
    public var admission: AgentAdmission
    /// Its resources after operations, when they differ from those in `info`: only in registries
    /// of versions before 0.1.
    public var resources: Resources?
    /// Whether the operator wants no offers of it.
    public var isDeactivated: Bool
    /// The public key in Z85 whose owner alone may be this agent; `nil` is anyone's who comes
    /// first.
    public var publicKey: String?
    /// The order that every task leaves it.
    public var drain: DrainOrder?

    /// Sets every field; what is left out has the default shown.
    public init(
        info: AgentInfo,
        admission: AgentAdmission = .admitted,
        resources: Resources? = nil,
        isDeactivated: Bool = false,
        publicKey: String? = nil,
        drain: DrainOrder? = nil
    ) {
        self.info = info
        self.admission = admission
        self.resources = resources
        self.isDeactivated = isDeactivated
        self.publicKey = publicKey
        self.drain = drain
    }
}

/// What the registry keeps of a framework.
public struct FrameworkEntry: Hashable, Sendable {
    /// The framework, with its id.
    public var info: FrameworkInfo
    /// Since when it has no subscription.
    public var disconnectedSince: WallTime?
    /// Whether it was torn down or timed out.
    public var isRemoved: Bool
    /// The public key in Z85 whose owner alone may be this framework; `nil` is anyone's who comes
    /// first.
    public var publicKey: String?

    /// Sets every field; what is left out has the default shown.
    public init(
        info: FrameworkInfo,
        disconnectedSince: WallTime? = nil,
        isRemoved: Bool = false,
        publicKey: String? = nil
    ) {
        self.info = info
        self.disconnectedSince = disconnectedSince
        self.isRemoved = isRemoved
        self.publicKey = publicKey
    }
}

/// One durable fact of the master: the new value under a key, `nil` when it is gone.
public enum MasterRecord: Hashable, Sendable {
    /// An agent.
    case agent(AgentID, AgentEntry?)
    /// A framework.
    case framework(FrameworkID, FrameworkEntry?)
    /// A role's weight in thousandths.
    case weight(role: String, Int64?)
    /// A top-level role's quota, or its end.
    case quota(role: String, Quota?)
    /// The hosts whose agents may be offered, as an operator has ordered.
    case whitelist([String]?)
    /// The highest priority that may be used in a role.
    case priorityLimit(role: String, Int?)
    /// What maintenance is planned and under way.
    case maintenance(MaintenanceRecord?)
    /// How often a master has taken over this registry.
    case epoch(UInt64)
}

/// What an agent keeps of an executor's run.
public struct ExecutorCheckpoint: Hashable, Sendable {
    /// The executor.
    public var info: ExecutorInfo
    /// The role its resources are allocated to.
    public var role: String
    /// The run.
    public var containerID: ContainerID
    /// Its working directory.
    public var directory: String
    /// What it proves itself with.
    public var token: String
    /// Its process, once it was started.
    public var pid: Int?
    /// The process's start time in clock ticks since boot, against reuse of the pid.
    public var startTicks: UInt64?

    /// Sets every field; what is left out has the default shown.
    public init(
        info: ExecutorInfo,
        role: String,
        containerID: ContainerID,
        directory: String,
        token: String,
        pid: Int? = nil,
        startTicks: UInt64? = nil
    ) {
        self.info = info
        self.role = role
        self.containerID = containerID
        self.directory = directory
        self.token = token
        self.pid = pid
        self.startTicks = startTicks
    }
}

/// What an agent keeps of a task.
public struct TaskCheckpoint: Hashable, Sendable {
    /// The task.
    public var info: TaskInfo
    /// The role its resources are allocated to.
    public var role: String
    /// The executor it runs in.
    public var executorID: ExecutorID
    /// Its sandbox.
    public var sandbox: String
    /// The newest state.
    public var state: TaskState
    /// The first task of its group, when it has one.
    public var groupID: TaskID?
    /// How many unacknowledged updates may be under way.
    public var updateWindow: Int
    /// The update that was acknowledged last, so that a repetition by the executor is recognised.
    public var lastAcknowledged: UpdateID?

    /// Sets every field; what is left out has the default shown.
    public init(
        info: TaskInfo,
        role: String,
        executorID: ExecutorID,
        sandbox: String,
        state: TaskState = .staging,
        groupID: TaskID? = nil,
        updateWindow: Int = 1,
        lastAcknowledged: UpdateID? = nil
    ) {
        self.info = info
        self.role = role
        self.executorID = executorID
        self.sandbox = sandbox
        self.state = state
        self.groupID = groupID
        self.updateWindow = updateWindow
        self.lastAcknowledged = lastAcknowledged
    }
}

/// One durable fact of an agent: the new value under a key, `nil` when it is gone.
public enum AgentRecord: Hashable, Sendable {
    /// Who the agent is, and during which boot of the node that was written.
    case identity(AgentInfo, bootID: String)
    /// A framework with tasks here.
    case framework(FrameworkID, FrameworkInfo?)
    /// An executor's run.
    case executor(ExecutorKey, ExecutorCheckpoint?)
    /// A task.
    case task(TaskKey, TaskCheckpoint?)
    /// An update that is not acknowledged, by its place in the task's queue.
    case update(TaskKey, sequence: UInt64, TaskStatus?)
}
