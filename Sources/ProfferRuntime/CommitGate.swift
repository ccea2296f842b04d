internal import DequeModule

/// Holds back effects until what they rest on is durable (output commit).
///
/// Every effect that comes after a commit waits for it, and for all earlier ones, so that nobody
/// outside sees a consequence of a fact that a crash could take back. Order is kept.
struct CommitGate<Effect> {
    private var held = Deque<(ticket: UInt64, effect: Effect)>()
    private var lastTicket: UInt64 = 0
    private var durableTicket: UInt64 = 0

    /// Whether nothing waits.
    var isOpen: Bool { lastTicket == durableTicket }

    /// How many effects wait.
    var heldCount: Int { held.count }

    /// Notes that a commit was handed to the disk; its ticket is to be given to ``release(_:)``.
    mutating func openTicket() -> UInt64 {
        lastTicket += 1
        return lastTicket
    }

    /// Returns the effect when it may leave at once, otherwise keeps it.
    mutating func admit(_ effect: Effect) -> Effect? {
        if isOpen { return effect }
        held.append((lastTicket, effect))
        return nil
    }

    /// Notes that everything up to `ticket` is durable and hands out what that sets free.
    mutating func release(_ ticket: UInt64, perform: (Effect) -> Void) {
        durableTicket = max(durableTicket, ticket)
        while let first = held.first, first.ticket <= durableTicket {
            held.removeFirst()
            perform(first.effect)
        }
    }
}
