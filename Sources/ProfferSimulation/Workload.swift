internal import ProfferFramework
internal import ProfferKernel
internal import ProfferModel

/// What a workload of the simulator wants; the seed chooses.
struct WorkloadShape: Sendable {
    /// So many tasks run for ever.
    var services = 3
    /// So many tasks run once each to their end.
    var jobs = 20
    /// So many jobs may run at a time.
    var parallel = 5
    var cpus = Milli(thousandths: 500)
    var mem = Milli(128)
    var ports = 0
    /// Of a thousand looks at the tasks, how many kill one.
    var killPermille = 50
    /// Whether it says what it wants.
    var statesDemand = false
    /// How many instances come together, when it states demand.
    var gang = 1
    /// Whether it takes what it was not offered.
    var claims = false
    /// Whether it says that it wants no offers when it has all it wants.
    var suppresses = true
    var refusal = Duration.seconds(5)
    var isPartitionAware = true
    var hasHealthChecks = false
    /// Whether a task that does not answer is replaced at once.
    var replacesUnreachable = true
    /// Tasks launched as a group.
    var group = 1
    /// Names a rack that its agents must be in.
    var rack: String?
    var role = "*"
    var roles = ["*"]
}

/// A framework that keeps services running and works through jobs, and behaves in every way that
/// the protocol allows: the load of simulated clusters that bring none of their own.
struct Workload: FrameworkPolicy {
    enum Command: Sendable {
        /// The run is about to end: nothing is killed any more.
        case rest
    }

    enum Output: Sendable {
        /// A task is about to be launched.
        case intended(TaskID, AgentID, isService: Bool)
        /// It has ended; a job that has finished is not done again.
        case ended(TaskID, isDone: Bool)
    }

    struct Row: Sendable {
        var agent: AgentID
        var isService: Bool
        var isKilled = false
        var isUnreachable = false
    }

    let shape: WorkloadShape
    private(set) var tasks = OrderedTable<TaskID, Row>()
    private(set) var jobsDone = 0
    private var generator: SeededGenerator
    private var nextNumber: Int
    private var lookAt = Instant.zero
    private var isSubscribed = false
    private var isSuppressed = false
    /// Whether the master pauses because so much was declined.
    private var isBackedOff = false
    private var isResting = false
    private var claimCount = 0
    private var agents = OrderedTable<AgentID, AgentView>()
    private let prefix: String

    init(_ shape: WorkloadShape, seed: UInt64, prefix: String, kept: [Output]) {
        self.shape = shape
        self.prefix = prefix
        generator = SeededGenerator(seed: seed &+ UInt64(kept.count))
        nextNumber = 0
        for output in kept {
            switch output {
            case .intended(let id, let agent, let isService):
                tasks[id] = Row(agent: agent, isService: isService)
                nextNumber += 1
            case .ended(let id, let isDone):
                tasks.remove(id)
                if isDone { jobsDone += 1 }
            }
        }
    }

    /// What it knows to live, for its driver.
    var knownTasks: [ReconcileTask] {
        tasks.map { ReconcileTask(taskID: $0.key, agentID: $0.value.agent) }
    }

    var nextDeadline: Instant? { lookAt }

    private func counts(_ row: Row) -> Bool {
        !row.isKilled && !(row.isUnreachable && shape.replacesUnreachable)
    }

    private var missingServices: Int {
        max(0, shape.services - tasks.values.count { $0.isService && counts($0) })
    }

    private var missingJobs: Int {
        let live = tasks.values.count { !$0.isService && counts($0) }
        return max(0, min(shape.jobs - jobsDone - live, shape.parallel - live))
    }

    private var missing: Int { missingServices + missingJobs }

    /// What is not as it should be when everything has had its time, or `nil`.
    var complaint: String? {
        if missingServices > 0 { return "\(missingServices) services are missing" }
        // Jobs on an agent that never comes back are waited for, when that is the policy, and
        // others wait behind them.
        let isWaiting = tasks.values.contains { !$0.isService && $0.isUnreachable }
        if isWaiting, !shape.replacesUnreachable { return nil }
        let open = shape.jobs - jobsDone
        return open > 0 ? "\(open) jobs are not done" : nil
    }

    // MARK: Happenings

    mutating func handle(
        _ happening: Happening<Command>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        switch happening {
        case .subscribed:
            // Suppression outlives a session; the driver says it again.
            isSubscribed = true
            state(into: &actions)
            if shape.claims { actions.append(.call(.watchCluster(true))) }
        case .disconnected:
            isSubscribed = false
            agents = [:]
        case .offers(let offers): take(offers, into: &actions)
        case .update(let status): take(status, into: &actions)
        case .cluster(let step):
            if step.isSnapshot { agents = [:] }
            for agent in step.agents { agents[agent.id] = agent }
            for id in step.removed { agents.remove(id) }
            claim(into: &actions)
        case .inverseOffers(let offers):
            actions.append(.call(.acceptInverseOffers(offers.map(\.id), filters: nil)))
        case .backedOff: isBackedOff = true
        case .rescinded, .message, .failure, .inverseRescinded, .operation, .claimAnswer,
            .updateRefused, .ended:
            break
        case .command(.rest): isResting = true
        }
    }

    mutating func wake(at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>) {
        guard lookAt <= now else { return }
        lookAt = now + .milliseconds(generator.number(in: Int64(1000)...4000))
        let isWished = !isResting && generator.hits(shape.killPermille)
        if isWished, let row = Array(tasks).filter({ !$0.value.isKilled }).pick(&generator) {
            tasks[row.key]?.isKilled = true
            actions.append(
                .call(
                    .kill(
                        row.key, agent: generator.hits(500) ? row.value.agent : nil,
                        policy: generator.hits(300)
                            ? KillPolicy(gracePeriod: .milliseconds(generator.below(3000)))
                            : nil)))
        }
        guard isSubscribed else { return }
        if generator.hits(20) { actions.append(.call(.reconcile([]))) }
        want(into: &actions)
        claim(into: &actions)
    }

    private mutating func take(
        _ status: TaskStatus, into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        guard let row = tasks[status.taskID] else {
            // It was declared lost, something else does its work, and now it is back.
            if status.state == .running {
                actions.append(.call(.kill(status.taskID, agent: status.agentID, policy: nil)))
            }
            return
        }
        tasks[status.taskID]?.isUnreachable = status.state == .unreachable
        if status.state.isTerminal || status.state == .unknown {
            tasks.remove(status.taskID)
            let isDone = status.state == .finished && !row.isService
            if isDone { jobsDone += 1 }
            actions.append(.output(.ended(status.taskID, isDone: isDone)))
        }
        want(into: &actions)
    }

    /// Says whether offers are wanted.
    private mutating func want(into actions: inout Outbox<FrameworkAction<Output>>) {
        // Who wants something after all has to say so, or waits for the end of the pause.
        if isSubscribed, isBackedOff, missing > 0, !isSuppressed {
            isBackedOff = false
            actions.append(.call(.revive(roles: [])))
        }
        guard isSubscribed, shape.suppresses, !shape.statesDemand else {
            if shape.statesDemand, isSubscribed { state(into: &actions) }
            return
        }
        if missing == 0, !isSuppressed {
            isSuppressed = true
            actions.append(.call(.suppress(roles: [])))
        } else if missing > 0, isSuppressed {
            isSuppressed = false
            actions.append(.call(.revive(roles: [])))
        }
    }

    private var stated = -1

    private mutating func state(into actions: inout Outbox<FrameworkAction<Output>>) {
        guard shape.statesDemand else { return }
        let count = missing
        guard count != stated else { return }
        stated = count
        var amounts = ResourceQuantities()
        amounts.add(shape.cpus, to: "cpus")
        amounts.add(shape.mem, to: "mem")
        actions.append(
            .call(
                .demand(
                    count == 0
                        ? []
                        : [
                            Demand(
                                id: "work", role: shape.role, resources: amounts,
                                ports: shape.ports, count: count,
                                gang: max(1, min(shape.gang, count)))
                        ])))
    }

    // MARK: Launches

    private mutating func take(
        _ offers: [Offer], into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        var rest: [OfferID] = []
        var gangs = OrderedTable<UInt64, [OfferAcceptance]>()
        for offer in offers {
            let operations = launches(
                on: offer.agentID, of: offer.resources,
                atMost: offer.gang == nil ? .max : max(1, offer.instances), into: &actions)
            if operations.isEmpty {
                if offer.gang == nil {
                    rest.append(offer.id)
                } else {
                    gangs[offer.gang?.value ?? 0] =
                        (gangs[offer.gang?.value ?? 0] ?? [])
                        + [OfferAcceptance(offers: [offer.id], operations: [])]
                }
                continue
            }
            if let gang = offer.gang {
                gangs[gang.value] =
                    (gangs[gang.value] ?? [])
                    + [OfferAcceptance(offers: [offer.id], operations: operations)]
            } else {
                actions.append(
                    .call(
                        .accept(
                            offers: [offer.id], operations: operations,
                            filters: Filters(refuse: shape.refusal))))
            }
        }
        for parts in gangs.values {
            actions.append(.call(.acceptTogether(parts, filters: Filters(refuse: .zero))))
        }
        if !rest.isEmpty {
            actions.append(
                .call(.decline(offers: rest, filters: Filters(refuse: shape.refusal))))
        }
        want(into: &actions)
    }

    /// Tasks for an agent, as many as are missing and fit.
    private mutating func launches(
        on agent: AgentID, of resources: Resources, atMost limit: Int,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) -> [Operation] {
        var left = resources
        var list: [TaskInfo] = []
        while list.count < limit, missing > 0 {
            let isService = missingServices > 0
            guard let taken = part(of: left) else { break }
            left -= taken
            let id = TaskID("\(prefix)\(nextNumber)\(isService ? "s" : "j")")
            nextNumber += 1
            tasks[id] = Row(agent: agent, isService: isService)
            actions.append(.output(.intended(id, agent, isService: isService)))
            var info = TaskInfo(
                name: id.value, id: id, agentID: agent, resources: taken,
                command: CommandInfo(value: isService ? "service" : "job"))
            if shape.hasHealthChecks, isService {
                info.healthCheck = HealthCheck(
                    kind: .command(CommandInfo(value: "true")), delay: .seconds(2),
                    interval: .seconds(5), timeout: .seconds(2))
            }
            list.append(info)
        }
        if list.isEmpty { return [] }
        return [Operation(action: .launch(list))]
    }

    /// What one task takes, if it is there.
    private func part(of left: Resources) -> Resources? {
        var taken = Resources()
        for (name, amount) in [("cpus", shape.cpus), ("mem", shape.mem)] {
            var missing = amount
            for item in left.items where item.name == name {
                guard case .scalar(let there) = item.value, missing > .zero, there > .zero else {
                    continue
                }
                var piece = item
                piece.value = .scalar(min(there, missing))
                taken += piece
                missing -= min(there, missing)
            }
            if missing > .zero { return nil }
        }
        if shape.ports > 0 {
            guard let item = left.items.first(where: { $0.name == "ports" }),
                case .ranges(let set) = item.value
            else { return nil }
            let ports = set.prefix(shape.ports)
            guard ports.count == shape.ports else { return nil }
            var piece = item
            piece.value = .ranges(IntervalSet(ports.map { $0...$0 }))
            taken += piece
        }
        return taken
    }

    /// Takes resources that it has seen to be free.
    private mutating func claim(into actions: inout Outbox<FrameworkAction<Output>>) {
        guard shape.claims, isSubscribed, missing > 0, claimCount < 200,
            let view = Array(agents.values).pick(&generator)
        else { return }
        let usable = view.free.allocatable(to: shape.role)
        guard let taken = part(of: usable) else { return }
        let operations = launches(on: view.id, of: taken, atMost: 1, into: &actions)
        guard !operations.isEmpty else { return }
        claimCount += 1
        actions.append(
            .call(
                .claim(
                    Claim(
                        id: "\(prefix)c\(claimCount)",
                        parts: [
                            ClaimPart(
                                agentID: view.id, role: shape.role, resources: taken,
                                operations: operations)
                        ]))))
    }
}

extension Array {
    func pick(_ generator: inout SeededGenerator) -> Element? {
        isEmpty ? nil : self[generator.below(count)]
    }
}
