internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct PsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List the tasks that run.")

    @OptionGroup
    var cluster: ClusterOptions

    @Option(help: "Only the tasks of this framework (id).")
    var framework: String?

    @Flag(name: [.short, .long], help: "Also tasks that have ended.")
    var all = false

    func run() async throws {
        var list = try await tasks(cluster.client(), framework: framework)
        if !all { list.items.removeAll { isTerminal($0.state) } }
        try show(
            list, cluster.output,
            header: ["TASK", "NAME", "STATE", "HEALTH", "HOST", "PID", "RESOURCES", "MESSAGE"]
        ) { task in
            [
                task.id, task.name, task.state,
                task.healthy.map { $0 ? "ok" : "bad" } ?? "-", task.hostname ?? "-",
                task.pid.map(String.init) ?? "-", amounts(task.resources), task.message ?? "",
            ]
        }
    }
}

struct KillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill",
        abstract: "Kill one task: TERM, then KILL after its grace period.",
        discussion:
            "The framework sees the task end and may start another; to end a service or a job "
            + "for good use 'proffer stop'.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    func run() async throws {
        let client = try cluster.client()
        let found = try await findTask(task, client)
        let path = "/v1/tasks/\(percentEncoded(found.framework))/\(percentEncoded(found.id))"
        try await client.order(.delete, path)
        note("killing \(found.id) on \(found.hostname ?? "its agent")")
    }
}

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a task wrote.",
        discussion:
            "With '--output json' it is one object with the text; with '--follow' one on a line "
            + "for each piece, as it comes.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    @Flag(name: [.short, .long], help: "Go on as the task writes, until it ends.")
    var follow = false

    @Flag(name: .long, help: "Standard error instead of standard output.")
    var stderr = false

    @Option(
        name: .long,
        help: ArgumentHelp("Begin this far before the end (default: all).", valueName: "bytes"))
    var tail: Int64?

    func validate() throws {
        if let tail, tail < 0 { throw ValidationError("--tail must not be negative") }
    }

    func run() async throws {
        let client = try cluster.client()
        let found = try await findTask(task, client)
        let agents = try await client.get("/v1/agents", as: ObjectList<AgentObject>.self)
        guard let agent = agents.items.first(where: { $0.id == found.agent }) else {
            throw CommandProblem(
                .notFound, "the agent of task '\(found.id)' is not known",
                because: "the task never ran, or its agent was removed",
                try: "look at the task's message with 'proffer ps --all'")
        }
        let agentClient = Client(base: "http://\(agent.name):\(agent.port)")
        let sandbox = "/v1/sandboxes/\(percentEncoded(found.framework))/\(percentEncoded(found.id))"
        let path = sandbox + (stderr ? "/stderr" : "/stdout")
        var output = LogOutput(
            cluster.output, of: found, file: stderr ? "stderr" : "stdout", follows: follow)
        var cursor = LogCursor(tail: tail)
        var hasEnded = false
        while true {
            let answer = try await agentClient.send(.get, path + "?offset=\(cursor.offset)")
            let start = answer.number("X-File-Offset")
            guard output.take(answer.body, at: start ?? max(0, cursor.offset)) else { return }
            let isAtEnd = cursor.advance(
                count: answer.body.count, start: start, size: answer.number("X-File-Size"))
            if !isAtEnd { continue }
            // One more look after the end: the last words come between a look and the news of it.
            if !follow || hasEnded { break }
            hasEnded = isTerminal(try await state(of: found, client))
            if !hasEnded { try await Task.sleep(for: .milliseconds(250)) }
        }
        output.finish()
    }

    private func state(of task: TaskObject, _ client: Client) async throws -> String {
        let all = try await tasks(client, framework: task.framework).items
        return all.first { $0.id == task.id }?.state ?? "TASK_GONE"
    }
}

/// Where to go on reading a file that grows and may be rotated.
struct LogCursor {
    /// What to ask for next; negative counts from the end.
    private(set) var offset: Int64

    /// From the beginning, or from `tail` bytes before the end.
    init(tail: Int64?) {
        // "Nothing before the end" has no sign; the server takes too large a number for the end.
        offset = tail.map { $0 == 0 ? .max : -$0 } ?? 0
    }

    /// Takes note of an answer.
    ///
    /// - Returns: Whether nothing more is there now.
    mutating func advance(count: Int, start: Int64?, size: Int64?) -> Bool {
        let start = start ?? max(0, offset)
        let size = size ?? start + Int64(count)
        // A file that became shorter than what was read of it is a new one.
        guard size >= offset || offset == .max else {
            offset = 0
            return false
        }
        offset = start + Int64(count)
        return count == 0 || offset >= size
    }
}

func isTerminal(_ state: String) -> Bool {
    switch state {
    case "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE",
        "TASK_UNKNOWN":
        false
    default: true
    }
}

func tasks(_ client: Client, framework: String?) async throws -> ObjectList<TaskObject> {
    let query = framework.map { "?framework=\(percentEncoded($0))" } ?? ""
    return try await client.get("/v1/tasks" + query, as: ObjectList<TaskObject>.self)
}

/// The one task that a user means by an id, a unique beginning of it, or a name.
func findTask(_ text: String, _ client: Client) async throws -> TaskObject {
    try select(text, from: try await tasks(client, framework: nil).items)
}

/// - Throws: ``CommandProblem`` when no task or more than one is meant.
func select(_ text: String, from all: [TaskObject]) throws -> TaskObject {
    if let exact = all.first(where: { $0.id == text }) { return exact }
    let near = all.filter { $0.id.hasPrefix(text) || $0.name == text }
    let live = near.filter { !isTerminal($0.state) }
    let candidates = live.isEmpty ? near : live
    if candidates.count == 1, let only = candidates.first { return only }
    if candidates.isEmpty {
        throw CommandProblem(
            .notFound, "there is no task '\(text)'",
            because: "no task has this id, begins with it or is called so",
            try: "list the tasks with 'proffer ps --all'")
    }
    throw CommandProblem(
        .failed, "'\(text)' can mean \(candidates.count) tasks",
        because: candidates.prefix(5).map(\.id).joined(separator: ", "),
        try: "give more of the id")
}
