internal import ArgumentParser
internal import Foundation
internal import ProfferAPI
internal import ProfferKernel
internal import Synchronization

/// What comes first in a list of usage.
enum UsageOrder: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// Cores in use.
    case cpu
    /// Memory in use.
    case mem
    /// Disk in use.
    case disk
    /// Names, from A to Z.
    case name
}

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show what nodes and tasks use beside what is allocated.",
        discussion: """
            On a terminal the table is renewed until Ctrl-C; elsewhere it is written once.

            Columns hold USED/ALLOCATED, those of nodes USED/ALLOCATED/TOTAL: cores, and MiB of \
            memory and disk; +N is offered beyond the total because it is not used. What a node \
            uses includes processes that are no tasks. NET is MiB in and out. WAIT is how long \
            processes have waited for a processor, memory and disks. A task marked * holds \
            revocable resources.

            EXAMPLES:
              proffer top                  renewed every two seconds
              proffer top --once --sort mem
              proffer top --json           one document for programs
            """)

    @OptionGroup
    var cluster: ClusterOptions

    @Flag(help: "Write it once, also on a terminal.")
    var once = false

    @Flag(help: "One JSON document, the same as --output json.")
    var json = false

    @Option(help: "What comes first: cpu, mem, disk or name.")
    var sort: UsageOrder = .cpu

    @Option(help: "Pause between two tables.")
    var interval = "2s"

    func validate() throws {
        guard let span = Duration(text: interval), span >= .milliseconds(100) else {
            throw ValidationError(
                "--interval '\(interval)' is no duration of 100ms or more, such as 1s, 5s, 1m")
        }
    }

    func run() async throws {
        let client = try cluster.client()
        if json || cluster.output == .json {
            let list = try await nodes(client)
            say(String(decoding: try APICoding.encode(list, pretty: true), as: UTF8.self))
            return
        }
        if once || !Terminal.output.isInteractive {
            say(UsageScreen(try await nodes(client).items, sort).text)
            return
        }
        try await watch(client)
    }

    private func nodes(_ client: Client) async throws -> ObjectList<NodeUsageObject> {
        try await client.get("/v1/usage", as: ObjectList<NodeUsageObject>.self)
    }

    private func watch(_ client: Client) async throws {
        let pause = Duration(text: interval) ?? .seconds(2)
        let (stops, source) = AsyncStream.makeStream(of: Void.self)
        let interrupts = Interrupts.install { kind in
            if kind == .stop { source.finish() }
        }
        defer { interrupts.remove() }
        // Another screen, so that what was there before is there afterwards.
        Terminal.output.write("\u{1B}[?1049h\u{1B}[?25l")
        defer { Terminal.output.write("\u{1B}[?25h\u{1B}[?1049l") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    let screen = UsageScreen(try await nodes(client).items, sort)
                    Terminal.output.write(
                        screen.frame(rows: Terminal.output.rows, Terminal.output.columns))
                    try await Task.sleep(for: pause)
                }
            }
            group.addTask { for await _ in stops {} }
            try await group.next()
            group.cancelAll()
        }
    }
}

/// A table of what nodes and their tasks use.
struct UsageScreen {
    private let nodes: [NodeUsageObject]
    private let tasks: [(node: String, task: TaskLoadObject)]

    init(_ nodes: [NodeUsageObject], _ order: UsageOrder) {
        self.nodes = nodes.sorted { left, right in
            let (one, other) = (Self.weight(left, order), Self.weight(right, order))
            return one != other ? one > other : (left.name, left.id) < (right.name, right.id)
        }
        tasks = nodes.flatMap { node in node.tasks.map { (node: node.name, task: $0) } }
            .sorted { left, right in
                let one = Self.weight(left.task, order)
                let other = Self.weight(right.task, order)
                if one != other { return one > other }
                return (left.task.id, left.task.framework) < (right.task.id, right.task.framework)
            }
    }

    private static func weight(_ node: NodeUsageObject, _ order: UsageOrder) -> Double {
        switch order {
        case .cpu: node.usage?.cpus ?? 0
        case .mem: Double(node.usage?.memoryUsedBytes ?? 0)
        case .disk: Double(node.usage?.diskUsedBytes ?? 0)
        case .name: 0
        }
    }

    private static func weight(_ task: TaskLoadObject, _ order: UsageOrder) -> Double {
        switch order {
        case .cpu: task.usage?.cpus ?? 0
        case .mem: Double(task.usage?.memoryBytes ?? 0)
        case .disk: Double(task.usage?.diskBytes ?? 0)
        case .name: 0
        }
    }

    var text: String {
        var text = nodeTable.text + "\n\n" + taskTable.text
        if tasks.isEmpty { text += "\n(no tasks)" }
        return text
    }

    /// What a terminal is sent to show it instead of what it showed before.
    func frame(rows: Int, _ columns: Int) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var shown = lines.prefix(max(1, rows - 1)).map { String($0.prefix(columns)) }
        if lines.count > shown.count {
            shown[shown.count - 1] = "… \(lines.count - shown.count + 1) more lines"
        }
        return "\u{1B}[H" + shown.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J"
    }

    private var nodeTable: Table {
        var table = Table(["NODE", "STATE", "TASKS", "CPUS", "MEM", "DISK", "LOAD", "NET", "WAIT"])
        for node in nodes {
            let usage = node.usage
            func amounts(_ name: String, _ used: String) -> String {
                let (held, all) = (node.allocated[name] ?? "0", node.total[name] ?? "0")
                let beyond = node.oversubscribed?[name + "_revocable"].map { "+\($0)" } ?? ""
                return "\(used)/\(held)/\(all)\(beyond)"
            }
            table.add([
                node.name, node.state, "\(node.tasks.count)",
                amounts("cpus", cores(usage?.cpus)),
                amounts("mem", mebibytes(usage?.memoryUsedBytes)),
                amounts("disk", mebibytes(usage?.diskUsedBytes)),
                usage.map { String(format: "%.2f", $0.load) } ?? "-",
                network(usage?.receivedBytes, usage?.sentBytes), waits(usage?.pressure),
            ])
        }
        return table
    }

    private var taskTable: Table {
        var table = Table([
            "TASK", "NODE", "CPUS", "THROTTLED", "MEM", "DISK", "PROCS", "NET", "WAIT",
        ])
        for (node, task) in tasks {
            let usage = task.usage
            func amounts(_ name: String, _ used: String) -> String {
                let held = task.allocated[name] ?? task.allocated[name + "_revocable"] ?? "0"
                return "\(used)/\(held)"
            }
            table.add([
                short(task.id, 40) + (task.isRevocable ? "*" : ""), node,
                amounts("cpus", cores(usage?.cpus)),
                usage?.throttledSeconds.map { String(format: "%.1fs", $0) } ?? "-",
                amounts("mem", mebibytes(usage?.memoryBytes)),
                amounts("disk", mebibytes(usage?.diskBytes)),
                usage.map { "\($0.processes)" } ?? "-",
                network(usage?.receivedBytes, usage?.sentBytes), waits(usage?.pressure),
            ])
        }
        return table
    }

    private func cores(_ count: Double?) -> String {
        count.map { String(format: "%.2f", $0) } ?? "-"
    }

    private func mebibytes(_ bytes: Int64?) -> String { bytes.map { "\($0 >> 20)" } ?? "-" }

    private func network(_ received: Int64?, _ sent: Int64?) -> String {
        guard let received, let sent else { return "-" }
        return "\(received >> 20)/\(sent >> 20)"
    }

    private func waits(_ pressure: PressureObject?) -> String {
        guard let pressure else { return "-" }
        return [pressure.cpuSeconds, pressure.memorySeconds, pressure.ioSeconds].map { seconds in
            seconds.map { String(format: "%.0fs", $0) } ?? "-"
        }.joined(separator: "/")
    }
}
