internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// Tasks that live and die together.
private enum UnitKey: Hashable {
    case task(TaskKey)
    case group(ExecutorKey, TaskID)
    /// Everything in an executor, where only its agent knows which tasks belong together.
    case executor(ExecutorKey)
}

private struct TaskUnit {
    var candidate: VictimCandidate
    /// Whether every task of it may be ended.
    var isEligible = true
}

extension Master {
    /// So many agents at most are looked at for one shortfall in one step.
    private static let agentsPerSearch = 4000
    /// Of so many that have possible victims, sets of them are tried.
    private static let agentsTried = 256
    /// A gang has to find all of its room at once.
    private static let agentsTriedForGang = 2048

    /// Prepares the search for victims on the agents that could ever serve a demand.
    ///
    /// O(agents + their tasks), and of a large cluster only a part, another one at each time: a
    /// step must not hold up the master.
    mutating func victimSearch(_ shortfall: Shortfall, _ books: QuotaBooks?) -> VictimSearch {
        let key = DemandKey(shortfall)
        let framework = frameworks[key.framework]
        let canUseGPUs = framework?.info.capabilities.contains(.gpuResources) == true
        let isAware = framework?.info.capabilities.contains(.regionAware) == true
        let instance = Resources(
            shortfall.demand.resources.entries.map { Resource($0.name, .scalar($0.amount)) })
        let rows = agents.elements
        let count = min(rows.count, Self.agentsPerSearch)
        let isGang = shortfall.demand.gang > 1
        let limit = isGang ? Self.agentsTriedForGang : Self.agentsTried
        var priorities = LookupTable<FrameworkID, Int>()
        var chosen: [VictimAgent] = []
        var looked = 0
        while looked < count, chosen.count < limit {
            let row = rows[(victimCursor + looked) % rows.count].value
            looked += 1
            guard isOfferable(row), row.peer != nil,
                row.info.resources.quantities.contains(shortfall.demand.resources),
                canUseGPUs || row.info.resources.scalar("gpus") == .zero,
                isAware || !isFar(row.info),
                !allocator.hasRefused(
                    Allocation(
                        framework: key.framework, role: key.role, agent: row.id,
                        resources: instance)),
                // A gang uses what is free too.
                isGang || hasVictims(row, for: shortfall, &priorities)
            else { continue }
            chosen.append(victimAgent(row, key))
        }
        victimWindow = max(1, looked)
        if !rows.isEmpty { victimCursor = (victimCursor + looked) % rows.count }
        return VictimSearch(
            for: shortfall.demand, isGuaranteed: shortfall.isGuaranteed,
            constraints: framework?.constraints.first { $0.role == key.role },
            uses: books.map(roleUses) ?? [], among: chosen)
    }

    /// Whether a task of an agent may have to make room for a demand.
    ///
    /// O(tasks of the agent); the priorities of frameworks are looked up once.
    private func hasVictims(
        _ row: AgentRow, for shortfall: Shortfall,
        _ priorities: inout LookupTable<FrameworkID, Int>
    ) -> Bool {
        let own = topLevelRole(shortfall.demand.role)
        for key in row.tasks {
            guard let task = tasks[key], !task.isReleased, !task.isKillWanted,
                task.preemption == nil
            else { continue }
            if shortfall.isGuaranteed, topLevelRole(task.role) != own { return true }
            var stated = task.info.priority ?? priorities[key.framework]
            if stated == nil {
                stated = frameworks[key.framework]?.info.priority ?? 0
                priorities[key.framework] = stated
            }
            if priority(stated ?? 0, in: task.role) < shortfall.demand.priority { return true }
        }
        return false
    }

    /// Whether an agent is in another region than the master.
    private func isFar(_ info: AgentInfo) -> Bool {
        guard let own = configuration.domain?.region, let there = info.domain?.region else {
            return false
        }
        return own != there
    }

    /// What roles with a quota have, as if all that makes room had ended and its room were taken.
    private func roleUses(_ now: QuotaBooks) -> [RoleUse] {
        var books = now
        for row in preemptions.values {
            for key in row.tasks {
                guard let task = tasks[key] else { continue }
                books.used[topLevelRole(task.role)]? -= task.info.resources.unreservedQuantities
            }
            for _ in 0..<row.instances {
                books.used[topLevelRole(row.key.role), default: ResourceQuantities()] += row.needs
            }
        }
        return quotas.values.map { RoleUse(quota: $0, consumed: books.consumed($0.role)) }
    }

    private func victimAgent(_ row: AgentRow, _ demand: DemandKey) -> VictimAgent {
        var free = row.info.resources
        var instances = 0
        var units: OrderedDictionary<UnitKey, TaskUnit> = [:]
        for key in row.tasks {
            guard let task = tasks[key], !task.isReleased else { continue }
            free -= task.info.resources
            if task.demandID == demand.id, task.role == demand.role,
                key.framework == demand.framework, task.groupID == nil || task.groupID == key.task
            {
                instances += 1
            }
            add(task, key, of: row, to: &units)
        }
        for executor in row.executors.values { free -= executor.info.resources }
        for id in row.offers {
            guard let offer = offers[id]?.offer else { continue }
            free -= offer.resources
            if offer.frameworkID == demand.framework, offer.role == demand.role,
                offer.demandID == demand.id
            {
                instances += offer.instances
            }
        }
        return VictimAgent(
            info: row.info, free: free, instances: instances,
            candidates: units.values.filter(\.isEligible).map(\.candidate),
            executors: endingExecutors(row, units))
    }

    private func add(
        _ task: TaskRow, _ key: TaskKey, of agent: AgentRow,
        to units: inout OrderedDictionary<UnitKey, TaskUnit>
    ) {
        let framework = frameworks[key.framework]
        let stated = task.info.priority ?? framework?.info.priority ?? 0
        let priority = priority(stated, in: task.role)
        let executor = task.executorID.map { ExecutorKey(key.framework, $0) }
        let ending = executor.flatMap { id -> ExecutorKey? in
            agent.executors[id]?.info.kind == .default ? id : nil
        }
        var unitKey = UnitKey.task(key)
        if let ending {
            if let group = task.groupID {
                unitKey = .group(ending, group)
            } else if task.isLearned, agent.executors[ending]?.info.resources.isEmpty == false {
                unitKey = .executor(ending)
            }
        }
        // What ends anyway, or makes room for another one, is not chosen again.
        let isEligible =
            !task.isKillWanted && task.preemption == nil
            && (executor.map { !agent.endingExecutors.contains($0) } ?? true)
        guard var unit = units[unitKey] else {
            units[unitKey] = TaskUnit(
                candidate: VictimCandidate(
                    tasks: [key], role: task.role, resources: task.info.resources,
                    priority: priority, startedAt: task.startedAt, executor: ending),
                isEligible: isEligible)
            return
        }
        unit.candidate.tasks.append(key)
        unit.candidate.resources += task.info.resources
        unit.candidate.priority = max(unit.candidate.priority, priority)
        if let start = task.startedAt {
            unit.candidate.startedAt = min(unit.candidate.startedAt ?? start, start)
        }
        unit.isEligible = unit.isEligible && isEligible
        units[unitKey] = unit
    }

    private func endingExecutors(
        _ row: AgentRow, _ units: OrderedDictionary<UnitKey, TaskUnit>
    ) -> [EndingExecutor] {
        row.executors.compactMap { key, executor in
            guard executor.info.kind == .default, !executor.info.resources.isEmpty else {
                return nil
            }
            return EndingExecutor(
                key: key, role: executor.role, resources: executor.info.resources,
                units: units.values.count { $0.candidate.executor == key })
        }
    }
}
