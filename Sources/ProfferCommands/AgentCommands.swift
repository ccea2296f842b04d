internal import ArgumentParser
internal import Foundation
internal import ProfferAPI
internal import ProfferKernel

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Drain an agent, take it out of use, or declare it gone.",
        discussion: """
            EXAMPLES:
              proffer agents                            their ids
              proffer agent drain ID --max-grace 30s    end its tasks, offer nothing of it
              proffer agent reactivate ID               use it again
              proffer agent gone ID                     it will never come back
            """,
        subcommands: [Drain.self, Deactivate.self, Reactivate.self, Gone.self])

    struct Target: ParsableArguments {
        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The agent's id.")
        var id: String

        func order(_ what: String) async throws {
            try await cluster.client().order(.post, "/v1/agents/\(percentEncoded(id))/\(what)")
        }
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Kill every task of an agent and offer nothing of it.",
            discussion: """
                'proffer agents' shows when it is drained: every task has ended, and its \
                framework knows.
                """)

        @OptionGroup
        var target: Target

        @Option(help: "The longest time a task has to end by itself; each task's own unless set.")
        var maxGrace: String?

        @Flag(help: "Declare it gone when it is empty.")
        var markGone = false

        func validate() throws {
            if let maxGrace, Duration(text: maxGrace) == nil {
                throw ValidationError(
                    "--max-grace '\(maxGrace)' is no duration such as 500ms, 30s, 5m, 2h")
            }
        }

        func run() async throws {
            try await target.cluster.client().order(
                .post, "/v1/agents/\(percentEncoded(target.id))/drain",
                DrainObject(maxGrace: maxGrace, markGone: markGone))
            note("\(target.id) is being drained")
        }
    }

    struct Deactivate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Offer nothing of an agent; its tasks stay.")

        @OptionGroup
        var target: Target

        func run() async throws {
            try await target.order("deactivate")
            note("\(target.id) is not offered any more")
        }
    }

    struct Reactivate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Use an agent again that was drained or deactivated.")

        @OptionGroup
        var target: Target

        func run() async throws {
            try await target.order("reactivate")
            note("\(target.id) is in use again")
        }
    }

    struct Gone: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare that an agent will never come back: its tasks are gone.")

        @OptionGroup
        var target: Target

        func run() async throws {
            try await target.order("gone")
            note("\(target.id) is gone")
        }
    }
}

struct RebindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebind",
        abstract: "Give the id of an agent or framework to another key.",
        discussion: """
            Without --key the id belongs to the first key that uses it next. A session of the old \
            key ends.
            """,
        subcommands: [Agent.self, Framework.self])

    struct Target: ParsableArguments {
        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The id.")
        var id: String

        // Unconditional: a key may begin with a dash.
        @Option(
            parsing: .unconditional,
            help: ArgumentHelp("The public key.", valueName: "public-key"))
        var key: String?

        func order(_ kind: String) async throws {
            try await cluster.client().order(
                .put, "/v1/\(kind)/\(percentEncoded(id))/key", KeyObject(publicKey: key))
            note("\(id) belongs to \(key ?? "the first key that uses it")")
        }
    }

    struct Agent: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give the id of an agent to another key.")

        @OptionGroup
        var target: Target

        func run() async throws { try await target.order("agents") }
    }

    struct Framework: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give the id of a framework to another key.")

        @OptionGroup
        var target: Target

        func run() async throws { try await target.order("frameworks") }
    }
}
