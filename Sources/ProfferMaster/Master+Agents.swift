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
            guard var row = agents[id] else { return }
            row.info = info
            row.info.id = id
            agents[id] = row
            allocator.setAgent(row.info, isActive: row.state == .active)
            outbox.append(.commit([.agent(id, entry(row))]))
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
            lose(
                id, .agentRemoved, taskState: .lost, "the agent left the cluster", at: now,
                into: &outbox)
            outbox.append(.commit([.agent(id, nil)]))
            drop(id, reason: "it unregistered", into: &outbox)
        }
    }

    private mutating func register(
        _ info: AgentInfo, _ version: String, _ peer: PeerID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        if let id = peerAgents[peer], agents[id]?.peer == peer {
            // A repetition: the answer was not there yet.
            outbox.append(.tellAgent(.registered(id, pingTimeout: pingTimeout), peer))
            return
        }
        if let problem = problem(of: info) {
            refuse(peer, problem, into: &outbox)
            return
        }
        let id = makeAgentID()
        var row = AgentRow(id: id, info: info, peer: peer, state: .active)
        row.info.id = id
        row.version = version
        row.registeredAt = wallClock.time(at: now)
        agents[id] = row
        peerAgents[peer] = id
        outbox.append(.commit([.agent(id, entry(row))]))
        outbox.append(.tellAgent(.registered(id, pingTimeout: pingTimeout), peer))
        begin(id, at: now, reason: "registered", into: &outbox)
    }

    private func problem(of info: AgentInfo) -> String? {
        if info.hostname.isEmpty { return "the agent has no host name" }
        if info.resources.isEmpty { return "the agent has no resources" }
        if let problem = problemOfResources(info.resources, "the agent") { return problem }
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
        timers.set(.agentReturn(id), to: nil)
        timers.set(.ping(id), to: now + configuration.agentPingInterval)
        allocator.setAgent(row.info, isActive: row.state == .active)
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
        let known = agents[id]
        if let problem = problem(of: body.info, against: known) {
            refuse(peer, problem, into: &outbox)
            return
        }
        if let old = known?.peer, old != peer {
            // The same agent over a new session: the old one is dead, whether it knows or not.
            peerAgents.remove(old)
            outbox.append(.closePeer(old, reason: "the agent came back over a new session"))
        }
        var row = known ?? AgentRow(id: id, info: body.info, state: .active)
        let wasUnreachable = row.state == .unreachable
        row.info = body.info
        row.peer = peer
        row.state = row.isDeactivated ? .deactivated : .active
        row.version = version
        row.registeredAt = row.registeredAt ?? wallClock.time(at: now)
        agents[id] = row
        peerAgents[peer] = id
        begin(id, at: now, reason: "came back", into: &outbox)
        outbox.append(.commit([.agent(id, entry(agents[id] ?? row))]))
        let ended = learnFrameworks(body, into: &outbox)
        let missing = merge(body, id, wasUnreachable, at: now, into: &outbox)
        outbox.append(
            .tellAgent(
                .reregistered(id, pingTimeout: pingTimeout, reconcile: missing), peer))
        for framework in ended {
            outbox.append(.tellAgent(.shutdownFramework(framework), peer))
        }
        for key in agents[id]?.tasks ?? [] { repeatKill(key, at: now, into: &outbox) }
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
        _ body: Reregistration, into outbox: inout Outbox<MasterEffect>
    ) -> [FrameworkID] {
        var ended: [FrameworkID] = []
        for info in body.frameworks {
            guard let id = info.id else { continue }
            if removedFrameworks[id] != nil {
                ended.append(id)
            } else if frameworks[id] == nil {
                frameworks[id] = FrameworkRow(id: id, info: info)
                allocator.setFramework(
                    AllocatorFramework(
                        id: id, roles: info.roles, capabilities: info.capabilities),
                    isActive: false)
                outbox.append(.commit([.framework(id, FrameworkEntry(info: info))]))
            }
        }
        return ended
    }

    /// Brings the master's and the agent's knowledge of tasks together.
    ///
    /// - Returns: Tasks the master knows and the agent did not name.
    private mutating func merge(
        _ body: Reregistration, _ id: AgentID, _ wasUnreachable: Bool, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> [TaskKey] {
        for executor in body.executors where frameworks[executor.frameworkID] != nil {
            let key = ExecutorKey(executor.frameworkID, executor.info.id)
            guard agents[id]?.executors[key] == nil else { continue }
            agents[id]?.executors[key] = executor
            frameworks[executor.frameworkID]?.executors.append(
                PlacedExecutor(agent: id, executor: executor.info.id))
            allocator.hold(
                Allocation(
                    framework: executor.frameworkID, role: executor.role, agent: id,
                    resources: executor.info.resources))
        }
        var named: Set<TaskKey> = []
        for task in body.tasks {
            let key = TaskKey(task.frameworkID, task.info.id)
            named.insert(key)
            guard frameworks[task.frameworkID] != nil else { continue }
            takeIn(task, key, id, wasUnreachable, at: now, into: &outbox)
        }
        let missing = (agents[id]?.tasks ?? []).filter { !named.contains($0) }
        for key in missing {
            let wasSent = tasks[key]?.lastStatus != nil
            conclude(
                key, wasSent ? .gone : .dropped, .agentRestarted,
                "the agent came back without the task", at: now, into: &outbox)
        }
        return Array(missing)
    }

    private mutating func takeIn(
        _ task: AgentTask, _ key: TaskKey, _ agent: AgentID, _ wasUnreachable: Bool,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let before = tasks[key]
        var row =
            before
            ?? TaskRow(info: task.info, role: task.role, executorID: task.executorID)
        let isBack = before == nil || before?.isReleased == true
        row.state = task.state
        row.lastStatus = task.lastForwarded ?? row.lastStatus
        if before?.state == .unreachable, row.lastStatus?.state == .unreachable {
            row.lastStatus?.state = task.state
        }
        row.isReleased = task.state.isTerminal
        tasks[key] = row
        frameworks[key.framework]?.tasks.append(key.task)
        agents[agent]?.tasks.append(key)
        if isBack, !row.isReleased {
            allocator.hold(
                Allocation(
                    framework: key.framework, role: row.role, agent: agent,
                    resources: row.info.resources))
        }
        if wasUnreachable || before?.state == .unreachable, !task.state.isTerminal {
            report(
                key.task, agent, key.framework, task.state, .agentReregistered,
                "the agent came back with the task", into: &outbox)
        }
    }

    mutating func ping(
        _ id: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard var row = agents[id], row.isRegistered else { return }
        if row.pingsMissed >= configuration.agentPingsMissed {
            markUnreachable(id, "it does not answer pings", at: now, into: &outbox)
            return
        }
        row.pingsMissed += 1
        row.pingNumber += 1
        agents[id] = row
        if let peer = row.peer {
            outbox.append(.tellAgent(.ping(number: row.pingNumber, isConnected: true), peer))
        }
        timers.set(.ping(id), to: now + configuration.agentPingInterval)
    }

    mutating func disconnect(
        agent id: AgentID, _ peer: PeerID, _ reason: String, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = agents[id], row.peer == peer, row.isRegistered else { return }
        agents[id]?.peer = nil
        agents[id]?.state = .disconnected
        allocator.setActive(agent: id, false)
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
        for framework in frameworks.values {
            if let peer = framework.peer {
                outbox.append(
                    .tellFramework(.failure(agent: id, executor: nil, status: nil), peer))
            }
        }
    }

    private mutating func drop(
        _ id: AgentID, reason: String, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = agents.removeValue(forKey: id) else { return }
        if let peer = row.peer {
            peerAgents.remove(peer)
            outbox.append(.closePeer(peer, reason: reason))
        }
        outbox.append(
            .observe(.agent(id, hostname: row.info.hostname, .gone, reason: reason)))
    }
}
