public import ProfferModel

/// What the master's HTTP server needs of the master.
public protocol ClusterView: Sendable {
    /// Carries out a call; throws when the master has stopped.
    func answer(_ call: OperatorCall) async throws -> OperatorAnswer

    /// What happens from now on. A reader that falls behind by more than the buffer loses its
    /// stream and has to take a new snapshot.
    func events() -> AsyncStream<ClusterEvent>
}
