internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct AgentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agents", abstract: "List the agents: what they have, hold and use.")

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let list = try await cluster.client().get(
            "/v1/agents", as: ObjectList<AgentObject>.self)
        try show(
            list, cluster.output,
            header: ["ID", "HOST", "STATE", "TASKS", "TOTAL", "ALLOCATED", "LOAD", "ATTRIBUTES"]
        ) { agent in
            [
                short(agent.id, 44), agent.name, agent.state, "\(agent.tasks)",
                amounts(agent.total), amounts(agent.allocated),
                agent.usage.map { String(format: "%.2f", $0.load) } ?? "-",
                agent.attributes.keys.sorted().map { "\($0)=\(agent.attributes[$0] ?? "")" }
                    .joined(separator: ","),
            ]
        }
    }
}

struct FrameworksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frameworks", abstract: "List the frameworks and their share.")

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let list = try await cluster.client().get(
            "/v1/frameworks", as: ObjectList<FrameworkObject>.self)
        try show(
            list, cluster.output,
            header: ["ID", "NAME", "STATE", "ROLES", "TASKS", "OFFERS", "SHARE", "ALLOCATED"]
        ) { framework in
            [
                short(framework.id, 44), framework.name, framework.state,
                framework.roles.joined(separator: ","), "\(framework.tasks)",
                "\(framework.offers)", String(format: "%.1f%%", framework.share * 100),
                amounts(framework.allocated),
            ]
        }
    }
}

struct OffersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "offers", abstract: "List the offers that wait for an answer.")

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let list = try await cluster.client().get(
            "/v1/offers", as: ObjectList<OfferObject>.self)
        try show(
            list, cluster.output,
            header: ["ID", "FRAMEWORK", "ROLE", "HOST", "AGE", "RESOURCES"]
        ) { offer in
            [
                short(offer.id, 44), short(offer.framework, 44), offer.role, offer.name,
                String(format: "%.1fs", offer.age), amounts(offer.resources),
            ]
        }
    }
}

struct PsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List the tasks that run.")

    @OptionGroup var cluster: ClusterOptions

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

func isTerminal(_ state: String) -> Bool {
    switch state {
    case "TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE",
        "TASK_UNKNOWN":
        false
    default: true
    }
}

func tasks(_ client: Client, framework: String?) async throws -> ObjectList<TaskObject> {
    let query =
        framework.flatMap {
            $0.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        }.map { "?framework=\($0)" } ?? ""
    return try await client.get("/v1/tasks" + query, as: ObjectList<TaskObject>.self)
}

/// The one task that a user means by an id, a unique beginning of it, or a name.
func findTask(_ text: String, _ client: Client) async throws -> TaskObject {
    let all = try await tasks(client, framework: nil).items
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

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the cluster in ten lines.",
        discussion: "Exits with 8 when an agent is not active or a framework is disconnected.")

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let summary = try await cluster.client().get("/v1/summary", as: SummaryObject.self)
        switch cluster.output {
        case .json:
            say(String(decoding: try APICoding.encode(summary, pretty: true), as: UTF8.self))
        case .table:
            func counts(_ counted: [String: Int]) -> String {
                counted.isEmpty
                    ? "none"
                    : counted.keys.sorted().map { "\(counted[$0] ?? 0) \($0)" }
                        .joined(separator: ", ")
            }
            say("cluster     \(summary.name)  (proffer \(summary.version))")
            say("master      \(summary.hostname), since \(summary.created)")
            say("agents      \(counts(summary.agents))")
            say(
                "frameworks  \(summary.frameworksConnected) connected, "
                    + "\(summary.frameworksDisconnected) disconnected")
            say("tasks       \(counts(summary.tasks))")
            say("offers      \(summary.offers) outstanding")
            say("total       \(amounts(summary.total))")
            say("allocated   \(amounts(summary.allocated))")
            say("offered     \(amounts(summary.offered))")
        }
        let healthy = summary.agents.allSatisfy { $0.key == "active" || $0.value == 0 }
        if !healthy || summary.frameworksDisconnected > 0 {
            note("degraded: see 'proffer agents' and 'proffer frameworks'")
            throw ExitCode(CommandProblem.Code.degraded.rawValue)
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

    @OptionGroup var cluster: ClusterOptions

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    func run() async throws {
        let client = try cluster.client()
        let found = try await findTask(task, client)
        let framework = found.framework
        let id =
            found.id.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? found.id
        try await client.order(.DELETE, "/v1/tasks/\(framework)/\(id)")
        note("killing \(found.id) on \(found.hostname ?? "its agent")")
    }
}

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a task wrote.")

    @OptionGroup var cluster: ClusterOptions

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    @Flag(name: [.short, .long], help: "Go on as the task writes, until it ends.")
    var follow = false

    @Flag(name: .long, help: "Standard error instead of standard output.")
    var stderr = false

    @Option(name: .long, help: "Begin this many bytes before the end; all when absent.")
    var tail: Int64?

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
        let host = agent.attributes["http-host"] ?? agent.name
        let agentClient = Client(base: "http://\(host):\(agent.port)")
        let id = found.id.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? found.id
        let path = "/v1/sandboxes/\(found.framework)/\(id)/" + (stderr ? "stderr" : "stdout")
        var offset = tail.map { -$0 } ?? 0
        if offset < 0 {
            let (_, data) = try await agentClient.send(.GET, path + "?offset=\(offset)")
            FileHandle.standardOutput.write(data)
            offset = Int64(data.count) + (try await size(agentClient, path)) - Int64(data.count)
        }
        while true {
            let (_, data) = try await agentClient.send(.GET, path + "?offset=\(offset)")
            FileHandle.standardOutput.write(data)
            offset += Int64(data.count)
            if !data.isEmpty { continue }
            guard follow else { return }
            if isTerminal(try await findTask(found.id, client).state) { return }
            try await Task.sleep(for: .milliseconds(300))
        }
    }

    private func size(_ client: Client, _ path: String) async throws -> Int64 {
        let folder = path.split(separator: "/").dropLast().joined(separator: "/")
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let files = try await client.get("/" + folder, as: ObjectList<FileObject>.self)
        return files.items.first { $0.name == name }?.sizeBytes ?? 0
    }
}
