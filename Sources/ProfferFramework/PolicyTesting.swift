@_spi(Driver) public import ProfferKernel

extension FrameworkPolicy {
    /// Takes one happening and returns what the policy wants, in order: for tests of a policy
    /// without a cluster.
    public mutating func actions(
        on happening: Happening<Command>, at now: Instant
    ) -> [FrameworkAction<Output>] {
        var actions = Outbox<FrameworkAction<Output>>()
        handle(happening, at: now, into: &actions)
        return Array(actions.takeAll())
    }

    /// Lets happen what is due and returns what the policy wants, in order: for tests of a policy
    /// without a cluster.
    public mutating func actionsOfWaking(at now: Instant) -> [FrameworkAction<Output>] {
        var actions = Outbox<FrameworkAction<Output>>()
        wake(at: now, into: &actions)
        return Array(actions.takeAll())
    }
}
