@_spi(Driver) import ProfferKernel
import ProfferSession
import Testing

@Suite("ClientSession")
struct ClientSessionTests {
    @Test("the first wake asks for a session with its credential")
    func opening() {
        let (client, opening) = openingClient(clusterID: "c")
        #expect(opening?.content == .open(credential: [7]))
        #expect(opening?.clusterID == "c")
        #expect(opening?.version == Envelope.currentVersion)
        #expect(!client.isOpen)
    }

    @Test("an acceptance of another session opens nothing")
    func foreignAcceptance() {
        var (client, opening) = openingClient()
        var other = acceptance(of: opening)
        other.session &+= 1
        let step = Step { client.handle(other, at: at(1), into: &$0) }
        #expect(step.openings == 0)
        #expect(!client.isOpen)
    }

    @Test("a master of an older epoch is refused, whatever it says")
    func staleEpoch() {
        var (client, opening) = openingClient()
        _ = Step { client.handle(acceptance(of: opening, epoch: 5), at: at(1), into: &$0) }
        #expect(client.isOpen)
        _ = Step { client.close(.local("test"), at: at(2), into: &$0) }
        let again = Step { client.wake(at: at(1000), into: &$0) }
        #expect(again.transmitted.first?.epoch == 5)
        let stale = acceptance(of: again.transmitted.first, epoch: 4)
        let step = Step { client.handle(stale, at: at(1001), into: &$0) }
        #expect(step.openings == 0)
        #expect(!client.isOpen)
        #expect(client.unansweredOpenings == 1)
    }

    @Test("a master of another cluster is refused")
    func foreignCluster() {
        var (client, opening) = openingClient(clusterID: "mine")
        let foreign = acceptance(of: opening, clusterID: "yours")
        #expect(Step { client.handle(foreign, at: at(1), into: &$0) }.openings == 0)
    }

    @Test("the first cluster that answers is kept")
    func clusterIsLearned() {
        var (client, opening) = openingClient()
        _ = Step { client.handle(acceptance(of: opening), at: at(1), into: &$0) }
        _ = Step { client.close(.local("test"), at: at(2), into: &$0) }
        let again = Step { client.wake(at: at(1000), into: &$0) }
        #expect(again.transmitted.first?.clusterID == "c")
        let foreign = acceptance(of: again.transmitted.first, clusterID: "other")
        #expect(Step { client.handle(foreign, at: at(1001), into: &$0) }.openings == 0)
    }

    @Test("openings are repeated with pauses that double and stay within their jitter")
    func backOff() throws {
        let limits = SessionLimits()
        for seed in UInt64(0)..<200 {
            var (client, _) = openingClient(limits: limits, seed: seed)
            var last = Instant.zero
            var pause = limits.openFirst
            for attempt in 1...12 {
                let due = try #require(client.nextDeadline)
                #expect(due - last >= pause)
                #expect(due - last <= pause * 2)
                let early = Step { client.wake(at: due - .nanoseconds(1), into: &$0) }
                #expect(early.transmitted.isEmpty)
                let step = Step { client.wake(at: due, into: &$0) }
                #expect(step.transmitted.count == 1)
                #expect(client.unansweredOpenings == attempt)
                last = due
                pause = min(pause * 2, limits.openLast)
            }
        }
    }

    @Test("clients that lose one server at one moment do not come back in step")
    func spread() {
        let deadlines = (UInt64(0)..<50).map { seed in
            openingClient(seed: seed).0.nextDeadline
        }
        #expect(Set(deadlines).count > 45)
    }

    @Test("a session ends when nothing was heard for a lease")
    func lease() {
        var (client, _) = openClient()
        var closed: [CloseReason] = []
        var moment = Instant.zero
        while closed.isEmpty, let due = client.nextDeadline, due < at(60_000) {
            moment = due
            closed += Step { client.wake(at: due, into: &$0) }.closed
        }
        #expect(closed == [.leaseExpired])
        #expect(moment == at(10_000))
        #expect(!client.isOpen)
    }

    @Test("signs of life are frequent enough for a server with a shorter lease")
    func serverLease() {
        var (client, opening) = openingClient()
        let short = acceptance(of: opening, lease: 1000)
        _ = Step { client.handle(short, at: .zero, into: &$0) }
        #expect(client.nextDeadline == at(250))
    }

    @Test("a lease of nothing does not make a client spin")
    func zeroLease() {
        var (client, opening) = openingClient()
        _ = Step { client.handle(acceptance(of: opening, lease: 0), at: .zero, into: &$0) }
        #expect(client.nextDeadline.map { $0 > .zero } == true)
        var (other, second) = openingClient()
        _ = Step { other.handle(acceptance(of: second, lease: .max), at: .zero, into: &$0) }
        #expect(other.nextDeadline == at(2500))
    }

    @Test("a new session has a new number")
    func freshNumbers() {
        var (client, session) = openClient()
        let farewell = Step { client.close(.local("test"), at: at(1), into: &$0) }
        #expect(farewell.closed == [.local("test")])
        #expect(farewell.transmitted.map(\.session) == [session])
        let next = Step { client.wake(at: at(1000), into: &$0) }
        #expect(next.transmitted.first?.session != session)
    }

    @Test("a message without an open session is dropped")
    func unsent() {
        var (client, _) = openingClient()
        #expect(Step { client.send([1], at: at(1), into: &$0) }.transmitted.isEmpty)
    }

    @Test("a stopped client says good-bye once and never wakes again")
    func stop() {
        var (client, _) = openClient()
        let step = Step { client.stop(at: at(1), into: &$0) }
        #expect(step.transmitted.count == 1)
        #expect(client.nextDeadline == nil)
        #expect(Step { client.wake(at: at(100_000), into: &$0) }.transmitted.isEmpty)
        #expect(Step { client.stop(at: at(2), into: &$0) }.transmitted.isEmpty)
    }

    @Test("over a new connection an unanswered opening is repeated at once, with its number")
    func openingOverNewRoute() {
        var (client, opening) = openingClient()
        let due = client.nextDeadline
        let step = Step { client.routeRestored(at: at(1), into: &$0) }
        #expect(step.transmitted == [opening])
        #expect(client.nextDeadline == due)
        #expect(client.unansweredOpenings == 0)
    }

    @Test("over a new connection an open session says everything unacknowledged and a sign of life")
    func newRoute() {
        var (client, session) = openClient()
        for number in UInt8(1)...2 { _ = Step { client.send([number], at: at(1), into: &$0) } }
        let step = Step { client.routeRestored(at: at(2), into: &$0) }
        #expect(step.bodies == [[1], [2]])
        #expect(step.transmitted.last?.content == .keepAlive)
        #expect(step.transmitted.allSatisfy { $0.session == session })
    }

    @Test("a new connection means nothing to a client that pauses or has stopped")
    func newRouteWithoutSession() {
        var (client, _) = openClient()
        _ = Step { client.close(.local("test"), at: at(1), into: &$0) }
        #expect(Step { client.routeRestored(at: at(2), into: &$0) }.transmitted.isEmpty)
        _ = Step { client.stop(at: at(3), into: &$0) }
        #expect(Step { client.routeRestored(at: at(4), into: &$0) }.transmitted.isEmpty)
    }

    @Test("a refused opening is followed by one with a new number")
    func refusal() {
        var (client, opening) = openingClient()
        let refusal = Envelope(session: opening?.session ?? 0, content: .closed(reason: "no"))
        let step = Step { client.handle(refusal, at: at(1), into: &$0) }
        #expect(step.closed.isEmpty)
        #expect(client.unansweredOpenings == 1)
        let next = Step { client.wake(at: at(1000), into: &$0) }
        #expect(next.transmitted.first?.session != opening?.session)
    }
}
