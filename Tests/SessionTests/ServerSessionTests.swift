@_spi(Driver) import ProfferKernel
import ProfferSession
import Testing

@Suite("ServerSession")
struct ServerSessionTests {
    private func message(_ sequence: UInt64, acknowledged: UInt64 = 0) -> Envelope {
        Envelope(
            session: 5, sequence: sequence, acknowledged: acknowledged,
            content: .message([UInt8(truncatingIfNeeded: sequence)]))
    }

    private func hear(
        _ session: inout ServerSession, _ envelope: Envelope, isNewRoute: Bool = false,
        at now: Instant = at(1)
    ) -> Step {
        Step { session.handle(envelope, isNewRoute: isNewRoute, at: now, into: &$0) }
    }

    @Test("a repeated opening is accepted again, within the same session")
    func repeatedOpening() {
        var session = openServer()
        let step = hear(&session, Envelope(session: 5, content: .open(credential: [])))
        #expect(step.transmitted.map(\.content) == [.accepted(leaseMilliseconds: 10_000)])
        #expect(step.openings == 0)
    }

    @Test("every envelope carries the cluster and the epoch")
    func stamps() {
        var limits = SessionLimits()
        limits.acknowledgeEvery = 2
        var session = openServer(limits: limits)
        var sent = Step { session.send([1], at: at(1), into: &$0) }.transmitted
        sent += hear(&session, message(1)).transmitted
        sent += hear(&session, message(2)).transmitted
        sent += hear(&session, message(3), isNewRoute: true).transmitted
        sent += Step { session.wake(at: at(3000), into: &$0) }.transmitted
        sent += Step { session.close(.local("test"), at: at(3001), into: &$0) }.transmitted
        #expect(sent.count >= 5)
        #expect(sent.allSatisfy { $0.clusterID == "c" && $0.epoch == 3 && $0.session == 5 })
    }

    @Test("a repetition and a gap deliver nothing and are answered with the numbers")
    func gaps() {
        var session = openServer()
        #expect(hear(&session, message(1)).delivered == [[1]])
        #expect(hear(&session, message(1)).delivered.isEmpty)
        #expect(hear(&session, message(3)).delivered.isEmpty)
        let answer = Step { session.wake(at: at(100), into: &$0) }
        #expect(answer.transmitted.map(\.acknowledged) == [1])
        #expect(hear(&session, message(2)).delivered == [[2]])
        #expect(hear(&session, message(3)).delivered == [[3]])
    }

    @Test("messages are acknowledged after a short pause, or at once when there are many")
    func acknowledgement() {
        var limits = SessionLimits()
        limits.acknowledgeEvery = 3
        var session = openServer(limits: limits)
        #expect(hear(&session, message(1)).transmitted.isEmpty)
        #expect(session.nextDeadline == at(1) + limits.acknowledgeDelay)
        #expect(hear(&session, message(2)).transmitted.isEmpty)
        #expect(hear(&session, message(3)).transmitted.map(\.acknowledged) == [3])
    }

    @Test("a message carries the acknowledgement along")
    func piggyback() {
        var session = openServer()
        _ = hear(&session, message(1))
        let step = Step { session.send([9], at: at(2), into: &$0) }
        #expect(step.transmitted.map(\.acknowledged) == [1])
        #expect(Step { session.wake(at: at(100), into: &$0) }.transmitted.isEmpty)
    }

    @Test("over a new route everything unacknowledged is sent again, in order")
    func newRoute() {
        var session = openServer()
        for number in UInt8(1)...4 {
            _ = Step { session.send([number], at: at(1), into: &$0) }
        }
        let keepAlive = Envelope(session: 5, acknowledged: 2, content: .keepAlive)
        let step = hear(&session, keepAlive, isNewRoute: true, at: at(2))
        #expect(step.bodies == [[3], [4]])
        #expect(step.transmitted.map(\.sequence) == [3, 4])
        #expect(session.unacknowledgedCount == 2)
    }

    @Test("unacknowledged messages are sent again with pauses that double up to a limit")
    func resend() throws {
        let limits = SessionLimits()
        var session = openServer(limits: limits)
        _ = Step { session.send([1], at: .zero, into: &$0) }
        var pauses: [Duration] = []
        var last = Instant.zero
        while pauses.count < 6 {
            let due = try #require(session.nextDeadline)
            _ = hear(&session, Envelope(session: 5, content: .keepAlive), at: due)
            let step = Step { session.wake(at: due, into: &$0) }
            guard !step.bodies.isEmpty else { continue }
            pauses.append(due - last)
            last = due
        }
        #expect(pauses == [250, 500, 1000, 2000, 4000, 4000].map { .milliseconds($0) })
    }

    @Test("an acknowledgement of what was never sent ends the session")
    func outOfStep() {
        var session = openServer()
        _ = Step { session.send([1], at: .zero, into: &$0) }
        let step = hear(
            &session, Envelope(session: 5, acknowledged: 2, content: .keepAlive))
        #expect(step.closed == [.outOfStep])
        #expect(!session.isOpen)
    }

    @Test("a peer that acknowledges nothing is too slow once the window is full of messages")
    func windowOfMessages() {
        var limits = SessionLimits()
        limits.windowMessages = 3
        var session = openServer(limits: limits)
        for _ in 0..<3 { _ = Step { session.send([1], at: .zero, into: &$0) } }
        #expect(session.isOpen)
        let step = Step { session.send([1], at: .zero, into: &$0) }
        #expect(step.closed == [.slowConsumer])
        #expect(step.bodies.isEmpty)
        #expect(Step { session.send([1], at: .zero, into: &$0) }.transmitted.isEmpty)
    }

    @Test("a peer that acknowledges nothing is too slow once the window is full of bytes")
    func windowOfBytes() {
        var limits = SessionLimits()
        limits.windowBytes = 10
        var session = openServer(limits: limits)
        let large = [UInt8](repeating: 0, count: 5)
        _ = Step { session.send(large, at: .zero, into: &$0) }
        _ = Step { session.send(large, at: .zero, into: &$0) }
        _ = hear(&session, Envelope(session: 5, acknowledged: 1, content: .keepAlive))
        #expect(Step { session.send(large, at: at(2), into: &$0) }.closed.isEmpty)
        #expect(Step { session.send([1], at: at(2), into: &$0) }.closed == [.slowConsumer])
    }

    @Test("a message above the limit ends the session instead of holding it up")
    func tooLarge() {
        var limits = SessionLimits()
        limits.messageBytes = 4
        var session = openServer(limits: limits)
        #expect(Step { session.send([1, 2, 3, 4], at: .zero, into: &$0) }.closed.isEmpty)
        let step = Step { session.send([1, 2, 3, 4, 5], at: .zero, into: &$0) }
        #expect(step.closed == [.messageTooLarge])
        #expect(step.bodies.isEmpty)
    }

    @Test("a session whose route is gone ends after the grace, unless it is heard again")
    func unreachable() {
        var session = openServer()
        session.routeLost(at: at(100))
        #expect(Step { session.wake(at: at(2099), into: &$0) }.closed.isEmpty)
        _ = hear(&session, message(1), isNewRoute: true, at: at(2099))
        #expect(Step { session.wake(at: at(2100), into: &$0) }.closed.isEmpty)
        session.routeLost(at: at(3000))
        session.routeLost(at: at(4000))
        #expect(Step { session.wake(at: at(5000), into: &$0) }.closed == [.unreachable])
    }

    @Test("a silent client loses its session after a lease")
    func lease() {
        var session = openServer()
        #expect(Step { session.wake(at: at(9999), into: &$0) }.closed.isEmpty)
        let step = Step { session.wake(at: at(10_000), into: &$0) }
        #expect(step.closed == [.leaseExpired])
        #expect(session.nextDeadline == nil)
    }

    @Test("an ended session takes and says nothing")
    func ended() {
        var session = openServer()
        let farewell = hear(&session, Envelope(session: 5, content: .closed(reason: "bye")))
        #expect(farewell.closed == [.remote("bye")])
        #expect(hear(&session, message(1), isNewRoute: true).transmitted.isEmpty)
        #expect(Step { session.send([1], at: at(2), into: &$0) }.transmitted.isEmpty)
        #expect(Step { session.close(.local("x"), at: at(2), into: &$0) }.closed.isEmpty)
        #expect(Step { session.wake(at: at(99_999), into: &$0) }.closed.isEmpty)
    }
}

@Suite("EndedSessions")
struct EndedSessionsTests {
    @Test("the latest sessions are remembered, and no more than the capacity")
    func capacity() {
        var ended = EndedSessions(capacity: 3)
        for session in UInt64(1)...4 { ended.insert(session) }
        #expect(!ended.contains(1))
        #expect([2, 3, 4].allSatisfy(ended.contains))
        ended.insert(4)
        #expect([2, 3, 4].allSatisfy(ended.contains))
    }
}
