import ProfferKernel
import ProfferModel
import ProfferWire
import Testing

/// Inverse offers of the Mesos v1 API, put together from its field numbers without the schema.
@Suite("Compatibility with Mesos v1: inverse offers")
struct InverseOfferCompatibilityTests {
    @Test("INVERSE_OFFERS")
    func made() throws {
        let unavailability =
            Bytes.field(1, Bytes.number(1, 1_700_000_000_000_000_000))
            + Bytes.field(2, Bytes.number(1, 60_000_000_000))
        let offer =
            Bytes.id(1, "i-1") + Bytes.id(3, "f-1") + Bytes.id(4, "a-1")
            + Bytes.field(5, unavailability) + Bytes.field(6, Bytes.scalar("cpus", 2))
        let bytes = Bytes.number(1, 9) + Bytes.field(9, Bytes.field(1, offer))
        let expected = SchedulerEvent.inverseOffers([
            InverseOffer(
                id: "i-1", frameworkID: "f-1", agentID: "a-1",
                unavailability: Unavailability(
                    start: WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000),
                    duration: .seconds(60)), resources: Resources(cpus: Milli(2)))
        ])
        #expect(try WireCodec.decodeSchedulerEvent(bytes) == expected)
        #expect(WireCodec.encode(expected) == bytes)
    }

    @Test("RESCIND_INVERSE_OFFER")
    func rescinded() throws {
        let bytes = Bytes.number(1, 10) + Bytes.field(10, Bytes.id(1, "i-1"))
        #expect(try WireCodec.decodeSchedulerEvent(bytes) == .rescindInverseOffer("i-1"))
        #expect(WireCodec.encode(SchedulerEvent.rescindInverseOffer("i-1")) == bytes)
    }

    @Test("ACCEPT_INVERSE_OFFERS and DECLINE_INVERSE_OFFERS")
    func answered() throws {
        let body = [
            Bytes.id(1, "i-1"), Bytes.id(1, "i-2"), Bytes.field(2, Bytes.double(1, 2.5)),
        ].flatMap { $0 }
        let filters = Filters(refuse: .milliseconds(2500))
        let calls: [(UInt64, SchedulerCall)] = [
            (13, .acceptInverseOffers(["i-1", "i-2"], filters: filters)),
            (14, .declineInverseOffers(["i-1", "i-2"], filters: filters)),
        ]
        for (number, call) in calls {
            let bytes =
                Bytes.id(1, "f-1") + Bytes.number(2, number) + Bytes.field(number, body)
            let message = FrameworkCall(frameworkID: "f-1", call: call)
            #expect(try WireCodec.decodeFrameworkCall(bytes) == message)
            #expect(WireCodec.encode(message) == bytes)
        }
    }
}
