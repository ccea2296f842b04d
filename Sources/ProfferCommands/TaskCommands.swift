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
