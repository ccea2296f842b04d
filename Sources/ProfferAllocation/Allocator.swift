public import ProfferKernel
public import ProfferModel

/// What an allocator needs to know of a framework.
public struct AllocatorFramework: Hashable, Sendable {
    /// Its id.
    public var id: FrameworkID
    /// The roles in which it wants offers.
    public var roles: [String]
    /// Those of them in which it wants none for now.
    public var suppressedRoles: [String]
    /// What it can cope with.
    public var capabilities: FrameworkCapabilities
    /// Per role, the least an offer must hold.
    public var minimums: [MinimumOffer]
    /// The agents it wants to hear of, per role.
    public var constraints: [OfferConstraint]
    /// Frameworks of higher priority are served first; demands have priorities of their own.
    public var priority: Int

    /// Describes a framework.
    public init(
        id: FrameworkID, roles: [String], suppressedRoles: [String] = [],
        capabilities: FrameworkCapabilities = [], minimums: [MinimumOffer] = [],
        constraints: [OfferConstraint] = [], priority: Int = 0
    ) {
        self.id = id
        self.roles = roles
        self.suppressedRoles = suppressedRoles
        self.capabilities = capabilities
        self.minimums = minimums
        self.constraints = constraints
        self.priority = priority
    }
}

/// Resources of one agent that a framework holds in one role.
public struct Allocation: Hashable, Sendable {
    /// Who holds them.
    public var framework: FrameworkID
    /// In which role.
    public var role: String
    /// Of which agent.
    public var agent: AgentID
    /// What is held.
    public var resources: Resources
    /// The demand it was granted for, if that is known.
    public var demandID: String?

    /// Describes an allocation.
    public init(
        framework: FrameworkID, role: String, agent: AgentID, resources: Resources,
        demandID: String? = nil
    ) {
        self.framework = framework
        self.role = role
        self.agent = agent
        self.resources = resources
        self.demandID = demandID
    }
}

/// Resources that the allocator gives a framework, for the master to offer.
public struct Grant: Hashable, Sendable {
    /// What is given to whom.
    public var allocation: Allocation
    /// The demand it is for, by the framework's name for it; `nil` is a classic offer of all that
    /// is free.
    public var demandID: String?
    /// How many instances of the demand it is meant for.
    public var instances: Int
    /// Set on every part of a gang.
    public var gang: GangID?

    /// Describes a grant.
    public init(
        allocation: Allocation, demandID: String? = nil, instances: Int = 0, gang: GangID? = nil
    ) {
        self.allocation = allocation
        self.demandID = demandID
        self.instances = instances
        self.gang = gang
    }
}

/// A demand, or a role's guarantee, that cannot be met from what is free.
public struct Shortfall: Hashable, Sendable {
    /// Who waits.
    public var framework: FrameworkID
    /// One instance of what it waits for; its `count` is what is missing.
    public var demand: Demand
    /// Whether its role holds less than it is guaranteed.
    public var isGuaranteed: Bool
    /// Since when.
    public var since: Instant

    /// Describes a shortfall.
    public init(framework: FrameworkID, demand: Demand, isGuaranteed: Bool, since: Instant) {
        self.framework = framework
        self.demand = demand
        self.isGuaranteed = isGuaranteed
        self.since = since
    }
}

/// What a framework is told when it has given back every offer of a role for so long that the next
/// ones come later.
public struct BackOff: Hashable, Sendable {
    /// Who.
    public var framework: FrameworkID
    /// In which role.
    public var role: String
    /// How often in a row everything came back.
    public var declines: Int
    /// How long it is offered nothing in that role.
    public var pause: Duration

    /// Describes a pause.
    public init(framework: FrameworkID, role: String, declines: Int, pause: Duration) {
        self.framework = framework
        self.role = role
        self.declines = declines
        self.pause = pause
    }
}

/// Decides who is offered what.
///
/// Pure and synchronous: the master tells it of every change and calls ``allocate(at:into:)`` a few
/// milliseconds after the first one. Resources it grants count as held, whether they are offered
/// or used, until they are given to ``recover(_:wasOffered:refuse:at:)``. Calls about frameworks
/// and agents it does not know are without effect.
///
/// A shared volume has several holders: every grant, claim and ``hold(_:)`` that contains it is one
/// more, every ``recover(_:wasOffered:refuse:at:)`` one less, and it counts once.
public protocol Allocator: Sendable {
    /// When something that it refused before may become possible, or `nil`.
    var nextDeadline: Instant? { get }

    /// Whether something has changed since the last ``allocate(at:into:)``.
    var needsAllocation: Bool { get }

    /// Takes a framework in, inactive when `isActive` is false; repeated, it replaces what it knew
    /// but keeps what is held.
    mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool)

    /// Forgets a framework. What it held must have been recovered before.
    mutating func removeFramework(_ id: FrameworkID)

    /// Stops or resumes grants; a stop also forgets what the framework refused.
    mutating func setActive(framework id: FrameworkID, _ isActive: Bool)

    /// Takes an agent in, or replaces what it knew of one; what is held there stays held.
    ///
    /// - Parameters:
    ///   - info: With its id and everything it has.
    ///   - isActive: Whether it may be offered.
    mutating func setAgent(_ info: AgentInfo, isActive: Bool)

    /// Forgets an agent and everything held there.
    mutating func removeAgent(_ id: AgentID)

    /// Stops or resumes grants of an agent.
    mutating func setActive(agent id: AgentID, _ isActive: Bool)

    /// Stops grants of an agent, and says by which check it is not to be had.
    mutating func deactivate(agent id: AgentID, because check: PlacementCheck)

    /// Notes that resources are held which this allocator has not granted, such as those of tasks
    /// on an agent that comes back.
    mutating func hold(_ allocation: Allocation)

    /// Notes that offered resources have been put to use.
    mutating func use(_ allocation: Allocation)

    /// Replaces held resources by what an operation has made of them, in the agent's total too.
    mutating func convert(_ allocation: Allocation, into resources: Resources)

    /// Takes held resources back.
    ///
    /// - Parameters:
    ///   - allocation: What is taken back; without effect when it is not held.
    ///   - wasOffered: Whether they were offered and not used.
    ///   - refuse: How long the framework does not want the same, or less, of this agent in this
    ///     role; `nil` for no refusal.
    ///   - now: The present instant.
    mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant)

    /// Ends suppression and forgets refusals, in the given roles.
    mutating func revive(_ id: FrameworkID, roles: [String])

    /// Stops grants in the given roles.
    mutating func suppress(_ id: FrameworkID, roles: [String])

    /// Sets a role's weight, in thousandths; 1000 unless set.
    mutating func setWeight(role: String, thousandths: Int64)

    /// Sets what a top-level role is promised and the most it may hold; a quota that is
    /// ``/ProfferModel/Quota/isDefault`` takes it away.
    mutating func setQuota(_ quota: Quota)

    /// Replaces what a framework wants; none makes it a classic one that gets all that is free.
    mutating func setDemands(_ id: FrameworkID, _ demands: [Demand], at now: Instant)

    /// Grants nothing until so many agents are active or the instant has come, while any role has
    /// a guarantee: after a master's restart, what looks free may be promised or held.
    mutating func awaitAgents(_ count: Int, until limit: Instant)

    /// Takes resources without an offer, all or none, by the same rules as a grant; they count as
    /// offered until they are used.
    ///
    /// - Returns: Nothing when it is done, and otherwise what stands in the way, part by part.
    mutating func claim(_ parts: [Allocation], at now: Instant) -> [ClaimConflict]

    /// Grants what can be granted now.
    mutating func allocate(at now: Instant, into grants: inout [Grant])

    /// What a framework in one of these roles could claim of an agent now.
    func free(_ id: AgentID, roles: [String]) -> Resources

    /// Whether a framework has refused these resources, or more, of an agent in a role.
    func hasRefused(_ allocation: Allocation) -> Bool

    /// Which pauses have begun since the last call, each once.
    mutating func takeBackOffs() -> [BackOff]

    /// Which agents' free resources have changed since the last call.
    mutating func takeChangedAgents() -> [AgentID]

    /// Demands and guarantees that what is free cannot meet, the most urgent first.
    func shortfalls(at now: Instant) -> [Shortfall]

    /// Why a framework gets nothing, or what it would get, by the checks that a grant passes.
    func explain(_ question: PlacementQuestion, at now: Instant) -> PlacementExplanation

    /// A framework's dominant share of the cluster, in millionths, unweighted.
    func shareMillionths(framework id: FrameworkID) -> Int64

    /// A role's dominant share of the cluster, in millionths, unweighted.
    func shareMillionths(role: String) -> Int64
}

extension Allocator {
    /// Stops grants; this allocator does not say why.
    public mutating func deactivate(agent id: AgentID, because check: PlacementCheck) {
        setActive(agent: id, false)
    }

    /// Knows no quota.
    public mutating func setQuota(_ quota: Quota) {}

    /// Knows no demand: every framework is a classic one.
    public mutating func setDemands(_ id: FrameworkID, _ demands: [Demand], at now: Instant) {}

    /// Waits for nobody.
    public mutating func awaitAgents(_ count: Int, until limit: Instant) {}

    /// Refuses every claim.
    public mutating func claim(_ parts: [Allocation], at now: Instant) -> [ClaimConflict] {
        parts.map {
            ClaimConflict(
                agentID: $0.agent, check: nil, message: "this allocator takes no claims")
        }
    }

    /// Shows nothing.
    public func free(_ id: AgentID, roles: [String]) -> Resources { Resources() }

    /// Knows of no refusal.
    public func hasRefused(_ allocation: Allocation) -> Bool { false }

    /// Shows nothing.
    public mutating func takeChangedAgents() -> [AgentID] { [] }

    /// Pauses for nobody.
    public mutating func takeBackOffs() -> [BackOff] { [] }

    /// Knows of none.
    public func shortfalls(at now: Instant) -> [Shortfall] { [] }

    /// Says that this allocator cannot say.
    public func explain(
        _ question: PlacementQuestion, at now: Instant
    ) -> PlacementExplanation {
        PlacementExplanation(obstacle: "this allocator does not explain itself")
    }
}
