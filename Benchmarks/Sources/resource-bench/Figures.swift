import BenchSupport
import Foundation

/// One figure: the times of one operation in several runs.
struct Figure: Encodable {
    var name: String
    /// Microseconds for one operation, sorted.
    var microseconds: [Double]
    /// The median as a multiple of a million xorshift64 steps of the same run.
    var megasteps: Double

    var median: Double { microseconds[microseconds.count / 2] }
}

/// Everything that one run of the bench has found out.
struct Report: Encodable {
    var calibration: Calibration
    var runs: Int
    /// Bytes of one `Resource` in an array.
    var resourceStride: Int
    var figures: [Figure]

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    var table: String {
        var text = String(
            format: "xorshift64, 10^9 steps: %.3f s\npointer chase: %.1f ns a step\n",
            calibration.xorshiftSeconds, calibration.chaseNanoseconds)
        text += "bytes of a resource: \(resourceStride)\n\n"
        text += line("operation", ["median µs", "lowest", "highest"])
        for figure in figures {
            let values = [
                figure.median, figure.microseconds.first ?? .nan, figure.microseconds.last ?? .nan,
            ]
            text += line(figure.name, values.map { String(format: $0 < 10 ? "%.4f" : "%.1f", $0) })
        }
        return text
    }

    private func line(_ name: String, _ cells: [String]) -> String {
        var text = name + String(repeating: " ", count: max(1, 56 - name.count))
        for cell in cells { text += String(repeating: " ", count: max(1, 12 - cell.count)) + cell }
        return text + "\n"
    }
}

/// Takes figures, each as the median of some runs.
struct Stopwatch {
    let runs: Int
    let calibration: Calibration
    /// Only figures whose names have this in them are taken; all of them when it is empty.
    let selection: String
    private(set) var figures: [Figure] = []

    init(runs: Int, calibration: Calibration, selection: String) {
        self.runs = runs
        self.calibration = calibration
        self.selection = selection
    }

    /// Times `work`, which does `operations` operations on what `prepare` made.
    mutating func time<State>(
        _ name: String, operations: Int, on prepare: @autoclosure () -> State,
        _ work: (inout State) -> Void
    ) {
        guard selection.isEmpty || name.contains(selection) else { return }
        var times: [Double] = []
        for _ in 0..<runs {
            var state = prepare()
            let spent = ContinuousClock().measure { work(&state) }
            Calibration.keep(state)
            times.append(Calibration.seconds(spent) * 1e6 / Double(operations))
        }
        times.sort()
        // 10⁹ steps take xorshiftSeconds: a million take that many milliseconds.
        let megastep = calibration.xorshiftSeconds * 1000
        figures.append(
            Figure(
                name: name, microseconds: times, megasteps: times[times.count / 2] / megastep))
    }
}
