public import ProfferKernel

/// What an operator asks or orders.
public enum OperatorCall: Hashable, Sendable {
    /// Every agent.
    case agents
    /// Every framework.
    case frameworks
    /// Every role.
    case roles
    /// Every outstanding offer.
    case offers
    /// Tasks of one framework, or of all.
    case tasks(FrameworkID?)
    /// Counts of everything.
    case summary
    /// Kills a task.
    case kill(TaskKey)
    /// Ends a framework.
    case teardown(FrameworkID)
    /// Sets a role's weight, in thousandths.
    case setWeight(role: String, thousandths: Int64)
    /// Every role with a quota.
    case quotas
    /// Sets the quotas of top-level roles, all or none; forced, it may promise more than there is
    /// and limit a role to less than it holds.
    case setQuotas([Quota], isForced: Bool)
    /// Asks why something gets nothing.
    case why(PlacementQuestion)
    /// Asks why the tasks that a framework demands wait.
    case whyFramework(FrameworkID)
    /// Every request to leave an agent that holds.
    case inverseOffers
    /// Reserves what nobody uses of an agent: the resources carry the reservations to be. With a
    /// source, that is what they are made of, which is reserved in another way so far.
    case reserve(AgentID, Resources, source: Resources)
    /// Takes the last reservation off what nobody uses of an agent.
    case unreserve(AgentID, Resources)
    /// The hosts whose agents may be offered.
    case whitelist
    /// Sets the hosts whose agents may be offered; `nil` is every host, an empty list none.
    case setWhitelist([String]?)
    /// Sets the highest priority that may be used in a role and those below it; `nil` is no limit.
    case setPriorityLimit(role: String, Int?)
    /// Declares that an agent will never come back: its tasks are gone, and it is told to end
    /// should it come back all the same.
    case markAgentGone(AgentID)
    /// Kills every task of an agent and offers nothing of it.
    case drainAgent(AgentID, maxGrace: Duration?, marksGone: Bool)
    /// Offers nothing of an agent; what runs there stays.
    case deactivateAgent(AgentID)
    /// Ends a drain or deactivation.
    case reactivateAgent(AgentID)
    /// Which machines are to be left, and which are down.
    case maintenanceStatus
    /// Which machines are planned to be unavailable.
    case maintenanceSchedule
    /// Replaces the whole plan.
    case setMaintenanceSchedule([MaintenanceWindow])
    /// Takes machines of the plan down: their agents are removed and not let in again.
    case startMaintenance([MachineID])
    /// Lets machines that are down be used again, and takes them off the plan.
    case stopMaintenance([MachineID])
    /// Gives the id of an agent to another key; `nil` is the first that uses it.
    case rebindAgent(AgentID, publicKey: String?)
    /// Gives the id of a framework to another key; `nil` is the first that uses it.
    case rebindFramework(FrameworkID, publicKey: String?)
}

/// The demand of a framework and why it waits, as an operator sees it.
public struct DemandSummary: Hashable, Sendable {
    /// What is wanted; its `count` is what is missing still.
    public var demand: Demand
    /// Since when, if it waits.
    public var waitingSince: WallTime?
    /// Why.
    public var explanation: PlacementExplanation

    /// Sets every field.
    public init(
        demand: Demand, waitingSince: WallTime?, explanation: PlacementExplanation
    ) {
        self.demand = demand
        self.waitingSince = waitingSince
        self.explanation = explanation
    }
}

/// A quota and how far it is used, as an operator sees it.
public struct QuotaSummary: Hashable, Sendable {
    /// The quota.
    public var quota: Quota
    /// What the role holds or has reserved, offers left out.
    public var consumed: ResourceQuantities

    /// Sets every field.
    public init(quota: Quota, consumed: ResourceQuantities) {
        self.quota = quota
        self.consumed = consumed
    }
}

/// What a framework has said to a request to leave; it binds nobody.
public enum InverseOfferResponse: Hashable, Sendable {
    /// It agreed.
    case accepted(at: WallTime)
    /// It did not agree.
    case declined(at: WallTime)
}

/// A request to leave, as an operator sees it.
public struct InverseOfferSummary: Hashable, Sendable {
    /// The request.
    public var inverseOffer: InverseOffer
    /// How long it is known.
    public var age: Duration
    /// Who needs the room.
    public var reason: String
    /// What its framework has said, if anything.
    public var response: InverseOfferResponse?

    /// Sets every field.
    public init(
        inverseOffer: InverseOffer, age: Duration, reason: String, response: InverseOfferResponse?
    ) {
        self.inverseOffer = inverseOffer
        self.age = age
        self.reason = reason
        self.response = response
    }
}

/// The answer to an ``OperatorCall``.
public enum OperatorAnswer: Hashable, Sendable {
    /// To `agents`.
    case agents([AgentSummary])
    /// To `frameworks`.
    case frameworks([FrameworkSummary])
    /// To `roles`.
    case roles([RoleSummary])
    /// To `offers`.
    case offers([OfferSummary])
    /// To `tasks`.
    case tasks([TaskSummary])
    /// To `summary`.
    case summary(ClusterSummary)
    /// To `quotas`.
    case quotas([QuotaSummary])
    /// To `why`.
    case why(PlacementExplanation)
    /// To `whyFramework`: each demand, or for a classic framework one for each role.
    case demands([DemandSummary])
    /// To `inverseOffers`.
    case inverseOffers([InverseOfferSummary])
    /// To `whitelist`: in the order of their names, `nil` for every host.
    case whitelist([String]?)
    /// To `maintenanceStatus`.
    case maintenanceStatus(MaintenanceStatus)
    /// To `maintenanceSchedule`.
    case maintenanceSchedule([MaintenanceWindow])
    /// The order is carried out.
    case done
    /// There is no such thing.
    case notFound(String)
    /// It cannot be done, and why.
    case refused(String)
}

/// What an agent is to the master now.
public enum AgentState: String, Hashable, Sendable, CaseIterable {
    /// Connected and offered.
    case active
    /// Connected, not offered.
    case deactivated
    /// Its connection is broken; it is expected back.
    case disconnected
    /// Known from the registry, not seen yet.
    case recovered
    /// It has not answered for long.
    case unreachable
    /// Declared gone by the operator.
    case gone
}

/// An agent as an operator sees it.
public struct AgentSummary: Hashable, Sendable {
    /// The agent, with its id.
    public var info: AgentInfo
    /// What it is to the master.
    public var state: AgentState
    /// What it has.
    public var total: Resources
    /// What tasks and executors hold.
    public var allocated: Resources
    /// What is offered.
    public var offered: Resources
    /// What it offers beyond that because it is not used; all of it revocable.
    public var oversubscribed: Resources
    /// Its version.
    public var version: String
    /// When it joined.
    public var registeredAt: WallTime?
    /// Its live tasks.
    public var tasks: Int
    /// What it uses.
    public var usage: AgentUsage?
    /// The order to leave it, if there is one.
    public var drain: DrainOrder?
    /// When it will not be available, if that is planned.
    public var unavailability: Unavailability?

    /// Sets every field; what is left out has the default shown.
    public init(
        info: AgentInfo,
        state: AgentState,
        total: Resources = Resources(),
        allocated: Resources = Resources(),
        offered: Resources = Resources(),
        oversubscribed: Resources = Resources(),
        version: String = "",
        registeredAt: WallTime? = nil,
        tasks: Int = 0,
        usage: AgentUsage? = nil,
        drain: DrainOrder? = nil,
        unavailability: Unavailability? = nil
    ) {
        self.info = info
        self.state = state
        self.total = total
        self.allocated = allocated
        self.offered = offered
        self.oversubscribed = oversubscribed
        self.version = version
        self.registeredAt = registeredAt
        self.tasks = tasks
        self.usage = usage
        self.drain = drain
        self.unavailability = unavailability
    }
}

/// A framework as an operator sees it.
public struct FrameworkSummary: Hashable, Sendable {
    /// The framework, with its id.
    public var info: FrameworkInfo
    /// Whether it has a subscription.
    public var isConnected: Bool
    /// Whether it gets offers.
    public var isActive: Bool
    /// Whether it has ended.
    public var isRemoved: Bool
    /// When it subscribed last.
    public var subscribedAt: WallTime?
    /// Roles without offers.
    public var suppressedRoles: [String]
    /// What its tasks and executors hold.
    public var allocated: Resources
    /// What it is offered.
    public var offered: Resources
    /// Its live tasks.
    public var tasks: Int
    /// Its outstanding offers.
    public var offers: Int
    /// Its dominant share of the cluster.
    public var shareMillionths: Int64

    /// Sets every field; what is left out has the default shown.
    public init(
        info: FrameworkInfo,
        isConnected: Bool,
        isActive: Bool,
        isRemoved: Bool = false,
        subscribedAt: WallTime? = nil,
        suppressedRoles: [String] = [],
        allocated: Resources = Resources(),
        offered: Resources = Resources(),
        tasks: Int = 0,
        offers: Int = 0,
        shareMillionths: Int64 = 0
    ) {
        self.info = info
        self.isConnected = isConnected
        self.isActive = isActive
        self.isRemoved = isRemoved
        self.subscribedAt = subscribedAt
        self.suppressedRoles = suppressedRoles
        self.allocated = allocated
        self.offered = offered
        self.tasks = tasks
        self.offers = offers
        self.shareMillionths = shareMillionths
    }
}

/// A role as an operator sees it.
public struct RoleSummary: Hashable, Sendable {
    /// The role.
    public var name: String
    /// Its weight.
    public var weightThousandths: Int64
    /// Who subscribes in it.
    public var frameworks: [FrameworkID]
    /// What its tasks, executors and offers hold.
    public var allocated: Resources
    /// Its dominant share of the cluster, unweighted.
    public var shareMillionths: Int64
    /// The highest priority that may be used in it, if one was set for it or a role above it.
    public var priorityLimit: Int?

    /// Sets every field; what is left out has the default shown.
    public init(
        name: String,
        weightThousandths: Int64 = 1000,
        frameworks: [FrameworkID] = [],
        allocated: Resources = Resources(),
        shareMillionths: Int64 = 0,
        priorityLimit: Int? = nil
    ) {
        self.name = name
        self.weightThousandths = weightThousandths
        self.frameworks = frameworks
        self.allocated = allocated
        self.shareMillionths = shareMillionths
        self.priorityLimit = priorityLimit
    }
}

/// An outstanding offer as an operator sees it.
public struct OfferSummary: Hashable, Sendable {
    /// The offer.
    public var offer: Offer
    /// How long it is held.
    public var age: Duration

    /// Sets every field; what is left out has the default shown.
    public init(
        offer: Offer,
        age: Duration = .zero
    ) {
        self.offer = offer
        self.age = age
    }
}

/// A task as an operator sees it.
public struct TaskSummary: Hashable, Sendable {
    /// The task.
    public var key: TaskKey
    /// For people.
    public var name: String
    /// The role its resources are allocated to.
    public var role: String
    /// Where it runs.
    public var agentID: AgentID?
    /// That agent's host name.
    public var hostname: String?
    /// Who runs it.
    public var executorID: ExecutorID?
    /// Its newest state.
    public var state: TaskState
    /// What it holds.
    public var resources: Resources
    /// Free text.
    public var labels: [Label]
    /// How others find it.
    public var discovery: DiscoveryInfo?
    /// The newest update.
    public var lastStatus: TaskStatus?
    /// When it began to run.
    public var startedAt: WallTime?

    /// Sets every field; what is left out has the default shown.
    public init(
        key: TaskKey,
        name: String,
        role: String,
        agentID: AgentID? = nil,
        hostname: String? = nil,
        executorID: ExecutorID? = nil,
        state: TaskState,
        resources: Resources = Resources(),
        labels: [Label] = [],
        discovery: DiscoveryInfo? = nil,
        lastStatus: TaskStatus? = nil,
        startedAt: WallTime? = nil
    ) {
        self.key = key
        self.name = name
        self.role = role
        self.agentID = agentID
        self.hostname = hostname
        self.executorID = executorID
        self.state = state
        self.resources = resources
        self.labels = labels
        self.discovery = discovery
        self.lastStatus = lastStatus
        self.startedAt = startedAt
    }
}

/// Counts of everything.
public struct ClusterSummary: Hashable, Sendable {
    /// The master.
    public var master: MasterInfo
    /// When this master started.
    public var startedAt: WallTime
    /// The state of each agent.
    public var agents: [AgentState]
    /// Frameworks with a subscription.
    public var frameworksConnected: Int
    /// Frameworks without one.
    public var frameworksDisconnected: Int
    /// Offers that are not answered.
    public var offersOutstanding: Int
    /// The state of each live or unacknowledged task.
    public var tasks: [TaskState]
    /// What active agents have.
    public var total: Resources
    /// What tasks and executors hold.
    public var allocated: Resources
    /// What is offered.
    public var offered: Resources
    /// What agents offer beyond that because it is not used; all of it revocable.
    public var oversubscribed: Resources
    /// What the nodes of agents use: `cpus` of all processes in the interval before their newest
    /// report, `mem` and `disk` in MiB.
    public var used: Resources

    /// Sets every field; what is left out has the default shown.
    public init(
        master: MasterInfo,
        startedAt: WallTime,
        agents: [AgentState] = [],
        frameworksConnected: Int = 0,
        frameworksDisconnected: Int = 0,
        offersOutstanding: Int = 0,
        tasks: [TaskState] = [],
        total: Resources = Resources(),
        allocated: Resources = Resources(),
        offered: Resources = Resources(),
        oversubscribed: Resources = Resources(),
        used: Resources = Resources()
    ) {
        self.master = master
        self.startedAt = startedAt
        self.agents = agents
        self.frameworksConnected = frameworksConnected
        self.frameworksDisconnected = frameworksDisconnected
        self.offersOutstanding = offersOutstanding
        self.tasks = tasks
        self.total = total
        self.allocated = allocated
        self.offered = offered
        self.oversubscribed = oversubscribed
        self.used = used
    }
}

/// Something that happened in the cluster, for subscribers of the event stream.
public enum ClusterEvent: Hashable, Sendable {
    /// An agent joined, or changed its state.
    case agent(AgentID, hostname: String, AgentState)
    /// A framework subscribed, disconnected or ended.
    case framework(FrameworkID, name: String, isConnected: Bool, isRemoved: Bool)
    /// A task was launched or changed its state.
    case task(TaskKey, name: String, agent: AgentID?, TaskState, message: String?)
    /// An offer was made.
    case offered(OfferID, FrameworkID, AgentID, Resources)
    /// An offer ended.
    case offerEnded(OfferID, OfferEnd)
}

/// How an offer ended.
public enum OfferEnd: String, Hashable, Sendable, CaseIterable {
    /// Accepted.
    case accepted
    /// Declined.
    case declined
    /// Taken back: its agent or role is not available any more.
    case rescinded
    /// Taken back: it was held too long.
    case timedOut
    /// Void: its framework subscribed anew, disconnected or ended.
    case discarded
}

/// Ties an answer to its question.
public struct QueryID: Hashable, Sendable {
    /// Unique within the process.
    public var value: UInt64

    /// Names a question by its number.
    public init(value: UInt64) { self.value = value }
}
