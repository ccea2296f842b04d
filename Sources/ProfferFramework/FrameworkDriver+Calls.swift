internal import ProfferKernel
internal import ProfferModel

extension FrameworkDriver {
    /// Says what the policy wants said, or keeps it, or tells the policy that it did not happen.
    mutating func say(
        _ call: SchedulerCall, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        remember(call, at: now)
        let call = completed(call)
        guard isSubscribed else {
            drop(call, at: now, into: &outbox)
            return
        }
        if case .teardown = call {
            stop(teardown: true, into: &outbox)
        } else {
            send(call, into: &outbox)
        }
    }

    /// Names the agent of a kill when the policy does not: a master that has not heard of the task
    /// yet can tell by it whether the task may still run.
    private func completed(_ call: SchedulerCall) -> SchedulerCall {
        guard case .kill(let task, nil, let policy) = call else { return call }
        return .kill(task, agent: tasks[task]?.agent ?? nil, policy: policy)
    }

    private mutating func remember(_ call: SchedulerCall, at now: Instant) {
        switch call {
        case .accept(let offers, let operations, _):
            use(OfferAcceptance(offers: offers, operations: operations))
        case .acceptTogether(let parts, _): for part in parts { use(part) }
        case .decline(let offers, _): for offer in offers { offerDemands.remove(offer) }
        case .claim(let claim): note(claim)
        case .demand(let wanted): demands.said(wanted)
        case .watchCluster(let isWanted):
            isWatching = isWanted
            clusterSerial = nil
        case .kill(let task, _, let policy):
            kills[task] = Kill(policy: policy)
            killTimes.set(task, to: now + options.killRepeat)
        case .suppress(let roles) where roles.allSatisfy(options.info.roles.contains):
            suppressed = roles.isEmpty ? options.info.roles : suppressed.union(roles)
        case .revive(let roles) where roles.allSatisfy(options.info.roles.contains):
            suppressed = roles.isEmpty ? [] : suppressed.filter { !roles.contains($0) }
        case .updateFramework(let subscription):
            let before = description
            describe(subscription)
            if isSubscribed { updates.append(Update(before: before, wanted: description)) }
        case .teardown: isTeardownWanted = true
        case .acknowledge(_, _, let uuid): acknowledged.insert(uuid)
        case .suppress, .revive:
            // The master ignores a call that names a foreign role, so it must not be repeated with
            // the next subscription, which would be refused.
            break
        case .subscribe, .acceptInverseOffers, .declineInverseOffers, .shutdown, .reconcile,
            .message, .request, .acknowledgeOperation, .reconcileOperations:
            break
        }
    }

    /// Notes the tasks that an acceptance launches, and that they are not wanted any more.
    private mutating func use(_ part: OfferAcceptance) {
        guard isSubscribed else { return }
        let launched = Self.launched(part.operations)
        for task in launched { noteLaunch(task) }
        let demand = part.offers.compactMap { offerDemands.remove($0) }.first
        if let demand { demands.launched(launched.count, of: demand) }
    }

    private mutating func note(_ claim: Claim) {
        guard isSubscribed else { return }
        for part in claim.parts {
            for task in Self.launched(part.operations) { noteLaunch(task) }
        }
    }

    private mutating func noteLaunch(_ task: TaskInfo) {
        tasks[task.id] = LiveTask(agent: task.agentID)
        // How an earlier task of that id ended says nothing about this one.
        ended.remove(task.id)
    }

    /// What the next subscription says.
    var description: Subscription {
        Subscription(
            framework: options.info, suppressedRoles: suppressed, constraints: options.constraints)
    }

    /// What the next subscription says of demand: what was stated last, in roles it still has; or
    /// that it is going to be stated.
    var wantedDemands: [Demand]? {
        guard let stated = demands.stated else { return options.demands }
        if stated.isEmpty { return nil }
        return stated.filter { options.info.roles.contains($0.role) }
    }

    /// Changes what the next subscription says; the id stays.
    mutating func describe(_ subscription: Subscription) {
        let id = options.info.id
        options.info = subscription.framework
        options.info.id = id
        options.constraints = subscription.constraints
        suppressed = subscription.suppressedRoles
    }

    private mutating func drop(
        _ call: SchedulerCall, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        switch call {
        case .kill, .suppress, .revive, .updateFramework, .teardown, .demand, .watchCluster: return
        case .accept(_, let operations, _):
            outbox.append(.observe(.dropped(call: call.name)))
            drop(operations, at: now, into: &outbox)
        case .acceptTogether(let parts, _):
            outbox.append(.observe(.dropped(call: call.name)))
            for part in parts { drop(part.operations, at: now, into: &outbox) }
        case .claim(let claim):
            outbox.append(.observe(.dropped(call: call.name)))
            let conflicts = claim.parts.map {
                ClaimConflict(
                    agentID: $0.agentID, check: nil,
                    message: "there was no master when the claim was made")
            }
            tell(.claimAnswer(id: claim.id, .conflict(conflicts)), at: now, into: &outbox)
            for part in claim.parts { drop(part.operations, at: now, into: &outbox) }
        case .subscribe, .decline, .acceptInverseOffers, .declineInverseOffers, .shutdown,
            .acknowledge, .reconcile, .message, .request, .acknowledgeOperation,
            .reconcileOperations:
            outbox.append(.observe(.dropped(call: call.name)))
        }
    }

    /// Tells the policy that tasks were not launched.
    private mutating func drop(
        _ operations: [Operation], at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        let isAware = options.info.capabilities.contains(.partitionAware)
        for task in Self.launched(operations) {
            let status = TaskStatus(
                taskID: task.id, state: TaskState.dropped.visible(toPartitionAware: isAware),
                message: "there was no master when the task was launched",
                reason: .masterDisconnected, agentID: task.agentID)
            tell(.update(status), at: now, into: &outbox)
        }
    }

    private static func launched(_ operations: [Operation]) -> [TaskInfo] {
        operations.flatMap { operation -> [TaskInfo] in
            switch operation.action {
            case .launch(let tasks), .launchGroup(_, let tasks): tasks
            case .reserve, .unreserve, .create, .destroy, .grow, .shrink: []
            }
        }
    }

    mutating func repeatKills(at now: Instant, into outbox: inout Outbox<Effect>) {
        var due: [TaskID] = []
        while let task = killTimes.popDue(at: now) { due.append(task) }
        for task in due { repeatKill(of: task, at: now, into: &outbox) }
    }

    mutating func repeatKill(
        of task: TaskID, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        guard let kill = kills[task] else { return }
        send(.kill(task, agent: tasks[task]?.agent ?? nil, policy: kill.policy), into: &outbox)
        killTimes.set(task, to: now + options.killRepeat)
    }

    /// How many tasks are named in one call: with ids as long as they may be, the message stays
    /// well below its limit.
    private static var reconcileBatch: Int { 1000 }

    /// Asks about every task without an answer; when there is none, about everything the master
    /// holds, which finds tasks this framework has forgotten.
    mutating func reconcile(at now: Instant, into outbox: inout Outbox<Effect>) {
        unanswered = OrderedKeys(unanswered.filter(tasks.contains))
        if unanswered.isEmpty {
            send(.reconcile([]), into: &outbox)
            reconcilePause = options.reconcileFirstPause
            reconcileAt = now + options.reconcileInterval
            unanswered = OrderedKeys(tasks.keys)
            return
        }
        outbox.append(.observe(.reconciling(tasks: unanswered.count)))
        let asked = unanswered.map {
            ReconcileTask(taskID: $0, agentID: tasks[$0]?.agent ?? nil)
        }
        for start in stride(from: 0, to: asked.count, by: Self.reconcileBatch) {
            let end = min(start + Self.reconcileBatch, asked.count)
            send(.reconcile(Array(asked[start..<end])), into: &outbox)
        }
        reconcileAt = now + reconcilePause + generator.duration(upTo: reconcilePause / 4)
        reconcilePause = min(reconcilePause * 2, options.reconcileLastPause)
    }
}

extension [String] {
    fileprivate func union(_ others: [String]) -> [String] {
        self + others.filter { !contains($0) }
    }
}
