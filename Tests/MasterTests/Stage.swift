import OrderedCollections
import ProfferAllocation
@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

/// A master with a clock that stands still until it is moved, and with frameworks and agents that
/// the test plays.
///
/// After every step its invariants are checked.
struct Stage {
    var master: Master
    var now: Instant
    /// What was said since ``forget()``, in order.
    var effects: [MasterEffect] = []
    /// What each framework may use, as it knows from its events.
    var offers: OrderedDictionary<FrameworkID, [Offer]> = [:]
    var frameworkPeers: OrderedDictionary<FrameworkID, PeerID> = [:]
    var agentPeers: OrderedDictionary<AgentID, PeerID> = [:]
    var closed: Set<PeerID> = []
    /// Agents that do not answer pings.
    var silent: Set<AgentID> = []
    var ledger = Ledger()
    private var nextPeer: UInt64 = 0
    private var nextUpdate: UInt64 = 0

    static let epoch = WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000)

    init(
        _ configuration: MasterConfiguration = MasterConfiguration(),
        replaying records: [MasterRecord] = [], allocator: any Allocator = HierarchicalAllocator(),
        seed: UInt64 = 1, at now: Instant = .zero
    ) {
        self.now = now
        master = Master(
            configuration: configuration, replaying: records, allocator: allocator,
            wallClock: WallClock(.zero, is: Self.epoch), seed: seed, at: now)
        for record in records { ledger.keep(record) }
    }

    /// A new master over what the one before has made durable.
    func restarted(seed: UInt64 = 2) -> Stage {
        Stage(master.configuration, replaying: ledger.records, seed: seed, at: now)
    }

    // MARK: Steps

    mutating func give(_ input: MasterInput) {
        var outbox = Outbox<MasterEffect>()
        master.handle(input, at: now, into: &outbox)
        take(outbox.takeAll())
        pass(master.configuration.allocationWindow)
    }

    /// Lets time pass, stopping at every deadline on the way.
    mutating func pass(_ span: Duration) {
        let end = now + span
        while let deadline = master.nextDeadline, deadline <= end {
            now = max(now, deadline)
            var outbox = Outbox<MasterEffect>()
            master.wake(at: now, into: &outbox)
            take(outbox.takeAll())
            #expect(master.nextDeadline.map { $0 > now } ?? true, "a deadline stays due")
        }
        now = end
    }

    mutating func forget() { effects = [] }

    private mutating func take(_ new: ContiguousArray<MasterEffect>) {
        effects += new
        var pings: [(AgentID, UInt64)] = []
        for effect in new {
            ledger.follow(effect, peers: agentPeers)
            switch effect {
            case .tellFramework(let event, let peer): note(event, peer)
            case .tellAgent(.registered(let id, _), let peer): agentPeers[id] = peer
            case .tellAgent(.ping(let number, _), let peer):
                if let id = agentPeers.elements.first(where: { $0.value == peer })?.key,
                    !silent.contains(id)
                {
                    pings.append((id, number))
                }
            case .closePeer(let peer, _): closed.insert(peer)
            case .tellAgent, .commit, .answer, .observe: break
            }
        }
        checkInvariants()
        for (id, number) in pings { tell(.pong(number: number), by: id) }
    }

    private mutating func note(_ event: SchedulerEvent, _ peer: PeerID) {
        #expect(!closed.contains(peer), "told after its session was closed")
        if case .subscribed(let id, _, _) = event {
            // Over the same session it has its offers still.
            if frameworkPeers[id] != peer { offers[id] = [] }
            frameworkPeers[id] = peer
        }
        guard let id = frameworkPeers.elements.first(where: { $0.value == peer })?.key else {
            return
        }
        switch event {
        case .offers(let new): offers[id, default: []] += new
        case .rescind(let offer): offers[id]?.removeAll { $0.id == offer }
        case .subscribed, .inverseOffers, .rescindInverseOffer, .update, .updates, .updateOperation,
            .message, .failure, .updateFrameworkAnswer, .error, .heartbeat, .claimAnswer, .cluster,
            .backedOff, .demandRefused:
            break
        }
    }

    /// A new session; with a key, one whose peer has proved to have it.
    mutating func makePeer(key: String? = nil) -> PeerID {
        nextPeer += 1
        let peer = PeerID(nextPeer)
        if let key { give(.peerOpened(peer, publicKey: key)) }
        return peer
    }

    // MARK: Frameworks

    static func info(
        _ name: String, roles: [String] = ["*"], failover: Duration = .seconds(60),
        checkpoint: Bool = true, isAware: Bool = true, id: FrameworkID? = nil
    ) -> FrameworkInfo {
        FrameworkInfo(
            name: name, id: id, failoverTimeout: failover, checkpoint: checkpoint, roles: roles,
            capabilities: isAware
                ? [.partitionAware, .multiRole, .reservationRefinement] : [.multiRole])
    }

    /// Subscribes over a new session.
    @discardableResult
    mutating func subscribe(
        _ info: FrameworkInfo, suppressed: [String] = [], constraints: [OfferConstraint] = [],
        demands: [Demand]? = nil, key: String? = nil
    ) -> FrameworkID {
        let peer = makePeer(key: key)
        give(
            .framework(
                FrameworkCall(
                    frameworkID: info.id,
                    call: .subscribe(
                        Subscription(
                            framework: info, suppressedRoles: suppressed,
                            constraints: constraints, demands: demands))), from: peer))
        return frameworkPeers.elements.first { $0.value == peer }?.key ?? "not subscribed"
    }

    mutating func call(_ call: SchedulerCall, by id: FrameworkID) {
        let peer = frameworkPeers[id] ?? PeerID(0)
        switch call {
        case .accept(let ids, _, _), .decline(let ids, _):
            offers[id]?.removeAll { ids.contains($0.id) }
        case .acceptTogether(let parts, _):
            let ids = parts.flatMap(\.offers)
            offers[id]?.removeAll { ids.contains($0.id) }
        default: break
        }
        give(.framework(FrameworkCall(frameworkID: id, call: call), from: peer))
    }

    mutating func disconnect(_ id: FrameworkID) {
        guard let peer = frameworkPeers.removeValue(forKey: id) else { return }
        offers[id] = []
        closed.insert(peer)
        give(.peerClosed(peer, reason: "gone"))
    }

    mutating func decline(_ offer: Offer, refuse: Duration? = nil, by id: FrameworkID) {
        call(.decline(offers: [offer.id], filters: refuse.map { Filters(refuse: $0) }), by: id)
    }

    mutating func accept(
        _ offer: Offer, _ actions: [ProfferModel.Operation.Action], refuse: Duration? = nil
    ) {
        call(
            .accept(
                offers: [offer.id], operations: actions.map { Operation(action: $0) },
                filters: refuse.map { Filters(refuse: $0) }), by: offer.frameworkID)
    }

    /// The only offer a framework has.
    func offer(_ id: FrameworkID) throws -> Offer {
        let all = offers[id] ?? []
        #expect(all.count == 1)
        return try #require(all.first)
    }

    /// Launches one task on the only offer, and refuses the rest for a year.
    @discardableResult
    mutating func launch(
        _ task: TaskID, by id: FrameworkID, _ resources: Resources = Stage.small,
        refuse: Duration = .seconds(365 * 24 * 3600)
    ) throws -> AgentID {
        let offer = try offer(id)
        accept(offer, [.launch([Self.task(task, offer.agentID, resources)])], refuse: refuse)
        return offer.agentID
    }

    static let small = Resources(cpus: Milli(1), mem: Milli(128))

    static func task(
        _ id: TaskID, _ agent: AgentID, _ resources: Resources = Stage.small
    ) -> TaskInfo {
        TaskInfo(
            name: id.value, id: id, agentID: agent, resources: resources,
            command: CommandInfo(value: "sleep 1"))
    }

    // MARK: Agents

    @discardableResult
    mutating func addAgent(
        _ resources: Resources = Resources(cpus: Milli(4), mem: Milli(4096)),
        host: String = "node", attributes: [Attribute] = [], domain: FaultDomain? = nil,
        key: String? = nil
    ) -> AgentID {
        let peer = makePeer(key: key)
        give(
            .agent(
                .register(
                    AgentInfo(
                        hostname: host, resources: resources, attributes: attributes,
                        domain: domain),
                    version: "1", bootID: "b"), from: peer))
        return agentPeers.elements.first { $0.value == peer }?.key ?? "not registered"
    }

    mutating func tell(_ message: AgentToMaster, by id: AgentID) {
        give(.agent(message, from: agentPeers[id] ?? PeerID(0)))
    }

    mutating func disconnect(agent id: AgentID) {
        guard let peer = agentPeers.removeValue(forKey: id) else { return }
        closed.insert(peer)
        give(.peerClosed(peer, reason: "gone"))
    }

    /// Comes back over a new session.
    mutating func comeBack(
        _ id: AgentID, _ info: AgentInfo? = nil, tasks: [AgentTask] = [],
        executors: [AgentExecutor] = [], frameworks: [FrameworkInfo] = [], key: String? = nil
    ) {
        let peer = makePeer(key: key)
        guard var info = info ?? master.agents[id]?.info else { return }
        info.id = id
        agentPeers[id] = peer
        give(
            .agent(
                .reregister(
                    Reregistration(
                        info: info, tasks: tasks, executors: executors, frameworks: frameworks),
                    version: "1", bootID: "b"), from: peer))
    }

    /// What an agent would say of a task.
    static func agentTask(
        _ id: TaskID, _ framework: FrameworkID, on agent: AgentID, _ state: TaskState,
        last: TaskStatus? = nil
    ) -> AgentTask {
        AgentTask(
            info: task(id, agent), frameworkID: framework, role: "*", executorID: "own",
            state: state, lastForwarded: last)
    }

    /// News of a task from its agent; returns the update's uuid.
    @discardableResult
    mutating func report(
        _ task: TaskID, _ state: TaskState, of framework: FrameworkID, on agent: AgentID,
        latest: UpdatePosition? = nil, uuid: UpdateID? = nil
    ) -> UpdateID {
        nextUpdate += 1
        let uuid = uuid ?? UpdateID(high: 0, low: nextUpdate)
        let status = TaskStatus(
            taskID: task, state: state, source: .executor, agentID: agent, uuid: uuid)
        tell(
            .update(
                framework, status,
                position: latest ?? UpdatePosition(latestState: state, latestUUID: uuid)),
            by: agent)
        return uuid
    }

    mutating func acknowledge(
        _ task: TaskID, _ uuid: UpdateID, of id: FrameworkID, on agent: AgentID
    ) {
        call(.acknowledge(task, agent: agent, uuid: uuid), by: id)
    }

    // MARK: What was said

    func events(_ id: FrameworkID) -> [SchedulerEvent] {
        effects.compactMap { effect in
            guard case .tellFramework(let event, let peer) = effect,
                peer == frameworkPeers[id], event != .heartbeat
            else { return nil }
            return event
        }
    }

    func events(to peer: PeerID) -> [SchedulerEvent] {
        effects.compactMap { effect in
            guard case .tellFramework(let event, peer) = effect else { return nil }
            return event
        }
    }

    func updates(_ id: FrameworkID) -> [TaskStatus] {
        events(id).compactMap { event in
            if case .update(let status) = event { status } else { nil }
        }
    }

    func rescinded(_ id: FrameworkID) -> [OfferID] {
        events(id).compactMap { event in
            if case .rescind(let offer) = event { offer } else { nil }
        }
    }

    func messages(_ id: AgentID) -> [MasterToAgent] {
        effects.compactMap { effect in
            guard case .tellAgent(let message, let peer) = effect, peer == agentPeers[id] else {
                return nil
            }
            if case .ping = message { return nil }
            return message
        }
    }

    func runs(_ id: AgentID) -> [[TaskID]] {
        messages(id).compactMap { message in
            if case .run(let run) = message { run.tasks.map(\.id) } else { nil }
        }
    }

    var problems: [String] {
        effects.compactMap { effect in
            if case .observe(.invalidCall(_, _, let problem)) = effect { problem } else { nil }
        }
    }

    mutating func ask(_ call: OperatorCall) throws -> OperatorAnswer {
        let query = QueryID(value: 1)
        forget()
        give(.operation(call, query))
        let answers = effects.compactMap { effect in
            if case .answer(let answer, query) = effect { answer } else { nil }
        }
        return try #require(answers.first)
    }
}
