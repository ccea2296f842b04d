internal import DequeModule
public import ProfferKernel
internal import ProfferModel

/// The decisions of an executor: starts tasks, watches and kills them, and keeps every update
/// until the agent has made it durable.
///
/// Control messages are idempotent: a launch of a known task and a kill of a task that has gone
/// change nothing. Every new session with the agent begins with a subscription that carries all
/// the agent may not know.
public struct Executor: Machine {
    /// What a deadline is for.
    enum Timer: Hashable, Sendable {
        /// TERM becomes KILL, and KILL is repeated.
        case kill(Slot<TaskRow>)
        /// The task has run as long as it may.
        case completion(Slot<TaskRow>)
        /// The next run of a check, or the end of patience with one.
        case check(Slot<TaskRow>, CheckPurpose)
        /// The next measurement.
        case usage
        /// The end, whatever runs.
        case shutdown
        /// The agent has been away for too long.
        case recovery
    }

    let configuration: ExecutorConfiguration
    let clock: WallClock
    var generator: SeededGenerator

    var tasks = SlotTable<TaskRow>()
    var slots = LookupTable<TaskID, Slot<TaskRow>>()
    var timers = DeadlineQueue<Timer>()
    var groupCount: UInt64 = 0

    /// The session with the agent.
    var agent: PeerID?
    var framework: FrameworkInfo?
    var agentID: AgentID?
    var containerID: ContainerID?
    /// Whether everything is being killed to end.
    var isEnding = false
    /// Whether `exit` was said; nothing is done afterwards.
    var hasExited = false

    /// Makes an executor that waits for its agent.
    ///
    /// - Parameters:
    ///   - configuration: Who it is and how long it waits.
    ///   - clock: Stamps updates.
    ///   - seed: Names updates; must differ between executors.
    ///   - now: The present instant; the recovery time-out counts from here.
    public init(
        configuration: ExecutorConfiguration, clock: WallClock, seed: UInt64, at now: Instant
    ) {
        self.configuration = configuration
        self.clock = clock
        generator = SeededGenerator(seed: seed)
        timers.set(.recovery, to: now + configuration.recoveryTimeout)
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? { hasExited ? nil : timers.next }

    /// Takes one input to completion.
    public mutating func handle(
        _ input: ExecutorInput, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        if hasExited { return }
        switch input {
        case .agentOpened(let peer): openSession(peer, into: &outbox)
        case .agentClosed(let peer): closeSession(peer, at: now, into: &outbox)
        case .event(let event, let peer):
            if peer == agent { obey(event, at: now, into: &outbox) }
        case .processStarted(let id, let pid, _, let addresses):
            start(id, pid: pid, addresses, at: now, into: &outbox)
        case .startFailed(let id, let message):
            failToStart(id, message: message, at: now, into: &outbox)
        case .processExited(let id, let exit, let tail):
            end(id, exit, errorTail: tail, at: now, into: &outbox)
        case .checkFinished(let reference, let outcome):
            finishCheck(reference, outcome, at: now, into: &outbox)
        case .diskMeasured(let id, let problem, let mayGoOn):
            noteDisk(id, problem, mayGoOn: mayGoOn, at: now, into: &outbox)
        case .usage(let usage):
            if let agent { outbox.append(.tellAgent(.usage(usage), agent)) }
        case .terminate: shutDown(at: now, into: &outbox)
        }
        exitIfDone(into: &outbox)
    }

    /// Lets everything happen that is due at `now`.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<ExecutorEffect>) {
        while !hasExited, let timer = timers.popDue(at: now) {
            switch timer {
            case .kill(let slot): forceKill(slot, at: now, into: &outbox)
            case .completion(let slot):
                kill(slot, because: .completionTime, grace: .zero, at: now, into: &outbox)
            case .check(let slot, let purpose):
                runCheck(slot, purpose, at: now, into: &outbox)
            case .usage: measure(at: now, into: &outbox)
            case .shutdown: giveUp(into: &outbox)
            case .recovery:
                outbox.append(.observe(.agentLost))
                shutDown(at: now, into: &outbox)
            }
            exitIfDone(into: &outbox)
        }
    }

    // MARK: Agent

    private mutating func openSession(
        _ peer: PeerID, into outbox: inout Outbox<ExecutorEffect>
    ) {
        agent = peer
        timers.set(.recovery, to: nil)
        var unknown: [TaskInfo] = []
        var updates: [TaskStatus] = []
        for slot in tasks.slots {
            guard let row = tasks[slot] else { continue }
            if !row.isKnownToAgent { unknown.append(row.info) }
            for index in row.pending.indices {
                updates.append(row.pending[index].status)
                tasks[slot]?.pending[index].wasSent = true
            }
        }
        outbox.append(
            .tellAgent(
                .subscribe(unacknowledgedTasks: unknown, unacknowledgedUpdates: updates), peer))
    }

    private mutating func closeSession(
        _ peer: PeerID, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard peer == agent else { return }
        agent = nil
        outbox.append(.observe(.agentAway))
        if !isEnding { timers.set(.recovery, to: now + configuration.recoveryTimeout) }
    }

    private mutating func obey(
        _ event: ExecutorEvent, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        switch event {
        case .subscribed(_, let framework, let agent, let container):
            self.framework = framework
            agentID = agent.id
            containerID = container
            outbox.append(.observe(.subscribed))
        case .launch(let info, let sandbox, let secrets):
            launch([info], [sandbox], secrets, isGroup: false, at: now, into: &outbox)
        case .launchGroup(let infos, let sandboxes, let secrets):
            launch(infos, sandboxes, secrets, isGroup: true, at: now, into: &outbox)
        case .kill(let id, let policy): kill(id, policy: policy, at: now, into: &outbox)
        case .acknowledged(let id, let uuid): acknowledge(id, uuid, into: &outbox)
        case .shutdown: shutDown(at: now, into: &outbox)
        case .error(let message): outbox.append(.observe(.refused(message)))
        case .message, .heartbeat: break
        }
    }

    // MARK: Updates

    /// Makes an update of the task's state as it is in its row.
    ///
    /// Appends: `.tellAgent(.update)` when there is a session. Without one, a `RUNNING` update
    /// replaces an older one that was never sent, so that a task whose health flaps while the
    /// agent is away does not fill the memory.
    mutating func report(
        _ slot: Slot<TaskRow>, _ state: TaskState, message: String? = nil,
        reason: StatusReason? = nil, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot] else { return }
        invariant(row.state.mayBecome(state), "\(row.state) to \(state)")
        let status = TaskStatus(
            taskID: row.info.id, state: state, message: message, source: .executor,
            reason: reason, agentID: agentID ?? row.info.agentID,
            executorID: configuration.executorID, timestamp: clock.time(at: now),
            uuid: UpdateID(high: generator.next(), low: generator.next()),
            healthy: row.healthy, checkResult: row.checkResult,
            containerStatus: ContainerStatus(
                containerID: containerID, addresses: row.addresses, pid: row.pid),
            exit: row.exit)
        let replacesLast =
            state == .running && row.pending.last?.wasSent == false
            && row.pending.last?.status.state == .running
        if replacesLast { tasks[slot]?.pending.removeLast() }
        tasks[slot]?.pending.append(TaskRow.Pending(status: status, wasSent: agent != nil))
        tasks[slot]?.state = state
        outbox.append(.observe(.update(row.info.id, state, message: message)))
        if let agent { outbox.append(.tellAgent(.update(status), agent)) }
    }

    /// Drops an update that the agent has made durable; the task's row goes with the last one.
    private mutating func acknowledge(
        _ id: TaskID, _ uuid: UpdateID, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let slot = slots[id], let row = tasks[slot] else { return }
        guard let index = row.pending.firstIndex(where: { $0.status.uuid == uuid }) else { return }
        tasks[slot]?.pending.remove(at: index)
        tasks[slot]?.isKnownToAgent = true
        guard row.phase == .ended, tasks[slot]?.pending.isEmpty == true else { return }
        tasks.remove(slot)
        slots.remove(id)
        outbox.append(.forget(id))
    }

    // MARK: Usage

    /// Kills a task that uses too much, or says so, once each time that it begins to.
    private mutating func noteDisk(
        _ id: TaskID, _ problem: String?, mayGoOn: Bool, at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let slot = slots[id], let row = tasks[slot], row.phase == .running, row.kill == nil
        else { return }
        let isNews = problem != nil && !row.isOverDisk
        tasks[slot]?.isOverDisk = problem != nil
        guard let problem else { return }
        if !mayGoOn {
            kill(slot, because: .disk(problem), grace: .zero, at: now, into: &outbox)
        } else if isNews {
            report(slot, .running, message: problem, at: now, into: &outbox)
        }
    }

    private mutating func measure(
        at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        let live = tasks.slots.compactMap { slot in
            tasks[slot]?.phase == .running ? tasks[slot]?.info.id : nil
        }
        if live.isEmpty { return }
        if agent != nil { outbox.append(.measure(live)) }
        timers.set(.usage, to: now + configuration.usageInterval)
    }

    // MARK: End

    /// Kills every task, so that the executor can end; only the first call counts.
    private mutating func shutDown(
        at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        if isEnding { return }
        isEnding = true
        outbox.append(.observe(.shutdown))
        timers.set(.recovery, to: nil)
        timers.set(.shutdown, to: now + configuration.shutdownGrace)
        // One second before the end is for the last updates.
        let limit = max(.zero, configuration.shutdownGrace - .seconds(1))
        for slot in tasks.slots {
            guard let row = tasks[slot] else { continue }
            let grace = row.info.killPolicy?.gracePeriod ?? Self.killGrace
            kill(slot, because: .shutdown, grace: min(grace, limit), at: now, into: &outbox)
        }
    }

    private mutating func giveUp(into outbox: inout Outbox<ExecutorEffect>) {
        for slot in tasks.slots {
            if let row = tasks[slot], row.phase != .ended {
                outbox.append(.signal(row.info.id, Signal.kill))
            }
        }
        hasExited = true
        outbox.append(.exit(code: 0))
    }

    private mutating func exitIfDone(into outbox: inout Outbox<ExecutorEffect>) {
        guard isEnding, !hasExited, tasks.count == 0 else { return }
        hasExited = true
        outbox.append(.exit(code: 0))
    }
}
