internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

extension Agent {
    /// How many task ids are remembered to give each launch a sandbox of its own.
    private static let launchNumberLimit = 10_000

    // MARK: Launch

    /// Takes on tasks: durable first, then their sandboxes, then their executor.
    ///
    /// Tasks that are here already stay as they are; a group is taken on as a whole or not at all.
    mutating func accept(_ run: RunTask, _ turn: inout Turn) {
        guard let framework = run.framework.id, let first = run.tasks.first else {
            turn.observe(.ignored("a launch without framework id or tasks"))
            return
        }
        guard run.tasks.allSatisfy({ $0.agentID == info.id }) else {
            turn.observe(.ignored("a launch of '\(first.id)' meant for another agent"))
            return
        }
        let fresh = run.tasks.filter { taskSlots[TaskKey(framework, $0.id)] == nil }
        let isKnown = run.isGroup ? fresh.count < run.tasks.count : fresh.isEmpty
        if isKnown {
            turn.observe(.ignored("a launch of '\(first.id)', which is here"))
            return
        }
        let own = run.executor ?? first.executor
        let isNew = own.map { executorSlots[ExecutorKey(framework, $0.id)] == nil } ?? false
        let problem =
            problem(withLaunching: fresh.count, of: framework)
            ?? problemOfDevices(fresh, isNew ? own : nil)
        if let problem {
            for task in fresh {
                let key = TaskKey(framework, task.id)
                turn.observe(.taskRefused(key, reason: problem))
                disown(key, nil, because: problem, &turn)
            }
            return
        }
        let executor = executor(for: run, framework, first, &turn)
        let slots = fresh.map { insert(withDevices($0), of: run, framework, executor, &turn) }
        let units =
            run.isGroup
            ? [ExecutorRow.Unit(tasks: slots, isGroup: true)]
            : slots.map { ExecutorRow.Unit(tasks: [$0], isGroup: false) }
        executors[executor]?.taskCount += slots.count
        for unit in units { dispatch(unit, to: executor, &turn) }
        rest(executor, turn.now)
    }

    private func problem(withLaunching count: Int, of framework: FrameworkID) -> String? {
        if ending != .none { return "the agent is ending" }
        if liveTaskCount + count > configuration.taskLimit {
            return "the agent holds \(liveTaskCount) tasks; its limit is \(configuration.taskLimit)"
        }
        if let slot = frameworkSlots[framework], frameworks[slot]?.isRemoved == true {
            return "the framework has ended"
        }
        return nil
    }

    /// The executor that is to run the tasks, started if need be.
    private mutating func executor(
        for run: RunTask, _ framework: FrameworkID, _ first: TaskInfo, _ turn: inout Turn
    ) -> Slot<ExecutorRow> {
        let info =
            run.executor ?? first.executor
            ?? ExecutorInfo(
                id: Self.ownExecutorID, kind: .default, frameworkID: framework,
                name: "Proffer executor")
        let key = ExecutorKey(framework, info.id)
        if let slot = executorSlots[key] {
            note(run.framework, framework, &turn)
            return slot
        }
        note(run.framework, framework, &turn)
        return startExecutor(key, withDevices(info), role: run.role, &turn)
    }

    private mutating func insert(
        _ task: TaskInfo, of run: RunTask, _ framework: FrameworkID, _ executor: Slot<ExecutorRow>,
        _ turn: inout Turn
    ) -> Slot<TaskRow> {
        let key = TaskKey(framework, task.id)
        launchCount += 1
        let row = TaskRow(
            key: key, info: task, role: run.role,
            executorID: executors[executor]?.key.executor ?? Self.ownExecutorID,
            executor: executor, sandbox: nextSandbox(key),
            groupID: run.isGroup ? run.tasks.first?.id : nil,
            window: max(1, min(run.updateWindow, configuration.updateLimit - 1)),
            serial: launchCount, isRecovered: false, phase: .queued, state: .staging)
        let slot = tasks.insert(row)
        taskSlots[key] = slot
        liveTaskCount += 1
        hold(framework)
        enlarge(executor, by: task.resources, &turn)
        if let checkpoint = row.checkpoint { turn.records.append(.task(key, checkpoint)) }
        makeSandbox(of: row, run.framework, &turn)
        armLaunch(slot, turn.now)
        turn.observe(.taskAccepted(key, row.executorID, sandbox: row.sandbox))
        return slot
    }

    private func makeSandbox(of row: TaskRow, _ framework: FrameworkInfo?, _ turn: inout Turn) {
        let user = row.info?.command?.user ?? framework?.user ?? ""
        turn.effects.append(.makeSandbox(path: row.sandbox, user: user.isEmpty ? nil : user))
    }

    /// Makes the sandboxes of tasks of an earlier run that are launched only now: the agent may
    /// have ended between keeping a task and making its sandbox.
    mutating func remakeSandboxes(_ unit: ExecutorRow.Unit, _ turn: inout Turn) {
        for slot in unit.tasks {
            guard let row = tasks[slot], row.isRecovered else { continue }
            let framework = frameworkSlots[row.key.framework].flatMap { frameworks[$0] }
            makeSandbox(of: row, framework?.info, &turn)
        }
    }

    /// The path of a sandbox that no earlier run of the same id has used, as far as remembered.
    private mutating func nextSandbox(_ key: TaskKey) -> String {
        let number = (launchNumbers.remove(key) ?? 0) + 1
        launchNumbers[key] = number
        if launchNumbers.count > Self.launchNumberLimit {
            for oldest in launchNumbers.keys.prefix(Self.launchNumberLimit / 2) {
                launchNumbers.remove(oldest)
            }
        }
        return paths.sandbox(key, number: number)
    }

    /// Hands tasks to their executor, or lets them wait for its subscription.
    private mutating func dispatch(
        _ unit: ExecutorRow.Unit, to slot: Slot<ExecutorRow>, _ turn: inout Turn
    ) {
        guard let row = executors[slot] else { return }
        if row.phase == .ready, let peer = row.peer {
            send(unit, to: peer, &turn)
        } else {
            executors[slot]?.queue.append(unit)
        }
    }

    /// Launches tasks, as soon as there is a value for each secret that they name.
    mutating func send(_ unit: ExecutorRow.Unit, to peer: PeerID, _ turn: inout Turn) {
        if let request = secrets(of: unit) {
            search(request, for: unit, &turn)
        } else {
            for event in launch(unit) { turn.effects.append(.tellExecutor(event, peer)) }
        }
    }

    /// What launches tasks.
    mutating func launch(_ unit: ExecutorRow.Unit) -> [ExecutorEvent] {
        var infos: [TaskInfo] = []
        var sandboxes: [String] = []
        for slot in unit.tasks {
            guard let row = tasks[slot], let info = row.info else { continue }
            infos.append(info)
            sandboxes.append(row.sandbox)
            tasks[slot]?.phase = .sent
        }
        if unit.isGroup { return [.launchGroup(infos, sandboxes: sandboxes)] }
        return zip(infos, sandboxes).map { .launch($0, sandbox: $1) }
    }

    // MARK: Kill

    /// Kills a task; one that its executor was not told of dies here, with its whole group.
    ///
    /// A task that is not here was lost before it was durable: that is said, so that the master
    /// can let go of it.
    mutating func kill(_ key: TaskKey, _ policy: KillPolicy?, _ turn: inout Turn) {
        guard let slot = taskSlots[key], let row = tasks[slot] else {
            disown(key, .taskUnknown, &turn)
            return
        }
        switch row.phase {
        case .ended: return
        case .queued:
            killQueued(
                slot, .killed, .taskKilledDuringLaunch, "killed before it was launched", &turn)
        case .sent, .known:
            tasks[slot]?.kill = TaskRow.Kill(policy: policy)
            if let executor = row.executor, let peer = executors[executor]?.peer {
                turn.effects.append(.tellExecutor(.kill(key.task, policy: policy), peer))
            }
        }
    }

    /// Ends a task that waits for its executor, with its whole group.
    mutating func killQueued(
        _ slot: Slot<TaskRow>, _ state: TaskState, _ reason: StatusReason, _ message: String,
        _ turn: inout Turn
    ) {
        guard let unit = takeQueued(slot, &turn) else { return }
        for member in unit.tasks {
            if member == slot {
                conclude(member, state, reason, message, &turn)
            } else {
                conclude(
                    member, .killed, .taskKilledDuringLaunch,
                    "another task of its group was killed before it was launched", &turn)
            }
        }
    }

    /// Takes the tasks that were to be launched with one out of wherever they wait.
    mutating func takeQueued(
        _ slot: Slot<TaskRow>, _ turn: inout Turn
    ) -> ExecutorRow.Unit? {
        guard let executor = tasks[slot]?.executor, let row = executors[executor] else {
            return nil
        }
        if let index = row.queue.firstIndex(where: { $0.tasks.contains(slot) }) {
            return executors[executor]?.queue.remove(at: index)
        }
        guard let index = row.searches.firstIndex(where: { $0.unit.tasks.contains(slot) }) else {
            return nil
        }
        turn.effects.append(.dropSecrets(row.searches[index].ticket))
        return executors[executor]?.searches.remove(at: index).unit
    }

    /// Takes all tasks that wait for an executor or for secrets.
    mutating func takeQueue(
        of slot: Slot<ExecutorRow>, _ turn: inout Turn
    ) -> [ExecutorRow.Unit] {
        guard let row = executors[slot] else { return [] }
        for search in row.searches { turn.effects.append(.dropSecrets(search.ticket)) }
        executors[slot]?.searches = []
        executors[slot]?.queue = []
        return row.searches.map(\.unit) + row.queue
    }

    /// Gives up tasks that wait for an executor which will not have them.
    mutating func dropQueue(
        of slot: Slot<ExecutorRow>, _ message: String, _ turn: inout Turn
    ) {
        let units = takeQueue(of: slot, &turn)
        for unit in units {
            for task in unit.tasks {
                conclude(task, .dropped, .executorTerminated, message, &turn)
            }
        }
    }

    // MARK: Frameworks

    /// Keeps a framework's description as of its newest launch.
    private mutating func note(
        _ info: FrameworkInfo, _ id: FrameworkID, _ turn: inout Turn
    ) {
        if let slot = frameworkSlots[id] {
            guard frameworks[slot]?.info != info else { return }
            frameworks[slot]?.info = info
        } else {
            frameworkSlots[id] = frameworks.insert(FrameworkRow(info: info))
        }
        turn.records.append(.framework(id, info))
    }

    mutating func hold(_ id: FrameworkID) {
        if let slot = frameworkSlots[id] { frameworks[slot]?.holders += 1 }
    }

    /// Lets go of a framework on behalf of a task or executor; the last one forgets it.
    mutating func release(_ id: FrameworkID, _ turn: inout Turn) {
        guard let slot = frameworkSlots[id] else { return }
        frameworks[slot]?.holders -= 1
        guard frameworks[slot]?.holders == 0 else { return }
        frameworks.remove(slot)
        frameworkSlots.remove(id)
        turn.records.append(.framework(id, nil))
    }

    /// Whether the framework's executors outlive a restart of the agent.
    func isCheckpointing(_ id: FrameworkID) -> Bool {
        frameworkSlots[id].flatMap { frameworks[$0] }?.info.checkpoint ?? true
    }
}
