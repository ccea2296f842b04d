internal import DequeModule
internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// News of a task from its agent.
    mutating func take(
        _ status: TaskStatus, _ position: UpdatePosition, of framework: FrameworkID,
        on agent: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let key = TaskKey(framework, status.taskID)
        guard let row = frameworks[framework] else {
            // Nobody will ever acknowledge it: the agent has to let go by itself.
            outbox.append(.observe(.stray("update of a framework that is not known")))
            if let peer = agents[agent]?.peer {
                outbox.append(.tellAgent(.shutdownFramework(framework), peer))
            }
            return
        }
        var (status, position) = (status, position)
        var isTold = true
        if let task = tasks[key], task.info.agentID == agent {
            if status.state == .dropped, status.reason == .reconciliation,
                task.lastStatus != nil
            {
                // The agent does not know the task, but the framework has seen it run.
                status.state = .gone
                position.latestState = .gone
            }
            let seen = asSeen(status, task, agent)
            if seen.state != status.state, position.latestState == status.state {
                position.latestState = seen.state
            }
            status = seen
            isTold = isInTurn(status.uuid, key)
            note(status, position, key, isTold: isTold, at: now, into: &outbox)
        } else if tasks[key] != nil {
            // Whatever this agent believes, it is not its task.
            outbox.append(.observe(.stray("update of a task that another agent has")))
            return
        } else {
            outbox.append(.observe(.stray("update of a task that is not known")))
        }
        guard isTold, let peer = row.peer else { return }
        var visible = status
        visible.state = status.state.visible(toPartitionAware: row.isPartitionAware)
        visible.agentID = agent
        outbox.append(.tellFramework(.update(visible), peer))
    }

    /// Whether an update may be handed on: what was under way in a session that has ended comes
    /// first, for an acknowledgement of a later one would end it unheard.
    private mutating func isInTurn(_ uuid: UpdateID?, _ key: TaskKey) -> Bool {
        guard let uuid, let task = tasks[key] else { return true }
        if let awaited = task.awaited {
            // Its acknowledgement was lost on the way to the agent; it has to be said again.
            if uuid == task.lastAcknowledged { return true }
            guard uuid == awaited else { return false }
            tasks[key]?.awaited = nil
            tasks[key]?.underWay = []
        }
        if tasks[key]?.underWay.contains(uuid) == false, uuid != task.lastAcknowledged {
            tasks[key]?.underWay.append(uuid)
        }
        return true
    }

    /// Notes that a framework has a new session: its agents will send again what was under way.
    mutating func awaitUpdates(of row: FrameworkRow) {
        for task in row.tasks {
            let key = TaskKey(row.id, task)
            let first = tasks[key]?.underWay.first
            tasks[key]?.awaited = first
        }
    }

    private mutating func note(
        _ status: TaskStatus, _ position: UpdatePosition, _ key: TaskKey, isTold: Bool,
        at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard var task = tasks[key] else { return }
        let old = task.state
        if !task.state.isTerminal || task.state == .lost {
            task.state = position.latestState
        }
        // Questions are answered with what was handed on, not with what waits for its turn.
        if isTold, Self.isNews(status, after: task.lastStatus) { task.lastStatus = status }
        if status.state.isTerminal {
            task.endUUID = status.uuid
        } else if position.latestState.isTerminal {
            task.endUUID = position.latestUUID ?? task.endUUID
        }
        if status.state == .running, task.startedAt == nil {
            task.startedAt = status.timestamp ?? wallClock.time(at: now)
        }
        tasks[key] = task
        if task.state != .unreachable {
            frameworks[key.framework]?.unreachable.remove(key.task)
        }
        if old != task.state || status.healthy != nil || status.checkResult != nil {
            outbox.append(
                .observe(
                    .task(
                        key, name: task.info.name, agent: task.info.agentID, task.state,
                        reason: status.reason, message: status.message)))
        }
        // Resources follow the newest state, even when the framework has not seen it yet.
        if task.state.isTerminal {
            if !task.isReleased { releaseCount += 1 }
            release(key, at: now)
            timers.set(.kill(key), to: nil)
        }
    }

    /// Whether an update moves a task on, rather than being an older one that was sent again.
    private static func isNews(_ status: TaskStatus, after last: TaskStatus?) -> Bool {
        guard let last, last.uuid != nil else { return true }
        return last.state == status.state || last.state.mayBecome(status.state)
    }

    /// Gives a task's resources back, once.
    mutating func release(_ key: TaskKey, at now: Instant) {
        guard let task = tasks[key], !task.isReleased else { return }
        tasks[key]?.isReleased = true
        if let preemption = task.preemption {
            tasks[key]?.preemption = nil
            endedVictims.append(EndedVictim(task: key, preemption: preemption))
        }
        allocator.recover(
            Allocation(
                framework: key.framework, role: task.role, agent: task.info.agentID,
                resources: task.info.resources), wasOffered: false, refuse: nil, at: now)
    }

    mutating func releaseExecutor(
        _ placed: PlacedExecutor, of framework: FrameworkID, at now: Instant
    ) {
        let key = ExecutorKey(framework, placed.executor)
        guard let executor = agents[placed.agent]?.executors.removeValue(forKey: key) else {
            return
        }
        agents[placed.agent]?.endingExecutors.remove(key)
        noteVacated(placed.agent, framework)
        frameworks[framework]?.executors.remove(placed)
        allocator.recover(
            Allocation(
                framework: framework, role: executor.role, agent: placed.agent,
                resources: executor.info.resources), wasOffered: false, refuse: nil, at: now)
    }

    /// Moves a task to the history of its framework.
    mutating func forget(_ key: TaskKey, at now: Instant) {
        release(key, at: now)
        guard let task = tasks[key] else { return }
        let summary = summary(key, task)
        tasks.remove(key)
        timers.set(.kill(key), to: nil)
        let agent = task.info.agentID
        agents[agent]?.tasks.remove(key)
        if agents[agent]?.drain != nil { emptied.append(agent) }
        noteVacated(agent, key.framework)
        frameworks[key.framework]?.tasks.remove(key.task)
        frameworks[key.framework]?.unreachable.remove(key.task)
        frameworks[key.framework]?.completed.append(summary)
        if (frameworks[key.framework]?.completed.count ?? 0) > configuration.completedTasks {
            frameworks[key.framework]?.completed.removeFirst()
        }
    }

    mutating func acknowledge(
        _ key: TaskKey, _ agent: AgentID, _ uuid: UpdateID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        if let peer = agents[agent]?.peer {
            outbox.append(.tellAgent(.acknowledge(key, uuid: uuid), peer))
        }
        guard let task = tasks[key], task.info.agentID == agent else {
            outbox.append(.observe(.stray("acknowledgement for a task that is not known")))
            return
        }
        if let index = task.underWay.firstIndex(of: uuid) {
            tasks[key]?.underWay.removeSubrange(...index)
            tasks[key]?.lastAcknowledged = uuid
            // What was acknowledged before it was said again is not waited for.
            let next = tasks[key]?.underWay.first
            if task.awaited != nil { tasks[key]?.awaited = next }
        }
        // The record leaves with the acknowledgement of the end, not with the end.
        if task.state.isTerminal, task.endUUID == uuid { forget(key, at: now) }
    }

    mutating func kill(
        _ key: TaskKey, _ agent: AgentID?, _ policy: KillPolicy?, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let task = tasks[key] else {
            reconcileOne(
                ReconcileTask(taskID: key.task, agentID: agent), key.framework, into: &outbox)
            return
        }
        if let agent, agent != task.info.agentID {
            outbox.append(
                .observe(
                    .invalidCall(
                        key.framework, call: "KILL",
                        problem: "the task runs on another agent than the call says")))
            return
        }
        guard !task.state.isTerminal else { return }
        tasks[key]?.isKillWanted = true
        tasks[key]?.killPolicy = policy ?? task.killPolicy
        repeatKill(key, at: now, into: &outbox)
    }

    /// Sends a kill, now and again, until the task's end is known.
    mutating func repeatKill(
        _ key: TaskKey, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let task = tasks[key], task.isKillWanted, !task.state.isTerminal else { return }
        if let peer = agents[task.info.agentID]?.peer {
            outbox.append(.tellAgent(.kill(key, policy: task.killPolicy), peer))
            timers.set(.kill(key), to: now + configuration.killRepeat)
        }
    }

    /// Declares a task over from the master's side, when its agent can say nothing any more.
    mutating func conclude(
        _ key: TaskKey, _ state: TaskState, _ reason: StatusReason, _ message: String,
        unreachableSince: WallTime? = nil, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let task = tasks[key] else { return }
        // An end that its agent knew and has not told yet may be lost with it: the framework
        // would believe for ever that the task runs.
        if task.state.isTerminal, task.lastStatus?.state.isTerminal == true { return }
        tasks[key]?.state = state
        var status = task.lastStatus ?? TaskStatus(taskID: key.task, state: state)
        status.state = state
        status.message = message
        status.source = .master
        status.reason = reason
        status.uuid = nil
        status.unreachableTime = unreachableSince
        tasks[key]?.lastStatus = status
        report(
            key.task, task.info.agentID, key.framework, state, reason, message,
            unreachableSince: unreachableSince, into: &outbox)
        if state.isTerminal {
            forget(key, at: now)
            return
        }
        release(key, at: now)
        timers.set(.kill(key), to: nil)
        frameworks[key.framework]?.unreachable.append(key.task)
        // The oldest is forgotten; when it is asked for, its agent's state still answers.
        if let unreachable = frameworks[key.framework]?.unreachable,
            unreachable.count > configuration.unreachableTasks, let oldest = unreachable.first
        {
            forget(TaskKey(key.framework, oldest), at: now)
        }
    }
}
