internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

/// What a reservation is of: scalars of one agent.
struct ReservedAmounts: ParsableArguments {
    @Argument(help: "The agent, as 'proffer agents' shows it.")
    var agent: String

    @Argument(help: "The role for which it is reserved.")
    var role: String

    @Argument(help: ArgumentHelp("How much; once for each resource.", valueName: "name:amount"))
    var amounts: [String]

    @Option(help: "The principal that the reservation carries; none unless given.")
    var principal: String?

    func validate() throws {
        if amounts.isEmpty { throw ValidationError("say how much, as in cpus:2") }
        _ = try resources
    }

    var resources: [String: String] {
        get throws { try QuotaCommand.Set.parsed(amounts, "the amount") }
    }
}

struct ReserveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reserve",
        abstract: "Reserve for a role what nobody uses of an agent.",
        discussion: """
            What is offered of it meanwhile is taken back.

            EXAMPLES:
              proffer reserve AGENT web cpus:2 mem:512
              proffer reserve AGENT web cpus:2 --from batch    what was reserved for batch
            """)

    @OptionGroup
    var cluster: ClusterOptions

    @OptionGroup
    var what: ReservedAmounts

    @Option(help: "The role for which it is reserved so far, if it is.")
    var from: String?

    func run() async throws {
        try await cluster.client().order(
            .post, "/v1/agents/\(percentEncoded(what.agent))/reserve",
            ReservationChangeObject(
                role: what.role, resources: try what.resources, principal: what.principal,
                from: from))
        let amounts = what.amounts.joined(separator: " ")
        note("\(amounts) of \(what.agent) are reserved for \(what.role)")
    }
}

struct UnreserveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unreserve",
        abstract: "Take a reservation off what nobody uses of an agent.",
        discussion: """
            EXAMPLES:
              proffer unreserve AGENT web cpus:2 mem:512
            """)

    @OptionGroup
    var cluster: ClusterOptions

    @OptionGroup
    var what: ReservedAmounts

    func run() async throws {
        try await cluster.client().order(
            .post, "/v1/agents/\(percentEncoded(what.agent))/unreserve",
            ReservationChangeObject(
                role: what.role, resources: try what.resources, principal: what.principal))
        note("\(what.amounts.joined(separator: " ")) of \(what.agent) are for everybody")
    }
}
