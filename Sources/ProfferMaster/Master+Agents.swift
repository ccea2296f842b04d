internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// How long an agent may hear nothing before it has to seek the master anew.
    private var pingTimeout: Duration {
        configuration.agentPingInterval * configuration.agentPingsMissed
    }

    mutating func take(
        _ message: AgentToMaster, from peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        switch message {
        case .register(let info, let version, _):
            register(info, version, peer, at: now, into: &outbox)
            return
        case .reregister(let body, let version, _):
            reregister(body, version, peer, at: now, into: &outbox)
            return
        case .updateAgent, .update, .executorExited, .message, .usage, .pong, .unregister: break
        }
        guard let id = peerAgents[peer], agents[id]?.peer == peer else {
            outbox.append(.observe(.stray("message of an agent that is not registered")))
            outbox.append(.closePeer(peer, reason: "the agent is not registered"))
            return
        }
        // Whatever an agent says proves that it is there.
        agents[id]?.pingsMissed = 0
        dispatch(message, id, at: now, into: &outbox)
    }

    private mutating func dispatch(
        _ message: AgentToMaster, _ id: AgentID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        switch message {
        case .register, .reregister, .pong: break
        case .updateAgent(let info):
            renew(id, info, at: now, into: &outbox)
        case .update(let framework, let status, let position):
            take(status, position, of: framework, on: id, at: now, into: &outbox)
        case .executorExited(let key, let status):
            let placed = PlacedExecutor(agent: id, executor: key.executor)
            let isKnown = agents[id]?.executors[key] != nil
            releaseExecutor(placed, of: key.framework, at: now)
            if isKnown, let peer = frameworks[key.framework]?.peer {
                outbox.append(
                    .tellFramework(
                        .failure(agent: id, executor: key.executor, status: status), peer))
            }
        case .message(let key, let data):
            if let peer = frameworks[key.framework]?.peer {
                outbox.append(
                    .tellFramework(
                        .message(agent: id, executor: key.executor, data: data), peer))
            }
        case .usage(let usage): agents[id]?.usage = usage
        case .unregister:
            outbox.append(.commit([.agent(id, nil)]))
            lose(
                id, .agentRemoved, taskState: .lost, "the agent left the cluster", at: now,
                into: &outbox)
            drop(id, reason: "it unregistered", at: now, into: &outbox)
        }
    }

    /// The agent has other resources or attributes than before: what was offered of it is void.
    private mutating func renew(
        _ id: AgentID, _ info: AgentInfo, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard var row = agents[id] else { return }
        if let problem = problem(of: info, against: row) {
            outbox.append(.observe(.invalidCall(nil, call: "UPDATE_AGENT", problem: problem)))
            return
        }
        row.info = info
        row.info.id = id
        outbox.append(.commit([.agent(id, entry(row))]))
        agents[id] = row
        tellAllocator(row)
        noteSeen(id)
        for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
    }

    private mutating func register(
        _ info: AgentInfo, _ version: String, _ peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        if let id = peerAgents[peer], agents[id]?.peer == peer {
            // A repetition: the answer was not there yet. The same id again, never a second one.
            outbox.append(.tellAgent(.registered(id, pingTimeout: pingTimeout), peer))
            return
        }
        if let problem = problem(of: info) {
            refuse(peer, problem, into: &outbox)
            return
        }
        dropForerunners(of: info, peer, at: now, into: &outbox)
        let id = makeAgentID()
        var row = AgentRow(id: id, info: info, peer: peer, state: .active)
        row.info.id = id
        row.publicKey = peerKeys[peer]
        row.version = version
        row.registeredAt = wallClock.time(at: now)
        agents[id] = row
        peerAgents[peer] = id
        outbox.append(.commit([.agent(id, entry(row))]))
        outbox.append(.tellAgent(.registered(id, pingTimeout: pingTimeout), peer))
        begin(id, at: now, reason: "registered", into: &outbox)
    }

    /// Drops agents that an earlier master has admitted and that will never come back.
    ///
    /// This one has their key, stands in their place and has no id: so it never heard of its
    /// admission, or has lost everything. Linear in the agents that are expected back.
    private mutating func dropForerunners(
        of info: AgentInfo, _ peer: PeerID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let key = peerKeys[peer] else { return }
        let forerunners = recovering.filter { id in
            guard let row = agents[id] else { return false }
            return row.publicKey == key && row.info.hostname == info.hostname
                && row.info.port == info.port
        }
        for id in forerunners {
            outbox.append(.commit([.agent(id, nil)]))
            lose(
                id, .agentRemoved, taskState: .lost, "the agent has begun anew", at: now,
                into: &outbox)
            drop(id, reason: "it has begun anew", at: now, into: &outbox)
        }
    }

    private func problem(of info: AgentInfo) -> String? {
        if let id = info.id, let problem = id.problem { return "the agent id '\(id)': \(problem)" }
        if info.hostname.isEmpty { return "the agent has no host name" }
        if info.resources.isEmpty { return "the agent has no resources" }
        if let problem = AgentSize.problem(of: info) { return problem }
        if let problem = problemOfAmounts(info.resources, "the agent") { return problem }
        for item in info.resources.items {
            for reservation in item.reservations {
                if let problem = problemOfRole(reservation.role) { return problem }
            }
        }
        return nil
    }

    private mutating func refuse(
        _ peer: PeerID, _ reason: String, into outbox: inout Outbox<MasterEffect>
    ) {
        outbox.append(.observe(.invalidCall(nil, call: "REGISTER", problem: reason)))
        outbox.append(.tellAgent(.refused(reason), peer))
        outbox.append(.closePeer(peer, reason: reason))
    }

    private mutating func begin(
        _ id: AgentID, at now: Instant, reason: String, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = agents[id] else { return }
        agents[id]?.pingsMissed = 0
        agents[id]?.unreachableSince = nil
        recovering.remove(id)
        timers.set(.agentReturn(id), to: nil)
        timers.set(.ping(id), to: now + configuration.agentPingInterval)
        tellAllocator(row)
        noteSeen(id)
        outbox.append(
            .observe(
                .agent(id, hostname: row.info.hostname, row.state, reason: reason)))
    }

    private mutating func reregister(
        _ body: Reregistration, _ version: String, _ peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let id = body.info.id else {
            register(body.info, version, peer, at: now, into: &outbox)
            return
        }
        if peerAgents[peer] == id, agents[id]?.peer == peer {
            // A repetition: this session has carried everything since, so there is nothing to
            // learn, and a task launched meanwhile must not be taken for a lost one.
            outbox.append(
                .tellAgent(.reregistered(id, pingTimeout: pingTimeout, reconcile: []), peer))
            return
        }
        let known = agents[id]
        let stranger = problemOfKey(.agent(id), peer, into: &outbox)
        if let problem = stranger ?? problem(of: body.info, against: known) ?? problem(of: peer) {
            refuse(peer, problem, into: &outbox)
            return
        }
        var row = known ?? AgentRow(id: id, info: body.info, state: .active)
        row.info = body.info
        row.info.resources = resources(body.info.resources, of: known)
        row.peer = peer
        row.publicKey = row.publicKey ?? peerKeys[peer]
        row.state = row.isDeactivated ? .deactivated : .active
        row.version = version
        row.registeredAt = row.registeredAt ?? wallClock.time(at: now)
        row.unreachableSince = nil
        outbox.append(.commit([.agent(id, entry(row))]))
        if let old = known?.peer {
            // The same agent over a new session: the old one is dead, whether it knows or not.
            peerAgents.remove(old)
            outbox.append(.closePeer(old, reason: "the agent came back over a new session"))
        }
        agents[id] = row
        peerAgents[peer] = id
        for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
        begin(id, at: now, reason: "came back", into: &outbox)
        let ended = learnFrameworks(body, at: now, into: &outbox)
        let missing = merge(body, id, since: known?.state, at: now, into: &outbox)
        outbox.append(
            .tellAgent(
                .reregistered(id, pingTimeout: pingTimeout, reconcile: missing), peer))
        if row.info.resources != body.info.resources {
            outbox.append(.tellAgent(.updateResources(row.info.resources), peer))
        }
        for framework in ended {
            outbox.append(.tellAgent(.shutdownFramework(framework), peer))
        }
        for executor in agents[id]?.endingExecutors ?? [] {
            outbox.append(.tellAgent(.shutdownExecutor(executor), peer))
        }
        for key in agents[id]?.tasks ?? [] { repeatKill(key, at: now, into: &outbox) }
    }

    private func problem(of peer: PeerID) -> String? {
        peerAgents[peer].map { "this session belongs to agent '\($0)'; open another one" }
    }

    /// What an agent that comes back has.
    ///
    /// An agent that has missed an operation still reports what was there before: as long as the
    /// amounts are the same, the master knows better.
    private func resources(_ reported: Resources, of known: AgentRow?) -> Resources {
        guard let known = known?.info.resources, known.quantities == reported.quantities,
            (known.items + reported.items).contains(where: {
                $0.isPersistentVolume || $0.reservations.last?.kind == .dynamic
            })
        else { return reported }
        return known
    }

    private func problem(of info: AgentInfo, against known: AgentRow?) -> String? {
        if let problem = problem(of: info) { return problem }
        guard let known else { return nil }
        if known.state == .gone { return "the operator declared this agent gone" }
        if known.info.hostname != info.hostname {
            return "the agent '\(known.id)' was on host '\(known.info.hostname)' and now says "
                + "'\(info.hostname)'; give it a new data directory to join as a new agent"
        }
        return nil
    }

    /// Takes in frameworks that only the agent knows, and names those that have ended.
    private mutating func learnFrameworks(
        _ body: Reregistration, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OrderedSet<FrameworkID> {
        for info in body.frameworks {
            guard let id = info.id, removedFrameworks[id] == nil, frameworks[id] == nil else {
                continue
            }
            let since = wallClock.time(at: now)
            var row = FrameworkRow(id: id, info: info)
            row.disconnectedSince = since
            outbox.append(.commit([.framework(id, row.entry())]))
            frameworks[id] = row
            tellAllocator(row, isActive: false)
            // It has to find this master in its own time, like one that has just disconnected.
            timers.set(
                .failover(id),
                to: now + max(info.failoverTimeout, configuration.heartbeatInterval))
        }
        var ended: OrderedSet<FrameworkID> = []
        let named =
            body.frameworks.compactMap(\.id) + body.tasks.map(\.frameworkID)
            + body.executors.map(\.frameworkID)
        for id in named where frameworks[id] == nil { ended.append(id) }
        return ended
    }

    /// Brings the master's and the agent's knowledge of tasks and executors together.
    ///
    /// - Returns: Tasks the master knows and the agent did not name: the agent is to say of each
    ///   that it is lost, with an update that it repeats until it is acknowledged.
    private mutating func merge(
        _ body: Reregistration, _ id: AgentID, since old: AgentState?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> [TaskKey] {
        mergeExecutors(body.executors, id, at: now)
        var named: Set<TaskKey> = []
        for task in body.tasks where frameworks[task.frameworkID] != nil {
            let key = TaskKey(task.frameworkID, task.info.id)
            if let other = tasks[key]?.info.agentID, other != id {
                outbox.append(.observe(.stray("a task that also runs on another agent")))
                continue
            }
            named.insert(key)
            takeIn(task, key, id, since: old, at: now, into: &outbox)
        }
        return (agents[id]?.tasks ?? []).filter { !named.contains($0) }
    }

    private mutating func mergeExecutors(
        _ list: [AgentExecutor], _ id: AgentID, at now: Instant
    ) {
        var named: Set<ExecutorKey> = []
        for executor in list where frameworks[executor.frameworkID] != nil {
            let key = ExecutorKey(executor.frameworkID, executor.info.id)
            named.insert(key)
            guard agents[id]?.executors[key] == nil else { continue }
            agents[id]?.executors[key] = executor
            frameworks[executor.frameworkID]?.executors.append(
                PlacedExecutor(agent: id, executor: executor.info.id))
            allocator.hold(
                Allocation(
                    framework: executor.frameworkID, role: executor.role, agent: id,
                    resources: executor.info.resources))
        }
        for key in agents[id]?.executors.keys ?? [] where !named.contains(key) {
            releaseExecutor(
                PlacedExecutor(agent: id, executor: key.executor), of: key.framework, at: now)
        }
    }

    private mutating func takeIn(
        _ task: AgentTask, _ key: TaskKey, _ agent: AgentID, since old: AgentState?,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let before = tasks[key]
        var row =
            before
            ?? TaskRow(
                info: task.info, role: task.role, executorID: task.executorID, isReleased: true)
        if before == nil { row.isLearned = true }
        row.state = task.state
        if let last = task.lastForwarded {
            row.lastStatus = last
            if last.state.isTerminal { row.endUUID = last.uuid }
        } else if row.lastStatus?.state != task.state {
            // Nothing waits at the agent: the framework has heard everything.
            row.lastStatus = TaskStatus(
                taskID: key.task, state: task.state, source: .agent, agentID: agent,
                executorID: task.executorID)
        }
        if row.lastStatus?.state == .running {
            row.startedAt = row.startedAt ?? row.lastStatus?.timestamp
        }
        tasks[key] = row
        frameworks[key.framework]?.tasks.append(key.task)
        frameworks[key.framework]?.unreachable.remove(key.task)
        agents[agent]?.tasks.append(key)
        if task.state.isTerminal {
            release(key, at: now)
        } else if row.isReleased {
            tasks[key]?.isReleased = false
            allocator.hold(
                Allocation(
                    framework: key.framework, role: row.role, agent: agent,
                    resources: row.info.resources))
        }
        // The framework was told that the task is lost. After a restart of the master, which has
        // said nothing, it asks by itself.
        let wasDeclaredLost =
            old == .unreachable || (before == nil && (old == .disconnected || old == .active))
        guard wasDeclaredLost, !task.state.isTerminal else { return }
        frameworks[key.framework]?.completed.removeAll { $0.key == key }
        report(
            key.task, agent, key.framework, task.state, .agentReregistered,
            "the agent came back with the task", into: &outbox)
    }

    mutating func ping(
        _ id: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard var row = agents[id], row.isRegistered else { return }
        // Intervals are counted, not time: a master that was stopped for a while has not heard
        // its agents and may not hold that against them.
        row.pingsMissed += 1
        row.pingNumber += 1
        agents[id] = row
        if row.pingsMissed >= configuration.agentPingsMissed {
            markUnreachable(id, "it does not answer pings", at: now, into: &outbox)
            return
        }
        if let peer = row.peer {
            outbox.append(.tellAgent(.ping(number: row.pingNumber, isConnected: true), peer))
        }
        timers.set(.ping(id), to: now + configuration.agentPingInterval)
    }

    /// Ends an executor, now or when its agent is back.
    mutating func shutDown(
        _ key: ExecutorKey, on agent: AgentID, into outbox: inout Outbox<MasterEffect>
    ) {
        if agents[agent]?.executors[key] != nil { agents[agent]?.endingExecutors.append(key) }
        if let peer = agents[agent]?.peer {
            outbox.append(.tellAgent(.shutdownExecutor(key), peer))
        }
    }

    mutating func disconnect(
        agent id: AgentID, _ peer: PeerID, _ reason: String, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = agents[id], row.peer == peer, row.isRegistered else { return }
        agents[id]?.peer = nil
        agents[id]?.state = .disconnected
        allocator.setActive(agent: id, false)
        noteSeen(id)
        for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
        outbox.append(
            .observe(
                .agent(id, hostname: row.info.hostname, .disconnected, reason: reason)))
        // Tasks of frameworks that do not checkpoint die with the agent's process.
        for key in row.tasks where frameworks[key.framework]?.info.checkpoint == false {
            conclude(
                key, .lost, .agentDisconnected, "the agent disconnected", at: now,
                into: &outbox)
        }
        timers.set(.agentReturn(id), to: now + configuration.agentReturnWindow)
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
        recovering.remove(id)
        agents[id]?.state = .unreachable
        agents[id]?.unreachableSince = since
        if let peer = row.peer {
            peerAgents.remove(peer)
            agents[id]?.peer = nil
            outbox.append(.closePeer(peer, reason: reason))
        }
        outbox.append(
            .observe(.agent(id, hostname: row.info.hostname, .unreachable, reason: reason)))
    }

    /// Takes back everything at an agent and tells its frameworks.
    private mutating func lose(
        _ id: AgentID, _ reason: StatusReason, taskState: TaskState, _ message: String,
        unreachableSince: WallTime? = nil, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = agents[id] else { return }
        timers.set(.ping(id), to: nil)
        timers.set(.agentReturn(id), to: nil)
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
        allocator.removeAgent(id)
        noteSeen(id)
        for framework in frameworks.values {
            if let peer = framework.peer {
                outbox.append(
                    .tellFramework(.failure(agent: id, executor: nil, status: nil), peer))
            }
        }
    }

    private mutating func drop(
        _ id: AgentID, reason: String, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        // Ends that nobody has acknowledged: there is no agent any more to repeat them.
        for key in agents[id]?.tasks ?? [] { forget(key, at: now) }
        guard let row = agents.removeValue(forKey: id) else { return }
        recovering.remove(id)
        if let peer = row.peer {
            peerAgents.remove(peer)
            outbox.append(.closePeer(peer, reason: reason))
        }
        outbox.append(
            .observe(.agent(id, hostname: row.info.hostname, .gone, reason: reason)))
    }
}
