internal import ProfferKernel

/// How long processes have waited for what others used, in total since a node's or task's start.
///
/// The kernel counts a moment when at least one process waits; `nil` where it does not count.
public struct Pressure: Hashable, Sendable {
    /// Waited for a processor.
    public var cpu: Duration?
    /// Waited for memory.
    public var memory: Duration?
    /// Waited for disks.
    public var io: Duration?

    /// Sets every field; what is left out has the default shown.
    public init(cpu: Duration? = nil, memory: Duration? = nil, io: Duration? = nil) {
        self.cpu = cpu
        self.memory = memory
        self.io = io
    }

    /// Whether nothing of it is counted.
    public var isEmpty: Bool { cpu == nil && memory == nil && io == nil }
}

/// Bytes over the network so far.
public struct NetworkUsage: Hashable, Sendable {
    /// Came in.
    public var receivedBytes: Int64
    /// Went out.
    public var sentBytes: Int64

    /// Sets every field; what is left out has the default shown.
    public init(receivedBytes: Int64 = 0, sentBytes: Int64 = 0) {
        self.receivedBytes = receivedBytes
        self.sentBytes = sentBytes
    }
}

/// What one task uses.
public struct TaskUsage: Hashable, Sendable {
    /// The task.
    public var key: TaskKey
    /// User and system time so far, of all its processes.
    public var cpuTime: Duration
    /// What its processes hold: with a cgroup what the kernel counts for it, files it caches
    /// included; without one their resident sizes.
    public var memoryBytes: Int64
    /// How many processes it has.
    public var processes: Int
    /// How many cores it has used, on average, since the report before; `nil` in the first one.
    public var cpus: Milli?
    /// How long it had to wait because of its limit of processor time; `nil` without a cgroup.
    public var throttledTime: Duration?
    /// What its sandbox takes on the disk; `nil` until it was measured.
    public var diskBytes: Int64?
    /// Bytes through its own network; `nil` when it uses the node's.
    public var network: NetworkUsage?
    /// How long its processes have waited; `nil` where the kernel does not count it for a task.
    public var pressure: Pressure?

    /// Sets every field; what is left out has the default shown.
    public init(
        key: TaskKey,
        cpuTime: Duration = .zero,
        memoryBytes: Int64 = 0,
        processes: Int = 0,
        cpus: Milli? = nil,
        throttledTime: Duration? = nil,
        diskBytes: Int64? = nil,
        network: NetworkUsage? = nil,
        pressure: Pressure? = nil
    ) {
        self.key = key
        self.cpuTime = cpuTime
        self.memoryBytes = memoryBytes
        self.processes = processes
        self.cpus = cpus
        self.throttledTime = throttledTime
        self.diskBytes = diskBytes
        self.network = network
        self.pressure = pressure
    }
}

/// What one agent uses.
public struct AgentUsage: Hashable, Sendable {
    /// Busy time of all cores since boot.
    public var cpuTime: Duration
    /// The one-minute load average, in thousandths.
    public var loadMillis: Int64
    /// Memory not available to new processes.
    public var memoryUsedBytes: Int64
    /// Memory of the node.
    public var memoryTotalBytes: Int64
    /// Used on the file system of the sandboxes.
    public var diskUsedBytes: Int64
    /// Size of that file system.
    public var diskTotalBytes: Int64
    /// Cores of the node; 0 when that is not known.
    public var cores: Int
    /// How many cores were busy, on average, since the report before; `nil` in the first one.
    public var cpus: Milli?
    /// Bytes over all network interfaces but the loopback; `nil` when that is not known.
    public var network: NetworkUsage?
    /// How long processes of the node have waited; `nil` where the kernel does not count it.
    public var pressure: Pressure?
    /// Each live task.
    public var tasks: [TaskUsage]

    /// Sets every field; what is left out has the default shown.
    public init(
        cpuTime: Duration = .zero,
        loadMillis: Int64 = 0,
        memoryUsedBytes: Int64 = 0,
        memoryTotalBytes: Int64 = 0,
        diskUsedBytes: Int64 = 0,
        diskTotalBytes: Int64 = 0,
        cores: Int = 0,
        cpus: Milli? = nil,
        network: NetworkUsage? = nil,
        pressure: Pressure? = nil,
        tasks: [TaskUsage] = []
    ) {
        self.cpuTime = cpuTime
        self.loadMillis = loadMillis
        self.memoryUsedBytes = memoryUsedBytes
        self.memoryTotalBytes = memoryTotalBytes
        self.diskUsedBytes = diskUsedBytes
        self.diskTotalBytes = diskTotalBytes
        self.cores = cores
        self.cpus = cpus
        self.network = network
        self.pressure = pressure
        self.tasks = tasks
    }
}

extension AgentUsage {
    /// The same as amounts of resources: `cpus`, and `mem` and `disk` in MiB, rounded down.
    public var amounts: Resources {
        Resources(
            cpus: cpus ?? .zero, mem: Milli(Int(memoryUsedBytes >> 20)),
            disk: Milli(Int(diskUsedBytes >> 20)))
    }
}

extension Milli {
    /// Cores in use, on average, when processor time went up by so much over a span.
    ///
    /// - Returns: `nil` for a span below a microsecond, or time that went back.
    public init?(cores time: Duration, over span: Duration) {
        let used = time.inNanoseconds / 1000
        let passed = span.inNanoseconds / 1000
        guard used >= 0, passed > 0 else { return nil }
        let (scaled, isTooLarge) = used.multipliedReportingOverflow(by: 1000)
        guard !isTooLarge else { return nil }
        self.init(thousandths: scaled / passed)
    }
}
