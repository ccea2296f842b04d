internal import DequeModule
internal import ProfferAllocation
internal import ProfferElection
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel
internal import ProfferSession

/// What an operator wants of the leading master.
enum OperatorWish: Sendable {
    case call(OperatorCall)
}

/// A process that is or would like to be the leading master: what the daemon's shell does, over
/// the modelled network and coordinator.
final class MasterProcess: SimulatedProcess {
    private enum Side {
        case newcomer
        case framework
        case agent
    }

    private(set) var machine: Master?
    private(set) var epoch: UInt64 = 0
    /// Among several masters: how it stands for election.
    private var candidate: CandidateModel?
    /// Among several masters: the writer of its term.
    private var term: TermModel?
    private var transport = TransportState()
    private var frameworkEnd: ListenerModel?
    private var agentEnd: ListenerModel?
    private var outbox = Outbox<MasterEffect>()
    private var decided: [MasterEffect] = []
    private var gate = CommitGate<MasterEffect>()
    private var sides = LookupTable<PeerID, Side>()
    private var lastQuery: UInt64 = 0
    private var commands: [Command] = []
    /// The writes of a master that is alone, to its own disk.
    private(set) var writes: WriteQueue<MasterRecord>?

    private enum Command {
        case send(Message, PeerID)
        case close(PeerID, String)
    }

    var isLeading: Bool { machine != nil }
    /// Whether the coordinator does not hear it.
    var isCutOff = false
    /// Whether it wants to hear of changes of the leader key.
    var isWatching: Bool { isUp && candidate?.isWatching == true }

    override var nextDeadline: Instant? {
        var next = candidate?.nextDeadline
        next = earliest(next, machine?.deadline())
        next = earliest(next, gate.nextDeadline)
        next = earliest(next, frameworkEnd?.nextDeadline)
        return earliest(next, agentEnd?.nextDeadline)
    }

    override var isMeasured: Bool { world.stopwatch != nil }

    override func isListening(at port: Port) -> Bool { port != .executors }

    // MARK: Leadership

    override func boot() {
        frameworkEnd = listen(.frameworks)
        agentEnd = listen(.agents)
        if world.coordinator.isShared {
            candidate = CandidateModel(self)
        } else {
            let incarnation = incarnation
            world.after(world.chance.coordinator.below(Span.second)) { [self] in
                onThread(incarnation) { self.arrive(.mail(.alone)) }
            }
        }
    }

    private func listen(_ port: Port) -> ListenerModel {
        let listener = ListenerModel(
            self, port, clusterID: "", epoch: 0, limits: world.plan.session, state: transport)
        listener.redirect = { [unowned self] in candidate?.redirect ?? .nobody }
        return listener
    }

    /// Leads for a term whose epoch is durable and whose registry has been read.
    func lead(_ leadership: Leadership, _ records: [MasterRecord]) {
        epoch = leadership.epoch - (world.bug == .epochNotRaised ? 1 : 0)
        term = TermModel(self, leadership, epoch: epoch)
        serve(records)
    }

    /// Without others, reads its disk and takes over; nothing is said to anybody before the epoch
    /// is durable.
    private func takeOverAlone() {
        let queue = WriteQueue<MasterRecord>(self) { [unowned self] records in
            world.coordinator.facts.apply(records)
            world.note(.masterDurable(index, epoch: epoch, fence: Fence(.zero), records))
            return true
        }
        queue.weather.meanLatency = 3 * Span.millisecond
        writes = queue
        var last: UInt64 = 0
        for case .epoch(let epoch) in world.coordinator.facts.all { last = max(last, epoch) }
        epoch = last + (world.bug == .epochNotRaised ? 0 : 1)
        queue.submit([.epoch(epoch)], ticket: 0)
    }

    private func serve(_ records: [MasterRecord]) {
        var configuration = world.plan.master
        configuration.hostname = name
        machine = Master(
            configuration: configuration, replaying: records,
            allocator: makeAllocator(), wallClock: clock.wallClock(at: world.now),
            seed: world.chance.seeds.next(), at: instant)
        frameworkEnd?.serve(clusterID: "sim", epoch: epoch)
        agentEnd?.serve(clusterID: "sim", epoch: epoch)
        world.note(.masterLeads(index, epoch: epoch, records))
    }

    /// Leads no more, and goes on as one of those that stand by.
    func endTerm(at now: Instant) {
        forgetTerm()
        frameworkEnd?.standBy(at: now)
        agentEnd?.standBy(at: now)
        transport.events = []
    }

    private func forgetTerm() {
        if machine != nil { world.note(.masterEnded(index, epoch: epoch)) }
        machine = nil
        term?.close()
        term = nil
        gate = CommitGate()
        outbox = Outbox()
        decided = []
        sides.removeAll()
        frameworkOfPeer.removeAll()
        commands = []
    }

    private func makeAllocator() -> any Allocator {
        let allocator = world.plan.makeAllocator()
        return world.bug.map { FaultyAllocator(allocator, $0) } ?? allocator
    }

    override func lose() {
        writes?.crash()
        writes = nil
        forgetTerm()
        frameworkEnd = nil
        agentEnd = nil
        transport = TransportState()
        candidate = nil
    }

    override func crashInTurn() { world.crash(self) }

    /// Ends in order and starts anew after a while.
    func stop() {
        let now = instant
        frameworkEnd?.closeAll(at: now)
        agentEnd?.closeAll(at: now)
        world.crash(self)
    }

    // MARK: Turns

    override func turn(at now: Instant) {
        var mail: [Mail] = []
        while let arrival = inbox.popFirst() {
            switch arrival {
            case .up(.frameworks, let route, let key, let envelope):
                frameworkEnd?.take(envelope, route: route, key: key, at: now)
            case .up(_, let route, let key, let envelope):
                agentEnd?.take(envelope, route: route, key: key, at: now)
            case .mail(let item): mail.append(item)
            case .handshake, .broken, .down: break
            }
        }
        frameworkEnd?.wake(at: now)
        agentEnd?.wake(at: now)
        // First of all: whose time has run out does nothing any more.
        candidate?.wake(at: now)
        var own: [Mail] = []
        for item in mail {
            take(item, at: now, own: &own)
            if !isUp { return }
        }
        guard isLeading, candidate?.leads(at: now) != false else {
            transport.events = []
            return
        }
        repeat {
            let events = transport.events
            transport.events = []
            for event in events { take(event, at: now) }
            for item in own { take(item, at: now) }
            own = []
            if let due = machine?.deadline(), due <= now {
                world.note(.masterWakes(index, epoch: epoch))
                machine?.wake(at: now, into: &outbox)
                noteDecisions()
            }
            perform(at: now)
            guard carryOutAll(at: now) else { return }
            if gate.problem(at: now) != nil {
                world.hit(.commitTookTooLong)
                stop()
                return
            }
        } while !transport.events.isEmpty
    }

    private func take(_ event: TransportEvent, at now: Instant) {
        switch event {
        case .opened(let peer, let port, let key, _):
            sides[peer] = port == .agents ? .agent : .newcomer
            give(.peerOpened(peer, publicKey: key), at: now)
        case .message(let peer, let bytes):
            guard let side = sides[peer], let message = world.arena.decode(bytes) else { return }
            switch (side, message) {
            case (.newcomer, .call(let call)), (.framework, .call(let call)):
                sides[peer] = .framework
                give(.framework(call, from: peer), at: now)
            case (.agent, .toMaster(let message)): give(.agent(message, from: peer), at: now)
            default: break
            }
        case .closed(let peer, let reason): forget(peer, reason: "\(reason)", at: now)
        }
    }

    private func give(_ input: MasterInput, at now: Instant) {
        world.note(.masterInput(index, epoch: epoch, input))
        for input in world.bug.map({ $0.mutate(input) }) ?? [input] {
            machine?.handle(input, at: now, into: &outbox)
        }
        noteDecisions()
    }

    /// Keeps what the machine has just decided; it is told at once, to tell what follows from what.
    private func noteDecisions() {
        for raw in outbox.all() {
            for effect in world.bug.map({ $0.mutate(raw) }) ?? [raw] {
                if case .tellFramework(.subscribed(let id, _, _), let peer) = effect {
                    frameworkOfPeer[peer] = id
                }
                world.note(.masterEffect(index, epoch: epoch, effect))
                decided.append(effect)
            }
        }
    }

    private func forget(_ peer: PeerID, reason: String, at now: Instant) {
        guard sides.remove(peer) != nil else { return }
        give(.peerClosed(peer, reason: reason), at: now)
    }

    /// Takes what concerns leadership; the rest is for the term, if there is one.
    private func take(_ mail: Mail, at now: Instant, own: inout [Mail]) {
        switch mail {
        case .alone: takeOverAlone()
        case .committed(ticket: 0) where !isLeading: serve(world.coordinator.facts.all)
        case .commitFailed: stop()
        case .election(let input): candidate?.take(input, at: now)
        case .loaded(let id, let records, let revision):
            candidate?.take(records, of: revision, to: id, at: now)
        case .ofTerm(let fence, let sent, let tickets):
            if let sent { candidate?.take(.committed(fence, sent: sent), at: now) }
            guard term?.fence == fence else { return }
            own += tickets.map { .committed(ticket: $0) }
        default: own.append(mail)
        }
    }

    private func take(_ mail: Mail, at now: Instant) {
        switch mail {
        case .committed(let ticket):
            var freed: [MasterEffect] = []
            gate.release(ticket) { freed.append($0) }
            for effect in freed { carryOut(effect, at: now) }
        case .wanted(.call(let call)):
            lastQuery += 1
            give(.operation(call, QueryID(value: lastQuery)), at: now)
        default: break
        }
    }

    private func perform(at now: Instant) {
        while !decided.isEmpty {
            let list = decided
            decided = []
            for effect in list { perform(effect, at: now) }
        }
    }

    private func perform(_ effect: MasterEffect, at now: Instant) {
        switch effect {
        case .commit(let records):
            let ticket = gate.openTicket(at: now)
            if let term {
                term.submit(records, ticket: ticket)
            } else {
                writes?.submit(records, ticket: ticket)
            }
        case .observe: break
        case .tellFramework, .tellAgent, .closePeer, .answer:
            if world.bug == .effectsBeforeCommit {
                carryOut(effect, at: now)
            } else if let free = gate.admit(effect) {
                carryOut(free, at: now)
            }
        }
    }

    private func carryOut(_ effect: MasterEffect, at now: Instant) {
        switch effect {
        case .tellFramework(let event, let peer):
            guard sides[peer] != nil else { return }
            commands.append(.send(.event(event), peer))
        case .tellAgent(let message, let peer):
            guard sides[peer] != nil else { return }
            commands.append(.send(.toAgent(message), peer))
        case .closePeer(let peer, let reason):
            commands.append(.close(peer, reason))
            forget(peer, reason: reason, at: now)
        case .answer(let answer, let query):
            world.note(.operatorAnswer(index, query, answer))
        case .commit, .observe: break
        }
    }

    /// Lets go out what was decided; `false` when the process has died meanwhile.
    private func carryOutAll(at now: Instant) -> Bool {
        let list = commands
        commands = []
        for command in list {
            guard mayAct() else { return false }
            switch command {
            case .send(let message, let peer):
                world.note(.masterSent(index, epoch: epoch, message, peer))
                let body = world.arena.encode(message, at: world.now)
                if frameworkEnd?.send(body, to: peer, at: now) != true {
                    _ = agentEnd?.send(body, to: peer, at: now)
                }
            case .close(let peer, let reason):
                if frameworkEnd?.close(peer, reason, at: now) != true {
                    _ = agentEnd?.close(peer, reason, at: now)
                }
            }
        }
        return isUp
    }

    /// The framework that has subscribed over a session, by what it was told.
    private(set) var frameworkOfPeer = LookupTable<PeerID, FrameworkID>()

    func framework(of peer: PeerID) -> FrameworkID? { frameworkOfPeer[peer] }

    /// What is waiting in queues, for the bounds.
    var longestQueue: Int { max(frameworkEnd?.longestQueue ?? 0, agentEnd?.longestQueue ?? 0) }

    /// Takes a call of an operator, as one that comes over HTTP.
    func order(_ call: OperatorCall) { arrive(.mail(.wanted(.call(call)))) }

    /// What the leading master answers to a question right now, without being asked by anybody.
    func ask(_ call: OperatorCall) -> OperatorAnswer? {
        guard var copy = machine else { return nil }
        var effects = Outbox<MasterEffect>()
        copy.handle(.operation(call, QueryID(value: .max)), at: instant, into: &effects)
        for case .answer(let answer, _) in effects.all() { return answer }
        return nil
    }
}
