public import ProfferKernel

/// When an agent will not be available.
public struct Unavailability: Hashable, Sendable {
    /// From when.
    public var start: WallTime
    /// For how long; `nil` is for ever.
    public var duration: Duration?

    /// Sets every field; what is left out has the default shown.
    public init(
        start: WallTime,
        duration: Duration? = nil
    ) {
        self.start = start
        self.duration = duration
    }
}

/// Resources of one agent for one framework in one role.
public struct Offer: Hashable, Sendable {
    /// Unique in the cluster.
    public var id: OfferID
    /// To whom.
    public var frameworkID: FrameworkID
    /// Of which agent.
    public var agentID: AgentID
    /// The agent's host name.
    public var hostname: String
    /// The port of the agent's HTTP server.
    public var agentPort: Int
    /// Where the agent stands.
    public var domain: FaultDomain?
    /// What is offered.
    public var resources: Resources
    /// The agent's attributes.
    public var attributes: [Attribute]
    /// This framework's executors that live there.
    public var executorIDs: [ExecutorID]
    /// A planned maintenance.
    public var unavailability: Unavailability?
    /// The role the resources are allocated to.
    public var role: String
    /// The demand it was made for, if it was.
    public var demandID: String?
    /// How many instances of that demand it is meant for.
    public var instances: Int
    /// Set when it is of use only together with the others that carry the same.
    public var gang: GangID?

    /// Sets every field; what is left out has the default shown.
    public init(
        id: OfferID,
        frameworkID: FrameworkID,
        agentID: AgentID,
        hostname: String,
        agentPort: Int = 5051,
        domain: FaultDomain? = nil,
        resources: Resources,
        attributes: [Attribute] = [],
        executorIDs: [ExecutorID] = [],
        unavailability: Unavailability? = nil,
        role: String,
        demandID: String? = nil,
        instances: Int = 0,
        gang: GangID? = nil
    ) {
        self.id = id
        self.frameworkID = frameworkID
        self.agentID = agentID
        self.hostname = hostname
        self.agentPort = agentPort
        self.domain = domain
        self.resources = resources
        self.attributes = attributes
        self.executorIDs = executorIDs
        self.unavailability = unavailability
        self.role = role
        self.demandID = demandID
        self.instances = instances
        self.gang = gang
    }
}

/// A request to leave an agent before it becomes unavailable.
public struct InverseOffer: Hashable, Sendable {
    /// Unique in the cluster.
    public var id: OfferID
    /// To whom.
    public var frameworkID: FrameworkID
    /// Which agent.
    public var agentID: AgentID?
    /// When.
    public var unavailability: Unavailability
    /// What is wanted back; empty for maintenance.
    public var resources: Resources
    /// Tasks that will be killed when the unavailability starts, to make room for others; empty for
    /// maintenance.
    public var tasks: [TaskID]

    /// Sets every field; what is left out has the default shown.
    public init(
        id: OfferID,
        frameworkID: FrameworkID,
        agentID: AgentID? = nil,
        unavailability: Unavailability,
        resources: Resources = Resources(),
        tasks: [TaskID] = []
    ) {
        self.id = id
        self.frameworkID = frameworkID
        self.agentID = agentID
        self.unavailability = unavailability
        self.resources = resources
        self.tasks = tasks
    }
}

/// What a framework wants to happen with the rest of an offer.
public struct Filters: Hashable, Sendable {
    /// How long the same resources are not to be offered again.
    ///
    /// `nil` is 5 seconds, zero is no filter.
    public var refuse: Duration?

    /// Sets every field; what is left out has the default shown.
    public init(
        refuse: Duration? = nil
    ) {
        self.refuse = refuse
    }
}

/// One operation of an ACCEPT.
public struct Operation: Hashable, Sendable {
    /// Set when the framework wants to hear of the outcome.
    public var id: OperationID?
    /// What is to happen.
    public var action: Action

    /// Sets every field; what is left out has the default shown.
    public init(
        id: OperationID? = nil,
        action: Action
    ) {
        self.id = id
        self.action = action
    }

    /// What is to happen with offered resources.
    public enum Action: Hashable, Sendable {
        /// Launches tasks, each by itself.
        case launch([TaskInfo])
        /// Launches tasks, all or none, in one executor.
        case launchGroup(executor: ExecutorInfo, tasks: [TaskInfo])
        /// Adds the last entry of each resource's reservation stack. `source` is what the resources
        /// are made of when that is reserved in another way; only operators may give one.
        case reserve(Resources, source: Resources = Resources())
        /// Takes the last entry of each resource's reservation stack off.
        case unreserve(Resources)
        /// Turns reserved disk into persistent volumes.
        case create(Resources)
        /// Turns persistent volumes back into reserved disk.
        case destroy(Resources)
        /// Enlarges a volume.
        case grow(volume: Resource, addition: Resource)
        /// Makes a volume smaller, in mebibytes.
        case shrink(volume: Resource, subtraction: Milli)
    }
}

/// A condition on one attribute of an agent.
public struct AttributeConstraint: Hashable, Sendable {
    /// Which attribute.
    public var selector: Selector
    /// What must hold.
    public var predicate: Predicate

    /// Sets every field; what is left out has the default shown.
    public init(
        selector: Selector,
        predicate: Predicate
    ) {
        self.selector = selector
        self.predicate = predicate
    }

    /// Which attribute is looked at.
    public enum Selector: Hashable, Sendable {
        /// The agent's host name.
        case hostname
        /// Its region.
        case region
        /// Its zone.
        case zone
        /// The first attribute with this name.
        case attribute(String)
    }

    /// What must hold.
    ///
    /// Text predicates hold for attributes that are not text.
    public enum Predicate: Hashable, Sendable {
        /// It is there.
        case exists
        /// It is not there.
        case notExists
        /// It is this text.
        case textEquals(String)
        /// It is another text.
        case textNotEquals(String)
        /// The whole text matches this regular expression, as `TextPattern` knows them.
        case textMatches(String)
        /// The whole text does not match this regular expression, as `TextPattern` knows them.
        case textNotMatches(String)
    }
}

/// The agents a framework wants to hear of in one role: any group whose every constraint holds.
public struct OfferConstraint: Hashable, Sendable {
    /// The role.
    public var role: String
    /// Alternatives; each is a conjunction.
    public var groups: [[AttributeConstraint]]

    /// Sets every field; what is left out has the default shown.
    public init(
        role: String,
        groups: [[AttributeConstraint]] = []
    ) {
        self.role = role
        self.groups = groups
    }
}
