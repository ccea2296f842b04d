import ProfferElection
@_spi(Driver) import ProfferKernel

/// Several candidates and one coordinator in simulated time: messages are late or lost, processes
/// stop for a while, and the coordinator may lie.
struct ElectionWorld {
    struct Faults {
        var lossPerMille: UInt64 = 0
        var pausesPerMille: UInt64 = 0
        var crashesPerMille: UInt64 = 0
        var longestDelay = Duration.milliseconds(20)
    }

    private enum Delivery {
        case request(Int, generation: Int, RequestID, ElectionRequest)
        case input(Int, generation: Int, ElectionInput)
        case commit(Int, generation: Int, Fence, HeadKey, sent: Instant)
    }

    private struct Member {
        var election: Election
        var generation = 0
        var pausedUntil = Instant.zero
        var term: Leadership?
        var nextCommit = Instant.zero
        var isCommitting = false
    }

    struct Term {
        var member: Int
        var leadership: Leadership
        var from: Instant
        var to: Instant?
    }

    var coordinator = Coordinator()
    var faults = Faults()
    private(set) var now = Instant.zero
    private(set) var terms: [Term] = []
    private(set) var violations: [String] = []
    private var members: [Member] = []
    private var deliveries: [(due: Instant, serial: Int, Delivery)] = []
    private var serial = 0
    private var generator: SeededGenerator

    init(members count: Int, seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        for index in 0..<count { members.append(fresh(index, generation: 0)) }
    }

    private mutating func fresh(_ index: Int, generation: Int) -> Member {
        Member(
            election: Election(
                record: LeaderRecord(candidate: "m\(index)-\(generation)", contact: .init()),
                clusterID: nil, newClusterID: "c", seed: generator.next(), at: now),
            generation: generation)
    }

    private func chance(_ perMille: UInt64, _ generator: inout SeededGenerator) -> Bool {
        perMille > generator.next() % 1000
    }

    private mutating func post(_ delivery: Delivery, after delay: Duration) {
        serial += 1
        deliveries.append((now + delay, serial, delivery))
    }

    private mutating func delay() -> Duration { generator.duration(upTo: faults.longestDelay) }

    // MARK: Time

    /// Runs until then; time goes on in steps of 5 ms.
    mutating func run(until end: Instant) {
        while now < end {
            now = now + .milliseconds(5)
            coordinator.expire(at: now)
            deliver()
            for index in members.indices { live(index) }
            check()
        }
    }

    private mutating func deliver() {
        let due = deliveries.filter { $0.due <= now }.sorted {
            ($0.due, $0.serial) < ($1.due, $1.serial)
        }
        deliveries.removeAll { $0.due <= now }
        for delivery in due {
            switch delivery.2 {
            case .request(let index, let generation, let id, let request):
                carryOut(request, id, of: index, generation)
            case .commit(let index, let generation, let fence, let head, let sent):
                commit(index, generation, fence, head, sent)
            case .input(let index, let generation, let input):
                guard members[index].generation == generation else { continue }
                guard members[index].pausedUntil <= now else {
                    post(delivery.2, after: members[index].pausedUntil - now)
                    continue
                }
                handle(index) { $0.handle(input, at: $1, into: &$2) }
            }
        }
    }

    private mutating func carryOut(
        _ request: ElectionRequest, _ id: RequestID, of index: Int, _ generation: Int
    ) {
        let answer = coordinator.answer(request, at: now, by: &generator)
        // The answer may be lost although the request was carried out.
        let input: ElectionInput =
            chance(faults.lossPerMille, &generator)
            ? .failed(id, .unreachable("lost")) : .answer(id, answer)
        post(.input(index, generation: generation, input), after: delay())
    }

    private mutating func commit(
        _ index: Int, _ generation: Int, _ fence: Fence, _ head: HeadKey, _ sent: Instant
    ) {
        let written = coordinator.commit(fence, after: head, at: now)
        guard members[index].generation == generation else { return }
        members[index].isCommitting = false
        if let written {
            if members[index].term?.fence == fence { members[index].term?.head = written }
            post(
                .input(index, generation: generation, .committed(fence, sent: sent)),
                after: delay())
        } else {
            post(.input(index, generation: generation, .commitRefused(fence)), after: delay())
        }
    }

    // MARK: Members

    private mutating func live(_ index: Int) {
        if chance(faults.crashesPerMille, &generator) {
            endTerm(of: index)
            members[index] = fresh(index, generation: members[index].generation + 1)
        }
        if chance(faults.pausesPerMille, &generator) {
            members[index].pausedUntil = now + generator.duration(upTo: .seconds(8))
        }
        guard members[index].pausedUntil <= now else { return }
        if let due = members[index].election.nextDeadline, due <= now {
            handle(index) { $0.wake(at: $1, into: &$2) }
        }
        guard members[index].nextCommit <= now, !members[index].isCommitting,
            let term = members[index].term
        else { return }
        members[index].nextCommit = now + .milliseconds(150)
        // What goes out unasked is what a fence is for; so ask only sometimes.
        guard members[index].election.leads(at: now) || chance(500, &generator) else { return }
        members[index].isCommitting = true
        post(
            .commit(
                index, generation: members[index].generation, term.fence, term.head, sent: now),
            after: delay())
    }

    private mutating func handle(
        _ index: Int, _ body: (inout Election, Instant, inout Outbox<ElectionEffect>) -> Void
    ) {
        var outbox = Outbox<ElectionEffect>()
        body(&members[index].election, now, &outbox)
        let generation = members[index].generation
        for effect in outbox.takeAll() {
            switch effect {
            case .request(let id, let request):
                if chance(faults.lossPerMille, &generator) {
                    post(
                        .input(index, generation: generation, .failed(id, .unreachable("lost"))),
                        after: .milliseconds(300))
                } else {
                    post(
                        .request(index, generation: generation, id, request), after: delay())
                }
            case .lead(let leadership):
                begin(leadership, index)
            case .stepDown:
                endTerm(of: index)
            case .watch, .follow, .report, .ended:
                break
            }
        }
    }

    private mutating func begin(_ leadership: Leadership, _ index: Int) {
        if members[index].term != nil { violations.append("led twice without an end") }
        members[index].term = leadership
        members[index].isCommitting = false
        terms.append(Term(member: index, leadership: leadership, from: now))
        // Whatever others wrote before must lie before what was read.
        let others = coordinator.commits.last { $0.fence != leadership.fence }
        if let others, others.revision > leadership.head.modified,
            others.epoch < leadership.epoch
        {
            violations.append("a write of epoch \(others.epoch) came after it was fenced off")
        }
    }

    private mutating func endTerm(of index: Int) {
        guard members[index].term != nil else { return }
        members[index].term = nil
        if let last = terms.lastIndex(where: { $0.member == index && $0.to == nil }) {
            terms[last].to = now
        }
    }

    // MARK: Checks

    /// The members that may act now.
    var leaders: [Int] {
        members.indices.filter {
            members[$0].election.leads(at: now) && members[$0].pausedUntil <= now
        }
    }

    /// The epochs of the members that may act now.
    var epochs: [UInt64] { leaders.compactMap { members[$0].term?.epoch } }

    private mutating func check() {
        guard let last = coordinator.commits.last else { return }
        let before = coordinator.commits.dropLast().last
        if let before, last.epoch < before.epoch { violations.append("the epoch went back") }
        if let before, last.epoch == before.epoch, last.fence != before.fence {
            violations.append("two masters wrote in epoch \(last.epoch)")
        }
    }
}
