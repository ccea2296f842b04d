public import ProfferKernel
public import ProfferModel

func decimals(_ quantities: ResourceQuantities) -> [String: String] {
    var texts: [String: String] = [:]
    for entry in quantities.entries { texts[entry.name] = "\(entry.amount)" }
    return texts
}

/// What a top-level role is promised, the most it may hold, and what it holds.
public struct QuotaObject: Codable, Sendable {
    /// Always `quota`.
    public var kind = "quota"
    /// The role.
    public var id: String
    /// The role.
    public var name: String
    /// What is kept available for it, by resource; decimal text.
    public var guarantees: [String: String]
    /// The most it may hold; a resource that is not named has no limit.
    public var limits: [String: String]
    /// What it holds or has reserved.
    public var consumed: [String: String]

    /// Describes a quota.
    public init(_ summary: QuotaSummary) {
        id = summary.quota.role
        name = summary.quota.role
        guarantees = decimals(summary.quota.guarantees)
        limits = Dictionary(
            summary.quota.limits.map { ($0.name, "\($0.amount)") },
            uniquingKeysWith: { first, _ in first })
        consumed = decimals(summary.consumed)
    }
}

/// The body of a change of quotas: all roles or none.
public struct QuotaChangeObject: Codable, Sendable {
    /// One role; with neither guarantees nor limits its quota is taken away.
    public struct Item: Codable, Sendable {
        /// The top-level role.
        public var role: String
        /// What is kept available for it; decimal text or numbers.
        public var guarantees: [String: String]
        /// The most it may hold.
        public var limits: [String: String]

        /// Describes the quota of a role.
        public init(
            role: String, guarantees: [String: String] = [:], limits: [String: String] = [:]
        ) {
            self.role = role
            self.guarantees = guarantees
            self.limits = limits
        }
    }

    /// Whether more may be promised than there is, and a role limited to less than it holds.
    public var force: Bool
    /// The roles.
    public var quotas: [Item]

    /// Describes a change.
    public init(_ quotas: [Item], force: Bool = false) {
        self.quotas = quotas
        self.force = force
    }
}

/// A constraint of a demand: an attribute of the agent and what must hold of it.
public struct ConstraintObject: Codable, Hashable, Sendable {
    /// The attribute's name, or `hostname`, `@region` or `@zone`.
    public var field: String
    /// `exists`, `not_exists`, `equals`, `not_equals`, `matches` or `not_matches`.
    public var rule: String
    /// With what it is compared; absent for `exists` and `not_exists`.
    public var value: String?

    /// Describes a constraint.
    public init(_ constraint: AttributeConstraint) {
        switch constraint.selector {
        case .hostname: field = "hostname"
        case .region: field = "@region"
        case .zone: field = "@zone"
        case .attribute(let name): field = name
        }
        switch constraint.predicate {
        case .exists: rule = "exists"
        case .notExists: rule = "not_exists"
        case .textEquals(let text): (rule, value) = ("equals", text)
        case .textNotEquals(let text): (rule, value) = ("not_equals", text)
        case .textMatches(let text): (rule, value) = ("matches", text)
        case .textNotMatches(let text): (rule, value) = ("not_matches", text)
        }
    }

    /// Puts one together.
    public init(field: String, rule: String, value: String?) {
        self.field = field
        self.rule = rule
        self.value = value
    }

    /// Every rule there is.
    public static let rules = [
        "exists", "not_exists", "equals", "not_equals", "matches", "not_matches",
    ]

    /// The constraint; `nil` when there is no such rule, or a value is missing or too much.
    public var constraint: AttributeConstraint? {
        let selector: AttributeConstraint.Selector =
            switch field {
            case "hostname": .hostname
            case "@region": .region
            case "@zone": .zone
            case _: .attribute(field)
            }
        let predicate: AttributeConstraint.Predicate
        switch (rule, value) {
        case ("exists", nil): predicate = .exists
        case ("not_exists", nil): predicate = .notExists
        case ("equals", let text?): predicate = .textEquals(text)
        case ("not_equals", let text?): predicate = .textNotEquals(text)
        case ("matches", let text?): predicate = .textMatches(text)
        case ("not_matches", let text?): predicate = .textNotMatches(text)
        case _: return nil
        }
        return AttributeConstraint(selector: selector, predicate: predicate)
    }
}

/// The shape that a question is about: so many instances of something in a role.
public struct ShapeObject: Codable, Sendable {
    /// The role.
    public var role: String
    /// Who asks; absent for a framework that could do everything.
    public var framework: String?
    /// The scalars of one instance; decimal text or numbers.
    public var resources: [String: String]
    /// How many ports one instance needs.
    public var ports: Int
    /// The agents that will do: any group whose every constraint holds.
    public var constraints: [[ConstraintObject]]
    /// How many instances.
    public var count: Int
    /// How many have to be there at once.
    public var gang: Int
    /// Higher first.
    public var priority: Int

    /// Describes a shape; what is left out has the default shown.
    public init(
        role: String = "*", framework: String? = nil, resources: [String: String] = [:],
        ports: Int = 0, constraints: [[ConstraintObject]] = [], count: Int = 1, gang: Int = 1,
        priority: Int = 0
    ) {
        self.role = role
        self.framework = framework
        self.resources = resources
        self.ports = ports
        self.constraints = constraints
        self.count = count
        self.gang = gang
        self.priority = priority
    }
}

/// Why something gets nothing: how many agents each check leaves, and what would help.
public struct ExplanationObject: Codable, Sendable {
    /// One check.
    public struct Step: Codable, Sendable {
        /// For programs, such as `agent_active`.
        public var check: String
        /// For people.
        public var title: String
        /// Of the agents that passed every check before, those that fail this one.
        public var removed: Int
        /// Of all agents, those that fail it.
        public var alone: Int
        /// The ids of some of those removed.
        public var examples: [String]
    }

    /// An agent that fails few checks.
    public struct NearMiss: Codable, Sendable {
        /// The agent's id.
        public var agent: String
        /// Its host name.
        public var hostname: String
        /// The checks it fails.
        public var failed: [String]
        /// The resources that are missing.
        public var missing: [String: String]
    }

    /// How far the role is within its quota, for one resource.
    public struct QuotaState: Codable, Sendable {
        /// The resource.
        public var name: String
        /// What the role holds or has reserved.
        public var consumed: String
        /// What it is promised.
        public var guarantee: String
        /// The most it may hold.
        public var limit: String?
    }

    /// Always `explanation`.
    public var kind = "explanation"
    /// Every agent the master knows.
    public var agents: Int
    /// The checks in their order.
    public var steps: [Step]
    /// Agents that pass every check.
    public var fitting: Int
    /// Why nothing would be offered whatever the agents have.
    public var obstacle: String?
    /// The agents that fail the fewest checks, best first.
    public var nearest: [NearMiss]
    /// The quota of the role, if it has one.
    public var quota: [QuotaState]
    /// The framework's dominant share of the cluster, 0 to 1.
    public var share: Double
    /// That of the role.
    public var roleShare: Double
    /// How many that wait come first.
    public var ahead: Int
    /// What would help, best first.
    public var suggestions: [String]

    /// Describes an explanation.
    public init(_ explanation: PlacementExplanation) {
        agents = explanation.agents
        steps = explanation.steps.map { step in
            Step(
                check: name(of: step.check), title: step.check.title, removed: step.removed,
                alone: step.alone, examples: step.examples.map(\.value))
        }
        fitting = explanation.fitting
        obstacle = explanation.obstacle
        nearest = explanation.nearest.map { miss in
            NearMiss(
                agent: miss.agent.value, hostname: miss.hostname,
                failed: miss.failed.map(name(of:)), missing: decimals(miss.missing))
        }
        quota = explanation.quota.map { state in
            QuotaState(
                name: state.name, consumed: "\(state.consumed)", guarantee: "\(state.guarantee)",
                limit: state.limit.map { "\($0)" })
        }
        share = Double(explanation.shareMillionths) / 1_000_000
        roleShare = Double(explanation.roleShareMillionths) / 1_000_000
        ahead = explanation.ahead
        suggestions = explanation.suggestions
    }
}

/// The name of a check in snake case.
private func name(of check: PlacementCheck) -> String {
    check.rawValue.reduce(into: "") { text, letter in
        text += letter.isUppercase ? "_" + letter.lowercased() : String(letter)
    }
}

/// What a framework wants, and why it waits.
public struct DemandObject: Codable, Sendable {
    /// Always `demand`.
    public var kind = "demand"
    /// The framework's name for it.
    public var id: String
    /// The role.
    public var role: String
    /// The scalars of one instance.
    public var resources: [String: String]
    /// How many ports one instance needs.
    public var ports: Int
    /// How many instances are missing.
    public var count: Int
    /// The agents that will do.
    public var constraints: [[ConstraintObject]]
    /// How many have to be there at once.
    public var gang: Int
    /// Higher first.
    public var priority: Int
    /// Since when it waits, RFC 3339; absent when it does not.
    public var waitingSince: String?
    /// How long it has waited, seconds.
    public var waiting: Double?
    /// Why.
    public var explanation: ExplanationObject

    /// Describes a demand.
    ///
    /// - Parameters:
    ///   - summary: The demand.
    ///   - now: The present time, for how long it has waited.
    public init(_ summary: DemandSummary, now: WallTime) {
        id = summary.demand.id
        role = summary.demand.role
        resources = decimals(summary.demand.resources)
        ports = summary.demand.ports
        count = summary.demand.count
        constraints = summary.demand.constraints.map { $0.map(ConstraintObject.init) }
        gang = summary.demand.gang
        priority = summary.demand.priority
        waitingSince = summary.waitingSince.map(timestamp)
        waiting = summary.waitingSince.map {
            let passed = now.nanosecondsSince1970.subtractingReportingOverflow(
                $0.nanosecondsSince1970)
            return passed.overflow ? 0 : max(0, Double(passed.partialValue) / 1e9)
        }
        explanation = ExplanationObject(summary.explanation)
    }
}
