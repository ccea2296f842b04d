internal import DequeModule
internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// So many tasks are answered for at once when updates are told in batches.
    private static let answersPerStep = 4000
    /// The same when each is a message: a session bears sixteen thousand on their way.
    private static let singlesPerStep = 500
    /// After so many answers the next part waits, whether it is of the same question or not.
    private static let answersWithoutPause = 250
    /// From one part of an answer to the next.
    private static let answerPause = Duration.milliseconds(10)
    /// So many tasks of a framework may wait to be answered for.
    private static let questionLimit = 2_000_000

    /// Answers for tasks: as many as a session bears at once, and the rest in parts.
    ///
    /// An answer is made when it is its turn, from what is known then.
    mutating func reconcile(
        _ list: [ReconcileTask], _ framework: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[framework] else { return }
        let asked = list.isEmpty ? row.tasks.map { ReconcileTask(taskID: $0) } : list
        let waiting = questions[framework]?.count ?? 0
        guard waiting + asked.count <= Self.questionLimit else {
            outbox.append(
                .observe(
                    .invalidCall(
                        framework, call: "RECONCILE",
                        problem: "\(waiting) tasks of earlier questions wait for an answer")))
            return
        }
        if waiting == 0 { questions[framework] = [] }
        questions[framework]?.append(contentsOf: asked)
        guard timers.deadline(of: .reconcile(framework)) == nil else { return }
        answerQuestions(of: framework, at: now, into: &outbox)
    }

    /// Answers the next part of what a framework has asked.
    mutating func answerQuestions(
        of framework: FrameworkID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let isTaker = frameworks[framework]?.takesBatches == true
        let limit = isTaker ? Self.answersPerStep : Self.singlesPerStep
        let part = questions[framework].map { Array($0.prefix(limit)) } ?? []
        for one in part { reconcileOne(one, framework, into: &outbox) }
        questions[framework]?.removeFirst(part.count)
        let isMore = questions[framework]?.isEmpty == false
        if !isMore { questions.remove(framework) }
        let mustPause = isMore || part.count > Self.answersWithoutPause
        timers.set(.reconcile(framework), to: mustPause ? now + Self.answerPause : nil)
    }

    /// Forgets what a framework has asked.
    mutating func stopAnswering(_ framework: FrameworkID) {
        questions.remove(framework)
        timers.set(.reconcile(framework), to: nil)
    }

    mutating func reconcileOne(
        _ one: ReconcileTask, _ framework: FrameworkID,
        into outbox: inout Outbox<MasterEffect>
    ) {
        if let task = tasks[TaskKey(framework, one.taskID)] {
            reconcileKnown(task, one.taskID, framework, into: &outbox)
            return
        }
        var state = TaskState.unknown
        var message = "the task is not known"
        var labels: [Label] = []
        var since: WallTime?
        if let id = one.agentID, let agent = agents[id] {
            switch agent.state {
            case .active, .deactivated, .disconnected:
                (state, message) = (.gone, "the agent is here and does not know the task")
            case .recovered:
                (state, message) = (.staging, "the agent is expected back; ask again")
                labels = [TaskStatus.recoveringLabel]
            case .unreachable:
                (state, message) = (.unreachable, "the agent does not answer")
                since = agent.unreachableSince
            case .gone: (state, message) = (.goneByOperator, "the agent was declared gone")
            }
        } else if one.agentID == nil, !recovering.isEmpty {
            (state, message) = (.staging, "agents are expected back; ask again")
            labels = [TaskStatus.recoveringLabel]
        }
        report(
            one.taskID, one.agentID, framework, state, .reconciliation, message,
            unreachableSince: since, labels: labels, into: &outbox)
    }

    /// The last state handed on, so that nothing is told before its turn; without a uuid.
    private mutating func reconcileKnown(
        _ task: TaskRow, _ id: TaskID, _ framework: FrameworkID,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[framework], let peer = row.peer else { return }
        var status = task.lastStatus ?? TaskStatus(taskID: id, state: .staging)
        if task.state == .unreachable { status.state = .unreachable }
        status.state = status.state.visible(toPartitionAware: row.isPartitionAware)
        status.uuid = nil
        status.source = .master
        status.reason = .reconciliation
        status.agentID = task.info.agentID
        outbox.append(.tellFramework(.update(status), peer))
    }
}
