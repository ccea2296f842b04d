public import ProfferModel

/// How long processes have waited for what others used, in seconds; absent where the kernel does
/// not count it.
public struct PressureObject: Codable, Hashable, Sendable {
    /// For a processor.
    public var cpuSeconds: Double?
    /// For memory.
    public var memorySeconds: Double?
    /// For disks.
    public var ioSeconds: Double?

    /// Describes pressure.
    public init(_ pressure: Pressure) {
        cpuSeconds = pressure.cpu.map(seconds)
        memorySeconds = pressure.memory.map(seconds)
        ioSeconds = pressure.io.map(seconds)
    }
}

/// What a node and its tasks use.
public struct UsageObject: Codable, Sendable {
    /// Busy time of all cores since boot, seconds.
    public var cpuSeconds: Double
    /// Cores of the node; 0 when that is not known.
    public var cores: Int
    /// How many cores were busy since the report before; absent in the first one.
    public var cpus: Double?
    /// The one-minute load average.
    public var load: Double
    /// Memory not available to new processes.
    public var memoryUsedBytes: Int64
    /// Memory of the node.
    public var memoryTotalBytes: Int64
    /// Used on the file system of the sandboxes.
    public var diskUsedBytes: Int64
    /// Size of that file system.
    public var diskTotalBytes: Int64
    /// Came in over all interfaces but the loopback, since boot.
    public var receivedBytes: Int64?
    /// Went out over them.
    public var sentBytes: Int64?
    /// How long processes of the node have waited, since boot.
    public var pressure: PressureObject?
    /// Each live task.
    public var tasks: [TaskUsageObject]

    /// Describes the usage of an agent.
    public init(_ usage: AgentUsage) {
        cpuSeconds = seconds(usage.cpuTime)
        cores = usage.cores
        cpus = usage.cpus.map(\.doubleValue)
        load = Double(usage.loadMillis) / 1000
        memoryUsedBytes = usage.memoryUsedBytes
        memoryTotalBytes = usage.memoryTotalBytes
        diskUsedBytes = usage.diskUsedBytes
        diskTotalBytes = usage.diskTotalBytes
        receivedBytes = usage.network?.receivedBytes
        sentBytes = usage.network?.sentBytes
        pressure = usage.pressure.map(PressureObject.init)
        tasks = usage.tasks.map(TaskUsageObject.init)
    }
}

/// What one task uses.
public struct TaskUsageObject: Codable, Sendable {
    /// The task's framework.
    public var framework: String
    /// The task's id.
    public var id: String
    /// User and system time so far, seconds.
    public var cpuSeconds: Double
    /// How many cores it has used since the report before; absent in the first one.
    public var cpus: Double?
    /// How long it had to wait because of its limit of processor time, seconds.
    public var throttledSeconds: Double?
    /// What its processes hold.
    public var memoryBytes: Int64
    /// How many processes it has.
    public var processes: Int
    /// What its sandbox takes on the disk.
    public var diskBytes: Int64?
    /// Came in over its own network; absent when it uses the node's.
    public var receivedBytes: Int64?
    /// Went out over it.
    public var sentBytes: Int64?
    /// How long its processes have waited.
    public var pressure: PressureObject?

    /// Describes the usage of a task.
    public init(_ usage: TaskUsage) {
        framework = usage.key.framework.value
        id = usage.key.task.value
        cpuSeconds = seconds(usage.cpuTime)
        cpus = usage.cpus.map(\.doubleValue)
        throttledSeconds = usage.throttledTime.map(seconds)
        memoryBytes = usage.memoryBytes
        processes = usage.processes
        diskBytes = usage.diskBytes
        receivedBytes = usage.network?.receivedBytes
        sentBytes = usage.network?.sentBytes
        pressure = usage.pressure.map(PressureObject.init)
    }
}

/// What a node's tasks hold beside what is used of it.
public struct NodeUsageObject: Codable, Sendable {
    /// Always `usage`.
    public var kind = "usage"
    /// The agent's id.
    public var id: String
    /// Its host name.
    public var name: String
    /// See `AgentState`.
    public var state: String
    /// What it has, by resource; decimal text, memory and disk in MiB.
    public var total: [String: String]
    /// What tasks and executors hold of that, and of what it offers beyond.
    public var allocated: [String: String]
    /// What it offers beyond its total because it is not used.
    public var oversubscribed: [String: String]?
    /// What it uses, without its tasks; absent until it has reported.
    public var usage: UsageObject?
    /// Its live tasks.
    public var tasks: [TaskLoadObject]

    /// Describes a node.
    ///
    /// - Parameters:
    ///   - agent: The node.
    ///   - tasks: Its live tasks.
    public init(_ agent: AgentSummary, tasks: [TaskSummary]) {
        id = agent.info.id?.value ?? ""
        name = agent.info.hostname
        state = agent.state.rawValue
        total = decimals(agent.total)
        allocated = decimals(agent.allocated)
        oversubscribed = agent.oversubscribed.isEmpty ? nil : decimals(agent.oversubscribed)
        usage = agent.usage.map {
            var own = $0
            own.tasks = []
            return UsageObject(own)
        }
        let known = Dictionary(
            (agent.usage?.tasks ?? []).map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first }
        )
        self.tasks = tasks.map { TaskLoadObject($0, usage: known[$0.key]) }
    }
}

/// What a task holds beside what it uses.
public struct TaskLoadObject: Codable, Sendable {
    /// Its framework.
    public var framework: String
    /// Its id.
    public var id: String
    /// Its name.
    public var name: String
    /// Its state, such as `TASK_RUNNING`.
    public var state: String
    /// Whether it holds anything that can be taken back.
    public var isRevocable: Bool
    /// What it holds, by resource; decimal text, memory and disk in MiB.
    public var allocated: [String: String]
    /// What it uses; absent until it was measured.
    public var usage: TaskUsageObject?

    /// Describes a task.
    public init(_ task: TaskSummary, usage: TaskUsage?) {
        framework = task.key.framework.value
        id = task.key.task.value
        name = task.name
        state = task.state.name
        isRevocable = task.resources.items.contains(where: \.isRevocable)
        allocated = decimals(task.resources)
        self.usage = usage.map(TaskUsageObject.init)
    }
}
