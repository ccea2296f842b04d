import ArgumentParser
import BenchSupport
import Foundation
import ProfferSimulation

@main
struct ScaleBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale-bench",
        abstract: "Let tens of thousands of agents work in virtual time, as the Mesos paper did.",
        subcommands: [Run.self, Chart.self], defaultSubcommand: Run.self)
}

/// What one size of cluster came to; times in seconds.
struct Row: Codable {
    var agents: Int
    var frameworks: Int
    /// Single tasks of new frameworks: what they took beyond their own ten seconds.
    var single: [Double]
    /// All tasks that began after the warm-up and ended.
    var tasks: Int
    var median: Double
    var ninetyNine: Double
    var longest: Double
    var failures: Int
    var running: Int
    /// The part of the time in which the master was busy.
    var load: Double
    var events: UInt64
    /// Processor time of the run.
    var seconds: Double

    init(_ scale: ScaleConfiguration, _ report: ScaleReport, seconds: Double) {
        func quantile(_ part: Double) -> Double {
            guard !report.tasks.isEmpty else { return 0 }
            let place = Int(Double(report.tasks.count - 1) * part)
            return report.tasks[place] / .seconds(1)
        }
        agents = scale.agents
        frameworks = scale.frameworks
        single = report.probes.map { $0 / .seconds(1) }
        tasks = report.tasks.count
        median = quantile(0.5)
        ninetyNine = quantile(0.99)
        longest = quantile(1)
        failures = report.failures
        running = report.running
        load = report.masterBusy / report.measured
        events = report.events
        self.seconds = seconds
    }

    var mean: Double { single.isEmpty ? 0 : single.reduce(0, +) / Double(single.count) }
}

struct Report: Codable {
    var processor: String
    var rows: [Row]
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run clusters of several sizes (default).",
        discussion: """
            Each agent has room for two tasks, which run for 30 s with a standard deviation of \
            10 s; each framework launches one task on every agent that it is offered. When all is \
            full, new frameworks come one after the other, each with a single task of 10 s. \
            Printed is what tasks took beyond their own time. The turns of the master take as long \
            in virtual time as their processor time is here, a simulated network included; \
            encoding and sockets are not in it.
            """)

    @Option(help: "Numbers of agents, with commas between them.")
    var agents = "1000,5000,10000,20000,50000"

    @Option(help: "How many frameworks share them.")
    var frameworks = 200

    @Option(help: "Virtual seconds before anything is measured.")
    var warmUp = 30

    @Option(help: "Where the JSON document goes.")
    var json: String?

    func run() throws {
        let sizes = agents.split(separator: ",").compactMap { Int($0) }
        guard !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--agents takes numbers with commas between them")
        }
        var rows: [Row] = []
        for size in sizes {
            var scale = ScaleConfiguration()
            scale.agents = size
            scale.frameworks = frameworks
            scale.warmUp = .seconds(warmUp)
            scale.stopwatch = { Int64(Usage.threadSeconds() * 1e9) }
            let start = Usage.threadSeconds()
            let report = Simulation.run(scale)
            let row = Row(scale, report, seconds: Usage.threadSeconds() - start)
            rows.append(row)
            print(Self.line(row))
        }
        guard let json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(Report(processor: Usage.processorName(), rows: rows))
            .write(to: URL(fileURLWithPath: json))
    }

    private static func line(_ row: Row) -> String {
        let single = row.single.map { String(format: "%.2f", $0) }.joined(separator: " ")
        return "\(row.agents) agents, \(row.frameworks) frameworks: single tasks + \(single) s; "
            + String(
                format: "%d tasks + %.3f s (median), %.3f s (99 %%), %.3f s (most); ", row.tasks,
                row.median, row.ninetyNine, row.longest)
            + "\(row.failures) failed, \(row.running) run; "
            + String(
                format: "master busy %.0f %%; %llu events in %.0f s", row.load * 100, row.events,
                row.seconds)
    }
}
