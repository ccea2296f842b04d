import ArgumentParser
import BenchSupport
import Foundation

@main
struct RegistryBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry-bench",
        abstract: "Measure registries, and how long a cluster is without a leading master.",
        discussion: """
            Times are elapsed time, because disks and leases are what is measured; the calibration \
            of the same run stands beside them. Writes a table to standard output.
            """)

    @Option(help: "The directory of the release binaries of the package.")
    var binaries = ".build/release"

    @Option(help: "How many runs.")
    var runs = 5

    @Option(help: "How many agents the registries hold.")
    var agents = 50_000

    @Option(help: "How many agents are back after a restart of the master.")
    var returning = 1000

    @Option(help: "Only this: registry, restart or failover.")
    var only: String?

    func run() async throws {
        let calibration = Calibration.measured()
        print(
            "calibration: xorshift \(format(calibration.xorshiftSeconds)) s, chase"
                + " \(format(calibration.chaseNanoseconds)) ns, \(format(Disk.syncs())) flushes of"
                + " 4 KiB per second")
        if only == nil || only == "registry" {
            for place in ["sqlite", "etcd"] {
                var lines: [String: [Double]] = [:]
                for _ in 0..<runs {
                    for (name, value) in try await Registries.measure(place, agents: agents) {
                        lines[name, default: []].append(value)
                    }
                }
                for name in lines.keys.sorted() {
                    print("\(place): \(agents) agents \(name): \(summary(lines[name] ?? []))")
                }
            }
        }
        if only == nil || only == "restart" {
            var served: [Double] = []
            var back: [Double] = []
            for _ in 0..<runs {
                let times = try await Restart.measure(binaries: binaries, agents: returning)
                served.append(times.served)
                back.append(times.back)
            }
            print("restart, \(returning) agents: to the first offer: \(summary(served))")
            print("restart, \(returning) agents: all back: \(summary(back))")
        }
        if only == nil || only == "failover" {
            var times: [Double] = []
            for _ in 0..<runs { times.append(try await Failover.measure(binaries: binaries)) }
            print("failover, etcd, lease 3 s: killed to offer of the next: \(summary(times))")
        }
    }

    private func summary(_ values: [Double]) -> String {
        let sorted = values.sorted()
        guard let first = sorted.first, let last = sorted.last else { return "-" }
        return "\(format(sorted[sorted.count / 2])) (\(format(first))-\(format(last)))"
    }

    private func format(_ value: Double) -> String {
        String(format: value < 100 ? "%.3f" : "%.0f", value)
    }
}

struct BenchProblem: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A directory of its own on the disk, removed at the end.
final class Scratch {
    let path: String

    init() throws {
        var name = Array("/tmp/proffer-registry-bench-XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { throw BenchProblem("no directory below /tmp") }
        path = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

enum Disk {
    /// How often a second 4 KiB are written and flushed.
    static func syncs() -> Double {
        guard let scratch = try? Scratch() else { return 0 }
        let file = open(scratch.path + "/sync", O_RDWR | O_CREAT, 0o600)
        defer { close(file) }
        let block = [UInt8](repeating: 1, count: 4096)
        let begin = ContinuousClock.now
        var count = 0.0
        while ContinuousClock.now - begin < .seconds(1) {
            guard pwrite(file, block, block.count, 0) == block.count, fdatasync(file) == 0 else {
                return 0
            }
            count += 1
        }
        return count / Calibration.seconds(ContinuousClock.now - begin)
    }
}
