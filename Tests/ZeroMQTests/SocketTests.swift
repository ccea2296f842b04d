import Glibc
import ProfferZeroMQ
import Testing

@Suite("Socket", .timeLimit(.minutes(1)))
struct SocketTests {
    /// A router that listens, and its address.
    private func server(
        _ context: Context, _ address: String = "tcp://127.0.0.1:*",
        limits: SocketLimits = SocketLimits()
    ) throws -> (End, String) {
        let end = try End(.router, context, limits: limits)
        return (end, try end.socket.bind(address))
    }

    private func client(
        _ context: Context, _ address: String, id: String? = nil,
        limits: SocketLimits = SocketLimits()
    ) throws -> End {
        let end = try End(.dealer, context, limits: limits) { socket in
            if let id { try socket.setRoutingID(id) }
        }
        try end.socket.connect(address)
        return end
    }

    @Test("a wildcard port becomes a real one")
    func realPort() throws {
        let (_, address) = try server(try Context())
        let port = try #require(address.split(separator: ":").last.flatMap { Int($0) })
        #expect(port > 0)
    }

    @Test("an address in use is refused, and the error says so")
    func addressInUse() throws {
        let context = try Context()
        let (router, address) = try server(context)
        let error = #expect(throws: ZeroMQError.self) {
            _ = try End(.router, context).socket.bind(address)
        }
        #expect(error?.code == EADDRINUSE)
        #expect(error?.description.contains(address) == true)
        #expect(error?.description.contains("in use") == true)
        withExtendedLifetime(router) {}
    }

    @Test("a message of several parts arrives with its parts in order")
    func parts() throws {
        let context = try Context()
        let (router, address) = try server(context)
        let dealer = try client(context, address, id: "d")
        try eventually("connected", router, dealer) { dealer.handshakes == 1 }
        try dealer.socket.send([1], more: true)
        try dealer.socket.send([], more: true)
        try dealer.socket.send([3])
        try eventually("arrived", router) { !router.messages.isEmpty }
        #expect(router.messages == [[Array("d".utf8), [1], [], [3]]])
    }

    @Test("a router refuses to send to a peer that is not connected")
    func mandatory() throws {
        let (router, _) = try server(try Context())
        let error = #expect(throws: ZeroMQError.self) {
            try router.socket.send(Array("nobody".utf8), more: true)
        }
        #expect(error?.isHostUnreachable == true)
    }

    @Test("a second peer with the same routing id takes nothing over")
    func noHandOver() throws {
        let context = try Context()
        let (router, address) = try server(context)
        let first = try client(context, address, id: "twin")
        try eventually("first connected", router, first) { first.handshakes == 1 }
        try first.socket.send([1])
        try eventually("first heard", router) { router.bodies == [[1]] }
        let second = try client(context, address, id: "twin")
        try eventually("second connected", router, second) { second.handshakes == 1 }
        try second.socket.send([2])
        for number in UInt8(0)..<50 {
            try router.socket.send(Array("twin".utf8), more: true)
            try router.socket.send([number])
        }
        try eventually("first still served", router, first, second) {
            first.bodies.count == 50
        }
        #expect(second.bodies.isEmpty)
        #expect(router.bodies == [[1]])
    }

    @Test("nothing is queued for a peer that is not there yet")
    func immediate() throws {
        let scratch = try Scratch()
        let context = try Context()
        let dealer = try client(context, "ipc://" + scratch.file("absent"))
        let error = #expect(throws: ZeroMQError.self) { try dealer.socket.send([1]) }
        #expect(error?.isTryAgain == true)
    }

    @Test("a dealer whose peer does not read gets an error instead of waiting")
    func dealerDoesNotBlock() throws {
        let context = try Context()
        var limits = SocketLimits()
        limits.sendQueue = 10
        limits.receiveQueue = 10
        let (router, address) = try server(context, limits: limits)
        let dealer = try client(context, address, limits: limits)
        try eventually("connected", dealer) { dealer.handshakes == 1 }
        let error = fill { bytes throws(ZeroMQError) in try dealer.socket.send(bytes) }
        #expect(error?.isTryAgain == true)
        #expect(router.messages.isEmpty)
    }

    @Test("a router whose peer does not read gets an error instead of waiting or dropping")
    func routerDoesNotBlock() throws {
        let context = try Context()
        var limits = SocketLimits()
        limits.sendQueue = 10
        limits.receiveQueue = 10
        let (router, address) = try server(context, limits: limits)
        let dealer = try client(context, address, id: "slow", limits: limits)
        try eventually("connected", router, dealer) {
            router.handshakes == 1 && dealer.handshakes == 1
        }
        try dealer.socket.send([1])
        try eventually("heard", router) { router.bodies == [[1]] }
        var taken = 0
        let error = fill { bytes throws(ZeroMQError) in
            try router.socket.send(Array("slow".utf8), more: true)
            try router.socket.send(bytes)
            taken += 1
        }
        #expect(error?.isTryAgain == true)
        try eventually("everything taken arrives", dealer) { dealer.messages.count == taken }
    }

    /// Sends until there is an error.
    private func fill(_ send: ([UInt8]) throws(ZeroMQError) -> Void) -> ZeroMQError? {
        let large = [UInt8](repeating: 7, count: 64 << 10)
        for _ in 0..<100_000 {
            do {
                try send(large)
            } catch {
                return error
            }
        }
        return nil
    }

    @Test("a peer that sends more than the limit is cut off, and the others are served")
    func maximumSize() throws {
        let context = try Context()
        var limits = SocketLimits()
        limits.messageBytes = 1000
        let (router, address) = try server(context, limits: limits)
        let greedy = try client(context, address)
        let modest = try client(context, address)
        try eventually("connected", router, greedy, modest) { router.handshakes == 2 }
        try modest.socket.send([UInt8](repeating: 1, count: 1000))
        try eventually("the limit itself passes", router) { router.bodies.count == 1 }
        try greedy.socket.send([UInt8](repeating: 2, count: 1001))
        try eventually("cut off", router) { router.disconnections == 1 }
        try modest.socket.send([3])
        try eventually("served", router) { router.bodies.last == [3] }
        #expect(router.bodies.count == 2)
    }

    @Test("a connection that says nothing is cut off after the handshake interval")
    func silentPeer() throws {
        var limits = SocketLimits()
        limits.handshakeMilliseconds = 100
        let (router, address) = try server(try Context(), limits: limits)
        let silent = try #require(RawPeer(address))
        try eventually("cut off", router) { silent.isCutOff }
        #expect(router.has { if case .accepted = $0 { true } else { false } })
        #expect(router.handshakes == 0)
    }

    @Test("garbage instead of the protocol does no harm")
    func garbage() throws {
        let context = try Context()
        var limits = SocketLimits()
        limits.handshakeMilliseconds = 200
        let (router, address) = try server(context, limits: limits)
        var random = SystemRandomNumberGenerator()
        for length in [1, 9, 10, 11, 63, 64, 65, 200, 5000] {
            let noise = try #require(RawPeer(address))
            noise.send((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
            let greeting = try #require(RawPeer(address))
            // The beginning of a true greeting, then nonsense.
            greeting.send([0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 0])
            greeting.send((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
            try eventually("cut off", router) { noise.isCutOff && greeting.isCutOff }
        }
        let dealer = try client(context, address)
        try eventually("connected", router, dealer) { dealer.handshakes == 1 }
        try dealer.socket.send([42])
        try eventually("served", router) { router.bodies.last == [42] }
    }

    @Test("unsent messages hold up closing no longer than the linger")
    func linger() throws {
        let (router, address) = try server(try Context())
        var limits = SocketLimits()
        limits.lingerMilliseconds = 50
        limits.sendQueue = 100
        weak var ended: Context?
        do {
            let context = try Context()
            ended = context
            let dealer = try client(context, address, limits: limits)
            try eventually("connected", dealer) { dealer.handshakes == 1 }
            #expect(
                fill { bytes throws(ZeroMQError) in try dealer.socket.send(bytes) }?.isTryAgain
                    == true)
        }
        // Reached at all only because the end of the context waits for the linger at most.
        #expect(ended == nil)
        withExtendedLifetime(router) {}
    }

    @Test("a peer that goes is gone for the router")
    func disconnected() throws {
        let context = try Context()
        let (router, address) = try server(context)
        do {
            let dealer = try client(context, address, id: "d")
            try eventually("connected", router, dealer) { router.handshakes == 1 }
        }
        try eventually("gone", router) { router.disconnections == 1 }
        let error = #expect(throws: ZeroMQError.self) {
            try router.socket.send(Array("d".utf8), more: true)
        }
        #expect(error?.isHostUnreachable == true)
    }
}

@Suite("Context", .timeLimit(.minutes(1)))
struct ContextTests {
    @Test("a context lives as long as a socket of it")
    func lifetime() throws {
        weak var seen: Context?
        do {
            let end: End
            do {
                let context = try Context()
                seen = context
                end = try End(.dealer, context)
            }
            #expect(seen != nil)
            withExtendedLifetime(end) {}
        }
        #expect(seen == nil)
    }

    @Test("after the shutdown every operation fails, and the waiting one too")
    func shutDown() throws {
        let context = try Context()
        let end = try End(.router, context)
        _ = try end.socket.bind("inproc://ends")
        var poller = Poller()
        poller.add(end.socket)
        context.shutDown()
        let waiting = #expect(throws: ZeroMQError.self) {
            _ = try poller.wait(milliseconds: -1)
        }
        #expect(waiting?.isTerminated == true)
        let receiving = #expect(throws: ZeroMQError.self) { try end.drain() }
        #expect(receiving?.isTerminated == true)
    }
}

@Suite("Poller", .timeLimit(.minutes(1)))
struct PollerTests {
    @Test("a signal from another thread wakes the poller, once")
    func wakeUp() async throws {
        let wakeUp = try WakeUp()
        let signaller = Task.detached { wakeUp.signal() }
        var poller = Poller()
        let position = poller.add(descriptor: wakeUp.descriptor)
        var isReady = false
        while !isReady { isReady = try poller.wait(milliseconds: -1) }
        let isThis = poller.isReady(position)
        #expect(isThis)
        await signaller.value
        wakeUp.clear()
        let again = try poller.wait(milliseconds: 0)
        #expect(!again)
    }

    @Test("any number of signals are one wake-up, and clearing nothing does not wait")
    func coalescing() throws {
        let wakeUp = try WakeUp()
        for _ in 0..<1000 { wakeUp.signal() }
        wakeUp.clear()
        wakeUp.clear()
        var poller = Poller()
        poller.add(descriptor: wakeUp.descriptor)
        let isReady = try poller.wait(milliseconds: 0)
        #expect(!isReady)
    }

    @Test("only the entry that has something is ready")
    func positions() throws {
        let context = try Context()
        let router = try End(.router, context)
        let address = try router.socket.bind("inproc://poll")
        let dealer = try End(.dealer, context)
        try dealer.socket.connect(address)
        let wakeUp = try WakeUp()
        var poller = Poller()
        let first = poller.add(descriptor: wakeUp.descriptor)
        let second = poller.add(router.socket)
        let before = try poller.wait(milliseconds: 0)
        #expect(!before)
        try dealer.socket.send([1])
        let after = try poller.wait(milliseconds: 20_000)
        #expect(after)
        let ready = (poller.isReady(first), poller.isReady(second))
        #expect(ready == (false, true))
        poller.removeAll()
        let nothing = try poller.wait(milliseconds: 0)
        #expect(!nothing)
    }
}
