internal import Proffer

/// Names an instance while its job is kept.
struct InstanceRef: Hashable, Sendable {
    let job: Slot<JobRow>
    let task: Int
    let index: Int
}

/// What a ``BatchScheduler`` waits for.
enum Timer: Hashable, Sendable {
    /// The back-off of an instance is over.
    case again(InstanceRef)
    /// The agent should have ended the instance by now.
    case overtime(InstanceRef)
    /// The instance's agent has not answered for long enough.
    case unreachable(InstanceRef)
    /// The outputs of an instance have to be asked for again after a restart.
    case collect(InstanceRef)
    /// The oldest ended job has been kept for long enough.
    case retention
}

struct JobRow: Sendable {
    let sequence: Int64
    let id: String
    let name: String
    let priority: Int
    let created: WallTime
    var state = JobState.queued
    /// Where it will get when its running instances have ended.
    var ending: JobState?
    var started: WallTime?
    var ended: WallTime?
    var message: String?
    var exitCode: Int?
    var retries = 0
    var counts = InstanceCounts()
    var tasks: [TaskRow]
    /// Whether its record is to be kept at the end of the turn.
    var isDirty = false

    init(sequence: Int64, id: String, specification: JobSpecification, created: WallTime) {
        self.sequence = sequence
        self.id = id
        name = specification.name
        priority = specification.priority
        self.created = created
        var positions = LookupTable<String, Int>()
        for (index, task) in specification.tasks.enumerated() { positions[task.name] = index }
        tasks = specification.tasks.map(TaskRow.init)
        for (index, task) in specification.tasks.enumerated() {
            for name in OrderedNames(task.depends).names {
                guard let target = positions[name] else { continue }
                tasks[index].blockers += 1
                tasks[target].dependents.append(index)
            }
        }
        for index in tasks.indices {
            let state: InstanceState = tasks[index].blockers > 0 ? .waiting : .ready
            tasks[index].counts[state] = tasks[index].specification.count
            counts[state] += tasks[index].specification.count
        }
    }

    var specification: JobSpecification {
        JobSpecification(name: name, priority: priority, tasks: tasks.map(\.specification))
    }

    var record: JobRecord {
        JobRecord(
            sequence: sequence, id: id, specification: specification, state: state,
            ending: ending, created: created, started: started, ended: ended, retries: retries,
            exitCode: exitCode, message: message)
    }

    mutating func move(
        _ count: Int = 1, of task: Int, from old: InstanceState, to new: InstanceState
    ) {
        guard old != new else { return }
        tasks[task].counts[old] -= count
        tasks[task].counts[new] += count
        counts[old] -= count
        counts[new] += count
    }
}

/// Names without repetition, in the order of first appearance.
private struct OrderedNames {
    var names: [String] = []

    init(_ list: [String]) {
        var known = LookupTable<String, Bool>()
        for name in list where known[name] == nil {
            known[name] = true
            names.append(name)
        }
    }
}

struct TaskRow: Sendable {
    let specification: TaskSpecification
    /// How many tasks have to finish before.
    var blockers = 0
    var dependents: [Int] = []
    /// Those that were launched at least once.
    ///
    /// They are the first so many, because launches are in the order of indexes; the others cost
    /// nothing.
    var instances: ContiguousArray<Instance> = []
    /// Those that can be launched again.
    var again = IndexQueue()
    var counts = InstanceCounts()
    /// As how many single instances it is in the ready queue.
    var queuedInstances = 0
    var isGangQueued = false
    /// Roughly what one launch takes in a message.
    let launchBytes: Int

    init(_ specification: TaskSpecification) {
        self.specification = specification
        launchBytes =
            512 + specification.command.utf8.count
            + specification.environment.reduce(0) { sum, variable in
                sum + variable.name.utf8.count + variable.value.utf8.count + 8
            }
    }

    var unstarted: Int { specification.count - instances.count }

    var isQueued: Bool { queuedInstances > 0 || isGangQueued }

    /// How many instances start at once; 1 is each by itself.
    var gang: Int { specification.gang ?? 1 }

    /// How many more may run.
    private var vacancies: Int {
        blockers == 0 ? max(0, (specification.concurrency ?? .max) - counts.running) : 0
    }

    /// How many instances can be launched one by one; of a task that starts in gangs those that
    /// have started before.
    var singleInstances: Int {
        min(again.count + (gang == 1 ? unstarted : 0), vacancies)
    }

    var canLaunchGang: Bool { gangInstances > 0 }

    /// How many instances can be launched in gangs.
    var gangInstances: Int {
        gang == 1 ? 0 : min(unstarted, vacancies) / gang * gang
    }

    /// The instance to launch next by itself, with a row.
    mutating func takeNext(place: Int, at time: WallTime) -> Int? {
        if let index = again.popFirst() { return index }
        return gang == 1 ? takeNextOfGang(place: place, at: time) : nil
    }

    /// The instance to launch for the first time, with a row.
    mutating func takeNextOfGang(place: Int, at time: WallTime) -> Int? {
        guard unstarted > 0 else { return nil }
        instances.append(Instance(place: place, started: time))
        return instances.count - 1
    }
}

/// An instance that was launched at least once.
struct Instance: Sendable {
    enum Phase: UInt8, Sendable {
        case ready
        case running
        case collecting
        case backingOff
        case finished
        case failed
        case cancelled

        var state: InstanceState {
            switch self {
            case .ready: .ready
            case .running, .collecting: .running
            case .backingOff: .waiting
            case .finished: .finished
            case .failed: .failed
            case .cancelled: .cancelled
            }
        }

        /// The phase as it is kept; one that is ready again has a back-off that is over.
        var kept: InstanceRecord.Phase {
            switch self {
            case .running: .running
            case .collecting: .collecting
            case .ready, .backingOff: .backingOff
            case .finished: .finished
            case .failed: .failed
            case .cancelled: .cancelled
            }
        }

        init(_ kept: InstanceRecord.Phase) {
            switch kept {
            case .running: self = .running
            case .collecting: self = .collecting
            case .backingOff: self = .backingOff
            case .finished: self = .finished
            case .failed: self = .failed
            case .cancelled: self = .cancelled
            }
        }
    }

    var phase = Phase.ready
    var attempts = 0
    var failures = 0
    var losses = 0
    /// An index into the place table.
    var place: Int
    var isUnreachable = false
    var isOvertime = false
    var exitCode: Int?
    var message: String?
    var started: WallTime
    var ended: WallTime?
}

/// First in, first out; amortised O(1).
struct IndexQueue: Sendable {
    private var indexes: ContiguousArray<Int> = []
    private var head = 0

    var isEmpty: Bool { head == indexes.count }
    var count: Int { indexes.count - head }

    mutating func append(_ index: Int) { indexes.append(index) }

    mutating func popFirst() -> Int? {
        guard !isEmpty else { return nil }
        let index = indexes[head]
        head += 1
        if head > 64, head * 2 > indexes.count {
            indexes.removeFirst(head)
            head = 0
        }
        return index
    }

    /// O(n).
    mutating func remove(_ index: Int) {
        guard let position = indexes[head...].firstIndex(of: index) else { return }
        indexes.remove(at: position)
    }

    mutating func removeAll() {
        indexes = []
        head = 0
    }
}

/// Every place where something was launched, once.
struct PlaceTable: Sendable {
    private(set) var places: [Place] = []
    private var indexes = LookupTable<Place, Int>()

    subscript(index: Int) -> Place { places[index] }

    func index(ofAgent agent: AgentID) -> Int? { places.lastIndex { $0.agent == agent } }

    mutating func index(of place: Place) -> Int {
        if let index = indexes[place] { return index }
        places.append(place)
        indexes[place] = places.count - 1
        return places.count - 1
    }
}
