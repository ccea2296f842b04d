public import ProfferKernel
internal import ProfferModel

/// What a node may be pressed to before revocable tasks have to go.
public struct PressureLimits: Hashable, Sendable {
    /// The most of all cores that may be busy, in percent; above 100 is never reached.
    public var cpuPercent: Int64
    /// The most of the memory that may be in use, in percent.
    public var memoryPercent: Int64
    /// The most of the time for which some process may wait for memory, in percent; without a
    /// count of the kernel it is never reached.
    public var stallPercent: Int64

    /// Sets every field; what is left out has the default shown.
    public init(cpuPercent: Int64 = 90, memoryPercent: Int64 = 90, stallPercent: Int64 = 10) {
        self.cpuPercent = cpuPercent
        self.memoryPercent = memoryPercent
        self.stallPercent = stallPercent
    }
}

/// Compares one measurement with the one before it.
struct PressureGauge: Sendable {
    /// What there is too much of.
    enum Excess: Hashable, Sendable {
        case cpu(percent: Int64, limit: Int64)
        case memory(percent: Int64, limit: Int64)
        case stall(percent: Int64, limit: Int64)

        /// For the framework of whoever has to go.
        var text: String {
            switch self {
            case .cpu(let percent, let limit):
                "\(percent) % of the processors are busy, above \(limit) %"
            case .memory(let percent, let limit):
                "\(percent) % of the memory is in use, above \(limit) %"
            case .stall(let percent, let limit):
                "processes wait for memory for \(percent) % of the time, above \(limit) %"
            }
        }

        var isOfMemory: Bool {
            switch self {
            case .cpu: false
            case .memory, .stall: true
            }
        }
    }

    private let limits: PressureLimits
    private var waited: Duration?
    private var at = Instant.zero

    init(_ limits: PressureLimits) { self.limits = limits }

    /// What is beyond its limit, the worst first; `nil` when nothing is.
    mutating func excess(_ usage: AgentUsage, at now: Instant) -> Excess? {
        let before = waited
        let span = now - at
        waited = usage.pressure?.memory
        at = now
        if usage.memoryTotalBytes > 0 {
            let percent = usage.memoryUsedBytes / max(1, usage.memoryTotalBytes / 100)
            if percent > limits.memoryPercent {
                return .memory(percent: min(100, percent), limit: limits.memoryPercent)
            }
        }
        if let before, let waited, span > .zero, waited >= before {
            let percent = (waited - before).inNanoseconds / max(1, span.inNanoseconds / 100)
            if percent > limits.stallPercent {
                return .stall(percent: min(100, percent), limit: limits.stallPercent)
            }
        }
        if let busy = usage.cpus, usage.cores > 0 {
            let percent = busy.thousandths / (Int64(usage.cores) * 10)
            if percent > limits.cpuPercent {
                return .cpu(percent: min(100, percent), limit: limits.cpuPercent)
            }
        }
        return nil
    }
}

/// Kills revocable tasks, one after each measurement, while a node is beyond its limits.
///
/// From the first measurement beyond a limit on nothing more is offered; tasks go when so many in a
/// row are. Who goes is the revocable task that uses the most of what is short; of equal ones the
/// youngest.
public struct PressureController: QoSController {
    private let patience: Int
    private var gauge: PressureGauge
    private var strikes = 0

    /// Makes a controller.
    ///
    /// - Parameters:
    ///   - limits: What the node may be pressed to.
    ///   - patience: So many measurements in a row have to be beyond; at least 1.
    public init(_ limits: PressureLimits = PressureLimits(), patience: Int = 3) {
        gauge = PressureGauge(limits)
        self.patience = max(1, patience)
    }

    /// What has to be done now: nothing while the node is within its limits.
    ///
    /// - Complexity: O(tasks).
    public mutating func corrections(_ node: NodeUsage, at now: Instant) -> [QoSCorrection] {
        guard let excess = gauge.excess(node.usage, at: now) else {
            strikes = 0
            return []
        }
        strikes += 1
        guard strikes >= patience else { return [.withhold] }
        var victim: (task: NodeUsage.Task, use: Int64)?
        for task in node.tasks where task.isRevocable {
            let use =
                excess.isOfMemory
                ? task.usage?.memoryBytes ?? 0 : task.usage?.cpus?.thousandths ?? 0
            if use >= victim?.use ?? 0 { victim = (task, use) }
        }
        guard let victim else { return [.withhold] }
        return [.kill(victim.task.key, reason: excess.text)]
    }
}
