public import Proffer

/// What a ``BatchScheduler`` may be told.
public struct BatchOptions: Sendable {
    /// What time it is.
    public var clock: WallClock
    /// The role in which it wants offers.
    public var role = "*"
    /// Added to the environment of every instance.
    public var environment: [TaskSpecification.Variable] = []
    /// The most tasks that one offer is used for.
    public var launchesPerOffer = 1000
    /// Roughly the most bytes that the launches of one offer may take; a message has a limit.
    public var launchBytesPerOffer = 600 << 10
    /// The most jobs that have not ended.
    public var openJobs = 10_000
    /// The most instances of jobs that have not ended.
    public var openInstances = 2_000_000
    /// How many ended jobs are kept.
    public var keptJobs = 1000
    /// How many instances of ended jobs are kept.
    public var keptInstances = 1_000_000
    /// How long ended jobs are kept.
    public var keptFor = Duration.seconds(7 * 86_400)
    /// How often an instance may be lost before that counts as its failure.
    public var losses = 20
    /// How long an agent may be unreachable before its instances count as lost.
    public var unreachablePatience = Duration.seconds(60)
    /// How long after the time limit, which agents enforce, the scheduler itself kills.
    public var overtimeGrace = Duration.seconds(15)
    /// How long offers are refused while there is nothing to launch.
    public var idleRefusal = Duration.seconds(3600)

    /// The defaults shown.
    public init(clock: WallClock) { self.clock = clock }
}

/// The decisions of a batch scheduler: which instance of which task of which job runs when.
///
/// Instances are launched in the order of priority, submission, position in the job and index;
/// those that do not fit an offer let others pass. A failed instance is run again as its task's
/// ``RetryRule`` says; one that was lost, never started or killed by somebody else is run again
/// without counting. When an instance has failed for good its job fails: what has not started is
/// cancelled, what runs is killed.
///
/// What waits is stated as demand, so that a master offers what fits; one that knows nothing of
/// demand offers what it has, which does as well.
///
/// The exit code of a job is 0 when it finished, that of the instance that failed (128 + n for
/// signal n, 124 for the time limit, 1 when there is none), and 40 when it was cancelled.
///
/// No offer and no update costs more than what it launches or ends and the number of different
/// sizes and gangs that wait, whatever the number of tasks.
public struct BatchScheduler: FrameworkPolicy {
    /// What users ask.
    public typealias Command = BatchCommand
    /// What the shell is asked.
    public typealias Output = BatchOutput

    /// The exit code of a job that was cancelled.
    public static let cancelledExitCode = 40
    /// The exit code of an instance that ran longer than it may.
    public static let overtimeExitCode = 124

    /// What is said at the end of a turn, in the order of the fields.
    struct Pending: Sendable {
        var changes: [BatchChange] = []
        var calls: [SchedulerCall] = []
        var outputs: [BatchOutput] = []
    }

    let options: BatchOptions
    var jobs = SlotTable<JobRow>()
    var jobsByID = LookupTable<String, Slot<JobRow>>()
    var newestByName = LookupTable<String, Slot<JobRow>>()
    /// By sequence number, rising.
    var order: [Slot<JobRow>] = []
    var lastSequence: Int64 = 0
    var openJobs = 0
    var openInstances = 0
    /// Those that have ended, the oldest first.
    var ended: [Slot<JobRow>] = []
    var endedInstances = 0
    /// Launched and not known to have ended.
    var live = LookupTable<TaskID, InstanceRef>()
    var queue = ReadyQueue()
    var timers = DeadlineQueue<Timer>()
    var places = PlaceTable()
    var dirty: [Slot<JobRow>] = []
    var pending = Pending()
    var frameworkID: FrameworkID?
    var isSubscribed = false
    var isSuppressed = false
    /// Whether something was refused since the last revival although there was work.
    var hasRefused = false
    /// Whether work of a demand came up that nothing waited with before.
    var hasNewDemand = false
    /// The most that was left of one of the last offers that nothing fitted.
    var largestRest: Demand?
    /// What the master was told that waits.
    var book = DemandBook()

    /// Makes a scheduler without jobs.
    public init(options: BatchOptions) { self.options = options }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? { timers.next }

    /// Takes one happening to completion.
    public mutating func handle(
        _ happening: Happening<BatchCommand>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<BatchOutput>>
    ) {
        switch happening {
        case .subscribed(let id, _): subscribed(id, at: now)
        case .disconnected, .ended: isSubscribed = false
        case .offers(let offers): use(offers, at: now)
        case .update(let status): take(status, at: now)
        case .command(let command): obey(command, at: now)
        case .rescinded, .message, .failure, .inverseOffers, .inverseRescinded, .operation,
            .updateRefused, .claimAnswer, .cluster, .backedOff:
            break
        }
        settle(into: &actions)
    }

    /// Lets everything happen that is due at `now`.
    public mutating func wake(
        at now: Instant, into actions: inout Outbox<FrameworkAction<BatchOutput>>
    ) {
        while let timer = timers.popDue(at: now) {
            switch timer {
            case .again(let ref): makeReady(ref)
            case .overtime(let ref): killOvertime(ref)
            case .unreachable(let ref):
                lose(ref, "its agent did not answer for \(options.unreachablePatience)", at: now)
            case .collect(let ref): collect(ref)
            case .retention: forgetOldJobs(at: now)
            }
        }
        settle(into: &actions)
    }

    private mutating func subscribed(_ id: FrameworkID, at now: Instant) {
        isSubscribed = true
        defer { frameworkID = id }
        guard let old = frameworkID, old != id else { return }
        // The master has ended the framework as it was, and with it everything that ran.
        for slot in jobs.slots {
            for ref in running(slot) {
                lose(ref, "the framework \(old) was removed from the master", at: now)
            }
        }
    }

    /// The instances of a job that run; O(its instances that were launched).
    func running(_ slot: Slot<JobRow>) -> [InstanceRef] {
        guard let job = jobs[slot], job.counts.running > 0 else { return [] }
        var refs: [InstanceRef] = []
        for (position, task) in job.tasks.enumerated() where task.counts.running > 0 {
            for (index, instance) in task.instances.enumerated() where instance.phase == .running {
                refs.append(InstanceRef(job: slot, task: position, index: index))
            }
        }
        return refs
    }

    /// Says whether offers are wanted, then everything of this turn: what must be kept first.
    private mutating func settle(into actions: inout Outbox<FrameworkAction<BatchOutput>>) {
        if isSubscribed {
            // The wish for silence goes before the end of demand, and demand before the wish for
            // offers: in between the framework would be a classic one, which is offered everything.
            if queue.isEmpty, !isSuppressed { pending.calls.append(.suppress(roles: [])) }
            if queue.takeChange(), let call = book.state(wantedDemand()) {
                pending.calls.append(call)
            }
            if queue.isEmpty {
                isSuppressed = true
            } else if isSuppressed || hasRefused && hasNewDemand {
                pending.calls.append(.revive(roles: []))
                isSuppressed = false
                hasRefused = false
            }
            hasNewDemand = false
        }
        for slot in dirty {
            guard let record = jobs[slot]?.record else { continue }
            jobs[slot]?.isDirty = false
            pending.changes.append(.job(record))
        }
        dirty.removeAll(keepingCapacity: true)
        if !pending.changes.isEmpty { actions.append(.output(.persist(pending.changes))) }
        for call in pending.calls { actions.append(.call(call)) }
        for output in pending.outputs { actions.append(.output(output)) }
        pending.changes.removeAll(keepingCapacity: true)
        pending.calls.removeAll(keepingCapacity: true)
        pending.outputs.removeAll(keepingCapacity: true)
    }

    mutating func keep(_ slot: Slot<JobRow>) {
        guard jobs[slot]?.isDirty == false else { return }
        jobs[slot]?.isDirty = true
        dirty.append(slot)
    }

    mutating func keep(_ ref: InstanceRef) {
        guard let record = record(ref) else { return }
        pending.changes.append(.instance(record))
    }

    private func record(_ ref: InstanceRef) -> InstanceRecord? {
        guard let instance = self[ref], let sequence = jobs[ref.job]?.sequence else { return nil }
        return InstanceRecord(
            job: sequence, task: ref.task, index: ref.index, phase: instance.phase.kept,
            attempts: instance.attempts, failures: instance.failures, losses: instance.losses,
            exitCode: instance.exitCode, message: instance.message,
            place: places[instance.place], started: instance.started, ended: instance.ended)
    }

    subscript(ref: InstanceRef) -> Instance? {
        guard let instances = jobs[ref.job]?.tasks[ref.task].instances,
            instances.indices.contains(ref.index)
        else { return nil }
        return instances[ref.index]
    }

    mutating func change(_ ref: InstanceRef, _ change: (inout Instance) -> Void) {
        guard self[ref] != nil else { return }
        if var instance = jobs[ref.job]?.tasks[ref.task].instances[ref.index] {
            change(&instance)
            jobs[ref.job]?.tasks[ref.task].instances[ref.index] = instance
        }
    }

    /// Puts a task into the ready queue or takes it out, as it deserves.
    mutating func updateLane(_ slot: Slot<JobRow>, _ position: Int) {
        guard let standing = standing(slot, position) else { return }
        let lane = standing.lane
        let demand = standing.demand
        if standing.wanted > 0, standing.queued == 0 {
            if queue.insert(lane, demand: demand) { hasNewDemand = true }
        }
        if standing.wanted != standing.queued {
            queue.add(standing.wanted - standing.queued, to: lane, demand: demand)
            jobs[slot]?.tasks[position].queuedInstances = standing.wanted
        }
        if standing.wanted == 0, standing.queued > 0 { queue.remove(lane, demand: demand) }
        if standing.isGangWanted != standing.isGangQueued {
            jobs[slot]?.tasks[position].isGangQueued = standing.isGangWanted
            if standing.isGangWanted {
                queue.insertGang(lane)
                hasNewDemand = true
            } else {
                queue.removeGang(lane)
            }
        } else if standing.isGangWanted {
            queue.noteChange()
        }
    }

    /// How a task stands in the ready queue, and how it should.
    private struct Standing {
        let lane: Lane
        let demand: Demand
        /// Single instances.
        let wanted: Int
        let queued: Int
        let isGangWanted: Bool
        let isGangQueued: Bool
    }

    /// Values only: a copy of a job that outlives a change to it would have its arrays copied.
    private func standing(_ slot: Slot<JobRow>, _ position: Int) -> Standing? {
        guard let job = jobs[slot] else { return nil }
        let task = job.tasks[position]
        let isOpen = job.ending == nil && !job.state.isFinal
        return Standing(
            lane: lane(of: job, slot, position), demand: task.specification.demand,
            wanted: isOpen ? task.singleInstances : 0, queued: task.queuedInstances,
            isGangWanted: isOpen && task.canLaunchGang, isGangQueued: task.isGangQueued)
    }

    func taskID(_ ref: InstanceRef, attempt: Int) -> TaskID? {
        guard let job = jobs[ref.job] else { return nil }
        return TaskID("\(job.id).\(job.tasks[ref.task].specification.name).\(ref.index).\(attempt)")
    }

    /// The instance and attempt that a task id speaks of, when its job is kept.
    func locate(_ id: TaskID) -> (ref: InstanceRef, attempt: Int)? {
        let parts = id.value.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, let slot = jobsByID[String(parts[0])],
            let task = jobs[slot]?.tasks.firstIndex(where: {
                $0.specification.name == parts[1]
            }), let index = Int(parts[2]), let attempt = Int(parts[3])
        else { return nil }
        let ref = InstanceRef(job: slot, task: task, index: index)
        return self[ref] == nil ? nil : (ref, attempt)
    }
}
