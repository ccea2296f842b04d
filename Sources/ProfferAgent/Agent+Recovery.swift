internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

extension Agent {
    /// Rebuilds the tables from the records of an earlier run.
    ///
    /// Called once, by the initialiser; effects have to wait for the first turn.
    mutating func recover(
        _ records: [AgentRecord], living: [ContainerID], at now: Instant
    ) {
        if records.isEmpty { return }
        var found = Leftovers()
        var alive = LookupTable<ContainerID, Bool>()
        for container in living { alive[container] = true }
        var executorList: [(ExecutorKey, ExecutorCheckpoint)] = []
        var taskList: [(TaskKey, TaskCheckpoint)] = []
        var updates: [(TaskKey, TaskRow.Pending)] = []
        for record in records {
            switch record {
            case .identity(let kept, let keptBootID):
                info.id = kept.id
                info.resources = Self.resources(info.resources, kept)
                found.isRebooted = keptBootID != bootID
            case .framework(let id, let info):
                if let info {
                    frameworkSlots[id] = frameworks.insert(FrameworkRow(info: info))
                }
            case .executor(let key, let checkpoint):
                if let checkpoint { executorList.append((key, checkpoint)) }
            case .task(let key, let checkpoint):
                if let checkpoint { taskList.append((key, checkpoint)) }
            case .update(let key, let sequence, let status):
                if let status {
                    updates.append((key, TaskRow.Pending(sequence: sequence, status: status)))
                }
            }
        }
        for (key, checkpoint) in executorList.sorted(by: { $0.0 < $1.0 }) {
            restore(key, checkpoint, isAlive: alive[checkpoint.containerID] == true, &found, now)
        }
        for (key, checkpoint) in taskList.sorted(by: { $0.0 < $1.0 }) {
            restore(key, checkpoint)
        }
        for (key, update) in updates.sorted(by: {
            $0.0 != $1.0 ? $0.0 < $1.0 : $0.1.sequence < $1.1.sequence
        }) {
            restore(key, update)
        }
        found.updates = updates.count
        settle(&found, now)
        leftovers = found
        timers.set(.recovery, to: now)
    }

    private mutating func restore(
        _ key: ExecutorKey, _ kept: ExecutorCheckpoint, isAlive: Bool, _ found: inout Leftovers,
        _ now: Instant
    ) {
        var row = ExecutorRow(
            key: key, info: kept.info, role: kept.role, containerID: kept.containerID,
            directory: kept.directory, token: kept.token, isRecovered: true)
        row.pid = kept.pid
        row.startTicks = kept.startTicks
        row.phase = .away
        if kept.info.kind == .custom { row.held = kept.info.resources }
        let slot = executors.insert(row)
        executorSlots[key] = slot
        containers[kept.containerID] = slot
        hold(key.framework)
        // Without a process in the records it may have been started just before the crash.
        let mayLive = !found.isRebooted && (isAlive || kept.pid == nil)
        if !mayLive {
            found.dead.append(slot)
        } else if !isCheckpointing(key.framework) {
            found.forsaken.append(slot)
        } else {
            timers.set(
                .executor(slot), to: now + configuration.executorReregistrationTimeout)
        }
    }

    private mutating func restore(_ key: TaskKey, _ kept: TaskCheckpoint) {
        launchCount += 1
        var row = TaskRow(
            key: key, info: kept.info, role: kept.role, executorID: kept.executorID,
            executor: executorSlots[ExecutorKey(key.framework, kept.executorID)],
            sandbox: kept.sandbox, groupID: kept.groupID,
            window: max(1, min(kept.updateWindow, configuration.updateLimit - 1)),
            serial: launchCount, isRecovered: true, phase: .sent, state: kept.state)
        row.lastAcknowledged = kept.lastAcknowledged
        if kept.state != .staging { row.phase = .known }
        taskSlots[key] = tasks.insert(row)
        hold(key.framework)
    }

    private mutating func restore(_ key: TaskKey, _ update: TaskRow.Pending) {
        if taskSlots[key] == nil {
            launchCount += 1
            taskSlots[key] = tasks.insert(
                TaskRow(
                    key: key, info: nil, role: "",
                    executorID: update.status.executorID ?? ExecutorID(""), executor: nil,
                    sandbox: "", groupID: nil, window: 1, serial: launchCount, isRecovered: true,
                    phase: .known, state: update.status.state))
        }
        guard let slot = taskSlots[key] else { return }
        tasks[slot]?.pending.append(update)
        if let uuid = update.status.uuid { tasks[slot]?.remember(uuid) }
        tasks[slot]?.state = update.status.state
        tasks[slot]?.phase = .known
        tasks[slot]?.nextSequence = update.sequence + 1
    }

    /// Counts what was rebuilt, and finds tasks that nobody runs.
    private mutating func settle(_ found: inout Leftovers, _ now: Instant) {
        for slot in tasks.slots {
            guard let row = tasks[slot] else { continue }
            if row.state.isTerminal {
                tasks[slot]?.phase = .ended
                continue
            }
            liveTaskCount += 1
            if row.state == .staging || row.state == .starting { armLaunch(slot, now) }
            if let executor = row.executor {
                executors[executor]?.taskCount += 1
                if executors[executor]?.info.kind == .custom, let resources = row.info?.resources {
                    executors[executor]?.held += resources
                }
            } else {
                found.orphans.append(slot)
            }
        }
    }

    /// Deals with what init has found; the first thing in the first turn.
    mutating func finishRecovery(_ turn: inout Turn) {
        guard let found = leftovers else { return }
        leftovers = nil
        timers.set(.recovery, to: nil)
        turn.observe(
            .recovered(
                frameworks: frameworks.count, executors: executors.count, tasks: tasks.count,
                updates: found.updates))
        // A limit may have been changed in the records only.
        for slot in executors.slots {
            if executors[slot]?.info.kind == .custom { resize(slot, &turn) }
        }
        if found.isRebooted {
            turn.observe(.rebooted)
            turn.records.append(.identity(info, bootID: bootID))
        }
        let message =
            found.isRebooted
            ? "the node was started anew" : "the executor ended while the agent was away"
        for slot in found.dead {
            executors[slot]?.cause.message = message
            remove(slot, status: -1, &turn)
        }
        for slot in found.forsaken {
            kill(
                slot, .executorTerminated,
                "the agent restarted and the framework does not checkpoint", &turn)
        }
        for slot in found.orphans {
            if tasks[slot]?.phase == .sent {
                conclude(
                    slot, .dropped, .agentRestarted,
                    "the agent restarted before the task was launched", &turn)
            } else {
                conclude(slot, .failed, .executorTerminated, message, &turn)
            }
        }
        for slot in tasks.slots where tasks[slot]?.pending.isEmpty == true { forget(slot, &turn) }
        for slot in frameworks.slots where frameworks[slot]?.holders == 0 {
            guard let id = frameworks.remove(slot)?.info.id else { continue }
            frameworkSlots.remove(id)
            turn.records.append(.framework(id, nil))
        }
    }
}
