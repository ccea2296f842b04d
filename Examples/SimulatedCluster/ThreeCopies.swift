import Proffer

/// Keeps three copies of a program running, whatever happens.
struct ThreeCopies: FrameworkPolicy {
    enum Output: Sendable {
        case launched(TaskID)
        case ended(TaskID)
    }

    private(set) var live: [TaskID] = []
    private var count = 0

    /// Goes on from what earlier processes have kept.
    init(kept: [Output]) {
        for output in kept {
            switch output {
            case .launched(let id):
                live.append(id)
                count += 1
            case .ended(let id): live.removeAll { $0 == id }
            }
        }
    }

    mutating func handle(
        _ happening: Happening<Never>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        switch happening {
        case .offers(let offers):
            for offer in offers { use(offer, &actions) }
        case .update(let status) where status.state.isTerminal || status.state == .unknown:
            live.removeAll { $0 == status.taskID }
            actions.append(.output(.ended(status.taskID)))
        default: break
        }
    }

    private mutating func use(
        _ offer: Offer, _ actions: inout Outbox<FrameworkAction<Output>>
    ) {
        var budget = OfferBudget(offer)
        var tasks: [TaskInfo] = []
        while live.count < 3,
            let resources = budget.take(cpus: Milli(thousandths: 100), mem: Milli(32))
        {
            count += 1
            let id = TaskID("copy-\(count)")
            live.append(id)
            actions.append(.output(.launched(id)))
            tasks.append(
                TaskInfo(
                    name: "copy", id: id, agentID: offer.agentID, resources: resources,
                    command: CommandInfo(value: "sleep infinity")))
        }
        let launch = Operation(action: .launch(tasks))
        actions.append(
            .call(
                tasks.isEmpty
                    ? .decline(offers: [offer.id], filters: nil)
                    : .accept(offers: [offer.id], operations: [launch], filters: nil)))
    }
}
