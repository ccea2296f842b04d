public import ProfferKernel
public import ProfferModel

/// The decisions of an executor, as a deterministic state machine around which an
/// ``ExecutorDriver`` does the protocol.
///
/// A policy is told of tasks and answers with news of them. It needs no clock, thread or socket.
public protocol ExecutorPolicy: Sendable {
    /// What the code around the policy tells it (a job has ended); `Never` when nothing.
    associatedtype Command: Sendable = Never
    /// What the policy asks of the code around it (begin this job); `Never` when nothing.
    associatedtype Output: Sendable = Never

    /// When ``wake(at:into:)`` is next due, or `nil`.
    var nextDeadline: Instant? { get }

    /// Takes one happening to completion.
    mutating func handle(
        _ happening: ExecutorHappening<Command>, at now: Instant,
        into actions: inout Outbox<ExecutorAction<Output>>)

    /// Lets everything happen that is due at `now`. Calling it early is harmless.
    mutating func wake(at now: Instant, into actions: inout Outbox<ExecutorAction<Output>>)
}

extension ExecutorPolicy {
    /// No timer.
    public var nextDeadline: Instant? { nil }

    /// Nothing to do.
    public mutating func wake(
        at now: Instant, into actions: inout Outbox<ExecutorAction<Output>>
    ) {}
}

/// A task that an executor is to run.
public struct LaunchedTask: Hashable, Sendable {
    /// What its framework says of it; `data` is for the executor.
    public var info: TaskInfo
    /// Its directory, which exists.
    public var sandbox: String

    /// Sets every field.
    public init(info: TaskInfo, sandbox: String) {
        self.info = info
        self.sandbox = sandbox
    }
}

/// What an agent tells an executor when it has subscribed.
public struct ExecutorSubscription: Hashable, Sendable {
    /// The executor as its framework describes it; `data` is for the executor.
    public var executor: ExecutorInfo
    /// The framework.
    public var framework: FrameworkInfo
    /// The agent.
    public var agent: AgentInfo
    /// The executor's run.
    public var container: ContainerID?

    /// Sets every field.
    public init(
        executor: ExecutorInfo, framework: FrameworkInfo, agent: AgentInfo,
        container: ContainerID? = nil
    ) {
        self.executor = executor
        self.framework = framework
        self.agent = agent
        self.container = container
    }
}

/// What can happen to an executor.
public enum ExecutorHappening<Command: Sendable>: Sendable {
    /// The subscription holds; also after a restart of the agent. Tasks go on.
    case subscribed(ExecutorSubscription)
    /// The agent is away; the driver is waiting for it. Tasks go on, and what is said of them is
    /// kept.
    case disconnected
    /// Run this task. A task comes once, also when the agent has to repeat itself.
    case launch(LaunchedTask)
    /// Run these tasks together.
    case launchGroup([LaunchedTask])
    /// End this task within this time. Comes again only with less time than is left.
    case kill(TaskID, grace: Duration)
    /// Bytes from the framework, at most once.
    case message([UInt8])
    /// End every task within this time; the executor ends then. Tasks that have not ended by then
    /// are reported as killed.
    case shutdown(grace: Duration)
    /// The code around the policy has something to say.
    case command(Command)
}

/// What a policy wants to happen.
public enum ExecutorAction<Output: Sendable>: Sendable {
    /// News of a task, which the driver repeats until the agent has made it durable.
    ///
    /// The policy sets `taskID`, `state` and, as it likes, `message`, `reason`, `data`, `healthy`,
    /// `checkResult`, `labels` and `exit`; the driver sets the rest. News of a task that is not
    /// here, or that cannot follow the task's state, is dropped with a line in the log.
    case update(TaskStatus)
    /// Bytes for the framework, at most once.
    case message([UInt8])
    /// What tasks use; shown by the agent.
    case usage([TaskUsage])
    /// Do this in the code around the policy.
    case output(Output)
    /// End the executor. Tasks that have not ended are reported as failed.
    case end
}

/// What an executor is told when it starts.
public struct ExecutorOptions: Hashable, Sendable {
    /// The framework it works for.
    public var frameworkID: FrameworkID
    /// Itself.
    public var executorID: ExecutorID
    /// From SHUTDOWN to the end of the executor, whatever is still running then; 5 seconds.
    public var shutdownGrace: Duration
    /// Without an agent for so long, it shuts down by itself; 15 minutes.
    public var recoveryTimeout: Duration

    /// Sets every field; what is left out has the default shown.
    public init(
        frameworkID: FrameworkID,
        executorID: ExecutorID,
        shutdownGrace: Duration = .seconds(5),
        recoveryTimeout: Duration = .seconds(900)
    ) {
        self.frameworkID = frameworkID
        self.executorID = executorID
        self.shutdownGrace = shutdownGrace
        self.recoveryTimeout = recoveryTimeout
    }
}

/// What is worth a line in an executor's log.
public enum ExecutorNotice: Hashable, Sendable {
    /// The agent's subscription holds.
    case subscribed
    /// The agent is away.
    case agentAway
    /// The agent was away for too long; the executor ends.
    case agentLost
    /// The agent wants a task killed that is not here.
    case unknownTask(TaskID)
    /// News of a task cannot be: there is no such task, or it is in another state already.
    case droppedUpdate(TaskID, TaskState)
    /// The executor is ending.
    case ending
    /// The agent refused something.
    case refused(String)
}
