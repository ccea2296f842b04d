import ProfferKernel
import ProfferSession
import Testing

@Suite("Session over a lossy link")
struct LossyLinkTests {
    private var limits: SessionLimits {
        var limits = SessionLimits()
        limits.lease = .seconds(4)
        limits.unreachableGrace = .seconds(1)
        return limits
    }

    private func checkOrder(_ link: LossyLink) {
        for (session, got) in link.gotAtServer {
            #expect((link.sentByClient[session] ?? []).starts(with: got))
        }
        for (session, got) in link.gotAtClient {
            #expect((link.sentByServer[session] ?? []).starts(with: got))
        }
        #expect(link.openedAtServer.values.allSatisfy { $0 == 1 })
    }

    /// After the last fault both sides must find each other and lose nothing any more.
    private func checkRecovery(_ link: inout LossyLink) {
        link.heal()
        link.run(until: link.now + .seconds(12), talks: false)
        #expect(link.isOpen)
        #expect(link.isOpenAtServer)
        for _ in 0..<5 {
            link.clientSays()
            link.serverSays()
        }
        link.run(until: link.now + .seconds(1), talks: false)
        let session = link.currentSession
        #expect(link.gotAtServer[session] == link.sentByClient[session])
        #expect(link.gotAtClient[session] == link.sentByServer[session])
        checkOrder(link)
    }

    @Test(
        "messages arrive once and in order, or the session ends, whatever the link does",
        arguments: UInt64(0)..<300)
    func everything(seed: UInt64) {
        // Each seed switches some kinds of fault off, so that the others are seen alone too.
        var knobs = SeededGenerator(seed: ~seed)
        func knob(_ most: Int) -> Int {
            Bool.random(using: &knobs) ? Int.random(in: 1...most, using: &knobs) : 0
        }
        let faults = LossyLink.Faults(
            lossPerMille: knob(200), repetitionPerMille: knob(200), breakPerMille: knob(30),
            serverEndPerMille: knob(10), clientEndPerMille: knob(10))
        var link = LossyLink(seed: seed, faults: faults, limits: limits)
        link.run(until: link.now + .seconds(6), talks: true)
        checkOrder(link)
        checkRecovery(&link)
    }

    @Test("loss and repetition alone end no session", arguments: UInt64(0)..<20)
    func lossOnly(seed: UInt64) {
        let faults = LossyLink.Faults(lossPerMille: 50, repetitionPerMille: 100)
        var link = LossyLink(seed: seed, faults: faults, limits: limits)
        link.run(until: link.now + .seconds(6), talks: true)
        #expect(link.closings.isEmpty)
        #expect(link.faultCount > 0)
        checkRecovery(&link)
        #expect(link.gotAtServer.count == 1)
    }

    @Test("a link without faults delivers everything at once")
    func perfect() {
        var link = LossyLink(seed: 1, faults: .init(), limits: limits)
        link.run(until: link.now + .seconds(5), talks: true)
        link.run(until: link.now + .milliseconds(20), talks: false)
        let session = link.currentSession
        #expect((link.sentByClient[session] ?? []).count > 100)
        #expect(link.gotAtServer[session] == link.sentByClient[session])
        #expect(link.gotAtClient[session] == link.sentByServer[session])
        #expect(link.faultCount == 0)
    }

    @Test("one seed gives one history")
    func determinism() {
        let faults = LossyLink.Faults(
            lossPerMille: 100, repetitionPerMille: 100, breakPerMille: 20, serverEndPerMille: 5,
            clientEndPerMille: 5)
        var first = LossyLink(seed: 9, faults: faults, limits: limits)
        var second = LossyLink(seed: 9, faults: faults, limits: limits)
        first.run(until: first.now + .seconds(6), talks: true)
        second.run(until: second.now + .seconds(6), talks: true)
        #expect(first.closings == second.closings)
        #expect(first.gotAtServer == second.gotAtServer)
        #expect(first.gotAtClient == second.gotAtClient)
    }
}
