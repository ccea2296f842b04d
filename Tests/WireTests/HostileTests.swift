import ProfferKernel
import ProfferModel
import ProfferSession
import ProfferWire
import Testing

@Suite("Hostile bytes")
struct HostileTests {
    /// Every decoder, with the largest message it takes.
    private static let decoders: [@Sendable ([UInt8]) throws -> Void] = [
        { _ = try WireCodec.decodeFrameworkCall($0) },
        { _ = try WireCodec.decodeSchedulerEvent($0) },
        { _ = try WireCodec.decodeExecutorMessage($0) },
        { _ = try WireCodec.decodeExecutorEvent($0) },
        { _ = try WireCodec.decodeAgentToMaster($0) },
        { _ = try WireCodec.decodeMasterToAgent($0) },
        { _ = try WireCodec.decodeOperatorCall($0) },
        { _ = try WireCodec.decodeOperatorAnswer($0) },
        { _ = try WireCodec.decodeClusterEvent($0) }, { _ = try EnvelopeCodec.decode($0) },
        { bytes in
            for kind in ["agent", "framework", "weight", "quota", "epoch"] {
                _ = try WireCodec.decodeMasterRecord(
                    StoredRecord(kind: kind, key: "k", value: bytes))
            }
        },
        { bytes in
            for (kind, key) in [
                ("identity", ""), ("framework", "f"), ("executor", "f\u{1F}e"),
                ("task", "f\u{1F}t"), ("update", "f\u{1F}t\u{1F}1"),
            ] {
                _ = try WireCodec.decodeAgentRecord(
                    StoredRecord(kind: kind, key: key, value: bytes))
            }
        },
    ]

    /// Nothing but a `WireError` may come out, and nothing may trap.
    private func refuseOrTake(
        _ bytes: [UInt8], _ decode: ([UInt8]) throws -> Void,
        at location: SourceLocation = #_sourceLocation
    ) {
        do {
            try decode(bytes)
        } catch is WireError {
        } catch {
            Issue.record("\(error) instead of a WireError", sourceLocation: location)
        }
    }

    private func problem(_ bytes: [UInt8]) -> WireError? {
        do {
            _ = try WireCodec.decodeFrameworkCall(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test("every beginning of a message is refused or taken", arguments: Samples.flat)
    func truncated(sample: Sample) {
        for count in 0..<sample.bytes.count {
            refuseOrTake(Array(sample.bytes.prefix(count)), sample.decode)
        }
    }

    @Test("a message with a flipped bit is refused or taken", arguments: Samples.flat)
    func flipped(sample: Sample) {
        for index in sample.bytes.indices {
            var bytes = sample.bytes
            bytes[index] ^= 1 << UInt8(index % 8)
            refuseOrTake(bytes, sample.decode)
        }
    }

    @Test("every decoder refuses or takes the messages of all the others")
    func crossed() {
        for sample in Samples.flat {
            for decode in Self.decoders { refuseOrTake(sample.bytes, decode) }
        }
    }

    @Test("random bytes are refused or taken", arguments: UInt64(0)..<50)
    func random(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let count = Int.random(in: 0...64, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            for decode in Self.decoders { refuseOrTake(bytes, decode) }
        }
    }

    @Test("spliced messages are refused or taken", arguments: UInt64(0)..<50)
    func spliced(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<40 {
            let left = try #require(Samples.flat.randomElement(using: &random))
            let right = try #require(Samples.flat.randomElement(using: &random))
            let cut = Int.random(in: 0...left.bytes.count, using: &random)
            let join = Int.random(in: 0...right.bytes.count, using: &random)
            let bytes = Array(left.bytes[..<cut] + right.bytes[join...])
            refuseOrTake(bytes, left.decode)
            refuseOrTake(bytes, right.decode)
        }
    }

    @Test("deep nesting is refused without exhausting the stack")
    func nesting() {
        let depth = 200_000
        for decode in Self.decoders {
            // Groups of an unknown field, opened and never closed.
            refuseOrTake([UInt8](repeating: 0x7B, count: depth), decode)
            for number in [UInt64(1), 3, 4, 10, 11, 12] {
                var bytes: [UInt8] = []
                for _ in 0..<400 { bytes = Bytes.field(number, bytes) }
                refuseOrTake(bytes, decode)
            }
        }
    }

    @Test("a length beyond the message is refused")
    func lengths() {
        for length in [UInt64(100), 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max] {
            for number in UInt64(1)...20 {
                let bytes = Bytes.varint(number << 3 | 2) + Bytes.varint(length) + [1, 2, 3]
                for decode in Self.decoders { refuseOrTake(bytes, decode) }
                #expect(problem(Bytes.number(2, 4) + bytes) == .malformed("scheduler call"))
            }
        }
    }

    @Test("a number of more than ten bytes is refused")
    func longNumber() {
        let bytes = Bytes.varint(2 << 3) + [UInt8](repeating: 0xFF, count: 11)
        #expect(problem(bytes) == .malformed("scheduler call"))
    }

    @Test("text that is not UTF-8 is refused")
    func encoding() {
        let bytes = Bytes.field(1, Bytes.field(1, [0xFF, 0xFE])) + Bytes.number(2, 2)
        #expect(problem(bytes) == .malformed("scheduler call"))
    }

    @Test("a call without a kind or without its body is refused")
    func missing() {
        #expect(problem([]) != nil)
        for kind in [UInt64(0), 1, 3, 4, 6, 7, 8, 10, 15, 17, 18, 99, 1 << 40] + (1000...1004) {
            #expect(problem(Bytes.number(2, kind)) != nil, "kind \(kind)")
        }
        for kind in [UInt64(1), 3, 10, 4, 11, 5, 1001, 1002, 1003] {
            #expect(throws: WireError.self, "kind \(kind)") {
                _ = try WireCodec.decodeSchedulerEvent(Bytes.number(1, kind))
            }
        }
        for kind in [UInt64(1), 2, 3, 4, 5] {
            #expect(throws: WireError.self, "kind \(kind)") {
                _ = try WireCodec.decodeExecutorEvent(Bytes.number(1, kind))
            }
        }
    }

    @Test("a required field that is absent is named as missing")
    func required() {
        let kill = Bytes.number(2, 6) + Bytes.field(6, Bytes.id(2, "a"))
        #expect(problem(kill) == .missing("a required field of scheduler call"))
    }
}

@Suite("Hostile values")
struct HostileValueTests {
    /// A task with these resources in an ACCEPT.
    private func launch(_ resources: [[UInt8]], _ rest: [UInt8] = []) -> [UInt8] {
        let task =
            Bytes.text(1, "n") + Bytes.id(2, "t") + Bytes.id(3, "a")
            + resources.flatMap { Bytes.field(4, $0) } + rest
        let operation = Bytes.number(1, 1) + Bytes.field(2, Bytes.field(1, task))
        return Bytes.number(2, 3) + Bytes.field(4, Bytes.field(2, operation))
    }

    private func problem(_ resources: [[UInt8]], _ rest: [UInt8] = []) -> WireError? {
        do {
            _ = try WireCodec.decodeFrameworkCall(launch(resources, rest))
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "an amount that is no number, or too large a one, is refused",
        arguments: [
            .nan, .signalingNaN, .infinity, -.infinity, 1e300, -1e300, 1e16, 9.1e9,
        ] as [Double])
    func scalars(value: Double) {
        #expect(problem([Bytes.scalar("cpus", value)]) == .outOfRange("resource cpus"))
    }

    @Test("a negative amount is left to whoever knows what it is for")
    func negative() throws {
        let call = try WireCodec.decodeFrameworkCall(launch([Bytes.scalar("cpus", -1)])).call
        guard case .accept(_, let operations, _) = call,
            case .launch(let tasks) = operations.first?.action
        else {
            Issue.record("not a launch")
            return
        }
        #expect(tasks.first?.resources.cpus == Milli(-1))
    }

    @Test("amounts that together exceed the limit are refused, so that no sum overflows")
    func totals() {
        let reserved = Bytes.field(13, Bytes.text(3, "eng"))
        let large = Bytes.scalar("mem", 5e9)
        #expect(problem([large]) == nil)
        #expect(problem([large, large]) == .outOfRange("resource mem"))
        #expect(
            problem([large, Bytes.scalar("mem", 5e9, reserved)]) == .outOfRange("resource mem"))
        #expect(problem([large, Bytes.scalar("mem", -5e9)]) == .outOfRange("resource mem"))
        #expect(problem([large, Bytes.scalar("disk", 5e9)]) == nil)
    }

    @Test("a range that ends before it begins is refused")
    func ranges() {
        func ports(_ low: UInt64, _ high: UInt64) -> [UInt8] {
            Bytes.text(1, "ports") + Bytes.number(2, 1)
                + Bytes.field(4, Bytes.field(1, Bytes.number(1, low), Bytes.number(2, high)))
        }
        #expect(problem([ports(5, 4)]) == .outOfRange("resource ports"))
        // A negative number of another language is a very large one here.
        #expect(problem([ports(UInt64(bitPattern: -1), 5)]) == .outOfRange("resource ports"))
        #expect(problem([ports(0, .max)]) == nil)
        #expect(problem([ports(0, .max), ports(3, 4)]) == nil)
    }

    @Test("lists of more entries than can be merged quickly are refused")
    func longLists() {
        let many = (0...WireLimits.resources).map { Bytes.scalar("r\($0)", 1) }
        #expect(problem(many) == .outOfRange("resources"))
        let interval = Bytes.field(1, Bytes.number(1, 1), Bytes.number(2, 1))
        let ranges =
            Bytes.text(1, "ports") + Bytes.number(2, 1)
            + Bytes.field(4, (0...WireLimits.intervals).flatMap { _ in interval })
        #expect(problem([ranges]) == .outOfRange("resource ports"))
        let set =
            Bytes.text(1, "set") + Bytes.number(2, 2)
            + Bytes.field(5, (0...WireLimits.members).flatMap { Bytes.text(1, "\($0)") })
        #expect(problem([set]) == .outOfRange("resource set"))
    }

    @Test("a text where an amount is due is refused")
    func text() {
        #expect(
            problem([Bytes.text(1, "cpus") + Bytes.number(2, 3)]) == .outOfRange("resource cpus"))
    }

    @Test(
        "a check with an impossible time is refused",
        arguments: [.nan, .infinity, -.infinity, 1e300, 9e9] as [Double])
    func times(seconds: Double) {
        let check = Bytes.number(8, 3) + Bytes.field(9, Bytes.number(1, 80))
        for field in [UInt64(2), 3, 4, 6] {
            let wrong = Bytes.field(8, check + Bytes.double(field, seconds))
            guard case .outOfRange = problem([], wrong) else {
                Issue.record("field \(field) with \(seconds) was taken")
                continue
            }
        }
    }

    @Test(
        "a status at an impossible time is refused",
        arguments: [.nan, .infinity, -.infinity, 1e300, 9e9, -9e9] as [Double])
    func timestamps(seconds: Double) {
        let status = Bytes.id(1, "t") + Bytes.number(2, 1) + Bytes.double(6, seconds)
        #expect(throws: WireError.outOfRange("timestamp")) {
            _ = try WireCodec.decodeSchedulerEvent(
                Bytes.number(1, 4) + Bytes.field(5, Bytes.field(1, status)))
        }
    }

    @Test("an update id of another length is refused", arguments: [0, 15, 17, 1000])
    func updateIDs(count: Int) {
        let bytes =
            Bytes.number(2, 8)
            + Bytes.field(
                8, Bytes.id(1, "a"), Bytes.id(2, "t"),
                Bytes.field(3, [UInt8](repeating: 1, count: count)))
        #expect(throws: WireError.outOfRange("acknowledge.uuid")) {
            _ = try WireCodec.decodeFrameworkCall(bytes)
        }
    }

    @Test("an overlong id is read, and recognised as one that may not be used")
    func longIDs() throws {
        let long = String(repeating: "x", count: 500_000)
        let call = try WireCodec.decodeFrameworkCall(
            Bytes.number(2, 6) + Bytes.field(6, Bytes.id(1, long))
        ).call
        guard case .kill(let id, _, _) = call else {
            Issue.record("not a kill")
            return
        }
        #expect(id.problem != nil)
    }

    @Test("an error about a long name is short")
    func shortErrors() {
        let name = String(repeating: "n", count: 100_000)
        let error = problem([Bytes.scalar(name, .nan)])
        #expect(error.map { $0.description.utf8.count < 200 } == true)
    }

    @Test("a message above its limit is refused before it is read")
    func size() {
        let body = [UInt8](repeating: 0, count: WireLimits.message + 1)
        #expect(
            throws: WireError.tooLarge(
                size: WireLimits.message + 1, limit: WireLimits.message)
        ) { _ = try WireCodec.decodeFrameworkCall(body) }
        let state = [UInt8](repeating: 0, count: WireLimits.state + 1)
        #expect(throws: WireError.self) { _ = try WireCodec.decodeAgentToMaster(state) }
        #expect(throws: WireError.self) { _ = try WireCodec.decodeSchedulerEvent(state) }
    }

    @Test("a message of the largest size fits into an envelope")
    func envelope() throws {
        let full = Envelope(
            clusterID: String(repeating: "c", count: WireLimits.clusterID), epoch: .max,
            session: .max, sequence: .max, acknowledged: .max,
            content: .message([UInt8](repeating: 7, count: WireLimits.state)))
        #expect(try EnvelopeCodec.decode(EnvelopeCodec.encode(full)) == full)
    }

    @Test("an envelope without content or with overlong parts is refused")
    func envelopeParts() {
        let parts: [([UInt8], WireError)] = [
            (Bytes.number(1, 1), .missing("content")),
            (
                Bytes.text(2, String(repeating: "c", count: 256)) + Bytes.field(14),
                .outOfRange("cluster_id")
            ),
            (
                Bytes.field(10, Bytes.field(1, [UInt8](repeating: 1, count: 4097))),
                .outOfRange("credential")
            ),
            (
                Bytes.field(12, Bytes.text(1, String(repeating: "r", count: 1025))),
                .outOfRange("reason")
            ),
        ]
        for (bytes, expected) in parts {
            #expect(throws: expected) { _ = try EnvelopeCodec.decode(bytes) }
        }
    }

    @Test("a long reason is cut off where it is written")
    func reason() throws {
        for letter in ["r", "ü", "€", "😀"] {
            let long = Envelope(
                session: 1, content: .closed(reason: String(repeating: letter, count: 2000)))
            guard
                case .closed(let reason) = try EnvelopeCodec.decode(EnvelopeCodec.encode(long))
                    .content
            else {
                Issue.record("not closed")
                continue
            }
            #expect(reason.hasPrefix(String(repeating: letter, count: 200)))
        }
    }

    @Test("a record under a key or of a kind that nobody writes is refused")
    func records() {
        let wrong = [
            StoredRecord(kind: "nonsense", key: "k", value: nil),
            StoredRecord(kind: "task", key: "one part", value: nil),
            StoredRecord(kind: "executor", key: "a\u{1F}b\u{1F}c", value: nil),
            StoredRecord(kind: "update", key: "a\u{1F}b\u{1F}-1", value: nil),
            StoredRecord(kind: "update", key: "a\u{1F}b\u{1F}", value: nil),
            StoredRecord(kind: "identity", key: "", value: nil),
        ]
        for record in wrong {
            #expect(throws: WireError.self) { _ = try WireCodec.decodeAgentRecord(record) }
        }
        for (kind, value) in [("epoch", "-1"), ("epoch", "x"), ("epoch", ""), ("weight", "1.5")] {
            #expect(throws: WireError.self) {
                _ = try WireCodec.decodeMasterRecord(
                    StoredRecord(kind: kind, key: "k", value: Array(value.utf8)))
            }
        }
        #expect(throws: WireError.self) {
            _ = try WireCodec.decodeMasterRecord(
                StoredRecord(kind: "epoch", key: "", value: nil))
        }
    }
}
