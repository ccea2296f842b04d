internal import DequeModule
internal import ProfferAgent
internal import ProfferExecutor
internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession

/// An executor's process: what the executor's shell does, over the modelled node.
final class ExecutorProcess: SimulatedProcess {
    let container: ContainerID
    let executorKey: ExecutorKey
    private(set) weak var agent: AgentProcess?
    private let home: Node
    private let token: String
    private let configuration: ExecutorConfiguration
    var pid = 0
    private var machine: Executor?
    private var transport = TransportState()
    private var dialer: DialerModel?
    private var outbox = Outbox<ExecutorEffect>()
    private var running = OrderedTable<TaskID, Int>()
    private var starts: [TaskLaunch] = []
    private var ends: [(TaskID, TaskExit)] = []
    private var checks: [Int: CheckReference] = [:]
    private var lastCheck = 0

    init(_ world: World, _ launch: ExecutorLaunch, node: Node, agent: AgentProcess) {
        container = launch.containerID
        executorKey = launch.key
        home = node
        token = launch.token
        self.agent = agent
        var configuration = ExecutorConfiguration(
            frameworkID: launch.key.framework, executorID: launch.key.executor)
        configuration.recoveryTimeout = world.plan.agent.executorRecoveryTimeout
        configuration.shutdownGrace =
            launch.info.shutdownGracePeriod ?? world.plan.agent.executorShutdownGrace
        configuration.usageInterval = world.plan.usageInterval
        configuration.reportsStarting = world.plan.reportsStarting
        self.configuration = configuration
        super.init(
            world, "executor \(launch.key.framework)/\(launch.containerID)", node: node.index,
            key: nil, clock: agent.clock)
    }

    override var nextDeadline: Instant? {
        earliest(machine?.deadline(), dialer?.nextDeadline)
    }

    override func boot() {
        let now = instant
        machine = Executor(
            configuration: configuration, clock: clock.wallClock(at: world.now),
            seed: world.chance.seeds.next(), at: now)
        guard let agent else { return }
        var limits = world.plan.session
        limits.openLast = .seconds(1)
        dialer = DialerModel(
            self, to: [Address(process: agent.index, port: .executors)],
            credential: Array(token.utf8), limits: limits, state: transport)
    }

    override func lose() {
        machine = nil
        dialer = nil
    }

    override func crashInTurn() { home.killExecutor(pid, status: 9) }

    func noteEnd(of id: TaskID, _ exit: TaskExit) {
        running.remove(id)
        ends.append((id, exit))
        post(.taskEnded(pid: 0))
    }

    override func turn(at now: Instant) {
        var inputs: [ExecutorInput] = []
        while let arrival = inbox.popFirst() {
            switch arrival {
            case .down(let connection, let envelope):
                if connection == dialer?.connection { dialer?.take(envelope, at: now) }
            case .handshake(let connection):
                if connection == dialer?.connection { dialer?.handshake(at: now) }
            case .broken(let connection):
                if connection == dialer?.connection { dialer?.broke(at: now) }
            case .mail(.terminate): inputs.append(.terminate)
            case .mail(.checked(let number, let isHealthy)):
                guard let reference = checks.removeValue(forKey: number) else { continue }
                inputs.append(
                    .checkFinished(
                        reference,
                        isHealthy.map { .command(exitCode: $0 ? 0 : 1) } ?? .timedOut))
            case .mail, .up: break
            }
        }
        for (id, exit) in ends { inputs.append(.processExited(id, exit, errorTail: "")) }
        ends = []
        dialer?.wake(at: now)
        repeat {
            for event in transport.events { inputs += translate(event) }
            transport.events = []
            if let due = machine?.deadline(), due <= now {
                machine?.wake(at: now, into: &outbox)
            }
            var more: [ExecutorInput] = []
            repeat {
                for input in inputs { machine?.handle(input, at: now, into: &outbox) }
                inputs = []
                let effects = outbox.all()
                for effect in effects {
                    guard mayAct() else { return }
                    perform(effect, at: now, &inputs)
                    if !isUp { return }
                }
            } while !inputs.isEmpty
            more = startAll()
            inputs = more
        } while !transport.events.isEmpty || !inputs.isEmpty
    }

    private func translate(_ event: TransportEvent) -> [ExecutorInput] {
        switch event {
        case .opened(let peer, _, _, _): return [.agentOpened(peer)]
        case .closed(let peer, _): return [.agentClosed(peer)]
        case .message(let peer, let bytes):
            guard case .executorEvent(let event)? = world.arena.decode(bytes) else { return [] }
            world.note(.executorInput(index, executorKey, event))
            return [.event(event, from: peer)]
        }
    }

    private func perform(
        _ effect: ExecutorEffect, at now: Instant, _ inputs: inout [ExecutorInput]
    ) {
        switch effect {
        case .tellAgent(let call, let peer):
            let message = ExecutorMessage(
                frameworkID: executorKey.framework, executorID: executorKey.executor, call: call)
            world.note(.executorSent(index, message))
            _ = dialer?.send(
                world.arena.encode(.executor(message), at: world.now), to: peer, at: now)
        case .start(let launch): starts.append(launch)
        case .signal(let id, let number):
            if let pid = running[id] { home.signal(pid, number) }
        case .runCheck(let reference, _, let timeout): check(reference, timeout)
        case .measure(let ids):
            inputs.append(
                .usage(
                    ids.map {
                        TaskUsage(key: TaskKey(executorKey.framework, $0), memoryBytes: 1 << 20)
                    }))
        case .forget, .observe: break
        case .exit(let code): home.killExecutor(pid, status: Int(code) << 8)
        }
    }

    /// Processes come into being after everything else of a turn.
    private func startAll() -> [ExecutorInput] {
        let list = starts
        starts = []
        return list.map { launch in
            let key = TaskKey(executorKey.framework, launch.id)
            let behavior = world.behavior(of: launch, key)
            if behavior.failsToStart {
                world.hit(.taskDoesNotStart)
                return .startFailed(launch.id, message: "no such program")
            }
            let (pid, ticks) = home.start(launch, key, behavior, for: self)
            running[launch.id] = pid
            return .processStarted(launch.id, pid: pid, startTicks: ticks)
        }
    }

    private func check(_ reference: CheckReference, _ timeout: Duration) {
        lastCheck += 1
        let number = lastCheck
        checks[number] = reference
        let permille =
            running[reference.task].flatMap { home.task(at: $0) }?.behavior.unhealthyPermille ?? 0
        let isHealthy = world.isQuiet || !world.chance.tasks.hits(permille)
        if !isHealthy { world.hit(.taskUnhealthy) }
        let current = incarnation
        world.after(world.chance.tasks.span(around: 50 * Span.millisecond)) { [self] in
            if incarnation == current {
                arrive(.mail(.checked(number: number, isHealthy: isHealthy)))
            }
        }
    }
}
