internal import ProfferElection
internal import ProfferFailpoints
@_spi(Driver) internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel
internal import ProfferRegistry
internal import ProfferTransport
internal import ProfferWire

/// The endpoints of a master.
enum MasterEndpoint {
    static let frameworks = EndpointID("frameworks")
    static let agents = EndpointID("agents")
}

/// What reaches a master's thread from other threads.
enum MasterMail: Sendable {
    case operation(OperatorCall, Reply<OperatorAnswer>)
    case whitelistRead([String]?)
    case committed(ticket: UInt64)
    case commitFailed(String)
    case stop
    /// Begin to stand for election, now that the addresses are known.
    case stand(MasterContact)
    case election(ElectionInput)
    case loaded(RequestID, Result<LoadedRegistry, ElectionFailure>)
    case watchEnded
    case outOfSpace(Bool)
    /// For the master of a term, and for no other.
    indirect case ofTerm(UInt64, MasterMail)
}

/// Runs a ``Master`` on the thread that owns its sockets: translation and order of effects, no
/// decisions.
struct MasterHandler: ReactorHandler, ~Copyable {
    private enum Side {
        /// Somebody at the frameworks' endpoint who has not said anything yet.
        case newcomer
        case framework
        case agent
    }

    private var machine: Master
    private var outbox = Outbox<MasterEffect>()
    private var gate = CommitGate<MasterEffect>()
    private var batches = UpdateBatches()
    private var sides: [PeerID: Side] = [:]
    private var replies: [QueryID: Reply<OperatorAnswer>] = [:]
    private var lastQuery: UInt64 = 0
    private let store: any RecordStore<MasterRecord>
    private let sink: MasterSink
    private let post: @Sendable (MasterMail) -> Void

    init(
        machine: Master, store: any RecordStore<MasterRecord>, sink: MasterSink,
        post: @escaping @Sendable (MasterMail) -> Void
    ) {
        self.machine = machine
        self.store = store
        self.sink = sink
        self.post = post
    }

    var nextDeadline: Instant? { earliest(machine.nextDeadline, gate.nextDeadline) }

    mutating func turn(
        events: [TransportEvent], mail: [MasterMail], at now: Instant, links: inout Links
    ) {
        Failpoint.turn()
        for event in events { take(event, at: now, links: &links) }
        for item in mail { take(item, at: now, links: &links) }
        if let deadline = machine.nextDeadline, deadline <= now {
            machine.wake(at: now, into: &outbox)
        }
        perform(at: now, links: &links)
        for (event, peer) in batches.takeRest() where sides[peer] != nil {
            tell(event, peer, &links)
        }
        if let problem = gate.problem(at: now) {
            sink.commitFailed(problem)
            links.stop()
        }
    }

    private mutating func take(_ event: TransportEvent, at now: Instant, links: inout Links) {
        switch event {
        case .opened(let peer, let endpoint, let identity):
            sides[peer] = endpoint == MasterEndpoint.agents ? .agent : .newcomer
            machine.handle(
                .peerOpened(peer, publicKey: identity.publicKey), at: now, into: &outbox)
        case .message(let peer, let bytes):
            guard let side = sides[peer] else { return }
            do {
                switch side {
                case .newcomer, .framework:
                    let call = try WireCodec.decodeFrameworkCall(bytes)
                    sides[peer] = .framework
                    Failpoint.received(call.call)
                    if case .subscribe(let subscription) = call.call {
                        batches.setTaker(peer, subscription.takesBatches)
                    }
                    machine.handle(.framework(call, from: peer), at: now, into: &outbox)
                case .agent:
                    let message = try WireCodec.decodeAgentToMaster(bytes)
                    Failpoint.received(message)
                    machine.handle(.agent(message, from: peer), at: now, into: &outbox)
                }
            } catch {
                sink.malformed(peer, error)
                // Whoever comes with this would come back with it; an error makes it stop.
                if side == .newcomer {
                    links.send(
                        WireCodec.encode(SchedulerEvent.error("malformed message: \(error)")),
                        to: peer)
                }
                links.close(peer, reason: "malformed message: \(error)")
                forget(peer, reason: "malformed message", at: now)
            }
        case .closed(let peer, let reason):
            forget(peer, reason: "\(reason)", at: now)
        case .readable:
            break
        }
    }

    private mutating func forget(_ peer: PeerID, reason: String, at now: Instant) {
        guard sides.removeValue(forKey: peer) != nil else { return }
        batches.forget(peer)
        machine.handle(.peerClosed(peer, reason: reason), at: now, into: &outbox)
    }

    private mutating func take(_ mail: MasterMail, at now: Instant, links: inout Links) {
        switch mail {
        case .operation(let call, let reply):
            lastQuery += 1
            let query = QueryID(value: lastQuery)
            replies[query] = reply
            machine.handle(.operation(call, query), at: now, into: &outbox)
        case .whitelistRead(let hosts):
            machine.handle(.whitelistRead(hosts), at: now, into: &outbox)
        case .committed(let ticket):
            var freed: [MasterEffect] = []
            gate.release(ticket) { freed.append($0) }
            for effect in freed { carryOut(effect, at: now, links: &links) }
        case .commitFailed(let message):
            // Facts that cannot be kept must not be acted on: stop, and recover on the next start.
            sink.commitFailed(message)
            links.stop()
        case .stop:
            links.stop()
        case .stand, .election, .loaded, .watchEnded, .outOfSpace, .ofTerm:
            break
        }
    }

    private mutating func perform(at now: Instant, links: inout Links) {
        // The end of a session makes the machine say more.
        while !outbox.isEmpty {
            for effect in outbox.takeAll() { perform(effect, at: now, links: &links) }
        }
    }

    private mutating func perform(
        _ effect: MasterEffect, at now: Instant, links: inout Links
    ) {
        switch effect {
        case .commit(let records):
            let ticket = gate.openTicket(at: now)
            let post = self.post
            Failpoint.hit(.masterRegistryBefore)
            store.submit(records) { error in
                Failpoint.hit(.masterRegistryAfter)
                post(error.map { .commitFailed("\($0)") } ?? .committed(ticket: ticket))
            }
        case .observe(let observation):
            sink.observe(observation)
        case .tellFramework, .tellAgent, .closePeer, .answer:
            if let free = gate.admit(effect) { carryOut(free, at: now, links: &links) }
        }
    }

    private func tell(_ event: SchedulerEvent, _ peer: PeerID, _ links: inout Links) {
        Failpoint.sending(event.failpoints) { links.send(WireCodec.encode(event), to: peer) }
    }

    private mutating func carryOut(
        _ effect: MasterEffect, at now: Instant, links: inout Links
    ) {
        switch effect {
        case .tellFramework(let event, let peer):
            guard sides[peer] != nil else { return }
            for event in batches.take(event, for: peer) { tell(event, peer, &links) }
        case .tellAgent(let message, let peer):
            guard sides[peer] != nil else { return }
            Failpoint.sending(message.failpoints) {
                links.send(WireCodec.encode(message), to: peer)
            }
        case .closePeer(let peer, let reason):
            if let rest = batches.takeRest(for: peer), sides[peer] != nil {
                tell(rest, peer, &links)
            }
            links.close(peer, reason: reason)
            // What the machine was told over the session since it wanted to close it ends too.
            forget(peer, reason: reason, at: now)
        case .answer(let answer, let query):
            replies.removeValue(forKey: query)?.answer(answer)
        case .commit, .observe:
            break
        }
    }
}
