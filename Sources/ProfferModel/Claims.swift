/// One agent of a claim: resources that a framework takes without having been offered them.
public struct ClaimPart: Hashable, Sendable {
    /// Of which agent.
    public var agentID: AgentID
    /// In which role.
    public var role: String
    /// What is claimed.
    public var resources: Resources
    /// What is done with them; what is left over is given back.
    public var operations: [Operation]

    /// Sets every field; what is left out has the default shown.
    public init(
        agentID: AgentID, role: String, resources: Resources, operations: [Operation] = []
    ) {
        self.agentID = agentID
        self.role = role
        self.resources = resources
        self.operations = operations
    }
}

/// Resources of several agents, wanted at once: committed whole against the present state or not
/// at all.
public struct Claim: Hashable, Sendable {
    /// The framework's name for it; the answer carries it.
    public var id: String
    /// The parts; an agent and role may occur once.
    public var parts: [ClaimPart]

    /// Sets every field.
    public init(id: String, parts: [ClaimPart]) {
        self.id = id
        self.parts = parts
    }
}

/// Why one part of a claim cannot be had.
public struct ClaimConflict: Hashable, Sendable {
    /// Of which agent.
    public var agentID: AgentID
    /// The check that failed; `nil` when the part itself is wrong.
    public var check: PlacementCheck?
    /// In words.
    public var message: String
    /// What the role could have of that agent now.
    public var available: Resources

    /// Sets every field; what is left out has the default shown.
    public init(
        agentID: AgentID, check: PlacementCheck?, message: String,
        available: Resources = Resources()
    ) {
        self.agentID = agentID
        self.check = check
        self.message = message
        self.available = available
    }
}

/// What became of a claim.
public enum ClaimOutcome: Hashable, Sendable {
    /// All of it is the framework's.
    case committed
    /// None of it is, and what changed.
    case conflict([ClaimConflict])
}

/// An agent as a framework that watches the cluster sees it.
public struct AgentView: Hashable, Sendable {
    /// The agent.
    public var id: AgentID
    /// Its host name.
    public var hostname: String
    /// Its attributes.
    public var attributes: [Attribute]
    /// Where it stands.
    public var domain: FaultDomain?
    /// What is neither used nor offered to anybody and could be claimed in one of the watcher's
    /// roles.
    public var free: Resources

    /// Sets every field; what is left out has the default shown.
    public init(
        id: AgentID, hostname: String, attributes: [Attribute] = [],
        domain: FaultDomain? = nil, free: Resources = Resources()
    ) {
        self.id = id
        self.hostname = hostname
        self.attributes = attributes
        self.domain = domain
        self.free = free
    }
}

/// A step of the stream of cluster state: everything, or what has changed since the step before.
public struct ClusterState: Hashable, Sendable {
    /// Rises by one with each step of a stream; a gap means that the stream has to begin anew.
    public var serial: UInt64
    /// Whether what was known before is void.
    public var isSnapshot: Bool
    /// Whether the state is complete with this step; a large snapshot comes in several.
    public var isComplete: Bool
    /// New and changed agents.
    public var agents: [AgentView]
    /// Agents that are not there any more.
    public var removed: [AgentID]

    /// Sets every field; what is left out has the default shown.
    public init(
        serial: UInt64, isSnapshot: Bool, isComplete: Bool = true, agents: [AgentView] = [],
        removed: [AgentID] = []
    ) {
        self.serial = serial
        self.isSnapshot = isSnapshot
        self.isComplete = isComplete
        self.agents = agents
        self.removed = removed
    }
}
