@_spi(Driver) internal import ProfferKernel
internal import ProfferSession
internal import ProfferZeroMQ

/// A DEALER that keeps one session open with the first of several addresses that answers.
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
    private let addresses: [String]
    private let security: DialSecurity
    private let context: Context
    private let configuration: ReactorConfiguration
    private var connection: Connection
    private var addressIndex = 0
    private var unansweredBefore = 0
    private var session: ClientSession
    private var peer: PeerID?

    init(
        id: EndpointID, addresses: [String], credential: [UInt8], security: DialSecurity,
        context: Context, configuration: ReactorConfiguration
    ) throws {
        guard let first = addresses.first else {
            throw TransportError("dial \(id)", because: "no address is given")
        }
        self.id = id
        self.addresses = addresses
        self.security = security
        self.context = context
        self.configuration = configuration
        connection = try Self.connect(first, security, context, configuration)
        session = ClientSession(
            clusterID: configuration.clusterID, credential: credential,
            limits: configuration.session, seed: SystemClock.seed(), at: SystemClock.now())
    }

    private static func connect(
        _ address: String, _ security: DialSecurity, _ context: Context,
        _ configuration: ReactorConfiguration
    ) throws -> Connection {
        let socket = try Socket(.dealer, in: context)
        let monitor = try Monitor(socket)
        try socket.apply(configuration.socket, isRouter: false)
        switch security {
        case .curve(let keys, let serverKey):
            try socket.actAsClient(keys, server: serverKey)
        case .local:
            guard address.hasPrefix("inproc://") || address.hasPrefix("ipc://") else {
                throw TransportError(
                    "connect to \(address)",
                    because: "only inproc:// and ipc:// may go without encryption")
            }
        }
        try socket.connect(address)
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

    /// Makes a new socket, for the next address if there are several, when nobody has answered a
    /// few times.
    private func connectAnew() {
        // An answer has set the count back to zero.
        unansweredBefore = min(unansweredBefore, session.unansweredOpenings)
        guard !session.isOpen,
            session.unansweredOpenings - unansweredBefore >= Self.patience
        else { return }
        unansweredBefore = session.unansweredOpenings
        addressIndex = (addressIndex + 1) % addresses.count
        let address = addresses[addressIndex]
        // Without a descriptor the old connection stays, and the next address is tried in turn.
        if let next = try? Self.connect(address, security, context, configuration) {
            connection = next
        }
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
                if case .curve(_, let serverKey) = security { identity.publicKey = serverKey }
                state.events.append(.opened(fresh, id, identity))
            case .deliver(let body):
                if let peer { state.events.append(.message(peer, body)) }
            case .closed(let reason):
                if let peer { state.events.append(.closed(peer, reason)) }
                peer = nil
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
