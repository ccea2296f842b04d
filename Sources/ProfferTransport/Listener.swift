@_spi(Driver) internal import ProfferKernel
internal import ProfferSession
internal import ProfferZeroMQ

/// A ROUTER and the sessions of its peers.
final class Listener {
    private final class Peer {
        let id: PeerID
        let identity: PeerIdentity
        var route: [UInt8]
        /// The connection before, for when a late message has come over one that is gone by now.
        var olderRoute: [UInt8]?
        var session: ServerSession

        init(id: PeerID, identity: PeerIdentity, route: [UInt8], session: ServerSession) {
            self.id = id
            self.identity = identity
            self.route = route
            self.session = session
        }
    }

    /// Whether openings are taken up.
    private enum Service {
        case serving(clusterID: String, epoch: UInt64)
        /// Another process serves, or none at present.
        case standingBy(Redirect)
    }

    private static let farewell = "the process stops"
    private static let standby = "this one does not serve at present"

    let id: EndpointID
    let address: String
    private let monitor: Monitor
    private let socket: Socket
    private let file: SocketFile?
    private let security: ListenSecurity
    private let configuration: ReactorConfiguration
    private var peers: [PeerID: Peer] = [:]
    private var bySession: [UInt64: Peer] = [:]
    // A connection has one session at a time: whoever may connect cannot open any number of them.
    private var byRoute: [[UInt8]: Peer] = [:]
    private var ended = EndedSessions()
    private var isStopping = false
    private var service: Service
    private var deadlines = DeadlineQueue<PeerID>()
    private var admission: Admission

    init(
        id: EndpointID, address: String, security: ListenSecurity, context: Context,
        configuration: ReactorConfiguration
    ) throws {
        self.id = id
        self.security = security
        self.configuration = configuration
        service =
            configuration.standsBy
            ? .standingBy(.nobody)
            : .serving(clusterID: configuration.clusterID, epoch: configuration.epoch)
        admission = Admission(perSecond: configuration.openingsPerSecond)
        let socket = try Socket(.router, in: context)
        let monitor = try Monitor(socket)
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
        self.monitor = monitor
        file = SocketFile(address)
    }

    deinit { file?.remove() }

    var nextDeadline: Instant? { deadlines.next }

    /// Adds two entries: the socket and its monitor.
    func add(to poller: inout Poller) {
        poller.add(socket)
        poller.add(monitor.socket)
    }

    func drainMonitor(_ state: inout LoopState) {
        while let event = try? monitor.next() { state.take(event, at: id) }
    }

    /// Makes room for a successor: libzmq closes sockets on a thread of its own, some time after
    /// this reactor has ended.
    func giveUpAddress() {
        if address.hasPrefix("inproc://") { try? socket.unbind(address) }
    }

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
                end(route: route, "more than one part", at: now, &state)
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
            end(route: route, "no envelope", at: now, &state)
            return
        }
        if case .curve(_, let domain, let allowList) = security {
            guard let key, allowList.allows(key, domain: domain) else {
                state.counters.refused += 1
                end(route: route, "key not allowed", at: now, &state)
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
        if isNewRoute { move(peer, to: route, at: now, &state) }
        peer.session.handle(envelope, isNewRoute: isNewRoute, at: now, into: &effects)
        perform(&effects, peer, at: now, &state)
    }

    private func move(
        _ peer: Peer, to route: [UInt8], at now: Instant, _ state: inout LoopState
    ) {
        end(route: route, "another session came over the connection", at: now, &state)
        byRoute[peer.route] = nil
        byRoute[route] = peer
        peer.olderRoute = peer.route
        peer.route = route
    }

    private func answerStranger(
        _ envelope: Envelope, route: [UInt8], key: String?, at now: Instant,
        _ state: inout LoopState
    ) {
        switch envelope.content {
        case .closed: state.counters.strays += 1
        case .accepted, .message, .keepAlive:
            state.counters.strays += 1
            refuse(envelope.session, "the session is not known", route: route, &state)
        case .open(let credential):
            if let reason = refusal(of: envelope) {
                state.counters.unopened += 1
                if case .serving(_, let epoch) = service, envelope.epoch > epoch {
                    state.notice?(.epochBehind(id, served: epoch, obeyed: envelope.epoch))
                }
                refuse(envelope.session, reason, route: route, &state)
            } else if !admission.admits(at: now) {
                state.counters.postponed += 1
            } else {
                let identity = PeerIdentity(publicKey: key, credential: credential)
                open(envelope, identity, route: route, at: now, &state)
            }
        }
    }

    private func refuse(
        _ session: UInt64, _ reason: String, route: [UInt8], _ state: inout LoopState
    ) {
        var envelope = Envelope(session: session, content: .closed(reason: reason))
        switch service {
        case .serving(let clusterID, let epoch):
            envelope.clusterID = clusterID
            envelope.epoch = epoch
        case .standingBy(let redirect):
            envelope.redirect = redirect
        }
        transmit(envelope, route: route, &state)
    }

    private func refusal(of opening: Envelope) -> String? {
        if isStopping { return Self.farewell }
        if opening.version != Envelope.currentVersion {
            return "protocol version \(opening.version) is not spoken here"
        }
        guard case .serving(let clusterID, let epoch) = service else { return Self.standby }
        if !opening.clusterID.isEmpty, opening.clusterID != clusterID {
            return "this is cluster '\(clusterID)'"
        }
        if opening.epoch > epoch { return "a newer master is known" }
        if ended.contains(opening.session) { return "the session has ended" }
        if peers.count >= configuration.peerLimit { return "there are too many sessions" }
        return nil
    }

    private func open(
        _ envelope: Envelope, _ identity: PeerIdentity, route: [UInt8], at now: Instant,
        _ state: inout LoopState
    ) {
        guard case .serving(let clusterID, let epoch) = service else { return }
        end(route: route, "another session was opened over the connection", at: now, &state)
        var effects = Outbox<SessionEffect>()
        let session = ServerSession(
            accepting: envelope, clusterID: clusterID, epoch: epoch, limits: configuration.session,
            at: now, into: &effects)
        let peer = Peer(id: state.nextPeer(), identity: identity, route: route, session: session)
        peers[peer.id] = peer
        bySession[envelope.session] = peer
        byRoute[route] = peer
        perform(&effects, peer, at: now, &state)
    }

    private func perform(
        _ effects: inout Outbox<SessionEffect>, _ peer: Peer, at now: Instant,
        _ state: inout LoopState
    ) {
        for effect in effects.takeAll() {
            switch effect {
            case .transmit(let envelope):
                if !transmit(envelope, to: peer, &state) { peer.session.routeLost(at: now) }
            case .opened:
                state.events.append(.opened(peer.id, id, peer.identity))
            case .deliver(let body):
                state.events.append(.message(peer.id, body))
            case .closed(let reason):
                forget(peer)
                state.events.append(.closed(peer.id, reason))
            case .redirected:
                break
            }
        }
        if peers[peer.id] != nil { deadlines.set(peer.id, to: peer.session.nextDeadline) }
    }

    private func forget(_ peer: Peer) {
        peers[peer.id] = nil
        bySession[peer.session.id] = nil
        byRoute[peer.route] = nil
        ended.insert(peer.session.id)
        deadlines.set(peer.id, to: nil)
    }

    /// Returns whether the peer can be reached.
    @discardableResult
    private func transmit(
        _ envelope: Envelope, to peer: Peer, _ state: inout LoopState
    ) -> Bool {
        if transmit(envelope, route: peer.route, &state) { return true }
        guard let older = peer.olderRoute, byRoute[older] == nil,
            transmit(envelope, route: older, &state)
        else { return false }
        byRoute[peer.route] = nil
        byRoute[older] = peer
        peer.olderRoute = peer.route
        peer.route = older
        return true
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

    /// Ends the session that came over a connection last, if there is one.
    private func end(
        route: [UInt8], _ reason: String, at now: Instant, _ state: inout LoopState
    ) {
        guard let peer = byRoute[route] else { return }
        var effects = Outbox<SessionEffect>()
        peer.session.close(.local(reason), at: now, into: &effects)
        perform(&effects, peer, at: now, &state)
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
        _ id: PeerID, _ reason: String, redirect: Redirect? = nil, at now: Instant,
        _ state: inout LoopState
    ) -> Bool {
        guard let peer = peers[id] else { return false }
        var effects = Outbox<SessionEffect>()
        peer.session.close(.local(reason), redirect: redirect, at: now, into: &effects)
        for effect in effects.takeAll() {
            if case .transmit(let envelope) = effect {
                transmit(envelope, to: peer, &state)
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

    /// Takes openings up from now on.
    func serve(clusterID: String, epoch: UInt64) {
        service = .serving(clusterID: clusterID, epoch: epoch)
    }

    /// Ends every session and sends clients to another server from now on.
    func standBy(_ redirect: Redirect, at now: Instant, _ state: inout LoopState) {
        service = .standingBy(redirect)
        for id in peers.keys.sorted() {
            _ = close(id, Self.standby, redirect: redirect, at: now, &state)
        }
    }

    /// Ends every session and opens no more; returns whether there was one.
    func closeAll(at now: Instant, _ state: inout LoopState) -> Bool {
        isStopping = true
        let open = peers.keys.sorted()
        for id in open { _ = close(id, Self.farewell, at: now, &state) }
        return !open.isEmpty
    }
}
