public import ProfferModel

/// What a ``FrameworkDriver`` does by itself, and how.
public struct FrameworkOptions: Hashable, Sendable {
    /// Who does a part of the protocol.
    public enum Care: Hashable, Sendable {
        /// The driver.
        case automatic
        /// The policy, through its calls.
        case manual
    }

    /// Who the framework is; its id, when it has one, makes it come back instead of starting anew.
    public var info: FrameworkInfo
    /// Roles in which no offers are wanted at first.
    public var suppressedRoles: [String] = []
    /// The agents that are wanted, per role.
    public var constraints: [OfferConstraint] = []
    /// What is wanted from the beginning; `nil` makes it a classic framework until it states
    /// demand, which is offered whatever is free.
    ///
    /// An empty list says that it is going to state demand, perhaps when it has subscribed: it is
    /// offered nothing before it has.
    public var demands: [Demand]?
    /// Who acknowledges updates.
    public var acknowledgement = Care.automatic
    /// Who reconciles after a subscription and from time to time.
    public var reconciliation = Care.automatic
    /// Tasks from an earlier run that may still live, and where.
    public var knownTasks: [ReconcileTask] = []
    /// Pause between two rounds of reconciliation of everything.
    public var reconcileInterval = Duration.seconds(600)
    /// The first pause before tasks without an answer are asked about again; it doubles.
    public var reconcileFirstPause = Duration.seconds(5)
    /// The longest such pause.
    public var reconcileLastPause = Duration.seconds(60)
    /// How often a kill is repeated until the task has ended.
    public var killRepeat = Duration.seconds(10)
    /// So many missed heartbeats, and the connection counts as dead.
    public var missedHeartbeats = 5
    /// How long a stop that is to end the framework waits for a master to tell; then its tasks live
    /// on for the failover time-out.
    public var teardownPatience = Duration.seconds(30)
    /// Whether to start as a new framework when the master has removed this one.
    public var startsAnewWhenRemoved = false

    /// Describes a framework.
    public init(info: FrameworkInfo) { self.info = info }
}

/// Something worth a log line; never awaited.
public enum DriverObservation: Hashable, Sendable {
    /// The subscription holds.
    case subscribed(FrameworkID)
    /// The subscription is gone, and why.
    case disconnected(String)
    /// A call was dropped because there is no subscription.
    case dropped(call: String)
    /// An update came again and was not shown to the policy.
    case repeatedUpdate(TaskID)
    /// The master refused a change of the framework's description, and why.
    case updateRefused(String)
    /// A step of the stream of cluster state is missing; it begins anew.
    case clusterStreamBroken(after: UInt64?)
    /// So many offers of a role were given back that the next ones come after this pause.
    case backedOff(role: String, declines: Int, pause: Duration)
    /// So many tasks are being asked about.
    case reconciling(tasks: Int)
    /// The framework is to end and there is no master to tell: it waits for one, at most so long.
    case teardownWaits(Duration)
    /// The master has ended the framework.
    case ended(String)
}
