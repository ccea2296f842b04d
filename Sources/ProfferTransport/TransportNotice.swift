public import ProfferZeroMQ

/// Something about connections that an operator should know; for log lines, never for decisions.
public enum TransportNotice: Hashable, Sendable {
    /// A peer from `address` was not let in: its public key (Z85) is on no list of the domain. The
    /// key is empty when it did not come with one.
    case keyRefused(String, domain: String, address: String)
    /// A peer at this end has obeyed a later epoch than the one that is served here.
    case epochBehind(EndpointID, served: UInt64, obeyed: UInt64)
    /// The two ends at `address` could not agree.
    case handshakeFailed(EndpointID, address: String, HandshakeProblem)
}

extension HandshakeProblem {
    /// The cause in words, for whoever dialled.
    public var text: String {
        switch self {
        case .refused: "the key is on no allow-list of the other end"
        case .mechanismMismatch: "the other end does not use CURVE"
        case .cryptographic: "the other end has another key than the one that was given for it"
        case .protocolError(let code): "the other end does not speak the protocol (\(code))"
        case .system(let code): "the connection ended during the handshake (\(code))"
        }
    }
}
