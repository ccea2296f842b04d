/// What one ZeroMQ message carries: a body or a word about the session, with the numbers that make
/// delivery reliable.
public struct Envelope: Hashable, Sendable {
    /// The version of the session protocol this build speaks.
    public static let currentVersion: UInt32 = 1

    /// What the envelope is for.
    public enum Content: Hashable, Sendable {
        /// The client wants a session; the bytes prove who it is where keys do not.
        case open(credential: [UInt8])
        /// The server agrees; each side must be heard from within the lease.
        case accepted(leaseMilliseconds: UInt64)
        /// The sender has ended the session.
        case closed(reason: String)
        /// A message of the layer above.
        case message([UInt8])
        /// Nothing but the numbers.
        case keepAlive
    }

    /// The version of the session protocol.
    public var version: UInt32
    /// The cluster the sender belongs to; empty when it does not know yet.
    public var clusterID: String
    /// How often a master has taken over; a client that has seen a higher one refuses lower ones.
    public var epoch: UInt64
    /// The session, chosen at random by the client.
    public var session: UInt64
    /// The message's place in its direction, from 1; 0 for everything but messages.
    public var sequence: UInt64
    /// Every message of the other direction up to this one has arrived.
    public var acknowledged: UInt64
    /// What it is for.
    public var content: Content
    /// With `.closed`: the sender does not lead, and who does.
    public var redirect: Redirect?

    /// Fills an envelope.
    public init(
        version: UInt32 = Envelope.currentVersion, clusterID: String = "", epoch: UInt64 = 0,
        session: UInt64, sequence: UInt64 = 0, acknowledged: UInt64 = 0, content: Content,
        redirect: Redirect? = nil
    ) {
        self.version = version
        self.clusterID = clusterID
        self.epoch = epoch
        self.session = session
        self.sequence = sequence
        self.acknowledged = acknowledged
        self.content = content
        self.redirect = redirect
    }
}

/// Where a client should go instead, by the word of a server that it has authenticated.
public struct Redirect: Hashable, Sendable {
    /// The address; empty when the server knows nobody who would serve.
    public var address: String
    /// The public key of the server there, Z85; empty where keys are not used.
    public var publicKey: String

    /// Names a server.
    public init(address: String = "", publicKey: String = "") {
        self.address = address
        self.publicKey = publicKey
    }

    /// Nobody serves at present.
    public static let nobody = Redirect()
}

/// Why a session has ended.
public enum CloseReason: Hashable, Sendable, CustomStringConvertible {
    /// Nothing was heard for a lease.
    case leaseExpired
    /// The peer took in less than was to be sent, for too long.
    case slowConsumer
    /// The connection is gone and did not come back.
    case unreachable
    /// The peer acknowledged what was never sent to it: one of the two has lost its state.
    case outOfStep
    /// A message was to be sent that is larger than the limit.
    case messageTooLarge
    /// The other side ended it and gave this reason.
    case remote(String)
    /// This side ended it and gave this reason.
    case local(String)

    /// For logs.
    public var description: String {
        switch self {
        case .leaseExpired: "nothing was heard for the length of a lease"
        case .slowConsumer: "the peer takes in less than is sent to it"
        case .unreachable: "the connection broke"
        case .outOfStep: "the peer acknowledged messages that were never sent"
        case .messageTooLarge: "a message was larger than the limit of a session"
        case .remote(let reason): "the peer closed it: \(reason)"
        case .local(let reason): reason
        }
    }
}

/// What a session asks of its transport and tells the layer above, in this order.
public enum SessionEffect: Hashable, Sendable {
    /// Send this; it may get lost.
    case transmit(Envelope)
    /// The session is open.
    case opened
    /// A message has arrived, in order, once.
    case deliver([UInt8])
    /// The session has ended; what was not acknowledged may or may not have arrived.
    case closed(CloseReason)
    /// The next session should be opened elsewhere.
    case redirected(Redirect)
}

/// The numbers that bound a session.
public struct SessionLimits: Hashable, Sendable {
    /// Each side must be heard from within this time.
    ///
    /// A quarter of it is the pause between signs of life. A client keeps the server's lease where
    /// that is shorter than its own.
    public var lease: Duration = .seconds(10)
    /// The largest message in bytes.
    ///
    /// Sending a larger one ends the session, because it would be cut off at every attempt and
    /// hold up everything behind it.
    public var messageBytes = 8 << 20
    /// Messages that may be under way unacknowledged before the peer counts as too slow.
    public var windowMessages = 16_384
    /// Bytes that may be under way unacknowledged before the peer counts as too slow.
    public var windowBytes = 64 << 20
    /// How long an acknowledgement may wait for a message to travel with.
    public var acknowledgeDelay: Duration = .milliseconds(40)
    /// How many messages may wait for one acknowledgement.
    public var acknowledgeEvery = 64
    /// The first pause before unacknowledged messages are sent again; it doubles.
    public var resendFirst: Duration = .milliseconds(250)
    /// The longest such pause.
    public var resendLast: Duration = .seconds(4)
    /// The first pause before an unanswered opening is repeated; it doubles.
    ///
    /// Up to as much again
    /// is added at random, so that clients which lost one server do not come back in step.
    public var openFirst: Duration = .milliseconds(50)
    /// The longest such pause, without what is added.
    public var openLast: Duration = .seconds(5)
    /// The longest pause before a server is asked again that has sent the client elsewhere, or
    /// knows nobody who serves; half of it at least.
    public var redirectLast: Duration = .milliseconds(500)
    /// How long a peer whose connection is gone may take to come back within its session.
    public var unreachableGrace: Duration = .seconds(2)

    /// The defaults.
    public init() {}
}
