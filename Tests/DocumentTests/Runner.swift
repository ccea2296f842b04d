import Proffer

/// Runs one task for each command, and forgets it when it has ended.
struct Runner: FrameworkPolicy {
    typealias Command = String
    typealias Output = String

    private var waiting: [String] = []
    private var launched = 0

    init() {}

    mutating func handle(
        _ happening: Happening<String>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<String>>
    ) {
        switch happening {
        case .command(let text):
            waiting.append(text)
            actions.revive()
        case .offers(let offers):
            for offer in offers { use(offer, into: &actions) }
        case .update(let status) where status.state.isTerminal:
            actions.append(.output("\(status.taskID): \(status.state.name)"))
        default: break
        }
    }

    private mutating func use(
        _ offer: Offer, into actions: inout Outbox<FrameworkAction<String>>
    ) {
        var budget = OfferBudget(offer)
        var tasks: [TaskInfo] = []
        while let command = waiting.first,
            let resources = budget.take(cpus: Milli(thousandths: 100), mem: Milli(32))
        {
            waiting.removeFirst()
            launched += 1
            tasks.append(
                TaskInfo(
                    name: "run", id: TaskID("run-\(launched)"), agentID: offer.agentID,
                    resources: resources, command: CommandInfo(value: command)))
        }
        actions.accept(offer, launching: tasks)
        if waiting.isEmpty { actions.suppress() }
    }
}
