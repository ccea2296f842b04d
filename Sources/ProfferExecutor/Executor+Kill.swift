internal import ProfferKernel
internal import ProfferModel

extension Executor {
    /// From TERM to KILL unless somebody says otherwise.
    static let killGrace = Duration.seconds(3)
    /// How often KILL is repeated to a process that does not go.
    private static let killRepetition = Duration.seconds(5)

    /// Kills a task because the agent says so; a later call may only shorten the grace.
    mutating func kill(
        _ id: TaskID, policy: KillPolicy?, at now: Instant,
        into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let slot = slots[id], let row = tasks[slot] else {
            outbox.append(.observe(.unknownTask(id)))
            return
        }
        let grace = policy?.gracePeriod ?? row.info.killPolicy?.gracePeriod ?? Self.killGrace
        kill(slot, because: .request, grace: grace, at: now, into: &outbox)
        killGroup(of: slot, at: now, into: &outbox)
    }

    /// Begins to kill a task, or shortens the grace of a kill under way.
    ///
    /// A shorter grace counts from the first kill, as frameworks know it from Mesos.
    mutating func kill(
        _ slot: Slot<TaskRow>, because cause: TaskRow.KillCause, grace: Duration,
        at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot], row.phase != .ended else { return }
        if let kill = row.kill {
            let deadline = max(now, kill.began + grace)
            guard !kill.isForced, deadline < kill.deadline else { return }
            tasks[slot]?.kill?.deadline = deadline
            // Without a process, the deadline is looked at when there is one.
            guard row.phase == .running else { return }
            timers.set(.kill(slot), to: deadline)
            if deadline <= now { forceKill(slot, at: now, into: &outbox) }
            return
        }
        tasks[slot]?.kill = TaskRow.Kill(
            cause: cause, began: now, deadline: now + max(.zero, grace))
        timers.set(.completion(slot), to: nil)
        timers.set(.check(slot, .health), to: nil)
        timers.set(.check(slot, .check), to: nil)
        // A limit is a failure of the task, not a wish of the framework.
        if !cause.isLimit, framework?.capabilities.contains(.taskKillingState) == true {
            report(slot, .killing, at: now, into: &outbox)
        }
        if row.phase == .running { signalKilled(slot, at: now, into: &outbox) }
        // What is fetched or made for it need not come any more.
        let takesLong =
            row.info.command?.uris.isEmpty == false
            || row.info.container?.image?.isEmpty == false
        if row.phase == .starting, takesLong {
            outbox.append(.signal(row.info.id, Signal.terminate))
        }
    }

    /// Sends the first signal of a kill, once there is a process to send it to.
    mutating func signalKilled(
        _ slot: Slot<TaskRow>, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot], let kill = row.kill else { return }
        if kill.deadline <= now {
            forceKill(slot, at: now, into: &outbox)
            return
        }
        outbox.append(.signal(row.info.id, Signal.terminate))
        timers.set(.kill(slot), to: kill.deadline)
    }

    /// Sends KILL, again and again until the process is gone.
    mutating func forceKill(
        _ slot: Slot<TaskRow>, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot], let kill = row.kill, row.phase == .running else { return }
        if kill.isForced {
            outbox.append(.observe(.unkillable(row.info.id, after: now - kill.began)))
        }
        tasks[slot]?.kill?.isForced = true
        outbox.append(.signal(row.info.id, Signal.kill))
        timers.set(.kill(slot), to: now + Self.killRepetition)
    }

    /// Kills every other live task of the group, so that the graces run side by side.
    mutating func killGroup(
        of slot: Slot<TaskRow>, at now: Instant, into outbox: inout Outbox<ExecutorEffect>
    ) {
        guard let row = tasks[slot], let group = row.group else { return }
        for other in tasks.slots where other != slot {
            guard let member = tasks[other], member.group == group, member.kill == nil else {
                continue
            }
            let grace = member.info.killPolicy?.gracePeriod ?? Self.killGrace
            kill(other, because: .group(row.info.id), grace: grace, at: now, into: &outbox)
        }
    }
}
