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
            remove(framework: id, "it was torn down", isOwnWish: true, at: now, into: &outbox)
        case .accept(let offers, let operations, let filters):
            accept(offers, operations, filters, id, at: now, into: &outbox)
        case .decline(let offers, let filters):
            decline(offers, filters, id, at: now, into: &outbox)
        case .revive(let roles): revive(roles, id, into: &outbox)
        case .suppress(let roles): suppress(roles, id, into: &outbox)
        case .kill(let task, let agent, let policy):
            kill(TaskKey(id, task), agent, policy, at: now, into: &outbox)
        case .shutdown(let executor, let agent):
            shutDown(ExecutorKey(id, executor), on: agent, into: &outbox)
        case .acknowledge(let task, let agent, let uuid):
            acknowledge(TaskKey(id, task), agent, uuid, at: now, into: &outbox)
        case .reconcile(let list): reconcile(list, id, at: now, into: &outbox)
        case .message(let agent, let executor, let data):
            if let peer = agents[agent]?.peer {
                outbox.append(
                    .tellAgent(.message(ExecutorKey(id, executor), data: data), peer))
            }
        case .updateFramework(let subscription):
            update(id, subscription, at: now, into: &outbox)
        case .reconcileOperations(let list): reconcileOperations(list, id, into: &outbox)
        case .demand(let demands): state(demands, id, at: now, into: &outbox)
        case .acceptTogether(let parts, let filters):
            acceptTogether(parts, filters, id, at: now, into: &outbox)
        case .claim(let claim): take(claim, id, at: now, into: &outbox)
        case .watchCluster(let isWanted):
            watchCluster(id, isWanted, at: now, into: &outbox)
        case .acceptInverseOffers(let ids, _):
            respond(.accepted(at: wallClock.time(at: now)), to: ids, id)
        case .declineInverseOffers(let ids, _):
            respond(.declined(at: wallClock.time(at: now)), to: ids, id)
        case .request, .acknowledgeOperation: break
        }
    }

    private mutating func subscribe(
        _ subscription: Subscription, _ id: FrameworkID?, _ peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let stranger = id.flatMap { problemOfKey(.framework($0), peer, into: &outbox) }
        if let problem = stranger ?? problem(subscription, id, peer) {
            outbox.append(
                .observe(.invalidCall(id, call: "SUBSCRIBE", problem: problem)))
            outbox.append(.tellFramework(.error(problem), peer))
            outbox.append(.closePeer(peer, reason: problem))
            return
        }
        // A repetition over the same session means the framework that was made the first time.
        let id = id ?? peerFrameworks[peer] ?? makeFrameworkID()
        let known = frameworks[id]
        if let known, says(subscription, nothingNewOf: known, peer) {
            outbox.append(welcome(id, peer))
            return
        }
        var row = known ?? FrameworkRow(id: id, info: subscription.framework)
        row.info = subscription.framework
        row.info.id = id
        if let known {
            row.info.user = known.info.user
            row.info.checkpoint = known.info.checkpoint
        }
        row.peer = peer
        row.publicKey = row.publicKey ?? peerKeys[peer]
        row.suppressedRoles = subscription.suppressedRoles
        row.constraints = subscription.constraints
        row.takesBatches = subscription.takesBatches
        row.subscribedAt = wallClock.time(at: now)
        row.disconnectedSince = nil
        row.demands = []
        row.awaitsDemand = subscription.demands != nil
        row.launched = LookupTable()
        row.watchSerial = nil
        outbox.append(.commit([.framework(id, row.entry())]))
        if let known {
            failOver(from: known, to: peer, at: now, into: &outbox)
            if known.peer != peer { awaitUpdates(of: known) }
        }
        row.offers = []
        frameworks[id] = row
        peerFrameworks[peer] = id
        timers.set(.failover(id), to: nil)
        timers.set(.heartbeat(id), to: now + configuration.heartbeatInterval)
        tellAllocator(row, isActive: true)
        forgetWishes(id, at: now)
        outbox.append(welcome(id, peer))
        outbox.append(.tellFramework(.heartbeat, peer))
        begin(with: subscription.demands, id, isKnown: known != nil, at: now, into: &outbox)
        outbox.append(
            .observe(
                .framework(
                    id, name: row.info.name, isConnected: true, isRemoved: false,
                    reason: "subscribed")))
        tellAgents(of: row, .updateFramework(row.info), into: &outbox)
        repeatInverseOffers(id, at: now, into: &outbox)
    }

    private func welcome(_ id: FrameworkID, _ peer: PeerID) -> MasterEffect {
        .tellFramework(
            .subscribed(id, heartbeatInterval: configuration.heartbeatInterval, master: info),
            peer)
    }

    /// Whether a framework that waited long for its answer has only asked again: what it was
    /// offered since the first time stays its own.
    private func says(
        _ subscription: Subscription, nothingNewOf row: FrameworkRow, _ peer: PeerID
    ) -> Bool {
        guard row.peer == peer else { return false }
        var info = subscription.framework
        info.id = row.id
        return info == row.info && subscription.suppressedRoles == row.suppressedRoles
            && subscription.constraints == row.constraints
            && subscription.takesBatches == row.takesBatches
            && (subscription.demands ?? []) == row.demands
    }

    private func problem(_ subscription: Subscription, _ id: FrameworkID?, _ peer: PeerID?)
        -> String?
    {
        let framework = subscription.framework
        guard framework.id == id else {
            return "the framework id of the call and that of its description differ"
        }
        if let id {
            if removedFrameworks[id] != nil { return Self.removedMessage }
            if let problem = id.problem { return "the framework id '\(id)': \(problem)" }
        }
        if let id, let peer, let other = peerFrameworks[peer], other != id {
            return "this session belongs to framework '\(other)'; open another one"
        }
        if framework.name.isEmpty { return "the framework has no name; give it one" }
        if let problem = problemOfPriority(of: framework, id) { return problem }
        if framework.failoverTimeout < .zero { return "the failover time-out is negative" }
        if let known = id.flatMap({ frameworks[$0] }), known.info.principal != framework.principal {
            return "the principal of a framework cannot be changed"
        }
        return problemOfRoles(subscription)
            ?? ProfferAllocation.problem(in: subscription.constraints)
    }

    /// A framework that comes back with the priority it had keeps it in the roles it had, and is
    /// served as at the limit.
    private func problemOfPriority(of info: FrameworkInfo, _ id: FrameworkID?) -> String? {
        if let problem = problemOfPriority(info.priority) { return problem }
        let known = id.flatMap { frameworks[$0]?.info }
        let kept = known?.priority == info.priority ? known?.roles ?? [] : []
        for role in info.roles where !kept.contains(role) {
            if let problem = problemOfPriority(info.priority, in: role) { return problem }
        }
        return nil
    }

    private func problemOfRoles(_ subscription: Subscription) -> String? {
        let roles = subscription.framework.roles
        for role in roles {
            if let problem = problemOfRole(role) { return problem }
        }
        if Set(roles).count != roles.count { return "a role is listed twice" }
        for role in subscription.suppressedRoles where !roles.contains(role) {
            return "the suppressed role '\(role)' is not one of the framework's roles"
        }
        for constraint in subscription.constraints where !roles.contains(constraint.role) {
            return "constraints are given for '\(constraint.role)', which is not one of the "
                + "framework's roles"
        }
        return nil
    }

    /// The newest subscriber wins: the one before is told and cut off, its offers are void.
    private mutating func failOver(
        from row: FrameworkRow, to peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        // Over the same session it may have heard of them.
        let end: OfferEnd = row.peer == peer ? .rescinded : .discarded
        for id in row.offers { self.end(offer: id, end, at: now, into: &outbox) }
        guard let old = row.peer, old != peer else { return }
        peerFrameworks.remove(old)
        outbox.append(.tellFramework(.error("Framework failed over"), old))
        outbox.append(.closePeer(old, reason: "the framework failed over"))
    }

    mutating func tellAllocator(_ row: FrameworkRow, isActive: Bool) {
        allocator.setFramework(
            AllocatorFramework(
                id: row.id, roles: row.info.roles,
                suppressedRoles: row.awaitsDemand ? row.info.roles : row.suppressedRoles,
                capabilities: row.info.capabilities, minimums: row.info.minimumOffers,
                constraints: row.constraints, priority: priority(of: row.info)),
            isActive: isActive)
    }

    private mutating func dropOffers(
        of id: FrameworkID, notIn roles: [String], at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        for offer in frameworks[id]?.offers ?? [] {
            guard let role = offers[offer]?.offer.role, !roles.contains(role) else { continue }
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
        var refusal = problem(wanted, id, nil)
        if wanted.framework.user != before.info.user
            || wanted.framework.checkpoint != before.info.checkpoint
        {
            refusal = refusal ?? "user and checkpoint of a framework cannot be changed"
        }
        if let refusal {
            outbox.append(
                .observe(.invalidCall(id, call: "UPDATE_FRAMEWORK", problem: refusal)))
            answer(update: refusal, before.peer, into: &outbox)
            return
        }
        var row = before
        row.info = wanted.framework
        row.suppressedRoles = wanted.suppressedRoles
        row.constraints = wanted.constraints
        frameworks[id] = row
        outbox.append(.commit([.framework(id, row.entry())]))
        answer(update: nil, row.peer, into: &outbox)
        tellAllocator(row, isActive: row.isConnected)
        keepDemands(of: id, in: row.info.roles, at: now)
        if row.watchSerial != nil, row.info.roles != before.info.roles {
            watchCluster(id, true, at: now, into: &outbox)
        }
        dropOffers(of: id, notIn: row.info.roles, at: now, into: &outbox)
        tellAgents(of: row, .updateFramework(row.info), into: &outbox)
    }

    /// An update that is refused leaves the subscription as it was, so it is no ERROR, which would
    /// end it; but the framework has to know, lest it come back with what was refused.
    private func answer(
        update problem: String?, _ peer: PeerID?, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let peer else { return }
        outbox.append(.tellFramework(.updateFrameworkAnswer(problem: problem), peer))
    }

    /// Tells every agent that has tasks or executors of a framework.
    ///
    /// O(tasks and executors of the framework).
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
        framework id: FrameworkID, _ peer: PeerID, _ reason: String,
        atLeast grace: Duration = .zero, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[id], row.peer == peer else { return }
        frameworks[id]?.peer = nil
        let since = wallClock.time(at: now)
        frameworks[id]?.disconnectedSince = since
        forgetWishes(id, at: now)
        allocator.setActive(framework: id, false)
        for offer in row.offers { end(offer: offer, .discarded, at: now, into: &outbox) }
        timers.set(.heartbeat(id), to: nil)
        outbox.append(
            .observe(
                .framework(
                    id, name: row.info.name, isConnected: false, isRemoved: false,
                    reason: reason)))
        stopAnswering(id)
        let window = max(row.info.failoverTimeout, grace)
        if window <= .zero {
            remove(framework: id, "it disconnected", at: now, into: &outbox)
        } else {
            timers.set(.failover(id), to: now + window)
            let entry = frameworks[id]?.entry()
            outbox.append(.commit([.framework(id, entry)]))
        }
    }

    /// What a framework hears that has ended; the driver knows it by this text.
    private static let removedMessage = "Framework has been removed"

    /// Ends a framework: its tasks and executors are killed on every agent, nobody is told of
    /// each.
    mutating func remove(
        framework id: FrameworkID, _ reason: String, isOwnWish: Bool = false, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[id] else { return }
        outbox.append(.commit([.framework(id, row.entry(isRemoved: true))]))
        for offer in row.offers { end(offer: offer, .discarded, at: now, into: &outbox) }
        tellAgents(of: row, .shutdownFramework(id), into: &outbox)
        for task in row.tasks {
            let key = TaskKey(id, task)
            release(key, at: now)
            if tasks[key]?.state.isTerminal == false { tasks[key]?.state = .killed }
            forget(key, at: now)
        }
        for executor in row.executors { releaseExecutor(executor, of: id, at: now) }
        var ended = frameworks[id] ?? row
        if let peer = ended.peer {
            peerFrameworks.remove(peer)
            if !isOwnWish { outbox.append(.tellFramework(.error(Self.removedMessage), peer)) }
            outbox.append(.closePeer(peer, reason: reason))
            ended.peer = nil
        }
        timers.set(.failover(id), to: nil)
        timers.set(.heartbeat(id), to: nil)
        stopAnswering(id)
        forgetWishes(id, at: now)
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
}
