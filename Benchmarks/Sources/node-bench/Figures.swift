import ClusterSupport
import Foundation

/// What was measured: a list of figures, each with its values in the runs.
struct Figures {
    private struct Figure {
        var name: String
        var unit: String
        var bar: String
        var values: [Double]
    }

    private var figures: [Figure] = []
    private var gaps: [String] = []

    mutating func add(_ name: String, _ unit: String, _ value: Double, bar: String = "") {
        if let index = figures.firstIndex(where: { $0.name == name }) {
            figures[index].values.append(value)
        } else {
            figures.append(Figure(name: name, unit: unit, bar: bar, values: [value]))
        }
    }

    /// Says that something was not measured.
    mutating func leave(_ name: String, because reason: String) {
        gaps.append("\(name): not measured, \(reason)")
    }

    var table: String {
        var text = Self.line(["figure", "unit", "median", "lowest", "highest", "bar"])
        for figure in figures {
            let values = figure.values.sorted()
            let cells = [percentile(values, 50), values.first ?? .nan, values.last ?? .nan]
            text += Self.line(
                [figure.name, figure.unit]
                    + cells.map { String(format: abs($0) < 10 ? "%.3f" : "%.1f", $0) }
                    + [figure.bar])
        }
        return text + gaps.map { $0 + "\n" }.joined()
    }

    private static func line(_ cells: [String]) -> String {
        let widths = [58, 12, 12, 12, 12, 8]
        return zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: max(1, width - cell.count))
        }.joined() + "\n"
    }
}
