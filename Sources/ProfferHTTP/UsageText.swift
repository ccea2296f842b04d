public import ProfferModel

/// What a node and its tasks use, in the Prometheus text format (version 0.0.4).
///
/// Series of tasks are written when they are asked for and kept nowhere, so there are never more
/// than live tasks.
public struct UsageText: Sendable {
    private struct Family {
        var name: String
        var kind: String
        var lines: [String] = []
    }

    private var families: [Family] = []

    /// Writes a report.
    ///
    /// - Parameters:
    ///   - usage: What the node and its tasks use; `nil` until it was measured.
    ///   - total: What the node has.
    ///   - tasks: What each live task holds.
    public init(
        usage: AgentUsage?, total: Resources, tasks: [(key: TaskKey, resources: Resources)]
    ) {
        for kind in ["cpus", "mem", "disk", "gpus"] {
            add("proffer_node_resources", "gauge", total.scalar(kind).doubleValue, ("kind", kind))
        }
        for task in tasks {
            for kind in ["cpus", "mem", "disk"] {
                add(
                    "proffer_task_allocated", "gauge", task.resources.scalar(kind).doubleValue,
                    ("framework", task.key.framework.value), ("task", task.key.task.value),
                    ("kind", kind))
            }
        }
        guard let usage else { return }
        addNode(usage)
        for task in usage.tasks { add(task) }
    }

    /// The text, each family of series in one piece.
    public var text: String {
        families.sorted { $0.name < $1.name }.map { family in
            "# TYPE \(family.name) \(family.kind)\n" + family.lines.joined()
        }.joined()
    }

    private mutating func addNode(_ usage: AgentUsage) {
        add("proffer_node_cpu_seconds_total", "counter", Self.seconds(usage.cpuTime))
        if let busy = usage.cpus { add("proffer_node_cpus_used", "gauge", busy.doubleValue) }
        add("proffer_node_cores", "gauge", Double(usage.cores))
        add("proffer_node_load", "gauge", Double(usage.loadMillis) / 1000)
        add("proffer_node_memory_used_bytes", "gauge", Double(usage.memoryUsedBytes))
        add("proffer_node_memory_bytes", "gauge", Double(usage.memoryTotalBytes))
        add("proffer_node_disk_used_bytes", "gauge", Double(usage.diskUsedBytes))
        add("proffer_node_disk_bytes", "gauge", Double(usage.diskTotalBytes))
        add("proffer_node", usage.network, usage.pressure)
    }

    private mutating func add(_ task: TaskUsage) {
        let labels = [("framework", task.key.framework.value), ("task", task.key.task.value)]
        func own(_ more: (String, String)...) -> [(String, String)] { labels + more }
        add("proffer_task_cpu_seconds_total", "counter", Self.seconds(task.cpuTime), own())
        if let busy = task.cpus {
            add("proffer_task_cpus_used", "gauge", busy.doubleValue, own())
        }
        if let time = task.throttledTime {
            add("proffer_task_throttled_seconds_total", "counter", Self.seconds(time), own())
        }
        add("proffer_task_memory_bytes", "gauge", Double(task.memoryBytes), own())
        add("proffer_task_processes", "gauge", Double(task.processes), own())
        if let bytes = task.diskBytes {
            add("proffer_task_disk_bytes", "gauge", Double(bytes), own())
        }
        add("proffer_task", task.network, task.pressure, labels)
    }

    private mutating func add(
        _ owner: String, _ network: NetworkUsage?, _ pressure: Pressure?,
        _ labels: [(String, String)] = []
    ) {
        if let network {
            let name = owner + "_network_bytes_total"
            add(name, "counter", Double(network.receivedBytes), labels + [("direction", "in")])
            add(name, "counter", Double(network.sentBytes), labels + [("direction", "out")])
        }
        let waits = [
            ("cpu", pressure?.cpu), ("memory", pressure?.memory), ("io", pressure?.io),
        ]
        for case (let kind, let time?) in waits {
            add(
                owner + "_pressure_seconds_total", "counter", Self.seconds(time),
                labels + [("resource", kind)])
        }
    }

    private mutating func add(
        _ name: String, _ kind: String, _ value: Double, _ labels: (String, String)...
    ) {
        add(name, kind, value, labels)
    }

    private mutating func add(
        _ name: String, _ kind: String, _ value: Double, _ labels: [(String, String)]
    ) {
        let names = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
        let isWhole = value == value.rounded() && abs(value) < 1e15
        let number = isWhole ? "\(Int64(value))" : "\(value)"
        let line = (names.isEmpty ? name : "\(name){\(names)}") + " \(number)\n"
        if let index = families.firstIndex(where: { $0.name == name }) {
            families[index].lines.append(line)
        } else {
            families.append(Family(name: name, kind: kind, lines: [line]))
        }
    }

    private static func seconds(_ duration: Duration) -> Double {
        let (seconds, rest) = duration.components
        return Double(seconds) + Double(rest) / 1e18
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}
