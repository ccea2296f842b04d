import ArgumentParser
import Foundation

/// Draws what tasks took beyond their own time, by the number of agents.
struct Chart: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Draw a report as SVG.")

    @Argument(help: "The JSON document of a run.")
    var input: String

    @Argument(help: "Where the picture goes.")
    var output: String

    func run() throws {
        let report = try JSONDecoder().decode(
            Report.self, from: Data(contentsOf: URL(fileURLWithPath: input)))
        guard report.rows.count > 1 else {
            throw ValidationError("'\(input)' has one size of cluster only")
        }
        try Plot(report.rows).svg.write(toFile: output, atomically: true, encoding: .utf8)
    }
}

private struct Plot {
    private static let left = 62.0
    private static let right = 556.0
    private static let top = 70.0
    private static let bottom = 358.0

    private let rows: [Row]
    private let high: Double

    init(_ rows: [Row]) {
        self.rows = rows.sorted { $0.agents < $1.agents }
        let most = rows.flatMap { $0.single + [$0.ninetyNine] }.max() ?? 1
        high = max(1.2, (most * 1.1 * 5).rounded(.up) / 5)
    }

    private func x(_ agents: Int) -> Double {
        let (first, last) = (log10(Double(rows[0].agents)), log10(Double(rows.last?.agents ?? 10)))
        let part = (log10(Double(agents)) - first) / (last - first)
        return Self.left + part * (Self.right - Self.left)
    }

    private func y(_ seconds: Double) -> Double {
        Self.bottom - seconds / high * (Self.bottom - Self.top)
    }

    private static func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private static let style = """
        <style>
        text { font: 13px system-ui, sans-serif; fill: #24292f }
        .t { font-size: 15px; font-weight: 600 }
        .a { fill: #57606a }
        .g { stroke: #d0d7de; stroke-width: 1 }
        .l { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
        .m { stroke: #57606a; stroke-dasharray: 6 5 }
        .s0 { stroke: #0969da } .s1 { stroke: #1a7f37 } .s2 { stroke: #bc4c00 }
        @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 }
        .a { fill: #9198a1 }
        .g { stroke: #3d444d }
        .m { stroke: #9198a1 }
        .s0 { stroke: #4493f8 } .s1 { stroke: #3fb950 } .s2 { stroke: #f0883e }
        }
        </style>
        """

    var svg: String {
        let series: [(String, (Row) -> Double)] = [
            ("single tasks, mean", { $0.mean }), ("all tasks, 99 %", { $0.ninetyNine }),
            ("all tasks, median", { $0.median }),
        ]
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 420" role="img" \
            aria-label="Seconds that tasks take beyond their own time, by number of agents">
            \(Self.style)
            <text class="t" x="16" y="26">What tasks take beyond their own time, in seconds</text>
            <text class="a" x="16" y="45">by number of agents, two tasks on each, \
            \(rows[0].frameworks) frameworks; simulated</text>

            """
        text += axes
        let limit = Self.number(y(1))
        text += "<line class=\"l m\" x1=\"\(Self.left)\" x2=\"\(Self.right)\" y1=\"\(limit)\" "
        text += "y2=\"\(limit)\"/>\n<text class=\"a\" x=\"566\" y=\"\(Self.number(y(1) + 4))\">"
        text += "Mesos (2011): &lt; 1 s</text>\n"
        for (index, (_, value)) in series.enumerated() {
            let points = rows.map { Self.number(x($0.agents)) + "," + Self.number(y(value($0))) }
            text += "<polyline class=\"l s\(index)\" points=\""
            text += points.joined(separator: " ") + "\"/>\n"
        }
        return text + spreads + legend(series.map(\.0)) + "</svg>\n"
    }

    /// From the fastest to the slowest single task.
    private var spreads: String {
        rows.map { row in
            let at = Self.number(x(row.agents))
            let low = Self.number(y(row.single.min() ?? 0))
            let high = Self.number(y(row.single.max() ?? 0))
            return "<line class=\"l s0\" x1=\"\(at)\" x2=\"\(at)\" y1=\"\(low)\" "
                + "y2=\"\(high)\"/>\n"
        }.joined()
    }

    private var axes: String {
        var text = ""
        for step in 0...Int(high * 5 + 0.5) {
            let value = Double(step) / 5
            let height = Self.number(y(value))
            text += "<line class=\"g\" x1=\"\(Self.left)\" x2=\"\(Self.right)\" "
            text += "y1=\"\(height)\" y2=\"\(height)\"/>\n"
            text += "<text class=\"a\" x=\"54\" y=\"\(Self.number(y(value) + 4))\" "
            text += "text-anchor=\"end\">\(Self.number(value))</text>\n"
        }
        for row in rows {
            text += "<text class=\"a\" x=\"\(Self.number(x(row.agents)))\" y=\"380\" "
            text += "text-anchor=\"middle\">\(Self.grouped(row.agents))</text>\n"
        }
        return text + "<text class=\"a\" x=\"309\" y=\"404\" text-anchor=\"middle\">agents</text>\n"
    }

    private func legend(_ names: [String]) -> String {
        names.enumerated().map { index, name in
            let at = 150 + 22 * index
            return "<line class=\"l s\(index)\" x1=\"566\" x2=\"588\" y1=\"\(at)\" "
                + "y2=\"\(at)\"/>\n"
                + "<text x=\"594\" y=\"\(at + 4)\">\(name)</text>\n"
        }.joined()
    }

    private static func grouped(_ value: Int) -> String {
        value < 1000
            ? "\(value)" : "\(value / 1000)," + String(format: "%03d", value % 1000)
    }
}
