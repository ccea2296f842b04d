internal import DequeModule

/// Holds back effects until what they rest on is durable (output commit).
///
/// Every effect that comes after a commit waits for it, and for all earlier ones, so that nobody
/// outside sees a consequence of a fact that a crash could take back. Order is kept. The shells of
/// the daemons and those of the simulator use the same gate.
package struct CommitGate<Effect> {
    private var held = Deque<(ticket: UInt64, effect: Effect)>()
    private var lastTicket: UInt64 = 0
    private var durableTicket: UInt64 = 0

    /// Makes a gate behind which nothing waits.
    package init() {}

    /// Whether nothing waits.
    package var isOpen: Bool { lastTicket == durableTicket }

    /// How many effects wait.
    package var heldCount: Int { held.count }

    /// Notes that a commit was handed to the disk; its ticket is to be given to ``release(_:)``.
    package mutating func openTicket() -> UInt64 {
        lastTicket += 1
        return lastTicket
    }

    /// Returns the effect when it may leave at once, otherwise keeps it.
    package mutating func admit(_ effect: Effect) -> Effect? {
        if isOpen { return effect }
        held.append((lastTicket, effect))
        return nil
    }

    /// Notes that everything up to `ticket` is durable and hands out what that sets free.
    package mutating func release(_ ticket: UInt64, perform: (Effect) -> Void) {
        durableTicket = max(durableTicket, ticket)
        while let first = held.first, first.ticket <= durableTicket {
            held.removeFirst()
            perform(first.effect)
        }
    }
}
