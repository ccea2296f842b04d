internal import ProfferKernel
internal import ProfferModel

/// The registry of several masters and the lock of their leader, or the disk of a single one.
///
/// Every commit is conditioned on the revision under which its master got the lock, so that one
/// that was deposed cannot write. The lock belongs to a lease; the coordinator may lie about it.
struct Coordinator {
    struct Holder {
        var process: Int
        var incarnation: UInt32
        var revision: UInt64
        var leaseEnd: Int64
    }

    static let lease = 6 * Span.second

    let isShared: Bool
    var facts = KeptFacts<MasterRecord>.ofMaster()
    private(set) var holder: Holder?
    private(set) var revision: UInt64 = 0
    /// Nothing is answered until then: there is no quorum.
    var downUntil: Int64 = 0
    var weather = DiskWeather(meanLatency: 3 * Span.millisecond)
    /// Confirms the next renewal although the lease is lost.
    var renewsFalsely = false
    /// Tells the next candidate who asks of an older state.
    var readsStale = false

    init(isShared: Bool) { self.isShared = isShared }

    /// Gives the lock to a master if it is free.
    mutating func acquire(_ process: Int, _ incarnation: UInt32, at now: Int64) -> UInt64? {
        if let holder, holder.leaseEnd > now { return nil }
        revision += 1
        holder = Holder(
            process: process, incarnation: incarnation, revision: revision,
            leaseEnd: now + Self.lease)
        return revision
    }

    /// Notes that a single master has its own disk.
    mutating func hold(_ process: Int, _ incarnation: UInt32) {
        revision += 1
        holder = Holder(
            process: process, incarnation: incarnation, revision: 1, leaseEnd: .max)
    }

    mutating func renew(_ revision: UInt64, at now: Int64) -> Bool {
        guard let current = holder, current.revision == revision, current.leaseEnd > now else {
            return false
        }
        holder?.leaseEnd = now + Self.lease
        return true
    }

    mutating func resign(_ revision: UInt64) {
        if holder?.revision == revision { holder = nil }
    }

    /// Takes the lock away from whoever has it, as when a lease is revoked by mistake.
    mutating func revoke() { holder = nil }

    func mayWrite(_ revision: UInt64) -> Bool { holder?.revision == revision }
}
