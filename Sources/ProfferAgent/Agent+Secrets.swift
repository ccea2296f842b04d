internal import ProfferKernel
internal import ProfferModel

// No value of a secret comes into the agent's decisions: they name them, and the shell finds them
// and keeps them until they are handed over. So none can get into a record, a report or a line of
// the log.

extension Agent {
    /// The secrets that tasks name; `nil` when they name none.
    func secrets(of unit: ExecutorRow.Unit) -> SecretRequest? {
        let rows = unit.tasks.compactMap { tasks[$0] }
        let references = rows.flatMap { $0.info?.secrets ?? [] }
        guard !references.isEmpty, let first = rows.first else { return nil }
        return request(
            references.eachOnce, first.role, first.key.framework, tasks: rows.map(\.key.task))
    }

    /// The secrets that the environment of an executor names; `nil` when it names none.
    func secrets(of row: ExecutorRow) -> SecretRequest? {
        let references = row.info.command?.secrets ?? []
        return references.isEmpty
            ? nil : request(references, row.role, row.key.framework, tasks: [])
    }

    private func request(
        _ references: [SecretReference], _ role: String, _ framework: FrameworkID,
        tasks: [TaskID]
    ) -> SecretRequest {
        SecretRequest(
            references: references, role: role, framework: framework,
            principal: frameworkSlots[framework].flatMap { frameworks[$0] }?.info.principal,
            tasks: tasks)
    }

    /// Has secrets found before tasks are launched.
    mutating func search(
        _ request: SecretRequest, for unit: ExecutorRow.Unit, _ turn: inout Turn
    ) {
        guard let executor = unit.tasks.first.flatMap({ tasks[$0] })?.executor else { return }
        searchCount += 1
        let ticket = SecretTicket(number: searchCount)
        for slot in unit.tasks { tasks[slot]?.phase = .queued }
        executors[executor]?.searches.append(ExecutorRow.Search(ticket: ticket, unit: unit))
        turn.effects.append(.findSecrets(ticket, request))
    }

    /// Launches tasks whose secrets are there; those whose executor is away meanwhile wait for it,
    /// and have theirs found anew.
    mutating func noteSecrets(_ ticket: SecretTicket, _ turn: inout Turn) {
        guard let (executor, unit) = endSearch(ticket) else {
            turn.effects.append(.dropSecrets(ticket))
            return
        }
        guard let row = executors[executor], row.phase == .ready, let peer = row.peer,
            let event = launchTogether(unit)
        else {
            executors[executor]?.queue.append(unit)
            turn.effects.append(.dropSecrets(ticket))
            return
        }
        turn.effects.append(.handOver(ticket, event, peer))
    }

    /// One launch for tasks that are launched together; a task of its own is one.
    private mutating func launchTogether(_ unit: ExecutorRow.Unit) -> ExecutorEvent? {
        unit.isGroup || unit.tasks.count == 1 ? launch(unit).first : nil
    }

    /// Concludes tasks whose secrets cannot be had.
    mutating func missSecrets(_ ticket: SecretTicket, _ message: String, _ turn: inout Turn) {
        guard let (_, unit) = endSearch(ticket) else { return }
        for slot in unit.tasks {
            conclude(slot, .failed, .containerLaunchFailed, message, &turn)
        }
    }

    private mutating func endSearch(
        _ ticket: SecretTicket
    ) -> (executor: Slot<ExecutorRow>, unit: ExecutorRow.Unit)? {
        for slot in executors.slots {
            let index = executors[slot]?.searches.firstIndex { $0.ticket == ticket }
            if let index, let search = executors[slot]?.searches.remove(at: index) {
                return (slot, search.unit)
            }
        }
        return nil
    }

    // MARK: Launches that take too long

    /// Counts the time until a task must run.
    mutating func armLaunch(_ slot: Slot<TaskRow>, _ now: Instant) {
        guard let row = tasks[slot], let info = row.info else { return }
        let limit = info.launchTimeout ?? configuration.launchTimeout
        timers.set(.launch(slot), to: limit.map { now + $0 })
    }

    /// Gives up a task that does not run.
    ///
    /// One that its executor knows of is killed and has failed when the executor says that it is
    /// gone, because it may have processes by then.
    mutating func giveUpLaunch(_ slot: Slot<TaskRow>, _ turn: inout Turn) {
        guard let row = tasks[slot], row.phase != .ended, row.kill == nil, let info = row.info,
            let limit = info.launchTimeout ?? configuration.launchTimeout
        else { return }
        turn.observe(.taskLate(row.key, after: limit))
        guard row.phase == .queued else {
            let policy = KillPolicy(gracePeriod: .zero)
            tasks[slot]?.lateAfter = limit
            tasks[slot]?.kill = TaskRow.Kill(policy: policy)
            if let executor = row.executor, let peer = executors[executor]?.peer {
                turn.effects.append(.tellExecutor(.kill(row.key.task, policy: policy), peer))
            }
            return
        }
        let isSearching =
            row.executor.flatMap { executors[$0] }?.searches.contains {
                $0.unit.tasks.contains(slot)
            } == true
        guard let unit = takeQueued(slot, &turn) else { return }
        let what = isSearching ? "its secrets were not found" : "its executor was not ready"
        for member in unit.tasks {
            conclude(
                member, .failed, .containerLaunchFailed, Self.late(limit) + ": " + what, &turn)
        }
    }

    /// Concludes a task that its executor has never heard of and that is to be killed.
    mutating func concludeUnlaunched(_ slot: Slot<TaskRow>, _ turn: inout Turn) {
        if let limit = tasks[slot]?.lateAfter {
            conclude(
                slot, .failed, .containerLaunchFailed,
                Self.late(limit) + ": its executor was away", &turn)
        } else {
            conclude(
                slot, .killed, .taskKilledDuringLaunch, "killed before it was launched", &turn)
        }
    }

    /// An update as it is to be told: a task that was killed because it did not run has failed.
    func judged(_ status: TaskStatus, _ row: TaskRow) -> TaskStatus {
        guard let limit = row.lateAfter, status.state == .killed else { return status }
        var status = status
        status.state = .failed
        status.reason = .containerLaunchFailed
        status.message = Self.late(limit) + (status.message.map { ": " + $0 } ?? "")
        return status
    }

    private static func late(_ limit: Duration) -> String {
        "the task did not run within \(limit) of its launch"
    }
}
