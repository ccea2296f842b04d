public import Logging
public import Proffer
internal import Synchronization

/// A framework without a will of its own: a test reads what happened to it and makes its calls.
public final class Probe: Sendable {
    private let runner: FrameworkRunner<ProbePolicy>
    private let journal: ProbeJournal

    /// Starts a framework that subscribes through `connection`.
    public init(
        _ options: FrameworkOptions, _ connection: MasterConnection,
        logger: Logger = Logger(label: "probe") { _ in SwiftLogNoOpLogHandler() }
    ) throws {
        let journal = ProbeJournal()
        self.journal = journal
        runner = try FrameworkRunner(
            policy: ProbePolicy(), options: options, connection: connection, logger: logger,
            outputs: { happenings in
                for happening in happenings { journal.note(happening) }
            })
        try runner.start()
    }

    /// Starts a framework that is its description and nothing else.
    public convenience init(_ info: FrameworkInfo, _ connection: MasterConnection) throws {
        try self.init(FrameworkOptions(info: info), connection)
    }

    /// Everything that has happened so far.
    public var history: ProbeHistory { journal.history }

    /// Says something to the master.
    public func call(_ call: SchedulerCall) { runner.post(call) }

    /// Ends the framework's thread and waits for that.
    public func stop(teardown: Bool = false) async {
        runner.stop(teardown: teardown)
        try? await runner.finished()
    }

    /// Waits for the subscription that is the `count`th one.
    public func subscribed(_ count: Int = 1) async throws -> FrameworkID {
        try await eventually("subscription \(count) of the framework") {
            history.subscriptions.count >= count ? history.subscriptions.last : nil
        }
    }

    /// Waits for an offer that was not taken yet, and takes it.
    public func offer(
        _ what: String = "an offer", where isWanted: @Sendable (Offer) -> Bool = { _ in true }
    ) async throws -> Offer {
        try await eventually(what) { journal.take(where: isWanted) }
    }

    /// Takes an offer if there is one that was not taken yet.
    public func openOffer() -> Offer? { journal.take { _ in true } }

    /// Waits for news of a task.
    @discardableResult
    public func update(
        _ task: TaskID, _ state: TaskState, where isWanted: (TaskStatus) -> Bool = { _ in true }
    ) async throws -> TaskStatus {
        try await eventually("\(state.name) of \(task), after \(history.states(of: task))") {
            history.updates.first { $0.taskID == task && $0.state == state && isWanted($0) }
        }
    }

    /// Waits for what became of a claim.
    public func outcome(of claim: String) async throws -> ClaimOutcome {
        try await eventually("an answer to the claim \(claim)") { history.claims[claim] }
    }

    /// Waits until everything the master had to say about earlier calls is in the journal: asks
    /// about a task that nobody knows, which is answered after them.
    public func settled() async throws {
        let barrier = TaskID("barrier-\(journal.nextNumber())")
        call(.reconcile([ReconcileTask(taskID: barrier)]))
        try await eventually("an answer about \(barrier)") {
            history.updates.contains { $0.taskID == barrier }
        }
    }

    /// Launches tasks; what is left of the offer comes back at once.
    public func launch(
        _ tasks: [TaskInfo], on offer: Offer, refuse: Duration = .zero
    ) {
        call(
            .accept(
                offers: [offer.id], operations: [Operation(action: .launch(tasks))],
                filters: Filters(refuse: refuse)))
    }

    /// Launches one shell command on the next offer and waits until it runs.
    @discardableResult
    public func run(_ id: TaskID, _ command: String) async throws -> TaskStatus {
        let offer = try await offer("an offer for \(id)") { $0.resources.cpus >= Milli(1) }
        launch([TaskInfo(id, command, on: offer)], on: offer)
        return try await update(id, .running)
    }
}

/// What has happened to a ``Probe``.
public struct ProbeHistory: Sendable {
    /// The ids under which it was subscribed, one per subscription.
    public internal(set) var subscriptions: [FrameworkID] = []
    /// How often the subscription broke.
    public internal(set) var disconnections = 0
    /// Every offer it got.
    public internal(set) var offers: [Offer] = []
    /// Every offer that was taken back.
    public internal(set) var rescinded: [OfferID] = []
    /// Every update.
    public internal(set) var updates: [TaskStatus] = []
    /// Bytes from executors.
    public internal(set) var messages: [[UInt8]] = []
    /// The agents and executors that failed.
    public internal(set) var failures: [(agent: AgentID?, executor: ExecutorID?)] = []
    /// The outcome of operations.
    public internal(set) var operations: [OperationStatus] = []
    /// The outcome of claims, by their ids.
    public internal(set) var claims: [String: ClaimOutcome] = [:]
    /// The steps of the stream of cluster state.
    public internal(set) var steps: [ClusterState] = []
    /// Every request to leave.
    public internal(set) var inverseOffers: [InverseOffer] = []
    /// The requests to leave that were taken back.
    public internal(set) var inverseRescinded: [OfferID] = []
    /// The pauses that it was told of.
    public internal(set) var backOffs: [(role: String, declines: Int, pause: Duration)] = []
    /// Why demands and changes of its description were refused.
    public internal(set) var refusals: [String] = []
    /// Why it was ended.
    public internal(set) var ended: String?

    /// The states of a task, in the order of the updates.
    public func states(of task: TaskID) -> [TaskState] {
        updates.filter { $0.taskID == task }.map(\.state)
    }
}

final class ProbeJournal: Sendable {
    private struct State {
        var history = ProbeHistory()
        var open: [Offer] = []
        var number = 0
    }

    private let state = Mutex(State())

    var history: ProbeHistory { state.withLock { $0.history } }

    func nextNumber() -> Int {
        state.withLock { state in
            state.number += 1
            return state.number
        }
    }

    func take(where isWanted: (Offer) -> Bool) -> Offer? {
        state.withLock { state in
            state.open.firstIndex(where: isWanted).map { state.open.remove(at: $0) }
        }
    }

    func note(_ happening: Happening<SchedulerCall>) {
        state.withLock { state in
            switch happening {
            case .subscribed(let id, _):
                state.history.subscriptions.append(id)
                state.open = []
            case .disconnected:
                state.history.disconnections += 1
                state.open = []
            case .offers(let offers):
                state.history.offers += offers
                state.open += offers
            case .rescinded(let id):
                state.history.rescinded.append(id)
                state.open.removeAll { $0.id == id }
            case .update(let status): state.history.updates.append(status)
            case .message(_, _, let data): state.history.messages.append(data)
            case .failure(let agent, let executor, _):
                state.history.failures.append((agent, executor))
            case .operation(let status): state.history.operations.append(status)
            case .ended(let reason): state.history.ended = reason
            case .inverseOffers(let offers): state.history.inverseOffers += offers
            case .inverseRescinded(let id): state.history.inverseRescinded.append(id)
            case .updateRefused(let problem): state.history.refusals.append(problem)
            case .claimAnswer(let id, let outcome): state.history.claims[id] = outcome
            case .cluster(let step): state.history.steps.append(step)
            case .backedOff(let role, let declines, let pause):
                state.history.backOffs.append((role, declines, pause))
            case .command: break
            }
        }
    }
}

struct ProbePolicy: FrameworkPolicy {
    mutating func handle(
        _ happening: Happening<SchedulerCall>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Happening<SchedulerCall>>>
    ) {
        if case .command(let call) = happening {
            actions.append(.call(call))
        } else {
            actions.append(.output(happening))
        }
    }
}

extension TaskInfo {
    /// A task of one shell command.
    public init(
        _ id: TaskID, _ command: String, on offer: Offer,
        cpus: Milli = Milli(thousandths: 100), mem: Milli = Milli(32)
    ) {
        var budget = OfferBudget(offer)
        self.init(
            name: id.value, id: id, agentID: offer.agentID,
            resources: budget.take(cpus: cpus, mem: mem) ?? Resources(cpus: cpus, mem: mem),
            command: CommandInfo(value: command))
    }
}
