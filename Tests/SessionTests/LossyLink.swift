@_spi(Driver) import ProfferKernel
import ProfferSession

/// A client and a server over a link that loses, repeats, delays and breaks; all from one seed.
///
/// Within one route envelopes keep their order, as on a connection. What is under way when a route
/// breaks is lost or arrives late, after the first envelopes of the next route.
struct LossyLink {
    struct Faults {
        var lossPerMille = 0
        var repetitionPerMille = 0
        var breakPerMille = 0
        var serverEndPerMille = 0
        var clientEndPerMille = 0
    }

    private struct Flight {
        var due: Instant
        var serial: Int
        var isToServer: Bool
        var route: Int
        var envelope: Envelope
    }

    private(set) var now = Instant.zero
    var faults: Faults
    let limits: SessionLimits
    private var random: SeededGenerator
    private var client: ClientSession
    private var servers: [UInt64: (session: ServerSession, route: Int)] = [:]
    private var ended = EndedSessions(capacity: 64)
    private var flights: [Flight] = []
    private var serial = 0
    private var route = 1
    private var isUp = true
    private var lastDue: [Bool: Instant] = [:]
    private var clientSession: UInt64 = 0
    private var counter: UInt64 = 0

    /// What was given to the session of either side, by session.
    private(set) var sentByClient: [UInt64: [UInt64]] = [:]
    private(set) var sentByServer: [UInt64: [UInt64]] = [:]
    /// What came out of it at the other side.
    private(set) var gotAtServer: [UInt64: [UInt64]] = [:]
    private(set) var gotAtClient: [UInt64: [UInt64]] = [:]
    private(set) var openedAtServer: [UInt64: Int] = [:]
    private(set) var closings: [CloseReason] = []
    private(set) var faultCount = 0

    init(seed: UInt64, faults: Faults, limits: SessionLimits) {
        random = SeededGenerator(seed: seed)
        self.faults = faults
        self.limits = limits
        client = ClientSession(limits: limits, seed: random.next(), at: .zero)
    }

    var isOpen: Bool { client.isOpen }
    var currentSession: UInt64 { clientSession }
    var isOpenAtServer: Bool { servers[clientSession]?.session.isOpen ?? false }

    private mutating func chance(_ perMille: Int) -> Bool {
        let isHit = Int.random(in: 0..<1000, using: &random) < perMille
        if isHit { faultCount += 1 }
        return isHit
    }

    // MARK: The two applications

    mutating func clientSays() {
        guard client.isOpen else { return }
        counter += 1
        sentByClient[clientSession, default: []].append(counter)
        var effects = Outbox<SessionEffect>()
        client.send(Self.body(counter), at: now, into: &effects)
        perform(&effects)
    }

    mutating func serverSays() {
        for id in servers.keys.sorted() {
            counter += 1
            sentByServer[id, default: []].append(counter)
            let body = Self.body(counter)
            change(id) { $0.send(body, at: $1, into: &$2) }
        }
    }

    // MARK: Time

    /// Lets everything happen up to `end`, with traffic and faults at random moments.
    mutating func run(until end: Instant, talks: Bool) {
        while now < end {
            let step = now + .milliseconds(Int64.random(in: 1...20, using: &random))
            settle(until: min(step, end))
            if talks {
                if Bool.random(using: &random) { clientSays() }
                if Bool.random(using: &random) { serverSays() }
            }
            if chance(faults.breakPerMille) { breakRoute() }
            if chance(faults.serverEndPerMille) {
                for id in servers.keys.sorted() {
                    change(id) { $0.close(.local("test"), at: $1, into: &$2) }
                }
            }
            if chance(faults.clientEndPerMille) {
                var effects = Outbox<SessionEffect>()
                client.close(.local("test"), at: now, into: &effects)
                perform(&effects)
            }
        }
    }

    private mutating func settle(until end: Instant) {
        while true {
            let flight = nextFlight
            var next = earliest(flight.map { flights[$0].due }, client.nextDeadline)
            for id in servers.keys.sorted() {
                next = earliest(next, servers[id]?.session.nextDeadline)
            }
            guard let next, next <= end else { break }
            now = max(now, next)
            if let flight, flights[flight].due <= now {
                arrive(flights.remove(at: flight))
            } else {
                wake()
            }
        }
        now = max(now, end)
    }

    private var nextFlight: Int? {
        var best: Int?
        for index in flights.indices {
            guard let known = best else {
                best = index
                continue
            }
            let (left, right) = (flights[index], flights[known])
            if left.due < right.due || left.due == right.due && left.serial < right.serial {
                best = index
            }
        }
        return best
    }

    private mutating func wake() {
        var effects = Outbox<SessionEffect>()
        client.wake(at: now, into: &effects)
        perform(&effects)
        for id in servers.keys.sorted() { change(id) { $0.wake(at: $1, into: &$2) } }
    }

    // MARK: The link

    private mutating func breakRoute() {
        for index in flights.indices.reversed() where flights[index].route == route {
            if Bool.random(using: &random) {
                flights.remove(at: index)
            } else {
                let delay = Int64.random(in: 0...400, using: &random)
                flights[index].due = flights[index].due + .milliseconds(delay)
            }
        }
        route += 1
        lastDue = [:]
        isUp = Bool.random(using: &random)
        for id in servers.keys.sorted() { servers[id]?.session.routeLost(at: now) }
    }

    private mutating func transmit(_ envelope: Envelope, isToServer: Bool, route: Int) {
        if !isUp, chance(200) { isUp = true }
        guard isUp, route == self.route, !chance(faults.lossPerMille) else { return }
        let copies = chance(faults.repetitionPerMille) ? 2 : 1
        for _ in 0..<copies {
            let travel = Int64.random(in: 1...5, using: &random)
            let due = max(
                now + .milliseconds(travel), lastDue[isToServer] ?? .zero)
            lastDue[isToServer] = due
            serial += 1
            flights.append(
                Flight(
                    due: due, serial: serial, isToServer: isToServer, route: route,
                    envelope: envelope))
        }
    }

    mutating func heal() {
        faults = Faults()
        isUp = true
    }

    private mutating func arrive(_ flight: Flight) {
        if flight.isToServer {
            arriveAtServer(flight)
        } else {
            var effects = Outbox<SessionEffect>()
            client.handle(flight.envelope, at: now, into: &effects)
            perform(&effects)
        }
    }

    private mutating func arriveAtServer(_ flight: Flight) {
        let id = flight.envelope.session
        if let known = servers[id] {
            servers[id]?.route = flight.route
            let isNew = known.route != flight.route
            change(id) {
                $0.handle(flight.envelope, isNewRoute: isNew, at: $1, into: &$2)
            }
            return
        }
        guard case .open = flight.envelope.content, !ended.contains(id) else {
            if case .closed = flight.envelope.content { return }
            transmit(
                Envelope(session: id, content: .closed(reason: "unknown")), isToServer: false,
                route: flight.route)
            return
        }
        var effects = Outbox<SessionEffect>()
        let session = ServerSession(
            accepting: flight.envelope, clusterID: "c", epoch: 1, limits: limits, at: now,
            into: &effects)
        servers[id] = (session, flight.route)
        perform(&effects, at: id)
    }

    // MARK: Effects

    private mutating func change(
        _ id: UInt64,
        _ body: (inout ServerSession, Instant, inout Outbox<SessionEffect>) -> Void
    ) {
        guard var entry = servers[id] else { return }
        var effects = Outbox<SessionEffect>()
        body(&entry.session, now, &effects)
        servers[id] = entry
        perform(&effects, at: id)
    }

    private mutating func perform(_ effects: inout Outbox<SessionEffect>) {
        for effect in effects.takeAll() {
            switch effect {
            case .transmit(let envelope):
                if case .open = envelope.content { clientSession = envelope.session }
                transmit(envelope, isToServer: true, route: route)
            case .opened: break
            case .deliver(let body):
                gotAtClient[clientSession, default: []].append(Self.number(body))
            case .closed(let reason): closings.append(reason)
            case .redirected: break
            }
        }
    }

    private mutating func perform(_ effects: inout Outbox<SessionEffect>, at id: UInt64) {
        for effect in effects.takeAll() {
            switch effect {
            case .transmit(let envelope):
                let route = servers[id]?.route ?? 0
                if route != self.route { servers[id]?.session.routeLost(at: now) }
                transmit(envelope, isToServer: false, route: route)
            case .opened: openedAtServer[id, default: 0] += 1
            case .deliver(let body):
                gotAtServer[id, default: []].append(Self.number(body))
            case .closed(let reason):
                closings.append(reason)
                servers[id] = nil
                ended.insert(id)
            case .redirected: break
            }
        }
    }

    private static func body(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    private static func number(_ body: [UInt8]) -> UInt64 {
        body.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
