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
        connection = process.world.dial(addresses[addressIndex], from: process)
    }

    var nextDeadline: Instant? { session.nextDeadline }

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
        unansweredBefore = min(unansweredBefore, session.unansweredOpenings)
        guard !session.isOpen,
            session.unansweredOpenings - unansweredBefore >= Self.patience
        else { return }
        unansweredBefore = session.unansweredOpenings
        addressIndex = (addressIndex + 1) % addresses.count
        process.world.hangUp(connection)
        connection = process.world.dial(addresses[addressIndex], from: process)
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
            }
        }
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
