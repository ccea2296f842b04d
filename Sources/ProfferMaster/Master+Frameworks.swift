internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    mutating func take(
        _ message: FrameworkCall, from peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        if case .subscribe(let subscription) = message.call {
            subscribe(subscription, message.frameworkID, peer, at: now, into: &outbox)
            return
        }
        guard let id = message.frameworkID, peerFrameworks[peer] == id,
            frameworks[id]?.peer == peer
        else {
            // An older instance, or one that never subscribed: it has to learn that it is not the
            // framework.
            outbox.append(
                .observe(
                    .invalidCall(
                        message.frameworkID, call: message.call.name,
                        problem: "the framework is not subscribed over this session")))
            outbox.append(.tellFramework(.error("the framework is not subscribed"), peer))
            outbox.append(.closePeer(peer, reason: "not subscribed"))
            return
        }
        dispatch(message.call, id, at: now, into: &outbox)
    }

    private mutating func dispatch(
        _ call: SchedulerCall, _ id: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        switch call {
        case .subscribe: break
        case .teardown:
            remove(framework: id, "it was torn down", at: now, into: &outbox)
        case .accept(let offers, let operations, let filters):
            accept(offers, operations, filters, id, at: now, into: &outbox)
        case .decline(let offers, let filters):
            decline(offers, filters, id, at: now, into: &outbox)
        case .revive(let roles): revive(roles, id, into: &outbox)
        case .suppress(let roles): suppress(roles, id, into: &outbox)
        case .kill(let task, let agent, let policy):
            kill(TaskKey(id, task), agent, policy, at: now, into: &outbox)
        case .shutdown(let executor, let agent):
            if let peer = agents[agent]?.peer {
                outbox.append(.tellAgent(.shutdownExecutor(ExecutorKey(id, executor)), peer))
            }
        case .acknowledge(let task, let agent, let uuid):
            acknowledge(TaskKey(id, task), agent, uuid, into: &outbox)
        case .reconcile(let list): reconcile(list, id, at: now, into: &outbox)
        case .message(let agent, let executor, let data):
            if let peer = agents[agent]?.peer {
                outbox.append(
                    .tellAgent(.message(ExecutorKey(id, executor), data: data), peer))
            }
        case .updateFramework(let subscription):
            update(id, subscription, at: now, into: &outbox)
        case .reconcileOperations(let list): reconcileOperations(list, id, into: &outbox)
        case .request, .acknowledgeOperation, .acceptInverseOffers, .declineInverseOffers: break
        }
    }

    private mutating func subscribe(
        _ subscription: Subscription, _ id: FrameworkID?, _ peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        if let problem = problem(subscription, id) {
            outbox.append(
                .observe(.invalidCall(id, call: "SUBSCRIBE", problem: problem)))
            outbox.append(.tellFramework(.error(problem), peer))
            outbox.append(.closePeer(peer, reason: problem))
            return
        }
        let id = id ?? makeFrameworkID()
        var row = frameworks[id] ?? FrameworkRow(id: id, info: subscription.framework)
        failOver(from: row, to: peer, at: now, into: &outbox)
        let oldRoles = row.info.roles
        let principal =
            frameworks[id] == nil ? subscription.framework.principal : row.info.principal
        row = frameworks[id] ?? row
        row.info = subscription.framework
        row.info.id = id
        row.info.principal = principal
        row.peer = peer
        row.suppressedRoles = subscription.suppressedRoles
        row.constraints = subscription.constraints
        row.subscribedAt = wallClock.time(at: now)
        row.disconnectedSince = nil
        frameworks[id] = row
        peerFrameworks[peer] = id
        timers.set(.failover(id), to: nil)
        timers.set(.heartbeat(id), to: now + configuration.heartbeatInterval)
        tellAllocator(row, isActive: true)
        dropOffers(of: id, inRolesOf: oldRoles, notIn: row.info.roles, at: now, into: &outbox)
        outbox.append(.commit([.framework(id, FrameworkEntry(info: row.info))]))
        outbox.append(
            .tellFramework(
                .subscribed(
                    id, heartbeatInterval: configuration.heartbeatInterval, master: info), peer))
        outbox.append(.tellFramework(.heartbeat, peer))
        outbox.append(
            .observe(
                .framework(
                    id, name: row.info.name, isConnected: true, isRemoved: false,
                    reason: "subscribed")))
        tellAgents(of: row, .updateFramework(row.info), into: &outbox)
    }

    private func problem(_ subscription: Subscription, _ id: FrameworkID?) -> String? {
        let framework = subscription.framework
        guard framework.id == id else {
            return "the framework id of the call and that of its description differ"
        }
        if let id, removedFrameworks[id] != nil { return "Framework has been removed" }
        if framework.name.isEmpty { return "the framework has no name; give it one" }
        if framework.failoverTimeout < .zero { return "the failover time-out is negative" }
        for role in framework.roles {
            if let problem = problemOfRole(role) { return problem }
        }
        if Set(framework.roles).count != framework.roles.count {
            return "a role is listed twice"
        }
        for role in subscription.suppressedRoles where !framework.roles.contains(role) {
            return "the suppressed role '\(role)' is not one of the framework's roles"
        }
        for constraint in subscription.constraints
        where !framework.roles.contains(constraint.role) {
            return "constraints are given for '\(constraint.role)', which is not one of the "
                + "framework's roles"
        }
        if let known = id.flatMap({ frameworks[$0] }), known.info.principal != framework.principal,
            known.info.principal != nil
        {
            return "the principal of a framework cannot be changed"
        }
        return ProfferAllocation.problem(in: subscription.constraints)
    }

    /// The newest subscriber wins: the one before is told and cut off, its offers are void.
    private mutating func failOver(
        from row: FrameworkRow, to peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        for id in row.offers { end(offer: id, .discarded, at: now, into: &outbox) }
        guard let old = row.peer, old != peer else { return }
        peerFrameworks.remove(old)
        outbox.append(.tellFramework(.error("Framework failed over"), old))
        outbox.append(.closePeer(old, reason: "the framework failed over"))
    }

    private mutating func tellAllocator(_ row: FrameworkRow, isActive: Bool) {
        allocator.setFramework(
            AllocatorFramework(
                id: row.id, roles: row.info.roles, suppressedRoles: row.suppressedRoles,
                capabilities: row.info.capabilities, minimums: row.info.minimumOffers,
                constraints: row.constraints), isActive: isActive)
    }

    private mutating func dropOffers(
        of id: FrameworkID, inRolesOf old: [String], notIn new: [String], at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        for offer in frameworks[id]?.offers ?? [] {
            guard let role = offers[offer]?.offer.role, !new.contains(role) else { continue }
            end(offer: offer, .rescinded, at: now, into: &outbox)
        }
    }

    private mutating func update(
        _ id: FrameworkID, _ subscription: Subscription, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let before = frameworks[id] else { return }
        var wanted = subscription
        wanted.framework.id = id
        var refusal = problem(wanted, id)
        if wanted.framework.user != before.info.user
            || wanted.framework.checkpoint != before.info.checkpoint
        {
            refusal = refusal ?? "user and checkpoint of a framework cannot be changed"
        }
        if let refusal {
            outbox.append(
                .observe(.invalidCall(id, call: "UPDATE_FRAMEWORK", problem: refusal)))
            return
        }
        var row = before
        row.info = wanted.framework
        row.suppressedRoles = wanted.suppressedRoles
        row.constraints = wanted.constraints
        frameworks[id] = row
        tellAllocator(row, isActive: row.isConnected)
        dropOffers(
            of: id, inRolesOf: before.info.roles, notIn: row.info.roles, at: now, into: &outbox)
        outbox.append(.commit([.framework(id, FrameworkEntry(info: row.info))]))
        tellAgents(of: row, .updateFramework(row.info), into: &outbox)
    }

    func tellAgents(
        of row: FrameworkRow, _ message: MasterToAgent, into outbox: inout Outbox<MasterEffect>
    ) {
        var told: OrderedSet<AgentID> = []
        for task in row.tasks {
            if let agent = tasks[TaskKey(row.id, task)]?.info.agentID { told.append(agent) }
        }
        for executor in row.executors { told.append(executor.agent) }
        for agent in told {
            if let peer = agents[agent]?.peer { outbox.append(.tellAgent(message, peer)) }
        }
    }

    mutating func heartbeat(
        _ id: FrameworkID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let peer = frameworks[id]?.peer else { return }
        outbox.append(.tellFramework(.heartbeat, peer))
        timers.set(.heartbeat(id), to: now + configuration.heartbeatInterval)
    }

    mutating func disconnect(
        framework id: FrameworkID, _ peer: PeerID, _ reason: String, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[id], row.peer == peer else { return }
        frameworks[id]?.peer = nil
        let since = wallClock.time(at: now)
        frameworks[id]?.disconnectedSince = since
        for offer in row.offers { end(offer: offer, .discarded, at: now, into: &outbox) }
        allocator.setActive(framework: id, false)
        timers.set(.heartbeat(id), to: nil)
        outbox.append(
            .observe(
                .framework(
                    id, name: row.info.name, isConnected: false, isRemoved: false,
                    reason: reason)))
        if row.info.failoverTimeout <= .zero {
            remove(framework: id, "it disconnected", at: now, into: &outbox)
        } else {
            timers.set(.failover(id), to: now + row.info.failoverTimeout)
            outbox.append(
                .commit([
                    .framework(id, FrameworkEntry(info: row.info, disconnectedSince: since))
                ]))
        }
    }

    /// Ends a framework: its tasks and executors are killed on every agent, nobody is told of
    /// each.
    mutating func remove(
        framework id: FrameworkID, _ reason: String, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[id] else { return }
        outbox.append(
            .commit([.framework(id, FrameworkEntry(info: row.info, isRemoved: true))]))
        for offer in row.offers { end(offer: offer, .discarded, at: now, into: &outbox) }
        for agent in agents.values {
            if let peer = agent.peer, isAt(row, agent.id) {
                outbox.append(.tellAgent(.shutdownFramework(id), peer))
            }
        }
        for task in row.tasks {
            let key = TaskKey(id, task)
            guard var known = tasks[key] else { continue }
            release(key, at: now)
            known.state = known.state.isTerminal ? known.state : .killed
            tasks[key]?.state = known.state
            forget(key, at: now)
        }
        for executor in row.executors { releaseExecutor(executor, of: id, at: now) }
        var ended = frameworks[id] ?? row
        if let peer = ended.peer {
            peerFrameworks.remove(peer)
            outbox.append(.closePeer(peer, reason: reason))
            ended.peer = nil
        }
        timers.set(.failover(id), to: nil)
        timers.set(.heartbeat(id), to: nil)
        allocator.removeFramework(id)
        frameworks.removeValue(forKey: id)
        removedFrameworks[id] = ended
        outbox.append(
            .observe(
                .framework(
                    id, name: row.info.name, isConnected: false, isRemoved: true,
                    reason: reason)))
        while removedFrameworks.count > configuration.completedFrameworks {
            let oldest = removedFrameworks.elements[0].key
            removedFrameworks.removeValue(forKey: oldest)
            outbox.append(.commit([.framework(oldest, nil)]))
        }
    }

    private func isAt(_ row: FrameworkRow, _ agent: AgentID) -> Bool {
        row.executors.contains { $0.agent == agent }
            || row.tasks.contains { tasks[TaskKey(row.id, $0)]?.info.agentID == agent }
    }
}
