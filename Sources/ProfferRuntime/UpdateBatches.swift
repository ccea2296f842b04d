internal import ProfferKernel
internal import ProfferModel

/// Puts updates that go to one framework in one turn into one message, for frameworks that take
/// that: thousands of them then cost one envelope, one encryption and one acknowledgement.
///
/// The order of what one framework is told is kept. A batch is bounded, so that no message comes
/// near the limit of a session.
struct UpdateBatches {
    private struct Batch {
        var statuses: [TaskStatus] = []
        var bytes = 0
    }

    private static let countLimit = 1000
    private static let byteLimit = 1 << 20

    private var takers: Set<PeerID> = []
    private var batches: [PeerID: Batch] = [:]
    /// Who has a batch, the first one first.
    private var order: [PeerID] = []

    /// Notes whether a peer takes several updates at once.
    mutating func setTaker(_ peer: PeerID, _ isTaker: Bool) {
        if isTaker { takers.insert(peer) } else { takers.remove(peer) }
    }

    /// Forgets a peer and what is meant for it.
    mutating func forget(_ peer: PeerID) {
        takers.remove(peer)
        batches[peer] = nil
    }

    /// Takes an event in.
    ///
    /// - Returns: What is to be sent now, in order; nothing while an update waits for others.
    mutating func take(_ event: SchedulerEvent, for peer: PeerID) -> [SchedulerEvent] {
        guard takers.contains(peer) else { return [event] }
        guard case .update(let status) = event else {
            guard let batch = batches.removeValue(forKey: peer) else { return [event] }
            return [Self.event(batch), event]
        }
        if batches[peer] == nil { order.append(peer) }
        batches[peer, default: Batch()].statuses.append(status)
        batches[peer]?.bytes +=
            512 + (status.data?.count ?? 0) + (status.message?.utf8.count ?? 0)
            + status.labels.reduce(0) { $0 + $1.key.utf8.count + ($1.value?.utf8.count ?? 0) }
        guard let batch = batches[peer],
            batch.statuses.count >= Self.countLimit || batch.bytes >= Self.byteLimit
        else { return [] }
        batches[peer] = nil
        return [Self.event(batch)]
    }

    /// What a peer is still to be told before something else.
    mutating func takeRest(for peer: PeerID) -> SchedulerEvent? {
        batches.removeValue(forKey: peer).map(Self.event)
    }

    /// What is left at the end of a turn.
    mutating func takeRest() -> [(event: SchedulerEvent, peer: PeerID)] {
        let peers = order
        order = []
        return peers.compactMap { peer in takeRest(for: peer).map { ($0, peer) } }
    }

    private static func event(_ batch: Batch) -> SchedulerEvent {
        batch.statuses.count == 1 ? .update(batch.statuses[0]) : .updates(batch.statuses)
    }
}
