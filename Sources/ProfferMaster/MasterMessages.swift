public import ProfferKernel
public import ProfferModel

/// Everything that can happen to a master.
///
/// Peers introduce themselves by their first message; what they say they are holds only for the
/// key that they have proved to have.
public enum MasterInput: Sendable {
    /// A session has begun; the key is the one its peer has proved to have, in Z85, or `nil` where
    /// peers are not strangers and prove nothing, as within one process.
    case peerOpened(PeerID, publicKey: String?)
    /// A framework says something.
    case framework(FrameworkCall, from: PeerID)
    /// An agent says something.
    case agent(AgentToMaster, from: PeerID)
    /// A session with either has ended.
    case peerClosed(PeerID, reason: String)
    /// An operator asks or orders something.
    case operation(OperatorCall, QueryID)
    /// The file that ``MasterConfiguration/whitelistFile`` names was read and says this; `nil` is
    /// every host.
    case whitelistRead([String]?)
}

/// Everything a master asks of its shell, to be carried out in order.
public enum MasterEffect: Sendable {
    /// Make this durable. Every later effect waits until it is.
    case commit([MasterRecord])
    /// Tell a framework.
    case tellFramework(SchedulerEvent, PeerID)
    /// Tell an agent.
    case tellAgent(MasterToAgent, PeerID)
    /// End a session, after everything told before.
    case closePeer(PeerID, reason: String)
    /// Answer an operator.
    case answer(OperatorAnswer, QueryID)
    /// Something worth a log line, a metric or an entry in the event stream.
    case observe(MasterObservation)
}

/// Who a peer says it is.
public enum ClaimedIdentity: Hashable, Sendable, CustomStringConvertible {
    /// A framework that has subscribed before.
    case framework(FrameworkID)
    /// An agent that has registered before.
    case agent(AgentID)

    /// For logs.
    public var description: String {
        switch self {
        case .framework(let id): "framework \(id)"
        case .agent(let id): "agent \(id)"
        }
    }
}

/// Something worth a log line, a metric or an entry in the event stream; never awaited.
public enum MasterObservation: Hashable, Sendable {
    /// An agent changed its state; `reason` says why.
    case agent(AgentID, hostname: String, AgentState, reason: String)
    /// A framework subscribed, disconnected or ended.
    case framework(
        FrameworkID, name: String, isConnected: Bool, isRemoved: Bool, reason: String)
    /// A task was launched or changed its state.
    case task(
        TaskKey, name: String, agent: AgentID?, TaskState, reason: StatusReason?, message: String?)
    /// An offer was made.
    case offered(OfferID, FrameworkID, AgentID, Resources)
    /// An offer ended, after so long.
    case offerEnded(OfferID, OfferEnd, held: Duration)
    /// A call could not be carried out.
    case invalidCall(FrameworkID?, call: String, problem: String)
    /// A peer claimed an id that another key has made; its own key is named.
    case identityRefused(ClaimedIdentity, publicKey: String?)
    /// An acknowledgement or update that nothing waits for.
    case stray(String)
    /// Tasks are to make room, and why; they are killed at the end of the notice.
    case preempting([TaskKey], AgentID, reason: String)
    /// An allocation was made: how many offers it led to.
    case allocated(offers: Int)
    /// So many of so many agents are missing that the master itself may be cut off: they are
    /// removed slowly from now on, or as quickly as usual again.
    case agentsMissing(Int, of: Int, isSlow: Bool)
    /// An agent answered before its turn to be removed had come.
    case removalCancelled(AgentID)
    /// So many agents that were lost for long were forgotten.
    case forgotten(agents: Int)

    /// The event for subscribers of the event stream, if it is one for them.
    public var clusterEvent: ClusterEvent? {
        switch self {
        case .agent(let id, let hostname, let state, _):
            .agent(id, hostname: hostname, state)
        case .framework(let id, let name, let isConnected, let isRemoved, _):
            .framework(id, name: name, isConnected: isConnected, isRemoved: isRemoved)
        case .task(let key, let name, let agent, let state, _, let message):
            .task(key, name: name, agent: agent, state, message: message)
        case .offered(let id, let framework, let agent, let resources):
            .offered(id, framework, agent, resources)
        case .offerEnded(let id, let end, _): .offerEnded(id, end)
        case .invalidCall, .identityRefused, .stray, .preempting, .allocated, .agentsMissing,
            .removalCancelled, .forgotten:
            nil
        }
    }
}
