internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// What an operator orders about one agent: deactivate, drain, declare gone, use again.
///
/// All of it is durable before it is answered. The kills of a drain are made again from the order
/// whenever the agent or the master comes back.
extension Master {
    /// From TERM to KILL for a task that does not say it.
    private static let killGrace = Duration.seconds(3)

    mutating func deactivate(
        _ id: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard let row = agents[id] else { return noAgent(id) }
        if row.state == .gone { return .refused("the agent '\(id)' was declared gone") }
        takeOutOfUse(id, row.drain, "the operator deactivated it", at: now, into: &outbox)
        return .done
    }

    mutating func drain(
        _ id: AgentID, _ order: DrainOrder, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard let row = agents[id] else { return noAgent(id) }
        if row.state == .gone { return .refused("the agent '\(id)' was declared gone") }
        if let grace = order.maxGrace, grace < .zero {
            return .refused("the longest grace may not be negative")
        }
        takeOutOfUse(id, order, "the operator drains it", at: now, into: &outbox)
        killForDrain(id, at: now, into: &outbox)
        return .done
    }

    private mutating func takeOutOfUse(
        _ id: AgentID, _ drain: DrainOrder?, _ reason: String, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard var row = agents[id], !row.isDeactivated || row.drain != drain else { return }
        row.isDeactivated = true
        row.drain = drain
        if row.state == .active { row.state = .deactivated }
        outbox.append(.commit([.agent(id, entry(row))]))
        agents[id] = row
        if row.isRegistered { allocator.setActive(agent: id, false) }
        noteSeen(id)
        for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
        outbox.append(
            .observe(.agent(id, hostname: row.info.hostname, row.state, reason: reason)))
    }

    mutating func reactivate(
        _ id: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard var row = agents[id] else { return noAgent(id) }
        if row.state == .gone { return .refused("the agent '\(id)' was declared gone") }
        guard row.isDeactivated || row.drain != nil else { return .done }
        row.isDeactivated = false
        row.drain = nil
        if row.state == .deactivated { row.state = .active }
        outbox.append(.commit([.agent(id, entry(row))]))
        agents[id] = row
        if isOfferable(row) { allocator.setActive(agent: id, true) }
        noteSeen(id)
        outbox.append(
            .observe(
                .agent(
                    id, hostname: row.info.hostname, row.state,
                    reason: "the operator takes it into use again")))
        return .done
    }

    private func noAgent(_ id: AgentID) -> OperatorAnswer {
        .notFound("there is no agent '\(id)'")
    }

    // MARK: Drain

    /// Has every task of an agent that is being drained killed.
    mutating func killForDrain(
        _ id: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let order = agents[id]?.drain else { return }
        emptied.append(id)
        for key in agents[id]?.tasks ?? [] {
            guard let task = tasks[key], !task.state.isTerminal else { continue }
            if let limit = order.maxGrace {
                let own =
                    task.killPolicy?.gracePeriod ?? task.info.killPolicy?.gracePeriod
                    ?? Self.killGrace
                tasks[key]?.killPolicy = KillPolicy(gracePeriod: min(own, limit))
            }
            tasks[key]?.isKillWanted = true
            repeatKill(key, at: now, into: &outbox)
        }
    }

    /// Notes which agents are empty by now; the acknowledgement of the last end makes them so.
    mutating func endDrains(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        guard !emptied.isEmpty else { return }
        let candidates = emptied
        emptied = []
        for id in candidates {
            // One that is to be gone and is not, though drained, has lost that with a master.
            guard var row = agents[id], var order = row.drain,
                !order.isDrained || order.marksGone && row.state != .gone,
                row.isRegistered, row.peer != nil, row.tasks.isEmpty
            else { continue }
            order.isDrained = true
            row.drain = order
            outbox.append(.commit([.agent(id, entry(row))]))
            agents[id] = row
            outbox.append(
                .observe(
                    .agent(id, hostname: row.info.hostname, row.state, reason: "it is drained")))
            if order.marksGone { _ = markGone(id, at: now, into: &outbox) }
        }
    }

    /// An update as frameworks are to see it: why a task was killed is what the master knows.
    func asSeen(_ status: TaskStatus, _ task: TaskRow, _ agent: AgentID) -> TaskStatus {
        guard status.state == .killed || status.state == .killing else { return status }
        var status = status
        if let reason = task.preemptedFor {
            status.reason = .containerPreempted
            status.message = reason
        } else if let order = agents[agent]?.drain, task.isKillWanted || task.state.isTerminal {
            status.reason = .agentDraining
            if order.marksGone, status.state == .killed { status.state = .goneByOperator }
        }
        return status
    }

    // MARK: Gone

    /// Declares that an agent will not come back.
    mutating func markGone(
        _ id: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard var row = agents[id] else { return noAgent(id) }
        if row.state == .gone { return .done }
        let isLost = row.state == .unreachable
        let since = wallClock.time(at: now)
        row.state = .gone
        row.unreachableSince = since
        row.isDeactivated = false
        row.drain = nil
        outbox.append(.commit([.agent(id, entry(row))]))
        let message = "the operator declared the agent gone"
        if let peer = row.peer { outbox.append(.tellAgent(.shutdown(message), peer)) }
        if isLost {
            for key in row.tasks {
                conclude(
                    key, .goneByOperator, .agentRemovedByOperator, message, at: now,
                    into: &outbox)
            }
        } else {
            lose(
                id, .agentRemovedByOperator, taskState: .goneByOperator, message, at: now,
                into: &outbox)
        }
        // Ends that nobody has acknowledged: there is no agent any more to repeat them.
        for key in agents[id]?.tasks ?? [] { forget(key, at: now) }
        lost.remove(id)
        lost.append(id)
        agents[id]?.state = .gone
        agents[id]?.unreachableSince = since
        agents[id]?.isDeactivated = false
        agents[id]?.drain = nil
        cutOff(id, message, into: &outbox)
        outbox.append(.observe(.agent(id, hostname: row.info.hostname, .gone, reason: message)))
        return .done
    }

    /// Turns away an agent that the operator does not want, whatever it says of itself.
    ///
    /// One that has tasks is told to end them: their frameworks count them as lost.
    mutating func turnAway(
        _ body: Reregistration, _ known: AgentRow?, _ peer: PeerID,
        into outbox: inout Outbox<MasterEffect>
    ) -> Bool {
        var reason: String?
        var isFinal = false
        if known?.state == .gone {
            reason = "the operator declared this agent gone"
            isFinal = true
        } else if !downMachines.isEmpty,
            downMachines.contains(MachineID(hostname: body.info.hostname).key)
        {
            reason = "the machine '\(body.info.hostname)' is down for maintenance"
        }
        guard let reason else { return false }
        outbox.append(.observe(.invalidCall(nil, call: "REREGISTER", problem: reason)))
        if isFinal || !body.tasks.isEmpty || !body.executors.isEmpty {
            outbox.append(.tellAgent(.shutdown(reason), peer))
        }
        outbox.append(.closePeer(peer, reason: reason))
        return true
    }
}
