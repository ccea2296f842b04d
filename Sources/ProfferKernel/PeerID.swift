/// One session with one peer.
///
/// A peer that comes back has a new session and so a new id.
public struct PeerID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number of the session in its process, counted from 1.
    public let value: UInt64

    /// Names a session by its number.
    public init(_ value: UInt64) { self.value = value }

    /// Whether `left` was opened earlier.
    public static func < (left: PeerID, right: PeerID) -> Bool { left.value < right.value }

    /// For logs.
    public var description: String { "peer-\(value)" }
}
