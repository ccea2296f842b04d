internal import DequeModule
internal import ProfferKernel

/// Both directions of an open session: sequence, cumulative acknowledgement, resend, dedupe.
///
/// Go-back-N with a cumulative acknowledgement: ZeroMQ loses messages only when a connection
/// breaks, so selective repeat would buy nothing.
struct Channel: Sendable {
    let session: UInt64
    private let limits: SessionLimits
    private var unacknowledged: Deque<[UInt8]> = []
    private var unacknowledgedBytes = 0
    private var sentThrough: UInt64 = 0
    private var acknowledgedByPeer: UInt64 = 0
    private var receivedThrough: UInt64 = 0
    private var acknowledgedToPeer: UInt64 = 0
    private var acknowledgeAt: Instant?
    private var resendAt: Instant?
    private var resendPause: Duration
    private var lastHeard: Instant
    private var lastSent: Instant

    init(session: UInt64, limits: SessionLimits, at now: Instant) {
        self.session = session
        self.limits = limits
        resendPause = limits.resendFirst
        lastHeard = now
        lastSent = now
    }

    var nextDeadline: Instant {
        var next = min(lastHeard + limits.lease, lastSent + limits.lease / 4)
        if let acknowledgeAt { next = min(next, acknowledgeAt) }
        if let resendAt { next = min(next, resendAt) }
        return next
    }

    /// How many messages are under way.
    var unacknowledgedCount: Int { unacknowledged.count }

    mutating func envelope(
        _ content: Envelope.Content, sequence: UInt64 = 0, at now: Instant
    ) -> Envelope {
        lastSent = now
        acknowledgedToPeer = receivedThrough
        acknowledgeAt = nil
        return Envelope(
            session: session, sequence: sequence, acknowledged: receivedThrough, content: content)
    }

    /// Sends a message; what is returned must end the session.
    mutating func send(
        _ body: [UInt8], at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) -> CloseReason? {
        guard body.count <= limits.messageBytes else { return .messageTooLarge }
        guard unacknowledged.count < limits.windowMessages,
            unacknowledgedBytes + body.count <= limits.windowBytes
        else { return .slowConsumer }
        sentThrough += 1
        unacknowledged.append(body)
        unacknowledgedBytes += body.count
        if resendAt == nil {
            resendPause = limits.resendFirst
            resendAt = now + resendPause
        }
        outbox.append(.transmit(envelope(.message(body), sequence: sentThrough, at: now)))
        return nil
    }

    /// Takes an envelope; `false` when the peer cannot have our messages in mind.
    mutating func hear(
        _ envelope: Envelope, at now: Instant, into outbox: inout Outbox<SessionEffect>
    ) -> Bool {
        guard envelope.acknowledged <= sentThrough else { return false }
        lastHeard = now
        takeAcknowledgement(envelope.acknowledged, at: now)
        guard case .message(let body) = envelope.content else { return true }
        if envelope.sequence == receivedThrough + 1 {
            receivedThrough += 1
            outbox.append(.deliver(body))
            if receivedThrough - acknowledgedToPeer >= UInt64(limits.acknowledgeEvery) {
                outbox.append(.transmit(self.envelope(.keepAlive, at: now)))
            } else if acknowledgeAt == nil {
                acknowledgeAt = now + limits.acknowledgeDelay
            }
        } else if acknowledgeAt == nil {
            // A repetition or a gap: the sender has to learn where it stands.
            acknowledgeAt = now + limits.acknowledgeDelay
        }
        return true
    }

    private mutating func takeAcknowledgement(_ sequence: UInt64, at now: Instant) {
        guard sequence > acknowledgedByPeer else { return }
        while acknowledgedByPeer < sequence, let body = unacknowledged.popFirst() {
            unacknowledgedBytes -= body.count
            acknowledgedByPeer += 1
        }
        resendPause = limits.resendFirst
        resendAt = unacknowledged.isEmpty ? nil : now + resendPause
    }

    /// Sends everything that is unacknowledged again: the connection is a new one.
    mutating func resend(at now: Instant, into outbox: inout Outbox<SessionEffect>) {
        for (offset, body) in unacknowledged.enumerated() {
            let sequence = acknowledgedByPeer + UInt64(offset) + 1
            outbox.append(.transmit(envelope(.message(body), sequence: sequence, at: now)))
        }
        resendAt = unacknowledged.isEmpty ? nil : now + resendPause
    }

    /// Does what is due; `false` when the lease has run out.
    mutating func wake(at now: Instant, into outbox: inout Outbox<SessionEffect>) -> Bool {
        if lastHeard + limits.lease <= now { return false }
        if let due = resendAt, due <= now {
            resendPause = min(resendPause * 2, limits.resendLast)
            resend(at: now, into: &outbox)
        }
        if let due = acknowledgeAt, due <= now {
            outbox.append(.transmit(envelope(.keepAlive, at: now)))
        }
        if lastSent + limits.lease / 4 <= now {
            outbox.append(.transmit(envelope(.keepAlive, at: now)))
        }
        return true
    }
}
