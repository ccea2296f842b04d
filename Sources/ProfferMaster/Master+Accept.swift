internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// What earlier operations of a call would have done, while it is only tried.
struct Trial {
    var launching: Set<TaskID> = []
    var starting = LookupTable<PlacedExecutor, ExecutorInfo>()
    /// What agents would have.
    var totals = LookupTable<AgentID, Resources>()
    /// Shared resources of agents that tasks would hold.
    var shared = LookupTable<AgentID, Resources>()
}

/// What is left of accepted offers while operations are applied one after another.
struct AcceptedOffers {
    let framework: FrameworkID
    let agent: AgentID
    let role: String
    /// The demand that the offers were made for.
    var demandID: String?
    /// Shared resources stay in here, whoever uses them.
    var remaining: Resources
    /// What operations of this call have made and none has used.
    var converted = Resources()
    /// Shared resources that tasks of this call hold: the next holder is one more.
    var shared = Resources()
    var trial = Trial()

    init(_ framework: FrameworkID, _ agent: AgentID, _ role: String, _ resources: Resources) {
        self.framework = framework
        self.agent = agent
        self.role = role
        remaining = resources
    }

    /// What one operation has made of what.
    mutating func convert(_ from: Resources, into to: Resources) {
        remaining -= from
        remaining += to
        converted -= from
        converted += to
    }

    /// Takes what tasks or executors need, shared resources excepted.
    mutating func take(_ needed: Resources) {
        let own =
            needed.items.contains(where: \.isShared) ? needed.filter { !$0.isShared } : needed
        remaining -= own
        converted -= own
    }
}

extension Master {
    /// Uses offers: every operation sees what the one before has left, and the rest is declined.
    mutating func accept(
        _ ids: [OfferID], _ operations: [Operation], _ filters: Filters?, _ id: FrameworkID,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        if let problem = problemOfOffers(ids, id) ?? problemOfGangs(ids) {
            // One bad offer spoils the call: the good ones go back without a refusal.
            giveBack(ids, id, at: now, into: &outbox)
            refuse(
                operations, id, .dropped, .invalidOffers,
                "the offers cannot be used: \(problem)", into: &outbox)
            return
        }
        guard var accepted = consume(ids, at: now, into: &outbox) else { return }
        guard let agent = agents[accepted.agent], agent.isRegistered, agent.peer != nil else {
            recover(accepted, accepted.remaining, refuse: nil, at: now)
            let isKnown = agents[accepted.agent]?.state == .disconnected
            refuse(
                operations, id, .dropped, isKnown ? .agentDisconnected : .agentRemoved,
                "the agent is not there any more", into: &outbox)
            return
        }
        apply(operations, &accepted, refuse: refusal(filters), at: now, into: &outbox)
    }

    /// Takes back those of some offers that are a framework's, without a refusal.
    mutating func giveBack(
        _ ids: [OfferID], _ framework: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        for id in ids where offers[id]?.offer.frameworkID == framework {
            guard let row = consume(id, .accepted, at: now, into: &outbox) else { continue }
            allocator.recover(allocation(row.offer), wasOffered: true, refuse: nil, at: now)
        }
    }

    /// Puts offers of one agent and role together.
    mutating func consume(
        _ ids: [OfferID], at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> AcceptedOffers? {
        var accepted: AcceptedOffers?
        for id in ids {
            guard let row = consume(id, .accepted, at: now, into: &outbox) else { continue }
            let offer = row.offer
            guard let before = accepted else {
                accepted = AcceptedOffers(
                    offer.frameworkID, offer.agentID, offer.role, offer.resources)
                accepted?.demandID = offer.demandID
                continue
            }
            // Of a shared volume that several of the offers hold, one copy is enough.
            let known = before.remaining.items
            let twice = offer.resources.filter { $0.isShared && known.contains($0) }
            recover(before, twice, refuse: nil, at: now)
            accepted?.remaining += offer.resources
            accepted?.demandID = before.demandID ?? offer.demandID
        }
        return accepted
    }

    /// Carries operations out and gives back what they leave.
    mutating func apply(
        _ operations: [Operation], _ accepted: inout AcceptedOffers, refuse: Duration?,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        for operation in operations {
            apply(operation, &accepted, at: now, into: &outbox)
        }
        let left = accepted.remaining - accepted.shared
        // What was asked for and is there now is not what the framework does not want.
        let made = Resources(accepted.converted.items.filter { left.contains(Resources([$0])) })
        recover(accepted, left - made, refuse: refuse, at: now)
        recover(accepted, made, refuse: nil, at: now)
    }

    private mutating func recover(
        _ accepted: AcceptedOffers, _ resources: Resources, refuse: Duration?, at now: Instant
    ) {
        guard !resources.isEmpty else { return }
        allocator.recover(
            Allocation(
                framework: accepted.framework, role: accepted.role, agent: accepted.agent,
                resources: resources, demandID: accepted.demandID), wasOffered: true,
            refuse: refuse, at: now)
    }

    func problemOfOffers(_ ids: [OfferID], _ framework: FrameworkID) -> String? {
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

    /// A gang is of use only whole.
    func problemOfGangs(_ ids: [OfferID]) -> String? {
        let named = Set(ids)
        for id in ids {
            guard let gang = offers[id]?.offer.gang,
                let missing = gangs[gang]?.first(where: { !named.contains($0) })
            else { continue }
            return "offer \(id) belongs to \(gang), and so does \(missing), which is not named; "
                + "accept all offers of a gang in one call"
        }
        return nil
    }

    /// Answers every task and every operation with an id when nothing of a call can be done.
    mutating func refuse(
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
        if let problem = problemOfLaunch(task, operation, accepted) {
            report(
                task.id, task.agentID, accepted.framework, .error, .taskInvalid, problem,
                into: &outbox)
            return
        }
        let executor = task.executor
        start(
            [task], in: executor, isGroup: false, &accepted, at: now, into: &outbox)
    }

    private mutating func launchGroup(
        _ executor: ExecutorInfo, _ list: [TaskInfo], _ operation: Operation,
        _ accepted: inout AcceptedOffers,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        if let problem = problemOfLaunch(executor, list, operation, accepted) {
            for task in list {
                report(
                    task.id, task.agentID, accepted.framework, .error, .taskGroupInvalid, problem,
                    into: &outbox)
            }
            return
        }
        start(list, in: executor, isGroup: true, &accepted, at: now, into: &outbox)
    }

    private mutating func start(
        _ list: [TaskInfo], in executor: ExecutorInfo?, isGroup: Bool,
        _ accepted: inout AcceptedOffers, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let id = accepted.framework
        // Nothing more of the row is held, so that its tables change in place.
        guard let description = frameworks[id]?.info, let peer = agents[accepted.agent]?.peer
        else { return }
        var placed = executor
        if var new = executor {
            new.frameworkID = id
            placed = new
            let key = ExecutorKey(id, new.id)
            if agents[accepted.agent]?.executors[key] == nil {
                use(new.resources, &accepted)
                agents[accepted.agent]?.executors[key] = AgentExecutor(
                    info: new, frameworkID: id, role: accepted.role)
                frameworks[id]?.executors.append(
                    PlacedExecutor(agent: accepted.agent, executor: new.id))
            }
        }
        for task in list {
            use(task.resources, &accepted)
            let key = TaskKey(id, task.id)
            var row = TaskRow(info: task, role: accepted.role, executorID: executor?.id)
            row.demandID = accepted.demandID
            row.groupID = isGroup ? list.first?.id : nil
            tasks[key] = row
            frameworks[id]?.tasks.append(task.id)
            agents[accepted.agent]?.tasks.append(key)
            outbox.append(
                .observe(
                    .task(
                        key, name: task.name, agent: accepted.agent, .staging, reason: nil,
                        message: nil)))
        }
        askToLeave(accepted.agent, id, at: now, into: &outbox)
        if let demand = accepted.demandID { frameworks[id]?.launched[demand, default: 0] += 1 }
        outbox.append(
            .tellAgent(
                .run(
                    RunTask(
                        framework: description, executor: placed, tasks: list,
                        isGroup: isGroup, role: accepted.role,
                        updateWindow: configuration.updateWindow)), peer))
    }

    /// Puts offered resources to use; of a shared one, every task after the first holds a copy
    /// more than was offered.
    private mutating func use(_ needed: Resources, _ accepted: inout AcceptedOffers) {
        guard !needed.isEmpty else { return }
        guard needed.items.contains(where: \.isShared) else {
            accepted.take(needed)
            allocator.use(
                Allocation(
                    framework: accepted.framework, role: accepted.role, agent: accepted.agent,
                    resources: needed, demandID: accepted.demandID))
            return
        }
        let known = accepted.shared.items
        let more = needed.filter { $0.isShared && known.contains($0) }
        var allocation = Allocation(
            framework: accepted.framework, role: accepted.role, agent: accepted.agent,
            resources: more, demandID: accepted.demandID)
        if !more.isEmpty { allocator.hold(allocation) }
        allocation.resources = needed - more
        allocator.use(allocation)
        accepted.take(needed)
        accepted.shared += needed.filter { $0.isShared }
    }
}
