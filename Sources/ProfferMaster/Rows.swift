internal import DequeModule
internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

/// A framework that the master knows.
struct FrameworkRow: Sendable {
    var id: FrameworkID
    var info: FrameworkInfo
    var peer: PeerID?
    /// The key whose owner alone is this framework; `nil` until a peer with a key uses the id.
    var publicKey: String?
    var suppressedRoles: [String] = []
    var constraints: [OfferConstraint] = []
    /// Whether it is told several updates in one event.
    var takesBatches = false
    /// What it has stated that it wants.
    var demands: [Demand] = []
    /// Whether it is offered nothing before it states what it wants.
    var awaitsDemand = false
    /// How many instances of each demand were launched since it was stated.
    var launched = LookupTable<String, Int>()
    /// The number of the next step of its stream of cluster state, if it has one.
    var watchSerial: UInt64?
    var subscribedAt: WallTime?
    var disconnectedSince: WallTime?
    var tasks: OrderedKeys<TaskID> = []
    var offers: OrderedKeys<OfferID> = []
    var executors: OrderedKeys<PlacedExecutor> = []
    /// Those of `tasks` whose agents do not answer, the longest first.
    var unreachable: OrderedKeys<TaskID> = []
    var completed: Deque<TaskSummary> = []

    var isConnected: Bool { peer != nil }
    var isPartitionAware: Bool { info.capabilities.contains(.partitionAware) }

    /// What the registry keeps of it.
    func entry(isRemoved: Bool = false) -> FrameworkEntry {
        FrameworkEntry(
            info: info, disconnectedSince: isRemoved ? nil : disconnectedSince,
            isRemoved: isRemoved, publicKey: publicKey)
    }
}

/// An executor on an agent.
struct PlacedExecutor: Hashable, Sendable {
    var agent: AgentID
    var executor: ExecutorID
}

/// A framework on an agent.
struct PlacedFramework: Hashable, Sendable {
    var agent: AgentID
    var framework: FrameworkID
}

/// An agent that the master knows.
struct AgentRow: Sendable {
    var id: AgentID
    var info: AgentInfo
    var peer: PeerID?
    /// The key whose owner alone is this agent; `nil` until a peer with a key uses the id.
    var publicKey: String?
    var state: AgentState
    var version = ""
    var registeredAt: WallTime?
    var pingNumber: UInt64 = 0
    /// So many ping intervals have passed without a word.
    var pingsMissed = 0
    var unreachableSince: WallTime?
    var isDeactivated = false
    /// The order that every task leaves it.
    var drain: DrainOrder?
    /// Tasks that were to be killed when they were declared lost, for the case that they are not.
    var owedKills: Set<TaskKey> = []
    var tasks: OrderedKeys<TaskKey> = []
    var executors: OrderedDictionary<ExecutorKey, AgentExecutor> = [:]
    /// Executors that are to end; asked for again when the agent comes back.
    var endingExecutors: OrderedSet<ExecutorKey> = []
    var offers: OrderedKeys<OfferID> = []
    var usage: AgentUsage?
    /// What it offers beyond its resources; all of it revocable.
    var oversubscribed = Resources()

    /// Whether it may still be heard of and its resources be used.
    var isRegistered: Bool {
        switch state {
        case .active, .deactivated, .disconnected: true
        case .recovered, .unreachable, .gone: false
        }
    }
}

/// A task from its launch to the acknowledgement of its end.
struct TaskRow: Sendable {
    /// The description in one piece: it is large and never changes, and rows are copied often.
    private final class Description: Sendable {
        let info: TaskInfo
        init(_ info: TaskInfo) { self.info = info }
    }

    private let description: Description
    var info: TaskInfo { description.info }
    var role: String
    var executorID: ExecutorID?
    /// The newest state known, which decides about resources.
    var state: TaskState = .staging
    /// The newest update handed to the framework; reconciliation answers with it.
    var lastStatus: TaskStatus?
    /// Updates handed to the framework, or that would have been, without an acknowledgement.
    var underWay: Deque<UpdateID> = []
    /// The update that the framework's present session has to carry first: it was under way in one
    /// that has ended.
    var awaited: UpdateID?
    /// The update that the framework acknowledged last.
    var lastAcknowledged: UpdateID?
    /// The update that brings the end; its acknowledgement ends the record.
    var endUUID: UpdateID?
    /// Whether the resources have been given back.
    var isReleased = false
    var startedAt: WallTime?
    var killPolicy: KillPolicy?
    var isKillWanted = false
    /// The demand of the offer it was launched from.
    var demandID: String?
    /// The first task of its group, when it was launched here in one.
    var groupID: TaskID?
    /// What it has to make room for.
    var preemption: UInt64?
    /// Who needed the room, once it is being killed for it.
    var preemptedFor: String?
    /// Whether only its agent knows how it was launched.
    var isLearned = false

    init(info: TaskInfo, role: String, executorID: ExecutorID?, isReleased: Bool = false) {
        description = Description(info)
        self.role = role
        self.executorID = executorID
        self.isReleased = isReleased
    }
}

/// An outstanding request to leave.
struct InverseOfferRow: Sendable {
    var inverseOffer: InverseOffer
    var madeAt: Instant
    /// What it makes room for; `nil` for maintenance.
    var preemption: UInt64?
    var response: InverseOfferResponse?
}

/// Names a demand.
struct DemandKey: Hashable, Sendable {
    var framework: FrameworkID
    var role: String
    var id: String
}

/// Tasks that make room for instances of one demand.
struct PreemptionRow: Sendable {
    enum Phase: Hashable, Sendable {
        /// Their frameworks have been told.
        case noticed
        /// They are being killed.
        case killing
        /// They have ended; what they held is being granted.
        case settled(until: Instant)
    }

    var key: DemandKey
    var agent: AgentID
    var instances: Int
    /// What one instance takes.
    var needs: ResourceQuantities
    /// Those that have not ended.
    var tasks: OrderedSet<TaskKey>
    var inverseOffers: OrderedSet<OfferID> = []
    /// Who needs the room, in words.
    var reason: String
    var phase = Phase.noticed
}

/// An outstanding offer.
struct OfferRow: Sendable {
    var offer: Offer
    var madeAt: Instant
}

/// What a master waits for.
enum MasterTimer: Hashable, Sendable {
    case offer(OfferID)
    case ping(AgentID)
    case agentReturn(AgentID)
    case failover(FrameworkID)
    case heartbeat(FrameworkID)
    case kill(TaskKey)
    /// The next step of the streams of cluster state.
    case watch
    /// A look at who cannot be served.
    case shortfalls
    /// The end of a notice.
    case preempt(UInt64)
    /// The turn of the next agent that is to be removed.
    case removal
    /// A look at agents that were lost for long.
    case collection
    /// The next part of an answer to a RECONCILE.
    case reconcile(FrameworkID)
}
