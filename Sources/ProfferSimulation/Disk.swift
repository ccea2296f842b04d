internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

/// Facts under keys, as a database keeps them: what is in here survives everything.
struct KeptFacts<Record: Sendable> {
    private var table = OrderedTable<String, Record>()
    private let describe: (Record) -> (key: String, isRemoval: Bool)

    init(describe: @escaping (Record) -> (key: String, isRemoval: Bool)) {
        self.describe = describe
    }

    var all: [Record] { Array(table.values) }

    mutating func apply(_ records: [Record]) {
        for record in records {
            let (key, isRemoval) = describe(record)
            table[key] = isRemoval ? nil : record
        }
    }

    mutating func wipe() { table.removeAll() }
}

extension KeptFacts<AgentRecord> {
    static func ofAgent() -> KeptFacts<AgentRecord> {
        KeptFacts { record in
            switch record {
            case .identity: ("identity", false)
            case .framework(let id, let value): ("framework/\(id)", value == nil)
            case .executor(let key, let value):
                ("executor/\(key.framework)/\(key.executor)", value == nil)
            case .task(let key, let value): ("task/\(key.framework)/\(key.task)", value == nil)
            case .update(let key, let sequence, let value):
                ("update/\(key.framework)/\(key.task)/\(sequence)", value == nil)
            }
        }
    }
}

extension KeptFacts<MasterRecord> {
    static func ofMaster() -> KeptFacts<MasterRecord> {
        KeptFacts { record in
            switch record {
            case .agent(let id, let value): ("agent/\(id)", value == nil)
            case .framework(let id, let value): ("framework/\(id)", value == nil)
            case .weight(let role, let value): ("weight/\(role)", value == nil)
            case .quota(let role, let value): ("quota/\(role)", value == nil)
            case .whitelist: ("whitelist", false)
            case .priorityLimit(let role, let value): ("priority/\(role)", value == nil)
            case .maintenance(let value): ("maintenance", value == nil)
            case .epoch: ("epoch", false)
            }
        }
    }
}

/// How a disk, or what stands for one, behaves now.
struct DiskWeather {
    var meanLatency: Int64 = 2 * Span.millisecond
    /// Added to every write until then.
    var slowUntil: Int64 = 0
    /// No write succeeds until then.
    var fullUntil: Int64 = 0
    /// The next write fails.
    var failsOnce = false
    /// The next write is done, but its owner hears of a failure.
    var losesAnswer = false
}

/// The writes of one process that are under way to durable storage, in order.
///
/// After one failure everything later fails: the process has to start anew.
final class WriteQueue<Record: Sendable> {
    private struct Write {
        var records: [Record]
        var ticket: UInt64
    }

    private unowned let process: SimulatedProcess
    private var pending: Deque<Write> = []
    private var lastDone: Int64 = 0
    private var hasFailed = false
    private var generation = 0
    var weather = DiskWeather()
    /// Applies records, or says that they may not be.
    private let apply: ([Record]) -> Bool

    init(_ process: SimulatedProcess, apply: @escaping ([Record]) -> Bool) {
        self.process = process
        self.apply = apply
    }

    func submit(_ records: [Record], ticket: UInt64) {
        let world = process.world
        pending.append(Write(records: records, ticket: ticket))
        if world.bug == .acknowledgedBeforeSync {
            let current = generation
            world.after(0) { [self] in
                if current == generation { process.arrive(.mail(.committed(ticket: ticket))) }
            }
        }
        var span = world.chance.disk.span(around: weather.meanLatency)
        if weather.slowUntil > world.now {
            world.hit(.diskSlow)
            span += 200 * Span.millisecond + world.chance.disk.below(3 * Span.second)
            // A controller that resets answers after a minute or more.
            if world.chance.disk.hits(20) { span += 70 * Span.second }
        }
        lastDone = max(lastDone, world.now + span)
        let current = generation
        world.after(lastDone - world.now) { [self] in
            if current == generation { finish() }
        }
    }

    private func finish() {
        guard let write = pending.popFirst() else { return }
        let world = process.world
        var isDone = !hasFailed
        if isDone, weather.fullUntil > world.now {
            world.hit(.diskFull)
            isDone = false
        }
        if isDone, weather.failsOnce {
            world.hit(.diskErrorOnce)
            weather.failsOnce = false
            isDone = false
        }
        if isDone { isDone = apply(write.records) }
        if isDone, weather.losesAnswer {
            world.hit(.commitAnswerLost)
            weather.losesAnswer = false
            isDone = false
        }
        if world.bug == .acknowledgedBeforeSync, isDone { return }
        if world.bug == .failedCommitIgnored { isDone = true }
        hasFailed = hasFailed || !isDone
        process.arrive(.mail(isDone ? .committed(ticket: write.ticket) : .commitFailed))
    }

    /// The process ends: of what was under way, some of the first writes have reached the medium.
    func crash() {
        let world = process.world
        let count = world.chance.disk.below(pending.count + 1)
        if count < pending.count { world.hit(.unsyncedTailLost) }
        if !hasFailed, weather.fullUntil <= world.now {
            for (index, write) in pending.prefix(count).enumerated() {
                // Of the last one only a part was written: a journal finds that out and drops it.
                if index == count - 1, count > 0, world.chance.disk.hits(300) {
                    world.hit(.tornWrite)
                    continue
                }
                _ = apply(write.records)
            }
        }
        pending = []
        generation += 1
        hasFailed = false
        lastDone = 0
    }
}
