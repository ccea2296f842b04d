internal import ProfferFailpoints
internal import ProfferModel

// Which step of a task's life a message of an executor is.

extension ExecutorCall {
    var failpoints: (before: Failpoint, after: Failpoint)? {
        switch self {
        case .subscribe: (.executorSubscribeBefore, .executorSubscribeAfter)
        case .update(let status):
            status.state.isTerminal
                ? (.executorEndBefore, .executorEndAfter)
                : (.executorRunningBefore, .executorRunningAfter)
        case .message, .heartbeat, .usage: nil
        }
    }
}

extension ExecutorEvent {
    func passFailpoint() {
        switch self {
        case .launch, .launchGroup: Failpoint.hit(.executorLaunchReceived)
        default: break
        }
    }
}
