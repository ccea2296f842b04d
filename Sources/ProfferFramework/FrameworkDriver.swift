@_spi(Driver) public import ProfferKernel
public import ProfferModel

/// The protocol of a framework around its policy: subscription, acknowledgement, reconciliation,
/// repetition of kills, of demand and of the wish to watch the cluster.
public struct FrameworkDriver<Policy: FrameworkPolicy>: Machine {
    /// What can happen to a driver.
    public enum Input: Sendable {
        /// A session with a master is open.
        case opened(PeerID)
        /// It has ended, and why.
        case closed(PeerID, reason: String)
        /// The master says something.
        case event(SchedulerEvent, from: PeerID)
        /// A user asks something of the policy.
        case command(Policy.Command)
        /// The process wants to stop; with `teardown` the framework ends with it.
        case stop(teardown: Bool)
    }

    /// What a driver asks of its shell.
    public enum Effect: Sendable {
        /// Say this to the master.
        case send(FrameworkCall, PeerID)
        /// Do this for the policy, before any later effect.
        case output(Policy.Output)
        /// Keep this id: it makes the framework come back after a restart.
        case registered(FrameworkID)
        /// End the session; another one will follow.
        case closePeer(PeerID, reason: String)
        /// Something worth a log line.
        case observe(DriverObservation)
        /// The framework has ended for good, and why; `nil` when it was asked to stop.
        case ended(reason: String?)
    }

    enum Phase: Hashable, Sendable {
        case disconnected
        case subscribing(PeerID, retryAt: Instant)
        case subscribed(PeerID)
        case ended
    }

    struct LiveTask: Sendable {
        var agent: AgentID?
    }

    /// A change of the description that the master has not answered.
    struct Update: Sendable {
        var before: Subscription
        var wanted: Subscription
    }

    struct Kill: Sendable {
        var policy: KillPolicy?
    }

    /// The policy; for tests and for shells that read its state between turns.
    public package(set) var policy: Policy
    var options: FrameworkOptions
    var phase = Phase.disconnected
    var heartbeatInterval: Duration = .seconds(15)
    var lastHeard = Instant.zero
    var tasks: OrderedTable<TaskID, LiveTask> = [:]
    var kills: OrderedTable<TaskID, Kill> = [:]
    /// When each of `kills` is to be said again.
    var killTimes = DeadlineQueue<TaskID>()
    var seen = RecentIDs<UpdateID>()
    /// The tasks whose agents have said how they ended.
    var ended = RecentIDs<TaskID>()
    /// What a policy that acknowledges by itself has acknowledged.
    var acknowledged = RecentIDs<UpdateID>()
    /// Whether the framework is to end as soon as there is a master to tell.
    var isTeardownWanted = false
    /// When a stop no longer waits for a master to tell of the end; `nil` when none waits.
    var giveUpAt: Instant?
    var unanswered: OrderedKeys<TaskID> = []
    var reconcileAt: Instant?
    var reconcilePause: Duration
    var subscribePause: Duration = .milliseconds(500)
    var suppressed: [String]
    /// What the framework wants, said again after every subscription.
    var demands = DemandBook()
    /// What the subscription under way has said of that.
    var subscribedDemands: [Demand]?
    /// For which demand each offer was made that is not answered.
    var offerDemands: OrderedTable<OfferID, String> = [:]
    /// Whether the framework wants to see the cluster's state.
    var isWatching = false
    /// The last step of it that was handed on; `nil` until a stream has begun.
    var clusterSerial: UInt64?
    /// The oldest first; the master answers in this order.
    var updates: [Update] = []
    var generator: SeededGenerator

    /// Makes a driver around a policy.
    ///
    /// - Parameters:
    ///   - policy: Decides what to run.
    ///   - options: Who the framework is and what the driver does by itself.
    ///   - seed: Spreads repetitions in time; any number does.
    public init(policy: Policy, options: FrameworkOptions, seed: UInt64) {
        self.policy = policy
        self.options = options
        suppressed = options.suppressedRoles
        if let wanted = options.demands, !wanted.isEmpty { demands.said(wanted) }
        reconcilePause = options.reconcileFirstPause
        generator = SeededGenerator(seed: seed)
        for task in options.knownTasks {
            tasks[task.taskID] = LiveTask(agent: task.agentID)
        }
    }

    /// The framework's id, once it has one.
    public var frameworkID: FrameworkID? { options.info.id }

    /// Whether a subscription holds.
    public var isSubscribed: Bool {
        if case .subscribed = phase { return true }
        return false
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? {
        var next = policy.nextDeadline
        switch phase {
        case .disconnected, .ended: break
        case .subscribing(_, let retry): next = earliest(next, retry)
        case .subscribed:
            next = earliest(next, lastHeard + heartbeatInterval * options.missedHeartbeats)
            next = earliest(next, reconcileAt)
            next = earliest(next, killTimes.next)
        }
        next = earliest(next, giveUpAt)
        return phase == .ended ? nil : next
    }

    /// Takes one input to completion.
    public mutating func handle(
        _ input: Input, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        guard phase != .ended else { return }
        switch input {
        case .opened(let peer): subscribe(peer, at: now, into: &outbox)
        case .closed(let peer, let reason): lose(peer, reason, at: now, into: &outbox)
        case .event(let event, let peer): take(event, from: peer, at: now, into: &outbox)
        case .command(let command): tell(.command(command), at: now, into: &outbox)
        case .stop(let teardown):
            askToStop(teardown: teardown, at: now, into: &outbox)
        }
    }

    /// Does what is due.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<Effect>) {
        if let giveUpAt, giveUpAt <= now, phase != .ended {
            let patience = options.teardownPatience
            phase = .ended
            outbox.append(
                .ended(
                    reason: "no master was there within \(patience) to be told of the end; the "
                        + "framework's tasks live on for its failover time-out"))
            return
        }
        switch phase {
        case .ended: return
        case .disconnected: break
        case .subscribing(let peer, let retry):
            if retry <= now { subscribe(peer, at: now, into: &outbox) }
        case .subscribed(let peer):
            if lastHeard + heartbeatInterval * options.missedHeartbeats <= now {
                outbox.append(.closePeer(peer, reason: "no heartbeat"))
                lose(peer, "no heartbeat", at: now, into: &outbox)
            } else {
                repeatKills(at: now, into: &outbox)
                if let due = reconcileAt, due <= now { reconcile(at: now, into: &outbox) }
            }
        }
        if let due = policy.nextDeadline, due <= now {
            var actions = Outbox<FrameworkAction<Policy.Output>>()
            policy.wake(at: now, into: &actions)
            carryOut(&actions, at: now, into: &outbox)
        }
    }

    /// Gives the policy a happening and carries out its answer.
    mutating func tell(
        _ happening: Happening<Policy.Command>, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        var actions = Outbox<FrameworkAction<Policy.Output>>()
        policy.handle(happening, at: now, into: &actions)
        carryOut(&actions, at: now, into: &outbox)
    }

    private mutating func carryOut(
        _ actions: inout Outbox<FrameworkAction<Policy.Output>>, at now: Instant,
        into outbox: inout Outbox<Effect>
    ) {
        for action in actions.takeAll() {
            switch action {
            case .output(let output): outbox.append(.output(output))
            case .call(let call): say(call, at: now, into: &outbox)
            }
        }
    }

    mutating func send(_ call: SchedulerCall, into outbox: inout Outbox<Effect>) {
        guard case .subscribed(let peer) = phase else { return }
        outbox.append(.send(FrameworkCall(frameworkID: frameworkID, call: call), peer))
    }

    /// Ends the framework, if need be when there is a master to tell; a second request does not
    /// wait.
    private mutating func askToStop(
        teardown: Bool, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        // Without an id, and without a subscription under way, no master knows the framework.
        let isKnown = options.info.id != nil || phase != .disconnected
        guard teardown, isKnown, !isSubscribed, giveUpAt == nil else {
            stop(teardown: teardown, into: &outbox)
            return
        }
        isTeardownWanted = true
        giveUpAt = now + options.teardownPatience
        outbox.append(.observe(.teardownWaits(options.teardownPatience)))
    }

    mutating func stop(teardown: Bool, into outbox: inout Outbox<Effect>) {
        if teardown { send(.teardown, into: &outbox) }
        if case .subscribed(let peer) = phase {
            outbox.append(.closePeer(peer, reason: "the framework stops"))
        }
        phase = .ended
        outbox.append(.ended(reason: nil))
    }
}

/// The uuids of the last updates, to recognise repetitions; bounded.
struct RecentIDs<ID: Hashable & Sendable>: Sendable {
    private static var limit: Int { 100_000 }
    private var current: Set<ID> = []
    private var previous: Set<ID> = []

    /// Notes an update; `false` when it was there already.
    @discardableResult
    mutating func insert(_ id: ID) -> Bool {
        if contains(id) || !current.insert(id).inserted { return false }
        if current.count >= Self.limit {
            previous = current
            current = []
        }
        return true
    }

    mutating func remove(_ id: ID) {
        current.remove(id)
        previous.remove(id)
    }

    func contains(_ id: ID) -> Bool { current.contains(id) || previous.contains(id) }
}
