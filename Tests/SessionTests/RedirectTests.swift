@_spi(Driver) import ProfferKernel
import ProfferSession
import Testing

@Suite("Redirection of sessions")
struct RedirectTests {
    private func refusal(_ opening: Envelope?, _ redirect: Redirect) -> Envelope {
        Envelope(
            session: opening?.session ?? 0, content: .closed(reason: "standby"),
            redirect: redirect)
    }

    @Test("a client that is sent elsewhere opens there at once, without a longer pause")
    func elsewhere() throws {
        var (client, opening) = openingClient()
        let redirect = Redirect(address: "tcp://other:1", publicKey: "key")
        let step = Step { client.handle(refusal(opening, redirect), at: at(1), into: &$0) }
        #expect(step.redirects == [redirect])
        #expect(step.openings == 0)
        #expect(client.unansweredOpenings == 0)
        let next = try #require(client.nextDeadline)
        #expect(next <= at(1 + 50))
    }

    @Test("while nobody serves a client asks again within half a second, for ever")
    func nobody() throws {
        var (client, opening) = openingClient()
        var now = at(1)
        for _ in 0..<50 {
            let step = Step { client.handle(refusal(opening, .nobody), at: now, into: &$0) }
            #expect(step.redirects == [.nobody])
            let next = try #require(client.nextDeadline)
            #expect(next > now && next <= now + .milliseconds(500))
            now = next
            opening = Step { client.wake(at: now, into: &$0) }.transmitted.first
            #expect(opening != nil)
        }
    }

    @Test("servers that send a client to each other do not make it a storm")
    func circle() throws {
        var (client, opening) = openingClient()
        var now = at(1)
        var count = 0
        while now < at(10_000) {
            let redirect = Redirect(address: "tcp://m\(count % 2):1", publicKey: "key")
            _ = Step { client.handle(refusal(opening, redirect), at: now, into: &$0) }
            now = try #require(client.nextDeadline)
            opening = Step { client.wake(at: now, into: &$0) }.transmitted.first
            count += 1
        }
        #expect(count < 45)
    }

    @Test("an open session that is ended by a server which steps down leads elsewhere")
    func steppingDown() {
        var server = openServer()
        let redirect = Redirect(address: "tcp://other:1", publicKey: "key")
        let farewell = Step {
            server.close(.local("standby"), redirect: redirect, at: at(5), into: &$0)
        }
        #expect(farewell.transmitted.first?.redirect == redirect)
        var (client, session) = openClient()
        var envelope = farewell.transmitted[0]
        envelope.session = session
        let step = Step { client.handle(envelope, at: at(5), into: &$0) }
        #expect(step.closed.count == 1)
        #expect(step.redirects == [redirect])
        #expect(!client.isOpen)
    }

    @Test("a session whose connection does not come back ends after the grace, not the lease")
    func lostRoute() throws {
        var limits = SessionLimits()
        limits.unreachableGrace = .seconds(2)
        var (client, _) = openClient(limits: limits)
        client.routeLost(at: at(100))
        var closed: [CloseReason] = []
        while let next = client.nextDeadline, next < at(5000), closed.isEmpty {
            closed = Step { client.wake(at: next, into: &$0) }.closed
            if !closed.isEmpty { #expect(next == at(2100)) }
        }
        #expect(closed == [.unreachable])
    }

    @Test("a connection that comes back in time keeps the session")
    func restoredRoute() {
        var (client, _) = openClient()
        client.routeLost(at: at(100))
        _ = Step { client.routeRestored(at: at(500), into: &$0) }
        let step = Step { client.wake(at: at(3000), into: &$0) }
        #expect(step.closed.isEmpty)
        #expect(client.isOpen)
    }
}
