internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    mutating func answer(
        _ call: OperatorCall, _ query: QueryID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let answer: OperatorAnswer =
            switch call {
            case .agents: .agents(agents.values.map(summary))
            case .frameworks:
                .frameworks(
                    frameworks.values.map { summary($0, isRemoved: false) }
                        + removedFrameworks.values.map { summary($0, isRemoved: true) })
            case .roles: .roles(roleSummaries())
            case .offers:
                .offers(
                    offers.values.map { OfferSummary(offer: $0.offer, age: now - $0.madeAt) })
            case .tasks(let framework): .tasks(taskSummaries(framework))
            case .summary: .summary(clusterSummary())
            case .kill(let key): orderKill(key, at: now, into: &outbox)
            case .teardown(let id): orderTeardown(id, at: now, into: &outbox)
            case .setWeight(let role, let weight): setWeight(role, weight, into: &outbox)
            case .quotas: .quotas(quotaSummaries())
            case .setQuotas(let list, let isForced):
                setQuotas(list, isForced: isForced, at: now, into: &outbox)
            case .why(let question): answer(why: question, at: now)
            case .whyFramework(let id): answer(whyFramework: id, at: now)
            case .inverseOffers: .inverseOffers(inverseOfferSummaries(at: now))
            case .reserve(let id, let resources, let source):
                order(reserve: resources, source: source, of: id, at: now, into: &outbox)
            case .unreserve(let id, let resources):
                order(unreserve: resources, of: id, at: now, into: &outbox)
            case .whitelist: .whitelist(whitelist.map(Array.init))
            case .setWhitelist(let hosts): order(whitelist: hosts, at: now, into: &outbox)
            case .setPriorityLimit(let role, let limit):
                setPriorityLimit(role, limit, at: now, into: &outbox)
            case .markAgentGone, .drainAgent, .deactivateAgent, .reactivateAgent,
                .maintenanceStatus, .maintenanceSchedule, .setMaintenanceSchedule,
                .startMaintenance, .stopMaintenance, .rebindAgent, .rebindFramework:
                carryOut(call, at: now, into: &outbox)
            }
        outbox.append(.answer(answer, query))
    }

    /// Orders about agents, machines and keys.
    private mutating func carryOut(
        _ call: OperatorCall, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        switch call {
        case .markAgentGone(let id): markGone(id, at: now, into: &outbox)
        case .drainAgent(let id, let grace, let marksGone):
            drain(
                id, DrainOrder(maxGrace: grace, marksGone: marksGone), at: now, into: &outbox)
        case .deactivateAgent(let id): deactivate(id, at: now, into: &outbox)
        case .reactivateAgent(let id): reactivate(id, at: now, into: &outbox)
        case .maintenanceStatus: .maintenanceStatus(maintenanceStatus(at: now))
        case .maintenanceSchedule: .maintenanceSchedule(maintenance.windows)
        case .setMaintenanceSchedule(let windows): schedule(windows, at: now, into: &outbox)
        case .startMaintenance(let machines): takeDown(machines, at: now, into: &outbox)
        case .stopMaintenance(let machines): takeUp(machines, at: now, into: &outbox)
        case .rebindAgent(let id, let key): rebind(agent: id, to: key, at: now, into: &outbox)
        case .rebindFramework(let id, let key):
            rebind(framework: id, to: key, at: now, into: &outbox)
        case .agents, .frameworks, .roles, .offers, .tasks, .summary, .kill, .teardown, .setWeight,
            .quotas, .setQuotas, .why, .whyFramework, .inverseOffers, .reserve, .unreserve,
            .whitelist, .setWhitelist, .setPriorityLimit:
            .refused("this order is none about agents, machines or keys")
        }
    }

    private mutating func orderKill(
        _ key: TaskKey, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard tasks[key] != nil else {
            return .notFound("there is no task '\(key.task)' of framework '\(key.framework)'")
        }
        kill(key, nil, nil, at: now, into: &outbox)
        return .done
    }

    private mutating func orderTeardown(
        _ id: FrameworkID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard frameworks[id] != nil else { return .notFound("there is no framework '\(id)'") }
        remove(framework: id, "the operator tore it down", at: now, into: &outbox)
        return .done
    }

    private mutating func setWeight(
        _ role: String, _ weight: Int64, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        if let problem = problemOfRole(role) { return .refused(problem) }
        guard weight > 0, weight <= 1 << 20 else {
            return .refused("a weight lies above 0 and not above 1048.576")
        }
        // What is as it would be without is not kept.
        let kept = weight == 1000 ? nil : weight
        weights[role] = kept
        allocator.setWeight(role: role, thousandths: weight)
        outbox.append(.commit([.weight(role: role, kept)]))
        return .done
    }

    private func allocated(_ keys: some Sequence<TaskKey>) -> Resources {
        keys.reduce(into: Resources()) { sum, key in
            if let task = tasks[key], !task.isReleased { sum += task.info.resources }
        }
    }

    private func allocated(_ executors: some Sequence<PlacedExecutor>, of id: FrameworkID)
        -> Resources
    {
        executors.reduce(into: Resources()) { sum, placed in
            let key = ExecutorKey(id, placed.executor)
            if let executor = agents[placed.agent]?.executors[key] {
                sum += executor.info.resources
            }
        }
    }

    private func offered(_ ids: some Sequence<OfferID>) -> Resources {
        ids.reduce(into: Resources()) { sum, id in
            if let row = offers[id] { sum += row.offer.resources }
        }
    }

    private func liveCount(_ keys: some Sequence<TaskKey>) -> Int {
        keys.reduce(0) { $0 + (tasks[$1]?.state.isTerminal == false ? 1 : 0) }
    }

    private func summary(_ agent: AgentRow) -> AgentSummary {
        var held = allocated(agent.tasks)
        for executor in agent.executors.values { held += executor.info.resources }
        return AgentSummary(
            info: agent.info, state: agent.state, total: agent.info.resources, allocated: held,
            offered: offered(agent.offers), oversubscribed: agent.oversubscribed,
            version: agent.version,
            registeredAt: agent.registeredAt, tasks: liveCount(agent.tasks), usage: agent.usage,
            drain: agent.drain, unavailability: unavailability(of: agent.info))
    }

    private func summary(_ framework: FrameworkRow, isRemoved: Bool) -> FrameworkSummary {
        let keys = framework.tasks.map { TaskKey(framework.id, $0) }
        return FrameworkSummary(
            info: framework.info, isConnected: framework.isConnected,
            isActive: framework.isConnected, isRemoved: isRemoved,
            subscribedAt: framework.subscribedAt, suppressedRoles: framework.suppressedRoles,
            allocated: allocated(keys) + allocated(framework.executors, of: framework.id),
            offered: offered(framework.offers),
            tasks: liveCount(keys), offers: framework.offers.count,
            shareMillionths: isRemoved
                ? 0 : allocator.shareMillionths(framework: framework.id))
    }

    /// O(frameworks · their roles + tasks + executors + offers), and a sort of the roles.
    private func roleSummaries() -> [RoleSummary] {
        var rows: OrderedDictionary<String, RoleSummary> = [:]
        func add(_ role: String) {
            if rows[role] == nil { rows[role] = RoleSummary(name: role) }
        }
        for framework in frameworks.values {
            for role in framework.info.roles {
                add(role)
                rows[role]?.frameworks.append(framework.id)
            }
        }
        for (role, weight) in weights {
            add(role)
            rows[role]?.weightThousandths = weight
        }
        for role in quotas.keys { add(role) }
        for role in priorityLimits.keys { add(role) }
        for task in tasks.values where !task.isReleased {
            rows[task.role]?.allocated += task.info.resources
        }
        for agent in agents.values {
            for executor in agent.executors.values {
                rows[executor.role]?.allocated += executor.info.resources
            }
        }
        for row in offers.values { rows[row.offer.role]?.allocated += row.offer.resources }
        rows.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        return rows.values.map { row in
            var summary = row
            summary.shareMillionths = allocator.shareMillionths(role: row.name)
            summary.priorityLimit = priorityLimit(of: row.name)
            return summary
        }
    }

    func summary(_ key: TaskKey, _ task: TaskRow) -> TaskSummary {
        TaskSummary(
            key: key, name: task.info.name, role: task.role, agentID: task.info.agentID,
            hostname: agents[task.info.agentID]?.info.hostname, executorID: task.executorID,
            state: task.state, resources: task.info.resources, labels: task.info.labels,
            discovery: task.info.discovery, lastStatus: task.lastStatus,
            startedAt: task.startedAt)
    }

    private func taskSummaries(_ framework: FrameworkID?) -> [TaskSummary] {
        guard let framework else {
            let rows = Array(frameworks.values) + Array(removedFrameworks.values)
            return tasks.map { summary($0.key, $0.value) } + rows.flatMap(\.completed)
        }
        guard let row = frameworks[framework] ?? removedFrameworks[framework] else { return [] }
        let live = row.tasks.compactMap { id in
            let key = TaskKey(framework, id)
            return tasks[key].map { summary(key, $0) }
        }
        return live + row.completed
    }

    private func clusterSummary() -> ClusterSummary {
        var (total, oversubscribed, used) = (Resources(), Resources(), Resources())
        for agent in agents.values where agent.isRegistered {
            total += agent.info.resources
            oversubscribed += agent.oversubscribed
            if let usage = agent.usage { used += usage.amounts }
        }
        let executors = frameworks.values.reduce(into: Resources()) { sum, framework in
            sum += allocated(framework.executors, of: framework.id)
        }
        return ClusterSummary(
            master: info, startedAt: startedAt, agents: agents.values.map(\.state),
            frameworksConnected: frameworks.values.count(where: \.isConnected),
            frameworksDisconnected: frameworks.values.count { !$0.isConnected },
            offersOutstanding: offers.count, tasks: tasks.values.map(\.state), total: total,
            allocated: allocated(tasks.keys) + executors, offered: offered(offers.keys),
            oversubscribed: oversubscribed, used: used)
    }
}
