internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// A task that was to make room and has ended.
struct EndedVictim: Sendable {
    var task: TaskKey
    var preemption: UInt64
}

/// Makes room for what cannot be served from what is free.
///
/// The allocator says what it cannot serve and since when. After a delay victims are chosen and
/// their frameworks are told until when they may end them in their own way; then they are killed.
/// What they held is granted by the allocator, which serves the most urgent first.
extension Master {
    /// So many demands at most are searched for in one step; a gang counts for all of them.
    private static let searchesPerStep = 4
    /// So many preemptions at most begin in one step, but for those of one gang.
    private static let preemptionsPerStep = 16
    /// The pause between two steps when there is more to do.
    private var shortfallPause: Duration {
        min(.seconds(1), configuration.preemptionDelay ?? .seconds(1))
    }

    /// Looks at shortfalls when one may last too long; nothing is due while nobody demands or is
    /// guaranteed anything.
    mutating func watchForShortfalls(at now: Instant) {
        guard let delay = configuration.preemptionDelay,
            timers.deadline(of: .shortfalls) == nil,
            !demanding.isEmpty
                || quotas.values.contains(where: { !$0.guarantees.entries.isEmpty })
        else { return }
        timers.set(.shortfalls, to: now + delay)
    }

    /// Ends preemptions that are not needed any more and begins new ones.
    mutating func checkShortfalls(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        guard let delay = configuration.preemptionDelay else { return }
        // What is free by now is granted first.
        allocateIfNeeded(at: now, into: &outbox)
        let shortfalls = allocator.shortfalls(at: now)
        endNeedless(shortfalls, at: now, into: &outbox)
        let known = nextSearches
        nextSearches = [:]
        var isMore = !preemptions.isEmpty
        var next: Instant?
        var searches = 0
        // They are the same for all searches, but for what these find.
        var books: QuotaBooks?
        for shortfall in shortfalls {
            let key = DemandKey(shortfall)
            let due = max(shortfall.since + delay, known[key] ?? shortfall.since)
            if due > now {
                nextSearches[key] = known[key]
                next = earliest(next, due)
            } else if searches >= Self.searchesPerStep {
                isMore = true
            } else {
                searches += shortfall.demand.gang > 1 ? Self.searchesPerStep : 1
                if books == nil, !quotas.isEmpty { books = quotaBooks() }
                if makeRoom(for: shortfall, books, at: now, into: &outbox) {
                    isMore = true
                } else {
                    // Of a large cluster the search sees a part only.
                    let parts = agents.count / victimWindow + 1
                    let again = now + max(shortfallPause, delay / parts)
                    nextSearches[key] = again
                    next = earliest(next, again)
                }
            }
        }
        if isMore || !preemptions.isEmpty { next = earliest(next, now + shortfallPause) }
        timers.set(.shortfalls, to: next)
    }

    /// Begins preemptions for a shortfall, if there are victims.
    ///
    /// - Returns: Whether a further step is to go on with it.
    private mutating func makeRoom(
        for shortfall: Shortfall, _ books: QuotaBooks?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> Bool {
        let key = DemandKey(shortfall)
        let demand = shortfall.demand
        let isGang = demand.gang > 1
        let underWay = preemptions.values.reduce(0) { $0 + ($1.key == key ? $1.instances : 0) }
        // Of gangs, one after the other.
        if isGang, underWay > 0 { return true }
        var missing = demand.count - underWay
        guard missing > 0 else { return true }
        var search = victimSearch(shortfall, books)
        if isGang {
            missing = min(missing, demand.gang)
            missing -= search.takeFree(upTo: missing)
        }
        var chosen: [Victims] = []
        while missing > 0, isGang || chosen.count < Self.preemptionsPerStep {
            guard let victims = search.next() else { break }
            chosen.append(victims)
            missing -= victims.instances
        }
        // A part of a gang would end tasks for nothing.
        if isGang, missing > 0 { return false }
        for victims in chosen { begin(victims, key, shortfall, at: now, into: &outbox) }
        return missing > 0 && chosen.count == Self.preemptionsPerStep
    }

    private mutating func begin(
        _ victims: Victims, _ key: DemandKey, _ shortfall: Shortfall, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        defer { nextPreemption += 1 }
        let id = nextPreemption
        let name = frameworks[key.framework]?.info.name ?? key.framework.value
        let what =
            shortfall.isGuaranteed
            ? "what the role '\(key.role)' is guaranteed"
            : "the demand '\(key.id)' of priority \(shortfall.demand.priority)"
        let reason = "its resources are needed for \(what) of framework '\(name)'"
        preemptions[id] = PreemptionRow(
            key: key, agent: victims.agent, instances: victims.instances,
            needs: shortfall.demand.resources, tasks: OrderedSet(victims.tasks), reason: reason)
        outbox.append(.observe(.preempting(victims.tasks, victims.agent, reason: reason)))
        let deadline = now + configuration.preemptionNotice
        timers.set(.preempt(id), to: deadline)
        var perFramework: OrderedDictionary<FrameworkID, [TaskID]> = [:]
        for task in victims.tasks {
            tasks[task]?.preemption = id
            perFramework[task.framework, default: []].append(task.task)
        }
        for (framework, list) in perFramework {
            request(
                InverseOffer(
                    id: makeOfferID(), frameworkID: framework, agentID: victims.agent,
                    unavailability: Unavailability(start: wallClock.time(at: deadline)),
                    resources: list.reduce(into: Resources()) { sum, task in
                        sum += tasks[TaskKey(framework, task)]?.info.resources ?? Resources()
                    }, tasks: list), id, at: now, into: &outbox)
        }
    }

    /// The notice has ended: what is needed still is killed, with the grace of its kill policy.
    mutating func preempt(
        _ id: UInt64, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        allocateIfNeeded(at: now, into: &outbox)
        endNeedless(allocator.shortfalls(at: now), at: now, into: &outbox)
        guard let row = preemptions[id], row.phase == .noticed else { return }
        preemptions[id]?.phase = .killing
        for key in row.tasks {
            tasks[key]?.isKillWanted = true
            tasks[key]?.preemptedFor = row.reason
            repeatKill(key, at: now, into: &outbox)
        }
    }

    /// Ends the notices of demands that are served, or want fewer instances, by now; the newest
    /// first.
    private mutating func endNeedless(
        _ shortfalls: [Shortfall], at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        var missing: OrderedDictionary<DemandKey, Int> = [:]
        for shortfall in shortfalls { missing[DemandKey(shortfall)] = shortfall.demand.count }
        var needless: [UInt64] = []
        // What has ended or is being killed cannot be taken back, so it counts first.
        for (id, row) in preemptions where row.phase != .noticed {
            if case .settled(let until) = row.phase, until <= now { needless.append(id) }
            missing[row.key, default: 0] -= row.instances
        }
        for (id, row) in preemptions where row.phase == .noticed {
            missing[row.key, default: 0] -= row.instances
            // One that makes room for several is kept while one of them is missing.
            if missing[row.key, default: 0] + row.instances <= 0 { needless.append(id) }
        }
        for id in needless { cancel(id, into: &outbox) }
    }

    private mutating func cancel(_ id: UInt64, into outbox: inout Outbox<MasterEffect>) {
        guard let row = preemptions.remove(id) else { return }
        timers.set(.preempt(id), to: nil)
        for key in row.tasks { tasks[key]?.preemption = nil }
        for offer in row.inverseOffers { rescind(inverseOffer: offer, into: &outbox) }
    }

    /// Takes note of victims that have ended, by themselves or not.
    mutating func settleVictims(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        guard !endedVictims.isEmpty else { return }
        let ended = endedVictims
        endedVictims = []
        for victim in ended {
            guard var row = preemptions[victim.preemption] else { continue }
            row.tasks.remove(victim.task)
            let done = row.inverseOffers.filter { id in
                let offer = inverseOffers[id]?.inverseOffer
                return (offer?.tasks ?? []).allSatisfy { task in
                    !row.tasks.contains(TaskKey(offer?.frameworkID ?? "", task))
                }
            }
            row.inverseOffers.subtract(done)
            if row.tasks.isEmpty {
                timers.set(.preempt(victim.preemption), to: nil)
                // Until the room is granted, the shortfall is still there and needs no more.
                row.phase = .settled(until: now + (configuration.preemptionDelay ?? .zero))
            }
            preemptions[victim.preemption] = row
            for id in done { rescind(inverseOffer: id, into: &outbox) }
        }
    }
}

extension DemandKey {
    init(_ shortfall: Shortfall) {
        self.init(
            framework: shortfall.framework, role: shortfall.demand.role, id: shortfall.demand.id)
    }
}
