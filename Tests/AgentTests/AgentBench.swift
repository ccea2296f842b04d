import ProfferAgent
@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

/// An agent with a disk, a master and executors that the test plays.
struct AgentBench {
    static let agentID = AgentID("m-S1")
    static let master = PeerID(1)
    static let ownExecutor = ExecutorID("proffer-executor")

    var agent: Agent
    var now = Instant.zero
    /// What the last step asked for.
    var effects: [AgentEffect] = []
    /// Everything committed, in order.
    var disk: [AgentRecord] = []
    var tokens: [ContainerID: String] = [:]
    var launches: [ExecutorLaunch] = []
    var nextPeer: UInt64 = 10
    /// Changes of volumes that are asked for and not answered.
    var volumeChanges = 0
    /// Whether nothing is ever left of a dead executor's tasks.
    var isSwept = true

    static let configuration = AgentConfiguration(workDirectory: "/data")
    static let info = AgentInfo(
        hostname: "node", resources: Resources(cpus: Milli(4), mem: Milli(4096)))

    init(
        _ configuration: AgentConfiguration = AgentBench.configuration,
        replaying records: [AgentRecord] = [], living: [ContainerID] = [], bootID: String = "b1",
        info: AgentInfo = AgentBench.info, oversubscription: Oversubscription? = nil,
        at now: Instant = .zero
    ) {
        agent = Agent(
            configuration: configuration, info: info, bootID: bootID, replaying: records,
            livingExecutors: living,
            wallClock: WallClock(.zero, is: WallTime(nanosecondsSince1970: 0)), seed: 7,
            oversubscription: oversubscription, at: now)
        self.now = now
    }

    // MARK: Steps

    mutating func give(_ input: AgentInput) {
        var outbox = Outbox<AgentEffect>()
        agent.handle(input, at: now, into: &outbox)
        keep(outbox.takeAll())
        answerSweeps()
    }

    private mutating func answerSweeps() {
        for case .sweepTasks(let container, _) in effects where isSwept {
            let before = effects
            give(.tasksSwept(container))
            effects = before + effects
        }
    }

    /// Moves on and wakes the agent at each of its deadlines on the way.
    mutating func pass(_ span: Duration) {
        let end = now + span
        var all: [AgentEffect] = []
        while let deadline = agent.nextDeadline, deadline <= end {
            now = max(now, deadline)
            var outbox = Outbox<AgentEffect>()
            agent.wake(at: now, into: &outbox)
            keep(outbox.takeAll())
            answerSweeps()
            all += effects
        }
        effects = all
        now = end
    }

    private mutating func keep(_ new: ContiguousArray<AgentEffect>) {
        effects = Array(new)
        for (index, effect) in effects.enumerated() {
            switch effect {
            case .commit(let records):
                // The barrier comes before everything that rests on it.
                #expect(index == 0)
                disk += records
            case .launchExecutor(let launch):
                launches.append(launch)
                tokens[launch.containerID] = launch.token
            case .changeVolumes: volumeChanges += 1
            case .tellMaster, .tellExecutor, .findSecrets, .handOver, .dropSecrets, .closePeer,
                .makeSandbox, .killExecutor, .sweepTasks, .resizeExecutor, .discard, .answer,
                .observe, .terminate:
                break
            }
        }
    }

    mutating func fromMaster(_ message: MasterToAgent) {
        give(.master(message, from: Self.master))
    }

    mutating func join() {
        give(.masterOpened(Self.master))
        fromMaster(.registered(Self.agentID, pingTimeout: .seconds(75)))
    }

    /// Lets the master say that it is there.
    mutating func ping() { fromMaster(.ping(number: 1, isConnected: true)) }

    /// Moves on with a master that pings.
    mutating func passPinged(_ seconds: Int) {
        var all: [AgentEffect] = []
        for _ in 0..<seconds {
            ping()
            pass(.seconds(1))
            all += effects
        }
        effects = all
    }

    // MARK: Executors

    static func executor(
        _ call: ExecutorCall, framework: FrameworkID = "f1", id: ExecutorID = ownExecutor
    ) -> ExecutorMessage {
        ExecutorMessage(frameworkID: framework, executorID: id, call: call)
    }

    /// Starts the process of the executor launched last and lets it subscribe.
    mutating func bringUp(_ peer: PeerID, pid: Int = 100) {
        guard let launch = launches.last else { return }
        give(.executorStarted(launch.containerID, pid: pid, startTicks: 5))
        subscribe(peer, launch)
    }

    mutating func subscribe(
        _ peer: PeerID, _ launch: ExecutorLaunch, tasks: [TaskInfo] = [],
        updates: [TaskStatus] = []
    ) {
        let call = ExecutorCall.subscribe(
            unacknowledgedTasks: tasks, unacknowledgedUpdates: updates)
        give(
            .executor(
                Self.executor(call, framework: launch.key.framework, id: launch.key.executor),
                from: peer, credential: Array(launch.token.utf8)))
    }

    mutating func say(_ call: ExecutorCall, from peer: PeerID) {
        guard let launch = launches.last else { return }
        give(
            .executor(
                Self.executor(call, framework: launch.key.framework, id: launch.key.executor),
                from: peer, credential: Array(launch.token.utf8)))
    }

    /// The agent as the master has admitted it.
    var identity: AgentInfo {
        var info = Self.info
        info.id = Self.agentID
        return info
    }

    // MARK: What was asked for

    var toMaster: [AgentToMaster] {
        effects.compactMap { if case .tellMaster(let message, _) = $0 { message } else { nil } }
    }

    var updates: [TaskStatus] {
        toMaster.compactMap { if case .update(_, let status, _) = $0 { status } else { nil } }
    }

    var positions: [UpdatePosition] {
        toMaster.compactMap {
            if case .update(_, _, let position) = $0 { position } else { nil }
        }
    }

    var sweeps: [ContainerID] {
        effects.compactMap { if case .sweepTasks(let container, _) = $0 { container } else { nil } }
    }

    var toExecutors: [ExecutorEvent] {
        effects.compactMap { effect in
            switch effect {
            case .tellExecutor(let event, _), .handOver(_, let event, _): event
            default: nil
            }
        }
    }

    var launched: [TaskID] {
        toExecutors.flatMap { event -> [TaskID] in
            switch event {
            case .launch(let info, _, _): [info.id]
            case .launchGroup(let infos, _, _): infos.map(\.id)
            case .subscribed, .kill, .acknowledged, .message, .shutdown, .error, .heartbeat: []
            }
        }
    }

    var kills: [ContainerID] {
        effects.compactMap { if case .killExecutor(let id, _, _) = $0 { id } else { nil } }
    }

    var closed: [PeerID] {
        effects.compactMap { if case .closePeer(let peer, _) = $0 { peer } else { nil } }
    }

    /// What a new agent would find on the disk: the last value of each key.
    var records: [AgentRecord] {
        var kept: [(key: String, record: AgentRecord?)] = []
        for record in disk {
            let key: String
            var isRemoval = false
            switch record {
            case .identity: key = "identity"
            case .framework(let id, let value):
                key = "framework \(id)"
                isRemoval = value == nil
            case .executor(let id, let value):
                key = "executor \(id)"
                isRemoval = value == nil
            case .task(let id, let value):
                key = "task \(id)"
                isRemoval = value == nil
            case .update(let id, let sequence, let value):
                key = "update \(id) \(sequence)"
                isRemoval = value == nil
            }
            kept.removeAll { $0.key == key }
            if !isRemoval { kept.append((key, record)) }
        }
        return kept.compactMap(\.record)
    }

    /// The agent after a crash, with what it had made durable.
    func restarted(
        living: [ContainerID], bootID: String = "b1",
        configuration: AgentConfiguration = AgentBench.configuration,
        info: AgentInfo = AgentBench.info
    ) -> AgentBench {
        var next = AgentBench(
            configuration, replaying: records.reversed(), living: living, bootID: bootID,
            info: info, at: now)
        next.disk = disk
        next.launches = launches
        next.tokens = tokens
        return next
    }
}

/// A framework with id `f1`.
func framework(_ id: FrameworkID = "f1", checkpoint: Bool = true) -> FrameworkInfo {
    FrameworkInfo(name: "test", id: id, checkpoint: checkpoint)
}

/// A task that runs a command.
func task(_ id: TaskID) -> TaskInfo {
    TaskInfo(
        name: id.value, id: id, agentID: AgentBench.agentID,
        resources: Resources(cpus: Milli(1)), command: CommandInfo(value: "true"))
}

/// A launch of tasks.
func run(
    _ ids: TaskID..., in info: FrameworkInfo = framework(), isGroup: Bool = false,
    window: Int = 1, executor: ExecutorInfo? = nil
) -> MasterToAgent {
    .run(
        RunTask(
            framework: info, executor: executor, tasks: ids.map(task), isGroup: isGroup,
            role: "*", updateWindow: window))
}

/// An update with a uuid that follows from `number`.
func update(_ id: TaskID, _ state: TaskState, _ number: UInt64) -> TaskStatus {
    TaskStatus(taskID: id, state: state, source: .executor, uuid: uuid(number))
}

/// An update id.
func uuid(_ number: UInt64) -> UpdateID { UpdateID(high: 9, low: number) }
