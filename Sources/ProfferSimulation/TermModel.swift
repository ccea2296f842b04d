internal import ProfferElection
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// The writer of the registry during one term, as the daemon has one on threads of its own: one
/// transaction after the other, each on the condition of the fence and of the head that the one
/// before has left.
///
/// It knows nothing of deadlines. When the process goes on after a pause, it writes on; only the
/// coordinator can refuse that.
final class TermModel {
    /// How long a commit may take before it is given up.
    private static let patience = 20 * Span.second
    /// How long one member of the coordinator is waited for before the next is asked.
    private static let attempt = 5 * Span.second

    let fence: Fence
    private unowned let master: MasterProcess
    private let epoch: UInt64
    private var head: HeadKey
    private var waiting: [(records: [MasterRecord], ticket: UInt64)] = []
    private var isWriting = false
    private var isOver = false

    init(_ master: MasterProcess, _ leadership: Leadership, epoch: UInt64) {
        self.master = master
        self.epoch = epoch
        fence = leadership.fence
        head = leadership.head
    }

    private var world: World { master.world }

    func submit(_ records: [MasterRecord], ticket: UInt64) {
        waiting.append((records, ticket))
        if world.bug == .acknowledgedBeforeSync {
            let (master, fence) = (master, fence)
            let incarnation = master.incarnation
            world.after(0) {
                master.onThread(incarnation) {
                    master.arrive(.mail(.ofTerm(fence, sent: nil, tickets: [ticket])))
                }
            }
        }
        if !isWriting { writeNext() }
    }

    /// Takes nothing more; what is under way may or may not be carried out.
    func close() { isOver = true }

    private func writeNext() {
        isWriting = false
        guard !isOver, !waiting.isEmpty else { return }
        isWriting = true
        let batches = waiting
        waiting = []
        var next = head.record
        next.sequence += 1
        next.fence = fence
        write(
            batches.flatMap(\.records), tickets: batches.map(\.ticket), next,
            until: world.now + Self.patience)
    }

    private func write(
        _ records: [MasterRecord], tickets: [UInt64], _ next: RegistryHead, until end: Int64
    ) {
        let sent = master.instant
        let (index, epoch, expecting) = (master.index, epoch, head.modified)
        world.consult(master, within: Self.attempt, isWrite: true) { world in
            let reply = world.coordinator.commit(records, next, expecting: expecting)
            switch reply {
            case .held:
                world.note(.masterDurable(index, epoch: epoch, fence: next.fence, records))
            case .found(let leader, _):
                if leader?.creation != next.fence.creation { world.hit(.commitFenced) }
            case .refused: world.hit(.diskErrorOnce)
            }
            return reply
        } then: { [self] reply in
            guard !isOver else { return }
            switch reply {
            case nil where world.now < end:
                write(records, tickets: tickets, next, until: end)
            case nil:
                world.hit(.commitTookTooLong)
                fail(.commitFailed(fence, "no answer in time"), tickets)
            case .held(let revision):
                succeed(HeadKey(record: next, modified: revision), sent, tickets)
            case .found(_, let found?) where found.record == next:
                // An earlier attempt went through without an answer.
                world.hit(.commitRepeated)
                succeed(found, sent, tickets)
            case .found(let leader, _) where leader?.creation == fence.creation:
                fail(.commitFailed(fence, "the head was changed"), tickets)
            case .found: fail(.commitRefused(fence), tickets)
            case .refused(let because): fail(.commitFailed(fence, because), tickets)
            }
        }
    }

    private func succeed(_ written: HeadKey, _ sent: Instant, _ tickets: [UInt64]) {
        head = written
        // This thread may be ahead of the one with the sockets.
        writeNext()
        let isTold = world.bug == .acknowledgedBeforeSync
        master.arrive(.mail(.ofTerm(fence, sent: sent, tickets: isTold ? [] : tickets)))
    }

    private func fail(_ input: ElectionInput, _ tickets: [UInt64]) {
        if world.bug == .failedCommitIgnored {
            writeNext()
            master.arrive(.mail(.ofTerm(fence, sent: nil, tickets: tickets)))
            return
        }
        isOver = true
        master.arrive(.mail(.election(input)))
    }
}
