internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// What is left of accepted offers while operations are applied one after another.
struct AcceptedOffers {
    let framework: FrameworkID
    let agent: AgentID
    let role: String
    var remaining: Resources
    /// What operations of this call have made and none has used.
    var converted = Resources()
}

extension Master {
    /// Uses offers: every operation sees what the one before has left, and the rest is declined.
    mutating func accept(
        _ ids: [OfferID], _ operations: [Operation], _ filters: Filters?, _ id: FrameworkID,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let problem = problemOfOffers(ids, id)
        var rows: [OfferRow] = []
        for offer in ids where offers[offer]?.offer.frameworkID == id {
            if let row = consume(offer, .accepted, at: now, into: &outbox) { rows.append(row) }
        }
        guard problem == nil, let first = rows.first else {
            // One bad offer spoils the call: the good ones go back without a refusal.
            for row in rows {
                allocator.recover(allocation(row.offer), wasOffered: true, refuse: nil, at: now)
            }
            refuse(
                operations, id, .dropped, .invalidOffers,
                "the offers cannot be used: \(problem ?? "none is given")", into: &outbox)
            return
        }
        var accepted = AcceptedOffers(
            framework: id, agent: first.offer.agentID, role: first.offer.role,
            remaining: rows.reduce(into: Resources()) { $0 += $1.offer.resources })
        guard let agent = agents[accepted.agent], agent.isRegistered, agent.peer != nil else {
            allocator.recover(
                allocation(first.offer, accepted.remaining), wasOffered: true, refuse: nil,
                at: now)
            let isKnown = agents[accepted.agent]?.state == .disconnected
            refuse(
                operations, id, .dropped, isKnown ? .agentDisconnected : .agentRemoved,
                "the agent is not there any more", into: &outbox)
            return
        }
        for operation in operations {
            apply(operation, &accepted, at: now, into: &outbox)
        }
        // What was asked for and is there now is not what the framework does not want.
        let made = Resources(
            accepted.converted.items.filter { accepted.remaining.contains(Resources([$0])) })
        allocator.recover(
            allocation(first.offer, accepted.remaining - made), wasOffered: true,
            refuse: refusal(filters), at: now)
        allocator.recover(
            allocation(first.offer, made), wasOffered: true, refuse: nil, at: now)
    }

    private func problemOfOffers(_ ids: [OfferID], _ framework: FrameworkID) -> String? {
        guard let first = ids.first else { return "no offer is named" }
        if Set(ids).count != ids.count { return "an offer is named twice" }
        for id in ids {
            guard let offer = offers[id]?.offer, offer.frameworkID == framework else {
                return "offer \(id) is not valid any more"
            }
            guard let reference = offers[first]?.offer else { continue }
            if offer.agentID != reference.agentID { return "the offers are of different agents" }
            if offer.role != reference.role { return "the offers are of different roles" }
        }
        return nil
    }

    /// Answers every task and every operation with an id when nothing of a call can be done.
    private mutating func refuse(
        _ operations: [Operation], _ framework: FrameworkID, _ state: TaskState,
        _ reason: StatusReason, _ message: String, into outbox: inout Outbox<MasterEffect>
    ) {
        for operation in operations {
            switch operation.action {
            case .launch(let tasks), .launchGroup(_, let tasks):
                for task in tasks {
                    report(
                        task.id, task.agentID, framework, state, reason, message, into: &outbox)
                }
            case .reserve, .unreserve, .create, .destroy, .grow, .shrink:
                answer(operation, framework, .error, message, nil, into: &outbox)
            }
        }
    }

    /// Tells a framework of a task from the master's own knowledge: without a uuid, once.
    mutating func report(
        _ task: TaskID, _ agent: AgentID?, _ framework: FrameworkID, _ state: TaskState,
        _ reason: StatusReason, _ message: String, unreachableSince: WallTime? = nil,
        labels: [Label] = [], into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[framework] else { return }
        outbox.append(
            .observe(
                .task(
                    TaskKey(framework, task), name: task.value, agent: agent, state,
                    reason: reason, message: message)))
        guard let peer = row.peer else { return }
        let visible = state.visible(toPartitionAware: row.isPartitionAware)
        outbox.append(
            .tellFramework(
                .update(
                    TaskStatus(
                        taskID: task, state: visible, message: message, source: .master,
                        reason: reason, agentID: agent, labels: labels,
                        unreachableTime: unreachableSince)), peer))
    }

    private mutating func apply(
        _ operation: Operation, _ accepted: inout AcceptedOffers, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        switch operation.action {
        case .launch(let list):
            for task in list { launch(task, operation, &accepted, at: now, into: &outbox) }
        case .launchGroup(let executor, let list):
            launchGroup(executor, list, operation, &accepted, at: now, into: &outbox)
        case .reserve, .unreserve, .create, .destroy, .grow, .shrink:
            convert(operation, &accepted, at: now, into: &outbox)
        }
    }

    private mutating func launch(
        _ task: TaskInfo, _ operation: Operation, _ accepted: inout AcceptedOffers,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        var problem = problemOfTask(task, accepted)
        if operation.id != nil {
            problem = problem ?? "LAUNCH may not have an operation id; remove it"
        }
        if let problem {
            report(
                task.id, task.agentID, accepted.framework, .error, .taskInvalid, problem,
                into: &outbox)
            return
        }
        let executor = task.executor
        start(
            [task], in: executor, isGroup: false, executorID: executor?.id, &accepted, at: now,
            into: &outbox)
    }

    private mutating func launchGroup(
        _ executor: ExecutorInfo, _ list: [TaskInfo], _ operation: Operation,
        _ accepted: inout AcceptedOffers,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        var problem = problemOfGroup(executor, list, accepted)
        if operation.id != nil {
            problem = problem ?? "LAUNCH_GROUP may not have an operation id; remove it"
        }
        if let problem {
            for task in list {
                report(
                    task.id, task.agentID, accepted.framework, .error, .taskGroupInvalid, problem,
                    into: &outbox)
            }
            return
        }
        start(
            list, in: executor, isGroup: true, executorID: executor.id, &accepted, at: now,
            into: &outbox)
    }

    private mutating func start(
        _ list: [TaskInfo], in executor: ExecutorInfo?, isGroup: Bool, executorID: ExecutorID?,
        _ accepted: inout AcceptedOffers, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let id = accepted.framework
        // Nothing more of the row is held, so that its tables change in place.
        guard let description = frameworks[id]?.info, let peer = agents[accepted.agent]?.peer
        else { return }
        var needed = list.reduce(into: Resources()) { $0 += $1.resources }
        var placed = executor
        if var new = executor {
            new.frameworkID = id
            placed = new
            let key = ExecutorKey(id, new.id)
            if agents[accepted.agent]?.executors[key] == nil {
                needed += new.resources
                agents[accepted.agent]?.executors[key] = AgentExecutor(
                    info: new, frameworkID: id, role: accepted.role)
                frameworks[id]?.executors.append(
                    PlacedExecutor(agent: accepted.agent, executor: new.id))
            }
        }
        accepted.remaining -= needed
        accepted.converted -= needed
        allocator.use(
            Allocation(
                framework: id, role: accepted.role, agent: accepted.agent, resources: needed))
        for task in list {
            let key = TaskKey(id, task.id)
            tasks[key] = TaskRow(info: task, role: accepted.role, executorID: executorID)
            frameworks[id]?.tasks.append(task.id)
            agents[accepted.agent]?.tasks.append(key)
            outbox.append(
                .observe(
                    .task(
                        key, name: task.name, agent: accepted.agent, .staging, reason: nil,
                        message: nil)))
        }
        outbox.append(
            .tellAgent(
                .run(
                    RunTask(
                        framework: description, executor: placed, tasks: list,
                        isGroup: isGroup, role: accepted.role,
                        updateWindow: configuration.updateWindow)), peer))
    }
}
