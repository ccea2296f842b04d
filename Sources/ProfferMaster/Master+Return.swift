internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// What an agent brings back.
///
/// After a failover this is where the time goes: hundreds of thousands of tasks come back at once.
/// So rows change in place, and nothing is looked up twice.
extension Master {
    /// Takes in frameworks that only the agent knows, and names those that have ended.
    mutating func learnFrameworks(
        _ body: Reregistration, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OrderedSet<FrameworkID> {
        for info in body.frameworks {
            guard let id = info.id, removedFrameworks[id] == nil, !frameworks.keys.contains(id)
            else { continue }
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
        var last: FrameworkID?
        func note(_ id: FrameworkID) {
            guard id != last else { return }
            last = id
            if !frameworks.keys.contains(id) { ended.append(id) }
        }
        for info in body.frameworks { if let id = info.id { note(id) } }
        for task in body.tasks { note(task.frameworkID) }
        for executor in body.executors { note(executor.frameworkID) }
        return ended
    }

    /// Brings the master's and the agent's knowledge of tasks and executors together.
    ///
    /// - Returns: Tasks the master knows and the agent did not name: the agent is to say of each
    ///   that it is lost, with an update that it repeats until it is acknowledged.
    mutating func merge(
        _ body: Reregistration, _ id: AgentID, since old: AgentState?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> [TaskKey] {
        mergeExecutors(body.executors, id, at: now)
        let before = agents[id]?.tasks ?? []
        var named: Set<TaskKey> = []
        var brought: [TaskKey] = []
        brought.reserveCapacity(body.tasks.count)
        var place: (framework: FrameworkID, index: Int?)?
        for task in body.tasks {
            if place?.framework != task.frameworkID {
                place = (task.frameworkID, frameworks.index(forKey: task.frameworkID))
            }
            guard let index = place?.index else { continue }
            let key = TaskKey(task.frameworkID, task.info.id)
            let row = tasks[key]
            guard task.info.agentID == id, row.map({ $0.info.agentID == id }) ?? true else {
                outbox.append(.observe(.stray("a task that also runs on another agent")))
                continue
            }
            if !before.isEmpty { named.insert(key) }
            brought.append(key)
            takeIn(task, key, row, index, since: old, at: now, into: &outbox)
        }
        agents[id]?.owedKills = []
        if let index = agents.index(forKey: id) {
            for key in brought { agents.values[index].tasks.append(key) }
        }
        return before.filter { !named.contains($0) }
    }

    private mutating func mergeExecutors(
        _ list: [AgentExecutor], _ id: AgentID, at now: Instant
    ) {
        guard let agent = agents.index(forKey: id) else { return }
        let hadExecutors = !agents.values[agent].executors.isEmpty
        var named: Set<ExecutorKey> = []
        for executor in list {
            guard let index = frameworks.index(forKey: executor.frameworkID) else { continue }
            let key = ExecutorKey(executor.frameworkID, executor.info.id)
            if hadExecutors { named.insert(key) }
            guard agents.values[agent].executors[key] == nil else { continue }
            agents.values[agent].executors[key] = executor
            frameworks.values[index].executors.append(
                PlacedExecutor(agent: id, executor: executor.info.id))
            guard !executor.info.resources.isEmpty else { continue }
            allocator.hold(
                Allocation(
                    framework: executor.frameworkID, role: executor.role, agent: id,
                    resources: executor.info.resources))
        }
        guard hadExecutors else { return }
        for key in agents[id]?.executors.keys ?? [] where !named.contains(key) {
            releaseExecutor(
                PlacedExecutor(agent: id, executor: key.executor), of: key.framework, at: now)
        }
    }

    private mutating func takeIn(
        _ task: AgentTask, _ key: TaskKey, _ before: TaskRow?, _ framework: Int,
        since old: AgentState?, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let agent = task.info.agentID
        let isKillOwed = agents[agent]?.owedKills.contains(key) ?? false
        var row =
            before
            ?? TaskRow(
                info: task.info, role: task.role, executorID: task.executorID, isReleased: true)
        switch task.grouping {
        case .unknown: row.isLearned = before == nil || row.isLearned
        case .single: row.isLearned = false
        case .group(let first):
            row.isLearned = false
            row.groupID = first
        }
        row.state = task.state
        if isKillOwed { row.isKillWanted = true }
        // Who is told first that it is taken back is told then to kill.
        if row.isKillWanted, !task.state.isTerminal { timers.set(.kill(key), to: now) }
        if let last = task.lastForwarded.map({ asSeen($0, row, agent) }) {
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
        let isHeldAnew = !task.state.isTerminal && row.isReleased
        if isHeldAnew { row.isReleased = false }
        tasks[key] = row
        frameworks.values[framework].tasks.append(key.task)
        if before != nil { frameworks.values[framework].unreachable.remove(key.task) }
        if isHeldAnew {
            allocator.hold(
                Allocation(
                    framework: key.framework, role: row.role, agent: agent,
                    resources: row.info.resources))
        } else if task.state.isTerminal {
            release(key, at: now)
        }
        // The framework was told that the task is lost. After a restart of the master, which has
        // said nothing, it asks by itself.
        let wasDeclaredLost =
            old == .unreachable || (before == nil && (old == .disconnected || old == .active))
        guard wasDeclaredLost, !task.state.isTerminal else { return }
        frameworks.values[framework].completed.removeAll { $0.key == key }
        report(
            key.task, agent, key.framework, task.state, .agentReregistered,
            "the agent came back with the task", into: &outbox)
    }
}
