import Proffer

/// Runs each of its tasks once: launches what nobody knows of, and nothing else.
struct CrashPolicy: FrameworkPolicy {
    typealias Output = Entry

    private let command: String
    private let cpus: Milli
    private var waiting: [TaskID] = []
    private var isKept: Set<String> = []
    private var states: [TaskID: TaskState] = [:]
    /// The tasks of earlier runs that may live.
    private(set) var known: [TaskID] = []

    init(tasks: Int, command: String, cpus: Milli, before: [Entry]) {
        self.command = command
        self.cpus = cpus
        var intended: Set<TaskID> = []
        for entry in before {
            switch entry {
            case .intent(let task):
                intended.insert(task)
                // One that was dropped may have been launched again by the process that died.
                states[task] = nil
            case .update(let task, let uuid, let state):
                isKept.insert(uuid)
                states[task] = TaskState.allCases.first { $0.name == state }
            case .started, .id, .again, .vanished: break
            }
        }
        for number in 0..<tasks {
            let task = TaskID("t-\(number)")
            if states[task] == .dropped || !intended.contains(task) {
                waiting.append(task)
            } else if states[task]?.isTerminal != true {
                known.append(task)
            }
        }
    }

    mutating func handle(
        _ happening: Happening<Never>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Entry>>
    ) {
        switch happening {
        case .offers(let offers): for offer in offers { use(offer, into: &actions) }
        case .update(let status): take(status, into: &actions)
        default: break
        }
    }

    private mutating func use(_ offer: Offer, into actions: inout Outbox<FrameworkAction<Entry>>) {
        var budget = OfferBudget(offer)
        var launched: [TaskInfo] = []
        while let id = waiting.first, let taken = budget.take(cpus: cpus, mem: Milli(1)) {
            waiting.removeFirst()
            actions.append(.output(.intent(id)))
            states[id] = nil
            launched.append(
                TaskInfo(
                    name: id.value, id: id, agentID: offer.agentID, resources: taken,
                    command: CommandInfo(value: command)))
        }
        if launched.isEmpty {
            actions.append(
                .call(.decline(offers: [offer.id], filters: Filters(refuse: .seconds(3600)))))
        } else {
            actions.append(
                .call(
                    .accept(
                        offers: [offer.id], operations: [Operation(action: .launch(launched))],
                        filters: Filters(refuse: waiting.isEmpty ? .seconds(3600) : .zero))))
        }
    }

    private mutating func take(
        _ status: TaskStatus, into actions: inout Outbox<FrameworkAction<Entry>>
    ) {
        let task = status.taskID
        if let uuid = status.uuid.map({ "\($0)" }) {
            guard isKept.insert(uuid).inserted else {
                actions.append(.output(.again(task, uuid: uuid)))
                return
            }
            actions.append(.output(.update(task, uuid: uuid, state: status.state.name)))
            states[task] = status.state
        }
        switch status.state {
        case .dropped, .unknown, .lost, .gone:
            if let state = states[task], state != .dropped {
                if !state.isTerminal {
                    actions.append(.output(.vanished(task, state: status.state.name)))
                }
                return
            }
            if !waiting.contains(task) {
                waiting.append(task)
                actions.append(.call(.revive(roles: [])))
            }
        default: break
        }
    }
}
