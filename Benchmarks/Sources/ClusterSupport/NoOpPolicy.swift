import Proffer

/// Runs `total` tasks of `/bin/true`, at most `atOnce` of them at a time, and notes when what
/// happened.
package struct NoOpPolicy: FrameworkPolicy {
    package typealias Command = Start

    /// Begins a round.
    package struct Start: Sendable {
        var total: Int
        var atOnce: Int
        var container: ContainerInfo?
        package var command: CommandInfo

        package init(
            total: Int, atOnce: Int, container: ContainerInfo? = nil,
            command: CommandInfo = CommandInfo(
                value: "/bin/true", shell: false, arguments: ["true"])
        ) {
            self.command = command
            self.total = total
            self.atOnce = atOnce
            self.container = container
        }
    }

    package enum Output: Sendable {
        case subscribed
        /// The round is over; every figure in seconds.
        case ended(Round)
    }

    package struct Round: Sendable {
        package var elapsed = 0.0
        package var tasks = 0
        package var failures = 0
        /// From ACCEPT to the update TASK_RUNNING.
        package var starts: [Double] = []
        /// From ACCEPT to the terminal update.
        package var ends: [Double] = []
        /// From the terminal update that frees resources to the next offer.
        package var offers: [Double] = []
    }

    private var round = Round()
    private var wanted = Start(total: 0, atOnce: 0)
    private var launched = 0
    private var running = 0
    private var serial = 0
    private var beganAt: Instant?
    private var acceptedAt: [TaskID: Instant] = [:]
    private var freedAt: Instant?
    private let size = Milli(thousandths: 20)

    package init() {}

    package mutating func handle(
        _ happening: Happening<Start>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        switch happening {
        case .subscribed: actions.append(.output(.subscribed))
        case .command(let start):
            round = Round()
            wanted = start
            launched = 0
            beganAt = now
            freedAt = nil
            actions.revive()
        case .offers(let offers):
            for offer in offers { take(offer, at: now, into: &actions) }
        case .update(let status): take(status, at: now, into: &actions)
        default: break
        }
    }

    private mutating func take(
        _ offer: Offer, at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        if let freed = freedAt {
            round.offers.append(seconds(from: freed, to: now))
            freedAt = nil
        }
        var budget = OfferBudget(offer)
        var tasks: [TaskInfo] = []
        while launched < wanted.total, running < wanted.atOnce,
            let resources = budget.take(cpus: size, mem: Milli(16))
        {
            serial += 1
            let id = TaskID("noop-\(serial)")
            tasks.append(
                TaskInfo(
                    name: "noop", id: id, agentID: offer.agentID, resources: resources,
                    command: wanted.command,
                    container: wanted.container))
            acceptedAt[id] = now
            launched += 1
            running += 1
        }
        // Nothing is refused: what a task frees comes back at once.
        if tasks.isEmpty {
            actions.decline(offer, refuse: wanted.total == launched ? .seconds(3600) : .seconds(1))
        } else {
            actions.accept(offer, launching: tasks, refuse: .zero)
        }
    }

    private mutating func take(
        _ status: TaskStatus, at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        if status.state == .running, let accepted = acceptedAt[status.taskID] {
            round.starts.append(seconds(from: accepted, to: now))
        }
        guard status.state.isTerminal,
            let accepted = acceptedAt.removeValue(forKey: status.taskID)
        else { return }
        round.ends.append(seconds(from: accepted, to: now))
        running -= 1
        round.tasks += 1
        if status.state != .finished { round.failures += 1 }
        if wanted.atOnce == 1 { freedAt = now }
        if round.tasks == wanted.total, let begin = beganAt {
            round.elapsed = seconds(from: begin, to: now)
            actions.append(.output(.ended(round)))
        }
    }

    private func seconds(from: Instant, to: Instant) -> Double {
        Double((to - from).inNanoseconds) / 1e9
    }
}
