import ClusterProbe
import Foundation
import ProcessProbe
import Testing

/// What a jump of the wall clock does: nothing.
@Suite(
    "Jumps of the clock", .timeLimit(.minutes(10)),
    .enabled(if: FakeTime.library != nil, "libfaketime is not installed"))
struct ClockTests {
    @Test(
        "no session, offer or task ends because the wall clock jumps",
        arguments: ["+3600", "-3600", "+2592000"])
    func jump(_ seconds: String) async throws {
        try await withBench { bench in
            let file = bench.cluster.directory.file("faketime")
            try TextFile.write("+0", to: file)
            let environment = try FakeTime.environment(file)
            // The library hides a program's arguments from it.
            let master = try await bench.cluster.startMaster(
                environment: environment.merging(
                    FakeTime.settings("MASTER", bench.cluster.masterArguments())
                ) { $1 })
            let agent = try await bench.startAgent(
                environment: environment.merging(
                    FakeTime.settings(
                        "AGENT",
                        try bench.cluster.agentArguments(0) + bench.agentSettings)
                ) { $1 })
            let framework = try bench.startFramework(environment: environment)
            try await eventually("the task to run") { bench.states().contains("TASK_RUNNING") }
            let lines = (master.output + agent.output).split(separator: "\n").count
            try TextFile.write(seconds, to: file)
            let probe = try bench.cluster.probe()
            _ = try await probe.subscribed()
            let distance = try FakeTime.newest(in: master.output).timeIntervalSinceNow
            #expect(abs(distance - (Double(seconds) ?? 0)) < 300, "the clock has not jumped")
            let task = try await eventually("the task to say so") { bench.starts().first }
            #expect(ProcessTable.isAlive(task))
            try await eventually("the end of the task") {
                bench.openGate()
                return bench.end() != nil
            }
            #expect(bench.states() == ["TASK_RUNNING", "TASK_FINISHED"])
            let told = (master.output + agent.output).split(separator: "\n").dropFirst(lines)
            #expect(!told.contains { $0.contains("lost") || $0.contains("disconnected") })
            #expect(!framework.output.contains("disconnected"))
            await probe.stop(teardown: true)
        }
    }
}

/// The library that gives a process another wall clock.
enum FakeTime {
    static let library = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ].first { FileManager.default.fileExists(atPath: $0) }

    /// A daemon's flags as variables of its environment.
    static func settings(_ daemon: String, _ arguments: [String]) -> [String: String] {
        var found: [String: String] = [:]
        for index in stride(from: 0, to: arguments.count - 1, by: 2) {
            let name = arguments[index].dropFirst(2).uppercased()
                .replacingOccurrences(of: "-", with: "_")
            found["PROFFER_\(daemon)_\(name)"] = arguments[index + 1]
        }
        return found
    }

    /// When the last line of a log was written, as its writer believes.
    static func newest(in log: String) throws -> Date {
        let formatter = DateFormatter()
        formatter.dateFormat = "yyyy-MM-dd'T'HH:mm:ssZ"
        let line = try log.split(separator: "\n").last.orThrow("no line")
        return try formatter.date(from: String(line.prefix(24))).orThrow("no time in '\(line)'")
    }

    /// Takes the distance to the true time from a file, whenever that is asked for.
    static func environment(_ file: String) throws -> [String: String] {
        [
            "LD_PRELOAD": try library.orThrow("no library"), "FAKETIME_TIMESTAMP_FILE": file,
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        ]
    }
}
