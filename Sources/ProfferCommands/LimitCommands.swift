internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct PriorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "priority",
        abstract: "Show or set the highest priority that may be used in a role.",
        discussion: """
            The limit of a role holds for the roles below it too. Frameworks, demands and tasks \
            above it are refused; what was accepted before counts as at the limit.

            EXAMPLES:
              proffer priority show
              proffer priority set batch 0   nothing in the role may push others aside
              proffer priority clear batch
            """,
        subcommands: [Show.self, Set.self, Clear.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the limits.")

        @OptionGroup
        var cluster: ClusterOptions

        func run() async throws {
            let list = try await cluster.client().get(
                "/v1/roles", as: ObjectList<RoleObject>.self)
            try show(list, cluster.output, header: ["ROLE", "PRIORITY"]) { role in
                [role.name, role.priorityLimit.map { "at most \($0)" } ?? "-"]
            }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set the highest priority of a role.")

        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The role.")
        var role: String

        @Argument(help: "The highest priority; after -- if it is negative.")
        var limit: Int

        func run() async throws {
            try await cluster.client().order(
                .put, "/v1/roles/\(percentEncoded(role))/priority-limit", body: "\(limit)")
            note("priorities of \(role) are at most \(limit)")
        }
    }

    struct Clear: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a limit away.")

        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The role.")
        var role: String

        func run() async throws {
            try await cluster.client().order(
                .delete, "/v1/roles/\(percentEncoded(role))/priority-limit")
            note("\(role) has no limit of priority of its own")
        }
    }
}

struct WhitelistCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whitelist",
        abstract: "Show or set the hosts whose agents may be offered.",
        discussion: """
            What is offered of the agents of other hosts is taken back; their tasks go on.

            EXAMPLES:
              proffer whitelist show
              proffer whitelist set node-1 node-2
              proffer whitelist clear        every host again
            """,
        subcommands: [Show.self, Set.self, Clear.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the hosts.")

        @OptionGroup
        var cluster: ClusterOptions

        func run() async throws {
            let list = try await cluster.client().get("/v1/whitelist", as: WhitelistObject.self)
            switch cluster.output {
            case .json:
                say(String(decoding: try APICoding.encode(list, pretty: true), as: UTF8.self))
            case .table:
                guard let hosts = list.hosts else { return say("every host") }
                if hosts.isEmpty { note("no host: nothing is offered") }
                for host in hosts { say(host) }
            }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set the hosts, in place of those before.")

        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The names of the hosts, as 'proffer agents' shows them.")
        var hosts: [String] = []

        @Flag(help: "No host at all: nothing is offered.")
        var none = false

        func validate() throws {
            if none != hosts.isEmpty {
                throw ValidationError(
                    "name hosts or say --none; 'proffer whitelist clear' is every host")
            }
        }

        func run() async throws {
            try await cluster.client().order(
                .put, "/v1/whitelist", WhitelistChangeObject(hosts))
            note(none ? "nothing is offered" : "agents of \(hosts.count) hosts may be offered")
        }
    }

    struct Clear: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let every host be offered.")

        @OptionGroup
        var cluster: ClusterOptions

        func run() async throws {
            try await cluster.client().order(.delete, "/v1/whitelist")
            note("agents of every host may be offered")
        }
    }
}
