internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// Lost agents: when they are declared unreachable, and when they are forgotten.
///
/// One agent that does not answer is declared unreachable at once. Of many that do not answer it is
/// more likely that the master is cut off, or that a switch has failed for a minute; to declare all
/// of them unreachable would have every framework start everything again elsewhere, at once, in
/// what is left. So removals may be limited to a rate, and are slow by themselves while a large
/// part of the cluster is missing (the idea of the node controller of Kubernetes). Whoever answers
/// before its turn stays.
extension Master {
    /// With fewer agents missing, nothing is concluded from their share.
    static let fewestMissing = 3

    /// Has an agent wait for its turn to be declared unreachable.
    mutating func condemn(_ id: AgentID, _ reason: String) {
        guard let state = agents[id]?.state, state != .unreachable, state != .gone,
            !condemned.contains(id)
        else { return }
        condemned[id] = reason
    }

    /// Notes a sign of life.
    mutating func noteHeard(_ id: AgentID, into outbox: inout Outbox<MasterEffect>) {
        guard agents[id]?.pingsMissed != 0 else { return }
        agents[id]?.pingsMissed = 0
        silent.remove(id)
        pardon(id, into: &outbox)
    }

    /// Takes an agent out of those that wait to be removed: it is back.
    mutating func pardon(_ id: AgentID, into outbox: inout Outbox<MasterEffect>) {
        guard condemned.remove(id) != nil else { return }
        outbox.append(.observe(.removalCancelled(id)))
    }

    /// How many agents are missing: silent, disconnected, or not back yet after a restart.
    var missingCount: Int { silent.count + recovering.count }

    /// Whether so many agents are missing that it is hardly their fault.
    private var areTooManyMissing: Bool {
        guard let threshold = configuration.agentLossThreshold else { return false }
        let missing = missingCount
        return missing >= Self.fewestMissing
            && missing * 100 > (agents.count - lost.count) * threshold
    }

    /// Declares those unreachable whose turn it is.
    mutating func removeCondemned(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        guard !condemned.isEmpty || slowSince != nil else { return }
        while true {
            noteLoss(at: now, into: &outbox)
            guard let id = condemned.firstKey else { break }
            if let due = nextRemoval, due > now {
                timers.set(.removal, to: due)
                return
            }
            guard let reason = condemned.remove(id) else { return }
            lastRemoval = now
            markUnreachable(id, reason, at: now, into: &outbox)
        }
        timers.set(.removal, to: nil)
    }

    /// When the next agent may be removed; `nil` is at once.
    private var nextRemoval: Instant? {
        var next: Instant?
        func wait(from start: Instant?, _ pause: Duration) {
            guard let start else { return }
            next = max(next ?? start + pause, start + pause)
        }
        if let limit = configuration.agentRemovalRateLimit {
            wait(from: lastRemoval, limit.pause)
        }
        if let slowSince {
            let start = lastRemoval.map { max($0, slowSince) } ?? slowSince
            wait(from: start, configuration.agentLossPause)
        }
        wait(from: calmUntil, .zero)
        return next
    }

    private mutating func noteLoss(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        let isSlow = areTooManyMissing && (slowSince != nil || !condemned.isEmpty)
        guard isSlow != (slowSince != nil) else { return }
        slowSince = isSlow ? now : nil
        let calm = configuration.agentPingInterval * configuration.agentPingsMissed
        calmUntil = isSlow ? nil : now + calm
        outbox.append(
            .observe(
                .agentsMissing(missingCount, of: agents.count - lost.count, isSlow: isSlow)))
    }

    mutating func markUnreachable(
        _ id: AgentID, _ reason: String, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard var row = agents[id], row.state != .unreachable, row.state != .gone else { return }
        let since = wallClock.time(at: now)
        row.unreachableSince = since
        row.state = .unreachable
        outbox.append(.commit([.agent(id, entry(row))]))
        lose(
            id, .agentRemoved, taskState: .unreachable, "the agent is unreachable: \(reason)",
            unreachableSince: since, at: now, into: &outbox)
        lost.append(id)
        agents[id]?.state = .unreachable
        agents[id]?.unreachableSince = since
        cutOff(id, reason, into: &outbox)
        outbox.append(
            .observe(.agent(id, hostname: row.info.hostname, .unreachable, reason: reason)))
    }

    /// Ends the session of an agent, if it has one.
    mutating func cutOff(
        _ id: AgentID, _ reason: String, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let peer = agents[id]?.peer else { return }
        peerAgents.remove(peer)
        agents[id]?.peer = nil
        outbox.append(.closePeer(peer, reason: reason))
    }

    /// Takes back everything at an agent and tells its frameworks.
    mutating func lose(
        _ id: AgentID, _ reason: StatusReason, taskState: TaskState, _ message: String,
        unreachableSince: WallTime? = nil, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = agents[id] else { return }
        timers.set(.ping(id), to: nil)
        timers.set(.agentReturn(id), to: nil)
        silent.remove(id)
        recovering.remove(id)
        condemned.remove(id)
        for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
        for key in row.tasks {
            conclude(
                key, taskState, reason, message, unreachableSince: unreachableSince, at: now,
                into: &outbox)
        }
        for key in row.executors.keys {
            releaseExecutor(
                PlacedExecutor(agent: id, executor: key.executor), of: key.framework, at: now)
        }
        endLeaveRequests(at: id, into: &outbox)
        allocator.removeAgent(id)
        noteSeen(id)
        for framework in frameworks.values {
            if let peer = framework.peer {
                outbox.append(
                    .tellFramework(.failure(agent: id, executor: nil, status: nil), peer))
            }
        }
    }

    /// Forgets an agent altogether.
    mutating func drop(
        _ id: AgentID, reason: String, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        // Ends that nobody has acknowledged: there is no agent any more to repeat them.
        for key in agents[id]?.tasks ?? [] { forget(key, at: now) }
        cutOff(id, reason, into: &outbox)
        guard let row = agents.removeValue(forKey: id) else { return }
        recovering.remove(id)
        silent.remove(id)
        condemned.remove(id)
        lost.remove(id)
        emptied.remove(id)
        outbox.append(
            .observe(.agent(id, hostname: row.info.hostname, .gone, reason: reason)))
    }

    // MARK: Forgetting

    /// Puts the lost agents of the registry in the order of their loss.
    mutating func sortLost() {
        guard !lost.isEmpty else { return }
        let since = lost.map { id in
            (time: agents[id]?.unreachableSince?.nanosecondsSince1970 ?? 0, id: id)
        }
        lost = OrderedKeys(since.sorted { ($0.time, $0.id) < ($1.time, $1.id) }.map(\.id))
    }

    /// Forgets lost agents beyond age and number, the longest lost first.
    ///
    /// Tasks that were never heard of again go with them.
    mutating func collectLost(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        timers.set(.collection, to: now + configuration.registryGCInterval)
        let limit = configuration.registryMaxAgentCount
        let oldest = wallClock.time(at: now - configuration.registryMaxAgentAge)
        var ended: [AgentID] = []
        for id in lost {
            let isOld = agents[id]?.unreachableSince.map { $0 <= oldest } ?? true
            guard lost.count - ended.count > limit || isOld else { break }
            ended.append(id)
        }
        guard !ended.isEmpty else { return }
        outbox.append(.commit(ended.map { .agent($0, nil) }))
        // Each removal from an ordered dictionary moves what is behind, so all go at once.
        for id in ended {
            for key in agents[id]?.tasks ?? [] { forget(key, at: now) }
            lost.remove(id)
        }
        let gone = Set(ended)
        agents.removeAll { gone.contains($0.key) }
        outbox.append(.observe(.forgotten(agents: ended.count)))
    }

    /// Makes the deadlines durable that have begun with this master: a master that fails again and
    /// again would otherwise begin them again and again.
    mutating func keepDeadlines(into outbox: inout Outbox<MasterEffect>) {
        guard !newDeadlines.isEmpty else { return }
        let records = newDeadlines.compactMap { id in
            frameworks[id].map { MasterRecord.framework(id, $0.entry()) }
        }
        newDeadlines = []
        if !records.isEmpty { outbox.append(.commit(records)) }
    }
}
