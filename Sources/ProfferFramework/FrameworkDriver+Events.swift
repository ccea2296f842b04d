internal import ProfferKernel
internal import ProfferModel

extension FrameworkDriver {
    mutating func subscribe(
        _ peer: PeerID, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        if case .subscribed(let old) = phase, old != peer {
            lose(old, "there is a newer session", at: now, into: &outbox)
        }
        let pause = subscribePause + generator.duration(upTo: subscribePause)
        subscribePause = min(subscribePause * 2, .seconds(15))
        phase = .subscribing(peer, retryAt: now + pause)
        updates = []
        var subscription = description
        // Said later, it would come too late: a classic framework is offered whole agents at once.
        subscription.demands = wantedDemands
        subscribedDemands = subscription.demands
        subscription.takesBatches = true
        outbox.append(
            .send(
                FrameworkCall(
                    frameworkID: options.info.id,
                    call: .subscribe(subscription)), peer))
    }

    mutating func lose(
        _ peer: PeerID, _ reason: String, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        switch phase {
        case .subscribing(let current, _):
            if current == peer { phase = .disconnected }
        case .subscribed(let current):
            guard current == peer else { return }
            phase = .disconnected
            reconcileAt = nil
            offerDemands = [:]
            clusterSerial = nil
            outbox.append(.observe(.disconnected(reason)))
            tell(.disconnected, at: now, into: &outbox)
        case .disconnected, .ended: break
        }
    }

    mutating func take(
        _ event: SchedulerEvent, from peer: PeerID, at now: Instant,
        into outbox: inout Outbox<Effect>
    ) {
        switch phase {
        case .disconnected, .ended: return
        case .subscribing(let current, _), .subscribed(let current):
            guard current == peer else { return }
        }
        lastHeard = now
        switch event {
        case .subscribed(let id, let interval, let master):
            begin(id, interval, master, peer, at: now, into: &outbox)
        case .offers(let offers):
            for offer in offers { offerDemands[offer.id] = offer.demandID }
            tell(.offers(offers), at: now, into: &outbox)
        case .inverseOffers(let offers): tell(.inverseOffers(offers), at: now, into: &outbox)
        case .rescind(let id):
            offerDemands.remove(id)
            tell(.rescinded(id), at: now, into: &outbox)
        case .rescindInverseOffer(let id): tell(.inverseRescinded(id), at: now, into: &outbox)
        case .update(let status): take(status, at: now, into: &outbox)
        case .updates(let list): for status in list { take(status, at: now, into: &outbox) }
        case .updateOperation(let status): take(status, at: now, into: &outbox)
        case .message(let agent, let executor, let data):
            tell(
                .message(agent: agent, executor: executor, data: data), at: now, into: &outbox)
        case .failure(let agent, let executor, let status):
            tell(
                .failure(agent: agent, executor: executor, status: status), at: now,
                into: &outbox)
        case .updateFrameworkAnswer(let problem):
            takeAnswer(problem, at: now, into: &outbox)
        case .error(let message): fail(message, peer, at: now, into: &outbox)
        case .claimAnswer, .cluster, .backedOff, .demandRefused:
            takeOwn(event, at: now, into: &outbox)
        case .heartbeat: break
        }
    }

    /// Takes one of the events that Mesos does not have.
    private mutating func takeOwn(
        _ event: SchedulerEvent, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        switch event {
        case .claimAnswer(let id, let outcome):
            // Updates tell of each task of a conflict. They may be lost with this session, so the
            // tasks are asked about until then.
            tell(.claimAnswer(id: id, outcome), at: now, into: &outbox)
        case .cluster(let step): take(step, at: now, into: &outbox)
        case .backedOff(let role, let declines, let pause):
            outbox.append(
                .observe(.backedOff(role: role, declines: declines, pause: pause)))
            tell(
                .backedOff(role: role, declines: declines, pause: pause), at: now, into: &outbox)
        case .demandRefused(let problem):
            outbox.append(.observe(.updateRefused("the demand: \(problem)")))
            tell(.updateRefused("the demand: \(problem)"), at: now, into: &outbox)
        default: break
        }
    }

    /// Hands a step of the cluster's state on when it follows the one before, and otherwise has
    /// the stream begin anew.
    private mutating func take(
        _ step: ClusterState, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        guard isWatching else { return }
        if !step.isSnapshot {
            // Steps that were under way when the stream began anew.
            guard let last = clusterSerial else { return }
            guard last < .max, step.serial == last + 1 else {
                outbox.append(.observe(.clusterStreamBroken(after: last)))
                clusterSerial = nil
                send(.watchCluster(true), into: &outbox)
                return
            }
        }
        clusterSerial = step.serial
        tell(.cluster(step), at: now, into: &outbox)
    }

    /// Goes back to the description before a change that was refused, or the next subscription
    /// would be refused for it, which ends the framework.
    private mutating func takeAnswer(
        _ problem: String?, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        guard !updates.isEmpty else { return }
        let update = updates.removeFirst()
        guard let problem else { return }
        if updates.isEmpty {
            var holding = update.before
            if suppressed != update.wanted.suppressedRoles {
                // Suppression has changed since; that was for roles which are still there.
                let roles = holding.framework.roles
                holding.suppressedRoles = suppressed.filter(roles.contains)
            }
            describe(holding)
        } else {
            updates[0].before = update.before
        }
        outbox.append(.observe(.updateRefused(problem)))
        tell(.updateRefused(problem), at: now, into: &outbox)
    }

    private mutating func begin(
        _ id: FrameworkID, _ interval: Duration, _ master: MasterInfo, _ peer: PeerID,
        at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        // It had asked again before the first answer came.
        let isRepetition = phase == .subscribed(peer) && options.info.id == id
        if interval > .zero { heartbeatInterval = interval }
        subscribePause = .milliseconds(500)
        phase = .subscribed(peer)
        if options.info.id != id {
            options.info.id = id
            outbox.append(.registered(id))
        }
        if isTeardownWanted {
            stop(teardown: true, into: &outbox)
            return
        }
        if !isRepetition { outbox.append(.observe(.subscribed(id))) }
        // The policy may have said something else meanwhile.
        let wanted = wantedDemands
        if wanted != subscribedDemands, wanted != [] {
            send(.demand(wanted ?? []), into: &outbox)
        }
        if isWatching { send(.watchCluster(true), into: &outbox) }
        if isRepetition { return }
        tell(.subscribed(id, master: master), at: now, into: &outbox)
        for task in kills.keys { repeatKill(of: task, at: now, into: &outbox) }
        if options.reconciliation == .automatic {
            unanswered = OrderedKeys(tasks.keys)
            reconcilePause = options.reconcileFirstPause
            reconcile(at: now, into: &outbox)
        }
    }

    private mutating func fail(
        _ message: String, _ peer: PeerID, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        outbox.append(.closePeer(peer, reason: "the master reported an error"))
        if options.startsAnewWhenRemoved, giveUpAt == nil, message.contains("has been removed") {
            options.info.id = nil
            let ended = tasks
            tasks = [:]
            kills = [:]
            killTimes = DeadlineQueue()
            unanswered = []
            lose(peer, message, at: now, into: &outbox)
            // They were killed with the framework, and nobody else will say so.
            for (task, row) in ended {
                let status = TaskStatus(
                    taskID: task, state: .killed, message: message, reason: .frameworkRemoved,
                    agentID: row.agent)
                tell(.update(status), at: now, into: &outbox)
            }
            return
        }
        // Whatever the master calls an error ends the subscription for good: another instance has
        // taken over, the framework was removed, or its description is not acceptable.
        phase = .ended
        outbox.append(.observe(.ended(message)))
        tell(.ended(message), at: now, into: &outbox)
        outbox.append(.ended(reason: message))
    }

    private mutating func take(
        _ status: TaskStatus, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        // Only that the task's agent is expected back: no answer yet, and no news for the policy.
        if status.isRecovering { return }
        unanswered.remove(status.taskID)
        // The agent has said how the task ended; a new master answers from what the agent, whose
        // acknowledgement was lost, has sent it again so far.
        if status.uuid == nil, !status.state.isTerminal, ended.contains(status.taskID) {
            outbox.append(.observe(.repeatedUpdate(status.taskID)))
            return
        }
        let isNew = status.uuid.map { seen.insert($0) } ?? true
        if isNew {
            if status.uuid != nil { noteEnd(status) }
            note(status)
            tell(.update(status), at: now, into: &outbox)
        } else {
            outbox.append(.observe(.repeatedUpdate(status.taskID)))
        }
        if let uuid = status.uuid, let agent = status.agentID,
            options.acknowledgement == .automatic || (!isNew && acknowledged.contains(uuid))
        {
            send(.acknowledge(status.taskID, agent: agent, uuid: uuid), into: &outbox)
        }
    }

    private mutating func noteEnd(_ status: TaskStatus) {
        if status.state.isTerminal {
            ended.insert(status.taskID)
        } else {
            // An id may be used again.
            ended.remove(status.taskID)
        }
    }

    private mutating func note(_ status: TaskStatus) {
        if status.state.isTerminal || status.state == .unknown {
            // It has ended or nobody knows it; it is not asked about again.
            tasks.remove(status.taskID)
            kills.remove(status.taskID)
            killTimes.set(status.taskID, to: nil)
        } else {
            let known = tasks[status.taskID]?.agent ?? nil
            tasks[status.taskID] = LiveTask(agent: status.agentID ?? known)
        }
    }

    private mutating func take(
        _ status: OperationStatus, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        if status.uuid.map({ seen.insert($0) }) ?? true {
            tell(.operation(status), at: now, into: &outbox)
        }
        if options.acknowledgement == .automatic, let uuid = status.uuid,
            let id = status.operationID
        {
            send(
                .acknowledgeOperation(id, agent: status.agentID, uuid: uuid), into: &outbox)
        }
    }
}
