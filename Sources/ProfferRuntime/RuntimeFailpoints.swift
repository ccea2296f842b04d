internal import ProfferFailpoints
internal import ProfferModel

// Which step of a task's life a message or record of the daemons is.

typealias FailpointPair = (before: Failpoint, after: Failpoint)

extension Failpoint {
    /// A master has a framework's call before it.
    static func received(_ call: SchedulerCall) {
        switch call {
        case .accept, .acceptTogether, .claim: hit(.masterAcceptReceived)
        case .acknowledge: hit(.masterAcknowledgeReceived)
        default: break
        }
    }

    /// A master has an agent's message before it.
    static func received(_ message: AgentToMaster) {
        guard case .update(_, let status, _) = message else { return }
        hit(status.state.isTerminal ? .masterEndReceived : .masterRunningReceived)
    }

    /// An agent has the master's message before it.
    static func received(_ message: MasterToAgent) {
        switch message {
        case .run: hit(.agentRunReceived)
        case .acknowledge: hit(.agentAcknowledgeReceived)
        default: break
        }
    }

    /// An agent has an executor's call before it.
    static func received(_ call: ExecutorCall) {
        guard case .update(let status) = call else { return }
        hit(status.state.isTerminal ? .agentEndReceived : .agentRunningReceived)
    }

    /// An agent is about to make records durable.
    static func keeping(_ records: [AgentRecord]) {
        guard Failpoints.isArmed else { return }
        for pair in records.compactMap(pair(of:)) { hit(pair.before) }
    }

    /// They are durable, and nothing that rests on them has left.
    static func kept(_ records: [AgentRecord]) {
        guard Failpoints.isArmed else { return }
        for pair in records.compactMap(pair(of:)) { hit(pair.after) }
    }

    private static func pair(of record: AgentRecord) -> FailpointPair? {
        switch record {
        case .task(_, let kept?):
            if kept.state == .staging { return (.agentTaskStoredBefore, .agentTaskStoredAfter) }
        case .task(_, nil): return (.agentForgottenBefore, .agentForgottenAfter)
        case .executor(_, let kept?):
            if kept.pid != nil { return (.agentExecutorStoredBefore, .agentExecutorStoredAfter) }
        case .update(_, _, let status?):
            if status.state.isTerminal { return (.agentEndStoredBefore, .agentEndStoredAfter) }
            return (.agentRunningStoredBefore, .agentRunningStoredAfter)
        case .update(_, _, nil):
            return (.agentAcknowledgeStoredBefore, .agentAcknowledgeStoredAfter)
        case .identity, .framework, .executor(_, nil): break
        }
        return nil
    }
}

extension SchedulerEvent {
    var failpoints: FailpointPair? {
        let statuses: [TaskStatus] =
            switch self {
            case .update(let status): [status]
            case .updates(let list): list
            default: []
            }
        guard let last = statuses.last else { return nil }
        return last.state.isTerminal
            ? (.masterEndBefore, .masterEndAfter) : (.masterRunningBefore, .masterRunningAfter)
    }
}

extension MasterToAgent {
    var failpoints: FailpointPair? {
        switch self {
        case .run: (.masterRunBefore, .masterRunAfter)
        case .acknowledge: (.masterAcknowledgeBefore, .masterAcknowledgeAfter)
        default: nil
        }
    }
}

extension AgentToMaster {
    var failpoints: FailpointPair? {
        guard case .update(_, let status, _) = self else { return nil }
        return status.state.isTerminal
            ? (.agentEndBefore, .agentEndAfter) : (.agentRunningBefore, .agentRunningAfter)
    }
}

extension ExecutorEvent {
    var failpoints: FailpointPair? {
        switch self {
        case .launch, .launchGroup: (.agentLaunchBefore, .agentLaunchAfter)
        default: nil
        }
    }
}
