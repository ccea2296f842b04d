internal import ProfferFramework
internal import ProfferKernel
internal import ProfferModel

/// A framework of the Mesos paper's test of scale (NSDI 2011, section 6.5): it launches one task on
/// each agent that it is offered.
struct ScaleWorkload: FrameworkPolicy {
    enum Command: Sendable { case none }
    enum Output: Sendable { case none }

    private struct Launch {
        var launchedAt: Instant
        var duration: Duration
    }

    /// How long a task took beyond its own time, and when it was launched.
    struct Overhead: Sendable {
        var launchedAt: Instant
        var span: Duration
    }

    private let prefix: String
    private let start: Instant
    /// How long its only task runs; `nil` for one that always wants more, of random length.
    private let probe: Duration?
    private var generator: SeededGenerator
    private var tasks = LookupTable<TaskID, Launch>()
    private var launched = 0
    private(set) var overheads: [Overhead] = []
    /// From the start of its process to the end of its only task, without the task's own time.
    private(set) var probeOverhead: Duration?
    /// How tasks ended that did not finish, and how often.
    private(set) var failures = OrderedTable<String, Int>()

    init(_ prefix: String, probe: Duration?, seed: UInt64, at start: Instant) {
        self.prefix = prefix
        self.probe = probe
        self.start = start
        generator = SeededGenerator(seed: seed)
    }

    var nextDeadline: Instant? { nil }

    mutating func wake(at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>) {}

    mutating func handle(
        _ happening: Happening<Command>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        switch happening {
        case .offers(let offers): take(offers, at: now, into: &actions)
        case .update(let status): take(status, at: now)
        default: break
        }
    }

    private mutating func take(
        _ offers: [Offer], at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        var rest: [OfferID] = []
        for offer in offers {
            guard probe == nil || launched == 0, offer.resources.contains(Self.resources) else {
                rest.append(offer.id)
                continue
            }
            let duration = probe ?? nextDuration()
            let id = TaskID("\(prefix)-\(launched)-\(duration.inNanoseconds / Span.millisecond)")
            launched += 1
            tasks[id] = Launch(launchedAt: now, duration: duration)
            let info = TaskInfo(
                name: "task", id: id, agentID: offer.agentID, resources: Self.resources,
                command: CommandInfo(value: "compute"))
            actions.append(
                .call(
                    .accept(
                        offers: [offer.id], operations: [Operation(action: .launch([info]))],
                        filters: Filters(refuse: .zero))))
        }
        if !rest.isEmpty {
            actions.append(.call(.decline(offers: rest, filters: Filters(refuse: .seconds(600)))))
        }
    }

    private mutating func take(_ status: TaskStatus, at now: Instant) {
        guard status.state.isTerminal, let task = tasks.remove(status.taskID) else { return }
        guard status.state == .finished else {
            let reason = status.reason.map { " \($0.name)" } ?? ""
            failures[status.state.name + reason] = (failures[status.state.name + reason] ?? 0) + 1
            return
        }
        overheads.append(
            Overhead(launchedAt: task.launchedAt, span: now - task.launchedAt - task.duration))
        if let probe { probeOverhead = now - start - probe }
    }

    static let resources = Resources(cpus: Milli(1), mem: Milli(512))

    /// Thirty seconds with a standard deviation of ten, in whole milliseconds: the sum of twelve
    /// even draws has nearly the shape of a normal distribution.
    private mutating func nextDuration() -> Duration {
        var sum: Int64 = 0
        for _ in 0..<12 { sum += generator.below(10_000) }
        return .milliseconds(max(1000, 30_000 + sum - 60_000))
    }

    /// What a task does, by its id.
    static func behavior(of id: TaskID) -> SimulatedTask {
        var task = SimulatedTask()
        let digits = id.value.split(separator: "-").last.flatMap { Int64($0) }
        task.duration = .milliseconds(digits ?? 30_000)
        return task
    }
}
