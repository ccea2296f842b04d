internal import DequeModule

/// The sessions that ended last.
///
/// A server must not take up one of them again. An opening that was repeated and delayed could
/// otherwise make a session whose server end begins at zero while the client's end goes on: the
/// client would take the first new messages for repetitions and drop them.
public struct EndedSessions: Sendable {
    private let capacity: Int
    private var order: Deque<UInt64> = []
    private var members: Set<UInt64> = []

    /// Remembers at most `capacity` sessions, the latest.
    public init(capacity: Int = 16_384) { self.capacity = max(1, capacity) }

    /// Whether a session is among the last that ended.
    public func contains(_ session: UInt64) -> Bool { members.contains(session) }

    /// Notes the end of a session.
    public mutating func insert(_ session: UInt64) {
        guard members.insert(session).inserted else { return }
        order.append(session)
        if order.count > capacity, let oldest = order.popFirst() { members.remove(oldest) }
    }
}
