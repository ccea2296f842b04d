import Foundation
import ProfferKernel
import ProfferModel
import ProfferSession
import ProfferWire
import Testing

@Suite("Round trips")
struct RoundTripTests {
    @Test("what is written is read back", arguments: Samples.flat)
    func roundTrip(sample: Sample) throws {
        #expect(try sample.survives())
    }

    @Test("a removed fact is read back from its key alone")
    func removals() throws {
        let master: [MasterRecord] = [
            .agent("a", nil), .framework("f", nil), .weight(role: "eng", nil),
            .quota(role: "eng", nil), .whitelist(nil), .priorityLimit(role: "eng", nil),
        ]
        for record in master {
            let stored = WireCodec.encode(record)
            #expect(stored.value == nil)
            #expect(try WireCodec.decodeMasterRecord(stored) == record)
        }
        let agent: [AgentRecord] = [
            .framework("f", nil), .executor(ExecutorKey("f", "e"), nil),
            .task(TaskKey("f", "t"), nil), .update(TaskKey("f", "t"), sequence: 3, nil),
        ]
        for record in agent {
            let stored = WireCodec.encode(record)
            #expect(stored.value == nil)
            #expect(try WireCodec.decodeAgentRecord(stored) == record)
        }
    }

    @Test("facts about different things have different keys")
    func keys() {
        let records: [AgentRecord] = [
            .task(TaskKey("f", "t"), nil), .task(TaskKey("ft", ""), nil),
            .task(TaskKey("", "ft"), nil), .update(TaskKey("f", "t"), sequence: 1, nil),
            .update(TaskKey("f", "t1"), sequence: 1, nil),
            .update(TaskKey("f", "t"), sequence: 11, nil),
            .executor(ExecutorKey("f", "t"), nil),
        ]
        let keys = records.map { WireCodec.encode($0) }.map { $0.kind + "|" + $0.key }
        #expect(Set(keys).count == keys.count)
    }

    @Test("a time that is read is written as it was read")
    func timeIsStable() throws {
        for nanoseconds in [1_700_000_000_123_456_789, 1, -1, 999] as [Int64] {
            let status = TaskStatus(
                taskID: "t", state: .running,
                timestamp: WallTime(nanosecondsSince1970: nanoseconds))
            let once = try WireCodec.decodeSchedulerEvent(WireCodec.encode(.update(status)))
            let event = try #require(once)
            #expect(try WireCodec.decodeSchedulerEvent(WireCodec.encode(event)) == event)
        }
    }

    @Test(
        "a duration in seconds keeps its nanoseconds",
        arguments: [5.3, 0.1, 0.000_000_001, 2.5, -0.25, 100_000.000_001] as [Double])
    func durations(seconds: Double) throws {
        let call = FrameworkCall(
            call: .decline(
                offers: [], filters: Filters(refuse: .nanoseconds(Int64((seconds * 1e9).rounded())))
            ))
        #expect(try WireCodec.decodeFrameworkCall(WireCodec.encode(call)) == call)
    }
}

@Suite("Fixtures")
struct FixtureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures")
    private static let isRewriting =
        ProcessInfo.processInfo.environment["PROFFER_REWRITE_FIXTURES"] == "1"

    private func text(_ samples: [Sample]) -> String {
        samples.map { sample in
            var lines = [sample.name]
            for start in stride(from: 0, to: sample.bytes.count, by: 32) {
                let row = sample.bytes[start..<min(start + 32, sample.bytes.count)]
                lines.append(
                    "  "
                        + row.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
                        .joined(separator: " "))
            }
            return lines.joined(separator: "\n") + "\n"
        }.joined(separator: "\n")
    }

    /// What peers of other releases send and stores of earlier ones hold.
    ///
    /// When this fails, the
    /// bytes on the wire have changed: if that is meant, run the tests once with
    /// `PROFFER_REWRITE_FIXTURES=1` and review the difference.
    @Test("the bytes of every message stay what they are", arguments: Samples.all.map(\.file))
    func golden(file: String) throws {
        let samples = try #require(Samples.all.first { $0.file == file }?.samples)
        let path = Self.folder.appendingPathComponent(file + ".txt")
        if Self.isRewriting {
            try text(samples).write(to: path, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: path, encoding: .utf8) == text(samples))
    }

    @Test("every sample has a name of its own within its file")
    func names() {
        for (_, samples) in Samples.all {
            #expect(Set(samples.map(\.name)).count == samples.count)
        }
    }
}
