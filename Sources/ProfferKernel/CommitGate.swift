internal import DequeModule

/// Holds back effects until what they rest on is durable (output commit).
///
/// Every effect that comes after a commit waits for it, and for all earlier ones, so that nobody
/// outside sees a consequence of a fact that a crash could take back. Order is kept. The shells of
/// the daemons and those of the simulator use the same gate.
///
/// What waits is bounded: a disk that takes too long, in time or in effects, is one that does not
/// work, and ``problem(at:)`` says so. There is no middle way: whoever is cut off would come back
/// and make more commits, and to drop effects would break the promise.
package struct CommitGate<Effect> {
    private var held = Deque<(ticket: UInt64, effect: Effect)>()
    private var open = Deque<(ticket: UInt64, since: Instant)>()
    private var lastTicket: UInt64 = 0
    private var durableTicket: UInt64 = 0
    private let limit: Int
    private let patience: Duration
    /// The oldest commit that has taken too long, and until when it may still end: a process that
    /// was stopped for a while has not seen the disk answer and may not hold that against it.
    private var late: (ticket: UInt64, until: Instant)?

    /// Makes a gate.
    ///
    /// - Parameters:
    ///   - limit: How many effects may wait.
    ///   - patience: How long a commit may take.
    package init(limit: Int = 1_000_000, patience: Duration = .seconds(20)) {
        self.limit = limit
        self.patience = patience
    }

    /// Whether nothing waits.
    package var isOpen: Bool { lastTicket == durableTicket }

    /// How many effects wait.
    package var heldCount: Int { held.count }

    /// When the oldest commit will have taken too long.
    package var nextDeadline: Instant? {
        guard let first = open.first else { return nil }
        if let late, late.ticket == first.ticket { return late.until }
        return first.since + patience
    }

    /// What is wrong with the disk, if it takes too long.
    package mutating func problem(at now: Instant) -> String? {
        if held.count > limit {
            return "\(held.count) messages wait for it; \(limit) may"
        }
        guard let first = open.first, first.since + patience <= now else { return nil }
        guard let late, late.ticket == first.ticket else {
            late = (first.ticket, now + patience / 4)
            return nil
        }
        return late.until <= now ? "a write has taken longer than \(patience)" : nil
    }

    /// Notes that a commit was handed to the disk; its ticket is to be given to ``release(_:)``.
    package mutating func openTicket(at now: Instant) -> UInt64 {
        lastTicket += 1
        open.append((lastTicket, now))
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
        while let first = open.first, first.ticket <= durableTicket { open.removeFirst() }
        while let first = held.first, first.ticket <= durableTicket {
            held.removeFirst()
            perform(first.effect)
        }
    }
}
