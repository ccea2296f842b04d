import BenchSupport
import Foundation

/// A figure beside Mesos' and beside its bar.
struct Row: Codable {
    var name: String
    var variant: String
    var parameters: [String: Int]
    var unit: String
    var samples: [Double]
    var median: Double
    var low: Double
    var high: Double
    /// Elapsed time; `nil` where the unit is not one of time.
    var wallMedian: Double?
    var mesos: Double?
    var mesosNote: String?
    /// How many times less than Mesos; times are scaled by each of the calibrations.
    var ratioByXorshift: Double?
    var ratioByChase: Double?
    /// The smaller of the two.
    var ratio: Double?
    var bar: Bar?
    /// `pass` or `miss`; `nil` without a bar.
    var verdict: String?
    var problem: String?

    init(_ measurement: Measurement, _ calibration: Calibration) {
        name = measurement.name
        variant = measurement.variant
        parameters = measurement.parameters
        unit = measurement.unit
        samples = measurement.samples
        median = samples.isEmpty ? 0 : allocator_bench.median(samples)
        low = samples.min() ?? 0
        high = samples.max() ?? 0
        problem = measurement.problem
        if !measurement.wallSamples.isEmpty {
            wallMedian = allocator_bench.median(measurement.wallSamples)
        }
        if let figure = MesosFigures.figure(for: measurement) {
            mesos = figure.value
            mesosNote = figure.note.isEmpty ? nil : figure.note
            // A clock cannot tell less than this; nothing is faster than it shows.
            let plain = figure.value / max(median, 1e-4)
            let theirs = MesosFigures.calibration
            let isTime = wallMedian != nil
            ratioByXorshift =
                plain * (isTime ? calibration.xorshiftSeconds / theirs.xorshiftSeconds : 1)
            ratioByChase =
                plain * (isTime ? calibration.chaseNanoseconds / theirs.chaseNanoseconds : 1)
            ratio = min(ratioByXorshift ?? plain, ratioByChase ?? plain)
        }
        bar = Bar.bar(for: measurement)
        verdict = bar.map { isReached($0) ? "pass" : "miss" }
        // A cell that came to no result has no names for its bars.
        if samples.isEmpty { verdict = "miss" }
    }

    private func isReached(_ bar: Bar) -> Bool {
        if problem != nil { return false }
        switch bar.kind {
        case .timesFaster: return (ratio ?? 0) >= bar.value
        case .atMost: return median <= bar.value
        }
    }
}

/// Everything that a run has found.
struct Report: Codable {
    struct Machine: Codable {
        var processor: String
        var cores: Int
        var memoryMegabytes: Int
        var system: String
        /// Of both ends of the run, the faster one.
        var calibration: Calibration
        var calibrationAtStart: Calibration
        var calibrationAtEnd: Calibration
    }

    var subject: String
    var machine: Machine
    var mesosCalibration = MesosFigures.calibration
    var seconds: Double
    var rows: [Row]

    /// A line for each figure, for people.
    var table: String {
        var text = ""
        var last = ""
        for row in rows {
            if row.name != last { text += "\n\(row.name)\n" }
            last = row.name
            text += line(row) + "\n"
        }
        let judged = rows.filter { $0.verdict != nil }
        let missed = judged.filter { $0.verdict == "miss" }
        text += "\n\(judged.count - missed.count) of \(judged.count) bars are reached\n"
        return text
    }

    private func line(_ row: Row) -> String {
        let what = [row.variant, Cell.text(row.parameters)].filter { !$0.isEmpty }
            .joined(separator: "; ")
        var text = "  " + pad(what, 58)
        text += padLeft(row.samples.isEmpty ? "–" : short(row.median), 10) + " " + pad(row.unit, 8)
        text += pad(row.samples.count > 1 ? "\(short(row.low))–\(short(row.high))" : "", 18)
        text += padLeft(row.mesos.map(short) ?? "", 8)
        text += padLeft(row.ratio.map { short($0) + "×" } ?? "", 11)
        text += "  " + pad(row.bar?.text ?? "", 8) + (row.verdict ?? "")
        if let problem = row.problem { text += "  (\(problem))" }
        if let note = row.mesosNote { text += "  [Mesos: \(note)]" }
        return text
    }

    static let header =
        "  " + pad("", 58) + padLeft("median", 10) + " " + pad("unit", 8) + pad("range", 18)
        + padLeft("Mesos", 8) + padLeft("ratio", 11) + "  " + pad("bar", 8) + "verdict"
}

/// A number with three digits that count.
func short(_ value: Double) -> String {
    if value.isNaN { return "–" }
    let size = abs(value)
    if size >= 100 || size == size.rounded() { return String(Int(value.rounded())) }
    return String(format: size >= 10 ? "%.1f" : size >= 1 ? "%.2f" : "%.3g", value)
}

func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

func padLeft(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}
