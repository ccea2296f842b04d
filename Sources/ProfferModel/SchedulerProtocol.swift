/// The body of SUBSCRIBE and UPDATE_FRAMEWORK.
public struct Subscription: Hashable, Sendable {
    /// Who it is; its id is set when it comes back.
    public var framework: FrameworkInfo
    /// Roles in which no offers are wanted now.
    public var suppressedRoles: [String]
    /// The agents that are wanted, per role.
    public var constraints: [OfferConstraint]
    /// Of SUBSCRIBE, what is wanted from the beginning; `nil` makes it a classic framework that is
    /// offered whatever is free.
    ///
    /// A framework that gives an empty list is going to state its demand, and is offered nothing
    /// before it has. UPDATE_FRAMEWORK leaves demand as it is.
    public var demands: [Demand]?
    /// Whether several updates may be told in one event.
    public var takesBatches: Bool

    /// Sets every field; what is left out has the default shown.
    public init(
        framework: FrameworkInfo,
        suppressedRoles: [String] = [],
        constraints: [OfferConstraint] = [],
        demands: [Demand]? = nil,
        takesBatches: Bool = false
    ) {
        self.framework = framework
        self.suppressedRoles = suppressedRoles
        self.constraints = constraints
        self.demands = demands
        self.takesBatches = takesBatches
    }
}

/// One task of a RECONCILE.
public struct ReconcileTask: Hashable, Sendable {
    /// The task.
    public var taskID: TaskID
    /// Where the framework believes it to be.
    public var agentID: AgentID?

    /// Sets every field; what is left out has the default shown.
    public init(
        taskID: TaskID,
        agentID: AgentID? = nil
    ) {
        self.taskID = taskID
        self.agentID = agentID
    }
}

/// One operation of a RECONCILE_OPERATIONS.
public struct ReconcileOperation: Hashable, Sendable {
    /// The operation.
    public var operationID: OperationID
    /// Where the framework believes it to be.
    public var agentID: AgentID?

    /// Sets every field; what is left out has the default shown.
    public init(
        operationID: OperationID,
        agentID: AgentID? = nil
    ) {
        self.operationID = operationID
        self.agentID = agentID
    }
}

/// One wish of a REQUEST: resources, wherever `agentID` is absent.
public struct ResourceRequest: Hashable, Sendable {
    /// On which agent.
    public var agentID: AgentID?
    /// What is wanted.
    public var resources: Resources

    /// Sets every field; what is left out has the default shown.
    public init(
        agentID: AgentID? = nil,
        resources: Resources
    ) {
        self.agentID = agentID
        self.resources = resources
    }
}

/// One agent's part of an acceptance of several.
public struct OfferAcceptance: Hashable, Sendable {
    /// Offers of one agent and role.
    public var offers: [OfferID]
    /// What is done with them.
    public var operations: [Operation]

    /// Sets every field.
    public init(offers: [OfferID], operations: [Operation]) {
        self.offers = offers
        self.operations = operations
    }
}

/// What a framework says to the master.
public enum SchedulerCall: Hashable, Sendable {
    /// Wants offers from now on. The newest subscriber with an id wins.
    case subscribe(Subscription)
    /// Ends the framework: every task and executor is killed.
    case teardown
    /// Uses offers of one agent and role; the rest is declined with the filters.
    case accept(offers: [OfferID], operations: [Operation], filters: Filters?)
    /// Gives offers back.
    case decline(offers: [OfferID], filters: Filters?)
    /// Agrees to leave.
    case acceptInverseOffers([OfferID], filters: Filters?)
    /// Does not agree to leave.
    case declineInverseOffers([OfferID], filters: Filters?)
    /// Ends suppression and filters; an empty list means every role.
    case revive(roles: [String])
    /// Stops offers; an empty list means every role.
    case suppress(roles: [String])
    /// Kills a task.
    case kill(TaskID, agent: AgentID?, policy: KillPolicy?)
    /// Stops an executor and its tasks.
    case shutdown(ExecutorID, agent: AgentID)
    /// Has taken note of an update that carried this uuid.
    case acknowledge(TaskID, agent: AgentID, uuid: UpdateID)
    /// Asks for the state of tasks; an empty list means all of them.
    case reconcile([ReconcileTask])
    /// Sends bytes to an executor, at most once.
    case message(agent: AgentID, executor: ExecutorID, data: [UInt8])
    /// States what it would like to be offered.
    case request([ResourceRequest])
    /// Has taken note of an operation's status that carried this uuid.
    case acknowledgeOperation(OperationID, agent: AgentID?, uuid: UpdateID)
    /// Asks for the state of operations; an empty list means all of them.
    case reconcileOperations([ReconcileOperation])
    /// Replaces its description, suppression and constraints.
    case updateFramework(Subscription)
    /// States what it wants from now on, in place of everything it stated before; an empty list
    /// makes it a classic framework that is offered whatever is free.
    case demand([Demand])
    /// Uses offers of several agents, all parts or none.
    case acceptTogether([OfferAcceptance], filters: Filters?)
    /// Takes resources that it has not been offered.
    case claim(Claim)
    /// Begins the stream of cluster state anew, or ends it.
    case watchCluster(Bool)

    /// The wire name, such as `ACCEPT`.
    public var name: String {
        switch self {
        case .subscribe: "SUBSCRIBE"
        case .teardown: "TEARDOWN"
        case .accept: "ACCEPT"
        case .decline: "DECLINE"
        case .acceptInverseOffers: "ACCEPT_INVERSE_OFFERS"
        case .declineInverseOffers: "DECLINE_INVERSE_OFFERS"
        case .revive: "REVIVE"
        case .suppress: "SUPPRESS"
        case .kill: "KILL"
        case .shutdown: "SHUTDOWN"
        case .acknowledge: "ACKNOWLEDGE"
        case .reconcile: "RECONCILE"
        case .message: "MESSAGE"
        case .request: "REQUEST"
        case .acknowledgeOperation: "ACKNOWLEDGE_OPERATION_STATUS"
        case .reconcileOperations: "RECONCILE_OPERATIONS"
        case .updateFramework: "UPDATE_FRAMEWORK"
        case .demand: "DEMAND"
        case .acceptTogether: "ACCEPT_TOGETHER"
        case .claim: "CLAIM"
        case .watchCluster: "WATCH_CLUSTER"
        }
    }
}

/// A call with the framework that makes it.
public struct FrameworkCall: Hashable, Sendable {
    /// Absent only in the first SUBSCRIBE.
    public var frameworkID: FrameworkID?
    /// What it says.
    public var call: SchedulerCall

    /// Sets every field; what is left out has the default shown.
    public init(
        frameworkID: FrameworkID? = nil,
        call: SchedulerCall
    ) {
        self.frameworkID = frameworkID
        self.call = call
    }
}

/// Who the master is.
public struct MasterInfo: Hashable, Sendable {
    /// Unique per start of a master.
    public var id: String
    /// Its host.
    public var hostname: String
    /// The port of its HTTP server.
    public var port: Int
    /// Its version.
    public var version: String
    /// The name of the cluster, for people.
    public var clusterName: String?
    /// Where it is, if that was said: its region is that of the cluster.
    public var domain: FaultDomain?

    /// Sets every field; what is left out has the default shown.
    public init(
        id: String,
        hostname: String,
        port: Int = 5050,
        version: String,
        clusterName: String? = nil,
        domain: FaultDomain? = nil
    ) {
        self.id = id
        self.hostname = hostname
        self.port = port
        self.version = version
        self.clusterName = clusterName
        self.domain = domain
    }
}

/// The state of an offer operation, numbered as on the wire.
public enum OperationState: Int, CaseIterable, Hashable, Sendable {
    /// Not known to this version.
    case unsupported = 0
    /// Under way.
    case pending = 1
    /// Done.
    case finished = 2
    /// Tried and failed.
    case failed = 3
    /// Refused.
    case error = 4
    /// Never reached the agent.
    case dropped = 5
    /// Its agent does not answer.
    case unreachable = 6
    /// Its agent was declared gone.
    case goneByOperator = 7
    /// Its agent is expected back.
    case recovering = 8
    /// Never heard of.
    case unknown = 9
}

/// What is known of an offer operation.
public struct OperationStatus: Hashable, Sendable {
    /// The framework's name for it.
    public var operationID: OperationID?
    /// Its state.
    public var state: OperationState
    /// For people.
    public var message: String?
    /// What it made.
    public var convertedResources: Resources
    /// Names the update; without one it must not be acknowledged.
    public var uuid: UpdateID?
    /// Where.
    public var agentID: AgentID?

    /// Sets every field; what is left out has the default shown.
    public init(
        operationID: OperationID? = nil,
        state: OperationState,
        message: String? = nil,
        convertedResources: Resources = Resources(),
        uuid: UpdateID? = nil,
        agentID: AgentID? = nil
    ) {
        self.operationID = operationID
        self.state = state
        self.message = message
        self.convertedResources = convertedResources
        self.uuid = uuid
        self.agentID = agentID
    }
}

/// What the master says to a framework.
public enum SchedulerEvent: Hashable, Sendable {
    /// The subscription holds; offers made before are void.
    case subscribed(FrameworkID, heartbeatInterval: Duration, master: MasterInfo)
    /// New offers.
    case offers([Offer])
    /// Requests to leave agents.
    case inverseOffers([InverseOffer])
    /// An offer is void.
    case rescind(OfferID)
    /// An inverse offer is void.
    case rescindInverseOffer(OfferID)
    /// News of a task; to be acknowledged if and only if it carries a uuid.
    case update(TaskStatus)
    /// Several of these, in order; only for those who said that they take them.
    case updates([TaskStatus])
    /// News of an operation; to be acknowledged if and only if it carries a uuid.
    case updateOperation(OperationStatus)
    /// Bytes from an executor.
    case message(agent: AgentID, executor: ExecutorID, data: [UInt8])
    /// An agent was lost (no executor), or an executor ended with this wait status.
    case failure(agent: AgentID?, executor: ExecutorID?, status: Int?)
    /// An UPDATE_FRAMEWORK was taken over or, when there is a problem, changed nothing; one answer
    /// to each, in order.
    case updateFrameworkAnswer(problem: String?)
    /// A DEMAND has changed nothing, and why: what was stated before holds on.
    case demandRefused(problem: String)
    /// What became of a claim.
    case claimAnswer(id: String, ClaimOutcome)
    /// A step of the stream of cluster state.
    case cluster(ClusterState)
    /// It has given back every offer of a role for so long that the next ones come later: REVIVE,
    /// a demand or the use of an offer end that.
    case backedOff(role: String, declines: Int, pause: Duration)
    /// The subscription has ended; nothing follows.
    case error(String)
    /// The master is alive.
    case heartbeat
}

/// What the native protocol adds to an update: where it stands in the agent's queue.
public struct UpdatePosition: Hashable, Sendable {
    /// The newest state the agent knows, which may not have been sent yet.
    public var latestState: TaskState
    /// The update that brought it.
    public var latestUUID: UpdateID?

    /// Sets every field; what is left out has the default shown.
    public init(
        latestState: TaskState,
        latestUUID: UpdateID? = nil
    ) {
        self.latestState = latestState
        self.latestUUID = latestUUID
    }
}
