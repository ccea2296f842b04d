public import ProfferKernel

/// The client's end: opens a session, and a new one whenever the last has ended, for ever.
public struct ClientSession: Sendable {
    private enum Phase: Sendable {
        case opening(session: UInt64, next: Instant)
        case open
        case waiting(until: Instant)
        case stopped
    }

    private let limits: SessionLimits
    private let credential: [UInt8]
    private var generator: SeededGenerator
    private var phase: Phase
    private var channel: Channel?
    private var openPause: Duration
    private var clusterID: String
    private var epoch: UInt64 = 0
    private var redirects = 0
    private var unreachableSince: Instant?
    /// How many openings in a row were not answered; the transport may try another address.
    public private(set) var unansweredOpenings = 0

    /// Makes a client that will open its first session at its first ``wake(at:into:)``.
    ///
    /// - Parameters:
    ///   - clusterID: The cluster it belongs to; empty to take the first that answers.
    ///   - credential: Proves who it is where keys do not.
    ///   - limits: What bounds its sessions.
    ///   - seed: Must be unpredictable: the numbers of its sessions follow from it.
    ///   - now: The present instant.
    public init(
        clusterID: String = "", credential: [UInt8] = [], limits: SessionLimits = .init(),
        seed: UInt64, at now: Instant
    ) {
        self.limits = limits
        self.credential = credential
        self.clusterID = clusterID
        generator = SeededGenerator(seed: seed)
        openPause = limits.openFirst
        phase = .waiting(until: now)
    }

    /// Whether a session is open.
    public var isOpen: Bool { channel != nil }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? {
        switch phase {
        case .opening(_, let next): next
        case .waiting(let until): until
        case .open:
            earliest(
                channel?.nextDeadline, unreachableSince.map { $0 + limits.unreachableGrace })
        case .stopped: nil
        }
    }

    /// Notes that there is a connection to the server again: says what is unanswered at once, so
    /// that the server learns of the new route before it gives the session up.
    public mutating func routeRestored(
        at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        unreachableSince = nil
        switch phase {
        case .opening(let session, _):
            outbox.append(.transmit(opening(session)))
        case .open:
            channel?.resend(at: now, into: &outbox)
            if let sign = channel?.envelope(.keepAlive, at: now) {
                outbox.append(.transmit(sign))
            }
        case .waiting, .stopped:
            break
        }
    }

    /// Notes that the connection to the server broke: the session ends unless another comes about
    /// in time.
    public mutating func routeLost(at now: Instant) {
        if unreachableSince == nil { unreachableSince = now }
    }

    /// Takes an envelope from the server.
    public mutating func handle(
        _ envelope: Envelope, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        switch phase {
        case .waiting, .stopped:
            return
        case .opening(let session, _):
            guard envelope.session == session else { return }
            answerToOpening(envelope, at: now, into: &outbox)
        case .open:
            guard envelope.session == channel?.session else { return }
            unreachableSince = nil
            if case .closed(let reason) = envelope.content {
                end(.remote(reason), at: now, into: &outbox)
                if let redirect = envelope.redirect {
                    take(redirect, at: now, into: &outbox)
                }
            } else if channel?.hear(envelope, at: now, into: &outbox) == false {
                close(.outOfStep, at: now, into: &outbox)
            }
        }
    }

    private mutating func answerToOpening(
        _ envelope: Envelope, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        switch envelope.content {
        case .accepted(let leaseMilliseconds):
            // A master of the past must not be obeyed, whatever it believes itself to be.
            guard envelope.epoch >= epoch, clusterID.isEmpty || envelope.clusterID == clusterID
            else {
                unansweredOpenings += 1
                pause(at: now)
                return
            }
            epoch = envelope.epoch
            clusterID = envelope.clusterID
            unansweredOpenings = 0
            redirects = 0
            unreachableSince = nil
            openPause = limits.openFirst
            channel = Channel(
                session: envelope.session, limits: shortened(to: leaseMilliseconds), at: now)
            phase = .open
            outbox.append(.opened)
        case .closed:
            unansweredOpenings += 1
            pause(at: now)
            if let redirect = envelope.redirect { take(redirect, at: now, into: &outbox) }
        case .open, .message, .keepAlive:
            break
        }
    }

    /// Goes elsewhere soon, and more slowly from the third time on that it is sent on.
    private mutating func take(
        _ redirect: Redirect, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        unansweredOpenings = 0
        openPause = limits.openFirst
        redirects += 1
        let isKnown = !redirect.address.isEmpty
        let longest = limits.redirectLast
        let pause = isKnown && redirects < 3 ? min(limits.openFirst, longest) : longest
        phase = .waiting(until: now + pause / 2 + generator.duration(upTo: pause / 2))
        outbox.append(.redirected(redirect))
    }

    // Signs of life must be frequent enough for the server, but never without a pause.
    private func shortened(to leaseMilliseconds: UInt64) -> SessionLimits {
        var limits = limits
        let told = Duration.milliseconds(Int64(clamping: max(10, leaseMilliseconds)))
        limits.lease = min(limits.lease, told)
        return limits
    }

    /// Sends a message within the open session; without one it is dropped.
    ///
    /// The session ends when the server is too slow or the message too large.
    public mutating func send(
        _ body: [UInt8], at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        guard let problem = channel?.send(body, at: now, into: &outbox) else { return }
        close(problem, at: now, into: &outbox)
    }

    /// Ends the open session; the next one follows after a pause.
    public mutating func close(
        _ reason: CloseReason, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        guard let farewell = channel?.envelope(.closed(reason: "\(reason)"), at: now) else {
            return
        }
        outbox.append(.transmit(farewell))
        end(reason, at: now, into: &outbox)
    }

    /// Ends the open session for good.
    public mutating func stop(at now: Instant, into outbox: inout Outbox<SessionEffect>) {
        close(.local("the process stops"), at: now, into: &outbox)
        phase = .stopped
    }

    /// Does what is due.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<SessionEffect>) {
        switch phase {
        case .stopped:
            return
        case .waiting(let until):
            if until <= now { open(session: generator.next(), at: now, into: &outbox) }
        case .opening(let session, let next):
            guard next <= now else { return }
            unansweredOpenings += 1
            open(session: session, at: now, into: &outbox)
        case .open:
            if let since = unreachableSince, since + limits.unreachableGrace <= now {
                close(.unreachable, at: now, into: &outbox)
                return
            }
            guard let isAlive = channel?.wake(at: now, into: &outbox) else { return }
            if !isAlive { end(.leaseExpired, at: now, into: &outbox) }
        }
    }

    private mutating func open(
        session: UInt64, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        phase = .opening(session: session, next: now + openPause + jitter())
        openPause = min(openPause * 2, limits.openLast)
        outbox.append(.transmit(opening(session)))
    }

    private func opening(_ session: UInt64) -> Envelope {
        Envelope(
            clusterID: clusterID, epoch: epoch, session: session,
            content: .open(credential: credential))
    }

    private mutating func end(
        _ reason: CloseReason, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        channel = nil
        unreachableSince = nil
        pause(at: now)
        outbox.append(.closed(reason))
    }

    private mutating func pause(at now: Instant) {
        phase = .waiting(until: now + limits.openFirst + jitter())
    }

    private mutating func jitter() -> Duration { generator.duration(upTo: openPause) }
}
