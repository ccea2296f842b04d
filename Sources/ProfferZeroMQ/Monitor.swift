internal import CZeroMQ
internal import Synchronization

/// What has happened to a connection of a socket; the text is the address, as bound or dialled.
public enum ConnectionEvent: Hashable, Sendable {
    /// The socket listens.
    case listening(String)
    /// It cannot listen, for the reason with this `errno` value.
    case listenFailed(String, code: Int32)
    /// A peer has connected; nobody knows yet who it is.
    case accepted(String)
    /// A peer could not be accepted, usually because no descriptor was left.
    case acceptFailed(String, code: Int32)
    /// This end has connected to a listening one.
    case connected(String)
    /// The connection could not be made at once; libzmq goes on by itself.
    case connecting(String)
    /// A new attempt follows after so many milliseconds.
    case retrying(String, milliseconds: Int)
    /// Both ends agree on the protocol and on who they are: messages can pass.
    case handshakeSucceeded(String)
    /// The ends do not agree.
    case handshakeFailed(String, HandshakeProblem)
    /// A connection has ended, by either end; too large a message is one cause.
    case disconnected(String)
    /// The socket does not listen or dial at the address any more.
    case closed(String)
}

/// Why two ends could not agree.
public enum HandshakeProblem: Hashable, Sendable {
    /// The authenticator said no; the number is its status code, 400 for an unknown key.
    case refused(status: Int)
    /// One end wants CURVE and the other does not.
    case mechanismMismatch
    /// A box could not be opened: a wrong server key, or somebody in between.
    case cryptographic
    /// The peer does not speak the protocol; the number is one of libzmq's protocol errors.
    case protocolError(code: Int32)
    /// No authenticator answered, or the connection ended; the number is an `errno` value.
    case system(code: Int32)
}

/// Reports what happens to the connections of one socket.
///
/// Made and asked by the thread that owns the socket. The socket closes when both the ``Socket``
/// and its monitor are gone. Events that nobody takes out pile up: about a hundred bytes each,
/// three for a connection.
public struct Monitor: ~Copyable {
    private static let count = Atomic<UInt64>(0)

    /// The socket to wait for in a ``Poller``.
    public let socket: Socket
    private let owner: Socket.Owner

    /// Begins to watch a socket; should come before it binds or connects.
    ///
    /// - Throws: When the socket has a monitor already or no descriptor is left.
    public init(_ monitored: borrowing Socket) throws(ZeroMQError) {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        let address = "inproc://proffer.monitor.\(number)"
        let owner = monitored.owner
        let socket = try Socket(.pair, in: owner.context)
        // Without a limit: a full queue would stop libzmq's own thread, and with it every socket.
        try socket.set(ZMQ_RCVHWM, 0, "receive queue")
        let events = ZMQ_EVENT_ALL & ~ZMQ_EVENT_MONITOR_STOPPED
        guard zmq_socket_monitor(owner.handle, address, events) == 0 else {
            throw .last("watch", address)
        }
        do {
            try socket.connect(address)
        } catch {
            zmq_socket_monitor(owner.handle, nil, 0)
            throw error
        }
        self.owner = owner
        self.socket = socket
    }

    // The sender must be stopped before its receiver goes, or it would wait for a new one.
    deinit { zmq_socket_monitor(owner.handle, nil, 0) }

    /// Takes the next event out; `nil` when there is none.
    public func next() throws(ZeroMQError) -> ConnectionEvent? {
        var frame = Frame()
        while try socket.receive(&frame) {
            let head = frame.bytes
            var address = ""
            while frame.hasMore, try socket.receive(&frame) {
                address = String(decoding: frame.bytes, as: UTF8.self)
            }
            if let event = Self.event(head, address) { return event }
        }
        return nil
    }

    // The head: two bytes of kind and four of value, in the byte order of the machine.
    private static func event(_ head: [UInt8], _ address: String) -> ConnectionEvent? {
        guard head.count == 6 else { return nil }
        let kind = head.withUnsafeBytes { $0.loadUnaligned(as: UInt16.self) }
        let value = head.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: 2, as: Int32.self)
        }
        switch Int32(kind) {
        case ZMQ_EVENT_LISTENING: return .listening(address)
        case ZMQ_EVENT_BIND_FAILED: return .listenFailed(address, code: value)
        case ZMQ_EVENT_ACCEPTED: return .accepted(address)
        case ZMQ_EVENT_ACCEPT_FAILED: return .acceptFailed(address, code: value)
        case ZMQ_EVENT_CONNECTED: return .connected(address)
        case ZMQ_EVENT_CONNECT_DELAYED: return .connecting(address)
        case ZMQ_EVENT_CONNECT_RETRIED: return .retrying(address, milliseconds: Int(value))
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: return .handshakeSucceeded(address)
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
            return .handshakeFailed(address, .refused(status: Int(value)))
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return .handshakeFailed(address, problem(value))
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return .handshakeFailed(address, .system(code: value))
        case ZMQ_EVENT_DISCONNECTED: return .disconnected(address)
        case ZMQ_EVENT_CLOSED: return .closed(address)
        default: return nil
        }
    }

    private static func problem(_ code: Int32) -> HandshakeProblem {
        switch code {
        case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH: .mechanismMismatch
        case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC: .cryptographic
        default: .protocolError(code: code)
        }
    }
}
