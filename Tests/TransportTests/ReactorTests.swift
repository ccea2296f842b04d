import ProfferKernel
import ProfferSession
import ProfferTransport
import ProfferWire
import ProfferZeroMQ
import Synchronization
import Testing

/// Records what reaches it, echoes on request, and lets a test wait for a number of events.
final class Recorder: Sendable {
    struct State {
        var opened: [PeerID] = []
        var messages: [[UInt8]] = []
        var closed: [CloseReason] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

        var total: Int { opened.count + messages.count + closed.count }
    }

    let state = Mutex(State())

    func note(_ change: (inout State) -> Void) {
        let ready = state.withLock { state in
            change(&state)
            let total = state.total
            let ready = state.waiters.filter { $0.count <= total }
            state.waiters.removeAll { $0.count <= total }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    func wait(for count: Int) async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.total < count { state.waiters.append((count, continuation)) }
                return state.total >= count
            }
            if isReady { continuation.resume() }
        }
    }
}

enum Order: Sendable {
    case send([UInt8])
    case closePeer
    case serve(epoch: UInt64)
    case standBy(Redirect)
    case stop
}

struct TestHandler: ReactorHandler {
    let recorder: Recorder
    let echoes: Bool
    var peer: PeerID?
    var nextDeadline: Instant? { nil }

    init(_ recorder: Recorder, echoes: Bool = false) {
        self.recorder = recorder
        self.echoes = echoes
    }

    mutating func turn(
        events: [TransportEvent], mail: [Order], at now: Instant, links: inout Links
    ) {
        for event in events {
            switch event {
            case .opened(let id, _, _):
                peer = id
                recorder.note { $0.opened.append(id) }
            case .message(let id, let bytes):
                recorder.note { $0.messages.append(bytes) }
                if echoes { links.send(bytes, to: id) }
            case .closed(_, let reason):
                peer = nil
                recorder.note { $0.closed.append(reason) }
            case .readable: break
            }
        }
        for order in mail {
            switch order {
            case .send(let bytes): if let peer { links.send(bytes, to: peer) }
            case .closePeer: if let peer { links.close(peer, reason: "test") }
            case .serve(let epoch): links.serve(clusterID: "c", epoch: epoch)
            case .standBy(let redirect): links.standBy([EndpointID("s"): redirect])
            case .stop: links.stop()
            }
        }
    }
}

let coding = EnvelopeCoding(
    encode: { EnvelopeCodec.encode($0) }, decode: { try EnvelopeCodec.decode($0) })

@Suite("Reactor", .timeLimit(.minutes(1)))
struct ReactorTests {
    private func pair(
        listen: Endpoint, dial: (String) -> Endpoint, context: Context
    ) throws -> (Reactor<Order>, Recorder, Reactor<Order>, Recorder) {
        let atServer = Recorder()
        let atClient = Recorder()
        let server = try Reactor<Order>(
            ReactorConfiguration(name: "server", endpoints: [listen], coding: coding),
            context: context)
        let addresses = try server.start { TestHandler(atServer, echoes: true) }
        let address = try #require(addresses[EndpointID("s")])
        let client = try Reactor<Order>(
            ReactorConfiguration(name: "client", endpoints: [dial(address)], coding: coding),
            context: context)
        _ = try client.start { TestHandler(atClient) }
        return (server, atServer, client, atClient)
    }

    private func stop(_ reactors: Reactor<Order>...) async {
        for reactor in reactors {
            reactor.post(.stop)
            await reactor.finished()
        }
    }

    @Test("messages arrive in order, once, over inproc")
    func inproc() async throws {
        let (server, atServer, client, atClient) = try pair(
            listen: .listen(EndpointID("s"), address: "inproc://a", .local),
            dial: { .dial(EndpointID("c"), addresses: [$0], .local) }, context: try Context())
        await atClient.wait(for: 1)
        for number in 0..<2000 { client.post(.send([UInt8(number & 255), UInt8(number >> 8)])) }
        await atClient.wait(for: 2001)
        let expected = (0..<2000).map { [UInt8($0 & 255), UInt8($0 >> 8)] }
        #expect(atServer.state.withLock { $0.messages } == expected)
        #expect(atClient.state.withLock { $0.messages } == expected)
        await stop(client, server)
    }

    @Test("a listed key talks over TCP with CURVE, and sees its messages echoed")
    func curve() async throws {
        let serverKeys = try KeyPair.generate()
        let clientKeys = try KeyPair.generate()
        let allowed = AllowList()
        allowed.set([clientKeys.publicKey], domain: "d")
        let (server, _, client, atClient) = try pair(
            listen: .listen(
                EndpointID("s"), address: "tcp://127.0.0.1:*",
                .curve(serverKeys, domain: "d", allowed)),
            dial: {
                .dial(
                    EndpointID("c"), addresses: [$0],
                    .curve(clientKeys, serverKey: serverKeys.publicKey))
            }, context: try Context())
        await atClient.wait(for: 1)
        client.post(.send([1, 2, 3]))
        await atClient.wait(for: 2)
        #expect(atClient.state.withLock { $0.messages } == [[1, 2, 3]])
        await stop(client, server)
    }

    @Test("a session closed by the server is followed by a new one with a new peer")
    func reopen() async throws {
        let (server, atServer, client, atClient) = try pair(
            listen: .listen(EndpointID("s"), address: "inproc://b", .local),
            dial: { .dial(EndpointID("c"), addresses: [$0], .local) }, context: try Context())
        await atClient.wait(for: 1)
        server.post(.closePeer)
        await atClient.wait(for: 3)
        await atServer.wait(for: 2)
        let opened = atClient.state.withLock { $0.opened }
        #expect(opened.count == 2)
        #expect(Set(opened).count == 2)
        #expect(atClient.state.withLock { $0.closed } == [.remote("test")])
        await stop(client, server)
    }

    @Test("TCP without encryption is refused")
    func plaintext() throws {
        let reactor = try Reactor<Order>(
            ReactorConfiguration(
                name: "plain",
                endpoints: [.listen(EndpointID("s"), address: "tcp://127.0.0.1:*", .local)],
                coding: coding), context: try Context())
        #expect(throws: TransportError.self) { _ = try reactor.start { TestHandler(Recorder()) } }
    }
}
