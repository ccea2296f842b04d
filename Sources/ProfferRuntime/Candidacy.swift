public import ProfferElection
internal import ProfferHTTP
public import ProfferRegistry
internal import Synchronization

/// With what a master stands for election among several.
public struct Candidacy: Sendable {
    /// The registry that they share.
    public var registry: EtcdRegistry
    /// The cluster this master belongs to; `nil` when it has not been told yet.
    public var clusterID: String?
    /// How the cluster is called if this master is the first one of all.
    public var newClusterID: String
    /// The host name or address under which others reach this master.
    public var host: String
    /// How the election behaves.
    public var election: ElectionConfiguration
    /// The latest epoch in which this master has led, in an earlier process too; a registry with a
    /// lower one is refused.
    public var seenEpoch: UInt64
    /// Is told the cluster's id and the epoch, each time this master begins to lead.
    public var adopt: @Sendable (_ clusterID: String, _ epoch: UInt64) -> Void

    /// Describes a candidacy.
    public init(
        registry: EtcdRegistry, clusterID: String?, newClusterID: String, host: String,
        election: ElectionConfiguration = .init(), seenEpoch: UInt64 = 0,
        adopt: @escaping @Sendable (_ clusterID: String, _ epoch: UInt64) -> Void = { _, _ in }
    ) {
        self.registry = registry
        self.clusterID = clusterID
        self.newClusterID = newClusterID
        self.host = host
        self.election = election
        self.seenEpoch = seenEpoch
        self.adopt = adopt
    }
}

/// How a master stands, where all threads can see it.
final class StandingBox: Sendable {
    private let standing: Mutex<MasterStanding>

    init(_ standing: MasterStanding) { self.standing = Mutex(standing) }

    var value: MasterStanding { standing.withLock { $0 } }

    func set(_ new: MasterStanding) { standing.withLock { $0 = new } }
}
