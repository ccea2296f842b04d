internal import ProfferKernel
internal import ProfferModel

/// One task of an executor, from its launch until its last news is acknowledged.
struct TaskRow: Sendable {
    /// News that is not acknowledged.
    struct Pending: Sendable {
        var status: TaskStatus
        /// Whether it was sent in any session.
        var wasSent: Bool
    }

    let info: TaskInfo
    var state = TaskState.staging
    var pending: [Pending] = []
    /// When a kill under way began and when its time is over.
    var kill: (began: Instant, deadline: Instant)?
    /// Whether the agent has acknowledged any news, and so knows the task.
    var isKnownToAgent = false
}

extension ExecutorDriver {
    /// Takes note of tasks that are not here yet.
    ///
    /// - Returns: Those that the policy is to run; none when the executor is ending.
    mutating func take(
        _ infos: [TaskInfo], _ sandboxes: [String], at now: Instant,
        into outbox: inout Outbox<Effect>
    ) -> [LaunchedTask] {
        var fresh: [LaunchedTask] = []
        for (index, info) in infos.enumerated() where tasks[info.id] == nil {
            tasks[info.id] = TaskRow(info: info)
            if isEnding {
                let status = TaskStatus(
                    taskID: info.id, state: .dropped, message: "the executor is ending",
                    reason: .executorTerminated)
                report(status, at: now, into: &outbox)
            } else {
                let sandbox = sandboxes.indices.contains(index) ? sandboxes[index] : ""
                fresh.append(LaunchedTask(info: info, sandbox: sandbox))
            }
        }
        return fresh
    }

    /// Tells the policy to end a task; a later kill counts only when it leaves less time.
    ///
    /// A shorter grace counts from the first kill, as frameworks know it from Mesos.
    mutating func kill(
        _ id: TaskID, _ policy: KillPolicy?, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        guard let row = tasks[id] else {
            outbox.append(.observe(.unknownTask(id)))
            return
        }
        if row.state.isTerminal || isEnding { return }
        let wanted = policy?.gracePeriod ?? row.info.killPolicy?.gracePeriod ?? Self.killGrace
        let began = row.kill?.began ?? now
        let deadline = max(now, began + max(.zero, wanted))
        if let kill = row.kill, kill.deadline <= deadline { return }
        tasks[id]?.kill = (began, deadline)
        if row.kill == nil, row.state.mayBecome(.killing),
            subscription?.framework.capabilities.contains(.taskKillingState) == true
        {
            report(TaskStatus(taskID: id, state: .killing), at: now, into: &outbox)
        }
        tell(.kill(id, grace: deadline - now), at: now, into: &outbox)
    }

    /// Keeps news of a task and sends it if there is a session.
    ///
    /// Without one, news takes the place of older news of the same state that was never sent, so
    /// that a talkative task does not fill the memory while the agent is away.
    mutating func report(
        _ news: TaskStatus, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        guard let row = tasks[news.taskID], row.state.mayBecome(news.state) else {
            outbox.append(.observe(.droppedUpdate(news.taskID, news.state)))
            return
        }
        var status = news
        status.source = .executor
        status.agentID = subscription?.agent.id ?? row.info.agentID
        status.executorID = options.executorID
        status.timestamp = clock.time(at: now)
        status.uuid = UpdateID(high: generator.next(), low: generator.next())
        status.unreachableTime = nil
        if status.containerStatus == nil {
            status.containerStatus = ContainerStatus(containerID: subscription?.container)
        }
        if let last = row.pending.last, !last.wasSent, last.status.state == status.state {
            tasks[status.taskID]?.pending.removeLast()
        }
        tasks[status.taskID]?.pending.append(
            TaskRow.Pending(status: status, wasSent: agent != nil))
        tasks[status.taskID]?.state = status.state
        send(.update(status), into: &outbox)
    }

    /// Drops news that the agent has made durable; the task goes with its last one.
    mutating func acknowledge(_ id: TaskID, _ uuid: UpdateID) {
        guard let row = tasks[id],
            let index = row.pending.firstIndex(where: { $0.status.uuid == uuid })
        else { return }
        tasks[id]?.pending.remove(at: index)
        tasks[id]?.isKnownToAgent = true
        if row.state.isTerminal, row.pending.count == 1 { tasks.remove(id) }
    }

    /// Reports the end of every task that has not ended.
    mutating func endTasks(
        _ state: TaskState, _ message: String, at now: Instant, into outbox: inout Outbox<Effect>
    ) {
        for id in Array(tasks.keys) where tasks[id]?.state.isTerminal == false {
            report(
                TaskStatus(
                    taskID: id, state: state, message: message, reason: .executorTerminated),
                at: now, into: &outbox)
        }
    }
}
