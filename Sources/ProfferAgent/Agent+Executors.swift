internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

extension Agent {
    /// From the death of an executor until its last words must have arrived.
    private static let lastWords = Duration.milliseconds(250)
    /// Beyond its grace, an executor has so long to end before it is killed.
    private static let shutdownMargin = Duration.seconds(1)

    // MARK: Start

    /// Starts an executor; its framework is held until it ends.
    mutating func startExecutor(
        _ key: ExecutorKey, _ info: ExecutorInfo, role: String, _ turn: inout Turn
    ) -> Slot<ExecutorRow> {
        let container = ContainerID(generator.uuidText())
        var row = ExecutorRow(
            key: key, info: info, role: role, containerID: container,
            directory: paths.directory(key, container), token: tokens.token(for: container),
            isRecovered: false)
        if info.kind == .custom { row.held = info.resources }
        let slot = executors.insert(row)
        executorSlots[key] = slot
        containers[container] = slot
        hold(key.framework)
        timers.set(.executor(slot), to: turn.now + configuration.executorRegistrationTimeout)
        turn.records.append(.executor(key, row.checkpoint))
        turn.effects.append(.launchExecutor(launch(row)))
        turn.observe(.executorLaunched(key, container))
        return slot
    }

    private func launch(_ row: ExecutorRow) -> ExecutorLaunch {
        let isCheckpointing = isCheckpointing(row.key.framework)
        let grace = row.info.shutdownGracePeriod ?? configuration.executorShutdownGrace
        let recovery = configuration.executorRecoveryTimeout
        let agent = info.id?.value ?? ""
        let own: [(String, String)] = [
            ("PROFFER_FRAMEWORK_ID", row.key.framework.value),
            ("PROFFER_EXECUTOR_ID", row.key.executor.value),
            ("PROFFER_AGENT_ID", agent),
            ("PROFFER_CONTAINER_ID", row.containerID.value),
            ("PROFFER_DIRECTORY", row.directory),
            ("PROFFER_CHECKPOINT", isCheckpointing ? "1" : "0"),
            ("PROFFER_EXECUTOR_TOKEN", row.token),
            ("PROFFER_SHUTDOWN_GRACE_MS", Self.milliseconds(grace)),
            ("PROFFER_RECOVERY_TIMEOUT_MS", Self.milliseconds(recovery)),
            ("MESOS_FRAMEWORK_ID", row.key.framework.value),
            ("MESOS_EXECUTOR_ID", row.key.executor.value),
            ("MESOS_SLAVE_ID", agent),
            ("MESOS_DIRECTORY", row.directory),
            ("MESOS_SANDBOX", row.directory),
            ("MESOS_CHECKPOINT", isCheckpointing ? "1" : "0"),
            ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", row.token),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", Self.milliseconds(grace) + "ms"),
            ("MESOS_RECOVERY_TIMEOUT", Self.milliseconds(recovery) + "ms"),
        ]
        let given = row.info.command?.environment ?? []
        return ExecutorLaunch(
            containerID: row.containerID, key: row.key, info: row.info, directory: row.directory,
            token: row.token,
            environment: given.filter { variable in
                !own.contains { $0.0 == variable.name }
            } + own.map { EnvironmentVariable(name: $0.0, value: $0.1) },
            user: user(of: row), isCheckpointing: isCheckpointing,
            secrets: secrets(of: row))
    }

    private static func milliseconds(_ span: Duration) -> String {
        "\(span.inNanoseconds / 1_000_000)"
    }

    mutating func noteStart(
        of container: ContainerID, pid: Int, startTicks: UInt64, _ turn: inout Turn
    ) {
        guard let slot = containers[container], let key = executors[slot]?.key else {
            turn.effects.append(.killExecutor(container, pid: pid, startTicks: startTicks))
            return
        }
        executors[slot]?.pid = pid
        executors[slot]?.startTicks = startTicks
        turn.records.append(.executor(key, executors[slot]?.checkpoint))
        if executors[slot]?.phase == .killing { kill(slot, &turn) }
    }

    mutating func noteFailure(
        of container: ContainerID, _ message: String, _ turn: inout Turn
    ) {
        guard let slot = containers[container], executors[slot]?.phase != .sweeping else { return }
        executors[slot]?.cause = ExecutorRow.Cause(
            reason: .containerLaunchFailed, message: "the executor was not started: \(message)")
        if executors[slot]?.isEnding == false { doomQueue(of: slot, &turn) }
        remove(slot, status: -1, &turn)
    }

    // MARK: Session

    /// Hears an executor, once it has shown the token of its run.
    ///
    /// Who is not known here, or not any more, is told to end.
    mutating func hear(
        _ message: ExecutorMessage, from peer: PeerID, _ credential: [UInt8], _ turn: inout Turn
    ) {
        let key = ExecutorKey(message.frameworkID, message.executorID)
        guard let slot = executorSlots[key], let row = executors[slot],
            row.phase != .sweeping, Self.matches(credential, row.token)
        else {
            turn.observe(.executorRejected(peer, key))
            closeExecutor(peer, &turn)
            turn.effects.append(.tellExecutor(.shutdown, peer))
            turn.effects.append(.closePeer(peer, reason: "no such executor, or a wrong token"))
            return
        }
        if case .subscribe(let tasks, let updates) = message.call {
            subscribe(slot, peer, tasks, updates, &turn)
            return
        }
        guard row.peer == peer else {
            turn.effects.append(.tellExecutor(.error("an executor subscribes first"), peer))
            return
        }
        switch message.call {
        case .subscribe, .heartbeat: break
        case .update(let status): take(status, from: slot, &turn)
        case .message(let data):
            if isRegistered { turn.tellMaster(.message(key, data: data)) }
        case .usage(let usages): note(usages, slot, turn.now)
        }
    }

    /// Compares without telling by its duration where the difference is.
    private static func matches(_ credential: [UInt8], _ token: String) -> Bool {
        let wanted = Array(token.utf8)
        guard credential.count == wanted.count else { return false }
        return zip(credential, wanted).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private mutating func subscribe(
        _ slot: Slot<ExecutorRow>, _ peer: PeerID, _ listed: [TaskInfo], _ updates: [TaskStatus],
        _ turn: inout Turn
    ) {
        guard let row = executors[slot] else { return }
        if let old = row.peer, old != peer {
            executorPeers.remove(old)
            turn.effects.append(.closePeer(old, reason: "the executor has a newer session"))
        }
        executors[slot]?.peer = peer
        executors[slot]?.hasSubscribed = true
        executorPeers[peer] = slot
        if !row.isEnding { executors[slot]?.phase = .ready }
        let framework = frameworkSlots[row.key.framework].flatMap { frameworks[$0] }?.info
        turn.effects.append(
            .tellExecutor(
                .subscribed(
                    executor: row.info, framework: framework ?? FrameworkInfo(name: ""),
                    agent: info, container: row.containerID), peer))
        turn.observe(.executorSubscribed(row.key, row.containerID))
        merge(listed, slot, peer, &turn)
        merge(updates, slot, &turn)
        guard executors[slot]?.isEnding == false else {
            turn.effects.append(.tellExecutor(.shutdown, peer))
            return
        }
        timers.set(.executor(slot), to: nil)
        relaunch(slot, peer, &turn)
        let units = executors[slot]?.queue ?? []
        executors[slot]?.queue = []
        for unit in units { send(unit, to: peer, &turn) }
        // A custom executor whose every task was killed before it came is of no use.
        if executors[slot]?.taskCount == 0, row.info.kind == .custom, !row.isRecovered {
            stopExecutor(slot, because: "it has no tasks", &turn)
        }
        rest(slot, turn.now)
    }

    /// Takes note of tasks the executor has; those that have ended here have to end there.
    private mutating func merge(
        _ listed: [TaskInfo], _ slot: Slot<ExecutorRow>, _ peer: PeerID, _ turn: inout Turn
    ) {
        guard let framework = executors[slot]?.key.framework else { return }
        for info in listed {
            let task = taskSlots[TaskKey(framework, info.id)]
            if let task, let row = tasks[task], row.executor == slot, row.phase != .ended {
                if row.phase == .sent { tasks[task]?.phase = .known }
            } else {
                turn.effects.append(.tellExecutor(.kill(info.id, policy: nil), peer))
            }
        }
    }

    /// Takes updates that the executor knows no acknowledgement of.
    ///
    /// They come in order, without gaps, up to the newest: so whatever comes before one that is
    /// known is known too.
    private mutating func merge(
        _ updates: [TaskStatus], _ slot: Slot<ExecutorRow>, _ turn: inout Turn
    ) {
        guard let framework = executors[slot]?.key.framework else { return }
        var isOld = Array(repeating: false, count: updates.count)
        var isKnownLater = LookupTable<TaskID, Bool>()
        for index in updates.indices.reversed() {
            let status = updates[index]
            isOld[index] = isKnownLater[status.taskID] == true
            let row = taskSlots[TaskKey(framework, status.taskID)].flatMap { tasks[$0] }
            if let row, let uuid = status.uuid, row.knows(uuid) {
                isKnownLater[status.taskID] = true
            }
        }
        for (index, status) in updates.enumerated() {
            take(status, from: slot, isOld: isOld[index], &turn)
        }
    }

    /// Launches again what the executor has not received, and kills again what is to be killed.
    private mutating func relaunch(
        _ slot: Slot<ExecutorRow>, _ peer: PeerID, _ turn: inout Turn
    ) {
        var units: [ExecutorRow.Unit] = []
        for task in taskSlots(of: slot) {
            guard let row = tasks[task] else { continue }
            if row.phase == .known, let kill = row.kill {
                turn.effects.append(
                    .tellExecutor(.kill(row.key.task, policy: kill.policy), peer))
            }
            guard row.phase == .sent else { continue }
            if row.kill != nil {
                concludeUnlaunched(task, &turn)
                continue
            }
            let index = row.groupID.flatMap { group in
                units.firstIndex { unit in
                    unit.tasks.first.flatMap { tasks[$0] }?.groupID == group
                }
            }
            if let index {
                units[index].tasks.append(task)
            } else {
                units.append(ExecutorRow.Unit(tasks: [task], isGroup: row.groupID != nil))
            }
        }
        for unit in units {
            remakeSandboxes(unit, &turn)
            send(unit, to: peer, &turn)
        }
    }

    /// The executor's tasks that have not ended, in launch order.
    private func taskSlots(of slot: Slot<ExecutorRow>) -> [Slot<TaskRow>] {
        let found = tasks.slots.compactMap { task -> (serial: UInt64, slot: Slot<TaskRow>)? in
            guard let row = tasks[task], row.executor == slot, row.phase != .ended else {
                return nil
            }
            return (row.serial, task)
        }
        return found.sorted { $0.serial < $1.serial }.map(\.slot)
    }

    mutating func closeExecutor(_ peer: PeerID, _ turn: inout Turn) {
        guard let slot = executorPeers.remove(peer), let row = executors[slot] else { return }
        executors[slot]?.peer = nil
        if let status = row.exitStatus {
            remove(slot, status: status, &turn)
        } else if row.phase == .ready {
            executors[slot]?.phase = .away
            timers.set(
                .executor(slot), to: turn.now + configuration.executorReconnectTimeout)
            turn.observe(.executorAway(row.key, row.containerID))
        }
    }

    // MARK: Size

    /// Lets a custom executor have what a task of it takes, before it is told of the task.
    mutating func enlarge(
        _ slot: Slot<ExecutorRow>, by resources: Resources, _ turn: inout Turn
    ) {
        guard executors[slot]?.info.kind == .custom else { return }
        executors[slot]?.held += resources
        resize(slot, &turn)
    }

    /// Takes back what a task of a custom executor has had.
    mutating func shrink(
        _ slot: Slot<ExecutorRow>, by resources: Resources, _ turn: inout Turn
    ) {
        guard executors[slot]?.info.kind == .custom else { return }
        executors[slot]?.held -= resources
        resize(slot, &turn)
    }

    /// Says how much a custom executor and its tasks have taken.
    func resize(_ slot: Slot<ExecutorRow>, _ turn: inout Turn) {
        guard let row = executors[slot] else { return }
        turn.effects.append(
            .resizeExecutor(
                ExecutorSize(
                    containerID: row.containerID, directory: row.directory, user: user(of: row),
                    resources: row.held)))
    }

    private func user(of row: ExecutorRow) -> String? {
        let framework = frameworkSlots[row.key.framework].flatMap { frameworks[$0] }?.info
        let user = row.info.command?.user ?? framework?.user ?? ""
        return user.isEmpty ? nil : user
    }

    // MARK: End

    /// Arms or disarms the patience with an idle executor of the agent's own.
    mutating func rest(_ slot: Slot<ExecutorRow>, _ now: Instant) {
        guard let row = executors[slot], row.phase == .ready, row.exitStatus == nil else { return }
        if row.taskCount > 0 || row.info.kind == .custom {
            timers.set(.executor(slot), to: nil)
        } else if timers.deadline(of: .executor(slot)) == nil {
            timers.set(.executor(slot), to: now + configuration.executorIdleTimeout)
        }
    }

    /// Makes an executor end: by its own hand when it can be told, else by force.
    ///
    /// Tasks that still wait for it share its fate; later ones wait for its successor.
    mutating func stopExecutor(
        _ slot: Slot<ExecutorRow>, because reason: String, _ turn: inout Turn
    ) {
        guard let row = executors[slot], !row.isEnding else { return }
        turn.observe(.executorStopping(row.key, row.containerID, reason: reason))
        executors[slot]?.cause.message = "the executor was ended: \(reason)"
        doomQueue(of: slot, &turn)
        if row.phase == .starting {
            kill(slot, &turn)
            return
        }
        executors[slot]?.phase = .stopping
        if let peer = row.peer { turn.effects.append(.tellExecutor(.shutdown, peer)) }
        let grace = row.info.shutdownGracePeriod ?? configuration.executorShutdownGrace
        timers.set(.executor(slot), to: turn.now + grace + Self.shutdownMargin)
    }

    /// Ties the tasks that wait for an executor to its fate.
    private mutating func doomQueue(of slot: Slot<ExecutorRow>, _ turn: inout Turn) {
        for unit in takeQueue(of: slot, &turn) {
            for task in unit.tasks { tasks[task]?.phase = .sent }
        }
    }

    /// Kills an executor, and again until its end is reported.
    ///
    /// One without a known process is killed as soon as there is one; one that an earlier run of
    /// the agent did not see starting has no process that could be found.
    private mutating func kill(_ slot: Slot<ExecutorRow>, _ turn: inout Turn) {
        guard let row = executors[slot] else { return }
        executors[slot]?.phase = .killing
        if let pid = row.pid, let ticks = row.startTicks {
            turn.effects.append(.killExecutor(row.containerID, pid: pid, startTicks: ticks))
        } else if row.isRecovered {
            remove(slot, status: -1, &turn)
            return
        }
        timers.set(.executor(slot), to: turn.now + Self.killRepetition)
    }

    /// Kills an executor for a reason that its tasks are told.
    mutating func kill(
        _ slot: Slot<ExecutorRow>, _ reason: StatusReason, _ message: String, _ turn: inout Turn
    ) {
        guard let row = executors[slot], row.phase != .killing, row.phase != .sweeping else {
            return
        }
        executors[slot]?.cause = ExecutorRow.Cause(reason: reason, message: message)
        turn.observe(.executorStopping(row.key, row.containerID, reason: message))
        doomQueue(of: slot, &turn)
        kill(slot, &turn)
    }

    /// The deadline of an executor's phase has come.
    mutating func runOut(_ slot: Slot<ExecutorRow>, _ turn: inout Turn) {
        guard let row = executors[slot] else { return }
        if row.phase == .sweeping {
            sweep(slot, &turn)
            return
        }
        if let status = row.exitStatus {
            remove(slot, status: status, &turn)
            return
        }
        switch row.phase {
        case .starting:
            let limit = configuration.executorRegistrationTimeout
            kill(
                slot, .executorRegistrationTimeout, "the executor did not subscribe in \(limit)",
                &turn)
        case .ready: stopExecutor(slot, because: "it was idle", &turn)
        case .away where !row.hasSubscribed:
            let limit = configuration.executorReregistrationTimeout
            kill(
                slot, .executorReregistrationTimeout,
                "the executor did not come back in \(limit) after a restart of the agent", &turn)
        case .away:
            let limit = configuration.executorReconnectTimeout
            kill(
                slot, .executorTerminated, "the executor was not connected for \(limit)", &turn)
        case .stopping, .killing: kill(slot, &turn)
        case .sweeping: break
        }
    }

    /// Notes that an executor's process has ended; its last words may still be under way.
    mutating func noteExit(of container: ContainerID, status: Int, _ turn: inout Turn) {
        guard let slot = containers[container], let row = executors[slot],
            row.phase != .sweeping
        else { return }
        if !row.isEnding {
            executors[slot]?.cause.message = "the executor ended with wait status \(status)"
            doomQueue(of: slot, &turn)
        }
        let hasVictims = taskSlots(of: slot).contains { tasks[$0]?.phase != .queued }
        if row.peer != nil, hasVictims, row.exitStatus == nil {
            executors[slot]?.exitStatus = status
            executors[slot]?.phase = .killing
            timers.set(.executor(slot), to: turn.now + Self.lastWords)
        } else {
            remove(slot, status: status, &turn)
        }
    }

    /// Removes an executor that is gone, once nothing is left of its tasks.
    ///
    /// What they hold is not free before: a process that does not die at once still has its memory
    /// and its ports.
    mutating func remove(_ slot: Slot<ExecutorRow>, status: Int, _ turn: inout Turn) {
        guard let row = executors[slot], row.phase != .sweeping else { return }
        if let peer = row.peer {
            executorPeers.remove(peer)
            executors[slot]?.peer = nil
            turn.effects.append(.closePeer(peer, reason: "the executor has ended"))
        }
        executors[slot]?.exitStatus = status
        executors[slot]?.phase = .sweeping
        if sandboxesOfVictims(of: slot).isEmpty {
            finishRemoval(slot, &turn)
        } else {
            sweep(slot, &turn)
        }
    }

    /// The tasks that a dead executor was told of and that have not ended.
    private func victims(of slot: Slot<ExecutorRow>) -> [Slot<TaskRow>] {
        taskSlots(of: slot).filter { tasks[$0]?.phase != .queued }
    }

    private func sandboxesOfVictims(of slot: Slot<ExecutorRow>) -> [String] {
        victims(of: slot).compactMap { tasks[$0]?.sandbox }
    }

    private mutating func sweep(_ slot: Slot<ExecutorRow>, _ turn: inout Turn) {
        guard let row = executors[slot] else { return }
        turn.effects.append(
            .sweepTasks(row.containerID, sandboxes: sandboxesOfVictims(of: slot)))
        timers.set(.executor(slot), to: turn.now + Self.killRepetition)
    }

    /// Notes that nothing is left of a dead executor's tasks.
    mutating func noteSweep(of container: ContainerID, _ turn: inout Turn) {
        guard let slot = containers[container], executors[slot]?.phase == .sweeping else { return }
        finishRemoval(slot, &turn)
    }

    /// Concludes the tasks of an executor of which nothing is left; those that came after it was
    /// told to end get a successor.
    private mutating func finishRemoval(_ slot: Slot<ExecutorRow>, _ turn: inout Turn) {
        guard let row = executors[slot], let status = row.exitStatus else { return }
        for task in victims(of: slot) { concludeVictim(task, row.cause, &turn) }
        timers.set(.executor(slot), to: nil)
        turn.records.append(.executor(row.key, nil))
        turn.observe(.executorEnded(row.key, row.containerID, status: status))
        let isRemoved = frameworkSlots[row.key.framework].flatMap { frameworks[$0] }?.isRemoved
        if isRegistered, isRemoved != true {
            turn.tellMaster(.executorExited(row.key, status: status))
        }
        containers.remove(row.containerID)
        executorSlots.remove(row.key)
        let waiting = takeQueue(of: slot, &turn)
        executors.remove(slot)
        succeed(row, waiting, &turn)
        release(row.key.framework, &turn)
    }

    private mutating func concludeVictim(
        _ slot: Slot<TaskRow>, _ cause: ExecutorRow.Cause, _ turn: inout Turn
    ) {
        guard let row = tasks[slot] else { return }
        // An executor without a process in the records has never been told of a task; of any other
        // one it is not known what it had received when the agent died. DROPPED means that the
        // task never ran and may be launched again, so it is said only when that is certain.
        let executor = row.executor.flatMap { executors[$0] }
        let wasTold = executor.map { $0.pid != nil || $0.hasSubscribed } ?? false
        if row.isRecovered, row.phase == .sent, !wasTold {
            conclude(
                slot, .dropped, .agentRestarted,
                "the agent restarted before the task was launched; \(cause.message)", &turn)
        } else {
            conclude(slot, .failed, cause.reason, cause.message, &turn)
        }
    }

    private mutating func succeed(
        _ row: ExecutorRow, _ units: [ExecutorRow.Unit], _ turn: inout Turn
    ) {
        if units.isEmpty { return }
        let slot = startExecutor(row.key, row.info, role: row.role, &turn)
        for unit in units {
            for task in unit.tasks { tasks[task]?.executor = slot }
            executors[slot]?.taskCount += unit.tasks.count
            executors[slot]?.queue.append(unit)
            for task in unit.tasks {
                if let resources = tasks[task]?.info?.resources {
                    enlarge(slot, by: resources, &turn)
                }
            }
        }
    }
}
