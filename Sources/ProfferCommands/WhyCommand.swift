internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Explain why something waits: which agents each check leaves over.",
        discussion: """
            EXAMPLES:
              proffer why task web                       a service or job that waits
              proffer why framework services             all that a framework waits for
              proffer why demand /web --framework services
              proffer why shape --role web --cpus 2 --mem 512
            """,
        subcommands: [
            WhyTaskCommand.self, WhyFrameworkCommand.self, WhyDemandCommand.self,
            WhyShapeCommand.self,
        ])
}

struct WhyTaskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task", abstract: "Explain why a service or a job waits.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The service, job or task.")
    var name: String

    func run() async throws {
        let context = try cluster.load()
        let asking = Asking(Client(context))
        let target = try await Target(name, context)
        var found: [Waiting] = []
        for framework in try await asking.frameworks() {
            let demands: [DemandObject]
            do {
                demands = try await asking.demands(of: framework)
            } catch let problem as CommandProblem where problem.code == .notFound {
                // One that ended since then waits for nothing.
                continue
            }
            found += demands.filter { target.demands.contains($0.id) }
                .map { Waiting(demand: $0, framework: framework) }
        }
        guard !found.isEmpty else { throw try await problem(target, asking.client) }
        try await asking.show(found, cluster.output) { target.title ?? $0.title }
    }

    private func problem(_ target: Target, _ client: Client) async throws -> CommandProblem {
        if let task = try? await findTask(name, client), !isTerminal(task.state) {
            return CommandProblem(
                .notFound, "'\(name)' does not wait",
                because: "its task \(task.id) is \(task.state) on \(task.hostname ?? "an agent")",
                try: "look at 'proffer ps'")
        }
        return CommandProblem(
            .notFound, "nothing waits as '\(name)'",
            because: target.title == nil
                ? "no framework states a demand of this name"
                : "\(target.title ?? name) has all it wants, or has not asked for more yet",
            try: "ask with 'proffer why framework' or 'proffer why shape'")
    }

    /// What a name stands for with the schedulers of the cluster.
    private struct Target {
        /// The ids of its demands.
        var demands: Set<String>
        /// For the first line; `nil` when no scheduler knows the name.
        var title: String?

        init(_ name: String, _ context: ClusterContext) async throws {
            demands = [name, "/" + name]
            if let services = context.services,
                let state = try? await Services(base: services).state(name)
            {
                demands.insert(state.id)
                title =
                    "service \(state.id.drop { $0 == "/" }) "
                    + "(\(state.tasksRunning ?? 0) of \(state.instances) running)"
            }
            if title == nil, let batch = context.batch,
                let job = try? await Batches(base: batch).state(name)
            {
                demands.formUnion((job.tasks ?? []).compactMap(\.demand))
                title = "job \(job.id) (\(job.state.lowercased()))"
            }
        }
    }
}

struct WhyFrameworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "framework", abstract: "Explain all that a framework waits for.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The framework: its id, a unique beginning of it, or its name.")
    var framework: String

    func run() async throws {
        let asking = Asking(try cluster.client())
        let found = try await asking.framework(framework)
        let demands = try await asking.demands(of: found)
        try await asking.show(
            demands.map { Waiting(demand: $0, framework: found) }, cluster.output, \.title)
    }
}

struct WhyDemandCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demand", abstract: "Explain why one demand of a framework waits.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The framework's name for the demand.")
    var id: String

    @Option(help: "The framework: its id, a unique beginning of it, or its name.")
    var framework: String

    func run() async throws {
        let asking = Asking(try cluster.client())
        let found = try await asking.framework(framework)
        let demands = try await asking.demands(of: found)
        guard let demand = demands.first(where: { $0.id == id }) else {
            let names = demands.prefix(5).map { "'\($0.id)'" }.joined(separator: ", ")
            throw CommandProblem(
                .notFound, "framework \(found.name) has no demand '\(id)'",
                because: demands.isEmpty
                    ? "it states none" : "it states \(names)\(demands.count > 5 ? ", ..." : "")",
                try: "list them with 'proffer why framework \(found.name)'")
        }
        try await asking.show(
            [Waiting(demand: demand, framework: found)], cluster.output, \.title)
    }
}

struct WhyShapeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shape",
        abstract: "Explain what a task of some size would find, without starting it.")

    @OptionGroup
    var cluster: ClusterOptions

    @Option(help: "The role.")
    var role = "*"

    @Option(help: "Ask for this framework: its id, a unique beginning of it, or its name.")
    var framework: String?

    @Option(help: "Cores of one instance.")
    var cpus: Double?

    @Option(help: "Memory of one instance, mebibytes.")
    var mem: Double?

    @Option(help: "Disk of one instance, mebibytes.")
    var disk: Double?

    @Option(help: "GPUs of one instance.")
    var gpus: Double?

    @Option(help: "Ports of one instance.")
    var ports = 0

    @Option(help: "How many instances.")
    var count = 1

    @Option(help: "How many instances have to be there at once.")
    var gang = 1

    @Option(help: "The priority.")
    var priority = 0

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A constraint; can be given more than once, then all have to hold.",
            discussion: "The field is an attribute, hostname, @region or @zone; the rule is "
                + "exists, not_exists, equals, not_equals, matches or not_matches.",
            valueName: "field:rule[:value]"))
    var constraint: [String] = []

    func validate() throws {
        for (name, amount) in [("cpus", cpus), ("mem", mem), ("disk", disk), ("gpus", gpus)] {
            guard let amount else { continue }
            guard amount.isFinite, amount >= 0 else {
                throw ValidationError("--\(name) must be a number that is not negative")
            }
        }
        if ports < 0 { throw ValidationError("--ports must not be negative") }
        if count < 1 { throw ValidationError("--count must be 1 or more") }
        if gang < 1 || gang > count {
            throw ValidationError("--gang must be between 1 and the count, which is \(count)")
        }
        _ = try constraints()
    }

    func constraints() throws -> [ConstraintObject] {
        try constraint.map { text in
            let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
                .map(String.init)
            let object = ConstraintObject(
                field: parts[0], rule: parts.count > 1 ? parts[1] : "",
                value: parts.count > 2 ? parts[2] : nil)
            guard !object.field.isEmpty, object.constraint != nil else {
                throw ValidationError(
                    "--constraint '\(text)' is not FIELD:RULE[:VALUE] with a rule of "
                        + ConstraintObject.rules.joined(separator: ", "))
            }
            return object
        }
    }

    var shape: ShapeObject {
        get throws {
            var resources: [String: String] = [:]
            for (name, amount) in [("cpus", cpus), ("mem", mem), ("disk", disk), ("gpus", gpus)] {
                if let amount { resources[name] = "\(amount)" }
            }
            let constraints = try constraints()
            return ShapeObject(
                role: role, resources: resources, ports: ports,
                constraints: constraints.isEmpty ? [] : [constraints], count: count, gang: gang,
                priority: priority)
        }
    }

    func run() async throws {
        let asking = Asking(try cluster.client())
        var shape = try shape
        if let framework { shape.framework = try await asking.framework(framework).id }
        let explanation = try await asking.explanation(of: shape)
        switch cluster.output {
        case .json:
            say(String(decoding: try APICoding.encode(explanation, pretty: true), as: UTF8.self))
        case .table:
            var title = "\(count) × " + (amounts(shape.resources))
            if ports > 0 { title += ", ports \(ports)" }
            title += " in role \(role)"
            if gang > 1 { title += ", \(gang) at once" }
            let funnel = Funnel(
                explanation, role: role, wanted: shape.resources, hosts: try await asking.hosts())
            say(([title] + funnel.lines).joined(separator: "\n"))
        }
    }
}

/// A demand with the framework that states it.
struct Waiting: Sendable {
    var demand: DemandObject
    var framework: FrameworkObject

    var title: String { "\(framework.name) \(demand.id)" }

    /// The first line: what waits, how many and how long.
    func line(_ title: String) -> String {
        var text = "\(title) - "
        if demand.count == 0 {
            text += "nothing is missing"
        } else {
            text += "\(demand.count) \(demand.count == 1 ? "task" : "tasks") waiting"
            if let seconds = demand.waiting { text += " \(span(seconds))" }
            if demand.gang > 1 { text += ", \(demand.gang) at once" }
        }
        return text
    }
}

/// Asks a master why.
struct Asking: Sendable {
    let client: Client

    init(_ client: Client) { self.client = client }

    func frameworks() async throws -> [FrameworkObject] {
        try await client.get("/v1/frameworks", as: ObjectList<FrameworkObject>.self).items
            .filter { $0.state != "removed" }
    }

    func framework(_ text: String) async throws -> FrameworkObject {
        let all = try await frameworks()
        if let exact = all.first(where: { $0.id == text }) { return exact }
        let near = all.filter { $0.name == text || $0.id.hasPrefix(text) }
        if near.count == 1, let only = near.first { return only }
        if near.isEmpty {
            throw CommandProblem(
                .notFound, "there is no framework '\(text)'",
                because: "no framework has this id, begins with it or is called so",
                try: "list them with 'proffer frameworks'")
        }
        throw CommandProblem(
            .failed, "'\(text)' can mean \(near.count) frameworks",
            because: near.prefix(5).map(\.id).joined(separator: ", "), try: "give more of the id")
    }

    func demands(of framework: FrameworkObject) async throws -> [DemandObject] {
        try await client.get(
            "/v1/why/frameworks/\(percentEncoded(framework.id))",
            as: ObjectList<DemandObject>.self
        ).items
    }

    func explanation(of shape: ShapeObject) async throws -> ExplanationObject {
        try await client.post("/v1/why", shape, as: ExplanationObject.self)
    }

    /// The host names of the agents by their ids.
    func hosts() async throws -> [String: String] {
        let agents = try await client.get("/v1/agents", as: ObjectList<AgentObject>.self).items
        return Dictionary(agents.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
    }

    func show(
        _ list: [Waiting], _ format: OutputFormat, _ title: (Waiting) -> String
    ) async throws {
        switch format {
        case .json:
            let objects = ObjectList(list.map(\.demand))
            say(String(decoding: try APICoding.encode(objects, pretty: true), as: UTF8.self))
        case .table:
            let hosts = try await hosts()
            let texts = list.map { waiting in
                let demand = waiting.demand
                let funnel = Funnel(
                    demand.explanation, role: demand.role, wanted: demand.resources, hosts: hosts)
                return ([waiting.line(title(waiting))] + funnel.lines).joined(separator: "\n")
            }
            if !texts.isEmpty { say(texts.joined(separator: "\n\n")) }
            if texts.isEmpty { note("(it waits for nothing)") }
        }
    }
}
