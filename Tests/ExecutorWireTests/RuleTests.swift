import ProfferKernel
import ProfferModel
import ProfferSession
import ProfferWire
import Testing

@testable import ProfferExecutorWire

/// The rules of protocol buffers and of our messages, one by one, each checked against the
/// reference as well.
@Suite("Rules of the executor's wire")
struct RuleTests {
    /// A LAUNCH of a task that has what it must have, and `rest`.
    private func launch(_ rest: (inout FieldWriter) -> Void) -> [UInt8] {
        FieldWriter.bytes { event in
            event.kind(1, EventKind.launch)
            event.message(4) { launch in
                launch.message(1) { task in
                    task.text(1, "n")
                    task.one(2, TaskID("t"))
                    task.one(3, AgentID("a"))
                    rest(&task)
                }
            }
        }
    }

    private func task(
        _ bytes: [UInt8], at location: SourceLocation = #_sourceLocation
    ) throws -> TaskInfo {
        let own = Outcome(ownEvent: bytes)
        #expect(own == Outcome(referenceEvent: bytes), sourceLocation: location)
        guard case .taken(.launch(let task, _, _)) = own else {
            throw WireError.malformed("\(own)")
        }
        return task
    }

    private func expectRefused(
        _ bytes: [UInt8], _ error: WireError, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(Outcome(ownEvent: bytes) == .refused(error), sourceLocation: location)
        #expect(Outcome(referenceEvent: bytes) == .refused(error), sourceLocation: location)
    }

    private func scalar(_ name: String, _ value: Double, to fields: inout FieldWriter) {
        fields.message(4) {
            $0.text(1, name)
            $0.kind(2, ValueKind.scalar)
            $0.scalar(3, value)
        }
    }

    @Test("of several values the last one counts")
    func lastValue() throws {
        let task = try task(
            launch {
                $0.text(1, "later")
                $0.data(6, [1])
                $0.data(6, [2, 3])
            })
        #expect(task.name == "later")
        #expect(task.data == [2, 3])
    }

    @Test("a message in several parts is put together")
    func merging() throws {
        let task = try task(
            launch {
                $0.message(7) { $0.text(3, "run") }
                $0.message(7) { $0.texts(7, ["a"]) }
                $0.message(7) { $0.texts(7, ["b"]) }
            })
        #expect(task.command == CommandInfo(value: "run", arguments: ["a", "b"]))
    }

    @Test("each part of a message has to be whole by itself")
    func wholeParts() {
        // Two halves of one field, which make sense together only.
        expectRefused(
            launch {
                $0.data(7, [0x1A, 2])
                $0.data(7, [0x41, 0x42])
            }, .malformed("executor event"))
    }

    @Test("an unknown value of an enumeration counts as absent")
    func unknownKinds() throws {
        let task = try task(
            launch {
                $0.message(13) {
                    $0.kind(1, ProbeKind.tcp)
                    $0.uint64(1, 77)
                    $0.message(7) { $0.uint32(1, 80) }
                }
            })
        #expect(task.check?.kind == .tcp(port: 80))
        expectRefused(
            launch { $0.message(9) { $0.uint64(1, 3) } },
            .missing("a required field of executor event"))
    }

    @Test("a field of another wire type counts as one that is not known")
    func wireTypes() throws {
        let task = try task(
            launch {
                $0.uint64(1, 5)
                $0.uint64(7, 5)
                $0.fixed64(6, 5)
                $0.double(900, 1)
            })
        #expect(task.name == "n")
        #expect(task.command == nil)
    }

    @Test("defaults of the schema hold where a field is absent")
    func defaults() throws {
        let task = try task(
            launch {
                $0.message(7) { $0.message(1) { $0.text(1, "u") } }
                $0.message(8) { $0.kind(8, ProbeKind.http) }
                $0.message(13) { $0.kind(1, ProbeKind.command) }
            })
        #expect(task.command == CommandInfo(uris: [FetchURI(value: "u")]))
        #expect(task.healthCheck == HealthCheck(kind: .http(scheme: "http", port: 0, path: "/")))
        #expect(task.check == CheckInfo(kind: .command(CommandInfo())))
    }

    @Test("a check by HTTP has no scheme")
    func checkScheme() throws {
        let task = try task(
            launch {
                $0.message(13) {
                    $0.kind(1, ProbeKind.http)
                    $0.message(3) {
                        $0.uint32(1, 80)
                        $0.text(3, "https")
                    }
                }
            })
        #expect(task.check?.kind == .http(scheme: "http", port: 80, path: "/"))
    }

    @Test("of entries of a map with one key the last one counts, and they are sorted")
    func maps() throws {
        let task = try task(
            launch { fields in
                for (name, value) in [("mem", 1), ("cpus", 2), ("mem", 3)] as [(String, Double)] {
                    fields.message(15) {
                        $0.text(1, name)
                        $0.scalar(2, value)
                    }
                }
            })
        #expect(
            task.limits == [
                ResourceLimit(name: "cpus", amount: Milli(2)),
                ResourceLimit(name: "mem", amount: Milli(3)),
            ])
        expectRefused(
            launch { $0.message(15) { $0.text(1, "mem") } },
            .missing("a required field of executor event"))
    }

    @Test("a reservation in the older form is read")
    func olderReservation() throws {
        func reserved(_ rest: @escaping (inout FieldWriter) -> Void) throws -> [Reservation]? {
            try task(
                launch {
                    $0.message(4) {
                        $0.text(1, "cpus")
                        $0.kind(2, ValueKind.scalar)
                        $0.scalar(3, 1)
                        rest(&$0)
                    }
                }
            ).resources.items.first?.reservations
        }
        #expect(try reserved { $0.text(6, "eng") } == [Reservation(kind: .static, role: "eng")])
        #expect(try reserved { $0.text(6, "*") } == [])
        #expect(
            try reserved {
                $0.text(6, "eng")
                $0.message(8) { $0.text(1, "p") }
            } == [Reservation(role: "eng", principal: "p")])
    }

    @Test(
        "an amount that is no number, or too large a one, is refused",
        arguments: [.nan, .infinity, -.infinity, 1e300, 9.1e9] as [Double])
    func amounts(value: Double) {
        expectRefused(launch { scalar("cpus", value, to: &$0) }, .outOfRange("resource cpus"))
    }

    @Test("amounts that together exceed the limit are refused")
    func totals() {
        expectRefused(
            launch {
                scalar("mem", 5e9, to: &$0)
                scalar("mem", -5e9, to: &$0)
            }, .outOfRange("resource mem"))
    }

    @Test("lists of more entries than can be merged quickly are refused")
    func longLists() {
        expectRefused(
            launch { for index in 0...WireLimits.resources { scalar("r\(index)", 1, to: &$0) } },
            .outOfRange("resources"))
        expectRefused(
            launch {
                $0.message(4) { resource in
                    resource.text(1, "set")
                    resource.kind(2, ValueKind.set)
                    resource.message(5) { $0.texts(1, (0...WireLimits.members).map { "\($0)" }) }
                }
            }, .outOfRange("resource set"))
        expectRefused(
            launch {
                $0.message(4) { resource in
                    resource.text(1, "ports")
                    resource.kind(2, ValueKind.ranges)
                    resource.message(4) { ranges in
                        for _ in 0...WireLimits.intervals {
                            ranges.message(1) {
                                $0.uint64(1, 1)
                                $0.uint64(2, 1)
                            }
                        }
                    }
                }
            }, .outOfRange("resource ports"))
    }

    @Test("a range that ends before it begins is refused")
    func ranges() {
        expectRefused(
            launch {
                $0.message(4) {
                    $0.text(1, "ports")
                    $0.kind(2, ValueKind.ranges)
                    $0.message(4) {
                        $0.message(1) {
                            $0.uint64(1, 5)
                            $0.uint64(2, 4)
                        }
                    }
                }
            }, .outOfRange("resource ports"))
    }

    @Test(
        "a check with an impossible time is refused",
        arguments: [.nan, .infinity, -.infinity, 1e300, 9e9] as [Double])
    func times(seconds: Double) {
        expectRefused(
            launch {
                $0.message(8) {
                    $0.double(6, seconds)
                    $0.kind(8, ProbeKind.tcp)
                }
            }, .outOfRange("grace_period_seconds"))
    }

    @Test("text that is not UTF-8 is refused, even where a later one replaces it")
    func encoding() {
        expectRefused(
            launch {
                $0.data(1, [0xFF])
                $0.text(1, "n")
            }, .malformed("executor event"))
    }

    @Test("an update id of another length is refused", arguments: [0, 15, 17])
    func updateIDs(count: Int) {
        expectRefused(
            FieldWriter.bytes {
                $0.kind(1, EventKind.acknowledged)
                $0.message(3) {
                    $0.one(1, TaskID("t"))
                    $0.data(2, [UInt8](repeating: 1, count: count))
                }
            }, .outOfRange("acknowledged.uuid"))
    }

    @Test("an event without the body that its kind promises is refused, as far as it needs one")
    func bodies() {
        let names = [1: "subscribed", 2: "launch", 3: "kill", 4: "acknowledged", 5: "message"]
        for (kind, name) in names { expectRefused([8, UInt8(kind)], .missing(name)) }
        for kind in [UInt8(0), 6, 7, 8, 9, 77] {
            let own = Outcome(ownEvent: [8, kind])
            #expect(own == Outcome(referenceEvent: [8, kind]))
            guard case .taken = own else {
                Issue.record("kind \(kind): \(own)")
                continue
            }
        }
        #expect(Outcome(ownEvent: []) == .taken(nil))
    }

    @Test("a body that the kind does not promise is not judged")
    func otherBodies() {
        let bytes = FieldWriter.bytes {
            $0.kind(1, EventKind.heartbeat)
            $0.message(4) { $0.message(1) { $0.text(1, "a task without an id") } }
        }
        #expect(Outcome(ownEvent: bytes) == .taken(.heartbeat))
        #expect(
            Outcome(referenceEvent: bytes)
                == .refused(.missing("a required field of executor event")))
    }

    @Test("an envelope without content or with overlong parts is refused")
    func envelopeParts() {
        let parts: [([UInt8], WireError)] = [
            (FieldWriter.bytes { $0.uint64(1, 1) }, .missing("content")),
            (
                FieldWriter.bytes {
                    $0.text(2, String(repeating: "c", count: 256))
                    $0.message(14) { _ in }
                }, .outOfRange("cluster_id")
            ),
            (
                FieldWriter.bytes {
                    $0.message(10) { $0.data(1, [UInt8](repeating: 1, count: 4097)) }
                }, .outOfRange("credential")
            ),
            (
                FieldWriter.bytes {
                    $0.message(12) { $0.text(1, String(repeating: "r", count: 1025)) }
                }, .outOfRange("reason")
            ),
        ]
        for (bytes, error) in parts {
            #expect(Outcome(ownEnvelope: bytes) == .refused(error))
            #expect(Outcome(referenceEnvelope: bytes) == .refused(error))
        }
    }

    @Test("of several contents of an envelope the last one counts, from its last beginning on")
    func contents() {
        let bytes = FieldWriter.bytes {
            $0.message(10) { $0.data(1, [1]) }
            $0.message(14) { _ in }
            $0.message(10) { _ in }
            $0.message(10) { _ in }
        }
        let own = Outcome(ownEnvelope: bytes)
        #expect(own == Outcome(referenceEnvelope: bytes))
        #expect(own == .taken(Envelope(version: 0, session: 0, content: .open(credential: []))))
    }
}
