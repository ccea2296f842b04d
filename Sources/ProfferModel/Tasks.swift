public import ProfferKernel

/// How to find out about a task from outside.
public enum CheckKind: Hashable, Sendable {
    /// Runs a command in the task's sandbox; exit code 0 is success.
    case command(CommandInfo)
    /// Asks `http(s)://127.0.0.1:port/path`; status 200 to 399 is success.
    case http(scheme: String, port: Int, path: String)
    /// Connects to `127.0.0.1:port`.
    case tcp(port: Int)
}

/// Decides whether a running task is healthy and kills it when it is not.
public struct HealthCheck: Hashable, Sendable {
    /// What is asked.
    public var kind: CheckKind
    /// From the start of the task to the first check.
    public var delay: Duration
    /// From the end of one check to the next.
    public var interval: Duration
    /// How long a check may take; more is a failure.
    public var timeout: Duration
    /// From the start of the task, failures do not count until the first success.
    public var gracePeriod: Duration
    /// So many in a row kill the task.
    public var consecutiveFailures: Int

    /// Sets every field; what is left out has the default shown.
    public init(
        kind: CheckKind,
        delay: Duration = .seconds(15),
        interval: Duration = .seconds(10),
        timeout: Duration = .seconds(20),
        gracePeriod: Duration = .seconds(10),
        consecutiveFailures: Int = 3
    ) {
        self.kind = kind
        self.delay = delay
        self.interval = interval
        self.timeout = timeout
        self.gracePeriod = gracePeriod
        self.consecutiveFailures = consecutiveFailures
    }
}

/// Watches something about a task and reports each change, without judging.
public struct CheckInfo: Hashable, Sendable {
    /// What is asked.
    public var kind: CheckKind
    /// From the start of the task to the first check.
    public var delay: Duration
    /// From the end of one check to the next.
    public var interval: Duration
    /// How long a check may take.
    public var timeout: Duration

    /// Sets every field; what is left out has the default shown.
    public init(
        kind: CheckKind,
        delay: Duration = .seconds(15),
        interval: Duration = .seconds(10),
        timeout: Duration = .seconds(20)
    ) {
        self.kind = kind
        self.delay = delay
        self.interval = interval
        self.timeout = timeout
    }
}

/// The last result of a ``CheckInfo``; `nil` payloads mean that the check could not be done.
public enum CheckResult: Hashable, Sendable {
    /// The exit code of the command.
    case command(exitCode: Int?)
    /// The status code of the answer.
    case http(status: Int?)
    /// Whether the connection was made.
    case tcp(succeeded: Bool?)
}

/// How a task is killed.
public struct KillPolicy: Hashable, Sendable {
    /// From TERM to KILL; `nil` is 3 seconds.
    public var gracePeriod: Duration?

    /// Sets every field; what is left out has the default shown.
    public init(
        gracePeriod: Duration? = nil
    ) {
        self.gracePeriod = gracePeriod
    }
}

/// A port by which others find a task.
public struct DiscoveryPort: Hashable, Sendable {
    /// The port.
    public var number: Int
    /// Its name.
    public var name: String?
    /// `tcp` (default) or `udp`.
    public var protocolName: String?
    /// Free text.
    public var labels: [Label]

    /// Sets every field; what is left out has the default shown.
    public init(
        number: Int,
        name: String? = nil,
        protocolName: String? = nil,
        labels: [Label] = []
    ) {
        self.number = number
        self.name = name
        self.protocolName = protocolName
        self.labels = labels
    }
}

/// How others find a task.
public struct DiscoveryInfo: Hashable, Sendable {
    /// Who may find it.
    public var visibility: Visibility
    /// The name to find it by.
    public var name: String?
    /// For people.
    public var environment: String?
    /// For people.
    public var location: String?
    /// For people.
    public var version: String?
    /// Where it listens.
    public var ports: [DiscoveryPort]
    /// Free text.
    public var labels: [Label]

    /// Sets every field; what is left out has the default shown.
    public init(
        visibility: Visibility = .framework,
        name: String? = nil,
        environment: String? = nil,
        location: String? = nil,
        version: String? = nil,
        ports: [DiscoveryPort] = [],
        labels: [Label] = []
    ) {
        self.visibility = visibility
        self.name = name
        self.environment = environment
        self.location = location
        self.version = version
        self.ports = ports
        self.labels = labels
    }

    /// Who may find it.
    public enum Visibility: Hashable, Sendable {
        /// Its own framework.
        case framework
        /// Everybody in the cluster.
        case cluster
        /// Everybody.
        case external
    }
}

/// A program that runs tasks for a framework on an agent.
public struct ExecutorInfo: Hashable, Sendable {
    /// Unique per framework and agent.
    public var id: ExecutorID
    /// Who provides the program.
    public var kind: Kind
    /// The framework; filled in by the master.
    public var frameworkID: FrameworkID?
    /// The program, for a custom executor.
    public var command: CommandInfo?
    /// Its container.
    public var container: ContainerInfo?
    /// What the program itself needs.
    public var resources: Resources
    /// For people.
    public var name: String?
    /// Passed to the executor untouched.
    public var data: [UInt8]
    /// How others find it.
    public var discovery: DiscoveryInfo?
    /// From SHUTDOWN to KILL; `nil` is 5 seconds.
    public var shutdownGracePeriod: Duration?
    /// Free text.
    public var labels: [Label]

    /// Sets every field; what is left out has the default shown.
    public init(
        id: ExecutorID,
        kind: Kind = .custom,
        frameworkID: FrameworkID? = nil,
        command: CommandInfo? = nil,
        container: ContainerInfo? = nil,
        resources: Resources = Resources(),
        name: String? = nil,
        data: [UInt8] = [],
        discovery: DiscoveryInfo? = nil,
        shutdownGracePeriod: Duration? = nil,
        labels: [Label] = []
    ) {
        self.id = id
        self.kind = kind
        self.frameworkID = frameworkID
        self.command = command
        self.container = container
        self.resources = resources
        self.name = name
        self.data = data
        self.discovery = discovery
        self.shutdownGracePeriod = shutdownGracePeriod
        self.labels = labels
    }

    /// Who provides the program.
    public enum Kind: Hashable, Sendable {
        /// The agent: its own executor.
        case `default`
        /// The framework, as a command.
        case custom
    }
}

/// A task as its framework describes it.
public struct TaskInfo: Hashable, Sendable {
    /// For people.
    public var name: String
    /// Unique among the framework's live and unreachable tasks.
    public var id: TaskID
    /// Must be the agent of the offer.
    public var agentID: AgentID
    /// What it takes from the offer.
    public var resources: Resources
    /// Who runs it; exactly one of this and `command`.
    public var executor: ExecutorInfo? {
        get { executorBox?.value }
        set { executorBox = newValue.map(Box.init) }
    }
    /// What to run, by the agent's own executor.
    public var command: CommandInfo?
    /// Its container.
    public var container: ContainerInfo? {
        get { containerBox?.value }
        set { containerBox = newValue.map(Box.init) }
    }
    /// When it is healthy.
    public var healthCheck: HealthCheck? {
        get { healthCheckBox?.value }
        set { healthCheckBox = newValue.map(Box.init) }
    }
    /// What else to watch.
    public var check: CheckInfo? {
        get { checkBox?.value }
        set { checkBox = newValue.map(Box.init) }
    }
    /// How it is killed.
    public var killPolicy: KillPolicy? {
        get { killPolicyBox?.value }
        set { killPolicyBox = newValue.map(Box.init) }
    }
    /// Passed to the executor untouched.
    public var data: [UInt8]
    /// Free text.
    public var labels: [Label]
    /// How others find it.
    public var discovery: DiscoveryInfo? {
        get { discoveryBox?.value }
        set { discoveryBox = newValue.map(Box.init) }
    }
    /// How long it may run; then it is killed and has failed.
    public var maxCompletionTime: Duration?
    /// Upper bounds above what it takes.
    public var limits: [ResourceLimit]
    /// A task of lower priority may be killed for a demand of a higher one; `nil` is the priority
    /// of its framework.
    public var priority: Int?
    /// How long it may take until it runs, files and image included; `nil` is the agent's limit.
    ///
    /// A task that does not run by then is killed and has failed.
    public var launchTimeout: Duration?
    // Large and seldom there.
    private var executorBox: Box<ExecutorInfo>?
    private var containerBox: Box<ContainerInfo>?
    private var healthCheckBox: Box<HealthCheck>?
    private var checkBox: Box<CheckInfo>?
    private var killPolicyBox: Box<KillPolicy>?
    private var discoveryBox: Box<DiscoveryInfo>?

    /// Sets every field; what is left out has the default shown.
    public init(
        name: String,
        id: TaskID,
        agentID: AgentID,
        resources: Resources = Resources(),
        executor: ExecutorInfo? = nil,
        command: CommandInfo? = nil,
        container: ContainerInfo? = nil,
        healthCheck: HealthCheck? = nil,
        check: CheckInfo? = nil,
        killPolicy: KillPolicy? = nil,
        data: [UInt8] = [],
        labels: [Label] = [],
        discovery: DiscoveryInfo? = nil,
        maxCompletionTime: Duration? = nil,
        limits: [ResourceLimit] = [],
        priority: Int? = nil,
        launchTimeout: Duration? = nil
    ) {
        self.name = name
        self.id = id
        self.agentID = agentID
        self.resources = resources
        self.command = command
        self.data = data
        self.labels = labels
        self.maxCompletionTime = maxCompletionTime
        self.limits = limits
        self.priority = priority
        self.launchTimeout = launchTimeout
        self.executor = executor
        self.container = container
        self.healthCheck = healthCheck
        self.check = check
        self.killPolicy = killPolicy
        self.discovery = discovery
    }
}

/// An upper bound on what a task may use of one resource.
public struct ResourceLimit: Hashable, Sendable {
    /// `cpus` or `mem`.
    public var name: String
    /// The bound; `nil` is none.
    public var amount: Milli?

    /// Sets every field; what is left out has the default shown.
    public init(
        name: String,
        amount: Milli? = nil
    ) {
        self.name = name
        self.amount = amount
    }
}

/// What an update says about one task.
public struct TaskStatus: Hashable, Sendable {
    /// The task.
    public var taskID: TaskID
    /// Its state.
    public var state: TaskState
    /// For people.
    public var message: String?
    /// Who made the update.
    public var source: StatusSource?
    /// Why, for programs.
    public var reason: StatusReason?
    /// From the executor, untouched.
    public var data: [UInt8]?
    /// Where it runs or ran.
    public var agentID: AgentID?
    /// Who runs or ran it.
    public var executorID: ExecutorID?
    /// When the state was entered.
    public var timestamp: WallTime?
    /// Names the update; an update without one must not be acknowledged.
    public var uuid: UpdateID?
    /// The health check's last word.
    public var healthy: Bool?
    /// The check's last result.
    public var checkResult: CheckResult? {
        get { checkResultBox?.value }
        set { checkResultBox = newValue.map(Box.init) }
    }
    /// From the executor.
    public var labels: [Label]
    /// The container's state.
    public var containerStatus: ContainerStatus? {
        get { containerStatusBox?.value }
        set { containerStatusBox = newValue.map(Box.init) }
    }
    /// Since when the agent does not answer.
    public var unreachableTime: WallTime?
    /// How the process ended.
    public var exit: TaskExit? {
        get { exitBox?.value }
        set { exitBox = newValue.map(Box.init) }
    }
    // Large and seldom there.
    private var checkResultBox: Box<CheckResult>?
    private var containerStatusBox: Box<ContainerStatus>?
    private var exitBox: Box<TaskExit>?

    /// Sets every field; what is left out has the default shown.
    public init(
        taskID: TaskID,
        state: TaskState,
        message: String? = nil,
        source: StatusSource? = nil,
        reason: StatusReason? = nil,
        data: [UInt8]? = nil,
        agentID: AgentID? = nil,
        executorID: ExecutorID? = nil,
        timestamp: WallTime? = nil,
        uuid: UpdateID? = nil,
        healthy: Bool? = nil,
        checkResult: CheckResult? = nil,
        labels: [Label] = [],
        containerStatus: ContainerStatus? = nil,
        unreachableTime: WallTime? = nil,
        exit: TaskExit? = nil
    ) {
        self.taskID = taskID
        self.state = state
        self.message = message
        self.source = source
        self.reason = reason
        self.data = data
        self.agentID = agentID
        self.executorID = executorID
        self.timestamp = timestamp
        self.uuid = uuid
        self.healthy = healthy
        self.labels = labels
        self.unreachableTime = unreachableTime
        self.checkResult = checkResult
        self.containerStatus = containerStatus
        self.exit = exit
    }
}

/// What is known of a task's container.
public struct ContainerStatus: Hashable, Sendable {
    /// The run.
    public var containerID: ContainerID?
    /// Its IP addresses.
    public var addresses: [String]
    /// The first process of the task.
    public var pid: Int?

    /// Sets every field; what is left out has the default shown.
    public init(
        containerID: ContainerID? = nil,
        addresses: [String] = [],
        pid: Int? = nil
    ) {
        self.containerID = containerID
        self.addresses = addresses
        self.pid = pid
    }
}

/// How a process ended and what it had used.
public struct TaskExit: Hashable, Sendable {
    /// The exit code, when it exited.
    public var code: Int?
    /// The signal, when it was killed by one.
    public var signal: Int?
    /// Whether it left a core.
    public var isCoreDumped: Bool
    /// User and system time of all its processes.
    public var cpuTime: Duration?
    /// The largest resident size; with a cgroup, the most that all processes held together.
    public var peakMemoryBytes: Int64?
    /// From its start to its end.
    public var wallTime: Duration?
    /// What its memory was limited to; `nil` when it was not.
    public var memoryLimitBytes: Int64?
    /// Whether the kernel killed any of its processes because the limit was reached.
    public var isOutOfMemory: Bool

    /// Sets every field; what is left out has the default shown.
    public init(
        code: Int? = nil,
        signal: Int? = nil,
        isCoreDumped: Bool = false,
        cpuTime: Duration? = nil,
        peakMemoryBytes: Int64? = nil,
        wallTime: Duration? = nil,
        memoryLimitBytes: Int64? = nil,
        isOutOfMemory: Bool = false
    ) {
        self.code = code
        self.signal = signal
        self.isCoreDumped = isCoreDumped
        self.cpuTime = cpuTime
        self.peakMemoryBytes = peakMemoryBytes
        self.wallTime = wallTime
        self.memoryLimitBytes = memoryLimitBytes
        self.isOutOfMemory = isOutOfMemory
    }
}
