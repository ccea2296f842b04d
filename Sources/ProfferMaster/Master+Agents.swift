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
        case .updateAgent, .update, .executorExited, .message, .usage, .oversubscribed, .pong,
            .unregister:
            break
        }
        guard let id = peerAgents[peer], agents[id]?.peer == peer else {
            outbox.append(.observe(.stray("message of an agent that is not registered")))
            outbox.append(.closePeer(peer, reason: "the agent is not registered"))
            return
        }
        // Whatever an agent says proves that it is there.
        noteHeard(id, into: &outbox)
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
        case .oversubscribed(let resources):
            take(oversubscribed: resources, of: id, at: now, into: &outbox)
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
        if turnAway(Reregistration(info: info), nil, peer, into: &outbox) { return }
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
        silent.remove(id)
        lost.remove(id)
        pardon(id, into: &outbox)
        timers.set(.agentReturn(id), to: nil)
        timers.set(.ping(id), to: now + configuration.agentPingInterval)
        tellAllocator(row)
        noteSeen(id)
        outbox.append(
            .observe(
                .agent(id, hostname: row.info.hostname, row.state, reason: reason)))
    }

    /// Turns away what a process that has died said of its tasks, when it arrives after what its
    /// successor says: it is older.
    private func isLate(
        _ peer: PeerID, after current: PeerID?, into outbox: inout Outbox<MasterEffect>
    ) -> Bool {
        guard let current, peer < current else { return false }
        outbox.append(
            .closePeer(peer, reason: "the agent has come back over a later session"))
        return true
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
        if stranger == nil, turnAway(body, known, peer, into: &outbox) { return }
        if let problem = stranger ?? problem(of: body.info, against: known) ?? problem(of: peer) {
            refuse(peer, problem, into: &outbox)
            return
        }
        if isLate(peer, after: known?.peer, into: &outbox) { return }
        var row = known ?? AgentRow(id: id, info: body.info, state: .active)
        row.info = body.info
        row.info.resources = resources(body.info.resources, of: known)
        row.peer = peer
        row.publicKey = row.publicKey ?? peerKeys[peer]
        row.state = row.isDeactivated ? .deactivated : .active
        row.version = version
        // It says so again, unless it was started without.
        row.oversubscribed = Resources()
        row.registeredAt = row.registeredAt ?? wallClock.time(at: now)
        row.unreachableSince = nil
        // What is durable already, or about to be, need not be written again: after a failover of
        // the master that is true of nearly everybody.
        let entry = entry(row)
        if known.map({ self.entry($0) }) != entry { outbox.append(.commit([.agent(id, entry)])) }
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
        if row.drain == nil {
            for key in agents[id]?.tasks ?? [] { repeatKill(key, at: now, into: &outbox) }
        } else {
            killForDrain(id, at: now, into: &outbox)
        }
        askToLeave(id, at: now, into: &outbox)
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
        if known.info.hostname != info.hostname {
            return "the agent '\(known.id)' was on host '\(known.info.hostname)' and now says "
                + "'\(info.hostname)'; give it a new data directory to join as a new agent"
        }
        return nil
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
        // One is missed until its answer is here.
        if row.pingsMissed > 1 { silent.append(id) }
        if row.pingsMissed >= configuration.agentPingsMissed {
            condemn(id, "it does not answer pings")
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
        silent.append(id)
        allocator.setActive(agent: id, false)
        noteSeen(id)
        for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
        outbox.append(
            .observe(
                .agent(id, hostname: row.info.hostname, .disconnected, reason: reason)))
        // Tasks of frameworks that do not checkpoint die with the agent's process.
        for key in row.tasks where frameworks[key.framework]?.info.checkpoint == false {
            if tasks[key]?.isKillWanted == true { agents[id]?.owedKills.insert(key) }
            conclude(
                key, .lost, .agentDisconnected, "the agent disconnected", at: now,
                into: &outbox)
        }
        timers.set(.agentReturn(id), to: now + configuration.agentReturnWindow)
    }
}
