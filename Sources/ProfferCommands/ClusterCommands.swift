internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct AgentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agents", abstract: "List the agents: what they have, hold and use.")

    @OptionGroup
    var cluster: ClusterOptions

    func run() async throws {
        let list = try await cluster.client().get(
            "/v1/agents", as: ObjectList<AgentObject>.self)
        try show(
            list, cluster.output,
            header: ["ID", "HOST", "STATE", "TASKS", "TOTAL", "ALLOCATED", "LOAD", "ATTRIBUTES"]
        ) { agent in
            [
                short(agent.id, 44), agent.name, agent.drain ?? agent.state, "\(agent.tasks)",
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

    @OptionGroup
    var cluster: ClusterOptions

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

    @OptionGroup
    var cluster: ClusterOptions

    @Flag(help: "List the requests to leave agents, which are inverse offers, instead.")
    var inverse = false

    func run() async throws {
        if inverse { return try await showInverse() }
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

    private func showInverse() async throws {
        let list = try await cluster.client().get(
            "/v1/inverse-offers", as: ObjectList<InverseOfferObject>.self)
        try show(
            list, cluster.output,
            header: ["ID", "FRAMEWORK", "AGENT", "TASKS", "DEADLINE", "RESPONSE", "REASON"]
        ) { offer in
            [
                short(offer.id, 44), short(offer.framework, 44), short(offer.agent ?? "-", 44),
                offer.tasks.isEmpty ? "-" : offer.tasks.joined(separator: ","), offer.deadline,
                offer.response ?? "-", offer.reason,
            ]
        }
    }
}

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the cluster in ten lines.",
        discussion: "Exits with 8 when an agent is not active or a framework is disconnected.")

    @OptionGroup
    var cluster: ClusterOptions

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
            if !summary.oversubscribed.isEmpty {
                say("revocable   \(amounts(summary.oversubscribed))")
            }
            say("used        \(amounts(summary.used))")
        }
        let healthy = summary.agents.allSatisfy { $0.key == "active" || $0.value == 0 }
        if !healthy || summary.frameworksDisconnected > 0 {
            note("degraded: see 'proffer agents' and 'proffer frameworks'")
            throw ExitCode(CommandProblem.Code.degraded.rawValue)
        }
    }
}
