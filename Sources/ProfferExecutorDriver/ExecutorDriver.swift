@_spi(Driver) public import ProfferKernel
public import ProfferModel

/// The protocol of an executor around its policy: subscription, repetition of news until the agent
/// has it, launches and kills that come twice, and an end with grace.
public struct ExecutorDriver<Policy: ExecutorPolicy>: Machine {
    /// What can happen to a driver.
    public enum Input: Sendable {
        /// A session with the agent is open; an older one is void.
        case opened(PeerID)
        /// It has ended.
        case closed(PeerID)
        /// The agent says something.
        case event(ExecutorEvent, from: PeerID)
        /// The code around the policy has something to say.
        case command(Policy.Command)
        /// The process is asked to end.
        case terminate
    }

    /// What a driver asks of its shell.
    public enum Effect: Sendable {
        /// Say this to the agent.
        case send(ExecutorCall, PeerID)
        /// Do this for the policy.
        case output(Policy.Output)
        /// Something worth a log line.
        case observe(ExecutorNotice)
        /// The executor has ended.
        case ended
    }

    enum Timer: Hashable, Sendable {
        /// The agent has been away for too long.
        case recovery
        /// What has not ended is reported as killed.
        case lastWords
        /// The end, whatever is unacknowledged.
        case shutdown
    }

    /// From TERM to the end of a task unless somebody says otherwise.
    static var killGrace: Duration { .seconds(3) }

    /// The policy; for tests and for shells that read its state between turns.
    public private(set) var policy: Policy
    let options: ExecutorOptions
    let clock: WallClock
    var generator: SeededGenerator
    var tasks: OrderedTable<TaskID, TaskRow> = [:]
    var timers = DeadlineQueue<Timer>()
    var agent: PeerID?
    var subscription: ExecutorSubscription?
    var isEnding = false
    var hasEnded = false

    /// Makes a driver that waits for its agent.
    ///
    /// - Parameters:
    ///   - policy: Decides what is done with tasks.
    ///   - options: Who the executor is and how long it waits.
    ///   - clock: Stamps news.
    ///   - seed: Names news; must differ between executors.
    ///   - now: The present instant; the recovery time-out counts from here.
    public init(
        policy: Policy, options: ExecutorOptions, clock: WallClock, seed: UInt64, at now: Instant
    ) {
        self.policy = policy
        self.options = options
        self.clock = clock
        generator = SeededGenerator(seed: seed)
        timers.set(.recovery, to: now + options.recoveryTimeout)
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? {
        hasEnded ? nil : earliest(timers.next, policy.nextDeadline)
    }

    /// Takes one input to completion.
    public mutating func handle(
        _ input: Input, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        if hasEnded { return }
        switch input {
        case .opened(let peer): open(peer, into: &outbox)
        case .closed(let peer): close(peer, at: now, into: &outbox)
        case .event(let event, let peer):
            if peer == agent { obey(event, at: now, into: &outbox) }
        case .command(let command): tell(.command(command), at: now, into: &outbox)
        case .terminate: shutDown(at: now, into: &outbox)
        }
        endIfDone(into: &outbox)
    }

    /// Does what is due.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<Effect>) {
        while !hasEnded, let timer = timers.popDue(at: now) {
            switch timer {
            case .recovery:
                outbox.append(.observe(.agentLost))
                shutDown(at: now, into: &outbox)
            case .lastWords:
                endTasks(
                    .killed, "killed because its executor ends", at: now, into: &outbox)
            case .shutdown:
                hasEnded = true
                outbox.append(.ended)
            }
            endIfDone(into: &outbox)
        }
        if !hasEnded, let due = policy.nextDeadline, due <= now {
            var actions = Outbox<ExecutorAction<Policy.Output>>()
            policy.wake(at: now, into: &actions)
            carryOut(&actions, at: now, into: &outbox)
            endIfDone(into: &outbox)
        }
    }

    // MARK: Policy

    mutating func tell(
        _ happening: ExecutorHappening<Policy.Command>, at now: Instant,
        into outbox: inout Outbox<Effect>
    ) {
        var actions = Outbox<ExecutorAction<Policy.Output>>()
        policy.handle(happening, at: now, into: &actions)
        carryOut(&actions, at: now, into: &outbox)
    }

    private mutating func carryOut(
        _ actions: inout Outbox<ExecutorAction<Policy.Output>>, at now: Instant,
        into outbox: inout Outbox<Effect>
    ) {
        for action in actions.takeAll() {
            switch action {
            case .update(let status): report(status, at: now, into: &outbox)
            case .message(let data): send(.message(data), into: &outbox)
            case .usage(let usage): send(.usage(usage), into: &outbox)
            case .output(let output): outbox.append(.output(output))
            case .end:
                beginEnd(at: now, into: &outbox)
                endTasks(.failed, "its executor has ended", at: now, into: &outbox)
            }
        }
    }

    func send(_ call: ExecutorCall, into outbox: inout Outbox<Effect>) {
        if let agent { outbox.append(.send(call, agent)) }
    }

    // MARK: Agent

    private mutating func open(_ peer: PeerID, into outbox: inout Outbox<Effect>) {
        agent = peer
        timers.set(.recovery, to: nil)
        var unknown: [TaskInfo] = []
        var updates: [TaskStatus] = []
        for id in Array(tasks.keys) {
            guard let row = tasks[id] else { continue }
            if !row.isKnownToAgent { unknown.append(row.info) }
            updates += row.pending.map(\.status)
            for index in row.pending.indices { tasks[id]?.pending[index].wasSent = true }
        }
        send(
            .subscribe(unacknowledgedTasks: unknown, unacknowledgedUpdates: updates),
            into: &outbox)
    }

    private mutating func close(
        _ peer: PeerID, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        guard peer == agent else { return }
        agent = nil
        outbox.append(.observe(.agentAway))
        if isEnding { return }
        timers.set(.recovery, to: now + options.recoveryTimeout)
        tell(.disconnected, at: now, into: &outbox)
    }

    private mutating func obey(
        _ event: ExecutorEvent, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        switch event {
        case .subscribed(let executor, let framework, let agent, let container):
            let subscription = ExecutorSubscription(
                executor: executor, framework: framework, agent: agent, container: container)
            self.subscription = subscription
            outbox.append(.observe(.subscribed))
            if !isEnding { tell(.subscribed(subscription), at: now, into: &outbox) }
        case .launch(let info, let sandbox, _):
            if let task = take([info], [sandbox], at: now, into: &outbox).first {
                tell(.launch(task), at: now, into: &outbox)
            }
        case .launchGroup(let infos, let sandboxes, _):
            let fresh = take(infos, sandboxes, at: now, into: &outbox)
            if !fresh.isEmpty { tell(.launchGroup(fresh), at: now, into: &outbox) }
        case .kill(let id, let policy): kill(id, policy, at: now, into: &outbox)
        case .acknowledged(let id, let uuid): acknowledge(id, uuid)
        case .message(let data):
            if !isEnding { tell(.message(data), at: now, into: &outbox) }
        case .shutdown: shutDown(at: now, into: &outbox)
        case .error(let message): outbox.append(.observe(.refused(message)))
        case .heartbeat: break
        }
    }

    // MARK: End

    private mutating func shutDown(at now: Instant, into outbox: inout Outbox<Effect>) {
        if isEnding { return }
        beginEnd(at: now, into: &outbox)
        // The last second, or half of a shorter time, is for the last news.
        let grace = max(.zero, options.shutdownGrace)
        let patience = grace - min(.seconds(1), grace / 2)
        timers.set(.lastWords, to: now + patience)
        tell(.shutdown(grace: patience), at: now, into: &outbox)
    }

    private mutating func beginEnd(at now: Instant, into outbox: inout Outbox<Effect>) {
        if isEnding { return }
        isEnding = true
        outbox.append(.observe(.ending))
        timers.set(.recovery, to: nil)
        timers.set(.shutdown, to: now + max(.zero, options.shutdownGrace))
    }

    private mutating func endIfDone(into outbox: inout Outbox<Effect>) {
        guard isEnding, !hasEnded, tasks.isEmpty else { return }
        hasEnded = true
        outbox.append(.ended)
    }
}
