import ArgumentParser
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

    private static func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private static let style = """
        <style>
        text { font: 13px system-ui, sans-serif; fill: #24292f }
        .t { font-size: 15px; font-weight: 600 }
        .a { fill: #57606a }
        .g { stroke: #d0d7de; stroke-width: 1 }
        .l { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
        .m { stroke-dasharray: 6 5; opacity: 0.75 }
        .s0 { stroke: #0969da } .s1 { stroke: #1a7f37 } .s2 { stroke: #bc4c00 }
        @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 }
        .a { fill: #9198a1 }
        .g { stroke: #3d444d }
        .s0 { stroke: #4493f8 } .s1 { stroke: #3fb950 } .s2 { stroke: #f0883e }
        }
        </style>
        """

    var svg: String {
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 450" role="img" \
            aria-label="Milliseconds to offer every agent, by agents and frameworks">
            \(Self.style)
            <text class="t" x="16" y="26">Offering every agent once: milliseconds of CPU</text>
            <text class="a" x="16" y="45">by number of agents, for 1 to 1,000 frameworks; Mesos' \
            figures scaled to this machine</text>

            """
        text += axes
        for line in lines where line.points.count > 1 {
            let points = line.points.map { Self.number(x($0.x)) + "," + Self.number(y($0.y)) }
            text +=
                "<polyline class=\"l \(line.style)\" points=\"\(points.joined(separator: " "))\""
            text += "/>\n"
        }
        return text + labels + "</svg>\n"
    }

    private var axes: String {
        var text = ""
        for exponent in Int(low)...Int(high) {
            let value = pow(10, Double(exponent))
            let height = Self.number(y(value))
            text += "<line class=\"g\" x1=\"\(Self.number(Self.left))\" "
            text += "x2=\"\(Self.number(Self.right))\" y1=\"\(height)\" y2=\"\(height)\"/>\n"
            text += "<text class=\"a\" x=\"\(Self.number(Self.left - 8))\" "
            text += "y=\"\(Self.number(y(value) + 4))\" text-anchor=\"end\">"
            text += "\(Self.grouped(value))</text>\n"
        }
        for value in xs {
            text += "<text class=\"a\" x=\"\(Self.number(x(value)))\" "
            text += "y=\"\(Self.number(Self.bottom + 22))\" text-anchor=\"middle\">"
            text += "\(Self.grouped(value))</text>\n"
        }
        text += "<text class=\"a\" x=\"\(Self.number((Self.left + Self.right) / 2))\" "
        return text + "y=\"436\" text-anchor=\"middle\">agents</text>\n"
    }

    /// At the end of each line, moved apart where they would overlap.
    private var labels: String {
        var text = ""
        for (style, name) in [("m", "Mesos"), ("p", "Proffer")] {
            let ends = lines.filter { $0.style.hasPrefix(style + " ") }
                .compactMap { line in line.points.last.map { (line, y($0.y)) } }
                .sorted { $0.1 < $1.1 }
            let middle = ends.reduce(0) { $0 + $1.1 } / Double(max(1, ends.count))
            var height = middle - 17 * Double(ends.count - 1) / 2
            for (line, _) in ends {
                let colour = line.style.split(separator: " ").last ?? ""
                let at = Self.number(height)
                text += "<line class=\"l \(line.style)\" x1=\"576\" x2=\"598\" y1=\"\(at)\" "
                text += "y2=\"\(at)\"/>\n<text class=\"k\(colour)\" x=\"604\" "
                text += "y=\"\(Self.number(height + 4))\">\(name), \(line.label)</text>\n"
                height += 17
            }
        }
        return text
    }

    private static func grouped(_ value: Double) -> String {
        if value < 1000 { return short(value) }
        return "\(Int(value) / 1000),\(String(format: "%03d", Int(value) % 1000))"
    }
}
