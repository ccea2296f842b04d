internal import ProfferKernel
internal import ProfferModel

extension Executor {
    /// How long after its time-out a check without an answer counts as timed out.
    private static let checkPatience = Duration.seconds(5)
    /// The least time between two checks of a task: one without a pause would do nothing else.
    private static let checkPause = Duration.milliseconds(10)

    /// Runs a check that is due, or ends one whose answer never came.
    mutating func runCheck(
        _ slot: Slot<TaskRow>, _ purpose: CheckPurpose, at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot], row.phase == .running, row.kill == nil else { return }
        let kind: CheckKind
        let timeout: Duration
        var progress: TaskRow.Check
        switch purpose {
        case .health:
            guard let check = row.info.healthCheck else { return }
            (kind, timeout, progress) = (check.kind, check.timeout, row.health)
        case .check:
            guard let check = row.info.check else { return }
            (kind, timeout, progress) = (check.kind, check.timeout, row.check)
        }
        if progress.isRunning {
            let reference = CheckReference(
                task: row.info.id, purpose: purpose, number: progress.number)
            finishCheck(reference, .timedOut, at: now, into: &outbox)
            return
        }
        progress.number += 1
        progress.isRunning = true
        setProgress(slot, purpose, to: progress)
        let reference = CheckReference(
            task: row.info.id, purpose: purpose, number: progress.number)
        outbox.append(.runCheck(reference, kind, timeout: timeout))
        timers.set(.check(slot, purpose), to: now + timeout + Self.checkPatience)
    }

    /// Judges the answer to a check and arms the next one.
    mutating func finishCheck(
        _ reference: CheckReference, _ outcome: CheckOutcome, at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let slot = slots[reference.task], let row = tasks[slot] else { return }
        var progress = reference.purpose == .health ? row.health : row.check
        guard progress.isRunning, progress.number == reference.number else { return }
        progress.isRunning = false
        setProgress(slot, reference.purpose, to: progress)
        guard row.phase == .running, row.kill == nil else { return }
        switch reference.purpose {
        case .health:
            guard let check = row.info.healthCheck else { return }
            timers.set(.check(slot, .health), to: now + max(check.interval, Self.checkPause))
            judge(slot, check, outcome, at: now, into: &outbox)
        case .check:
            guard let check = row.info.check else { return }
            timers.set(.check(slot, .check), to: now + max(check.interval, Self.checkPause))
            let result = outcome.result(of: check.kind)
            guard result != row.checkResult else { return }
            tasks[slot]?.checkResult = result
            report(slot, .running, reason: .taskCheckStatusUpdated, at: now, into: &outbox)
        }
    }

    private mutating func setProgress(
        _ slot: Slot<TaskRow>, _ purpose: CheckPurpose, to progress: TaskRow.Check
    ) {
        switch purpose {
        case .health: tasks[slot]?.health = progress
        case .check: tasks[slot]?.check = progress
        }
    }

    /// Counts failures outside the grace period; success is reported when it is news, each
    /// failure always, and the last one that is borne kills the task.
    private mutating func judge(
        _ slot: Slot<TaskRow>, _ check: HealthCheck, _ outcome: CheckOutcome, at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot], let runningSince = row.runningSince else { return }
        guard let problem = outcome.problem else {
            tasks[slot]?.failuresInRow = 0
            if row.healthy == true { return }
            tasks[slot]?.healthy = true
            report(slot, .running, reason: .taskHealthCheckStatusUpdated, at: now, into: &outbox)
            return
        }
        // The first success ends the grace period.
        if row.healthy == nil, now - runningSince <= check.gracePeriod { return }
        tasks[slot]?.failuresInRow += 1
        tasks[slot]?.healthy = false
        report(
            slot, .running, message: "health check failed: \(problem)",
            reason: .taskHealthCheckStatusUpdated, at: now, into: &outbox)
        guard row.failuresInRow + 1 >= max(1, check.consecutiveFailures) else { return }
        let grace = row.info.killPolicy?.gracePeriod ?? Self.killGrace
        kill(slot, because: .unhealthy, grace: grace, at: now, into: &outbox)
    }
}
