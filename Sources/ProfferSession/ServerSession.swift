@_spi(Driver) public import ProfferKernel

/// The server's end of one session: opened by a client, ended by either side, never reopened.
public struct ServerSession: Sendable {
    /// The session's number, chosen by the client.
    public let id: UInt64
    private let limits: SessionLimits
    private let clusterID: String
    private let epoch: UInt64
    private var channel: Channel
    private var unreachableSince: Instant?
    /// Whether it has not ended.
    public private(set) var isOpen = true

    /// Accepts a client's wish.
    ///
    /// Appends: the acceptance and `.opened`.
    public init(
        accepting open: Envelope, clusterID: String, epoch: UInt64, limits: SessionLimits,
        at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        id = open.session
        self.limits = limits
        self.clusterID = clusterID
        self.epoch = epoch
        channel = Channel(session: open.session, limits: limits, at: now)
        accept(at: now, into: &outbox)
        outbox.append(.opened)
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? {
        guard isOpen else { return nil }
        guard let unreachableSince else { return channel.nextDeadline }
        return min(channel.nextDeadline, unreachableSince + limits.unreachableGrace)
    }

    /// How many messages are under way.
    public var unacknowledgedCount: Int { channel.unacknowledgedCount }

    /// Takes an envelope of this session.
    ///
    /// - Parameters:
    ///   - envelope: What the client says.
    ///   - isNewRoute: Whether it came over another connection than the one before.
    ///   - now: The present instant.
    ///   - outbox: Receives the effects.
    public mutating func handle(
        _ envelope: Envelope, isNewRoute: Bool, at now: Instant,
        into outbox: inout Outbox<SessionEffect>
    ) {
        guard isOpen else { return }
        unreachableSince = nil
        switch envelope.content {
        case .open, .message, .keepAlive:
            guard hear(envelope, at: now, into: &outbox) else { return }
        case .accepted:
            break
        case .closed(let reason):
            isOpen = false
            outbox.append(.closed(.remote(reason)))
            return
        }
        if case .open = envelope.content { accept(at: now, into: &outbox) }
        guard isNewRoute else { return }
        var own = Outbox<SessionEffect>()
        channel.resend(at: now, into: &own)
        stamp(&own, into: &outbox)
    }

    private mutating func hear(
        _ envelope: Envelope, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) -> Bool {
        var own = Outbox<SessionEffect>()
        let isInStep = channel.hear(envelope, at: now, into: &own)
        stamp(&own, into: &outbox)
        if !isInStep { close(.outOfStep, at: now, into: &outbox) }
        return isInStep
    }

    /// Sends a message, or ends the session when the client is too slow or the message too large.
    public mutating func send(
        _ body: [UInt8], at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) {
        guard isOpen else { return }
        var own = Outbox<SessionEffect>()
        if let problem = channel.send(body, at: now, into: &own) {
            close(problem, at: now, into: &outbox)
        } else {
            stamp(&own, into: &outbox)
        }
    }

    /// Ends the session and tells the client, also where to go, if it should go elsewhere.
    public mutating func close(
        _ reason: CloseReason, redirect: Redirect? = nil, at now: Instant,
        into outbox: inout Outbox<SessionEffect>
    ) {
        guard isOpen else { return }
        isOpen = false
        var farewell = stamped(channel.envelope(.closed(reason: "\(reason)"), at: now))
        farewell.redirect = redirect
        outbox.append(.transmit(farewell))
        outbox.append(.closed(reason))
    }

    /// Notes that the client's connection is gone; it may come back with another.
    public mutating func routeLost(at now: Instant) {
        if unreachableSince == nil { unreachableSince = now }
    }

    /// Does what is due.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<SessionEffect>) {
        guard isOpen else { return }
        if let since = unreachableSince, since + limits.unreachableGrace <= now {
            close(.unreachable, at: now, into: &outbox)
            return
        }
        var own = Outbox<SessionEffect>()
        let isAlive = channel.wake(at: now, into: &own)
        stamp(&own, into: &outbox)
        if !isAlive { close(.leaseExpired, at: now, into: &outbox) }
    }

    private mutating func accept(at now: Instant, into outbox: inout Outbox<SessionEffect>) {
        let lease = UInt64(max(1, limits.lease.inNanoseconds / 1_000_000))
        outbox.append(
            .transmit(
                stamped(channel.envelope(.accepted(leaseMilliseconds: lease), at: now))))
    }

    private func stamped(_ envelope: Envelope) -> Envelope {
        var envelope = envelope
        envelope.clusterID = clusterID
        envelope.epoch = epoch
        return envelope
    }

    private func stamp(
        _ own: inout Outbox<SessionEffect>, into outbox: inout Outbox<SessionEffect>
    ) {
        for effect in own.takeAll() {
            if case .transmit(let envelope) = effect {
                outbox.append(.transmit(stamped(envelope)))
            } else {
                outbox.append(effect)
            }
        }
    }
}
