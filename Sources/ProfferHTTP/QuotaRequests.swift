internal import ProfferAPI
internal import ProfferKernel
internal import ProfferModel

/// The bodies of requests about quota and placement.
enum QuotaRequests {
    /// Names of resources in one object; more make no sense and would be compared with each other.
    private static let nameLimit = 64
    private static let roleLimit = 1000

    /// A change of quotas.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func change(_ body: [UInt8]) throws -> OperatorCall {
        let fields = try RequestFields(
            try RequestJSON.parse(body), at: "", known: ["quotas", "force"])
        guard fields["quotas"] != nil else {
            throw badBody(
                "quotas", "is missing",
                advice: #"send for example {"quotas":[{"role":"web","limits":{"cpus":8}}]}"#)
        }
        let list = try fields.list("quotas")
        guard list.count <= roleLimit else {
            throw badBody("quotas", "has more than \(roleLimit) roles")
        }
        var quotas: [Quota] = []
        var roles = Set<String>()
        for (index, item) in list.enumerated() {
            let quota = try quota(item, at: "quotas[\(index)]")
            guard roles.insert(quota.role).inserted else {
                throw badBody(
                    "quotas[\(index)].role", "is '\(quota.role)' again",
                    advice: "leave one of them out")
            }
            quotas.append(quota)
        }
        return .setQuotas(quotas, isForced: try fields.bool("force") ?? false)
    }

    private static func quota(_ value: RequestJSON, at path: String) throws -> Quota {
        let fields = try RequestFields(
            value, at: path, known: ["role", "guarantees", "limits"])
        guard let role = try fields.text("role"), !role.isEmpty else {
            throw badBody("\(path).role", "is missing")
        }
        var quota = Quota(role: role)
        for (name, amount) in try amounts(fields, "guarantees") {
            quota.guarantees.add(amount, to: name)
        }
        quota.limits = try amounts(fields, "limits").map { QuotaLimit(name: $0, amount: $1) }
            .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        if let problem = quota.problem {
            throw ProblemObject(status: 400, title: "bad quota", detail: problem)
        }
        return quota
    }

    static func amounts(
        _ fields: RequestFields, _ key: String
    ) throws -> [(String, Milli)] {
        let entries = try fields.object(key)
        guard entries.count <= nameLimit else {
            throw badBody(fields.name(key), "names more than \(nameLimit) resources")
        }
        return try entries.map { name, value in
            let text: String? =
                switch value {
                case .number(let text), .text(let text): text
                case .null, .bool, .list, .object: nil
                }
            guard !name.isEmpty, let text, let number = Double(text),
                let amount = Milli(rounding: number)
            else {
                throw badBody(
                    "\(fields.name(key)).\(name.prefix(64))", "is no amount",
                    advice: "send a number such as 2.5, of which three decimals count")
            }
            return (name, amount)
        }
    }

    /// A question about a shape.
    ///
    /// - Throws: ``ProblemObject`` with status 400.
    static func question(_ body: [UInt8]) throws -> OperatorCall {
        let fields = try RequestFields(
            try RequestJSON.parse(body), at: "",
            known: [
                "role", "framework", "resources", "ports", "constraints", "count", "gang",
                "priority", "per_offer", "per_agent",
            ])
        var demand = Demand(
            id: "question", role: try fields.text("role") ?? "*",
            resources: ResourceQuantities(), ports: try fields.whole("ports") ?? 0,
            count: try fields.whole("count") ?? 1, priority: try fields.whole("priority") ?? 0,
            gang: try fields.whole("gang") ?? 1, perOffer: try fields.whole("per_offer"),
            perAgent: try fields.whole("per_agent"))
        for (name, amount) in try amounts(fields, "resources") {
            demand.resources.add(amount, to: name)
        }
        for (index, group) in try fields.list("constraints").enumerated() {
            demand.constraints.append(try constraints(group, at: "constraints[\(index)]"))
        }
        // Without resources and ports it is about any offer that is worth something.
        var checked = demand
        if demand.resources.entries.isEmpty, demand.ports == 0 { checked.ports = 1 }
        if let problem = checked.problem {
            throw ProblemObject(
                status: 400, title: "bad shape",
                detail: problem.replacing("the demand 'question'", with: "the shape"))
        }
        return .why(
            PlacementQuestion(
                framework: try fields.text("framework").map { FrameworkID($0) }, demand: demand))
    }

    private static func constraints(
        _ value: RequestJSON, at path: String
    ) throws -> [AttributeConstraint] {
        guard case .list(let list) = value else {
            throw badBody(
                path, "is \(value.kind) and has to be a list",
                advice: "'constraints' is a list of groups, of which one has to hold; each group"
                    + " is a list of constraints, which all have to hold")
        }
        return try list.enumerated().map { index, item in
            let place = "\(path)[\(index)]"
            let fields = try RequestFields(item, at: place, known: ["field", "rule", "value"])
            guard let field = try fields.text("field"), !field.isEmpty else {
                throw badBody("\(place).field", "is missing")
            }
            let object = ConstraintObject(
                field: field, rule: try fields.text("rule") ?? "", value: try fields.text("value"))
            guard let constraint = object.constraint else {
                throw badBody(
                    place, "is no constraint",
                    advice: "a rule is one of \(ConstraintObject.rules.joined(separator: ", ")), "
                        + "with a value except for the first two")
            }
            switch constraint.predicate {
            case .textMatches(let pattern), .textNotMatches(let pattern):
                if (try? TextPattern(pattern)) == nil {
                    throw badBody("\(place).value", "is no pattern that can be used")
                }
            case .exists, .notExists, .textEquals, .textNotEquals: break
            }
            return constraint
        }
    }
}
