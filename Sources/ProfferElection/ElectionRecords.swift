/// A position in the history of a coordinator (in etcd: the revision); later writes have higher
/// ones.
public struct Revision: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The position, from 1; 0 is the one of what has never been written.
    public var value: Int64

    /// Makes a position.
    public init(_ value: Int64) { self.value = value }

    /// Before everything.
    public static let zero = Revision(0)

    /// Whether `left` is earlier.
    public static func < (left: Revision, right: Revision) -> Bool { left.value < right.value }

    /// The number.
    public var description: String { "\(value)" }
}

/// Names a lease of the coordinator.
public struct LeaseID: Hashable, Sendable {
    /// The number the coordinator gave it.
    public var value: Int64

    /// Names a lease.
    public init(_ value: Int64) { self.value = value }
}

/// Where a master can be reached; what the others send clients to while it leads.
public struct MasterContact: Hashable, Sendable {
    /// Its address for frameworks, `tcp://host:port`.
    public var frameworks: String
    /// Its address for agents, `tcp://host:port`.
    public var agents: String
    /// Its HTTP server, `http://host:port`.
    public var http: String
    /// Its public key, Z85.
    public var publicKey: String

    /// Describes where a master is.
    public init(
        frameworks: String = "", agents: String = "", http: String = "", publicKey: String = ""
    ) {
        self.frameworks = frameworks
        self.agents = agents
        self.http = http
        self.publicKey = publicKey
    }
}

/// What a leader writes under the leader key.
public struct LeaderRecord: Hashable, Sendable {
    /// The candidate; different at every start of a process.
    public var candidate: String
    /// Where it is.
    public var contact: MasterContact

    /// Describes a leader.
    public init(candidate: String, contact: MasterContact) {
        self.candidate = candidate
        self.contact = contact
    }
}

/// The leader key as the coordinator has it.
public struct LeaderKey: Hashable, Sendable {
    /// Who leads.
    public var record: LeaderRecord
    /// When the key was made; the fence of that leader.
    public var creation: Revision
    /// The lease with which the key ends.
    public var lease: LeaseID

    /// Describes a leader key.
    public init(record: LeaderRecord, creation: Revision, lease: LeaseID) {
        self.record = record
        self.creation = creation
        self.lease = lease
    }
}

/// Proof of a term of leadership: the revision at which its leader key was made.
///
/// No two terms have the same one, and a key that was deleted or made anew does not have it any
/// more. So a write on the condition of it can only be the one of the leader of that term.
public struct Fence: Hashable, Sendable, CustomStringConvertible {
    /// When the leader key was made.
    public var creation: Revision

    /// Makes a fence.
    public init(_ creation: Revision) { self.creation = creation }

    /// The revision.
    public var description: String { "\(creation)" }
}

/// A commit that is too large for one transaction: whole in its parts, not yet in its places.
public struct PendingCommit: Hashable, Sendable {
    /// The term that wrote the parts.
    public var fence: Fence
    /// The commit's number in that term.
    public var sequence: UInt64
    /// How many parts there are.
    public var parts: Int

    /// Describes a commit.
    public init(fence: Fence, sequence: UInt64, parts: Int) {
        self.fence = fence
        self.sequence = sequence
        self.parts = parts
    }
}

/// The first record of a registry, which every commit replaces.
///
/// Each commit is conditioned on the head that the one before has left, so that one that is sent
/// twice, because its answer was lost, has an effect once.
public struct RegistryHead: Hashable, Sendable {
    /// The version of the layout.
    public var schema: Int
    /// The cluster.
    public var clusterID: String
    /// How often a master has taken over.
    public var epoch: UInt64
    /// The term that wrote this head.
    public var fence: Fence
    /// The number of the last commit of that term; the taking over itself is 0.
    public var sequence: UInt64
    /// A commit that has to be carried to its places before the registry is read.
    public var pending: PendingCommit?

    /// Describes a head.
    public init(
        schema: Int, clusterID: String, epoch: UInt64, fence: Fence, sequence: UInt64 = 0,
        pending: PendingCommit? = nil
    ) {
        self.schema = schema
        self.clusterID = clusterID
        self.epoch = epoch
        self.fence = fence
        self.sequence = sequence
        self.pending = pending
    }
}

/// The head as the coordinator has it.
public struct HeadKey: Hashable, Sendable {
    /// What it says.
    public var record: RegistryHead
    /// When it was last written.
    public var modified: Revision

    /// Describes a head.
    public init(record: RegistryHead, modified: Revision) {
        self.record = record
        self.modified = modified
    }
}

/// A term of leadership.
public struct Leadership: Hashable, Sendable {
    /// How often a master has taken over, this time included.
    public var epoch: UInt64
    /// On what every commit of the term is conditioned.
    public var fence: Fence
    /// The head that the taking over has left: the first commit follows it.
    public var head: HeadKey

    /// Describes a term.
    public init(epoch: UInt64, fence: Fence, head: HeadKey) {
        self.epoch = epoch
        self.fence = fence
        self.head = head
    }
}
