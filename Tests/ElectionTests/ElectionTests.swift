import ProfferElection
@_spi(Driver) import ProfferKernel
import Testing

func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

/// A candidate by itself, whose requests the test answers.
struct Candidate {
    var election: Election
    var effects: [ElectionEffect] = []
    var now = at(0)

    init(
        clusterID: String? = nil, seenEpoch: UInt64 = 0,
        configuration: ElectionConfiguration = .init()
    ) {
        election = Election(
            record: LeaderRecord(candidate: "me", contact: MasterContact(http: "http://me")),
            clusterID: clusterID, newClusterID: "fresh", configuration: configuration,
            seenEpoch: seenEpoch, seed: 1, at: at(0))
    }

    mutating func handle(_ input: ElectionInput, at instant: Instant? = nil) {
        now = instant ?? now
        var outbox = Outbox<ElectionEffect>()
        election.handle(input, at: now, into: &outbox)
        effects = Array(outbox.takeAll())
    }

    mutating func wake(at instant: Instant) {
        now = instant
        var outbox = Outbox<ElectionEffect>()
        election.wake(at: now, into: &outbox)
        effects = Array(outbox.takeAll())
    }

    /// The requests among the last effects.
    var requests: [(id: RequestID, request: ElectionRequest)] {
        effects.compactMap { effect in
            if case .request(let id, let request) = effect { return (id, request) }
            return nil
        }
    }

    func id(of isWanted: (ElectionRequest) -> Bool) -> RequestID? {
        requests.first { isWanted($0.request) }?.id
    }

    /// Answers the last request that was made.
    mutating func answer(_ answer: ElectionAnswer, at instant: Instant? = nil) throws {
        let id = try #require(requests.last).id
        handle(.answer(id, answer), at: instant)
    }

    var stepDowns: [StepDownReason] {
        effects.compactMap { effect in
            if case .stepDown(let reason) = effect { return reason }
            return nil
        }
    }

    var leads: [Leadership] {
        effects.compactMap { effect in
            if case .lead(let leadership) = effect { return leadership }
            return nil
        }
    }

    var problems: [ElectionProblem?] {
        effects.compactMap { effect in
            if case .report(let problem) = effect { return .some(problem) }
            return nil
        }
    }

    /// Goes up to the campaign, whose request is then the last.
    mutating func reachCampaign(at instant: Instant = at(0)) throws {
        wake(at: instant)
        try answer(.leader(nil, at: Revision(5)))
        try answer(.lease(LeaseID(7), .seconds(3)))
    }

    /// Becomes the leader with the fence 10 and the epoch after that of `head`.
    mutating func becomeLeader(after head: HeadKey? = nil) throws {
        try reachCampaign()
        try answer(.transaction(held: true, leader: nil, head: head, at: Revision(10)))
        try answer(.transaction(held: true, leader: nil, head: nil, at: Revision(11)))
        try answer(.loaded(at: Revision(11)))
    }
}

func head(
    epoch: UInt64, fence: Int64 = 3, schema: Int = 1, cluster: String = "c", modified: Int64 = 4
) -> HeadKey {
    HeadKey(
        record: RegistryHead(
            schema: schema, clusterID: cluster, epoch: epoch, fence: Fence(Revision(fence))),
        modified: Revision(modified))
}

func otherLeader(creation: Int64 = 9, lease: Int64 = 70) -> LeaderKey {
    LeaderKey(
        record: LeaderRecord(candidate: "other", contact: MasterContact(http: "http://other")),
        creation: Revision(creation), lease: LeaseID(lease))
}

@Suite("Election")
struct ElectionTests {
    @Test("a candidate looks, takes a lease, campaigns, writes its epoch, reads, and then leads")
    func wholeWay() throws {
        var candidate = Candidate()
        candidate.wake(at: at(0))
        #expect(candidate.requests.map(\.request) == [.readLeader])
        try candidate.answer(.leader(nil, at: Revision(5)))
        #expect(candidate.requests.map(\.request) == [.grantLease(.seconds(3))])
        try candidate.answer(.lease(LeaseID(7), .seconds(3)))
        let record = LeaderRecord(candidate: "me", contact: MasterContact(http: "http://me"))
        #expect(candidate.requests.map(\.request) == [.campaign(record, LeaseID(7))])
        try candidate.answer(
            .transaction(held: true, leader: nil, head: head(epoch: 4), at: Revision(10)))
        let fence = Fence(Revision(10))
        let own = RegistryHead(schema: 1, clusterID: "c", epoch: 5, fence: fence)
        #expect(
            candidate.requests.map(\.request)
                == [.takeOver(fence, expecting: Revision(4), own)])
        try candidate.answer(.transaction(held: true, leader: nil, head: nil, at: Revision(11)))
        #expect(candidate.requests.map(\.request) == [.load(at: Revision(11))])
        #expect(candidate.leads.isEmpty)
        try candidate.answer(.loaded(at: Revision(11)))
        #expect(
            candidate.leads
                == [
                    Leadership(
                        epoch: 5, fence: fence,
                        head: HeadKey(record: own, modified: Revision(11)))
                ])
        #expect(candidate.election.leads(at: candidate.now))
    }

    @Test("the first leader of a new registry names the cluster and begins with epoch 1")
    func newRegistry() throws {
        var candidate = Candidate()
        try candidate.becomeLeader()
        #expect(candidate.leads.first?.epoch == 1)
        #expect(candidate.leads.first?.head.record.clusterID == "fresh")
    }

    @Test("who finds a leader follows it, watches, and looks again by itself")
    func following() throws {
        var candidate = Candidate()
        candidate.wake(at: at(0))
        try candidate.answer(.leader(otherLeader(), at: Revision(20)))
        guard case .follow(let leader)? = candidate.effects.first,
            case .watch(let revision)? = candidate.effects.last
        else {
            Issue.record("\(candidate.effects)")
            return
        }
        #expect(leader?.contact.http == "http://other")
        #expect(revision == Revision(20))
        let next = try #require(candidate.election.nextDeadline)
        #expect(next <= at(2000))
        candidate.wake(at: next)
        #expect(candidate.requests.map(\.request) == [.readLeader])
    }

    @Test("a hint makes a follower look at once, and is not believed")
    func hint() throws {
        var candidate = Candidate()
        candidate.wake(at: at(0))
        try candidate.answer(.leader(otherLeader(), at: Revision(20)))
        candidate.handle(.hint, at: at(10))
        #expect(candidate.requests.isEmpty)
        let next = try #require(candidate.election.nextDeadline)
        #expect(next <= at(60))
        candidate.wake(at: next)
        try candidate.answer(.leader(otherLeader(), at: Revision(20)))
        #expect(candidate.requests.isEmpty)
    }

    @Test("a leader steps down by its own clock, counted from the sending of the last renewal")
    func ownDeadline() throws {
        var candidate = Candidate()
        try candidate.becomeLeader()
        // Renewal and proof are sent at 900 ms and answered much later.
        candidate.wake(at: at(900))
        let renewal = try #require(candidate.id { $0 == .keepAlive(LeaseID(7)) })
        let proof = try #require(candidate.id { $0 == .prove(Fence(Revision(10))) })
        candidate.handle(.answer(renewal, .alive(.seconds(3))), at: at(1800))
        candidate.handle(.answer(proof, .proof(true)), at: at(1800))
        #expect(candidate.election.leadershipDeadline == at(900 + 2700))
        #expect(candidate.election.leads(at: at(3599)))
        #expect(!candidate.election.leads(at: at(3600)))
        candidate.wake(at: at(3600))
        #expect(candidate.stepDowns == [.deadline])
    }

    @Test("renewals without proof of the key do not keep a leader, nor proofs without renewals")
    func bothAreNeeded() throws {
        for renews in [true, false] {
            var candidate = Candidate()
            try candidate.becomeLeader()
            var time: Int64 = 0
            while candidate.stepDowns.isEmpty, time < 10_000 {
                time += 100
                candidate.wake(at: at(time))
                for (id, request) in candidate.requests {
                    switch request {
                    case .keepAlive where renews:
                        candidate.handle(.answer(id, .alive(.seconds(3))))
                    case .prove where !renews: candidate.handle(.answer(id, .proof(true)))
                    default: break
                    }
                }
            }
            #expect(candidate.stepDowns == [.deadline])
            #expect(time == 2700)
        }
    }

    @Test("a commit that went through proves the key as of its sending")
    func commitProves() throws {
        var candidate = Candidate()
        try candidate.becomeLeader()
        candidate.wake(at: at(900))
        let renewal = try #require(candidate.id { $0 == .keepAlive(LeaseID(7)) })
        candidate.handle(.answer(renewal, .alive(.seconds(3))), at: at(950))
        candidate.handle(.committed(Fence(Revision(10)), sent: at(800)), at: at(960))
        #expect(candidate.election.leadershipDeadline == at(3500))
        candidate.handle(.committed(Fence(Revision(9)), sent: at(960)), at: at(970))
        #expect(candidate.election.leadershipDeadline == at(3500))
    }

    @Test("who was paused beyond its time steps down before it takes in anything else")
    func pause() throws {
        var candidate = Candidate()
        try candidate.becomeLeader()
        candidate.wake(at: at(900))
        let renewal = try #require(candidate.id { $0 == .keepAlive(LeaseID(7)) })
        // The answer lay in the socket while the process was stopped.
        candidate.handle(.answer(renewal, .alive(.seconds(3))), at: at(60_000))
        #expect(candidate.stepDowns == [.deadline])
        #expect(!candidate.election.leads(at: candidate.now))
    }

    @Test("a lease that has ended, a key that is another's and a refused commit each depose")
    func depositions() throws {
        let fence = Fence(Revision(10))
        for (input, reason) in [
            (ElectionInput.commitRefused(fence), StepDownReason.keyLost),
            (.commitFailed(fence, "slow"), .commitFailed("slow")),
        ] {
            var candidate = Candidate()
            try candidate.becomeLeader()
            candidate.handle(input, at: at(100))
            #expect(candidate.stepDowns == [reason])
            #expect(candidate.requests.map(\.request) == [.resign(fence)])
        }
        for (answer, reason) in [
            (ElectionAnswer.alive(.zero), StepDownReason.leaseLost), (.proof(false), .keyLost),
        ] {
            var candidate = Candidate()
            try candidate.becomeLeader()
            candidate.wake(at: at(900))
            let id = try #require(
                candidate.id { request in
                    if case .alive = answer { return request == .keepAlive(LeaseID(7)) }
                    return request == .prove(fence)
                })
            candidate.handle(.answer(id, answer), at: at(950))
            #expect(candidate.stepDowns == [reason])
        }
    }

    @Test("the fate of another term's commit changes nothing")
    func foreignCommits() throws {
        var candidate = Candidate()
        try candidate.becomeLeader()
        candidate.handle(.commitRefused(Fence(Revision(9))), at: at(100))
        candidate.handle(.commitFailed(Fence(Revision(9)), "late"), at: at(100))
        #expect(candidate.stepDowns.isEmpty)
        #expect(candidate.election.leads(at: at(100)))
    }

    @Test("a campaign whose answer was lost is recognised as won")
    func lostCampaignAnswer() throws {
        var candidate = Candidate()
        try candidate.reachCampaign()
        let id = try #require(candidate.requests.last).id
        candidate.handle(.failed(id, .unreachable("reset")), at: at(100))
        candidate.wake(at: at(300))
        let own = LeaderKey(
            record: LeaderRecord(candidate: "me", contact: .init()), creation: Revision(10),
            lease: LeaseID(7))
        try candidate.answer(
            .transaction(held: false, leader: own, head: nil, at: Revision(12)), at: at(310))
        guard case .takeOver(let fence, _, _)? = candidate.requests.last?.request else {
            Issue.record("\(candidate.effects)")
            return
        }
        #expect(fence == Fence(Revision(10)))
    }

    @Test("a key of its own under a lease that it does not have is waited out")
    func orphanedKey() throws {
        var candidate = Candidate()
        candidate.wake(at: at(0))
        let own = LeaderKey(
            record: LeaderRecord(candidate: "me", contact: .init()), creation: Revision(3),
            lease: LeaseID(1))
        try candidate.answer(.leader(own, at: Revision(5)))
        #expect(candidate.requests.isEmpty)
        #expect(candidate.election.leader == nil)
    }

    @Test("an epoch whose answer was lost is not written twice")
    func lostTakeOverAnswer() throws {
        var candidate = Candidate()
        try candidate.reachCampaign()
        try candidate.answer(
            .transaction(held: true, leader: nil, head: head(epoch: 4), at: Revision(10)))
        let id = try #require(candidate.requests.last).id
        candidate.handle(.failed(id, .unreachable("reset")), at: at(100))
        candidate.wake(at: at(300))
        var leader = otherLeader(creation: 10, lease: 7)
        leader.record.candidate = "me"
        try candidate.answer(
            .transaction(
                held: false, leader: leader, head: head(epoch: 5, fence: 10, modified: 11),
                at: Revision(11)))
        #expect(candidate.requests.map(\.request) == [.load(at: Revision(11))])
        try candidate.answer(.loaded(at: Revision(11)))
        #expect(candidate.leads.first?.epoch == 5)
    }

    @Test("a registry that is read as it was before is read again")
    func staleLoad() throws {
        var candidate = Candidate()
        try candidate.reachCampaign()
        try candidate.answer(
            .transaction(held: true, leader: nil, head: head(epoch: 4), at: Revision(10)))
        try candidate.answer(.transaction(held: true, leader: nil, head: nil, at: Revision(11)))
        try candidate.answer(.loaded(at: Revision(9)))
        #expect(candidate.leads.isEmpty)
        #expect(
            candidate.problems == [.staleRead(wanted: Revision(11), found: Revision(9))])
        candidate.wake(at: at(100))
        #expect(candidate.requests.map(\.request) == [.load(at: Revision(11))])
    }

    @Test("a registry of a newer version, of another cluster or gone back is not led")
    func obstacles() throws {
        let cases: [(HeadKey?, ElectionProblem)] = [
            (head(epoch: 9, schema: 2), .newer(schema: 2)),
            (head(epoch: 9, cluster: "other"), .foreign(clusterID: "other")),
            (head(epoch: 5), .wentBack(seenEpoch: 6, foundEpoch: 5)),
            (nil, .wentBack(seenEpoch: 6, foundEpoch: 0)),
        ]
        for (found, problem) in cases {
            var candidate = Candidate(clusterID: "c", seenEpoch: 6)
            try candidate.reachCampaign()
            try candidate.answer(
                .transaction(held: true, leader: nil, head: found, at: Revision(10)))
            #expect(candidate.problems == [problem])
            #expect(candidate.requests.map(\.request) == [.resign(Fence(Revision(10)))])
            #expect(candidate.leads.isEmpty)
        }
    }

    /// Takes over, anew each time, and fails at once; returns the pauses between the attempts.
    private func failEachTime(
        _ candidate: inout Candidate, times: Int, seeing other: LeaderKey? = nil
    ) throws -> [Duration] {
        var pauses: [Duration] = []
        var epoch: UInt64 = 0
        for round in 0..<times {
            let fence = Fence(Revision(Int64(round) * 10 + 10))
            if let other {
                try candidate.answer(.leader(other, at: Revision(5)))
                candidate.wake(at: try #require(candidate.election.nextDeadline))
            }
            try candidate.answer(.leader(nil, at: Revision(5)))
            try candidate.answer(.lease(LeaseID(7), .seconds(3)))
            let found = epoch == 0 ? nil : head(epoch: epoch, modified: fence.creation.value - 9)
            try candidate.answer(
                .transaction(held: true, leader: nil, head: found, at: fence.creation))
            let modified = Revision(fence.creation.value + 1)
            try candidate.answer(
                .transaction(held: true, leader: nil, head: nil, at: modified))
            try candidate.answer(.loaded(at: modified))
            epoch = try #require(candidate.leads.first).epoch
            candidate.handle(.commitFailed(fence, "a record is unknown"))
            let due = try #require(candidate.election.nextDeadline)
            pauses.append(due - candidate.now)
            candidate.handle(.hint)
            #expect(candidate.election.nextDeadline == due)
            candidate.wake(at: due)
        }
        return pauses
    }

    @Test("a taking over that fails each time is tried less and less often, and reported once")
    func failingTerms() throws {
        for other in [nil, otherLeader()] {
            var candidate = Candidate(clusterID: "c")
            candidate.wake(at: at(0))
            let pauses = try failEachTime(&candidate, times: 12, seeing: other)
            #expect(try #require(pauses.first) <= .milliseconds(100))
            for (index, pause) in pauses.enumerated() {
                let limit = min(Duration.milliseconds(100 << index), .seconds(30))
                #expect(pause >= limit / 2 && pause <= limit)
            }
        }
    }

    @Test("that terms fail is reported until one has lasted, or another has led for a while")
    func failingTermReport() throws {
        let problem = ElectionProblem.termFailed("a record is unknown")
        var candidate = Candidate()
        try candidate.becomeLeader()
        candidate.handle(.commitFailed(Fence(Revision(10)), "a record is unknown"), at: at(10))
        #expect(candidate.problems == [problem])
        var follower = candidate
        candidate.wake(at: at(200))
        try candidate.answer(.leader(nil, at: Revision(12)))
        try candidate.answer(.lease(LeaseID(8), .seconds(3)))
        try candidate.answer(
            .transaction(
                held: true, leader: nil, head: head(epoch: 1, modified: 11), at: Revision(13)))
        try candidate.answer(.transaction(held: true, leader: nil, head: nil, at: Revision(14)))
        #expect(candidate.problems.isEmpty)
        try candidate.answer(.loaded(at: Revision(14)))
        #expect(candidate.problems.isEmpty)
        #expect(!candidate.leads.isEmpty)
        for time in stride(from: Int64(300), through: 3100, by: 100) {
            candidate.wake(at: at(time))
            for (id, request) in candidate.requests {
                let answer: ElectionAnswer =
                    if case .prove = request { .proof(true) } else { .alive(.seconds(3)) }
                candidate.handle(.answer(id, answer))
            }
            #expect(candidate.problems.isEmpty)
        }
        candidate.wake(at: at(3200))
        #expect(candidate.problems == [nil])

        follower.wake(at: at(200))
        try follower.answer(.leader(otherLeader(), at: Revision(12)))
        #expect(follower.problems.isEmpty)
        follower.wake(at: try #require(follower.election.nextDeadline))
        try follower.answer(.leader(otherLeader(), at: Revision(12)))
        #expect(follower.problems == [nil])
    }

    @Test("a leader that stops resigns, and its key does not outlast it")
    func resignation() throws {
        var candidate = Candidate()
        try candidate.becomeLeader()
        candidate.handle(.stop, at: at(100))
        #expect(candidate.stepDowns == [.stopping])
        #expect(candidate.requests.map(\.request) == [.resign(Fence(Revision(10)))])
        try candidate.answer(.proof(true))
        guard case .ended? = candidate.effects.last else {
            Issue.record("\(candidate.effects)")
            return
        }
        #expect(candidate.election.nextDeadline == nil)
    }

    @Test("a coordinator that does not answer is reported once, and again when it does")
    func reports() throws {
        var candidate = Candidate()
        candidate.wake(at: at(0))
        let first = try #require(candidate.requests.last).id
        candidate.handle(.failed(first, .noSpace), at: at(10))
        #expect(candidate.problems == [.failing(.noSpace)])
        candidate.wake(at: at(300))
        let second = try #require(candidate.requests.last).id
        candidate.handle(.failed(second, .noSpace), at: at(310))
        #expect(candidate.problems.isEmpty)
        candidate.wake(at: at(1000))
        try candidate.answer(.leader(nil, at: Revision(1)))
        #expect(candidate.problems == [nil])
    }

    @Test("settings under which no lease could hold are named")
    func settings() {
        var configuration = ElectionConfiguration()
        #expect(configuration.problems.isEmpty)
        configuration.leaseTime = .seconds(2)
        #expect(configuration.problems.count == 1)
        configuration.leaseTime = .seconds(1)
        configuration.retryFirst = .zero
        configuration.margin = .milliseconds(-1)
        #expect(configuration.problems.count == 3)
    }
}
