internal import ProfferKernel
internal import ProfferSession

/// What sessions tell the machine's shell.
enum TransportEvent {
    case opened(PeerID, Port?, key: String?, credential: [UInt8])
    case message(PeerID, [UInt8])
    case closed(PeerID, CloseReason)
}

/// What the endpoints of one process share.
final class TransportState {
    var events: [TransportEvent] = []
    private var lastPeer: UInt64 = 0

    func nextPeer() -> PeerID {
        lastPeer += 1
        return PeerID(lastPeer)
    }
}

/// A ROUTER with the sessions of its peers: what the transport's listener does, over the modelled
/// network.
final class ListenerModel {
    private struct Peer {
        let id: PeerID
        let key: String?
        var route: UInt64
        var olderRoute: UInt64?
        var session: ServerSession
    }

    private unowned let process: SimulatedProcess
    let port: Port
    private var clusterID: String
    private var epoch: UInt64
    private let limits: SessionLimits
    private let state: TransportState
    private var peers = OrderedTable<PeerID, Peer>()
    private var bySession = LookupTable<UInt64, PeerID>()
    private var byRoute = LookupTable<UInt64, PeerID>()
    private var ended = EndedSessions(capacity: 1024)
    private var deadlines = DeadlineQueue<PeerID>()
    /// Where peers are sent while the master stands by; `nil` is an endpoint that always serves.
    var redirect: (() -> Redirect)?
    private var isServing = false

    init(
        _ process: SimulatedProcess, _ port: Port, clusterID: String, epoch: UInt64,
        limits: SessionLimits, state: TransportState
    ) {
        self.process = process
        self.port = port
        self.clusterID = clusterID
        self.epoch = epoch
        self.limits = limits
        self.state = state
    }

    var nextDeadline: Instant? { deadlines.next }

    /// The most messages under way in one session.
    var longestQueue: Int {
        peers.values.reduce(0) { max($0, $1.session.unacknowledgedCount) }
    }

    func take(_ envelope: Envelope, route: UInt64, key: String?, at now: Instant) {
        guard let id = bySession[envelope.session], let peer = peers[id] else {
            answerStranger(envelope, route: route, key: key, at: now)
            return
        }
        guard peer.key == key else { return }
        var effects = Outbox<SessionEffect>()
        let isNewRoute = peer.route != route
        if isNewRoute { move(id, to: route, at: now) }
        peers[id]?.session.handle(envelope, isNewRoute: isNewRoute, at: now, into: &effects)
        perform(&effects, id, at: now)
    }

    private func move(_ id: PeerID, to route: UInt64, at now: Instant) {
        end(route: route, "another session came over the connection", at: now)
        guard let peer = peers[id] else { return }
        byRoute.remove(peer.route)
        byRoute[route] = id
        peers[id]?.olderRoute = peer.route
        peers[id]?.route = route
    }

    private func answerStranger(
        _ envelope: Envelope, route: UInt64, key: String?, at now: Instant
    ) {
        switch envelope.content {
        case .closed: break
        case .accepted, .message, .keepAlive:
            refuse(envelope.session, "the session is not known", route: route)
        case .open(let credential):
            if let reason = refusal(of: envelope) {
                refuse(envelope.session, reason, route: route)
                return
            }
            end(route: route, "another session was opened over the connection", at: now)
            var effects = Outbox<SessionEffect>()
            let session = ServerSession(
                accepting: envelope, clusterID: clusterID, epoch: epoch, limits: limits, at: now,
                into: &effects)
            let peer = Peer(id: state.nextPeer(), key: key, route: route, session: session)
            peers[peer.id] = peer
            bySession[envelope.session] = peer.id
            byRoute[route] = peer.id
            perform(&effects, peer.id, credential, at: now)
        }
    }

    private func refuse(_ session: UInt64, _ reason: String, route: UInt64) {
        var envelope = Envelope(
            clusterID: clusterID, epoch: epoch, session: session,
            content: .closed(reason: reason))
        if !isServing { envelope.redirect = redirect?() }
        _ = process.world.sendDown(route, envelope, from: process)
    }

    private func refusal(of opening: Envelope) -> String? {
        if redirect != nil, !isServing { return "this master does not lead" }
        if !opening.clusterID.isEmpty, opening.clusterID != clusterID {
            return "this is cluster '\(clusterID)'"
        }
        if opening.epoch > epoch, process.world.bug != .epochNotChecked {
            return "a newer master is known"
        }
        if ended.contains(opening.session) { return "the session has ended" }
        return nil
    }

    private func perform(
        _ effects: inout Outbox<SessionEffect>, _ id: PeerID, _ credential: [UInt8] = [],
        at now: Instant
    ) {
        for effect in effects.all() {
            switch effect {
            case .transmit(let envelope):
                if !transmit(envelope, to: id) { peers[id]?.session.routeLost(at: now) }
            case .opened:
                state.events.append(
                    .opened(id, port, key: peers[id]?.key ?? nil, credential: credential))
            case .deliver(let body): state.events.append(.message(id, body))
            case .redirected: break
            case .closed(let reason):
                forget(id)
                state.events.append(.closed(id, reason))
            }
        }
        if let peer = peers[id] { deadlines.set(id, to: peer.session.nextDeadline) }
    }

    private func forget(_ id: PeerID) {
        guard let peer = peers.remove(id) else { return }
        bySession.remove(peer.session.id)
        byRoute.remove(peer.route)
        ended.insert(peer.session.id)
        deadlines.set(id, to: nil)
    }

    private func transmit(_ envelope: Envelope, to id: PeerID) -> Bool {
        guard let peer = peers[id] else { return false }
        if process.world.sendDown(peer.route, envelope, from: process) { return true }
        guard let older = peer.olderRoute, byRoute[older] == nil,
            process.world.sendDown(older, envelope, from: process)
        else { return false }
        byRoute.remove(peer.route)
        byRoute[older] = id
        peers[id]?.olderRoute = peer.route
        peers[id]?.route = older
        return true
    }

    private func end(route: UInt64, _ reason: String, at now: Instant) {
        guard let id = byRoute[route] else { return }
        var effects = Outbox<SessionEffect>()
        peers[id]?.session.close(.local(reason), at: now, into: &effects)
        perform(&effects, id, at: now)
    }

    /// Sends a message in a session; `false` when it is not one of this endpoint.
    func send(_ body: [UInt8], to id: PeerID, at now: Instant) -> Bool {
        guard peers.contains(id) else { return false }
        var effects = Outbox<SessionEffect>()
        peers[id]?.session.send(body, at: now, into: &effects)
        perform(&effects, id, at: now)
        return true
    }

    /// Ends a session; `false` when it is not one of this endpoint.
    func close(_ id: PeerID, _ reason: String, at now: Instant) -> Bool {
        guard peers.contains(id) else { return false }
        var effects = Outbox<SessionEffect>()
        peers[id]?.session.close(.local(reason), at: now, into: &effects)
        for case .transmit(var envelope) in effects.all() {
            if !isServing { envelope.redirect = redirect?() }
            _ = transmit(envelope, to: id)
        }
        forget(id)
        return true
    }

    /// Takes openings up from now on.
    func serve(clusterID: String, epoch: UInt64) {
        self.clusterID = clusterID
        self.epoch = epoch
        isServing = true
    }

    /// Ends every session and sends peers elsewhere from now on.
    func standBy(at now: Instant) {
        isServing = false
        for id in Array(peers.keys) { _ = close(id, "this master does not lead any more", at: now) }
    }

    func wake(at now: Instant) {
        while let id = deadlines.popDue(at: now) {
            guard peers.contains(id) else { continue }
            var effects = Outbox<SessionEffect>()
            peers[id]?.session.wake(at: now, into: &effects)
            perform(&effects, id, at: now)
        }
    }

    /// Ends every session, as a process does that stops in order.
    func closeAll(at now: Instant) {
        for id in Array(peers.keys) { _ = close(id, "the process stops", at: now) }
    }
}
