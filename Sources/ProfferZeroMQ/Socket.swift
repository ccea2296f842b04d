internal import CZeroMQ
internal import Glibc

/// A ZeroMQ socket.
///
/// It belongs to one thread: it can be neither copied nor sent to another.
public struct Socket: ~Copyable {
    /// The patterns that are in use here.
    public enum Kind: Sendable {
        /// Talks to many peers by routing id.
        case router
        /// Talks to one peer, in both directions, without turns.
        case dealer
        /// Talks to exactly one peer.
        case pair

        var number: Int32 {
            switch self {
            case .router: ZMQ_ROUTER
            case .dealer: ZMQ_DEALER
            case .pair: ZMQ_PAIR
            }
        }
    }

    /// What a socket and its ``Monitor`` share: it closes when both are gone.
    final class Owner {
        let handle: UnsafeMutableRawPointer
        let context: Context

        init(_ handle: UnsafeMutableRawPointer, _ context: Context) {
            self.handle = handle
            self.context = context
        }

        deinit { zmq_close(handle) }
    }

    let owner: Owner
    let handle: UnsafeMutableRawPointer

    /// Opens a socket.
    public init(_ kind: Kind, in context: Context) throws(ZeroMQError) {
        guard let handle = zmq_socket(context.handle, kind.number) else {
            throw .last("open a socket")
        }
        self.handle = handle
        owner = Owner(handle, context)
    }

    func set(_ option: Int32, _ value: Int32, _ name: String) throws(ZeroMQError) {
        var value = value
        guard zmq_setsockopt(handle, option, &value, MemoryLayout<Int32>.size) == 0 else {
            throw .last("set", name)
        }
    }

    private func set(_ option: Int32, text: String, _ name: String) throws(ZeroMQError) {
        guard zmq_setsockopt(handle, option, text, text.utf8.count) == 0 else {
            throw .last("set", name)
        }
    }

    /// Sets the rules that every socket here keeps, see ``SocketLimits``.
    public func apply(_ limits: SocketLimits, isRouter: Bool) throws(ZeroMQError) {
        try set(ZMQ_LINGER, limits.lingerMilliseconds, "linger")
        try set(ZMQ_SNDHWM, limits.sendQueue, "send queue")
        try set(ZMQ_RCVHWM, limits.receiveQueue, "receive queue")
        try set(ZMQ_IMMEDIATE, 1, "immediate")
        try set(ZMQ_HANDSHAKE_IVL, limits.handshakeMilliseconds, "handshake interval")
        try set(ZMQ_HEARTBEAT_IVL, limits.heartbeatMilliseconds, "heartbeat")
        try set(ZMQ_HEARTBEAT_TIMEOUT, limits.heartbeatTimeoutMilliseconds, "heartbeat timeout")
        try set(ZMQ_RECONNECT_IVL, limits.reconnectMilliseconds, "reconnect interval")
        try set(ZMQ_RECONNECT_IVL_MAX, limits.reconnectMaxMilliseconds, "reconnect maximum")
        try set(ZMQ_BACKLOG, 1024, "backlog")
        var size = limits.messageBytes
        guard zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &size, MemoryLayout<Int64>.size) == 0 else {
            throw .last("set", "message size")
        }
        if isRouter {
            try set(ZMQ_ROUTER_MANDATORY, 1, "mandatory")
            try set(ZMQ_ROUTER_HANDOVER, 0, "hand-over")
        }
    }

    /// Makes this end the CURVE server of a ZAP domain.
    ///
    /// Whoever listens must have an ``Authenticator`` in the same context; without one nobody is
    /// let in.
    ///
    /// - Throws: When the domain is empty, because libzmq asks no authenticator about it.
    public func actAsServer(_ keys: KeyPair, domain: String) throws(ZeroMQError) {
        guard !domain.isEmpty else {
            throw ZeroMQError(code: EINVAL, operation: "set", subject: "empty ZAP domain")
        }
        try set(ZMQ_ZAP_DOMAIN, text: domain, "ZAP domain")
        try set(proffer_zap_enforce_domain, 1, "strict ZAP")
        try set(ZMQ_CURVE_SERVER, 1, "CURVE server")
        try set(ZMQ_CURVE_SECRETKEY, text: keys.secretKey, "secret key")
    }

    /// Makes this end a CURVE client that talks to one server only.
    public func actAsClient(_ keys: KeyPair, server: String) throws(ZeroMQError) {
        try set(ZMQ_CURVE_SERVERKEY, text: server, "server key")
        try set(ZMQ_CURVE_PUBLICKEY, text: keys.publicKey, "public key")
        try set(ZMQ_CURVE_SECRETKEY, text: keys.secretKey, "secret key")
    }

    /// Sets the routing id that a ROUTER at the other end will see.
    public func setRoutingID(_ id: String) throws(ZeroMQError) {
        try set(ZMQ_ROUTING_ID, text: id, "routing id")
    }

    /// Listens on an address and returns it as it became, with the real port.
    public func bind(_ address: String) throws(ZeroMQError) -> String {
        guard zmq_bind(handle, address) == 0 else { throw .last("listen on", address) }
        var buffer = [CChar](repeating: 0, count: 1024)
        var size = buffer.count
        guard zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &buffer, &size) == 0 else {
            throw .last("ask for the address of", address)
        }
        return String(
            decoding: buffer.prefix(max(0, size - 1)).map { UInt8(bitPattern: $0) },
            as: UTF8.self)
    }

    /// Gives an address that was bound up; an `inproc://` one is free for others at once.
    public func unbind(_ address: String) throws(ZeroMQError) {
        guard zmq_unbind(handle, address) == 0 else { throw .last("give up", address) }
    }

    /// Begins to connect; libzmq goes on trying by itself.
    public func connect(_ address: String) throws(ZeroMQError) {
        guard zmq_connect(handle, address) == 0 else { throw .last("connect to", address) }
    }

    /// Ends a connection made with ``connect(_:)``.
    public func disconnect(_ address: String) throws(ZeroMQError) {
        guard zmq_disconnect(handle, address) == 0 else {
            throw .last("disconnect from", address)
        }
    }

    /// Sends one part without waiting, with `more` when other parts of the message follow.
    ///
    /// - Throws: With `isTryAgain` when the queue is full, with `isHostUnreachable` when a ROUTER
    ///   does not know the routing id.
    public func send(_ bytes: [UInt8], more: Bool = false) throws(ZeroMQError) {
        let flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)
        while zmq_send(handle, bytes, bytes.count, flags) < 0 {
            if zmq_errno() != EINTR { throw .last("send") }
        }
    }

    /// Receives one part without waiting; `false` when there is none.
    public func receive(_ frame: inout Frame) throws(ZeroMQError) -> Bool {
        while true {
            if zmq_msg_recv(&frame.message, handle, ZMQ_DONTWAIT) >= 0 { return true }
            switch zmq_errno() {
            case EAGAIN: return false
            case EINTR: continue
            default: throw .last("receive")
            }
        }
    }
}

/// The limits of a socket; each one bounds what a slow or hostile peer can cost.
public struct SocketLimits: Sendable {
    /// How long unsent messages may hold up closing.
    public var lingerMilliseconds: Int32 = 1000
    /// Messages that may wait to be sent, per peer.
    public var sendQueue: Int32 = 10_000
    /// Messages that may wait to be received, per peer.
    public var receiveQueue: Int32 = 10_000
    /// The largest message part in bytes; a peer that sends more is cut off.
    public var messageBytes: Int64 = 8 << 20
    /// How long a handshake may take.
    public var handshakeMilliseconds: Int32 = 3000
    /// How often the transport looks whether the peer is there.
    public var heartbeatMilliseconds: Int32 = 2000
    /// How long the peer may take to say so.
    public var heartbeatTimeoutMilliseconds: Int32 = 6000
    /// The first pause before a new connection is tried.
    public var reconnectMilliseconds: Int32 = 50
    /// The longest pause; it doubles up to this.
    public var reconnectMaxMilliseconds: Int32 = 5000

    /// The defaults.
    public init() {}
}
