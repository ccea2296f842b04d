public import ProfferKernel
public import ProfferModel

/// The decisions of a framework, as a deterministic state machine around which a
/// ``FrameworkDriver`` does the protocol.
///
/// A policy sees offers and updates and answers with calls. It needs no clock, thread or socket,
/// so the same value runs against a real master, in an embedded cluster and in the simulator.
public protocol FrameworkPolicy: Sendable {
    /// What the policy's own users can ask of it (a REST request, a command); `Never` when nothing.
    associatedtype Command: Sendable = Never
    /// What the policy asks of its own shell (keep this, answer that); `Never` when nothing.
    associatedtype Output: Sendable = Never

    /// When ``wake(at:into:)`` is next due, or `nil`.
    var nextDeadline: Instant? { get }

    /// Takes one happening to completion.
    ///
    /// An update has been taken note of when this returns: the driver acknowledges it then, after
    /// every output of the same call has been carried out.
    mutating func handle(
        _ happening: Happening<Command>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>)

    /// Lets everything happen that is due at `now`. Calling it early is harmless.
    mutating func wake(at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>)
}

extension FrameworkPolicy {
    /// No timer.
    public var nextDeadline: Instant? { nil }

    /// Nothing to do.
    public mutating func wake(
        at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>
    ) {}
}

/// What can happen to a framework.
public enum Happening<Command: Sendable>: Sendable {
    /// The subscription holds. Offers from before are void; tasks live on.
    case subscribed(FrameworkID, master: MasterInfo)
    /// There is no subscription now; the driver is trying to get one. Offers are void.
    case disconnected
    /// New offers, to be accepted or declined.
    case offers([Offer])
    /// An offer is void.
    case rescinded(OfferID)
    /// News of a task. The driver has removed repetitions and acknowledges it afterwards.
    case update(TaskStatus)
    /// Bytes from an executor.
    case message(agent: AgentID, executor: ExecutorID, data: [UInt8])
    /// An agent was lost (no executor), or an executor ended with this wait status.
    case failure(agent: AgentID?, executor: ExecutorID?, status: Int?)
    /// A request to leave an agent; or, when it names tasks, the news that these will be killed to
    /// make room for others.
    case inverseOffers([InverseOffer])
    /// An inverse offer is void.
    case inverseRescinded(OfferID)
    /// News of an offer operation; the driver acknowledges it afterwards.
    case operation(OperationStatus)
    /// What became of a claim. A claim that was made without a subscription is answered too, with a
    /// conflict for each part; one that was under way when the subscription ended is not, and
    /// reconciliation tells what became of its tasks.
    case claimAnswer(id: String, ClaimOutcome)
    /// A step of the stream of cluster state. The driver begins the stream anew after a new
    /// subscription and when a step is missing, so that the steps always follow each other.
    case cluster(ClusterState)
    /// So many offers of a role have been given back without a use that the next ones come later,
    /// after this pause. REVIVE, a demand or the use of an offer end that.
    case backedOff(role: String, declines: Int, pause: Duration)
    /// A change of the framework's description was refused, and why; what it was before holds.
    case updateRefused(String)
    /// The master has ended the framework for good, and why.
    case ended(String)
    /// A user of the framework asks for something.
    case command(Command)
}

/// What a policy wants to happen.
public enum FrameworkAction<Output: Sendable>: Sendable {
    /// Say this to the master. Without a subscription, kills, suppression, demand and the wish to
    /// watch the cluster are kept by the driver and said later; everything that names an offer and
    /// every claim is dropped, because offers are void and the state that was claimed is old.
    case call(SchedulerCall)
    /// Do this in the shell. It is done before any later call leaves.
    case output(Output)
}
