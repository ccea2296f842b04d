public import Proffer

extension BatchScheduler {
    /// Makes a scheduler that goes on where an earlier one stopped.
    ///
    /// O(what was kept).
    ///
    /// - Parameters:
    ///   - records: What was kept.
    ///   - frameworkID: The framework's id then; when the master knows another, everything that
    ///     ran is lost.
    ///   - options: As for a scheduler without jobs.
    ///   - now: The present instant.
    public init(
        restoring records: BatchRecords, frameworkID: FrameworkID?, options: BatchOptions,
        at now: Instant
    ) {
        self.init(options: options)
        self.frameworkID = frameworkID
        lastSequence = records.lastSequence
        var rest = records.instances[...]
        for record in records.jobs {
            lastSequence = max(lastSequence, record.sequence)
            while let first = rest.first, first.job < record.sequence { rest.removeFirst() }
            let end = rest.firstIndex { $0.job != record.sequence } ?? rest.endIndex
            restore(record, rest[..<end], at: now)
            rest = rest[end...]
        }
        let times = ended.map { (slot: $0, time: endTime($0)) }
        ended = times.sorted { $0.time < $1.time }.map(\.slot)
        forgetOldJobs(at: now)
    }

    /// The tasks that may run now, for reconciliation.
    public var liveTasks: [ReconcileTask] {
        var tasks: [ReconcileTask] = []
        for slot in jobs.slots {
            for ref in running(slot) {
                guard let instance = self[ref], let id = taskID(ref, attempt: instance.attempts)
                else { continue }
                tasks.append(
                    ReconcileTask(taskID: id, agentID: places[instance.place].agent))
            }
        }
        return tasks
    }

    private func endTime(_ slot: Slot<JobRow>) -> WallTime {
        jobs[slot]?.ended ?? WallTime(nanosecondsSince1970: 0)
    }

    private mutating func restore(
        _ record: JobRecord, _ instances: ArraySlice<InstanceRecord>, at now: Instant
    ) {
        var row = JobRow(
            sequence: record.sequence, id: record.id, specification: record.specification,
            created: record.created)
        row.state = record.state
        row.ending = record.ending
        row.started = record.started
        row.ended = record.ended
        row.message = record.message
        row.exitCode = record.exitCode
        row.retries = record.retries
        let slot = add(row)
        for instance in instances { restore(instance, slot, at: now) }
        for position in row.tasks.indices {
            for dependent in unblocked(slot, position) { unblock(slot, dependent) }
        }
        if record.state.isFinal {
            cancelRest(slot)
            retire(slot)
        } else if record.ending != nil {
            cancelRest(slot)
            for ref in running(slot) { kill(ref) }
            settleEnd(slot, at: now)
        } else {
            for position in row.tasks.indices { updateLane(slot, position) }
            settleEnd(slot, at: now)
        }
    }

    private mutating func restore(
        _ record: InstanceRecord, _ slot: Slot<JobRow>, at now: Instant
    ) {
        // Rows are launched in order; anything else was not written by this scheduler.
        guard let old = nextState(record, slot), let isFinal = jobs[slot]?.state.isFinal else {
            return
        }
        var instance = Instance(place: places.index(of: record.place), started: record.started)
        instance.phase = Instance.Phase(record.phase)
        if isFinal {
            if instance.phase == .collecting { instance.phase = .finished }
            if instance.phase == .running { instance.phase = .cancelled }
        }
        instance.attempts = record.attempts
        instance.failures = record.failures
        instance.losses = record.losses
        instance.exitCode = record.exitCode
        instance.message = record.message
        instance.ended = record.ended
        jobs[slot]?.tasks[record.task].instances.append(instance)
        jobs[slot]?.move(of: record.task, from: old, to: instance.phase.state)
        resume(InstanceRef(job: slot, task: record.task, index: record.index), instance, at: now)
    }

    /// The state in which an instance counts before its record is looked at.
    ///
    /// `nil` when it is not the next one of its task. Values only, so that arrays are not copied.
    private func nextState(_ record: InstanceRecord, _ slot: Slot<JobRow>) -> InstanceState? {
        guard let tasks = jobs[slot]?.tasks, tasks.indices.contains(record.task) else { return nil }
        let task = tasks[record.task]
        guard record.index == task.instances.count, task.unstarted > 0 else { return nil }
        return task.blockers > 0 ? .waiting : .ready
    }

    private mutating func resume(_ ref: InstanceRef, _ instance: Instance, at now: Instant) {
        let time = options.clock.time(at: now)
        switch instance.phase {
        case .running:
            guard let id = taskID(ref, attempt: instance.attempts) else { return }
            live[id] = ref
            if let limit = jobs[ref.job]?.tasks[ref.task].specification.timeLimit {
                let passed = Duration.nanoseconds(
                    time.nanosecondsSince1970 - instance.started.nanosecondsSince1970)
                timers.set(.overtime(ref), to: now + (limit + options.overtimeGrace - passed))
            }
        case .backingOff:
            let due = instance.ended ?? time
            let pause = Duration.nanoseconds(
                due.nanosecondsSince1970 - time.nanosecondsSince1970)
            timers.set(.again(ref), to: now + max(.zero, pause))
        case .collecting: timers.set(.collect(ref), to: now)
        case .ready, .finished, .failed, .cancelled: break
        }
    }
}
