import ProfferZeroMQ
import Testing

/// The code that the page of ProfferZeroMQ shows, as it stands there.
@Suite("Code of the socket module's page", .timeLimit(.minutes(1)))
struct SocketTests {
    @Test("a server and a client talk")
    func serverAndClient() throws {
        let context = try Context()
        let serverKeys = try KeyPair.generate()
        let clientKeys = try KeyPair.generate()

        let allowed = AllowList()
        allowed.set([clientKeys.publicKey], domain: "example")
        let authenticator = try Authenticator(in: context, allowList: allowed)

        let server = try Socket(.router, in: context)
        try server.apply(SocketLimits(), isRouter: true)
        try server.actAsServer(serverKeys, domain: "example")
        let address = try server.bind("tcp://127.0.0.1:*")

        let client = try Socket(.dealer, in: context)
        try client.apply(SocketLimits(), isRouter: false)
        try client.actAsClient(clientKeys, server: serverKeys.publicKey)
        try client.connect(address)

        var poller = Poller()
        let questions = poller.add(authenticator.socket)
        let messages = poller.add(server)
        var frame = Frame()
        while true {
            guard try poller.wait(milliseconds: 100) else {
                try? client.send(Array("hello".utf8))
                continue
            }
            if poller.isReady(questions) { try authenticator.answerAll() }
            guard poller.isReady(messages), try server.receive(&frame) else { continue }
            let peer = frame.bytes  // the routing id: where an answer goes
            guard try server.receive(&frame) else { continue }
            print(frame.property("User-Id") ?? "", String(decoding: frame.bytes, as: UTF8.self))
            try server.send(peer, more: true)
            try server.send(Array("world".utf8))
            break
        }
        var answer = Poller()
        answer.add(client)
        let isAnswered = try answer.wait(milliseconds: 20_000)
        #expect(isAnswered)
        let isReceived = try client.receive(&frame)
        #expect(isReceived)
        let text = String(decoding: frame.bytes, as: UTF8.self)
        #expect(text == "world")
    }

    @Test("a monitor tells what became of a connection")
    func monitor() throws {
        let context = try Context()
        let server = try Socket(.router, in: context)
        let monitor = try Monitor(server)
        while let event = try monitor.next() {
            if case .handshakeFailed(_, .refused) = event { print("a key that is not allowed") }
        }
        _ = try server.bind("tcp://127.0.0.1:*")
        let event = try monitor.next()
        guard case .listening = event else {
            Issue.record("\(String(describing: event)) instead of listening")
            return
        }
    }
}
