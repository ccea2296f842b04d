/// What an executor says to its agent.
public enum ExecutorCall: Hashable, Sendable {
    /// Is ready; names what its agent may not know yet.
    case subscribe(unacknowledgedTasks: [TaskInfo], unacknowledgedUpdates: [TaskStatus])
    /// News of a task.
    case update(TaskStatus)
    /// Bytes for the framework, at most once.
    case message([UInt8])
    /// Is alive.
    case heartbeat
    /// What its tasks use.
    case usage([TaskUsage])
}

/// A call with the executor that makes it.
public struct ExecutorMessage: Hashable, Sendable {
    /// The framework it works for.
    public var frameworkID: FrameworkID
    /// Itself.
    public var executorID: ExecutorID
    /// What it says.
    public var call: ExecutorCall

    /// Sets every field; what is left out has the default shown.
    public init(
        frameworkID: FrameworkID,
        executorID: ExecutorID,
        call: ExecutorCall
    ) {
        self.frameworkID = frameworkID
        self.executorID = executorID
        self.call = call
    }
}

/// What an agent says to an executor.
public enum ExecutorEvent: Hashable, Sendable {
    /// The subscription holds.
    case subscribed(
        executor: ExecutorInfo, framework: FrameworkInfo, agent: AgentInfo,
        container: ContainerID?)
    /// Launch this task; its sandbox exists at this path.
    case launch(TaskInfo, sandbox: String, secrets: [SecretValue] = [])
    /// Launch these tasks together; each one's sandbox is at the same position.
    case launchGroup([TaskInfo], sandboxes: [String], secrets: [SecretValue] = [])
    /// Kill this task.
    case kill(TaskID, policy: KillPolicy?)
    /// The agent has made this update durable.
    case acknowledged(TaskID, uuid: UpdateID)
    /// Bytes from the framework.
    case message([UInt8])
    /// Kill everything and end.
    case shutdown
    /// Something was wrong with a call.
    case error(String)
    /// The agent is alive.
    case heartbeat
}

/// Whether a task lives and dies with others.
public enum TaskGrouping: Hashable, Sendable {
    /// Not said: by an agent of a version before 0.2.
    case unknown
    /// By itself.
    case single
    /// With those that name the same first task.
    case group(TaskID)
}

/// What an agent knows of a task, told to the master when it comes back.
public struct AgentTask: Hashable, Sendable {
    /// The task.
    public var info: TaskInfo
    /// Its framework.
    public var frameworkID: FrameworkID
    /// The role its resources are allocated to.
    public var role: String
    /// The executor it runs in.
    public var executorID: ExecutorID
    /// The newest state.
    public var state: TaskState
    /// The last update that the framework has acknowledged or been sent.
    public var lastForwarded: TaskStatus?
    /// Whether it was launched in a group.
    public var grouping: TaskGrouping

    /// Sets every field; what is left out has the default shown.
    public init(
        info: TaskInfo,
        frameworkID: FrameworkID,
        role: String,
        executorID: ExecutorID,
        state: TaskState,
        lastForwarded: TaskStatus? = nil,
        grouping: TaskGrouping = .unknown
    ) {
        self.info = info
        self.frameworkID = frameworkID
        self.role = role
        self.executorID = executorID
        self.state = state
        self.lastForwarded = lastForwarded
        self.grouping = grouping
    }
}

/// An executor that lives on an agent.
public struct AgentExecutor: Hashable, Sendable {
    /// The executor.
    public var info: ExecutorInfo
    /// Its framework.
    public var frameworkID: FrameworkID
    /// The role its resources are allocated to.
    public var role: String

    /// Sets every field; what is left out has the default shown.
    public init(
        info: ExecutorInfo,
        frameworkID: FrameworkID,
        role: String
    ) {
        self.info = info
        self.frameworkID = frameworkID
        self.role = role
    }
}

/// What an agent says when it comes back with an id it already has.
public struct Reregistration: Hashable, Sendable {
    /// Itself, with its id.
    public var info: AgentInfo
    /// Every task with an update that is not acknowledged, and every live one.
    public var tasks: [AgentTask]
    /// Its live executors.
    public var executors: [AgentExecutor]
    /// The frameworks these belong to.
    public var frameworks: [FrameworkInfo]

    /// Sets every field; what is left out has the default shown.
    public init(
        info: AgentInfo,
        tasks: [AgentTask] = [],
        executors: [AgentExecutor] = [],
        frameworks: [FrameworkInfo] = []
    ) {
        self.info = info
        self.tasks = tasks
        self.executors = executors
        self.frameworks = frameworks
    }
}

/// What an agent says to the master.
public enum AgentToMaster: Hashable, Sendable {
    /// Wants to join; repeated until answered.
    case register(AgentInfo, version: String, bootID: String)
    /// Is back.
    case reregister(Reregistration, version: String, bootID: String)
    /// Has new resources or attributes.
    case updateAgent(AgentInfo)
    /// News of a task, with the newest state in the agent's queue.
    case update(FrameworkID, TaskStatus, position: UpdatePosition)
    /// An executor ended.
    case executorExited(ExecutorKey, status: Int)
    /// Bytes from an executor to its framework.
    case message(ExecutorKey, data: [UInt8])
    /// What it uses.
    case usage(AgentUsage)
    /// What may be offered of it beyond its resources until it says otherwise; all revocable.
    case oversubscribed(Resources)
    /// Answers a ping.
    case pong(number: UInt64)
    /// Leaves for good; its tasks are dead.
    case unregister
}

/// A task to run, or several as a group.
public struct RunTask: Hashable, Sendable {
    /// Its framework, with its id.
    public var framework: FrameworkInfo
    /// The executor; `nil` for the agent's own.
    public var executor: ExecutorInfo?
    /// One task, or a group.
    public var tasks: [TaskInfo]
    /// Whether the tasks live and die together.
    public var isGroup: Bool
    /// The role the resources are allocated to.
    public var role: String
    /// How many updates of one task may be under way unacknowledged.
    public var updateWindow: Int

    /// Sets every field; what is left out has the default shown.
    public init(
        framework: FrameworkInfo,
        executor: ExecutorInfo? = nil,
        tasks: [TaskInfo],
        isGroup: Bool = false,
        role: String,
        updateWindow: Int = 1
    ) {
        self.framework = framework
        self.executor = executor
        self.tasks = tasks
        self.isGroup = isGroup
        self.role = role
        self.updateWindow = updateWindow
    }
}

/// What the master says to an agent.
public enum MasterToAgent: Hashable, Sendable {
    /// Has been admitted.
    case registered(AgentID, pingTimeout: Duration)
    /// Has been taken back; about these tasks the master wants to hear.
    case reregistered(AgentID, pingTimeout: Duration, reconcile: [TaskKey])
    /// May not join; stop.
    case refused(String)
    /// Kill everything and stop.
    case shutdown(String)
    /// Are you there? Answered with a pong.
    case ping(number: UInt64, isConnected: Bool)
    /// Run something.
    case run(RunTask)
    /// Kill a task.
    case kill(TaskKey, policy: KillPolicy?)
    /// The framework has taken note of an update.
    case acknowledge(TaskKey, uuid: UpdateID)
    /// Stop an executor.
    case shutdownExecutor(ExecutorKey)
    /// A framework has ended: kill what belongs to it.
    case shutdownFramework(FrameworkID)
    /// A framework has a new description.
    case updateFramework(FrameworkInfo)
    /// Bytes from a framework to an executor.
    case message(ExecutorKey, data: [UInt8])
    /// The agent's resources after operations (reservations, volumes).
    case updateResources(Resources)
}
