internal import Proffer

extension BatchScheduler {
    /// How an attempt went wrong.
    private struct Mishap {
        var exitCode: Int?
        var message: String
    }

    mutating func take(_ status: TaskStatus, at now: Instant) {
        guard let ref = live[status.taskID] else {
            takeSuperseded(status, at: now)
            return
        }
        switch status.state {
        case .staging, .starting, .killing: answered(ref)
        case .running:
            answered(ref)
            startOvertime(ref, at: now)
        case .unreachable: unreachable(ref, at: now)
        case .finished: finish(ref, at: now)
        case .failed:
            if Self.isInfrastructure(status) {
                lose(ref, Self.message(status), at: now)
            } else {
                fail(ref, Self.mishap(status), isFinal: false, at: now)
            }
        case .error: fail(ref, Self.mishap(status), isFinal: true, at: now)
        case .killed: killed(ref, status, at: now)
        case .lost, .dropped, .gone, .goneByOperator, .unknown:
            lose(ref, Self.message(status), at: now)
        }
    }

    /// An attempt that was given up is news all the same: when it lives it is killed, when it
    /// finished the instance has finished.
    private mutating func takeSuperseded(_ status: TaskStatus, at now: Instant) {
        switch status.state {
        case .staging, .starting, .running, .killing:
            pending.calls.append(.kill(status.taskID, agent: status.agentID, policy: nil))
        case .finished:
            guard let (ref, attempt) = locate(status.taskID), let instance = self[ref],
                attempt > 0, attempt <= instance.attempts, jobs[ref.job]?.ending == nil
            else { return }
            switch instance.phase {
            case .running:
                kill(ref)
                if let id = taskID(ref, attempt: instance.attempts) { live.remove(id) }
            case .ready: jobs[ref.job]?.tasks[ref.task].again.remove(ref.index)
            case .backingOff: break
            case .collecting, .finished, .failed, .cancelled: return
            }
            let place = status.agentID.flatMap { places.index(ofAgent: $0) }
            change(ref) {
                $0.attempts = attempt
                $0.place = place ?? $0.place
            }
            finish(ref, at: now)
        case .failed, .killed, .lost, .error, .dropped, .unreachable, .gone, .goneByOperator,
            .unknown:
            break
        }
    }

    // MARK: While it runs

    private mutating func answered(_ ref: InstanceRef) {
        guard self[ref]?.isUnreachable == true else { return }
        timers.set(.unreachable(ref), to: nil)
        change(ref) {
            $0.isUnreachable = false
            $0.message = nil
        }
    }

    private mutating func unreachable(_ ref: InstanceRef, at now: Instant) {
        guard self[ref]?.isUnreachable == false else { return }
        change(ref) {
            $0.isUnreachable = true
            $0.message = "its agent does not answer"
        }
        timers.set(.unreachable(ref), to: now + options.unreachablePatience)
    }

    private mutating func startOvertime(_ ref: InstanceRef, at now: Instant) {
        guard let limit = jobs[ref.job]?.tasks[ref.task].specification.timeLimit,
            timers.deadline(of: .overtime(ref)) == nil
        else { return }
        timers.set(.overtime(ref), to: now + limit + options.overtimeGrace)
    }

    mutating func killOvertime(_ ref: InstanceRef) {
        guard self[ref]?.phase == .running else { return }
        change(ref) { $0.isOvertime = true }
        kill(ref)
    }

    mutating func kill(_ ref: InstanceRef) {
        guard let instance = self[ref], let id = taskID(ref, attempt: instance.attempts) else {
            return
        }
        pending.calls.append(.kill(id, agent: places[instance.place].agent, policy: nil))
    }

    // MARK: How an attempt ends

    private mutating func finish(_ ref: InstanceRef, at now: Instant) {
        guard let files = jobs[ref.job]?.tasks[ref.task].specification.outputs else { return }
        change(ref) { $0.exitCode = 0 }
        if files.isEmpty {
            conclude(ref, .finished, at: now)
        } else {
            enter(ref, .collecting, at: now)
            collect(ref)
        }
    }

    mutating func collect(_ ref: InstanceRef) {
        guard let job = jobs[ref.job], let instance = self[ref], instance.phase == .collecting,
            let id = taskID(ref, attempt: instance.attempts)
        else { return }
        let task = job.tasks[ref.task].specification
        pending.outputs.append(
            .collect(
                Collection(
                    job: job.id, task: task.name, index: ref.index, taskID: id,
                    place: places[instance.place], files: task.outputs)))
    }

    mutating func collected(_ collection: Collection, _ problem: String?, at now: Instant) {
        guard let (ref, attempt) = locate(collection.taskID), let instance = self[ref],
            instance.phase == .collecting, instance.attempts == attempt
        else { return }
        change(ref) { $0.message = problem }
        conclude(ref, .finished, at: now)
    }

    private mutating func killed(_ ref: InstanceRef, _ status: TaskStatus, at now: Instant) {
        if self[ref]?.isOvertime == true {
            fail(ref, Self.overtime, isFinal: false, at: now)
        } else if jobs[ref.job]?.ending != nil {
            change(ref) { $0.message = "killed because the job ended" }
            conclude(ref, .cancelled, at: now)
        } else {
            lose(ref, "killed by somebody else: \(Self.message(status))", at: now)
        }
    }

    private mutating func fail(
        _ ref: InstanceRef, _ mishap: Mishap, isFinal: Bool, at now: Instant
    ) {
        guard let task = jobs[ref.job]?.tasks[ref.task].specification else { return }
        let isEnding = jobs[ref.job]?.ending != nil
        change(ref) {
            $0.exitCode = mishap.exitCode
            $0.message = mishap.message
            $0.failures += 1
        }
        let failures = self[ref]?.failures ?? 0
        if !isEnding, !isFinal, failures <= task.retry.limit,
            task.retry.covers(exitCode: mishap.exitCode)
        {
            backOff(ref, task.retry.pause(beforeRetry: failures), at: now)
            return
        }
        conclude(ref, .failed, at: now)
        guard !isEnding else { return }
        end(
            ref.job, .failed, exitCode: mishap.exitCode.map { $0 == 0 ? 1 : $0 } ?? 1,
            message:
                "task '\(task.name)', index \(ref.index), attempt \(self[ref]?.attempts ?? 0): "
                + mishap.message, at: now)
    }

    /// Not the instance's fault: it runs again without counting, soon at first.
    mutating func lose(_ ref: InstanceRef, _ message: String, at now: Instant) {
        guard let instance = self[ref], instance.phase == .running else { return }
        if instance.isOvertime {
            fail(ref, Self.overtime, isFinal: false, at: now)
            return
        }
        change(ref) {
            $0.message = message
            $0.losses += 1
        }
        if jobs[ref.job]?.ending != nil {
            conclude(ref, .cancelled, at: now)
        } else if instance.losses + 1 > options.losses {
            let text = "lost \(instance.losses + 1) times, the last time: \(message)"
            fail(ref, Mishap(exitCode: nil, message: text), isFinal: true, at: now)
        } else {
            let pause = RetryRule().pause(beforeRetry: instance.losses)
            backOff(ref, instance.losses == 0 ? .zero : pause, at: now)
        }
    }

    private mutating func backOff(_ ref: InstanceRef, _ pause: Duration, at now: Instant) {
        enter(ref, .backingOff, at: now + pause)
        jobs[ref.job]?.retries += 1
        keep(ref.job)
        if pause > .zero {
            timers.set(.again(ref), to: now + pause)
        } else {
            makeReady(ref)
        }
    }

    mutating func makeReady(_ ref: InstanceRef) {
        guard self[ref]?.phase == .backingOff else { return }
        change(ref) { $0.phase = .ready }
        jobs[ref.job]?.move(of: ref.task, from: .waiting, to: .ready)
        jobs[ref.job]?.tasks[ref.task].again.append(ref.index)
        updateLane(ref.job, ref.task)
    }

    private mutating func conclude(
        _ ref: InstanceRef, _ phase: Instance.Phase, at now: Instant
    ) {
        enter(ref, phase, at: now)
        advance(ref.job, after: ref.task, at: now)
    }

    /// Moves an instance into a phase that began, or will end, at `time`.
    private mutating func enter(
        _ ref: InstanceRef, _ phase: Instance.Phase, at time: Instant
    ) {
        guard let instance = self[ref] else { return }
        if instance.phase == .running, let id = taskID(ref, attempt: instance.attempts) {
            live.remove(id)
            timers.set(.unreachable(ref), to: nil)
            timers.set(.overtime(ref), to: nil)
        } else if instance.phase == .backingOff {
            timers.set(.again(ref), to: nil)
        }
        let ended = options.clock.time(at: time)
        change(ref) {
            $0.phase = phase
            $0.ended = ended
        }
        jobs[ref.job]?.move(of: ref.task, from: instance.phase.state, to: phase.state)
        updateLane(ref.job, ref.task)
        keep(ref)
    }

    // MARK: What a status says

    private static let overtime = Mishap(
        exitCode: overtimeExitCode, message: "it ran longer than its time limit")

    private static func mishap(_ status: TaskStatus) -> Mishap {
        if status.reason == .maxCompletionTimeReached { return overtime }
        var code = status.exit?.code
        var text = code.map { "exit code \($0)" }
        if code == nil, let signal = status.exit?.signal {
            code = 128 + signal
            text = "killed by signal \(signal)"
        }
        // What the executor says tells the code too, and more.
        let isSilent = status.message?.isEmpty ?? true
        return Mishap(exitCode: code, message: (isSilent ? text : nil) ?? Self.message(status))
    }

    private static func message(_ status: TaskStatus) -> String {
        if let text = status.message, !text.isEmpty { return text }
        return status.reason.map { "\(status.state.name), \($0.name)" } ?? status.state.name
    }

    /// Whether the task had no part in its failure.
    private static func isInfrastructure(_ status: TaskStatus) -> Bool {
        guard status.exit == nil, let reason = status.reason else { return false }
        switch reason {
        case .executorTerminated, .executorUnregistered, .executorRegistrationTimeout,
            .executorReregistrationTimeout, .agentRestarted, .agentDisconnected, .agentRemoved,
            .agentRemovedByOperator, .agentDraining, .agentUnknown, .masterDisconnected,
            .containerPreempted, .resourcesUnknown, .gcError, .commandExecutorFailed,
            .ioSwitchboardExited, .invalidOffers, .frameworkRemoved:
            return true
        case .invalidFrameworkID, .containerLimitationMemory, .reconciliation, .taskInvalid,
            .taskUnauthorized, .taskUnknown, .containerLimitation, .containerLimitationDisk,
            .containerLaunchFailed, .containerUpdateFailed, .taskGroupInvalid,
            .taskGroupUnauthorized, .taskCheckStatusUpdated, .taskHealthCheckStatusUpdated,
            .taskKilledDuringLaunch, .agentReregistered, .maxCompletionTimeReached:
            return false
        }
    }
}
