@_spi(Driver) import ProfferKernel
import ProfferSession

/// The effects of one step, by kind.
struct Step {
    var transmitted: [Envelope] = []
    var delivered: [[UInt8]] = []
    var closed: [CloseReason] = []
    var openings = 0
    var redirects: [Redirect] = []

    init(_ body: (inout Outbox<SessionEffect>) -> Void) {
        var outbox = Outbox<SessionEffect>()
        body(&outbox)
        for effect in outbox.takeAll() {
            switch effect {
            case .transmit(let envelope): transmitted.append(envelope)
            case .deliver(let body): delivered.append(body)
            case .closed(let reason): closed.append(reason)
            case .opened: openings += 1
            case .redirected(let redirect): redirects.append(redirect)
            }
        }
    }

    /// The bodies of the messages that were sent.
    var bodies: [[UInt8]] {
        transmitted.compactMap { envelope in
            if case .message(let body) = envelope.content { body } else { nil }
        }
    }
}

/// The moment so many milliseconds after the start.
func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

/// A client that has asked for its first session at the start.
func openingClient(
    clusterID: String = "", limits: SessionLimits = SessionLimits(), seed: UInt64 = 1
) -> (ClientSession, Envelope?) {
    var client = ClientSession(
        clusterID: clusterID, credential: [7], limits: limits, seed: seed, at: .zero)
    let step = Step { client.wake(at: .zero, into: &$0) }
    return (client, step.transmitted.first)
}

/// An acceptance of an opening.
func acceptance(
    of opening: Envelope?, epoch: UInt64 = 1, clusterID: String = "c", lease: UInt64 = 10_000
) -> Envelope {
    Envelope(
        clusterID: clusterID, epoch: epoch, session: opening?.session ?? 0,
        content: .accepted(leaseMilliseconds: lease))
}

/// A client with an open session, and the number of that session.
func openClient(limits: SessionLimits = SessionLimits()) -> (ClientSession, UInt64) {
    var (client, opening) = openingClient(limits: limits)
    _ = Step { client.handle(acceptance(of: opening), at: .zero, into: &$0) }
    return (client, opening?.session ?? 0)
}

/// A server session that has just been opened.
func openServer(limits: SessionLimits = SessionLimits()) -> ServerSession {
    var outbox = Outbox<SessionEffect>()
    let session = ServerSession(
        accepting: Envelope(session: 5, content: .open(credential: [])), clusterID: "c",
        epoch: 3, limits: limits, at: .zero, into: &outbox)
    _ = outbox.takeAll()
    return session
}
