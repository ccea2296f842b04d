import ArgumentParser
import ClusterSupport
import Foundation

@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a cluster of real processes, beside what the machine can do without it.",
        discussion: """
            Every figure is the median of the runs; ratios are taken within one run. Writes a \
            table to standard error and JSON to standard output.
            """)

    @Option(help: "The directory of the release binaries of the package.")
    var binaries = ".build/release"

    @Option(help: "How many runs.")
    var runs = 5

    @Option(help: "No-op tasks per run for the throughput.")
    var tasks = 2000

    @Option(help: "Tasks per run, one at a time, for the latencies.")
    var samples = 200

    @Option(help: "How tasks are kept apart: process or cgroup, as the agent has it; root only.")
    var isolation = "process"

    func run() async throws {
        let cluster = try Cluster(
            binaries: binaries, agents: 1, resources: "cpus:2;mem:8192;disk:1024",
            isolation: isolation)
        defer { cluster.stop() }
        var results = Results()
        let driver = try await Driver(cluster.connection)
        results.masterIdle = Cluster.residentBytes(cluster.master.processIdentifier)
        results.agentIdle = Cluster.residentBytes(cluster.agents[0].processIdentifier)
        _ = try await driver.run(total: 20, atOnce: 1)
        results.executorIdle = cluster.executors.map(Cluster.residentBytes).max() ?? 0
        for index in 1...max(1, runs) {
            let spawn1 = RawRates.spawns(threads: 1, seconds: 1)
            let spawn2 = RawRates.spawns(threads: 2, seconds: 1)
            let trips = try RawRates.roundTrips(seconds: 1)
            let single = try await driver.run(total: samples, atOnce: 1)
            let before = cluster.processorTime
            let many = try await driver.run(total: tasks, atOnce: 100)
            let used = cluster.processorTime - before
            results.runs.append(
                Results.Run(
                    spawn1: spawn1, spawn2: spawn2, roundTrips: trips,
                    start50: percentile(single.starts, 50), start99: percentile(single.starts, 99),
                    offer50: percentile(single.offers, 50), offer99: percentile(single.offers, 99),
                    throughput: Double(many.tasks) / many.elapsed,
                    processorTime: used / Double(max(1, many.tasks)),
                    failures: single.failures + many.failures))
            FileHandle.standardError.write(Data("run \(index) of \(runs)\n".utf8))
        }
        results.masterAfter = Cluster.residentBytes(cluster.master.processIdentifier)
        results.agentAfter = Cluster.residentBytes(cluster.agents[0].processIdentifier)
        results.executorAfter = cluster.executors.map(Cluster.residentBytes).max() ?? 0
        try await driver.stop()
        FileHandle.standardError.write(Data(results.table.utf8))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(String(decoding: try encoder.encode(results.json), as: UTF8.self))
    }
}
