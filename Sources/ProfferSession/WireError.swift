/// Why bytes from outside were refused.
public enum WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// They are no message of the expected kind.
    case malformed(String)
    /// A field that the message cannot do without is absent.
    case missing(String)
    /// A value lies outside of what the field allows.
    case outOfRange(String)
    /// The message is larger than its limit, in bytes.
    case tooLarge(size: Int, limit: Int)

    /// One sentence.
    public var description: String {
        switch self {
        case .malformed(let what): "not a valid \(what) message"
        case .missing(let field): "the field '\(field)' is missing"
        case .outOfRange(let field): "the value of '\(field)' is out of range"
        case .tooLarge(let size, let limit): "\(size) bytes are more than the limit of \(limit)"
        }
    }

    /// One of a fixed set of words, for metric labels.
    public var shortDescription: String {
        switch self {
        case .malformed: "malformed"
        case .missing: "missing"
        case .outOfRange: "out_of_range"
        case .tooLarge: "too_large"
        }
    }
}

/// How large messages and their parts may be; messages in bytes.
public enum WireLimits {
    /// Anything but state: calls, events, tasks, updates.
    public static let message = 1 << 20
    /// What an agent tells about all its tasks when it comes back.
    public static let state = 8 << 20
    /// Entries in one list of resources: merging them costs a comparison with each kind.
    public static let resources = 4096
    /// Names in one list of quantities: each new one is compared with those before.
    public static let quantities = 256
    /// Intervals in one ranges value.
    public static let intervals = 16_384
    /// Members of one set value.
    public static let members = 4096
    /// Bytes of a cluster's id in an envelope.
    public static let clusterID = 255
    /// Bytes of a credential in an envelope.
    public static let credential = 4096
    /// Bytes of a reason for closing in an envelope; encoders cut off the rest.
    public static let reason = 1024
}
