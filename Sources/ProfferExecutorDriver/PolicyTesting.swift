@_spi(Driver) public import ProfferKernel

extension ExecutorPolicy {
    /// Takes one happening and returns what the policy wants, in order: for tests of a policy
    /// without an agent.
    public mutating func actions(
        on happening: ExecutorHappening<Command>, at now: Instant
    ) -> [ExecutorAction<Output>] {
        var actions = Outbox<ExecutorAction<Output>>()
        handle(happening, at: now, into: &actions)
        return Array(actions.takeAll())
    }

    /// Lets happen what is due and returns what the policy wants, in order: for tests of a policy
    /// without an agent.
    public mutating func actionsOfWaking(at now: Instant) -> [ExecutorAction<Output>] {
        var actions = Outbox<ExecutorAction<Output>>()
        wake(at: now, into: &actions)
        return Array(actions.takeAll())
    }
}
