import ProfferSession
import ProfferTransport
import ProfferZeroMQ
import Testing

@Suite("Redirection")
struct RedirectTests {
    @Test("a server that stands by sends its clients to the one that serves, which has another key")
    func standby() async throws {
        let leader = try Server()
        let follower = try Server { $0.standsBy = true }
        let keys = try follower.newKeys()
        leader.allowed.insert(keys.publicKey, domain: Server.domain)
        // The client knows the follower only.
        let client = try follower.dialer(keys)
        follower.reactor.post(
            .standBy(Redirect(address: leader.address, publicKey: leader.keys.publicKey)))
        try await eventually("opened") { client.recorder.opened.count == 1 }
        #expect(leader.recorder.opened.count == 1)
        #expect(follower.recorder.opened.isEmpty)
        for server in [client.reactor, leader.reactor, follower.reactor] {
            server.post(.stop)
            await server.finished()
        }
    }

    @Test("who steps down sends its clients away, and who takes over takes them up")
    func handOver() async throws {
        let first = try Server()
        let second = try Server { $0.standsBy = true }
        let keys = try first.newKeys()
        second.allowed.insert(keys.publicKey, domain: Server.domain)
        let client = try first.dialer(
            keys,
            addresses: [
                "\(first.address)=\(first.keys.publicKey)",
                "\(second.address)=\(second.keys.publicKey)",
            ])
        try await eventually("first") { client.recorder.opened.count == 1 }
        first.reactor.post(.standBy(.nobody))
        try await eventually("the end of the session") { client.recorder.closed.count == 1 }
        second.reactor.post(.serve(epoch: 4))
        try await eventually("second") { client.recorder.opened.count == 2 }
        #expect(second.recorder.opened.count == 1)
        // No event is made of the sessions that it ended itself.
        #expect(first.recorder.closed.isEmpty)
        for server in [client.reactor, first.reactor, second.reactor] {
            server.post(.stop)
            await server.finished()
        }
    }

    @Test("an address may carry its key, which may itself contain the sign between them")
    func addresses() {
        let key = "a=b+" + String(repeating: "x", count: 36)
        #expect(ServerAddress(text: "tcp://h:1=\(key)") == ServerAddress("tcp://h:1", key: key))
        #expect(ServerAddress(text: "h:1") == ServerAddress("tcp://h:1"))
        #expect(
            ServerAddress.list("h:1,tcp://i:2=\(key)")
                == [ServerAddress("tcp://h:1"), ServerAddress("tcp://i:2", key: key)])
        for good in ["tcp://h:1", "tcp://10.0.0.1:65535", "tcp://[::1]:5"] {
            #expect(ServerAddress(text: good).isTCP)
        }
        for bad in ["tcp://h", "tcp://:1", "tcp://h:0", "tcp://h:x", "ipc:///x:1", "h"] {
            #expect(!ServerAddress(text: bad).isTCP)
        }
    }
}
