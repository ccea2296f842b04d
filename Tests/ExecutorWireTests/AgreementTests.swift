import Foundation
import ProfferExecutorWire
import ProfferKernel
import ProfferModel
import ProfferSession
import ProfferWire
import Testing

/// Against the codec that is made from the schema, which knows nothing of this one.
@Suite("Agreement with ProfferWire")
struct AgreementTests {
    @Test("an event is read as it was meant", arguments: UInt64(0)..<500)
    func events(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let bytes = WireCodec.encode(dice.event())
        #expect(Outcome(ownEvent: bytes) == Outcome(referenceEvent: bytes))
    }

    @Test("an executor's message has the same bytes", arguments: UInt64(0)..<500)
    func messages(seed: UInt64) {
        var dice = Dice(seed: seed)
        let message = dice.message()
        #expect(ExecutorCodec.encode(message) == WireCodec.encode(message))
    }

    @Test("an envelope has the same bytes and is read as it was meant", arguments: UInt64(0)..<300)
    func envelopes(seed: UInt64) {
        var dice = Dice(seed: seed)
        let envelope = dice.envelope()
        let bytes = EnvelopeCodec.encode(envelope)
        #expect(ExecutorCodec.encode(envelope) == bytes)
        #expect(Outcome(ownEnvelope: bytes) == Outcome(referenceEnvelope: bytes))
    }

    @Test("the random messages are of every kind, and most of them are taken")
    func coverage() {
        var kinds = Set<String>()
        var takenCount = 0
        for seed in UInt64(0)..<500 {
            var dice = Dice(seed: seed)
            let event = dice.event()
            kinds.insert(String("\(event)".prefix { $0 != "(" }))
            if case .taken = Outcome(ownEvent: WireCodec.encode(event)) { takenCount += 1 }
        }
        #expect(
            kinds == [
                "subscribed", "launch", "launchGroup", "kill", "acknowledged", "message", "error",
                "shutdown", "heartbeat",
            ])
        #expect(takenCount > 400)
    }

    @Test(
        "messages cut off in the reason for closing are the same", arguments: ["r", "ü", "€", "😀"])
    func reasons(letter: String) {
        for count in [250, 255, 256, 340, 341, 511, 1022, 1023, 2000] {
            let envelope = Envelope(
                session: 1, content: .closed(reason: String(repeating: letter, count: count)))
            #expect(ExecutorCodec.encode(envelope) == EnvelopeCodec.encode(envelope))
        }
    }
}

/// The bytes that peers of other releases send.
@Suite("Fixtures of the wire")
struct FixtureTests {
    @Test("events of the fixtures are read as they were meant")
    func events() throws {
        let fixtures = try Fixture.all("executor-messages")
        let events = fixtures.filter { fixture in
            Fixture.eventNames.contains(fixture.name)
        }
        #expect(events.count == Fixture.eventNames.count)
        for event in events {
            let own = Outcome(ownEvent: event.bytes)
            #expect(own == Outcome(referenceEvent: event.bytes), "\(event.name)")
            guard case .taken = own else {
                Issue.record("\(event.name) was refused: \(own)")
                continue
            }
        }
    }

    @Test("calls of the fixtures are written byte for byte")
    func calls() throws {
        let calls = try Fixture.all("executor-messages").filter { fixture in
            !Fixture.eventNames.contains(fixture.name)
        }
        #expect(calls.count >= 5)
        for call in calls {
            let message = try WireCodec.decodeExecutorMessage(call.bytes)
            #expect(ExecutorCodec.encode(message) == call.bytes, "\(call.name)")
        }
    }

    @Test("envelopes of the fixtures are read and written byte for byte")
    func envelopes() throws {
        let fixtures = try Fixture.all("envelopes")
        #expect(fixtures.count >= 5)
        for fixture in fixtures {
            let envelope = try ExecutorCodec.decodeEnvelope(fixture.bytes)
            #expect(try EnvelopeCodec.decode(fixture.bytes) == envelope, "\(fixture.name)")
            #expect(ExecutorCodec.encode(envelope) == fixture.bytes, "\(fixture.name)")
        }
    }
}

/// One message of a fixture file of the wire's tests: a name, and lines of indented hexadecimal.
struct Fixture {
    var name: String
    var bytes: [UInt8] = []

    static let eventNames: Set<String> = [
        "subscribed", "launch", "launch group", "kill", "kill plain", "acknowledged",
        "message to executor", "shutdown", "error", "heartbeat of agent",
    ]

    static func all(_ file: String) throws -> [Fixture] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("WireTests/Fixtures/\(file).txt")
        var fixtures: [Fixture] = []
        for line in try String(contentsOf: path, encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("  ") {
                let row = try line.split(separator: " ").map { try #require(UInt8($0, radix: 16)) }
                fixtures[fixtures.count - 1].bytes += row
            } else {
                fixtures.append(Fixture(name: String(line)))
            }
        }
        return fixtures
    }
}
