import Foundation

/// Processor time by kind of process, user and system together, in seconds.
///
/// Each kind includes the threads of ZeroMQ and of the store that live in its processes.
package struct ProcessorTime {
    package var framework = 0.0
    package var master = 0.0
    package var agents = 0.0
    package var executors = 0.0
    /// Of the processes that executors have started and reaped.
    package var tasks = 0.0

    package init() {}

    package var sum: Double { framework + master + agents + executors + tasks }

    package static func - (left: ProcessorTime, right: ProcessorTime) -> ProcessorTime {
        var result = left
        for part in parts { result[keyPath: part] -= right[keyPath: part] }
        return result
    }

    package static func / (left: ProcessorTime, count: Double) -> ProcessorTime {
        var result = left
        for part in parts { result[keyPath: part] /= count }
        return result
    }

    private static var parts: [WritableKeyPath<ProcessorTime, Double>] {
        [\.framework, \.master, \.agents, \.executors, \.tasks]
    }

    /// What a process has used, and its children that it has waited for.
    package static func of(_ pid: Int32) -> (own: Double, children: Double) {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        // The name in brackets may hold anything; behind it comes field 3 of proc(5).
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 14 else { return (0, 0) }
        let tick = 1 / Double(sysconf(Int32(_SC_CLK_TCK)))
        let ticks = fields[11...14].map { Double($0) ?? 0 }
        return ((ticks[0] + ticks[1]) * tick, (ticks[2] + ticks[3]) * tick)
    }
}
