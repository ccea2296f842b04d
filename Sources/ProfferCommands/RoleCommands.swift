internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct RolesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roles", abstract: "List the roles: their weight, share and quota.")

    @OptionGroup
    var cluster: ClusterOptions

    func run() async throws {
        let client = try cluster.client()
        let list = try await client.get("/v1/roles", as: ObjectList<RoleObject>.self)
        guard cluster.output == .table else {
            try show(list, cluster.output, header: []) { _ in [] }
            return
        }
        let quotas = try await client.get("/v1/quotas", as: ObjectList<QuotaObject>.self)
        let byRole = Dictionary(
            quotas.items.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        try show(
            list, cluster.output,
            header: [
                "NAME", "WEIGHT", "SHARE", "FRAMEWORKS", "ALLOCATED", "GUARANTEE", "LIMIT",
                "PRIORITY",
            ]
        ) { role in
            [
                role.name, weightText(role.weight), String(format: "%.1f%%", role.share * 100),
                "\(role.frameworks.count)", amounts(role.allocated),
                byRole[role.id].map { amounts($0.guarantees) } ?? "-",
                byRole[role.id].map { amounts($0.limits) } ?? "-",
                role.priorityLimit.map { "at most \($0)" } ?? "-",
            ]
        }
    }
}

struct WeightCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weight",
        abstract: "Show or set how much of the cluster a role gets beside others.",
        discussion: """
            EXAMPLES:
              proffer weight show
              proffer weight set web 2.5     two and a half times the share of a role with 1
            """,
        subcommands: [Show.self, Set.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the weights.")

        @OptionGroup
        var cluster: ClusterOptions

        func run() async throws {
            let list = try await cluster.client().get(
                "/v1/roles", as: ObjectList<RoleObject>.self)
            try show(list, cluster.output, header: ["ROLE", "WEIGHT"]) { role in
                [role.name, weightText(role.weight)]
            }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Set the weight of a role.")

        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The role.")
        var role: String

        @Argument(help: "The weight; 1 unless set.")
        var weight: Double

        func validate() throws {
            guard weight.isFinite, weight >= 0.001 else {
                throw ValidationError("a weight is a number above zero")
            }
        }

        func run() async throws {
            try await cluster.client().order(
                .put, "/v1/roles/\(percentEncoded(role))/weight", body: weightText(weight))
            note("the weight of \(role) is \(weightText(weight))")
        }
    }
}

/// A weight without trailing zeros.
private func weightText(_ weight: Double) -> String {
    weight == weight.rounded() && weight < 1e9 ? "\(Int(weight))" : "\(weight)"
}

struct QuotaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quota",
        abstract: "Show, set or clear what roles are promised and the most they may hold.",
        discussion: """
            EXAMPLES:
              proffer quota show
              proffer quota set web --guarantee cpus:4 --guarantee mem:8192 --limit cpus:8
              proffer quota clear web
            """,
        subcommands: [Show.self, Set.self, Clear.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the quotas and how far they are used.")

        @OptionGroup
        var cluster: ClusterOptions

        func run() async throws {
            let list = try await cluster.client().get(
                "/v1/quotas", as: ObjectList<QuotaObject>.self)
            try show(list, cluster.output, header: ["ROLE", "GUARANTEE", "LIMIT", "CONSUMED"]) {
                [$0.name, amounts($0.guarantees), amounts($0.limits), amounts($0.consumed)]
            }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set the quota of a role, in place of the one it has.")

        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The top-level role.")
        var role: String

        @Option(
            help: ArgumentHelp(
                "What is kept available for it; once for each resource.", valueName: "name:amount"))
        var guarantee: [String] = []

        @Option(
            help: ArgumentHelp(
                "The most it may hold; once for each resource.", valueName: "name:amount"))
        var limit: [String] = []

        @Flag(help: "Promise more than there is, and limit the role to less than it holds.")
        var force = false

        func validate() throws {
            if guarantee.isEmpty, limit.isEmpty {
                throw ValidationError(
                    "give a --guarantee or a --limit; 'proffer quota clear' takes a quota away")
            }
            _ = try item
        }

        var item: QuotaChangeObject.Item {
            get throws {
                QuotaChangeObject.Item(
                    role: role, guarantees: try Self.parsed(guarantee, "--guarantee"),
                    limits: try Self.parsed(limit, "--limit"))
            }
        }

        static func parsed(_ texts: [String], _ option: String) throws -> [String: String] {
            var result: [String: String] = [:]
            for text in texts {
                let parts = text.split(separator: ":", omittingEmptySubsequences: false)
                guard parts.count == 2, !parts[0].isEmpty, let amount = Double(parts[1]),
                    amount.isFinite, amount >= 0
                else {
                    throw ValidationError("\(option) '\(text)' is not NAME:AMOUNT, as in cpus:4")
                }
                guard result.updateValue(String(parts[1]), forKey: String(parts[0])) == nil else {
                    throw ValidationError("\(option) names \(parts[0]) twice")
                }
            }
            return result
        }

        func run() async throws {
            try await cluster.client().order(
                .put, "/v1/quotas", QuotaChangeObject([try item], force: force))
            note("the quota of \(role) is set")
        }
    }

    struct Clear: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take the quota of a role away.")

        @OptionGroup
        var cluster: ClusterOptions

        @Argument(help: "The top-level role.")
        var role: String

        func run() async throws {
            try await cluster.client().order(
                .put, "/v1/quotas", QuotaChangeObject([.init(role: role)]))
            note("\(role) has no quota")
        }
    }
}
