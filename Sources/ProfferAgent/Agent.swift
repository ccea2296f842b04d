public import ProfferKernel
public import ProfferModel

/// The decisions of an agent.
public struct Agent: Machine {
    /// Makes an agent from what an earlier run has left.
    public init(
        configuration: AgentConfiguration, info: AgentInfo, bootID: String,
        replaying records: [AgentRecord], livingExecutors: [ContainerID], wallClock: WallClock,
        seed: UInt64, at now: Instant
    ) {
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? { nil }

    /// Takes one input to completion.
    public mutating func handle(
        _ input: AgentInput, at now: Instant, into outbox: inout Outbox<AgentEffect>
    ) {
    }

    /// Lets everything happen that is due at `now`.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<AgentEffect>) {
    }
}
