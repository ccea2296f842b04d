internal import HeapModule
internal import ProfferKernel
internal import ProfferSession

/// What is to happen at an instant; the queue is ordered by instant and then by the order in which
/// things were put in, and nothing else decides about order.
struct Event: Comparable {
    enum Kind {
        case wake(process: Int, stamp: UInt32)
        case frame(connection: Int, Direction, generation: UInt32)
        case connect(connection: Int, generation: UInt32)
        case action(Int)
    }

    let at: Int64
    let serial: UInt64
    let kind: Kind

    static func < (left: Event, right: Event) -> Bool {
        left.at != right.at ? left.at < right.at : left.serial < right.serial
    }

    static func == (left: Event, right: Event) -> Bool { left.serial == right.serial }
}

/// Everything there is in one run: time, processes, nodes, network, coordinator, and those who
/// watch.
final class World {
    let plan: Plan
    let workloads: [SimulatedFramework]
    let bug: PlantedBug?
    private(set) var now: Int64 = 0
    private var queue = Heap<Event>()
    private var serial: UInt64 = 0
    private var actions: ContiguousArray<(() -> Void)?> = []
    private var freeActions: [Int] = []

    var chance: Chance
    var arena = MessageArena()
    var network: Network
    /// Which connection each route of a ROUTER belongs to.
    var routes = LookupTable<UInt64, Route>()
    var freeConnections: [Int] = []
    /// Handshakes that a process that is stopped has not answered yet.
    var openHandshakes: [OpenHandshake] = []
    var processes: [SimulatedProcess] = []
    var nodes: [Node] = []
    var masters: [MasterProcess] = []
    var agents: [AgentProcess] = []
    var frameworks: [FrameworkShell] = []
    var coordinator: Coordinator
    var transcript: Transcript
    var judge: Judge
    var tally = FaultTally()
    var eventCount: UInt64 = 0
    /// Whether anybody looks at what happens.
    var isWatched = true
    /// Measures how long turns of the master take, when that counts.
    var stopwatch: (@Sendable () -> Int64)?
    /// What those turns have taken together.
    var busy: Int64 = 0
    /// When the turn that is measured began, by the stopwatch.
    private var turnStart: Int64?
    /// Whether faults have stopped for good.
    var isQuiet = false
    private var sameInstant = 0

    init(plan: Plan, workloads: [SimulatedFramework], bug: PlantedBug?, transcript: Transcript) {
        self.plan = plan
        self.workloads = workloads
        self.bug = bug
        self.transcript = transcript
        chance = Chance(seed: plan.seed)
        network = Network(nodes: plan.nodeCount, latency: plan.latency)
        coordinator = Coordinator(
            isShared: plan.masters > 1, ignoresFences: bug == .deposedMasterWrites)
        judge = Judge(plan: plan, bug: bug)
    }

    // MARK: Time

    func at(_ time: Int64, _ kind: Event.Kind) {
        serial += 1
        queue.insert(Event(at: max(time, now), serial: serial, kind: kind))
    }

    /// Lets something happen after a span.
    func after(_ span: Int64, _ body: @escaping () -> Void) {
        let index: Int
        if let free = freeActions.popLast() {
            index = free
            actions[index] = body
        } else {
            index = actions.count
            actions.append(body)
        }
        at(now + span, .action(index))
    }

    /// Runs until an instant, or until something is found wrong.
    func run(until end: Int64) {
        while judge.first == nil, let event = queue.min, event.at <= end {
            queue.removeMin()
            if event.at > now {
                now = event.at
                sameInstant = 0
            }
            sameInstant += 1
            eventCount += 1
            if sameInstant > 1_000_000 {
                judge.report("L12", "the cluster does not get beyond an instant")
                return
            }
            perform(event.kind)
        }
        if judge.first == nil { now = max(now, end) }
    }

    private func perform(_ kind: Event.Kind) {
        switch kind {
        case .wake(let process, let stamp): processes[process].wake(stamp: stamp)
        case .frame(let connection, let direction, let generation):
            deliver(connection, direction, generation)
        case .connect(let connection, let generation): connect(connection, generation)
        case .action(let index):
            let body = actions[index]
            actions[index] = nil
            freeActions.append(index)
            body?()
        }
    }

    // MARK: Processor time

    /// Lets a turn of a master pass and says how long it took; no time at all without a stopwatch.
    func measure(_ turn: () -> Void) -> Int64 {
        guard let stopwatch else {
            turn()
            return 0
        }
        let start = stopwatch()
        turnStart = start
        turn()
        turnStart = nil
        let span = stopwatch() - start
        busy += span
        return span
    }

    /// How much of the turn that is being measured has passed.
    var passedOfTurn: Int64 {
        guard let turnStart, let stopwatch else { return 0 }
        return stopwatch() - turnStart
    }

    // MARK: Those who watch

    /// Tells what has crossed a boundary.
    func note(_ occurrence: @autoclosure () -> Occurrence) {
        guard isWatched else { return }
        let occurrence = occurrence()
        transcript.append(occurrence, at: now)
        judge.observe(occurrence, in: self)
    }

    /// Counts a fault that has really happened.
    func hit(_ kind: FaultKind) {
        tally.hit(kind)
        transcript.append(kind, at: now)
    }

    func add(_ process: SimulatedProcess) { processes.append(process) }

    /// Lets go of everything that refers back to the world, so that a run leaves no memory behind.
    func dismantle() {
        queue = Heap()
        actions = []
        freeActions = []
        for node in nodes { node.clear() }
    }
}
