@_spi(Driver) internal import ProfferKernel
internal import ProfferSession
internal import ProfferZeroMQ

/// A DEALER that keeps one session open with the first of several addresses that answers, or with
/// the one that such a server names.
final class Dialer {
    private final class Connection {
        let monitor: Monitor
        let socket: Socket

        init(_ socket: consuming Socket, _ monitor: consuming Monitor) {
            self.socket = socket
            self.monitor = monitor
        }
    }

    /// So many openings without an answer, and the next address is tried, or the same one anew: a
    /// socket that was turned away by the authenticator does not connect again by itself.
    private static let patience = 3

    let id: EndpointID
    private let servers: [ServerAddress]
    private let security: DialSecurity
    private let context: Context
    private let configuration: ReactorConfiguration
    private var connection: Connection
    private var serverIndex = 0
    /// Where the present connection leads.
    private var target: ServerAddress
    /// Where the next session is to be opened; `nil` is where the last was.
    private var nextTarget: ServerAddress?
    private var unansweredBefore = 0
    private var session: ClientSession
    private var peer: PeerID?

    init(
        id: EndpointID, addresses: [String], credential: [UInt8], security: DialSecurity,
        context: Context, configuration: ReactorConfiguration
    ) throws {
        servers = addresses.map {
            if case .local = security { return ServerAddress($0) }
            return ServerAddress(text: $0)
        }
        guard let first = servers.first else {
            throw TransportError("dial \(id)", because: "no address is given")
        }
        self.id = id
        target = first
        self.security = security
        self.context = context
        self.configuration = configuration
        connection = try Self.connect(first, security, context, configuration)
        session = ClientSession(
            clusterID: configuration.clusterID, credential: credential,
            limits: configuration.session, seed: SystemClock.seed(), at: SystemClock.now())
    }

    private static func connect(
        _ server: ServerAddress, _ security: DialSecurity, _ context: Context,
        _ configuration: ReactorConfiguration
    ) throws -> Connection {
        let socket = try Socket(.dealer, in: context)
        let monitor = try Monitor(socket)
        try socket.apply(configuration.socket, isRouter: false)
        switch security {
        case .curve(let keys, let serverKey):
            try socket.actAsClient(keys, server: server.key ?? serverKey)
        case .local:
            let address = server.address
            guard address.hasPrefix("inproc://") || address.hasPrefix("ipc://") else {
                throw TransportError(
                    "connect to \(address)",
                    because: "only inproc:// and ipc:// may go without encryption")
            }
        }
        try socket.connect(server.address)
        return Connection(socket, monitor)
    }

    var nextDeadline: Instant? { session.nextDeadline }

    /// Adds two entries: the socket and its monitor.
    func add(to poller: inout Poller) {
        poller.add(connection.socket)
        poller.add(connection.monitor.socket)
    }

    func drainMonitor(at now: Instant, _ state: inout LoopState) {
        while let event = try? connection.monitor.next() {
            state.take(event, at: id)
            if case .disconnected = event { session.routeLost(at: now) }
            guard case .handshakeSucceeded = event else { continue }
            var effects = Outbox<SessionEffect>()
            session.routeRestored(at: now, into: &effects)
            perform(&effects, &state)
        }
    }

    func drain(_ limit: Int, at now: Instant, _ state: inout LoopState) {
        var frame = Frame()
        for _ in 0..<limit {
            guard let got = try? connection.socket.receive(&frame), got else { return }
            let body = frame.bytes
            if frame.hasMore {
                while frame.hasMore, (try? connection.socket.receive(&frame)) == true {}
                state.counters.malformed += 1
                continue
            }
            guard let envelope = try? state.coding.decode(body) else {
                state.counters.malformed += 1
                continue
            }
            state.counters.received += 1
            var effects = Outbox<SessionEffect>()
            session.handle(envelope, at: now, into: &effects)
            perform(&effects, &state)
        }
    }

    func wake(at now: Instant, _ state: inout LoopState) {
        guard let due = session.nextDeadline, due <= now else { return }
        var effects = Outbox<SessionEffect>()
        session.wake(at: now, into: &effects)
        connectAnew()
        perform(&effects, &state)
    }

    /// Makes a new socket: where a server has sent us, or for the next address if there are several
    /// when nobody has answered a few times.
    private func connectAnew() {
        guard !session.isOpen else { return }
        // An answer has set the count back to zero.
        unansweredBefore = min(unansweredBefore, session.unansweredOpenings)
        if session.unansweredOpenings - unansweredBefore >= Self.patience {
            nextTarget = nextTarget ?? nextServer()
        }
        guard let next = nextTarget else { return }
        nextTarget = nil
        unansweredBefore = session.unansweredOpenings
        // Without a descriptor the old connection stays, and the next address is tried in turn.
        if let made = try? Self.connect(next, security, context, configuration) {
            connection = made
            target = next
        }
    }

    private func nextServer() -> ServerAddress {
        serverIndex = (serverIndex + 1) % servers.count
        return servers[serverIndex]
    }

    /// Where to go by the word of a server, which CURVE has authenticated; without it only to
    /// addresses that were given.
    private func follow(_ redirect: Redirect) {
        if let known = servers.firstIndex(where: { $0.address == redirect.address }) {
            serverIndex = known
            nextTarget = servers[known]
            if servers[known].key == nil, !redirect.publicKey.isEmpty {
                nextTarget?.key = redirect.publicKey
            }
        } else if case .curve = security, !redirect.publicKey.isEmpty,
            ServerAddress(redirect.address).isTCP
        {
            nextTarget = ServerAddress(redirect.address, key: redirect.publicKey)
        } else {
            nextTarget = nextServer()
        }
        if nextTarget == target { nextTarget = nil }
    }

    private func perform(_ effects: inout Outbox<SessionEffect>, _ state: inout LoopState) {
        for effect in effects.takeAll() {
            switch effect {
            case .transmit(let envelope):
                do {
                    try connection.socket.send(state.coding.encode(envelope))
                    state.counters.sent += 1
                } catch {
                    // Nobody is connected, or the queue is full: the session sends again.
                    state.counters.deferred += 1
                }
            case .opened:
                let fresh = state.nextPeer()
                peer = fresh
                var identity = PeerIdentity()
                if case .curve(_, let serverKey) = security {
                    identity.publicKey = target.key ?? serverKey
                }
                state.events.append(.opened(fresh, id, identity))
            case .deliver(let body):
                if let peer { state.events.append(.message(peer, body)) }
            case .closed(let reason):
                if let peer { state.events.append(.closed(peer, reason)) }
                peer = nil
                if reason == .unreachable, servers.count > 1 { nextTarget = nextServer() }
            case .redirected(let redirect):
                follow(redirect)
            }
        }
    }

    func send(
        _ body: [UInt8], to id: PeerID, at now: Instant, _ state: inout LoopState
    ) -> Bool {
        guard id == peer else { return false }
        var effects = Outbox<SessionEffect>()
        session.send(body, at: now, into: &effects)
        perform(&effects, &state)
        return true
    }

    func close(
        _ id: PeerID, _ reason: String, at now: Instant, _ state: inout LoopState
    ) -> Bool {
        guard id == peer else { return false }
        peer = nil
        var effects = Outbox<SessionEffect>()
        session.close(.local(reason), at: now, into: &effects)
        perform(&effects, &state)
        return true
    }

    /// Ends the session for good; returns whether there was one.
    func stop(at now: Instant, _ state: inout LoopState) -> Bool {
        let wasOpen = session.isOpen
        peer = nil
        var effects = Outbox<SessionEffect>()
        session.stop(at: now, into: &effects)
        perform(&effects, &state)
        return wasOpen
    }
}
