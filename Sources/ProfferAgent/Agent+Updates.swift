internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

extension Agent {
    // MARK: New updates

    /// Takes an update of an executor: durable first, then acknowledged and forwarded.
    ///
    /// Repetitions are acknowledged and go no further. An update that breaks the rules is
    /// acknowledged too, so that the executor lets go of it, but leaves the task as it is.
    mutating func take(
        _ status: TaskStatus, from slot: Slot<ExecutorRow>, isOld: Bool = false,
        _ turn: inout Turn
    ) {
        guard let executor = executors[slot], let peer = executor.peer else { return }
        let key = TaskKey(executor.key.framework, status.taskID)
        guard let uuid = status.uuid else {
            turn.effects.append(.tellExecutor(.error("an update needs a uuid"), peer))
            turn.observe(.updateRefused(key, status.state, reason: "it has no uuid"))
            return
        }
        guard let task = taskSlots[key], let row = tasks[task] else {
            turn.effects.append(.tellExecutor(.acknowledged(status.taskID, uuid: uuid), peer))
            turn.observe(.duplicateUpdate(key, uuid))
            return
        }
        if isOld || row.knows(uuid) {
            if row.executor == slot, row.phase == .sent { tasks[task]?.phase = .known }
            turn.effects.append(.tellExecutor(.acknowledged(status.taskID, uuid: uuid), peer))
            turn.observe(.duplicateUpdate(key, uuid))
            return
        }
        if let problem = problem(with: status, row, slot) {
            turn.observe(.updateRefused(key, status.state, reason: problem))
            if status.state == .staging {
                turn.effects.append(.tellExecutor(.error(problem), peer))
                stopExecutor(slot, because: "it broke the protocol: \(problem)", &turn)
            } else {
                turn.effects.append(.tellExecutor(.acknowledged(status.taskID, uuid: uuid), peer))
            }
            return
        }
        tasks[task]?.phase = .known
        let told = row.preempted(complete(judged(status, row), executor, turn.now))
        enqueue(told, for: task, &turn)
        turn.effects.append(.tellExecutor(.acknowledged(status.taskID, uuid: uuid), peer))
        forward(task, &turn)
    }

    /// Why an executor may not say this, or `nil`.
    private func problem(
        with status: TaskStatus, _ row: TaskRow, _ slot: Slot<ExecutorRow>
    ) -> String? {
        if row.executor != slot { return "the task belongs to another executor" }
        switch status.state {
        case .staging: return "an executor may not report TASK_STAGING"
        case .unreachable, .unknown, .goneByOperator:
            return "an executor may not report \(status.state.name)"
        case .starting, .running, .finished, .failed, .killed, .lost, .error, .killing, .dropped,
            .gone:
            break
        }
        if row.phase == .queued { return "the task was not launched yet" }
        if row.state.isTerminal { return "the task has ended as \(row.state.name)" }
        if !row.state.mayBecome(status.state) {
            return "\(status.state.name) cannot follow \(row.state.name)"
        }
        return nil
    }

    /// Fills in what the agent knows better than the executor.
    private func complete(
        _ status: TaskStatus, _ executor: ExecutorRow, _ now: Instant
    ) -> TaskStatus {
        var status = status
        status.agentID = info.id
        status.executorID = executor.key.executor
        status.source = .executor
        if status.timestamp == nil { status.timestamp = clock.time(at: now) }
        var container = status.containerStatus ?? ContainerStatus()
        container.containerID = executor.containerID
        status.containerStatus = container
        return status
    }

    /// Makes the agent's own last word on a task.
    mutating func conclude(
        _ slot: Slot<TaskRow>, _ state: TaskState, _ reason: StatusReason?, _ message: String,
        _ turn: inout Turn
    ) {
        guard let row = tasks[slot], row.phase != .ended else { return }
        let status = TaskStatus(
            taskID: row.key.task, state: state, message: message, source: .agent, reason: reason,
            agentID: info.id, executorID: row.executorID, timestamp: clock.time(at: turn.now),
            uuid: UpdateID(high: generator.next(), low: generator.next()),
            containerStatus: row.executor.flatMap { executors[$0] }.map {
                ContainerStatus(containerID: $0.containerID)
            })
        enqueue(status, for: slot, &turn)
        forward(slot, &turn)
    }

    /// Says that a task the master believes to be here has never been, or will not be taken.
    mutating func disown(
        _ key: TaskKey, _ reason: StatusReason?,
        because message: String = "the task is not known to the agent", _ turn: inout Turn
    ) {
        launchCount += 1
        let slot = tasks.insert(
            TaskRow(
                key: key, info: nil, role: "", executorID: ExecutorID(""), executor: nil,
                sandbox: "", groupID: nil, window: 1, serial: launchCount, isRecovered: false,
                phase: .queued, state: .staging))
        taskSlots[key] = slot
        liveTaskCount += 1
        conclude(slot, .dropped, reason, message, &turn)
    }

    /// Appends an update to its task's queue; the one place where a task's state changes.
    private mutating func enqueue(
        _ status: TaskStatus, for slot: Slot<TaskRow>, _ turn: inout Turn
    ) {
        guard let row = tasks[slot], let uuid = status.uuid else { return }
        invariant(row.state.mayBecome(status.state), "\(row.state) to \(status.state)")
        var sequence = row.nextSequence
        let isFull = row.pending.count >= configuration.updateLimit
        if isFull, !status.state.isTerminal, row.forwarded < row.pending.count,
            let last = tasks[slot]?.pending.popLast()
        {
            sequence = last.sequence
        } else {
            tasks[slot]?.nextSequence += 1
        }
        tasks[slot]?.pending.append(TaskRow.Pending(sequence: sequence, status: status))
        tasks[slot]?.remember(uuid)
        tasks[slot]?.state = status.state
        turn.records.append(.update(row.key, sequence: sequence, status))
        turn.observe(
            .taskState(row.key, status.state, status.reason, message: status.message))
        if status.state == .running || status.state.isTerminal {
            timers.set(.launch(slot), to: nil)
        }
        if status.state.isTerminal { end(slot, &turn) }
    }

    /// Notes that a task has ended; its row stays until the last update is acknowledged.
    private mutating func end(_ slot: Slot<TaskRow>, _ turn: inout Turn) {
        guard let row = tasks[slot], row.phase != .ended else { return }
        tasks[slot]?.phase = .ended
        tasks[slot]?.measured = nil
        liveTaskCount -= 1
        guard let executor = row.executor else { return }
        executors[executor]?.taskCount -= 1
        if let resources = row.info?.resources { shrink(executor, by: resources, &turn) }
        rest(executor, turn.now)
    }

    // MARK: Towards the framework

    /// Whether there is somebody to hear of a framework's tasks.
    private func mayForward(_ key: TaskKey) -> Bool {
        guard isRegistered else { return false }
        guard let framework = frameworkSlots[key.framework] else { return true }
        return frameworks[framework]?.isRemoved != true
    }

    /// Sends updates that were not sent in this session, as far as the window admits; once a
    /// framework has ended, what ended with it is forgotten instead.
    mutating func forward(_ slot: Slot<TaskRow>, _ turn: inout Turn) {
        guard let row = tasks[slot] else { return }
        guard mayForward(row.key) else {
            if isRegistered, row.phase == .ended { forget(slot, &turn) }
            return
        }
        let limit = min(row.window, row.pending.count)
        guard row.forwarded < limit else { return }
        for index in row.forwarded..<limit {
            turn.tellMaster(
                .update(row.key.framework, row.pending[index].status, position: row.position))
        }
        tasks[slot]?.forwarded = limit
        if row.forwarded == 0 {
            let retry = configuration.updateRetry
            tasks[slot]?.retry = retry
            timers.set(.update(slot), to: turn.now + retry)
        }
    }

    /// Sends everything under way again, with the same uuids, and waits twice as long.
    mutating func repeatUpdates(_ slot: Slot<TaskRow>, _ turn: inout Turn) {
        guard let row = tasks[slot], row.forwarded > 0, mayForward(row.key) else { return }
        for index in 0..<row.forwarded {
            let status = row.pending[index].status
            turn.tellMaster(.update(row.key.framework, status, position: row.position))
            if let uuid = status.uuid { turn.observe(.updateRetried(row.key, uuid)) }
        }
        let wait = min(row.retry + row.retry, configuration.updateRetryLimit)
        tasks[slot]?.retry = wait
        timers.set(.update(slot), to: turn.now + wait)
    }

    /// Sends everything under way of a framework's tasks again, from the first.
    mutating func repeatUpdates(of framework: FrameworkID, _ turn: inout Turn) {
        for slot in tasks.slots where tasks[slot]?.key.framework == framework {
            guard let row = tasks[slot], row.forwarded > 0 else { continue }
            tasks[slot]?.forwarded = 0
            forward(slot, &turn)
        }
    }

    /// Without a master nothing is under way.
    mutating func pauseUpdates() {
        for slot in tasks.slots {
            tasks[slot]?.forwarded = 0
            timers.set(.update(slot), to: nil)
        }
    }

    /// Sends the head, or the window, of every queue.
    mutating func resumeUpdates(_ turn: inout Turn) {
        for slot in tasks.slots { forward(slot, &turn) }
    }

    /// Lets go of an update and, natively, of all before it; the task goes with its last word.
    ///
    /// An acknowledgement of anything but an update under way is ignored; with a window of one
    /// only the head is under way.
    mutating func acknowledge(_ key: TaskKey, _ uuid: UpdateID, _ turn: inout Turn) {
        guard let slot = taskSlots[key], let row = tasks[slot],
            let index = row.pending.prefix(row.forwarded).firstIndex(where: {
                $0.status.uuid == uuid
            })
        else {
            turn.observe(.strayAcknowledgement(key, uuid))
            return
        }
        if row.pending[index].status.state.isTerminal {
            forget(slot, &turn)
            return
        }
        let count = index - row.pending.startIndex + 1
        for update in row.pending.prefix(count) {
            turn.records.append(.update(key, sequence: update.sequence, nil))
        }
        tasks[slot]?.pending.removeFirst(count)
        tasks[slot]?.forwarded -= count
        tasks[slot]?.lastAcknowledged = uuid
        // With updates left, their records tell state and history; without, the task's has to.
        if row.pending.count == count, let checkpoint = tasks[slot]?.checkpoint {
            turn.records.append(.task(key, checkpoint))
        }
        let retry = configuration.updateRetry
        tasks[slot]?.retry = retry
        let isWaiting = row.forwarded > count
        timers.set(.update(slot), to: isWaiting ? turn.now + retry : nil)
        forward(slot, &turn)
    }

    /// Removes every trace of a task that has ended.
    mutating func forget(_ slot: Slot<TaskRow>, _ turn: inout Turn) {
        guard let row = tasks[slot], row.phase == .ended else { return }
        for update in row.pending {
            turn.records.append(.update(row.key, sequence: update.sequence, nil))
        }
        if row.info != nil { turn.records.append(.task(row.key, nil)) }
        timers.set(.update(slot), to: nil)
        taskSlots.remove(row.key)
        tasks.remove(slot)
        turn.observe(.taskForgotten(row.key))
        if row.info != nil { release(row.key.framework, &turn) }
    }
}
