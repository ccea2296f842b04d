internal import Proffer

extension BatchScheduler {
    mutating func obey(_ command: BatchCommand, at now: Instant) {
        switch command {
        case .submit(let specification, let ticket):
            answer(ticket, submit(specification, at: now))
        case .cancel(let name, let ticket):
            if let slot = find(name) {
                cancel(slot, at: now)
                answer(ticket, view(slot).map { .job($0) } ?? .refused(.noJob(name)))
            } else {
                answer(ticket, .refused(.noJob(name)))
            }
        case .list(let state, let before, let limit, let ticket):
            answer(ticket, list(state, before: before, limit: limit))
        case .show(let name, let ticket):
            answer(ticket, find(name).flatMap(view).map { .job($0) } ?? .refused(.noJob(name)))
        case .instances(let name, let task, let state, let from, let limit, let ticket):
            answer(ticket, instances(name, task, state, from: from, limit: limit))
        case .instance(let name, let task, let index, let ticket):
            answer(ticket, instance(name, task, index))
        case .collected(let collection, let problem):
            collected(collection, problem, at: now)
        }
    }

    private mutating func answer(_ ticket: Ticket, _ answer: BatchAnswer) {
        pending.outputs.append(.answer(ticket, answer))
    }

    private mutating func submit(
        _ specification: JobSpecification, at now: Instant
    ) -> BatchAnswer {
        if let problem = problem(specification) { return .refused(problem) }
        lastSequence += 1
        let row = JobRow(
            sequence: lastSequence, id: "\(specification.name)-\(lastSequence)",
            specification: specification, created: options.clock.time(at: now))
        let slot = add(row)
        keep(slot)
        for position in row.tasks.indices { updateLane(slot, position) }
        return view(slot).map { .job($0) } ?? .refused(.noJob(row.id))
    }

    private func problem(_ specification: JobSpecification) -> BatchProblem? {
        let count = specification.instanceCount
        guard openJobs < options.openJobs,
            count <= options.openInstances - openInstances
        else {
            return BatchProblem(
                kind: .full, what: "the job '\(specification.name)' is too much",
                because: "\(openJobs) jobs with \(openInstances) instances have not ended; the "
                    + "limits are \(options.openJobs) and \(options.openInstances)",
                advice: "wait until some have ended, or cancel some")
        }
        let names = [specification.name] + specification.tasks.map(\.name)
        let isSound =
            names.allSatisfy(JobSpecification.isName) && !specification.tasks.isEmpty
            && specification.tasks.allSatisfy { task in
                task.count > 0 && task.concurrency ?? 1 > 0 && isSoundGang(of: task)
                    && task.demand.cpus > .zero
                    && task.demand.mem >= .zero && task.demand.disk >= .zero
            } && specification.dependencyProblems.isEmpty
        guard !isSound else { return nil }
        return BatchProblem(
            kind: .invalid, what: "the job '\(specification.name)' is not valid",
            because: "a name, an array, a gang, a demand or a dependency of it is not allowed",
            advice: "check its file with 'batch-scheduler submit', which names the place")
    }

    /// Whether all gangs are whole, may run and can be launched in one message.
    private func isSoundGang(of task: TaskSpecification) -> Bool {
        guard let gang = task.gang else { return true }
        guard gang > 0, task.count.isMultiple(of: gang), gang <= task.concurrency ?? .max,
            gang <= options.launchesPerOffer
        else { return false }
        let (bytes, overflow) = gang.multipliedReportingOverflow(by: TaskRow(task).launchBytes)
        return !overflow && bytes <= options.launchBytesPerOffer
    }

    mutating func add(_ row: JobRow) -> Slot<JobRow> {
        let slot = jobs.insert(row)
        jobsByID[row.id] = slot
        newestByName[row.name] = slot
        order.append(slot)
        openJobs += 1
        openInstances += row.counts.total
        return slot
    }

    private mutating func cancel(_ slot: Slot<JobRow>, at now: Instant) {
        guard let job = jobs[slot], job.ending == nil, !job.state.isFinal else { return }
        end(
            slot, .cancelled, exitCode: Self.cancelledExitCode, message: "cancelled on request",
            at: now)
    }

    /// Begins to end a job: cancels what does not run, kills what runs.
    ///
    /// O(instances of the job that were launched), once in its life.
    mutating func end(
        _ slot: Slot<JobRow>, _ state: JobState, exitCode: Int, message: String, at now: Instant
    ) {
        jobs[slot]?.ending = state
        jobs[slot]?.exitCode = exitCode
        jobs[slot]?.message = message
        keep(slot)
        cancelRest(slot)
        for ref in running(slot) { kill(ref) }
        settleEnd(slot, at: now)
    }

    /// Cancels what does not run.
    mutating func cancelRest(_ slot: Slot<JobRow>) {
        for position in jobs[slot]?.tasks.indices ?? 0..<0 {
            guard let task = jobs[slot]?.tasks[position] else { continue }
            jobs[slot]?.tasks[position].again.removeAll()
            jobs[slot]?.move(
                task.unstarted, of: position, from: task.blockers > 0 ? .waiting : .ready,
                to: .cancelled)
            for (index, instance) in task.instances.enumerated() {
                guard instance.phase == .ready || instance.phase == .backingOff else { continue }
                let ref = InstanceRef(job: slot, task: position, index: index)
                timers.set(.again(ref), to: nil)
                change(ref) { $0.phase = .cancelled }
                jobs[slot]?.move(of: position, from: instance.phase.state, to: .cancelled)
            }
            updateLane(slot, position)
        }
    }

    /// Goes on after an instance of a task has ended.
    mutating func advance(_ slot: Slot<JobRow>, after position: Int, at now: Instant) {
        for dependent in unblocked(slot, position) { unblock(slot, dependent) }
        settleEnd(slot, at: now)
    }

    /// The tasks that wait for a task, once that has finished.
    func unblocked(_ slot: Slot<JobRow>, _ position: Int) -> [Int] {
        guard let task = jobs[slot]?.tasks[position],
            task.counts.finished == task.specification.count
        else { return [] }
        return task.dependents
    }

    mutating func unblock(_ slot: Slot<JobRow>, _ position: Int) {
        jobs[slot]?.tasks[position].blockers -= 1
        guard let task = jobs[slot]?.tasks[position], task.blockers == 0,
            jobs[slot]?.ending == nil
        else { return }
        jobs[slot]?.move(task.unstarted, of: position, from: .waiting, to: .ready)
        updateLane(slot, position)
    }

    /// Ends a job of which nothing more can happen.
    mutating func settleEnd(_ slot: Slot<JobRow>, at now: Instant) {
        guard let job = jobs[slot], !job.state.isFinal,
            job.counts.total == (job.ending == nil ? job.counts.finished : job.counts.done)
        else { return }
        jobs[slot]?.state = job.ending ?? .finished
        jobs[slot]?.ending = nil
        jobs[slot]?.exitCode = job.ending == nil ? 0 : job.exitCode
        jobs[slot]?.ended = options.clock.time(at: now)
        keep(slot)
        retire(slot)
        forgetOldJobs(at: now)
    }

    /// Notes that a job has ended.
    mutating func retire(_ slot: Slot<JobRow>) {
        guard let job = jobs[slot] else { return }
        openJobs -= 1
        openInstances -= job.counts.total
        endedInstances += job.counts.total
        ended.append(slot)
    }

    /// Forgets ended jobs that are too many, too large or too old, the oldest first.
    mutating func forgetOldJobs(at now: Instant) {
        let time = options.clock.time(at: now - options.keptFor)
        while let slot = ended.first, let job = jobs[slot] {
            let isOld = (job.ended ?? job.created) <= time
            // The newest stays even when it alone is too large: somebody waits for its end.
            let isTooMuch =
                ended.count > 1
                && (ended.count > options.keptJobs || endedInstances > options.keptInstances)
            guard isOld || isTooMuch else {
                let age = Duration.nanoseconds(
                    (job.ended ?? job.created).nanosecondsSince1970 - time.nanosecondsSince1970)
                timers.set(.retention, to: now + age)
                return
            }
            forget(slot, job)
        }
        timers.set(.retention, to: nil)
    }

    private mutating func forget(_ slot: Slot<JobRow>, _ job: JobRow) {
        ended.removeFirst()
        endedInstances -= job.counts.total
        jobs.remove(slot)
        jobsByID.remove(job.id)
        if newestByName[job.name] == slot { newestByName.remove(job.name) }
        if let index = order.firstIndex(of: slot) { order.remove(at: index) }
        pending.changes.append(.forget(job.sequence))
    }

    func find(_ name: String) -> Slot<JobRow>? { jobsByID[name] ?? newestByName[name] }
}

extension BatchProblem {
    static func noJob(_ name: String) -> BatchProblem {
        BatchProblem(
            kind: .notFound, what: "there is no job '\(name)'",
            because: "no job has this id or name, or it ended too long ago to be kept",
            advice: "look at 'batch-scheduler list'")
    }
}
