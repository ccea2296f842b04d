internal import ProfferFailpoints
internal import ProfferModel

// Which step of a task's life a message of a framework is.

extension SchedulerCall {
    var failpoints: (before: Failpoint, after: Failpoint)? {
        switch self {
        case .accept, .acceptTogether, .claim: (.frameworkAcceptBefore, .frameworkAcceptAfter)
        case .acknowledge: (.frameworkAcknowledgeBefore, .frameworkAcknowledgeAfter)
        default: nil
        }
    }
}

extension SchedulerEvent {
    func passFailpoint() {
        switch self {
        case .update, .updates: Failpoint.hit(.frameworkUpdateReceived)
        default: break
        }
    }
}
