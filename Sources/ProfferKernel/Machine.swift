/// A deterministic state machine: the same inputs at the same instants give the same effects.
///
/// Every actor of the system (master, agent, executor, framework driver, framework policy) is one.
/// A machine never blocks, never suspends, never reads a clock and never fails: what it refuses it
/// says in an effect. The same machines run in the daemons, in the embedded cluster and in the
/// simulator.
public protocol Machine: Sendable {
    /// Everything that can happen to the machine.
    associatedtype Input: Sendable
    /// Everything the machine can ask the world to do.
    associatedtype Effect: Sendable

    /// When ``wake(at:into:)`` is next due, or `nil`. May change after every call below.
    var nextDeadline: Instant? { get }

    /// Takes one input to completion.
    ///
    /// - Parameters:
    ///   - input: What happened.
    ///   - now: The present instant; never smaller than in an earlier call.
    ///   - outbox: Receives the effects, in the order in which they must be carried out.
    mutating func handle(_ input: Input, at now: Instant, into outbox: inout Outbox<Effect>)

    /// Lets everything happen that is due at `now`. Calling it early is harmless.
    mutating func wake(at now: Instant, into outbox: inout Outbox<Effect>)
}
