internal import Glibc
public import ProfferModel

/// What the processes of one session use.
public struct SessionUsage: Hashable, Sendable {
    /// User and system time of all of them and of the children they have waited for.
    public var cpuTime: Duration = .zero
    /// Their resident sizes; pages they share count for each.
    public var memoryBytes: Int64 = 0
    /// How many they are.
    public var processes: Int = 0
}

/// Measures what a node and the tasks on it use, from `/proc`.
public enum UsageProbe {
    private static let nanosecondsPerTick = 1_000_000_000 / Int64(max(1, sysconf(clockTicks)))
    private static let bytesPerPage = Int64(max(1, sysconf(pageSize)))
    private static let clockTicks = Int32(_SC_CLK_TCK)
    private static let pageSize = Int32(_SC_PAGESIZE)

    /// Measures the sessions with these leaders, in the same order.
    ///
    /// - Complexity: O(processes of the node): one pass whatever the number of sessions.
    public static func sessions(_ leaders: [Int32]) -> [SessionUsage] {
        var usages = [SessionUsage](repeating: SessionUsage(), count: leaders.count)
        if leaders.isEmpty { return usages }
        let indices = Dictionary(
            zip(leaders, leaders.indices), uniquingKeysWith: { first, _ in first })
        ProcFile.forEachProcess { pid, directory in
            guard let stat = ProcessStat(pid: pid, in: directory),
                let index = indices[stat.session]
            else { return }
            usages[index].cpuTime += duration(ticks: stat.cpuTicks)
            usages[index].memoryBytes += stat.residentPages * bytesPerPage
            usages[index].processes += 1
        }
        return usages
    }

    /// Measures the node.
    ///
    /// - Parameter path: A path on the file system of the sandboxes.
    /// - Returns: The figures without tasks; what cannot be read is zero.
    public static func node(diskAt path: String) -> AgentUsage {
        var usage = AgentUsage(cpuTime: busyTime(), loadMillis: loadMillis())
        let memory = memory()
        usage.memoryTotalBytes = memory.total
        usage.memoryUsedBytes = max(0, memory.total - memory.available)
        if let disk = disk(at: path) {
            usage.diskTotalBytes = disk.total
            usage.diskUsedBytes = disk.total - disk.free
        }
        usage.cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        usage.network = network("/proc/net/dev")
        let pressure = Pressure(
            cpu: waited("cpu"), memory: waited("memory"), io: waited("io"))
        usage.pressure = pressure.isEmpty ? nil : pressure
        return usage
    }

    /// What has gone over the network that a process sees; `nil` when it is gone.
    public static func network(of process: Int32) -> NetworkUsage? {
        network("/proc/\(process)/net/dev")
    }

    /// Whether a process has a network of its own, which is not this process's.
    public static func hasOwnNetwork(_ process: Int32) -> Bool {
        var (own, other) = (stat(), stat())
        return stat("/proc/self/ns/net", &own) == 0
            && stat("/proc/\(process)/ns/net", &other) == 0
            && (own.st_dev, own.st_ino) != (other.st_dev, other.st_ino)
    }

    /// Adds up the interfaces of a table of the kernel, without the loopback.
    ///
    /// Bridges and the ends of tasks' cables count too: what a task sends passes several of them.
    static func network(table text: String) -> NetworkUsage {
        var usage = NetworkUsage()
        for line in text.split(separator: "\n").dropFirst(2) {
            guard let colon = line.lastIndex(of: ":") else { continue }
            let name = line[..<colon].drop { $0 == " " }
            let fields = line[line.index(after: colon)...].split(separator: " ")
            guard name != "lo", fields.count >= 9, let received = Int64(fields[0]),
                let sent = Int64(fields[8])
            else { continue }
            usage.receivedBytes &+= received
            usage.sentBytes &+= sent
        }
        return usage
    }

    private static func network(_ path: String) -> NetworkUsage? {
        ProcFile.text(path, limit: 64 << 10).map { network(table: $0) }
    }

    private static func waited(_ kind: String) -> Duration? {
        ProcFile.text("/proc/pressure/\(kind)", limit: 512).flatMap(PressureText.total)
    }

    static func duration(ticks: UInt64) -> Duration {
        .nanoseconds(
            Int64(clamping: ticks).multipliedReportingOverflow(by: nanosecondsPerTick)
                .partialValue)
    }

    private static func busyTime() -> Duration {
        guard let text = ProcFile.text("/proc/stat", limit: 1024),
            let line = text.split(separator: "\n").first
        else { return .zero }
        let ticks = line.split(separator: " ").dropFirst().map { UInt64($0) ?? 0 }
        guard ticks.count >= 8 else { return .zero }
        // user nice system idle iowait irq softirq steal; guest time is part of user.
        let busy = ticks[0] &+ ticks[1] &+ ticks[2] &+ ticks[5] &+ ticks[6]
        return duration(ticks: busy)
    }

    private static func loadMillis() -> Int64 {
        guard let text = ProcFile.text("/proc/loadavg", limit: 256),
            let field = text.split(separator: " ").first
        else { return 0 }
        let parts = field.split(separator: ".")
        guard parts.count == 2, let whole = Int64(parts[0]), let hundredths = Int64(parts[1])
        else { return 0 }
        return whole * 1000 + hundredths * 10
    }

    /// Memory of the node and what is available to new processes, in bytes.
    static func memory() -> (total: Int64, available: Int64) {
        var result: (total: Int64, available: Int64) = (0, 0)
        for line in (ProcFile.text("/proc/meminfo") ?? "").split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 2, let kibibytes = Int64(fields[1]) else { continue }
            if fields[0] == "MemTotal:" { result.total = kibibytes * 1024 }
            if fields[0] == "MemAvailable:" { result.available = kibibytes * 1024 }
        }
        return result
    }

    /// Size and free space of a file system, in bytes; `nil` when it cannot be read.
    static func disk(at path: String) -> (total: Int64, free: Int64)? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let unit = Int64(status.f_frsize)
        return (Int64(clamping: status.f_blocks) * unit, Int64(clamping: status.f_bavail) * unit)
    }
}
