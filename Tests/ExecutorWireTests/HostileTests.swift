import ProfferKernel
import ProfferModel
import ProfferSession
import ProfferWire
import Testing

@testable import ProfferExecutorWire

@Suite("Hostile bytes for the executor")
struct HostileTests {
    @Test("every beginning of a message is read as the reference does")
    func truncated() throws {
        for fixture in try Fixture.all("executor-messages") {
            for count in 0..<fixture.bytes.count {
                expectAgreement(onEvent: Array(fixture.bytes.prefix(count)))
            }
        }
        for fixture in try Fixture.all("envelopes") {
            for count in 0..<fixture.bytes.count {
                expectAgreement(onEnvelope: Array(fixture.bytes.prefix(count)))
            }
        }
    }

    @Test("a message with a flipped bit is read as the reference does", arguments: 0..<8)
    func flipped(bit: Int) throws {
        for fixture in try Fixture.all("executor-messages") {
            for index in fixture.bytes.indices where index % 4 == bit % 4 {
                var bytes = fixture.bytes
                bytes[index] ^= 1 << UInt8(bit)
                expectAgreement(onEvent: bytes)
            }
        }
        for fixture in try Fixture.all("envelopes") {
            for index in fixture.bytes.indices {
                var bytes = fixture.bytes
                bytes[index] ^= 1 << UInt8(bit)
                expectAgreement(onEnvelope: bytes)
            }
        }
    }

    @Test("damaged messages are read as the reference does", arguments: UInt64(0)..<300)
    func damaged(seed: UInt64) {
        var dice = Dice(seed: seed)
        var event = WireCodec.encode(dice.event())
        var envelope = EnvelopeCodec.encode(dice.envelope())
        for _ in 0..<12 {
            expectAgreement(onEvent: dice.damaged(event))
            expectAgreement(onEnvelope: dice.damaged(envelope))
            // From one wrong to the next, so that several things are wrong at once.
            if dice.bool() { event = dice.damaged(event) }
            if dice.bool() { envelope = dice.damaged(envelope) }
        }
    }

    @Test("random bytes are read as the reference does", arguments: UInt64(0)..<200)
    func random(seed: UInt64) {
        var dice = Dice(seed: seed)
        for _ in 0..<100 {
            let bytes = dice.data() + dice.data() + dice.data()
            expectAgreement(onEvent: bytes)
            expectAgreement(onEnvelope: bytes)
            // The first field says which kind it is.
            expectAgreement(onEvent: [8, UInt8(dice.number(0...9))] + bytes)
        }
    }

    @Test("random fields are read as the reference does", arguments: UInt64(0)..<200)
    func fields(seed: UInt64) {
        var dice = Dice(seed: seed)
        for _ in 0..<20 {
            let bytes = dice.fields(depth: 5)
            expectAgreement(onEvent: [8, UInt8(dice.number(0...9))] + bytes)
            expectAgreement(onEnvelope: bytes)
        }
    }

    @Test("deep nesting is refused or passed over without exhausting the stack")
    func nesting() {
        for depth in [1, 31, 32, 33, 200_000] {
            let groups = [UInt8](repeating: 0x7B, count: depth)
            expectAgreement(onEvent: groups)
            expectAgreement(onEnvelope: groups)
        }
        for depth in [1, 5, 25, 33, 40] {
            let open = [UInt8](repeating: 0x7B, count: depth)
            let close = [UInt8](repeating: 0x7C, count: depth)
            let own = Outcome(ownEvent: [8, 9] + open + close)
            #expect(
                own
                    == (depth <= 32
                        ? .taken(.heartbeat) : .refused(.malformed("executor event"))))
        }
        var bytes: [UInt8] = []
        for _ in 0..<400 { bytes = FieldWriter.bytes { $0.data(4, bytes) } }
        expectAgreement(onEvent: [8, 2] + bytes)
    }

    @Test("a length beyond the message is refused")
    func lengths() {
        for length in [UInt64(100), 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max] {
            for number in UInt32(1)...20 {
                var bytes = FieldWriter.bytes { $0.uint64(number, length) }
                // The same field as one of bytes, with nothing behind its length.
                bytes[0] |= 2
                expectAgreement(onEvent: bytes + [1, 2, 3])
                #expect(
                    Outcome(ownEvent: bytes + [1, 2, 3]) == .refused(.malformed("executor event")))
            }
        }
    }

    @Test("a message above its limit is refused before it is read")
    func size() {
        let event = [UInt8](repeating: 0, count: WireLimits.message + 1)
        #expect(
            Outcome(ownEvent: event)
                == .refused(.tooLarge(size: event.count, limit: WireLimits.message)))
        let envelope = [UInt8](repeating: 0, count: WireLimits.state + 1025)
        #expect(Outcome(ownEnvelope: envelope) == Outcome(referenceEnvelope: envelope))
    }

    @Test("a message of the largest size fits into an envelope")
    func fullEnvelope() throws {
        let full = Envelope(
            clusterID: String(repeating: "c", count: WireLimits.clusterID), epoch: .max,
            session: .max, sequence: .max, acknowledged: .max,
            content: .message([UInt8](repeating: 7, count: WireLimits.state)))
        #expect(try ExecutorCodec.decodeEnvelope(ExecutorCodec.encode(full)) == full)
    }
}

extension Dice {
    /// Fields with small numbers, of every wire type, nested.
    mutating func fields(depth: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<number(0...5) {
            let tag = UInt64(number(0...16)) << 3
            switch number(0...7) {
            case 0, 1: bytes += varint(tag) + varint(UInt64(number(0...9)))
            case 2: bytes += varint(tag | 1) + [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]
            case 3: bytes += varint(tag | 5) + [1, 2, 3, 4]
            case 4:
                bytes +=
                    varint(tag | 3) + (depth > 0 ? fields(depth: depth - 1) : [])
                    + varint(tag | 4)
            default:
                let body = depth > 0 && bool() ? fields(depth: depth - 1) : Array(text().utf8)
                bytes += varint(tag | 2) + varint(UInt64(body.count)) + body
            }
        }
        return bytes
    }

    private func varint(_ value: UInt64) -> [UInt8] {
        Array(FieldWriter.bytes { $0.uint64(1, value) }.dropFirst())
    }
}
