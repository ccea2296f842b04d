internal import DequeModule
internal import ProfferElection
internal import ProfferKernel
internal import ProfferModel

/// The coordinator of several masters, as etcd is one: leases, the leader key, the head and the
/// facts of the registry, each write with a revision; or the disk of a single master.
///
/// It keeps its transactions whatever it says of leases and reads. Those may be lies: a lease that
/// ends before its time, a renewal that is confirmed though the lease has ended, a read that is
/// answered with what was before.
struct Coordinator {
    /// What was there at a revision.
    private struct Past {
        var revision: Revision
        var leader: LeaderKey?
        var facts: KeptFacts<MasterRecord>
    }

    /// What came of a commit.
    enum CommitReply {
        case held(Revision)
        case found(LeaderKey?, HeadKey?)
        case refused(String)
    }

    /// What came of a request of an election.
    enum Reply {
        case answer(ElectionAnswer)
        case loaded([MasterRecord], at: Revision)
        case failed(ElectionFailure)
    }

    /// How long a lease lasts.
    static let lease = ElectionConfiguration().leaseTime.inNanoseconds
    private static let depth = 8

    let isShared: Bool
    /// Does not look at who writes: a planted bug.
    let ignoresFences: Bool
    var facts = KeptFacts<MasterRecord>.ofMaster()
    private(set) var revision = Revision.zero
    private(set) var leader: LeaderKey?
    /// When the leader key was last made or deleted.
    private(set) var leaderChanged = Revision.zero
    private(set) var head: HeadKey?
    private var leases = LookupTable<LeaseID, Int64>()
    private var lastLease: Int64 = 0
    private var past: Deque<Past> = []
    var weather = CoordinatorWeather()

    init(isShared: Bool, ignoresFences: Bool) {
        self.isShared = isShared
        self.ignoresFences = ignoresFences
    }

    // MARK: Leases and the leader key

    /// Whether a term may write.
    func mayWrite(_ fence: Fence) -> Bool { !isShared || leader?.creation == fence.creation }

    /// When the lease of the leader key ends; `nil` when there is no such key.
    var leaderEnds: Int64? { leader.flatMap { leases[$0.lease] } }

    /// Lets the leader key end with its lease.
    mutating func expire(at now: Int64) {
        if let key = leader, leases[key.lease] ?? 0 <= now { end(key.lease) }
    }

    private mutating func end(_ lease: LeaseID) {
        leases.remove(lease)
        if leader?.lease == lease { setLeader(nil) }
    }

    /// Ends the lease of the leader before its time.
    mutating func revoke() {
        if let key = leader { end(key.lease) }
    }

    private mutating func setLeader(_ key: LeaderKey?) {
        revision.value += 1
        leader = key
        leader?.creation = revision
        leaderChanged = revision
        remember()
    }

    private mutating func remember() {
        past.append(Past(revision: revision, leader: leader, facts: facts))
        if past.count > Self.depth { past.removeFirst() }
    }

    // MARK: Requests of elections

    mutating func carryOut(
        _ request: ElectionRequest, at now: Int64, by chance: inout SeededGenerator
    ) -> Reply {
        switch request {
        case .readLeader:
            if isStale(at: now, &chance), let old = chance.pick(Array(past)) {
                return .answer(.leader(old.leader, at: old.revision))
            }
            return .answer(.leader(leader, at: revision))
        case .grantLease(let time):
            lastLease += 1
            leases[LeaseID(lastLease)] = now + time.inNanoseconds
            return .answer(.lease(LeaseID(lastLease), time))
        case .campaign(let record, let lease): return campaign(record, lease, at: now)
        case .takeOver(let fence, let expecting, let record):
            guard permits(fence, expecting) else { return .answer(found) }
            write(record)
            remember()
            return .answer(.transaction(held: true, leader: nil, head: nil, at: revision))
        case .load(let wanted):
            let earlier = past.filter { $0.revision < wanted }
            if isStale(at: now, &chance), let old = chance.pick(Array(earlier)) {
                return .loaded(old.facts.all, at: old.revision)
            }
            return load(wanted)
        case .keepAlive(let lease): return .answer(.alive(keepAlive(lease, at: now)))
        case .prove(let fence): return .answer(.proof(leader?.creation == fence.creation))
        case .resign(let fence):
            guard let key = leader, key.creation == fence.creation else {
                return .answer(.proof(false))
            }
            setLeader(nil)
            return .answer(.proof(true))
        }
    }

    private func isStale(at now: Int64, _ chance: inout SeededGenerator) -> Bool {
        weather.staleUntil > now && chance.hits(600)
    }

    private mutating func campaign(
        _ record: LeaderRecord, _ lease: LeaseID, at now: Int64
    ) -> Reply {
        guard leader == nil else { return .answer(found) }
        guard let end = leases[lease], end > now else {
            return .failed(.refused("requested lease not found"))
        }
        setLeader(LeaderKey(record: record, creation: .zero, lease: lease))
        return .answer(.transaction(held: true, leader: nil, head: head, at: revision))
    }

    private mutating func keepAlive(_ lease: LeaseID, at now: Int64) -> Duration {
        if let end = leases[lease], end > now {
            leases[lease] = now + Self.lease
            return .nanoseconds(Self.lease)
        }
        guard weather.renewsFalsely else { return .zero }
        weather.renewsFalsely = false
        weather.lies += 1
        return .nanoseconds(Self.lease)
    }

    private func load(_ wanted: Revision) -> Reply {
        if let found = past.last(where: { $0.revision == wanted }) {
            return .loaded(found.facts.all, at: wanted)
        }
        // What was then has been compacted.
        return .loaded(facts.all, at: revision)
    }

    // MARK: Writes

    private var found: ElectionAnswer {
        .transaction(held: false, leader: leader, head: head, at: revision)
    }

    private func permits(_ fence: Fence, _ expecting: Revision) -> Bool {
        ignoresFences
            || leader?.creation == fence.creation && (head?.modified ?? .zero) == expecting
    }

    private mutating func write(_ record: RegistryHead) {
        revision.value += 1
        head = HeadKey(record: record, modified: revision)
    }

    /// Writes facts and the next head, if the term may and the head is as it has left it.
    mutating func commit(
        _ records: [MasterRecord], _ next: RegistryHead, expecting: Revision
    ) -> CommitReply {
        if weather.failsOnce {
            weather.failsOnce = false
            return .refused("etcdserver: request failed")
        }
        guard permits(next.fence, expecting) else { return .found(leader, head) }
        facts.apply(records)
        write(next)
        return .held(revision)
    }
}

/// How the coordinator behaves now.
struct CoordinatorWeather {
    /// The mean time of a request on its way, and of its answer.
    var meanLatency: Int64 = 3 * Span.millisecond
    /// Nothing is answered until then: there is no quorum.
    var downUntil: Int64 = 0
    /// Requests and answers take long until then.
    var slowUntil: Int64 = 0
    /// Reads are answered with what was before until then.
    var staleUntil: Int64 = 0
    /// The next commit is refused.
    var failsOnce = false
    /// The next transaction is carried out, and its answer lost.
    var losesAnswer = false
    /// Confirms the next renewal of a lease that has ended.
    var renewsFalsely = false
    /// How often it has done so.
    var lies = 0
    /// Until then a master may believe to lead that does not: the coordinator has lied about its
    /// lease, or its clock has stood still.
    var deceivesUntil: Int64 = 0
}
