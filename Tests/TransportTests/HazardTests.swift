import ProfferKernel
import ProfferSession
import ProfferTransport
import ProfferWire
import ProfferZeroMQ
import Testing

@Suite("Peers that break the rules", .timeLimit(.minutes(2)))
struct HazardTests {
    private func counters(_ server: Server) -> TransportCounters { server.reactor.counters }

    /// A client that opened a session before the trouble is served as before.
    private func expectService(_ client: Client, _ server: Server) async throws {
        let before = client.recorder.messages.count
        client.reactor.post(.send([1, 2, 3]))
        try await eventually("others are served") {
            client.recorder.messages.count == before + 1
        }
        #expect(client.recorder.closed.isEmpty)
    }

    private func bystander(_ server: Server) async throws -> Client {
        let client = try server.dialer(try server.newKeys())
        try await eventually("bystander opened") { client.recorder.opened.count == 1 }
        return client
    }

    @Test("a message above the size limit cuts the peer off and is counted; others are served")
    func oversize() async throws {
        let server = try Server(echoes: true) { $0.socket.messageBytes = 5000 }
        let other = try await bystander(server)
        let raw = try RawClient(server, try server.newKeys())
        try await raw.open(77)
        let before = counters(server).disconnections
        try await raw.send([[UInt8](repeating: 0, count: 6000)])
        try await eventually("cut off") { counters(server).disconnections > before }
        try await expectService(other, server)
        await other.stop()
        await server.stop()
    }

    @Test("a message that is no envelope is counted and ends the session it came with")
    func malformed() async throws {
        let server = try Server(echoes: true)
        let other = try await bystander(server)
        let raw = try RawClient(server, try server.newKeys())
        try await raw.open(77)
        try await raw.send([[0xFF, 0xFF, 0xFF]])
        #expect(try await raw.reason(77) == "no envelope")
        #expect(counters(server).malformed == 1)
        try await eventually("told") {
            server.recorder.closed == [.local("no envelope")]
        }
        try await expectService(other, server)
        await other.stop()
        await server.stop()
    }

    @Test("a message of several parts is counted and ends the session it came with")
    func parts() async throws {
        let server = try Server(echoes: true)
        let other = try await bystander(server)
        let raw = try RawClient(server, try server.newKeys())
        try await raw.open(77)
        let good = EnvelopeCodec.encode(Envelope(session: 77, content: .keepAlive))
        try await raw.send([good, good, good])
        #expect(try await raw.reason(77) == "more than one part")
        #expect(counters(server).malformed == 1)
        try await expectService(other, server)
        await other.stop()
        await server.stop()
    }

    @Test("a key that is not on the list opens nothing and is counted")
    func notAllowed() async throws {
        let server = try Server()
        let client = try server.dialer(try KeyPair.generate())
        try await eventually("refused") {
            server.allowed.counts.refused > 0 && counters(server).failedHandshakes > 0
        }
        #expect(server.recorder.opened.isEmpty)
        #expect(client.recorder.opened.isEmpty)
        await client.stop()
        await server.stop()
    }

    @Test("a refused key gets in once it is put on the list")
    func allowedLater() async throws {
        let server = try Server()
        let keys = try KeyPair.generate()
        let client = try server.dialer(keys)
        try await eventually("refused") { server.allowed.counts.refused > 0 }
        server.allowed.insert(keys.publicKey, domain: Server.domain)
        try await eventually("opened") { client.recorder.opened.count == 1 }
        await client.stop()
        await server.stop()
    }

    @Test("a client that expects another server key opens nothing, and the attempt is counted")
    func wrongServerKey() async throws {
        let server = try Server()
        let client = try server.dialer(
            try server.newKeys(), serverKey: try KeyPair.generate().publicKey)
        try await eventually("failed") { counters(server).failedHandshakes > 0 }
        #expect(server.recorder.opened.isEmpty)
        #expect(client.recorder.opened.isEmpty)
        await client.stop()
        await server.stop()
    }

    @Test("the session of a key that is taken off the list ends at its next message")
    func removedKey() async throws {
        let server = try Server(echoes: true)
        let keys = try server.newKeys()
        let client = try server.dialer(keys)
        try await eventually("opened") { client.recorder.opened.count == 1 }
        server.allowed.set([], domain: Server.domain)
        client.reactor.post(.send([1]))
        try await eventually("ended") {
            server.recorder.closed == [.local("key not allowed")]
        }
        #expect(server.recorder.messages.isEmpty)
        #expect(counters(server).refused >= 1)
        try await eventually("told") {
            client.recorder.closed == [.remote("key not allowed")]
        }
        try await eventually("turned away") { counters(server).refused >= 2 }
        #expect(client.recorder.opened.count == 1)
        await client.stop()
        await server.stop()
    }

    @Test("a session is not to be had for another key, and goes on for its own")
    func stolenSession() async throws {
        let server = try Server()
        let owner = try RawClient(server, try server.newKeys())
        try await owner.open(77)
        let thief = try RawClient(server, try server.newKeys())
        try await thief.send(
            Envelope(session: 77, sequence: 1, content: .message(Array("stolen".utf8))))
        try await eventually("refused") { counters(server).refused == 1 }
        try await thief.send(Envelope(session: 77, content: .closed(reason: "stolen")))
        try await thief.send(Envelope(session: 77, content: .open(credential: [])))
        try await eventually("refused again") { counters(server).refused == 3 }
        try await owner.send(
            Envelope(session: 77, sequence: 1, content: .message(Array("mine".utf8))))
        try await eventually("heard") { server.recorder.messages == [Array("mine".utf8)] }
        #expect(server.recorder.closed.isEmpty)
        #expect(server.recorder.opened.count == 1)
        #expect(try thief.contents(77).isEmpty)
        await server.stop()
    }

    @Test("a routing id that is in use is not to be had for another key")
    func stolenRoute() async throws {
        let server = try Server(echoes: true)
        let owner = try RawClient(server, try server.newKeys(), routingID: "agent")
        try await owner.open(77)
        let thief = try RawClient(server, try server.newKeys(), routingID: "agent")
        try await thief.send(Envelope(session: 78, content: .open(credential: [])))
        for number in UInt64(1)...5 {
            try await owner.send(
                Envelope(session: 77, sequence: number, content: .message([1])))
        }
        // The server repeats what is not acknowledged, and this client acknowledges nothing.
        try await eventually("echoed") { try owner.messages(77) == [1, 2, 3, 4, 5] }
        #expect(server.recorder.opened.count == 1)
        #expect(try thief.contents(78).isEmpty)
        await server.stop()
    }

    @Test("a session that nobody opened is closed")
    func stray() async throws {
        let server = try Server()
        let raw = try RawClient(server, try server.newKeys())
        try await raw.send(Envelope(session: 9, sequence: 1, content: .message([1])))
        #expect(try await raw.reason(9) == "the session is not known")
        #expect(counters(server).strays == 1)
        #expect(server.recorder.messages.isEmpty)
        await server.stop()
    }

    @Test("another version, another cluster and a newer master are refused with the reason")
    func refusals() async throws {
        let server = try Server()
        let raw = try RawClient(server, try server.newKeys())
        let open = Envelope.Content.open(credential: [])
        try await raw.send(Envelope(version: 99, session: 1, content: open))
        #expect(try await raw.reason(1) == "protocol version 99 is not spoken here")
        try await raw.send(Envelope(clusterID: "other", session: 2, content: open))
        #expect(try await raw.reason(2) == "this is cluster 'c'")
        try await raw.send(Envelope(clusterID: "c", epoch: 4, session: 3, content: open))
        #expect(try await raw.reason(3) == "a newer master is known")
        #expect(counters(server).unopened == 3)
        #expect(server.recorder.opened.isEmpty)
        await server.stop()
    }

    @Test("a session that has ended is not opened again")
    func endedSession() async throws {
        let server = try Server()
        let raw = try RawClient(server, try server.newKeys())
        try await raw.open(5)
        try await raw.send(Envelope(session: 5, content: .closed(reason: "bye")))
        try await raw.send(Envelope(session: 5, content: .open(credential: [])))
        #expect(try await raw.reason(5) == "the session has ended")
        #expect(server.recorder.opened.count == 1)
        #expect(server.recorder.closed == [.remote("bye")])
        await server.stop()
    }

    @Test("a connection has one session at a time")
    func oneSessionPerConnection() async throws {
        let server = try Server()
        let raw = try RawClient(server, try server.newKeys())
        for session in UInt64(1)...20 { try await raw.open(session) }
        try await eventually("the others ended") { server.recorder.closed.count == 19 }
        #expect(server.recorder.opened.count == 20)
        await server.stop()
    }

    @Test("no more sessions are opened than the limit")
    func sessionLimit() async throws {
        let server = try Server { $0.peerLimit = 1 }
        let first = try RawClient(server, try server.newKeys())
        try await first.open(1)
        let second = try RawClient(server, try server.newKeys())
        try await second.send(Envelope(session: 2, content: .open(credential: [])))
        #expect(try await second.reason(2) == "there are too many sessions")
        try await first.send(Envelope(session: 1, content: .closed(reason: "bye")))
        try await eventually("place") { server.recorder.closed.count == 1 }
        try await second.open(3)
        await server.stop()
    }

    @Test("a peer that vanishes without a word loses its session")
    func vanished() async throws {
        let server = try Server { $0.session.lease = .milliseconds(300) }
        do {
            let raw = try RawClient(server, try server.newKeys())
            try await raw.open(1)
        }
        try await eventually("ended") { server.recorder.closed.count == 1 }
        let reason = server.recorder.closed.first
        #expect(reason == .leaseExpired || reason == .unreachable)
        await server.stop()
    }

    @Test("a peer that acknowledges nothing loses its session, and no memory grows")
    func slowConsumer() async throws {
        let server = try Server(echoes: true) { $0.session.windowMessages = 10 }
        let raw = try RawClient(server, try server.newKeys())
        try await raw.open(1)
        for number in UInt64(1)...11 {
            try await raw.send(Envelope(session: 1, sequence: number, content: .message([7])))
        }
        try await eventually("ended") { server.recorder.closed == [.slowConsumer] }
        #expect(try await raw.reason(1) == "\(CloseReason.slowConsumer)")
        await server.stop()
    }

    @Test("a message that is too large to send ends the session instead of holding it up")
    func tooLargeToSend() async throws {
        let server = try Server()
        let client = try server.dialer(try server.newKeys()) { $0.session.messageBytes = 100 }
        try await eventually("opened") { client.recorder.opened.count == 1 }
        client.reactor.post(.send([UInt8](repeating: 1, count: 101)))
        try await eventually("ended") { client.recorder.closed == [.messageTooLarge] }
        try await eventually("a new one") { client.recorder.opened.count == 2 }
        #expect(server.recorder.messages.isEmpty)
        await client.stop()
        await server.stop()
    }

    @Test("the largest message passes, encrypted and in its envelope")
    func largest() async throws {
        let server = try Server()
        let client = try server.dialer(try server.newKeys())
        try await eventually("opened") { client.recorder.opened.count == 1 }
        let body = [UInt8](repeating: 5, count: SessionLimits().messageBytes)
        client.reactor.post(.send(body))
        try await eventually("arrived") { server.recorder.messages.count == 1 }
        #expect(server.recorder.messages.first?.count == body.count)
        #expect(client.recorder.closed.isEmpty)
        await client.stop()
        await server.stop()
    }
}
