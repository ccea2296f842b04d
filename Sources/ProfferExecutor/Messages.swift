public import ProfferKernel
public import ProfferModel

/// What an executor is told when it starts.
public struct ExecutorConfiguration: Hashable, Sendable {
    /// The framework it works for.
    public var frameworkID: FrameworkID
    /// Itself.
    public var executorID: ExecutorID
    /// From SHUTDOWN to the end of the executor, whatever is still running then.
    public var shutdownGrace: Duration
    /// Without an agent for so long, it kills everything and ends.
    public var recoveryTimeout: Duration
    /// From one measurement of what its tasks use to the next.
    public var usageInterval: Duration
    /// Whether a task says `TASK_STARTING` before `TASK_RUNNING`.
    public var reportsStarting: Bool
    /// Whether a task dies when its sandbox takes more than its `disk`; one without has no limit.
    public var limitsDisk: Bool
    /// Where tasks find programs unless they say otherwise.
    public var searchPath: String

    /// Sets every field; what is left out has the default shown.
    public init(
        frameworkID: FrameworkID,
        executorID: ExecutorID,
        shutdownGrace: Duration = .seconds(5),
        recoveryTimeout: Duration = .seconds(900),
        usageInterval: Duration = .seconds(5),
        reportsStarting: Bool = false,
        limitsDisk: Bool = false,
        searchPath: String = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ) {
        self.frameworkID = frameworkID
        self.executorID = executorID
        self.shutdownGrace = shutdownGrace
        self.recoveryTimeout = recoveryTimeout
        self.usageInterval = usageInterval
        self.reportsStarting = reportsStarting
        self.limitsDisk = limitsDisk
        self.searchPath = searchPath
    }
}

/// Everything that can happen to an executor.
public enum ExecutorInput: Hashable, Sendable {
    /// There is a session with the agent; an older one is void.
    case agentOpened(PeerID)
    /// The session has ended.
    case agentClosed(PeerID)
    /// The agent says something.
    case event(ExecutorEvent, from: PeerID)
    /// The task's first process runs; it leads a session and a process group of its own.
    ///
    /// `addresses` are those of its own network; none when it has the node's.
    case processStarted(TaskID, pid: Int, startTicks: UInt64, addresses: [String] = [])
    /// There is no process, and why.
    case startFailed(TaskID, message: String)
    /// The task's first process has ended and its group was killed.
    ///
    /// `errorTail` is the end of what it wrote to its standard error, 1 KiB at most.
    case processExited(TaskID, TaskExit, errorTail: String)
    /// A check has ended.
    case checkFinished(CheckReference, CheckOutcome)
    /// What the live tasks use.
    case usage([TaskUsage])
    /// The executor was asked to end by the node (SIGTERM).
    case terminate
}

/// Everything an executor can ask the world to do.
public enum ExecutorEffect: Hashable, Sendable {
    /// Say this in this session.
    case tellAgent(ExecutorCall, PeerID)
    /// Start this task; answered with `processStarted` or `startFailed`.
    case start(TaskLaunch)
    /// Send this signal to every process of the task.
    case signal(TaskID, Int32)
    /// Find out about a task; answered with `checkFinished` after `timeout` at the latest.
    case runCheck(CheckReference, CheckKind, timeout: Duration)
    /// Measure what these tasks use; answered with `usage`.
    case measure([TaskID])
    /// Nothing will be asked about this task any more.
    case forget(TaskID)
    /// End with this exit code.
    case exit(code: Int32)
    /// Something worth a line in the log.
    case observe(ExecutorObservation)
}

/// What is worth a line in an executor's log.
public enum ExecutorObservation: Hashable, Sendable {
    /// An update was made.
    case update(TaskID, TaskState, message: String?)
    /// The agent's subscription holds.
    case subscribed
    /// The agent is away.
    case agentAway
    /// The agent was away for too long; everything is killed.
    case agentLost
    /// A call names a task that is not here.
    case unknownTask(TaskID)
    /// A process has not gone although it was killed so long ago.
    case unkillable(TaskID, after: Duration)
    /// The executor kills everything and will end.
    case shutdown
    /// The agent refused something.
    case refused(String)
}

/// A task ready to be started.
public struct TaskLaunch: Hashable, Sendable {
    /// The task.
    public var id: TaskID
    /// What to execute.
    public var command: CommandInfo
    /// The whole environment of the task, each name once.
    public var environment: [EnvironmentVariable]
    /// The working directory, where `stdout` and `stderr` are too.
    public var sandbox: String
    /// What it took from the offer.
    public var resources: Resources
    /// Upper bounds above that.
    public var limits: [ResourceLimit]
    /// Its container.
    public var container: ContainerInfo?
    /// Counts groups; `nil` for a task of its own.
    public var group: UInt64?

    /// Sets every field; what is left out has the default shown.
    public init(
        id: TaskID,
        command: CommandInfo,
        environment: [EnvironmentVariable] = [],
        sandbox: String,
        resources: Resources = Resources(),
        limits: [ResourceLimit] = [],
        container: ContainerInfo? = nil,
        group: UInt64? = nil
    ) {
        self.id = id
        self.command = command
        self.environment = environment
        self.sandbox = sandbox
        self.resources = resources
        self.limits = limits
        self.container = container
        self.group = group
    }
}

/// What a check is for.
public enum CheckPurpose: Int, Hashable, Sendable {
    /// Decides whether the task is healthy.
    case health
    /// Is reported only.
    case check
}

/// Names one run of one check.
public struct CheckReference: Hashable, Sendable {
    /// The task.
    public var task: TaskID
    /// What it is for.
    public var purpose: CheckPurpose
    /// Counts the runs, so that a late answer is recognised.
    public var number: UInt64

    /// Sets every field.
    public init(task: TaskID, purpose: CheckPurpose, number: UInt64) {
        self.task = task
        self.purpose = purpose
        self.number = number
    }
}

/// How a check went.
public enum CheckOutcome: Hashable, Sendable {
    /// The command ended with this exit code; 128 plus the number when a signal ended it.
    case command(exitCode: Int)
    /// The answer had this status code.
    case http(status: Int)
    /// The connection was made, or refused.
    case tcp(succeeded: Bool)
    /// There was no answer in time.
    case timedOut
    /// It could not be done, and why.
    case failed(String)

    /// What is wrong, or `nil` when this is success.
    var problem: String? {
        switch self {
        case .command(let exitCode):
            exitCode == 0 ? nil : "the command exited with code \(exitCode)"
        case .http(let status):
            (200...399).contains(status) ? nil : "the answer had status \(status)"
        case .tcp(let succeeded): succeeded ? nil : "the connection was refused"
        case .timedOut: "there was no answer in time"
        case .failed(let message): message
        }
    }

    /// The result as reported; without a value when there was none.
    func result(of kind: CheckKind) -> CheckResult {
        switch (kind, self) {
        case (.command, .command(let exitCode)): .command(exitCode: exitCode)
        case (.http, .http(let status)): .http(status: status)
        case (.tcp, .tcp(let succeeded)): .tcp(succeeded: succeeded)
        case (.command, _): .command(exitCode: nil)
        case (.http, _): .http(status: nil)
        case (.tcp, _): .tcp(succeeded: nil)
        }
    }
}
