public import ProfferSession
public import ProfferZeroMQ

/// Names an endpoint within its reactor.
public struct EndpointID: Hashable, Sendable, CustomStringConvertible {
    /// The name.
    public let name: String

    /// Names an endpoint.
    public init(_ name: String) { self.name = name }

    /// The name.
    public var description: String { name }
}

/// How the peers of a listening endpoint prove who they are.
public enum ListenSecurity: Sendable {
    /// CURVE, with the keys that an allow-list has for a domain.
    case curve(KeyPair, domain: String, AllowList)
    /// None: for `inproc://` and for `ipc://` below a directory of the owner, where the credential
    /// in the opening proves the peer.
    case local
}

/// How a dialling endpoint proves who it is.
public enum DialSecurity: Sendable {
    /// CURVE, to servers with this key, unless their addresses name another.
    case curve(KeyPair, serverKey: String)
    /// None: `inproc://` and `ipc://` only.
    case local
}

/// A socket of a reactor.
public enum Endpoint: Sendable {
    /// Waits for peers.
    case listen(EndpointID, address: String, ListenSecurity)
    /// Keeps one session with one of several addresses open, for ever.
    ///
    /// An address may carry the server's key (``ServerAddress``). A server that does not serve
    /// names the one that does: it is believed where it is authenticated.
    case dial(EndpointID, addresses: [String], credential: [UInt8] = [], DialSecurity)
}

/// Who a peer is.
public struct PeerIdentity: Hashable, Sendable {
    /// Its public key in Z85, where CURVE is used; checked at every message.
    public var publicKey: String?
    /// What it proved itself with in the opening.
    public var credential: [UInt8]

    /// Describes a peer.
    public init(publicKey: String? = nil, credential: [UInt8] = []) {
        self.publicKey = publicKey
        self.credential = credential
    }
}

/// Turns envelopes into bytes and back.
public struct EnvelopeCoding: Sendable {
    /// The bytes of an envelope.
    public var encode: @Sendable (Envelope) -> [UInt8]
    /// The envelope of some bytes; throws when they are none.
    public var decode: @Sendable ([UInt8]) throws -> Envelope

    /// Combines the two directions.
    public init(
        encode: @escaping @Sendable (Envelope) -> [UInt8],
        decode: @escaping @Sendable ([UInt8]) throws -> Envelope
    ) {
        self.encode = encode
        self.decode = decode
    }
}

/// What a reactor is made of.
public struct ReactorConfiguration: Sendable {
    /// Its thread's name, at most 15 characters.
    public var name: String
    /// Its sockets.
    public var endpoints: [Endpoint]
    /// The cluster it belongs to; a client may leave it empty.
    public var clusterID = ""
    /// How often a master has taken over; told to clients.
    public var epoch: UInt64 = 0
    /// Whether openings are refused until ``Links/serve(clusterID:epoch:)``.
    public var standsBy = false
    /// The limits of its sessions.
    public var session = SessionLimits()
    /// The limits of its sockets; a message part may be as large as a session's message and its
    /// envelope.
    public var socket = SocketLimits()
    /// How many sessions a listening endpoint has at most; more are refused.
    public var peerLimit = 100_000
    /// How many sessions a listening endpoint begins in a second, and at once after a quiet time.
    ///
    /// An opening beyond that is not answered, and its client repeats it, later each time and not
    /// in step with others: when all peers of a large cluster come back at once they are let in as
    /// quickly as they can be served, and no quicker.
    public var openingsPerSecond = 10_000
    /// How many messages one socket may bring in a turn.
    public var batch = 512
    /// How many items other threads may have posted that no turn has taken yet.
    public var mailLimit = 1_000_000
    /// What the time is for the handler; `nil` is the clock of this machine.
    public var clock: ShiftedClock?
    /// Is told on the reactor's thread what an operator should know; must not wait.
    public var notice: (@Sendable (TransportNotice) -> Void)?
    /// The envelope codec.
    public var coding: EnvelopeCoding

    /// Describes a reactor.
    public init(name: String, endpoints: [Endpoint], coding: EnvelopeCoding) {
        self.name = name
        self.endpoints = endpoints
        self.coding = coding
        // The rest of an envelope and the box of CURVE take less than 1 KiB.
        socket.messageBytes = Int64(session.messageBytes) + 1024
    }
}

/// Why a reactor cannot start.
public struct TransportError: Error, CustomStringConvertible, Sendable {
    /// What was tried and on what.
    public let what: String
    /// Why it failed.
    public let because: String
    /// The underlying error number; 0 when there is none.
    public let code: Int32

    init(_ what: String, because: String, code: Int32 = 0) {
        self.what = what
        self.because = because
        self.code = code
    }

    init(_ error: ZeroMQError) {
        self.init(
            "\(error.operation) \(error.subject)", because: error.description, code: error.code)
    }

    /// One sentence.
    public var description: String { "\(what): \(because)" }
}

/// What has been turned away at the sockets of a process.
public struct TransportCounters: Hashable, Sendable {
    /// Messages that were no envelope, or not one part.
    public var malformed: UInt64 = 0
    /// Messages of keys that are not (any more) allowed.
    public var refused: UInt64 = 0
    /// Envelopes of sessions that are not open.
    public var strays: UInt64 = 0
    /// Openings that were refused: wrong version or cluster, too many sessions.
    public var unopened: UInt64 = 0
    /// Openings that were not answered because too many came at once.
    public var postponed: UInt64 = 0
    /// Connections that got no further than the handshake: a key that is not allowed, a wrong
    /// server key, no encryption, not the protocol.
    public var failedHandshakes: UInt64 = 0
    /// Connections that ended: the peer went, or was cut off because it sent too large a message.
    public var disconnections: UInt64 = 0
    /// Messages that a socket would not take; sent again later.
    public var deferred: UInt64 = 0
    /// Messages in.
    public var received: UInt64 = 0
    /// Messages out.
    public var sent: UInt64 = 0
}
