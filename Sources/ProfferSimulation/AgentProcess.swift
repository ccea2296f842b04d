internal import DequeModule
internal import ProfferAgent
internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession

/// An agent's process: what the daemon's shell does, over the modelled network, disk and node.
final class AgentProcess: SimulatedProcess {
    private enum Side {
        case master
        case executor(credential: [UInt8])
    }

    private enum Command {
        case send(Message, PeerID)
        case close(PeerID, String)
    }

    private let info: AgentInfo
    let home: Node
    var facts = KeptFacts<AgentRecord>.ofAgent()
    private(set) var machine: Agent?
    private(set) var writes: WriteQueue<AgentRecord>?
    private var transport = TransportState()
    private(set) var dialer: DialerModel?
    private var listener: ListenerModel?
    private var outbox = Outbox<AgentEffect>()
    /// Changes of volumes that the agent has not heard of being done.
    private var volumeChanges = 0
    private var decided: [AgentEffect] = []
    private var gate = CommitGate<AgentEffect>(patience: .seconds(60))
    private var sides = LookupTable<PeerID, Side>()
    private var commands: [Command] = []
    private var usageAt = Instant.zero
    private var isStopping = false
    /// For planted bugs only.
    private var masterPeer: PeerID?
    private var runs: [RunTask] = []

    init(
        _ world: World, _ name: String, node: Node, info: AgentInfo, key: String,
        clock: SkewedClock
    ) {
        self.info = info
        home = node
        super.init(world, name, node: node.index, key: key, clock: clock)
    }

    override var nextDeadline: Instant? {
        var next = earliest(earliest(machine?.deadline(), usageAt), gate.nextDeadline)
        next = earliest(next, dialer?.nextDeadline)
        return earliest(next, listener?.nextDeadline)
    }

    override func isListening(at port: Port) -> Bool { port == .executors }

    /// Whether nothing waits to become durable.
    var isSettled: Bool { gate.isOpen }

    override func boot() {
        let now = instant
        isStopping = false
        let records = facts.all
        if records.isEmpty { home.sweepAll() }
        var living: [ContainerID] = []
        for case .executor(_, let kept?) in records {
            guard let pid = kept.pid, let ticks = kept.startTicks,
                home.adopt(kept.containerID, pid: pid, startTicks: ticks)
            else { continue }
            living.append(kept.containerID)
        }
        let disk = WriteQueue<AgentRecord>(self) { [unowned self] records in
            facts.apply(records)
            world.note(.agentDurable(index, records))
            return true
        }
        disk.weather.meanLatency = world.plan.agentDiskLatency
        writes = disk
        world.note(.agentBoots(index, records, living))
        machine = Agent(
            configuration: world.plan.agent, info: info, bootID: home.bootID,
            replaying: world.bug == .recordsNotReplayed ? records.filter(\.isIdentity) : records,
            livingExecutors: living, wallClock: clock.wallClock(at: world.now),
            seed: world.chance.seeds.next(), at: now)
        usageAt = now
        dialer = DialerModel(
            self, to: world.masters.map { Address(process: $0.index, port: .agents) },
            limits: world.plan.session, state: transport)
        listener = ListenerModel(
            self, .executors, clusterID: "", epoch: 0, limits: world.plan.session,
            state: transport)
    }

    override func lose() {
        writes?.crash()
        writes = nil
        machine = nil
        dialer = nil
        listener = nil
        transport = TransportState()
        outbox = Outbox()
        decided = []
        gate = CommitGate(patience: .seconds(60))
        sides.removeAll()
        commands = []
        home.forgetWatches()
    }

    override func crashInTurn() { world.crash(self) }

    private func stop() {
        guard !isStopping else { return }
        isStopping = true
        dialer?.stop(at: instant)
        listener?.closeAll(at: instant)
        world.crash(self)
    }

    // MARK: Turns

    override func turn(at now: Instant) {
        var mail: [Mail] = []
        while let arrival = inbox.popFirst() {
            switch arrival {
            case .up(_, let route, let key, let envelope):
                listener?.take(envelope, route: route, key: key, at: now)
            case .down(let connection, let envelope):
                if connection == dialer?.connection { dialer?.take(envelope, at: now) }
            case .handshake(let connection):
                if connection == dialer?.connection { dialer?.handshake(at: now) }
            case .broken(let connection):
                if connection == dialer?.connection { dialer?.broke(at: now) }
            case .mail(let item): mail.append(item)
            }
        }
        listener?.wake(at: now)
        dialer?.wake(at: now)
        repeat {
            let events = transport.events
            transport.events = []
            for event in events { take(event, at: now) }
            for item in mail {
                take(item, at: now)
                if !isUp { return }
            }
            mail = []
            if usageAt <= now {
                give(.usage(AgentUsage(memoryTotalBytes: 1 << 30)), at: now)
                usageAt = now + world.plan.usageInterval
            }
            if let due = machine?.deadline(), due <= now {
                machine?.wake(at: now, into: &outbox)
                noteDecisions()
            }
            guard perform(), carryOutAll(at: now) else { return }
            while volumeChanges > 0 {
                volumeChanges -= 1
                give(.volumesChanged, at: now)
                guard perform(), carryOutAll(at: now) else { return }
            }
            if gate.problem(at: now) != nil {
                world.hit(.commitTookTooLong)
                stop()
                return
            }
        } while !transport.events.isEmpty
    }

    private func take(_ event: TransportEvent, at now: Instant) {
        switch event {
        case .opened(let peer, let port, _, let credential):
            if port == nil {
                sides[peer] = .master
                give(.masterOpened(peer), at: now)
            } else {
                sides[peer] = .executor(credential: credential)
            }
        case .message(let peer, let bytes):
            guard let side = sides[peer], let message = world.arena.decode(bytes) else { return }
            switch (side, message) {
            case (.master, .toAgent(let message)): give(.master(message, from: peer), at: now)
            case (.executor(let credential), .executor(let message)):
                give(.executor(message, from: peer, credential: credential), at: now)
            default: break
            }
        case .closed(let peer, let reason):
            guard let side = sides.remove(peer) else { return }
            switch side {
            case .master: give(.masterClosed(peer, reason: "\(reason)"), at: now)
            case .executor: give(.executorClosed(peer), at: now)
            }
        }
    }

    private func give(_ input: AgentInput, at now: Instant) {
        for input in altered(input) {
            world.note(.agentInput(index, epoch: dialer?.epoch ?? 0, input))
            machine?.handle(input, at: now, into: &outbox)
        }
        noteDecisions()
    }

    /// The input as it is, or what a planted bug makes of it.
    private func altered(_ input: AgentInput) -> [AgentInput] {
        guard let bug = world.bug else { return [input] }
        switch input {
        case .masterOpened(let peer): masterPeer = peer
        case .master(.run(let run), _): runs.append(run)
        default: break
        }
        return bug.mutate(input, master: masterPeer, runs: runs)
    }

    private func noteDecisions() {
        for raw in outbox.all() {
            for effect in world.bug.map({ $0.mutate(raw) }) ?? [raw] {
                world.note(.agentEffect(index, effect))
                decided.append(effect)
            }
        }
    }

    private func take(_ mail: Mail, at now: Instant) {
        switch mail {
        case .executorStarted(let container, let pid, let ticks):
            give(
                .executorStarted(ContainerID(container), pid: pid, startTicks: ticks), at: now)
        case .executorFailed(let container, let message):
            give(.executorLaunchFailed(ContainerID(container), message: message), at: now)
        case .executorEnded(let container, let status):
            give(.executorExited(ContainerID(container), status: status), at: now)
        case .tasksSwept(let container): give(.tasksSwept(ContainerID(container)), at: now)
        case .committed(let ticket):
            var freed: [AgentEffect] = []
            gate.release(ticket) { freed.append($0) }
            for effect in freed { carryOut(effect) }
        case .commitFailed: stop()
        case .terminate: give(.stop(unregister: false), at: now)
        default: break
        }
    }

    private func perform() -> Bool {
        let effects = decided
        decided = []
        var records: [AgentRecord] = []
        for case .commit(let some) in effects { records += some }
        for effect in effects {
            switch effect {
            case .commit:
                if records.isEmpty { continue }
                writes?.submit(records, ticket: gate.openTicket(at: instant))
                records = []
            case .observe: break
            case .tellMaster, .tellExecutor, .findSecrets, .handOver, .dropSecrets, .closePeer,
                .makeSandbox, .launchExecutor, .resizeExecutor, .killExecutor, .sweepTasks,
                .discard, .changeVolumes, .answer,
                .terminate:
                if world.bug == .effectsBeforeCommit {
                    carryOut(effect)
                } else if let free = gate.admit(effect) {
                    carryOut(free)
                }
            }
            if !isUp { return false }
        }
        return true
    }

    private func carryOut(_ effect: AgentEffect) {
        guard isUp else { return }
        switch effect {
        case .tellMaster(let message, let peer):
            guard sides[peer] != nil else { return }
            commands.append(.send(.toMaster(message), peer))
        case .tellExecutor(let event, let peer), .handOver(_, let event, let peer):
            guard sides[peer] != nil else { return }
            commands.append(.send(.executorEvent(event), peer))
        case .closePeer(let peer, let reason):
            sides.remove(peer)
            commands.append(.close(peer, reason))
        // Simulated tasks name no secrets.
        case .findSecrets, .dropSecrets: break
        case .makeSandbox, .resizeExecutor, .discard, .answer, .commit, .observe: break
        case .changeVolumes: volumeChanges += 1
        case .launchExecutor(let launch): if mayAct() { home.start(launch, for: self) }
        case .killExecutor(let container, let pid, let ticks):
            if mayAct() { home.kill(container, pid: pid, startTicks: ticks, for: self) }
        case .sweepTasks(let container, let sandboxes):
            if mayAct() { home.sweep(container, sandboxes, for: self) }
        case .terminate: stop()
        }
    }

    private func carryOutAll(at now: Instant) -> Bool {
        let list = commands
        commands = []
        for command in list {
            guard mayAct() else { return false }
            switch command {
            case .send(let message, let peer):
                world.note(.agentSent(index, message))
                let body = world.arena.encode(message, at: world.now)
                if listener?.send(body, to: peer, at: now) != true {
                    _ = dialer?.send(body, to: peer, at: now)
                }
            case .close(let peer, let reason):
                if listener?.close(peer, reason, at: now) != true {
                    _ = dialer?.close(peer, reason, at: now)
                }
            }
        }
        return isUp
    }

    /// What the agent answers to a question right now, without being asked by anybody.
    var report: AgentReport? { machine.flatMap(Self.report) }

    /// What an agent that reads the same records anew would hold, executors being alive or not as
    /// they are.
    var reportAfterRecovery: AgentReport? {
        var living: [ContainerID] = []
        for executor in home.executors where executor.agent === self {
            living.append(executor.container)
        }
        let copy = Agent(
            configuration: world.plan.agent, info: info, bootID: home.bootID,
            replaying: facts.all, livingExecutors: living,
            wallClock: clock.wallClock(at: world.now), seed: 1, at: instant)
        return Self.report(copy)
    }

    private static func report(_ machine: Agent) -> AgentReport? {
        var copy = machine
        var effects = Outbox<AgentEffect>()
        copy.handle(
            .operation(.summary, QueryID(value: .max)), at: .zero, into: &effects)
        for case .answer(.summary(let report), _) in effects.all() { return report }
        return nil
    }

    /// The ids of this agent's executors that have a process.
    var livingExecutorIDs: [String] {
        home.executors.filter { $0.agent === self && $0.isUp }.map(\.executorKey.executor.value)
    }

    var longestQueue: Int { listener?.longestQueue ?? 0 }
}

extension AgentRecord {
    var isIdentity: Bool {
        if case .identity = self { return true }
        return false
    }
}
