internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

extension Executor {
    /// How many ports of a task have variables of their own.
    private static let portVariableLimit = 64

    /// Asks for the start of tasks that are not known yet.
    mutating func launch(
        _ infos: [TaskInfo], sandboxes: [String], isGroup: Bool, at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        groupCount += 1
        var fresh: [Slot<TaskRow>] = []
        for (index, info) in infos.enumerated() where slots[info.id] == nil {
            let sandbox = sandboxes.indices.contains(index) ? sandboxes[index] : ""
            let slot = tasks.insert(
                TaskRow(info: info, sandbox: sandbox, group: isGroup ? groupCount : nil))
            slots[info.id] = slot
            fresh.append(slot)
        }
        for slot in fresh { begin(slot, at: now, into: &outbox) }
    }

    private mutating func begin(
        _ slot: Slot<TaskRow>, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot], row.phase == .starting else { return }
        // Another task of the group may have been refused meanwhile.
        if row.kill != nil {
            refuse(
                slot, .killed, "killed before it was started", .taskKilledDuringLaunch, at: now,
                into: &outbox)
            return
        }
        if isEnding {
            refuse(
                slot, .dropped, "the executor is ending", .executorTerminated, at: now,
                into: &outbox)
            return
        }
        guard let command = row.info.command else {
            refuse(slot, .error, "the task has no command", .taskInvalid, at: now, into: &outbox)
            return
        }
        if row.sandbox.isEmpty {
            refuse(slot, .error, "the task has no sandbox", .taskInvalid, at: now, into: &outbox)
            return
        }
        if let wrong = command.environment.first(where: { !isName($0.name) }) {
            let message = "'\(wrong.name)' cannot be the name of an environment variable"
            refuse(slot, .error, message, .taskInvalid, at: now, into: &outbox)
            return
        }
        if configuration.reportsStarting || !command.uris.isEmpty {
            let count = command.uris.count
            report(
                slot, .starting,
                message: count == 0 ? nil : "fetching \(count) file\(count == 1 ? "" : "s")",
                at: now, into: &outbox)
        }
        outbox.append(
            .start(
                TaskLaunch(
                    id: row.info.id, command: command,
                    environment: environment(of: row, command), sandbox: row.sandbox,
                    resources: row.info.resources, limits: row.info.limits,
                    container: row.info.container, group: row.group)))
    }

    /// Ends a task that was never started.
    private mutating func refuse(
        _ slot: Slot<TaskRow>, _ state: TaskState, _ message: String, _ reason: StatusReason,
        at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        tasks[slot]?.phase = .ended
        report(slot, state, message: message, reason: reason, at: now, into: &outbox)
        killGroup(of: slot, at: now, into: &outbox)
    }

    private func isName(_ text: String) -> Bool {
        !text.isEmpty && !text.utf8.contains(0x3D) && !text.utf8.contains(0)
    }

    /// The whole environment of a task: what every task has, its ports, what it was given.
    ///
    /// The sandbox comes last because the processes of a task are recognised by it.
    private func environment(of row: TaskRow, _ command: CommandInfo) -> [EnvironmentVariable] {
        var table: OrderedDictionary<String, String> = [
            "PATH": configuration.searchPath,
            "HOME": row.sandbox,
            "PROFFER_FRAMEWORK_ID": configuration.frameworkID.value,
            "PROFFER_EXECUTOR_ID": configuration.executorID.value,
            "PROFFER_TASK_ID": row.info.id.value,
            "MESOS_TASK_ID": row.info.id.value,
            "MESOS_SANDBOX": row.sandbox,
        ]
        let ports = row.info.resources.ports.intervals.lazy.flatMap { $0 }
            .prefix(Self.portVariableLimit)
        for (index, port) in ports.enumerated() { table["PORT\(index)"] = "\(port)" }
        if !ports.isEmpty { table["PORTS"] = ports.map { "\($0)" }.joined(separator: ",") }
        for variable in command.environment { table[variable.name] = variable.value }
        table["PROFFER_SANDBOX"] = nil
        table["PROFFER_SANDBOX"] = row.sandbox
        return table.map { EnvironmentVariable(name: $0.key, value: $0.value) }
    }

    // MARK: What the shell answers

    /// Reports a task as running and arms its timers.
    mutating func start(
        _ id: TaskID, pid: Int, _ addresses: [String], at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let slot = slots[id], let row = tasks[slot], row.phase == .starting else { return }
        tasks[slot]?.phase = .running
        tasks[slot]?.pid = pid
        tasks[slot]?.addresses = addresses
        tasks[slot]?.runningSince = now
        if row.kill != nil {
            signalKilled(slot, at: now, into: &outbox)
            return
        }
        report(slot, .running, at: now, into: &outbox)
        if let limit = row.info.maxCompletionTime { timers.set(.completion(slot), to: now + limit) }
        if let health = row.info.healthCheck {
            timers.set(.check(slot, .health), to: now + health.delay)
        }
        if let check = row.info.check { timers.set(.check(slot, .check), to: now + check.delay) }
        if timers.deadline(of: .usage) == nil {
            timers.set(.usage, to: now + configuration.usageInterval)
        }
    }

    /// Reports a task that could not be started as failed, or killed when that was wanted.
    mutating func failToStart(
        _ id: TaskID, message: String, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let slot = slots[id], let row = tasks[slot], row.phase == .starting else { return }
        finish(slot)
        if row.kill == nil {
            report(
                slot, .failed, message: message, reason: .containerLaunchFailed, at: now,
                into: &outbox)
        } else {
            report(
                slot, .killed, message: "killed before it was started",
                reason: .taskKilledDuringLaunch, at: now, into: &outbox)
        }
        killGroup(of: slot, at: now, into: &outbox)
    }

    /// Reports how a task ended.
    mutating func end(
        _ id: TaskID, _ exit: TaskExit, errorTail: String, at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let slot = slots[id], let row = tasks[slot], row.phase == .running else { return }
        tasks[slot]?.exit = exit
        finish(slot)
        let how = Self.describe(exit)
        var state = TaskState.killed
        var message = how
        var reason: StatusReason?
        switch row.kill?.cause {
        case .request: message = "killed on request, \(how)"
        case .group(let other):
            message = "killed because of task '\(other)' of its group, \(how)"
        case .shutdown: message = "killed because its executor ends, \(how)"
        case .unhealthy:
            message = "killed after \(row.failuresInRow) failed health checks, \(how)"
            reason = .taskHealthCheckStatusUpdated
        case .disk(let used, let limit):
            state = .failed
            message =
                "killed because its sandbox takes \(used >> 20) MiB of the disk, above the"
                + " \(limit >> 20) MiB that it has, \(how)"
            reason = .containerLimitationDisk
        case .completionTime:
            state = .failed
            message = "killed because it ran longer than its time limit"
            reason = .maxCompletionTimeReached
        case nil:
            state = exit.code == 0 ? .finished : .failed
            if state == .failed {
                reason = .commandExecutorFailed
                if exit.isOutOfMemory {
                    reason = .containerLimitationMemory
                    message = Self.describeMemory(exit) + ", \(how)"
                }
                let tail = Self.printable(errorTail)
                if !tail.isEmpty { message += ": \(tail)" }
            }
        }
        report(slot, state, message: message, reason: reason, at: now, into: &outbox)
        if state != .finished { killGroup(of: slot, at: now, into: &outbox) }
    }

    private mutating func finish(_ slot: Slot<TaskRow>) {
        tasks[slot]?.phase = .ended
        timers.set(.kill(slot), to: nil)
        timers.set(.completion(slot), to: nil)
        timers.set(.check(slot, .health), to: nil)
        timers.set(.check(slot, .check), to: nil)
    }

    private static func describe(_ exit: TaskExit) -> String {
        if let code = exit.code { return "exited with code \(code)" }
        guard let signal = exit.signal else { return "ended in an unknown way" }
        return "ended by \(Signal.name(signal))" + (exit.isCoreDumped ? " (core dumped)" : "")
    }

    private static func describeMemory(_ exit: TaskExit) -> String {
        let mebibytes = { (bytes: Int64) in "\(bytes >> 20) MiB" }
        var text = "out of memory"
        if let limit = exit.memoryLimitBytes { text += ": its limit is \(mebibytes(limit))" }
        if let peak = exit.peakMemoryBytes { text += ", its peak was \(mebibytes(peak))" }
        return text
    }

    /// The text without control characters other than line ends within, so that a terminal
    /// shows it and does not obey it.
    private static func printable(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A: scalars.append(scalar)
            case 0x09: scalars.append(" ")
            case 0x0D: break
            case 0..<0x20, 0x7F..<0xA0: scalars.append("\u{FFFD}")
            case _: scalars.append(scalar)
            }
        }
        while let last = scalars.last, last == "\n" || last == " " { scalars.removeLast() }
        while let first = scalars.first, first == "\n" || first == " " { scalars.removeFirst() }
        return String(scalars)
    }
}
