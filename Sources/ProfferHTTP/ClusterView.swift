public import ProfferModel

/// What the master's HTTP server needs of the master.
public protocol ClusterView: Sendable {
    /// Whether this master leads, and who does otherwise.
    var standing: MasterStanding { get }

    /// Carries out a call; throws when the master has stopped.
    func answer(_ call: OperatorCall) async throws -> OperatorAnswer

    /// What happens from now on. A reader that falls behind by more than the buffer loses its
    /// stream and has to take a new snapshot.
    func events() -> AsyncStream<ClusterEvent>
}

extension ClusterView {
    /// A master without others always leads.
    public var standing: MasterStanding { MasterStanding(leads: true) }
}

/// Whether a master leads, and how its registry is.
public struct MasterStanding: Hashable, Sendable {
    /// Whether it leads.
    public var leads: Bool
    /// The HTTP server of the one that leads, as far as this one knows.
    public var leader: String?
    /// How often a master has taken over, while this one leads.
    public var epoch: UInt64?
    /// Where the registry is.
    public var registry: String
    /// What is wrong with the registry; `nil` is nothing.
    public var problem: String?

    /// Describes a standing.
    public init(
        leads: Bool, leader: String? = nil, epoch: UInt64? = nil, registry: String = "",
        problem: String? = nil
    ) {
        self.leads = leads
        self.leader = leader
        self.epoch = epoch
        self.registry = registry
        self.problem = problem
    }
}
