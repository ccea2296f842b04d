public import ProfferModel

/// What can be asked of an agent.
public enum AgentOperation: Hashable, Sendable {
    /// Everything it holds.
    case summary
    /// The sandbox of a task, present or past.
    case sandbox(TaskKey)
    /// Which of these directories belong to nobody who is here; those are discarded.
    case discard(paths: [String])
}

/// The answer to an ``AgentOperation``.
public enum AgentAnswer: Hashable, Sendable {
    /// To `summary`.
    case summary(AgentReport)
    /// To `sandbox`: the absolute path where it is or was, if the task was ever here.
    case sandbox(path: String)
    /// To `discard`: the directories that are in use and stay.
    case inUse(paths: [String])
}

/// Everything an agent holds.
public struct AgentReport: Hashable, Sendable {
    /// Itself.
    public var info: AgentInfo
    /// Whether the master has admitted it in the present session.
    public var isRegistered: Bool
    /// Frameworks with tasks or executors here.
    public var frameworks: [FrameworkInfo]
    /// The executors that live or are being started.
    public var executors: [ExecutorReport]
    /// Tasks that live or whose last update is not acknowledged.
    public var tasks: [TaskReport]
    /// What the node and its live tasks use; `nil` until it was measured.
    public var usage: AgentUsage?

    /// Sets every field; what is left out has the default shown.
    public init(
        info: AgentInfo,
        isRegistered: Bool,
        frameworks: [FrameworkInfo] = [],
        executors: [ExecutorReport] = [],
        tasks: [TaskReport] = [],
        usage: AgentUsage? = nil
    ) {
        self.info = info
        self.isRegistered = isRegistered
        self.frameworks = frameworks
        self.executors = executors
        self.tasks = tasks
        self.usage = usage
    }
}

/// An executor as its agent sees it.
public struct ExecutorReport: Hashable, Sendable {
    /// The executor.
    public var key: ExecutorKey
    /// The run.
    public var containerID: ContainerID
    /// Its working directory.
    public var directory: String
    /// Its process, once it has one.
    public var pid: Int?
    /// Whether it has a session with the agent.
    public var isConnected: Bool
    /// Its tasks that have not ended.
    public var tasks: Int

    /// Sets every field.
    public init(
        key: ExecutorKey,
        containerID: ContainerID,
        directory: String,
        pid: Int?,
        isConnected: Bool,
        tasks: Int
    ) {
        self.key = key
        self.containerID = containerID
        self.directory = directory
        self.pid = pid
        self.isConnected = isConnected
        self.tasks = tasks
    }
}

/// A task as its agent sees it.
public struct TaskReport: Hashable, Sendable {
    /// The task.
    public var key: TaskKey
    /// For people.
    public var name: String
    /// The executor it runs in.
    public var executorID: ExecutorID
    /// The newest state.
    public var state: TaskState
    /// What it took from its offer.
    public var resources: Resources
    /// The absolute path of its sandbox.
    public var sandbox: String
    /// Updates that are not acknowledged.
    public var unacknowledgedUpdates: Int

    /// Sets every field.
    public init(
        key: TaskKey,
        name: String,
        executorID: ExecutorID,
        state: TaskState,
        resources: Resources,
        sandbox: String,
        unacknowledgedUpdates: Int
    ) {
        self.key = key
        self.name = name
        self.executorID = executorID
        self.state = state
        self.resources = resources
        self.sandbox = sandbox
        self.unacknowledgedUpdates = unacknowledgedUpdates
    }
}
