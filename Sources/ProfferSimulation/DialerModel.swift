internal import ProfferKernel
internal import ProfferSession

/// A DEALER that keeps one session open with the first of several addresses that answers: what the
/// transport's dialer does, over the modelled network.
final class DialerModel {
    private static let patience = 3

    private unowned let process: SimulatedProcess
    private let addresses: [Address]
    private let state: TransportState
    private var addressIndex = 0
    /// Where the present connection leads.
    private var targetIndex = 0
    /// Where the next session is to be opened; `nil` is where the last was.
    private var nextIndex: Int?
    private var unansweredBefore = 0
    private(set) var session: ClientSession
    private(set) var connection: Int
    private(set) var peer: PeerID?
    /// The epoch of the master at the other end of the open session.
    private(set) var epoch: UInt64 = 0
    private var highest: UInt64 = 0

    init(
        _ process: SimulatedProcess, to addresses: [Address], credential: [UInt8] = [],
        limits: SessionLimits, state: TransportState
    ) {
        self.process = process
        self.addresses = addresses
        self.state = state
        session = ClientSession(
            credential: credential, limits: limits, seed: process.world.chance.seeds.next(),
            at: process.instant)
        addressIndex = process.world.chance.network.below(addresses.count)
        targetIndex = addressIndex
        connection = process.world.dial(addresses[addressIndex], from: process)
    }

    var nextDeadline: Instant? { session.nextDeadline }

    func broke(at now: Instant) { session.routeLost(at: now) }

    func handshake(at now: Instant) {
        var effects = Outbox<SessionEffect>()
        session.routeRestored(at: now, into: &effects)
        perform(&effects)
    }

    func take(_ envelope: Envelope, at now: Instant) {
        var envelope = envelope
        let told = envelope.epoch
        if process.world.bug == .epochNotChecked { envelope.epoch = max(told, highest) }
        highest = max(highest, told)
        var effects = Outbox<SessionEffect>()
        let wasOpen = session.isOpen
        session.handle(envelope, at: now, into: &effects)
        if !wasOpen, session.isOpen {
            epoch = told
            process.world.note(.sessionOpened(process.index, epoch: told))
        }
        perform(&effects)
    }

    func wake(at now: Instant) {
        guard let due = session.nextDeadline, due <= now else { return }
        var effects = Outbox<SessionEffect>()
        session.wake(at: now, into: &effects)
        connectAnew()
        perform(&effects)
    }

    private func connectAnew() {
        guard !session.isOpen else { return }
        unansweredBefore = min(unansweredBefore, session.unansweredOpenings)
        if session.unansweredOpenings - unansweredBefore >= Self.patience {
            nextIndex = nextIndex ?? next()
        }
        guard let index = nextIndex else { return }
        nextIndex = nil
        unansweredBefore = session.unansweredOpenings
        process.world.hangUp(connection)
        targetIndex = index
        connection = process.world.dial(addresses[index], from: process)
    }

    private func perform(_ effects: inout Outbox<SessionEffect>) {
        for effect in effects.all() {
            switch effect {
            case .transmit(let envelope): _ = process.world.sendUp(connection, envelope)
            case .opened:
                let fresh = state.nextPeer()
                peer = fresh
                state.events.append(.opened(fresh, nil, key: nil, credential: []))
            case .deliver(let body):
                if let peer { state.events.append(.message(peer, body)) }
            case .closed(let reason):
                if let peer { state.events.append(.closed(peer, reason)) }
                peer = nil
                if reason == .unreachable, addresses.count > 1 { nextIndex = next() }
            case .redirected(let redirect): follow(redirect)
            }
        }
    }

    private func next() -> Int {
        addressIndex = (addressIndex + 1) % addresses.count
        return addressIndex
    }

    /// Where to go by the word of a master that does not lead: the simulator's addresses are the
    /// numbers of processes.
    private func follow(_ redirect: Redirect) {
        let known = addresses.firstIndex { "\($0.process)" == redirect.address }
        let index = known ?? next()
        addressIndex = index
        nextIndex = index == targetIndex ? nil : index
    }

    func send(_ body: [UInt8], to id: PeerID, at now: Instant) -> Bool {
        guard id == peer else { return false }
        var effects = Outbox<SessionEffect>()
        session.send(body, at: now, into: &effects)
        perform(&effects)
        return true
    }

    func close(_ id: PeerID, _ reason: String, at now: Instant) -> Bool {
        guard id == peer else { return false }
        peer = nil
        var effects = Outbox<SessionEffect>()
        session.close(.local(reason), at: now, into: &effects)
        perform(&effects)
        return true
    }

    /// Ends the session for good, as a process does that stops in order.
    func stop(at now: Instant) {
        peer = nil
        var effects = Outbox<SessionEffect>()
        session.stop(at: now, into: &effects)
        perform(&effects)
        process.world.hangUp(connection)
    }
}
