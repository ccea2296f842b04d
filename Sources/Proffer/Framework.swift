internal import Glibc
public import Logging
internal import ProfferKernel
public import ProfferModel
internal import ProfferTransport

/// A framework with an async face: the quick way to write one.
///
/// The methods are called one after another, in the order in which things happened; an update is
/// acknowledged when ``statusUpdate(_:_:)`` returns. `@main` on a conforming type makes it a
/// program that connects as ``MasterConnection/fromEnvironment()`` says. Where every decision has
/// to be testable without a cluster, write a `FrameworkPolicy` instead.
public protocol Framework: Sendable {
    /// Makes the framework when the program starts.
    init() async throws

    /// Who it is.
    var info: FrameworkInfo { get }

    /// What it wants from the beginning; `nil`, which is the default, makes it a classic framework
    /// that is offered whatever is free.
    ///
    /// An empty list says that it is going to state demand with ``Scheduler/demand(_:)``, for
    /// instance in ``subscribed(_:_:)``: it is offered nothing before it has.
    var demands: [Demand]? { get }

    /// New offers, to be accepted or declined.
    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) async throws

    /// News of a task.
    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) async throws

    /// The subscription holds; offers from before are void.
    func subscribed(_ id: FrameworkID, _ scheduler: Scheduler) async throws

    /// There is no subscription now; another one is being sought.
    func disconnected(_ scheduler: Scheduler) async throws

    /// An offer is void.
    func rescinded(_ offer: OfferID, _ scheduler: Scheduler) async throws

    /// Bytes from an executor.
    func message(
        _ data: [UInt8], from executor: ExecutorID, on agent: AgentID, _ scheduler: Scheduler
    ) async throws

    /// An agent was lost (no executor), or an executor ended with this wait status.
    func failure(
        agent: AgentID?, executor: ExecutorID?, status: Int?, _ scheduler: Scheduler
    ) async throws

    /// Requests to leave agents; or, for those that name tasks, the news that these will be killed
    /// to make room for others.
    func inverseOffers(_ offers: [InverseOffer], _ scheduler: Scheduler) async throws

    /// A request to leave is void: the tasks it names may stay.
    func inverseRescinded(_ offer: OfferID, _ scheduler: Scheduler) async throws

    /// What became of a claim. One that was under way when the subscription ended has no answer:
    /// news of its tasks tells.
    func claimAnswered(
        _ id: String, _ outcome: ClaimOutcome, _ scheduler: Scheduler
    ) async throws

    /// A step of the stream of cluster state, for a `WatchedCluster`; a new stream begins by itself
    /// after a new subscription.
    func clusterChanged(_ step: ClusterState, _ scheduler: Scheduler) async throws

    /// So many offers of a role were given back without a use that the next ones come after this
    /// pause; to state demand, to revive or to use an offer ends that.
    func backedOff(
        role: String, declines: Int, pause: Duration, _ scheduler: Scheduler
    ) async throws

    /// A change of the framework's description was refused, and why; what it was before holds.
    func updateRefused(_ problem: String, _ scheduler: Scheduler) async throws
}

extension Framework {
    /// A classic framework.
    public var demands: [Demand]? { nil }
    /// Does nothing.
    public func inverseRescinded(_ offer: OfferID, _ scheduler: Scheduler) async throws {}
    /// Does nothing.
    public func subscribed(_ id: FrameworkID, _ scheduler: Scheduler) async throws {}
    /// Does nothing.
    public func disconnected(_ scheduler: Scheduler) async throws {}
    /// Does nothing.
    public func rescinded(_ offer: OfferID, _ scheduler: Scheduler) async throws {}
    /// Does nothing.
    public func message(
        _ data: [UInt8], from executor: ExecutorID, on agent: AgentID, _ scheduler: Scheduler
    ) async throws {}
    /// Does nothing.
    public func failure(
        agent: AgentID?, executor: ExecutorID?, status: Int?, _ scheduler: Scheduler
    ) async throws {}
    /// Does nothing.
    public func inverseOffers(
        _ offers: [InverseOffer], _ scheduler: Scheduler
    ) async throws {}
    /// Does nothing.
    public func claimAnswered(
        _ id: String, _ outcome: ClaimOutcome, _ scheduler: Scheduler
    ) async throws {}
    /// Does nothing.
    public func clusterChanged(_ step: ClusterState, _ scheduler: Scheduler) async throws {}
    /// Does nothing.
    public func backedOff(
        role: String, declines: Int, pause: Duration, _ scheduler: Scheduler
    ) async throws {}
    /// Does nothing.
    public func updateRefused(_ problem: String, _ scheduler: Scheduler) async throws {}

    /// Runs the framework until it stops itself, is stopped by TERM or INT, or fails.
    @concurrent
    public static func main() async {
        let logger = Logger(label: "framework")
        do {
            let framework = try await Self()
            try await framework.run(
                connection: .fromEnvironment(), logger: logger, stopsOnSignals: true)
        } catch {
            FileDescriptorText.standardError("error: \(error)\n")
            exit(1)
        }
    }

    /// Runs the framework until it stops itself, the task is cancelled, or a method throws.
    ///
    /// - Parameters:
    ///   - connection: How to reach the master.
    ///   - logger: For what an operator should know.
    ///   - stopsOnSignals: Whether TERM and INT stop it.
    /// - Throws: What a method threw, or ``FrameworkEnded``.
    public func run(
        connection: MasterConnection, logger: Logger = Logger(label: "framework"),
        stopsOnSignals: Bool = false
    ) async throws {
        let (happenings, continuation) = AsyncStream.makeStream(
            of: Happening<Never>.self, bufferingPolicy: .bufferingOldest(100_000))
        var options = FrameworkOptions(info: info)
        options.acknowledgement = .manual
        options.demands = demands
        let runner = try FrameworkRunner(
            policy: RelayPolicy(), options: options, connection: connection, logger: logger,
            outputs: { happenings in
                for happening in happenings {
                    if case .dropped = continuation.yield(happening) { throw TooSlow() }
                }
            })
        let scheduler = Scheduler(
            post: { runner.post($0) }, stop: { runner.stop(teardown: $0) })
        if stopsOnSignals { StopSignals.install { runner.stop() } }
        try runner.start()
        let delivery = Task {
            for await happening in happenings { try await deliver(happening, scheduler) }
        }
        let ending = Task {
            let result = await delivery.result
            runner.stop()
            return try result.get()
        }
        try await withTaskCancellationHandler {
            do {
                try await runner.finished()
                continuation.finish()
                try await ending.value
            } catch {
                continuation.finish()
                try await ending.value
                throw error
            }
        } onCancel: {
            runner.stop()
        }
    }

    private func deliver(_ happening: Happening<Never>, _ scheduler: Scheduler) async throws {
        switch happening {
        case .subscribed(let id, _): try await subscribed(id, scheduler)
        case .disconnected: try await disconnected(scheduler)
        case .offers(let offers): try await resourceOffers(offers, scheduler)
        case .rescinded(let id): try await rescinded(id, scheduler)
        case .update(let status):
            try await statusUpdate(status, scheduler)
            if let uuid = status.uuid, let agent = status.agentID {
                scheduler.call(.acknowledge(status.taskID, agent: agent, uuid: uuid))
            }
        case .message(let agent, let executor, let data):
            try await message(data, from: executor, on: agent, scheduler)
        case .failure(let agent, let executor, let status):
            try await failure(agent: agent, executor: executor, status: status, scheduler)
        case .updateRefused(let problem): try await updateRefused(problem, scheduler)
        case .inverseOffers(let offers): try await inverseOffers(offers, scheduler)
        case .inverseRescinded(let id): try await inverseRescinded(id, scheduler)
        case .claimAnswer(let id, let outcome):
            try await claimAnswered(id, outcome, scheduler)
        case .cluster(let step): try await clusterChanged(step, scheduler)
        case .backedOff(let role, let declines, let pause):
            try await backedOff(role: role, declines: declines, pause: pause, scheduler)
        case .operation, .ended: break
        }
    }
}

/// What a framework can say to the master; usable from anywhere.
public struct Scheduler: Sendable {
    private let post: @Sendable (SchedulerCall) -> Void
    private let end: @Sendable (Bool) -> Void

    init(
        post: @escaping @Sendable (SchedulerCall) -> Void,
        stop: @escaping @Sendable (Bool) -> Void
    ) {
        self.post = post
        end = stop
    }

    /// Says anything.
    public func call(_ call: SchedulerCall) { post(call) }

    /// Uses an offer for tasks; the rest is declined for `refuse` (5 seconds when `nil`).
    public func launch(_ tasks: [TaskInfo], on offer: Offer, refuse: Duration? = nil) {
        post(
            .accept(
                offers: [offer.id], operations: [Operation(action: .launch(tasks))],
                filters: refuse.map { Filters(refuse: $0) }))
    }

    /// Gives an offer back for `refuse` (5 seconds when `nil`).
    public func decline(_ offer: Offer, refuse: Duration? = nil) {
        post(.decline(offers: [offer.id], filters: refuse.map { Filters(refuse: $0) }))
    }

    /// Kills a task; repeated until the task has ended.
    public func kill(_ task: TaskID, policy: KillPolicy? = nil) {
        post(.kill(task, agent: nil, policy: policy))
    }

    /// Wants offers again.
    public func revive() { post(.revive(roles: [])) }

    /// Wants no offers for now.
    public func suppress() { post(.suppress(roles: [])) }

    /// States what is wanted from now on, in place of everything stated before; said again after
    /// every new subscription.
    ///
    /// From now on there are only offers for these demands. An empty list makes the framework a
    /// classic one again, which is offered whatever is free; to want nothing, state a count of 0
    /// or suppress.
    public func demand(_ wanted: [Demand]) { post(.demand(wanted)) }

    /// Uses offers of several agents, all parts or none, such as those of one gang; the rest is
    /// declined for `refuse` (5 seconds when `nil`).
    public func acceptTogether(_ parts: [OfferAcceptance], refuse: Duration? = nil) {
        post(.acceptTogether(parts, filters: refuse.map { Filters(refuse: $0) }))
    }

    /// Takes resources that were not offered, all parts or none;
    /// ``Framework/claimAnswered(_:_:_:)`` tells what became of it.
    ///
    /// - Parameters:
    ///   - id: A name for the claim, which its answer carries.
    ///   - parts: What is taken of each agent, and what is done with it.
    public func claim(_ id: String, _ parts: [ClaimPart]) {
        post(.claim(Claim(id: id, parts: parts)))
    }

    /// Begins to watch the cluster's state, or ends it; see
    /// ``Framework/clusterChanged(_:_:)``.
    public func watchCluster(_ isWanted: Bool = true) { post(.watchCluster(isWanted)) }

    /// Ends the program.
    ///
    /// Tasks live on for the failover time-out, or end with it when `teardown` is set. Without a
    /// master to tell, the teardown waits for one, for ``FrameworkOptions/teardownPatience`` at
    /// most.
    public func stop(teardown: Bool = true) { end(teardown) }
}

/// Hands everything on: the decisions are made in async code.
struct RelayPolicy: FrameworkPolicy {
    typealias Command = SchedulerCall
    typealias Output = Happening<Never>

    mutating func handle(
        _ happening: Happening<SchedulerCall>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Happening<Never>>>
    ) {
        switch happening {
        case .command(let call): actions.append(.call(call))
        case .subscribed(let id, let master):
            actions.append(.output(.subscribed(id, master: master)))
        case .disconnected: actions.append(.output(.disconnected))
        case .offers(let offers): actions.append(.output(.offers(offers)))
        case .rescinded(let id): actions.append(.output(.rescinded(id)))
        case .update(let status): actions.append(.output(.update(status)))
        case .message(let agent, let executor, let data):
            actions.append(.output(.message(agent: agent, executor: executor, data: data)))
        case .failure(let agent, let executor, let status):
            actions.append(.output(.failure(agent: agent, executor: executor, status: status)))
        case .inverseOffers(let offers): actions.append(.output(.inverseOffers(offers)))
        case .inverseRescinded(let id): actions.append(.output(.inverseRescinded(id)))
        case .operation(let status): actions.append(.output(.operation(status)))
        case .updateRefused(let problem): actions.append(.output(.updateRefused(problem)))
        case .claimAnswer(let id, let outcome):
            actions.append(.output(.claimAnswer(id: id, outcome)))
        case .cluster(let step): actions.append(.output(.cluster(step)))
        case .backedOff(let role, let declines, let pause):
            actions.append(
                .output(.backedOff(role: role, declines: declines, pause: pause)))
        case .ended(let reason): actions.append(.output(.ended(reason)))
        }
    }
}

struct TooSlow: Error, CustomStringConvertible {
    var description: String { "the framework takes events in too slowly" }
}
