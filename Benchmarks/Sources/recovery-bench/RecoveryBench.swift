import ArgumentParser
import BenchSupport
import Foundation

@main
struct RecoveryBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recovery-bench",
        abstract: "Measure failover, updates and reconciliation, with the bytes of the wire.",
        discussion: """
            Master and driver are the ones that run in a cluster, and every message is encoded and \
            decoded as there; agents are played. One thread, no network, no disk. Times are CPU \
            time of the thread, medians of the runs.
            """)

    @Flag(help: "Few and small cells.")
    var quick = false

    @Option(help: "How often each cell is measured.")
    var runs = 3

    @Flag(inversion: .prefixedNo, help: "Whether to measure the machine too.")
    var calibration = true

    @Option(help: "Only figures whose name begins so; may be repeated.")
    var only: [String] = []

    func run() throws {
        let start = calibrated()
        var figures: [Figure] = []
        for cell in Cell.all(quick: quick) where isWanted(cell.name) {
            let samples = (0..<max(1, runs)).map { _ in cell.measure() }
            let figure = Figure(cell, samples.sorted())
            FileHandle.standardError.write(Data((figure.line + "\n").utf8))
            figures.append(figure)
        }
        let end = calibrated()
        FileHandle.standardError.write(
            Data(
                """
                calibration: xorshift \(start.xorshiftSeconds) and \(end.xorshiftSeconds) s, \
                chase \(start.chaseNanoseconds) and \(end.chaseNanoseconds) ns

                """.utf8))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(
            String(
                decoding: try encoder.encode(
                    Report(calibrations: [start, end], figures: figures)), as: UTF8.self))
    }

    private func calibrated() -> Calibration {
        calibration
            ? Calibration.measured() : Calibration(xorshiftSeconds: 0, chaseNanoseconds: 0)
    }

    private func isWanted(_ name: String) -> Bool {
        only.isEmpty || only.contains { name.lowercased().hasPrefix($0.lowercased()) }
    }
}

struct Report: Encodable {
    var calibrations: [Calibration]
    var figures: [Figure]
}

/// One thing that is measured.
struct Cell {
    var name: String
    var unit: String
    var bar: String
    /// One sample.
    var measure: () -> Double

    static func all(quick: Bool) -> [Cell] {
        Failover.cells(quick: quick) + Updates.cells(quick: quick)
            + Reconciliation.cells(quick: quick)
    }
}

/// What was measured of one thing.
struct Figure: Encodable {
    var name: String
    var unit: String
    var bar: String
    var median: Double
    var lowest: Double
    var highest: Double

    init(_ cell: Cell, _ samples: [Double]) {
        name = cell.name
        unit = cell.unit
        bar = cell.bar
        median = samples[samples.count / 2]
        lowest = samples[0]
        highest = samples[samples.count - 1]
    }

    var line: String {
        func short(_ value: Double) -> String {
            String(format: value < 100 ? "%.3f" : "%.0f", value)
        }
        return "\(name): \(short(median)) \(unit) (\(short(lowest)) to \(short(highest)))"
            + (bar.isEmpty ? "" : ", bar \(bar)")
    }
}
