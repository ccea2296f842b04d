import Proffer
@_spi(Driver) import ProfferKernel

@testable import BatchPolicy

/// A scheduler with a hand-held clock, and what it said last.
struct Bench {
    var scheduler: BatchScheduler
    var now = Instant(nanoseconds: 1_000_000_000)
    var calls: [SchedulerCall] = []
    var changes: [BatchChange] = []
    var answers: [BatchAnswer] = []
    var collections: [Collection] = []
    /// Everything that was ever kept, as a store would hold it.
    var kept = Kept()
    private var offers = 0
    private var tickets: UInt64 = 0

    static let framework: FrameworkID = "f-1"
    static let start = WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000)

    static func options(_ change: (inout BatchOptions) -> Void = { _ in }) -> BatchOptions {
        var options = BatchOptions(
            clock: WallClock(Instant(nanoseconds: 1_000_000_000), is: start))
        change(&options)
        return options
    }

    init(isSubscribed: Bool = true, _ change: (inout BatchOptions) -> Void = { _ in }) {
        scheduler = BatchScheduler(options: Self.options(change))
        if isSubscribed { subscribe() }
    }

    /// A scheduler that finds what `earlier` has kept, after `pause`.
    init(after earlier: Bench, pause: Duration = .zero) {
        now = earlier.now + pause
        kept = earlier.kept
        scheduler = BatchScheduler(
            restoring: kept.records, frameworkID: Self.framework, options: Self.options(),
            at: now)
        offers = earlier.offers
        tickets = earlier.tickets
    }

    mutating func subscribe(_ id: FrameworkID = Bench.framework) {
        handle(.subscribed(id, master: MasterInfo(id: "m", hostname: "m", version: "1")))
    }

    mutating func handle(_ happening: Happening<BatchCommand>) {
        var outbox = Outbox<FrameworkAction<BatchOutput>>()
        scheduler.handle(happening, at: now, into: &outbox)
        take(&outbox)
    }

    mutating func advance(_ span: Duration) {
        now = now + span
        var outbox = Outbox<FrameworkAction<BatchOutput>>()
        scheduler.wake(at: now, into: &outbox)
        take(&outbox)
    }

    private mutating func take(_ outbox: inout Outbox<FrameworkAction<BatchOutput>>) {
        calls = []
        changes = []
        answers = []
        collections = []
        for action in outbox.takeAll() {
            switch action {
            case .call(let call): calls.append(call)
            case .output(.persist(let list)):
                changes += list
                for change in list { kept.take(change) }
            case .output(.answer(_, let answer)): answers.append(answer)
            case .output(.collect(let collection)): collections.append(collection)
            }
        }
    }

    // MARK: Users

    mutating func ask(_ command: (Ticket) -> BatchCommand) -> BatchAnswer? {
        tickets += 1
        handle(.command(command(Ticket(tickets))))
        return answers.first
    }

    @discardableResult
    mutating func submit(_ tasks: TaskSpecification...) -> String {
        submit(JobSpecification(name: "job", tasks: tasks))
    }

    @discardableResult
    mutating func submit(_ name: String, priority: Int = 0, _ tasks: TaskSpecification...)
        -> String
    {
        submit(JobSpecification(name: name, priority: priority, tasks: tasks))
    }

    private mutating func submit(_ job: JobSpecification) -> String {
        guard case .job(let view) = ask({ .submit(job, $0) }) else { return "refused" }
        return view.id
    }

    mutating func show(_ job: String) -> JobView? {
        guard case .job(let view) = ask({ .show(job: job, $0) }) else { return nil }
        return view
    }

    mutating func instances(_ job: String) -> [InstanceView] {
        let answer = ask {
            .instances(job: job, task: nil, state: nil, from: 0, limit: 1000, $0)
        }
        guard case .instances(let views, _) = answer else { return [] }
        return views
    }

    // MARK: The cluster

    /// Offers an agent and returns the ids of the tasks that were launched on it.
    @discardableResult
    mutating func offer(
        cpus: Int = 1, mem: Int = 1024, disk: Int = 0, agent: AgentID = "a-1"
    ) -> [String] {
        offers += 1
        let offer = Offer(
            id: OfferID("o-\(offers)"), frameworkID: Self.framework, agentID: agent,
            hostname: "host-\(agent)", agentPort: 5051,
            resources: Resources(cpus: Milli(cpus), mem: Milli(mem), disk: Milli(disk)),
            role: "*")
        handle(.offers([offer]))
        return launched.map(\.id.value)
    }

    var launched: [TaskInfo] {
        calls.flatMap { call -> [TaskInfo] in
            guard case .accept(_, let operations, _) = call else { return [] }
            return operations.flatMap { operation -> [TaskInfo] in
                guard case .launch(let tasks) = operation.action else { return [] }
                return tasks
            }
        }
    }

    var killed: [String] {
        calls.compactMap { call in
            guard case .kill(let id, _, _) = call else { return nil }
            return id.value
        }
    }

    var refusal: Duration? {
        for call in calls {
            switch call {
            case .accept(_, _, let filters), .decline(_, let filters): return filters?.refuse
            case _: break
            }
        }
        return nil
    }

    var hasSuppressed: Bool { calls.contains(.suppress(roles: [])) }
    var hasRevived: Bool { calls.contains(.revive(roles: [])) }

    mutating func update(
        _ task: String, _ state: TaskState, exit: Int? = nil, signal: Int? = nil,
        reason: StatusReason? = nil, message: String? = nil, agent: AgentID = "a-1"
    ) {
        var status = TaskStatus(
            taskID: TaskID(task), state: state, message: message, reason: reason, agentID: agent)
        if exit != nil || signal != nil { status.exit = TaskExit(code: exit, signal: signal) }
        handle(.update(status))
    }

    mutating func finish(_ tasks: [String]) {
        for task in tasks {
            update(task, .running)
            update(task, .finished, exit: 0)
        }
    }
}

/// What a store would hold.
struct Kept {
    private var jobs: [Int64: JobRecord] = [:]
    private var instances: [[Int64]: InstanceRecord] = [:]
    private var lastSequence: Int64 = 0

    mutating func take(_ change: BatchChange) {
        switch change {
        case .job(let record):
            jobs[record.sequence] = record
            lastSequence = max(lastSequence, record.sequence)
        case .instance(let record):
            instances[[record.job, Int64(record.task), Int64(record.index)]] = record
        case .forget(let sequence):
            jobs[sequence] = nil
            instances = instances.filter { $0.key[0] != sequence }
        }
    }

    var records: BatchRecords {
        BatchRecords(
            jobs: jobs.values.sorted { $0.sequence < $1.sequence },
            instances: instances.keys.sorted { $0.lexicographicallyPrecedes($1) }
                .compactMap { instances[$0] },
            lastSequence: lastSequence)
    }
}

func task(
    _ name: String = "t", count: Int = 1, concurrency: Int? = nil, cpus: Int = 1,
    priority: Int? = nil, depends: [String] = [], retry: RetryRule = RetryRule(),
    timeLimit: Duration? = nil, outputs: [String] = [],
    environment: [TaskSpecification.Variable] = []
) -> TaskSpecification {
    TaskSpecification(
        name: name, command: "true", count: count, concurrency: concurrency,
        demand: Demand(cpus: Milli(cpus), mem: Milli(1)), priority: priority, depends: depends,
        environment: environment, retry: retry, timeLimit: timeLimit, outputs: outputs)
}
