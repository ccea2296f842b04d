internal import ProfferAgent
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

extension Occurrence {
    /// A few numbers that differ when the occurrence does; cheap, for every event.
    var digest: (kind: UInt64, value: UInt64, text: String?) {
        switch self {
        case .processEnded(let index): (1, UInt64(index), nil)
        case .sessionOpened(let index, let epoch): (26, UInt64(index) << 32 | epoch, nil)
        case .masterLeads(let index, let epoch, let records):
            (2, UInt64(index) << 32 | epoch, "\(records.count)")
        case .masterEnded(let index, let epoch): (3, UInt64(index) << 32 | epoch, nil)
        case .masterInput(let index, _, let input): (4, UInt64(index), input.subject)
        case .masterWakes(let index, _): (25, UInt64(index), nil)
        case .masterEffect(let index, _, let effect): (5, UInt64(index), effect.subject)
        case .masterSent(let index, let epoch, _, let peer):
            (6, UInt64(index) << 48 | epoch << 24 | peer.value, nil)
        case .masterDurable(let index, let epoch, _, let records):
            (7, UInt64(index) << 32 | epoch << 16 | UInt64(records.count), nil)
        case .operatorAnswer(let index, let query, _): (8, UInt64(index) << 32 | query.value, nil)
        case .agentBoots(let index, let records, let living):
            (9, UInt64(index) << 32 | UInt64(records.count) << 8 | UInt64(living.count), nil)
        case .agentInput(let index, let epoch, let input):
            (10, UInt64(index) << 32 | epoch, input.subject)
        case .agentEffect(let index, let effect): (11, UInt64(index), effect.subject)
        case .agentSent(let index, _): (12, UInt64(index), nil)
        case .agentDurable(let index, let records):
            (13, UInt64(index) << 32 | UInt64(records.count), nil)
        case .agentWiped(let index): (14, UInt64(index), nil)
        case .executorInput(let index, _, _): (15, UInt64(index), nil)
        case .executorSent(let index, _): (16, UInt64(index), nil)
        case .taskBegan(let node, let pid, let key, _):
            (17, UInt64(node) << 32 | UInt64(pid), key.task.value)
        case .taskEnded(let node, let pid, let key):
            (18, UInt64(node) << 32 | UInt64(pid), key.task.value)
        case .frameworkBoots(let index, _): (19, UInt64(index), nil)
        case .frameworkRegistered(let index, let id): (20, UInt64(index), id.value)
        case .frameworkInput(let index, _, let event): (21, UInt64(index), event.subject)
        case .frameworkSent(let index, let call): (22, UInt64(index), call.call.name)
        case .policySaw(let index, _, let status):
            (23, UInt64(index) << 32 | UInt64(status.state.rawValue), status.taskID.value)
        case .frameworkEnded(let index, _): (24, UInt64(index), nil)
        }
    }

    /// A line to read, or `nil` for what only says that somebody is alive.
    var line: String? {
        switch self {
        case .processEnded(let index): "process \(index) ended"
        case .sessionOpened(let index, let epoch):
            "process \(index) has a session in epoch \(epoch)"
        case .masterLeads(let index, let epoch, let records):
            "master \(index) leads in epoch \(epoch) with \(records.count) records"
        case .masterEnded(let index, let epoch): "master \(index) of epoch \(epoch) ended"
        case .masterInput(let index, let epoch, let input):
            input.isRoutine ? nil : "master \(index)/\(epoch) <- \(input.text)"
        case .masterEffect(let index, let epoch, let effect):
            effect.isRoutine ? nil : "master \(index)/\(epoch) decides \(effect.text)"
        case .masterSent, .agentSent, .executorSent, .masterWakes: nil
        case .masterDurable(let index, let epoch, let fence, let records):
            "registry keeps \(records.count) records of master \(index)/\(epoch) (\(fence))"
        case .operatorAnswer(let index, let query, let answer):
            "master \(index) answers query \(query.value): \(short(answer))"
        case .agentBoots(let index, let records, let living):
            "agent \(index) starts with \(records.count) records, \(living.count) executors live"
        case .agentInput(let index, let epoch, let input):
            input.isRoutine ? nil : "agent \(index) (\(epoch)) <- \(input.text)"
        case .agentEffect(let index, let effect):
            effect.isRoutine ? nil : "agent \(index) decides \(effect.text)"
        case .agentDurable(let index, let records):
            "agent \(index) has kept \(records.count) records"
        case .agentWiped(let index): "agent \(index) has lost its directory"
        case .executorInput(let index, let key, let event):
            "executor \(index) of \(key.framework) <- \(short(event))"
        case .taskBegan(let node, let pid, let key, let resources):
            "node \(node): \(key.task) of \(key.framework) runs as \(pid) with \(resources)"
        case .taskEnded(let node, let pid, let key):
            "node \(node): \(key.task) of \(key.framework) (\(pid)) has ended"
        case .frameworkBoots(let index, let info):
            "framework \(index) starts as \(info.id?.value ?? "a new one")"
        case .frameworkRegistered(let index, let id): "framework \(index) is \(id)"
        case .frameworkInput(let index, _, let event):
            event.isRoutine ? nil : "framework \(index) <- \(short(event))"
        case .frameworkSent(let index, let call):
            "framework \(index) says \(short(call.call))"
        case .policySaw(let index, _, let status):
            "framework \(index) sees \(status.taskID) \(status.state.name) "
                + "\(status.reason?.name ?? "") \(status.uuid.map { "\($0)" } ?? "")"
        case .frameworkEnded(let index, _): "framework \(index) has ended"
        }
    }
}

/// The beginning of a value's description: the rest is seldom needed.
private func short(_ value: Any) -> String { String("\(value)".prefix(600)) }

extension MasterInput {
    var isRoutine: Bool {
        switch self {
        case .agent(.usage, _), .agent(.pong, _): true
        default: false
        }
    }

    var text: String { short(self) }

    var subject: String {
        switch self {
        case .peerOpened(let peer, _): "\(peer.value)o"
        case .framework(let call, let peer): "\(peer.value)\(call.call.name)"
        case .agent(.update(_, let status, _), _):
            "\(status.taskID)\(status.state.rawValue)\(status.uuid?.low ?? 0)"
        case .agent(_, let peer): "\(peer.value)a"
        case .peerClosed(let peer, _): "\(peer.value)c"
        case .operation(_, let query): "\(query.value)q"
        case .whitelistRead: "w"
        }
    }
}

extension MasterEffect {
    var isRoutine: Bool {
        switch self {
        case .tellFramework(.heartbeat, _), .tellAgent(.ping, _), .observe: true
        default: false
        }
    }

    var text: String { short(self) }

    var subject: String? {
        switch self {
        case .commit(let records): "\(records.count)"
        case .tellFramework(let event, let peer): event.subject ?? "\(peer.value)"
        case .tellAgent(.run(let run), _): run.tasks.first?.id.value
        case .tellAgent(.kill(let key, _), _): key.task.value
        case .tellAgent(.acknowledge(_, let uuid), _): "\(uuid.low)"
        case .tellAgent(_, let peer), .closePeer(let peer, _): "\(peer.value)"
        case .answer, .observe: nil
        }
    }
}

extension AgentInput {
    var isRoutine: Bool {
        switch self {
        case .usage, .master(.ping, _): true
        case .executor(let message, _, _):
            if case .usage = message.call { true } else { false }
        default: false
        }
    }

    var text: String { short(self) }

    var subject: String? {
        switch self {
        case .master(.run(let run), _): run.tasks.first?.id.value
        case .master(.acknowledge(_, let uuid), _): "\(uuid.low)"
        case .executorStarted(let container, let pid, _): "\(container)\(pid)"
        case .executorExited(let container, let status): "\(container)\(status)"
        case .tasksSwept(let container): "\(container)t"
        default: nil
        }
    }
}

extension AgentEffect {
    var isRoutine: Bool {
        switch self {
        case .tellMaster(.usage, _), .tellMaster(.pong, _), .observe, .makeSandbox: true
        default: false
        }
    }

    var text: String { short(self) }

    var subject: String? {
        switch self {
        case .tellMaster(.update(_, let status, _), _):
            "\(status.taskID)\(status.state.rawValue)\(status.uuid?.low ?? 0)"
        case .commit(let records): "\(records.count)"
        case .launchExecutor(let launch): launch.containerID.value
        case .killExecutor(let container, _, _): container.value
        default: nil
        }
    }
}

extension SchedulerEvent {
    var isRoutine: Bool { if case .heartbeat = self { true } else { false } }

    var subject: String? {
        switch self {
        case .offers(let offers): "\(offers.count)\(offers.first?.id.value ?? "")"
        case .update(let status):
            "\(status.taskID)\(status.state.rawValue)\(status.uuid?.low ?? 0)"
        case .rescind(let id): id.value
        default: nil
        }
    }
}
