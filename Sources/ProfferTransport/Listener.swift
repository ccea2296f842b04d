@_spi(Driver) internal import ProfferKernel
internal import ProfferSession
internal import ProfferZeroMQ

/// A ROUTER and the sessions of its peers.
final class Listener {
    private final class Peer {
        let id: PeerID
        let identity: PeerIdentity
        var route: [UInt8]
        var session: ServerSession

        init(id: PeerID, identity: PeerIdentity, route: [UInt8], session: ServerSession) {
            self.id = id
            self.identity = identity
            self.route = route
            self.session = session
        }
    }

    let id: EndpointID
    let address: String
    private let socket: Socket
    private let security: ListenSecurity
    private let configuration: ReactorConfiguration
    private var peers: [PeerID: Peer] = [:]
    private var bySession: [UInt64: Peer] = [:]
    private var deadlines = DeadlineQueue<PeerID>()

    init(
        id: EndpointID, address: String, security: ListenSecurity, context: Context,
        configuration: ReactorConfiguration
    ) throws {
        self.id = id
        self.security = security
        self.configuration = configuration
        let socket = try Socket(.router, in: context)
        try socket.apply(configuration.socket, isRouter: true)
        switch security {
        case .curve(let keys, let domain, _):
            try socket.actAsServer(keys, domain: domain)
        case .local:
            guard address.hasPrefix("inproc://") || address.hasPrefix("ipc://") else {
                throw TransportError(
                    "listen on \(address)",
                    because: "only inproc:// and ipc:// may go without encryption")
            }
        }
        self.address = try socket.bind(address)
        self.socket = socket
    }

    var nextDeadline: Instant? { deadlines.next }

    /// Makes room for a successor: libzmq closes sockets on a thread of its own, some time after
    /// this reactor has ended.
    func giveUpAddress() {
        if address.hasPrefix("inproc://") { try? socket.unbind(address) }
    }

    func add(to poller: inout Poller) { poller.add(socket) }

    func drain(_ limit: Int, at now: Instant, _ state: inout LoopState) {
        var frame = Frame()
        for _ in 0..<limit {
            guard let got = try? socket.receive(&frame), got else { return }
            let route = frame.bytes
            guard frame.hasMore, (try? socket.receive(&frame)) == true else {
                state.counters.malformed += 1
                continue
            }
            let body = frame.bytes
            let key = frame.property("User-Id")
            if frame.hasMore {
                // More parts than the protocol has: read them away and drop the peer.
                while frame.hasMore, (try? socket.receive(&frame)) == true {}
                state.counters.malformed += 1
                dropPeer(route: route, "more than one part", at: now, &state)
                continue
            }
            take(body, route: route, key: key, at: now, &state)
        }
    }

    private func take(
        _ body: [UInt8], route: [UInt8], key: String?, at now: Instant, _ state: inout LoopState
    ) {
        state.counters.received += 1
        guard let envelope = try? state.coding.decode(body) else {
            state.counters.malformed += 1
            dropPeer(route: route, "no envelope", at: now, &state)
            return
        }
        if case .curve(_, let domain, let allowList) = security {
            guard let key, allowList.allows(key, domain: domain) else {
                state.counters.refused += 1
                dropPeer(route: route, "key not allowed", at: now, &state)
                return
            }
        }
        guard let peer = bySession[envelope.session] else {
            answerStranger(envelope, route: route, key: key, at: now, &state)
            return
        }
        guard peer.identity.publicKey == key else {
            state.counters.refused += 1
            return
        }
        var effects = Outbox<SessionEffect>()
        let isNewRoute = peer.route != route
        peer.route = route
        peer.session.handle(envelope, isNewRoute: isNewRoute, at: now, into: &effects)
        perform(&effects, peer, at: now, &state)
    }

    private func answerStranger(
        _ envelope: Envelope, route: [UInt8], key: String?, at now: Instant,
        _ state: inout LoopState
    ) {
        var refusal: String?
        if envelope.version != Envelope.currentVersion {
            refusal = "protocol version \(envelope.version) is not spoken here"
        } else if !envelope.clusterID.isEmpty, envelope.clusterID != configuration.clusterID {
            refusal = "this is cluster '\(configuration.clusterID)'"
        } else if envelope.epoch > configuration.epoch {
            refusal = "a newer master is known"
        }
        guard refusal == nil, case .open(let credential) = envelope.content else {
            state.counters.strays += 1
            if case .closed = envelope.content { return }
            transmit(
                Envelope(
                    clusterID: configuration.clusterID, epoch: configuration.epoch,
                    session: envelope.session,
                    content: .closed(reason: refusal ?? "the session is not known")),
                route: route, &state)
            return
        }
        var effects = Outbox<SessionEffect>()
        let session = ServerSession(
            accepting: envelope, clusterID: configuration.clusterID, epoch: configuration.epoch,
            limits: configuration.session, at: now, into: &effects)
        let peer = Peer(
            id: state.nextPeer(),
            identity: PeerIdentity(publicKey: key, credential: credential), route: route,
            session: session)
        peers[peer.id] = peer
        bySession[envelope.session] = peer
        perform(&effects, peer, at: now, &state)
    }

    private func perform(
        _ effects: inout Outbox<SessionEffect>, _ peer: Peer, at now: Instant,
        _ state: inout LoopState
    ) {
        for effect in effects.takeAll() {
            switch effect {
            case .transmit(let envelope):
                if !transmit(envelope, route: peer.route, &state) {
                    peer.session.routeLost(at: now)
                }
            case .opened:
                state.events.append(.opened(peer.id, id, peer.identity))
            case .deliver(let body):
                state.events.append(.message(peer.id, body))
            case .closed(let reason):
                forget(peer)
                state.events.append(.closed(peer.id, reason))
            }
        }
        if peers[peer.id] != nil { deadlines.set(peer.id, to: peer.session.nextDeadline) }
    }

    private func forget(_ peer: Peer) {
        peers[peer.id] = nil
        bySession[peer.session.id] = nil
        deadlines.set(peer.id, to: nil)
    }

    /// Returns whether the route is known; a full queue is no loss, the session sends again.
    @discardableResult
    private func transmit(
        _ envelope: Envelope, route: [UInt8], _ state: inout LoopState
    ) -> Bool {
        do {
            try socket.send(route, more: true)
            try socket.send(state.coding.encode(envelope))
            state.counters.sent += 1
            return true
        } catch {
            state.counters.deferred += 1
            return !error.isHostUnreachable
        }
    }

    private func dropPeer(
        route: [UInt8], _ reason: String, at now: Instant, _ state: inout LoopState
    ) {
        for id in peers.keys.sorted() {
            guard let peer = peers[id], peer.route == route else { continue }
            var effects = Outbox<SessionEffect>()
            peer.session.close(.local(reason), at: now, into: &effects)
            perform(&effects, peer, at: now, &state)
        }
    }

    func send(
        _ body: [UInt8], to id: PeerID, at now: Instant, _ state: inout LoopState
    ) -> Bool {
        guard let peer = peers[id] else { return false }
        var effects = Outbox<SessionEffect>()
        peer.session.send(body, at: now, into: &effects)
        perform(&effects, peer, at: now, &state)
        return true
    }

    func close(
        _ id: PeerID, _ reason: String, at now: Instant, _ state: inout LoopState
    ) -> Bool {
        guard let peer = peers[id] else { return false }
        var effects = Outbox<SessionEffect>()
        peer.session.close(.local(reason), at: now, into: &effects)
        for effect in effects.takeAll() {
            if case .transmit(let envelope) = effect {
                transmit(envelope, route: peer.route, &state)
            }
        }
        forget(peer)
        return true
    }

    func wake(at now: Instant, _ state: inout LoopState) {
        while let id = deadlines.popDue(at: now) {
            guard let peer = peers[id] else { continue }
            var effects = Outbox<SessionEffect>()
            peer.session.wake(at: now, into: &effects)
            perform(&effects, peer, at: now, &state)
        }
    }

    func closeAll(at now: Instant, _ state: inout LoopState) {
        for id in peers.keys.sorted() { _ = close(id, "the process stops", at: now, &state) }
    }
}
