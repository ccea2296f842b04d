internal import CZeroMQ
internal import Synchronization

/// Who may connect, per ZAP domain; can be changed from any thread at any time.
public final class AllowList: Sendable {
    private struct State {
        var keys: [String: Set<String>] = [:]
        var accepted: UInt64 = 0
        var refused: UInt64 = 0
        var lastRefused: String?
    }

    private let state = Mutex(State())

    /// Lets nobody in.
    public init() {}

    /// Replaces the public keys (Z85) that may connect in a domain; what is no key is left out.
    ///
    /// Connections of removed keys stay up: whoever receives must check the key of every message,
    /// see ``Frame/property(_:)``.
    public func set(_ keys: some Sequence<String>, domain: String) {
        let allowed = Set(keys.filter { KeyPair.isKey($0) && !KeyPair.isPublicTestKey($0) })
        state.withLock { $0.keys[domain] = allowed }
    }

    /// Adds one key; what is no key is left out.
    public func insert(_ key: String, domain: String) {
        guard KeyPair.isKey(key), !KeyPair.isPublicTestKey(key) else { return }
        state.withLock { _ = $0.keys[domain, default: []].insert(key) }
    }

    /// Whether a key may connect in a domain.
    public func allows(_ key: String, domain: String) -> Bool {
        state.withLock { $0.keys[domain]?.contains(key) ?? false }
    }

    /// How many handshakes were let in and turned away, and whose was the last of these.
    public var counts: (accepted: UInt64, refused: UInt64, lastRefused: String?) {
        state.withLock { ($0.accepted, $0.refused, $0.lastRefused) }
    }

    func judge(_ key: String, domain: String) -> Bool {
        state.withLock { state in
            let isAllowed = state.keys[domain]?.contains(key) ?? false
            if isAllowed {
                state.accepted += 1
            } else {
                state.refused += 1
                state.lastRefused = key
            }
            return isAllowed
        }
    }
}

/// Answers libzmq's questions about who may connect (ZAP, RFC 27 of the ZeroMQ project).
///
/// One per context; it must be bound before any CURVE socket listens, and its thread must call
/// ``answerAll()`` whenever ``socket`` is ready.
public struct Authenticator: ~Copyable {
    /// Somebody who was not let in.
    public struct Refusal: Hashable, Sendable {
        /// The public key in Z85; empty when there was none.
        public let key: String
        /// Where it wanted to go.
        public let domain: String
        /// Where it came from.
        public let address: String
    }

    /// The socket to wait for.
    public let socket: Socket
    private let allowList: AllowList

    /// Takes the context's questions.
    ///
    /// - Throws: When another authenticator has them already.
    public init(in context: Context, allowList: AllowList) throws(ZeroMQError) {
        let socket = try Socket(.router, in: context)
        _ = try socket.bind("inproc://zeromq.zap.01")
        self.socket = socket
        self.allowList = allowList
    }

    /// Answers every question that has come in.
    ///
    /// - Parameter refused: Is told of each peer that is not let in.
    /// - Throws: When the socket fails.
    public func answerAll(refused: (Refusal) -> Void = { _ in }) throws(ZeroMQError) {
        var frame = Frame()
        while try socket.receive(&frame) {
            var parts = [frame.bytes]
            while frame.hasMore, try socket.receive(&frame) { parts.append(frame.bytes) }
            try answer(parts, refused)
        }
    }

    // The parts: routing id, empty, version, request id, domain, address, identity, mechanism,
    // credentials (the 32 bytes of the client's public key).
    private func answer(
        _ parts: [[UInt8]], _ refused: (Refusal) -> Void
    ) throws(ZeroMQError) {
        guard parts.count >= 4 else { return }
        var key = ""
        var isAllowed = false
        if parts.count == 9, parts[7] == Array("CURVE".utf8), parts[8].count == 32 {
            key = Self.z85(parts[8])
            isAllowed = allowList.judge(key, domain: String(decoding: parts[4], as: UTF8.self))
        }
        if !isAllowed, parts.count >= 6 {
            refused(
                Refusal(
                    key: key, domain: String(decoding: parts[4], as: UTF8.self),
                    address: String(decoding: parts[5], as: UTF8.self)))
        }
        let reply: [[UInt8]] = [
            parts[0], [], Array("1.0".utf8), parts[3],
            Array((isAllowed ? "200" : "400").utf8),
            Array((isAllowed ? "OK" : "key not allowed").utf8), Array(key.utf8), [],
        ]
        for (index, part) in reply.enumerated() {
            do {
                try socket.send(part, more: index < reply.count - 1)
            } catch {
                if error.isHostUnreachable || error.isTryAgain { return }
                throw error
            }
        }
    }

    private static func z85(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: 41)
        zmq_z85_encode(&text, bytes, bytes.count)
        return String(decoding: text.prefix(40).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
