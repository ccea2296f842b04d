internal import CZeroMQ
internal import Glibc

/// A refusal of libzmq: which operation, on what, and why.
public struct ZeroMQError: Error, Equatable, CustomStringConvertible {
    /// The `errno` value, or one of libzmq's own.
    public let code: Int32
    /// What was tried, such as `bind`.
    public let operation: String
    /// The address or option concerned.
    public let subject: String

    /// Describes a refusal.
    public init(code: Int32, operation: String, subject: String = "") {
        self.code = code
        self.operation = operation
        self.subject = subject
    }

    static func last(_ operation: String, _ subject: String = "") -> ZeroMQError {
        ZeroMQError(code: zmq_errno(), operation: operation, subject: subject)
    }

    /// Whether nothing was possible without waiting.
    public var isTryAgain: Bool { code == EAGAIN }
    /// Whether the peer named by a routing id is not connected.
    public var isHostUnreachable: Bool { code == EHOSTUNREACH }
    /// Whether a signal came in between.
    public var isInterrupted: Bool { code == EINTR }
    /// Whether the context has ended.
    public var isTerminated: Bool { code == ETERM }

    /// One sentence.
    public var description: String {
        let reason =
            code == EADDRINUSE
            ? "the address is in use by another program" : String(cString: zmq_strerror(code))
        return "\(operation) \(subject): \(reason)"
    }
}
