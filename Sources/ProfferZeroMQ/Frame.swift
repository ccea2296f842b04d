internal import CZeroMQ

/// One received message part.
///
/// It owns libzmq's buffer until it goes.
public struct Frame: ~Copyable {
    var message = zmq_msg_t()

    /// Makes an empty frame to receive into.
    public init() { zmq_msg_init(&message) }

    deinit {
        var message = self.message
        zmq_msg_close(&message)
    }

    /// Its size in bytes.
    public var count: Int {
        mutating get { zmq_msg_size(&message) }
    }

    /// Whether more parts of the same message follow.
    public var hasMore: Bool {
        mutating get { zmq_msg_more(&message) != 0 }
    }

    /// A copy of the bytes.
    public var bytes: [UInt8] {
        mutating get {
            let count = zmq_msg_size(&message)
            guard count > 0, let start = zmq_msg_data(&message) else { return [] }
            return Array(UnsafeRawBufferPointer(start: start, count: count))
        }
    }

    /// A property of the connection the message came over, such as `User-Id` (the peer's key).
    public mutating func property(_ name: String) -> String? {
        guard let text = zmq_msg_gets(&message, name) else { return nil }
        return String(cString: text)
    }
}
