import CoreMetrics
import Logging
import ProfferKernel
import ProfferMaster
import ProfferModel
import ProfferWire
import Testing

@testable import ProfferRuntime
@testable import ProfferTransport

@Suite("Messages that cannot be read")
struct UnreadableMessageTests {
    /// What a master does to the transport when these bytes come over a new session.
    private func answers(
        _ messages: [[UInt8]], at endpoint: EndpointID = MasterEndpoint.frameworks
    ) -> (errors: [String], reasons: [String]) {
        let machine = Master(
            configuration: MasterConfiguration(),
            wallClock: WallClock(.zero, is: WallTime(nanosecondsSince1970: 0)), seed: 1, at: .zero)
        var handler = MasterHandler(
            machine: machine, store: MemoryStore.registry(),
            sink: MasterSink(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                metrics: NOOPMetricsHandler.instance), post: { _ in })
        var links = Links()
        let events =
            [TransportEvent.opened(PeerID(1), endpoint, PeerIdentity())]
            + messages.map { .message(PeerID(1), $0) }
        handler.turn(events: events, mail: [], at: .zero, links: &links)
        var errors: [String] = []
        var reasons: [String] = []
        for command in links.commands {
            switch command {
            case .send(let bytes, _):
                if case .error(let message)? = try? WireCodec.decodeSchedulerEvent(bytes) {
                    errors.append(message)
                }
            case .close(_, let reason): reasons.append(reason)
            case .watch, .unwatch, .serve, .standBy, .stop: break
            }
        }
        return (errors, reasons)
    }

    /// A SUBSCRIBE of user "u" and name "n" with a failover time-out, written by hand because the
    /// codec cannot write every one.
    private func subscribe(_ seconds: Double) -> [UInt8] {
        let pattern = (0..<8).map { UInt8(truncatingIfNeeded: seconds.bitPattern >> (8 * $0)) }
        let info: [UInt8] = [0x0A, 1, 0x75, 0x12, 1, 0x6E, 0x21] + pattern
        return [0x10, 1, 0x1A, UInt8(info.count + 2), 0x0A, UInt8(info.count)] + info
    }

    @Test(
        "a subscription with a failover time-out that is no time is answered with ERROR",
        arguments: [.nan, .infinity, -.infinity, 1e300] as [Double])
    func failoverTimeout(seconds: Double) {
        let (errors, reasons) = answers([subscribe(seconds)])
        #expect(errors.count == 1)
        #expect(errors.first?.contains("'failover_timeout'") == true)
        #expect(reasons.count == 1)
    }

    @Test("one with a good time-out is not")
    func goodTimeout() {
        #expect(answers([subscribe(60)]).errors.isEmpty)
        #expect(answers([subscribe(60)]).reasons.isEmpty)
    }

    @Test("a later message that cannot be read ends the session only: the framework may come back")
    func later() {
        let (errors, reasons) = answers([subscribe(60), [0xFF]])
        #expect(errors.isEmpty)
        #expect(reasons == ["malformed message: not a valid scheduler call message"])
    }

    @Test("an agent's message that cannot be read ends its session")
    func agents() {
        let (errors, reasons) = answers([[0xFF]], at: MasterEndpoint.agents)
        #expect(errors.isEmpty)
        #expect(reasons == ["malformed message: not a valid agent message message"])
    }
}
