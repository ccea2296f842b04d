internal import Glibc
@_spi(Driver) internal import ProfferKernel
internal import ProfferSession
internal import ProfferZeroMQ

/// The sockets and sessions of one reactor, on its thread.
struct ReactorLoop: ~Copyable {
    private(set) var addresses: [EndpointID: String] = [:]
    private let configuration: ReactorConfiguration
    private let wakeUp: WakeUp
    private var authenticator: AuthenticatorBox?
    private var listeners: [Listener] = []
    private var dialers: [Dialer] = []
    private var shared: LoopState
    private var watched: [Int32] = []
    private var isStopping = false

    init(
        _ configuration: ReactorConfiguration, context: Context, wakeUp: WakeUp
    ) throws(TransportError) {
        self.configuration = configuration
        self.wakeUp = wakeUp
        shared = LoopState(coding: configuration.coding, notice: configuration.notice)
        do {
            for endpoint in configuration.endpoints {
                switch endpoint {
                case .listen(let id, let address, let security):
                    if case .curve(_, _, let allowList) = security {
                        try authenticate(with: allowList, id, context)
                    }
                    let listener = try Listener(
                        id: id, address: address, security: security, context: context,
                        configuration: configuration)
                    addresses[id] = listener.address
                    listeners.append(listener)
                case .dial(let id, let targets, let credential, let security):
                    let dialer = try Dialer(
                        id: id, addresses: targets, credential: credential, security: security,
                        context: context, configuration: configuration)
                    addresses[id] = targets.first ?? ""
                    dialers.append(dialer)
                }
            }
        } catch let error as ZeroMQError {
            throw TransportError(error)
        } catch let error as TransportError {
            throw error
        } catch {
            throw TransportError("open the sockets", because: "\(error)")
        }
    }

    private mutating func authenticate(
        with allowList: AllowList, _ id: EndpointID, _ context: Context
    ) throws {
        guard let authenticator else {
            authenticator = try AuthenticatorBox(context, allowList)
            return
        }
        guard authenticator.allowList === allowList else {
            throw TransportError(
                "listen at endpoint '\(id)'",
                because: "all endpoints share one allow-list; give each a domain of its own in it")
        }
    }

    mutating func run<Handler: ReactorHandler & ~Copyable>(
        _ handler: inout Handler, _ mailbox: Mailbox<Handler.Mail>
    ) {
        var poller = Poller()
        var now = SystemClock.now()
        var isFirst = true
        while !isStopping {
            let positions = prepare(&poller)
            // What the handler's own commands have caused waits for its next turn.
            let mayWait = !isFirst && shared.events.isEmpty
            let shift = configuration.clock.map { $0.now() - SystemClock.now() } ?? .zero
            let due = handler.nextDeadline.map { $0 - shift }
            let timeout = mayWait ? milliseconds(until: deadline(due)) : 0
            guard (try? poller.wait(milliseconds: timeout)) != nil else { break }
            now = SystemClock.now()
            if poller.isReady(positions.wakeUp) { wakeUp.clear() }
            drain(poller, positions, at: now)
            wakeSessions(at: now)
            let mail = mailbox.take(shared.counters)
            let handlerNow = configuration.clock?.now() ?? now
            let isDue = handler.nextDeadline.map { $0 <= handlerNow } ?? false
            if isFirst || isDue || !mail.isEmpty || !shared.events.isEmpty {
                let events = shared.events
                shared.events = []
                var links = Links()
                handler.turn(events: events, mail: mail, at: handlerNow, links: &links)
                carryOut(links.commands, at: now)
            }
            isFirst = false
        }
        var hadPeers = false
        for dialer in dialers where dialer.stop(at: now, &shared) { hadPeers = true }
        for listener in listeners where listener.closeAll(at: now, &shared) { hadPeers = true }
        if hadPeers { readOn(&poller) }
        _ = mailbox.take(shared.counters)
        for listener in listeners { listener.giveUpAddress() }
    }

    /// Takes in what peers still send, for a moment, and forgets it.
    ///
    /// A TCP connection that is closed with unread bytes is reset, and the reset overtakes the
    /// farewell that has just been sent.
    private mutating func readOn(_ poller: inout Poller) {
        let end = SystemClock.now() + .milliseconds(200)
        watched = []
        while SystemClock.now() < end {
            let positions = prepare(&poller)
            guard let isReady = try? poller.wait(milliseconds: 20), isReady else { return }
            if poller.isReady(positions.wakeUp) { wakeUp.clear() }
            drain(poller, positions, at: SystemClock.now())
            shared.events = []
        }
    }

    private struct Positions {
        var wakeUp = 0
        var authenticator: Int?
        var listeners = 0
        var dialers = 0
        var watched = 0
    }

    private func prepare(_ poller: inout Poller) -> Positions {
        var positions = Positions()
        poller.removeAll()
        positions.wakeUp = poller.add(descriptor: wakeUp.descriptor)
        if let authenticator { positions.authenticator = authenticator.add(to: &poller) }
        positions.listeners = 1 + (authenticator == nil ? 0 : 1)
        for listener in listeners { listener.add(to: &poller) }
        positions.dialers = positions.listeners + listeners.count * 2
        for dialer in dialers { dialer.add(to: &poller) }
        positions.watched = positions.dialers + dialers.count * 2
        for descriptor in watched { poller.add(descriptor: descriptor) }
        return positions
    }

    private mutating func drain(
        _ poller: borrowing Poller, _ positions: Positions, at now: Instant
    ) {
        if let position = positions.authenticator, poller.isReady(position) {
            authenticator?.answerAll(shared.notice)
        }
        for (index, listener) in listeners.enumerated() {
            let position = positions.listeners + index * 2
            if poller.isReady(position + 1) { listener.drainMonitor(&shared) }
            if poller.isReady(position) {
                listener.drain(configuration.batch, at: now, &shared)
            }
        }
        for (index, dialer) in dialers.enumerated() {
            let position = positions.dialers + index * 2
            if poller.isReady(position + 1) { dialer.drainMonitor(at: now, &shared) }
            if poller.isReady(position) { dialer.drain(configuration.batch, at: now, &shared) }
        }
        for (index, descriptor) in watched.enumerated()
        where poller.isReady(positions.watched + index) {
            shared.events.append(.readable(descriptor))
        }
    }

    private func deadline(_ handler: Instant?) -> Instant? {
        var next = handler
        for listener in listeners { next = earliest(next, listener.nextDeadline) }
        for dialer in dialers { next = earliest(next, dialer.nextDeadline) }
        return next
    }

    private mutating func wakeSessions(at now: Instant) {
        for listener in listeners { listener.wake(at: now, &shared) }
        for dialer in dialers { dialer.wake(at: now, &shared) }
    }

    private func milliseconds(until deadline: Instant?) -> Int {
        guard let deadline else { return -1 }
        let left = (deadline - SystemClock.now()).inNanoseconds
        if left <= 0 { return 0 }
        // Rounded up: waking early would spin until the deadline.
        return Int(min(left / 1_000_000 + 1, 60_000))
    }

    private mutating func carryOut(_ commands: [Links.Command], at now: Instant) {
        for command in commands {
            switch command {
            case .send(let body, let peer):
                if listeners.contains(where: { $0.send(body, to: peer, at: now, &shared) }) {
                    continue
                }
                _ = dialers.contains { $0.send(body, to: peer, at: now, &shared) }
            case .close(let peer, let reason):
                if listeners.contains(where: { $0.close(peer, reason, at: now, &shared) }) {
                    continue
                }
                _ = dialers.contains { $0.close(peer, reason, at: now, &shared) }
            case .watch(let descriptor):
                watched.append(descriptor)
            case .unwatch(let descriptor):
                watched.removeAll { $0 == descriptor }
            case .serve(let clusterID, let epoch):
                for listener in listeners { listener.serve(clusterID: clusterID, epoch: epoch) }
            case .standBy(let redirects):
                for listener in listeners {
                    listener.standBy(redirects[listener.id] ?? .nobody, at: now, &shared)
                }
                // What peers said before they were sent away is nobody's business any more.
                shared.events = []
            case .stop:
                isStopping = true
            }
        }
    }
}

/// What every endpoint of a loop writes to.
struct LoopState {
    let coding: EnvelopeCoding
    let notice: (@Sendable (TransportNotice) -> Void)?
    var events: [TransportEvent] = []
    var counters = TransportCounters()
    private var lastPeer: UInt64 = 0

    init(coding: EnvelopeCoding, notice: (@Sendable (TransportNotice) -> Void)?) {
        self.coding = coding
        self.notice = notice
    }

    /// Counts an event of a connection at an endpoint, and says what is worth a line.
    mutating func take(_ event: ConnectionEvent, at endpoint: EndpointID) {
        counters.count(event)
        if case .handshakeFailed(let address, let problem) = event {
            notice?(.handshakeFailed(endpoint, address: address, problem))
        }
    }

    mutating func nextPeer() -> PeerID {
        lastPeer += 1
        return PeerID(lastPeer)
    }
}

extension TransportCounters {
    mutating func count(_ event: ConnectionEvent) {
        switch event {
        case .handshakeFailed: failedHandshakes += 1
        case .disconnected: disconnections += 1
        case .listening, .listenFailed, .accepted, .acceptFailed, .connected, .connecting,
            .retrying, .handshakeSucceeded, .closed:
            break
        }
    }
}

/// Keeps the authenticator, which cannot be copied, in a loop that can be without one.
private final class AuthenticatorBox {
    let allowList: AllowList
    private let authenticator: Authenticator

    init(_ context: Context, _ allowList: AllowList) throws(ZeroMQError) {
        self.allowList = allowList
        authenticator = try Authenticator(in: context, allowList: allowList)
    }

    func add(to poller: inout Poller) -> Int { poller.add(authenticator.socket) }

    func answerAll(_ notice: (@Sendable (TransportNotice) -> Void)?) {
        try? authenticator.answerAll { refusal in
            notice?(
                .keyRefused(refusal.key, domain: refusal.domain, address: refusal.address))
        }
    }
}
