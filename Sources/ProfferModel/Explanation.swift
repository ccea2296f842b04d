/// A check that an agent has to pass before a framework is offered something of it, in the order
/// in which they are made.
public enum PlacementCheck: String, CaseIterable, Hashable, Sendable {
    /// The agent is connected, admitted and not deactivated.
    case agentActive
    /// The agent's host is one of those that may be offered.
    case whitelist
    /// The framework's offer constraints, or those of the demand, hold.
    case constraints
    /// The agent's software copes with the role and with frameworks of several roles.
    case capabilities
    /// The agent is in the master's region, or the framework copes with others.
    case region
    /// The agent has no GPUs, or the framework can use them.
    case gpus
    /// Something is free that this role may have.
    case reservations
    /// What is free is enough: one instance, or the smallest worthwhile offer.
    case resources
    /// It is not kept for a gang whose turn it is.
    case gang
    /// The role stays within its quota limit.
    case quotaLimit
    /// What other roles are guaranteed stays available.
    case headroom
    /// The instances of the demand on the agent are fewer than it allows.
    case perAgent
    /// The framework has not refused it lately.
    case refusal
    /// The framework holds no more in offers than its part while others wait.
    case offeredLimit

    /// What the check asks, for people.
    public var title: String {
        switch self {
        case .agentActive: "active"
        case .whitelist: "whitelist"
        case .constraints: "constraints"
        case .capabilities: "software of the agent"
        case .region: "region"
        case .gpus: "GPUs kept for those who use them"
        case .reservations: "reservations of other roles"
        case .resources: "free resources"
        case .perAgent: "instances per agent"
        case .refusal: "refused by the framework"
        case .quotaLimit: "quota limit"
        case .headroom: "kept for guarantees"
        case .offeredLimit: "held in offers"
        case .gang: "kept for a gang"
        }
    }
}

/// A question to the allocator, namely why something gets nothing.
public struct PlacementQuestion: Hashable, Sendable {
    /// Who asks, or `nil` for a framework that does not exist yet and could do everything.
    public var framework: FrameworkID?
    /// What is wanted; with nothing in `resources` and no ports, any worthwhile offer.
    public var demand: Demand

    /// Sets every field.
    public init(framework: FrameworkID?, demand: Demand) {
        self.framework = framework
        self.demand = demand
    }
}

/// The answer to a ``PlacementQuestion``: how many agents each check leaves, what comes nearest and
/// what would help.
public struct PlacementExplanation: Hashable, Sendable {
    /// One check of the funnel.
    public struct Step: Hashable, Sendable {
        /// The check.
        public var check: PlacementCheck
        /// Of the agents that passed every check before, those that fail this one.
        public var removed: Int
        /// Of all agents, those that fail it.
        public var alone: Int
        /// Some of `removed`, in the order of their admission; at most five.
        public var examples: [AgentID]

        /// Sets every field.
        public init(check: PlacementCheck, removed: Int, alone: Int, examples: [AgentID]) {
            self.check = check
            self.removed = removed
            self.alone = alone
            self.examples = examples
        }
    }

    /// An agent that fails few checks.
    public struct NearMiss: Hashable, Sendable {
        /// The agent.
        public var agent: AgentID
        /// Its host name.
        public var hostname: String
        /// The checks it fails, in order.
        public var failed: [PlacementCheck]
        /// What is missing in resources, if that is one of them.
        public var missing: ResourceQuantities

        /// Sets every field.
        public init(
            agent: AgentID, hostname: String, failed: [PlacementCheck],
            missing: ResourceQuantities
        ) {
            self.agent = agent
            self.hostname = hostname
            self.failed = failed
            self.missing = missing
        }
    }

    /// How far a top-level role is within its quota, for one resource.
    public struct QuotaState: Hashable, Sendable {
        /// The resource.
        public var name: String
        /// What the role holds or has reserved.
        public var consumed: Milli
        /// What it is promised.
        public var guarantee: Milli
        /// The most it may hold.
        public var limit: Milli?

        /// Sets every field.
        public init(name: String, consumed: Milli, guarantee: Milli, limit: Milli?) {
            self.name = name
            self.consumed = consumed
            self.guarantee = guarantee
            self.limit = limit
        }
    }

    /// Every agent the allocator knows.
    public var agents: Int
    /// What each check removes; those that remove none and fail nowhere alone are left out.
    public var steps: [Step]
    /// Agents that pass every check: an offer of one of them is made, or is about to be.
    public var fitting: Int
    /// Why nothing would be offered whatever the agents have, such as a suppressed role.
    public var obstacle: String?
    /// The agents that fail the fewest checks, best first; at most five.
    public var nearest: [NearMiss]
    /// The quota of the role, if it has one.
    public var quota: [QuotaState]
    /// The framework's dominant share of the cluster.
    public var shareMillionths: Int64
    /// The dominant share of the role.
    public var roleShareMillionths: Int64
    /// How many roles and frameworks that wait come first in the order of fairness.
    public var ahead: Int
    /// One sentence for each change that would make it fit, best first.
    public var suggestions: [String]

    /// Sets every field; what is left out has the default shown.
    public init(
        agents: Int = 0, steps: [Step] = [], fitting: Int = 0, obstacle: String? = nil,
        nearest: [NearMiss] = [], quota: [QuotaState] = [], shareMillionths: Int64 = 0,
        roleShareMillionths: Int64 = 0, ahead: Int = 0, suggestions: [String] = []
    ) {
        self.agents = agents
        self.steps = steps
        self.fitting = fitting
        self.obstacle = obstacle
        self.nearest = nearest
        self.quota = quota
        self.shareMillionths = shareMillionths
        self.roleShareMillionths = roleShareMillionths
        self.ahead = ahead
        self.suggestions = suggestions
    }
}
