import ProfferElection
@_spi(Driver) import ProfferKernel
import Testing

/// Walks through everything that can happen to one candidate, to a certain depth.
private struct Walk {
    struct State {
        var election: Election
        var now = Instant.zero
        var open: [(id: RequestID, request: ElectionRequest)] = []
        var leads: Leadership?
        var wroteEpoch = false
        var hasEnded = false
        var path: [String] = []
    }

    var states = 0
    var leaderships = 0
    var problems: [String] = []
    let depth: Int

    init(depth: Int) { self.depth = depth }

    mutating func explore(_ state: State, _ level: Int = 0) {
        states += 1
        guard level < depth, problems.count < 5 else { return }
        for (name, input) in inputs(state) {
            var next = state
            next.path.append(name)
            apply(&next) { $0.handle(input, at: $1, into: &$2) }
            if case .answer(let id, let answer) = input { settle(&next, id, answer) }
            if case .failed(let id, _) = input { next.open.removeAll { $0.id == id } }
            explore(next, level + 1)
        }
        guard let due = state.election.nextDeadline else { return }
        var next = state
        next.now = max(state.now, due)
        next.path.append("wake")
        apply(&next) { $0.wake(at: $1, into: &$2) }
        if let again = next.election.nextDeadline, again <= next.now {
            complain(next, "a wake leaves something due")
        }
        explore(next, level + 1)
        // A process that was stopped for a minute.
        next = state
        next.now = state.now + .seconds(60)
        next.path.append("pause")
        if next.election.leads(at: next.now) { complain(next, "leads after a pause") }
        apply(&next) { $0.wake(at: $1, into: &$2) }
        explore(next, level + 1)
    }

    private mutating func complain(_ state: State, _ problem: String) {
        problems.append("\(problem): \(state.path.joined(separator: ", "))")
    }

    private func inputs(_ state: State) -> [(String, ElectionInput)] {
        var found: [(String, ElectionInput)] = []
        for (id, request) in state.open.suffix(3) {
            for (name, answer) in answers(request) { found.append((name, .answer(id, answer))) }
            found.append(("failed", .failed(id, .unreachable("x"))))
        }
        found.append(("hint", .hint))
        if let fence = state.leads?.fence { found.append(("refused", .commitRefused(fence))) }
        if !state.hasEnded { found.append(("stop", .stop)) }
        return found
    }

    private func answers(_ request: ElectionRequest) -> [(String, ElectionAnswer)] {
        switch request {
        case .readLeader:
            [
                ("nobody", .leader(nil, at: Revision(5))),
                ("other", .leader(otherLeader(), at: Revision(6))),
            ]
        case .grantLease: [("lease", .lease(LeaseID(7), .seconds(3)))]
        case .campaign:
            [
                ("won", .transaction(held: true, leader: nil, head: nil, at: Revision(10))),
                (
                    "lost",
                    .transaction(
                        held: false, leader: otherLeader(), head: nil, at: Revision(10))
                ),
            ]
        case .takeOver:
            [
                ("written", .transaction(held: true, leader: nil, head: nil, at: Revision(11))),
                (
                    "fenced",
                    .transaction(
                        held: false, leader: otherLeader(), head: nil, at: Revision(12))
                ),
            ]
        case .load(let wanted):
            [("loaded", .loaded(at: wanted)), ("stale", .loaded(at: Revision(1)))]
        case .keepAlive: [("alive", .alive(.seconds(3))), ("dead", .alive(.zero))]
        case .prove: [("proof", .proof(true)), ("no proof", .proof(false))]
        case .resign: [("resigned", .proof(true))]
        }
    }

    private mutating func settle(_ state: inout State, _ id: RequestID, _ answer: ElectionAnswer) {
        state.open.removeAll { $0.id == id }
    }

    private mutating func apply(
        _ state: inout State,
        _ body: (inout Election, Instant, inout Outbox<ElectionEffect>) -> Void
    ) {
        var outbox = Outbox<ElectionEffect>()
        body(&state.election, state.now, &outbox)
        for effect in outbox.takeAll() {
            if state.hasEnded { complain(state, "an effect after the end") }
            switch effect {
            case .request(let id, let request):
                state.open.append((id, request))
                if case .takeOver = request { state.wroteEpoch = true }
            case .lead(let leadership):
                leaderships += 1
                if state.leads != nil { complain(state, "leads twice") }
                if !state.wroteEpoch { complain(state, "leads without its epoch") }
                if !state.path.contains("loaded") { complain(state, "leads without reading") }
                state.leads = leadership
            case .stepDown:
                if state.leads == nil { complain(state, "steps down without having led") }
                state.leads = nil
                state.wroteEpoch = false
            case .ended: state.hasEnded = true
            case .watch, .follow, .report: break
            }
        }
        if state.leads == nil, state.election.leads(at: state.now) {
            complain(state, "leads without having said so")
        }
        if !state.hasEnded, state.election.nextDeadline == nil {
            complain(state, "waits for nothing")
        }
    }
}

@Suite("Election, exhaustively")
struct ElectionExhaustiveTests {
    @Test("every order of answers, failures, hints, pauses and stops keeps the rules")
    func everything() {
        var walk = Walk(depth: 8)
        walk.explore(
            .init(
                election: Election(
                    record: LeaderRecord(candidate: "me", contact: .init()), clusterID: nil,
                    newClusterID: "c", seed: 1, at: .zero)))
        #expect(walk.problems == [])
        #expect(walk.leaderships > 10)
        #expect(walk.states > 10_000)
    }
}
