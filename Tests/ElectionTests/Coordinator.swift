import ProfferElection
import ProfferKernel

/// A coordinator in memory: what etcd does for an election, and how it can lie.
struct Coordinator {
    /// What it does wrong.
    struct Lies {
        /// Confirms renewals of leases that have ended.
        var renewsDeadLeases = false
        /// Ends leases before their time, with this chance in a thousand at every request.
        var revokesPerMille: UInt64 = 0
        /// Answers reads as of an earlier revision, with this chance in a thousand.
        var staleReadsPerMille: UInt64 = 0
        /// Does not look at the fence: no lie of etcd, but what the checks must find.
        var ignoresFences = false
    }

    struct Commit: Hashable {
        var epoch: UInt64
        var fence: Fence
        var candidate: String
        var revision: Revision
    }

    var lies = Lies()
    private(set) var revision = Revision(1)
    private(set) var leader: LeaderKey?
    private(set) var head: HeadKey?
    /// Every commit that was carried out, the taking over included, in order.
    private(set) var commits: [Commit] = []
    private var leases: [LeaseID: Instant] = [:]
    private var nextLease: Int64 = 100
    private var history: [(revision: Revision, leader: LeaderKey?)] = []

    /// Lets leases end that are due.
    mutating func expire(at now: Instant) {
        guard let key = leader, let end = leases[key.lease], end <= now else { return }
        revoke(key.lease)
    }

    mutating func revoke(_ lease: LeaseID) {
        leases[lease] = nil
        guard leader?.lease == lease else { return }
        revision.value += 1
        setLeader(nil)
    }

    private mutating func setLeader(_ key: LeaderKey?) {
        leader = key
        history.append((revision, key))
    }

    mutating func answer(
        _ request: ElectionRequest, at now: Instant, by generator: inout SeededGenerator
    ) -> ElectionAnswer {
        expire(at: now)
        if let lease = leader?.lease, lies.revokesPerMille > generator.next() % 1000 {
            revoke(lease)
        }
        switch request {
        case .readLeader:
            if lies.staleReadsPerMille > generator.next() % 1000, !history.isEmpty {
                let old = history[Int(generator.next() % UInt64(history.count))]
                return .leader(old.leader, at: old.revision)
            }
            return .leader(leader, at: revision)
        case .grantLease(let time):
            nextLease += 1
            leases[LeaseID(nextLease)] = now + time
            return .lease(LeaseID(nextLease), time)
        case .campaign(let record, let lease):
            return campaign(record, lease)
        case .takeOver(let fence, let expecting, let record):
            return takeOver(fence, expecting, record)
        case .load(let wanted):
            if lies.staleReadsPerMille > generator.next() % 1000 {
                return .loaded(at: Revision(wanted.value - 1))
            }
            return .loaded(at: wanted)
        case .keepAlive(let lease):
            if leases[lease] != nil {
                leases[lease] = now + .seconds(3)
                return .alive(.seconds(3))
            }
            return .alive(lies.renewsDeadLeases ? .seconds(3) : .zero)
        case .prove(let fence):
            return .proof(leader?.creation == fence.creation)
        case .resign(let fence):
            guard leader?.creation == fence.creation else { return .proof(false) }
            revision.value += 1
            setLeader(nil)
            return .proof(true)
        }
    }

    private mutating func campaign(_ record: LeaderRecord, _ lease: LeaseID) -> ElectionAnswer {
        guard leader == nil, leases[lease] != nil else {
            return .transaction(held: false, leader: leader, head: head, at: revision)
        }
        revision.value += 1
        setLeader(LeaderKey(record: record, creation: revision, lease: lease))
        return .transaction(held: true, leader: nil, head: head, at: revision)
    }

    private mutating func takeOver(
        _ fence: Fence, _ expecting: Revision, _ record: RegistryHead
    ) -> ElectionAnswer {
        guard leader?.creation == fence.creation || lies.ignoresFences,
            (head?.modified ?? .zero) == expecting
        else { return .transaction(held: false, leader: leader, head: head, at: revision) }
        write(record, fence)
        return .transaction(held: true, leader: nil, head: nil, at: revision)
    }

    private mutating func write(_ record: RegistryHead, _ fence: Fence) {
        revision.value += 1
        head = HeadKey(record: record, modified: revision)
        commits.append(
            Commit(
                epoch: record.epoch, fence: fence,
                candidate: leader?.record.candidate ?? "nobody", revision: revision))
    }

    /// A commit as a registry makes it; `nil` when the condition does not hold.
    mutating func commit(_ fence: Fence, after known: HeadKey, at now: Instant) -> HeadKey? {
        expire(at: now)
        guard leader?.creation == fence.creation || lies.ignoresFences else { return nil }
        if !lies.ignoresFences, head?.modified != known.modified { return nil }
        var record = known.record
        record.sequence += 1
        write(record, fence)
        return head
    }
}
