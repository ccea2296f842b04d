import ArgumentParser
import BenchSupport
import Foundation

/// Draws the grid of full cycles, Mesos dashed and ours solid, on logarithmic scales.
struct Chart: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw the full cycles of a report as SVG.")

    @Argument(help: "The JSON document of a run.")
    var input: String

    @Argument(help: "Where the picture goes.")
    var output: String

    func run() throws {
        let report = try JSONDecoder().decode(
            Report.self, from: Data(contentsOf: URL(fileURLWithPath: input)))
        let cycles = report.rows.filter { $0.name == "full cycle" && $0.problem == nil }
        guard cycles.count > 1 else {
            throw ValidationError("'\(input)' has no full cycles; run the whole DeclineOffers")
        }
        try Plot(cycles).svg.write(toFile: output, atomically: true, encoding: .utf8)
    }
}

private struct Plot {
    private struct Line {
        var label: String
        var style: String
        var points: [(x: Double, y: Double)]
    }

    private static let left = 62.0
    private static let right = 566.0
    private static let top = 62.0
    private static let bottom = 388.0

    private var lines: [Line] = []
    private var xs: [Double]
    private var low = 0.0
    private var high = 0.0

    /// Three of the framework counts are enough for the eye.
    init(_ cycles: [Row]) {
        let counts = Set(cycles.compactMap { $0.parameters["frameworks"] }).sorted()
        let shown =
            counts.count > 3 ? [counts[0], counts[counts.count / 2 - 1], counts.last ?? 0] : counts
        xs = Set(cycles.compactMap { $0.parameters["agents"] }).sorted().map(Double.init)
        for (index, count) in shown.enumerated() {
            let rows = cycles.filter { $0.parameters["frameworks"] == count }
                .sorted { ($0.parameters["agents"] ?? 0) < ($1.parameters["agents"] ?? 0) }
            func points(_ value: (Row) -> Double?) -> [(x: Double, y: Double)] {
                rows.compactMap { row in
                    guard let y = value(row), let x = row.parameters["agents"] else { return nil }
                    return (Double(x), y)
                }
            }
            let label = Self.grouped(Double(count))
            lines.append(Line(label: label, style: "m s\(index)", points: points(Self.scaledMesos)))
            lines.append(Line(label: label, style: "p s\(index)", points: points { $0.median }))
        }
        let values = lines.flatMap { $0.points.map(\.y) }
        low = floor(log10(values.min() ?? 1))
        high = ceil(log10(values.max() ?? 10))
    }

    /// What Mesos would take on this machine, by the calibration that flatters us less.
    private static func scaledMesos(_ row: Row) -> Double? { row.ratio.map { $0 * row.median } }

    private func x(_ value: Double) -> Double {
        let (first, last) = (log10(xs.first ?? 1), log10(xs.last ?? 10))
        return Self.left + (log10(value) - first) / (last - first) * (Self.right - Self.left)
    }

    private func y(_ value: Double) -> Double {
        Self.bottom - (log10(value) - low) / (high - low) * (Self.bottom - Self.top)
    }

    var svg: String {
        var drawing = Drawing(
            height: 450, label: "Milliseconds to offer every agent, by agents and frameworks",
            title: "Offering every agent once: milliseconds of CPU",
            subtitle: """
                by number of agents, for 1 to 1,000 frameworks; Mesos' figures scaled to this \
                machine
                """,
            style: "stroke-dasharray: 6 5; opacity: 0.75",
            frame: (Self.left, Self.right, Self.top, Self.bottom))
        for exponent in Int(low)...Int(high) {
            let value = pow(10, Double(exponent))
            drawing.addLevel(at: y(value), Self.grouped(value))
        }
        for value in xs { drawing.addTick(at: x(value), Self.grouped(value)) }
        drawing.addName("agents")
        for line in lines where line.points.count > 1 {
            drawing.addLine(line.points.map { (x($0.x), y($0.y)) }, "l " + line.style)
        }
        addLabels(to: &drawing)
        return drawing.svg
    }

    /// At the end of each line, moved apart where they would overlap.
    private func addLabels(to drawing: inout Drawing) {
        for (style, name) in [("m", "Mesos"), ("p", "Proffer")] {
            let ends = lines.filter { $0.style.hasPrefix(style + " ") }
                .compactMap { line in line.points.last.map { (line, y($0.y)) } }
                .sorted { $0.1 < $1.1 }
            let middle = ends.reduce(0) { $0 + $1.1 } / Double(max(1, ends.count))
            var height = middle - 17 * Double(ends.count - 1) / 2
            for (line, _) in ends {
                drawing.addLine([(576, height), (598, height)], "l " + line.style)
                drawing.addText("\(name), \(line.label)", x: 604, y: height + 4)
                height += 17
            }
        }
    }

    private static func grouped(_ value: Double) -> String {
        value < 1000 ? short(value) : Drawing.grouped(Int(value))
    }
}
