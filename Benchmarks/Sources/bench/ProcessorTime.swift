import Foundation

/// Processor time by kind of process, user and system together, in seconds.
///
/// Each kind includes the threads of ZeroMQ and of the store that live in its processes.
struct ProcessorTime {
    var framework = 0.0
    var master = 0.0
    var agents = 0.0
    var executors = 0.0
    /// Of the processes that executors have started and reaped.
    var tasks = 0.0

    var sum: Double { framework + master + agents + executors + tasks }

    static func - (left: ProcessorTime, right: ProcessorTime) -> ProcessorTime {
        ProcessorTime(
            framework: left.framework - right.framework, master: left.master - right.master,
            agents: left.agents - right.agents, executors: left.executors - right.executors,
            tasks: left.tasks - right.tasks)
    }

    static func / (left: ProcessorTime, count: Double) -> ProcessorTime {
        ProcessorTime(
            framework: left.framework / count, master: left.master / count,
            agents: left.agents / count, executors: left.executors / count,
            tasks: left.tasks / count)
    }

    /// What a process has used, and its children that it has waited for.
    static func of(_ pid: Int32) -> (own: Double, children: Double) {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        // The name in brackets may hold anything; behind it comes field 3 of proc(5).
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 14 else { return (0, 0) }
        let tick = 1 / Double(sysconf(Int32(_SC_CLK_TCK)))
        let ticks = fields[11...14].map { Double($0) ?? 0 }
        return ((ticks[0] + ticks[1]) * tick, (ticks[2] + ticks[3]) * tick)
    }
}
