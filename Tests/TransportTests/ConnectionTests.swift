import Glibc
import ProfferKernel
import ProfferSession
import ProfferTransport
import ProfferZeroMQ
import Testing

@Suite("Connections that come and go", .timeLimit(.minutes(2)))
struct ConnectionTests {
    @Test("a session survives cut connections, and every message arrives once and in order")
    func cuts() async throws {
        let server = try Server(echoes: true) { $0.session.unreachableGrace = .seconds(8) }
        let relay = try Relay(to: server.address)
        let client = try server.dialer(try server.newKeys(), addresses: [relay.address])
        try await eventually("opened") { client.recorder.opened.count == 1 }
        var sent: [[UInt8]] = []
        for round in UInt8(0)..<5 {
            for number in UInt8(0)..<100 {
                sent.append([round, number])
                client.reactor.post(.send([round, number]))
            }
            relay.cut()
            let connections = Int(round) + 1
            try await eventually("cut \(round) seen") {
                server.reactor.counters.disconnections >= connections
            }
            try await eventually("echoed \(round)") {
                client.recorder.messages.count == sent.count
            }
        }
        #expect(server.recorder.messages == sent)
        #expect(client.recorder.messages == sent)
        #expect(client.recorder.closed.isEmpty)
        #expect(server.recorder.opened.count == 1)
        relay.end()
        await client.stop()
        await server.stop()
    }

    @Test("an idle session survives a cut that its server notices by sending")
    func idleCut() async throws {
        // Longer than the grace: only the new connection itself can make the client speak.
        let server = try Server {
            $0.session.unreachableGrace = .seconds(5)
            $0.session.lease = .seconds(60)
        }
        let relay = try Relay(to: server.address)
        let client = try server.dialer(try server.newKeys(), addresses: [relay.address]) {
            $0.session.lease = .seconds(60)
        }
        try await eventually("opened") { server.recorder.opened.count == 1 }
        try await eventually("opened") { client.recorder.opened.count == 1 }
        relay.cut()
        try await eventually("cut") { server.reactor.counters.disconnections >= 1 }
        server.reactor.post(.send([1]))
        try await eventually("arrived") { client.recorder.messages == [[1]] }
        #expect(server.recorder.closed.isEmpty)
        #expect(client.recorder.closed.isEmpty)
        relay.end()
        await client.stop()
        await server.stop()
    }

    @Test("a client whose first address does not answer goes on to the second")
    func secondAddress() async throws {
        let server = try Server()
        // Something listens there, but does not speak the protocol.
        let silent = try Relay(to: "tcp://127.0.0.1:1")
        let client = try server.dialer(
            try server.newKeys(), addresses: [silent.address, server.address])
        try await eventually("opened") { client.recorder.opened.count == 1 }
        silent.end()
        await client.stop()
        await server.stop()
    }

    @Test("a client whose server ends goes on to the next one")
    func failover() async throws {
        let first = try Server()
        let second = try Server(keys: first.keys)
        let keys = try first.newKeys()
        second.allowed.insert(keys.publicKey, domain: Server.domain)
        let client = try first.dialer(keys, addresses: [first.address, second.address])
        try await eventually("first") { first.recorder.opened.count == 1 }
        try await eventually("first") { client.recorder.opened.count == 1 }
        await first.stop()
        try await eventually("second") { client.recorder.opened.count == 2 }
        #expect(second.recorder.opened.count == 1)
        await client.stop()
        await second.stop()
    }

    @Test("an orderly stop is told to the peers at once")
    func stop() async throws {
        let server = try Server()
        let client = try server.dialer(try server.newKeys())
        try await eventually("opened") { client.recorder.opened.count == 1 }
        await server.stop()
        try await eventually("told") { client.recorder.closed.count >= 1 }
        #expect(client.recorder.closed == [.remote("the process stops")])
        #expect(!server.reactor.post(.closePeer))
        await client.stop()
    }

    @Test("a client that stops leaves no session behind")
    func clientStop() async throws {
        let server = try Server()
        let client = try server.dialer(try server.newKeys())
        try await eventually("opened") { server.recorder.opened.count == 1 }
        await client.stop()
        try await eventually("told") {
            server.recorder.closed == [.remote("the process stops")]
        }
        await server.stop()
    }

    @Test("the file of an ipc socket is removed at the end, and only that one")
    func ipcFile() async throws {
        let scratch = try Scratch()
        let path = scratch.path + "/socket"
        let server = try Server(echoes: true, at: "ipc://" + path)
        #expect(access(path, F_OK) == 0)
        let client = try server.dialer(try KeyPair.generate())
        try await eventually("opened") { client.recorder.opened.count == 1 }
        client.reactor.post(.send([1]))
        try await eventually("echoed") { client.recorder.messages == [[1]] }
        await client.stop()
        await server.stop()
        try await eventually("removed") { access(path, F_OK) != 0 }

        let older = try Server(at: "ipc://" + path)
        let newer = try Server(at: "ipc://" + path)
        await older.stop()
        #expect(access(path, F_OK) == 0)
        await newer.stop()
        try await eventually("removed") { access(path, F_OK) != 0 }
    }

    @Test("endpoints with different allow-lists in one reactor are refused")
    func allowLists() throws {
        let keys = try KeyPair.generate()
        func endpoint(_ name: String, _ allowed: AllowList) -> Endpoint {
            .listen(
                EndpointID(name), address: "tcp://127.0.0.1:*",
                .curve(keys, domain: name, allowed))
        }
        let one = AllowList()
        let same = try Reactor<Order>(
            ReactorConfiguration(
                name: "same", endpoints: [endpoint("a", one), endpoint("b", one)],
                coding: coding), context: try Context())
        let addresses = try same.start { TestHandler(Recorder()) }
        #expect(addresses.count == 2)
        same.post(.stop)
        let different = try Reactor<Order>(
            ReactorConfiguration(
                name: "different", endpoints: [endpoint("a", one), endpoint("b", AllowList())],
                coding: coding), context: try Context())
        #expect(throws: TransportError.self) {
            _ = try different.start { TestHandler(Recorder()) }
        }
    }

    @Test("a port in use is refused, and the error names it")
    func portInUse() async throws {
        let server = try Server()
        let error = #expect(throws: TransportError.self) { _ = try Server(at: server.address) }
        #expect(error?.code == EADDRINUSE)
        #expect(error?.description.contains(server.address) == true)
        await server.stop()
    }

    @Test("what is posted beyond the limit is not taken")
    func mailLimit() throws {
        var configuration = ReactorConfiguration(name: "idle", endpoints: [], coding: coding)
        configuration.mailLimit = 2
        let reactor = try Reactor<Order>(configuration, context: try Context())
        #expect(reactor.post(.stop))
        #expect(reactor.post(.stop))
        #expect(!reactor.post(.stop))
    }
}
