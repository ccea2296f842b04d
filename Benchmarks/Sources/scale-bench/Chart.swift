import ArgumentParser
import BenchSupport
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

    var svg: String {
        var drawing = Drawing(
            height: 420,
            label: "Seconds that tasks take beyond their own time, by number of agents",
            title: "What tasks take beyond their own time, in seconds",
            subtitle: """
                by number of agents, two tasks on each, \(rows[0].frameworks) frameworks; simulated
                """,
            style: "stroke: #57606a; stroke-dasharray: 6 5", darkStyle: "stroke: #9198a1",
            frame: (Self.left, Self.right, Self.top, Self.bottom))
        for step in 0...Int(high * 5 + 0.5) {
            let value = Double(step) / 5
            drawing.addLevel(at: y(value), Drawing.number(value))
        }
        for row in rows { drawing.addTick(at: x(row.agents), Drawing.grouped(row.agents)) }
        drawing.addName("agents")
        drawing.addRule(at: y(1), "l m")
        drawing.addText("Mesos (2011): &lt; 1 s", x: 566, y: y(1) + 4, "class=\"a\"")
        let series: [(String, (Row) -> Double)] = [
            ("single tasks, mean", { $0.mean }), ("all tasks, 99 %", { $0.ninetyNine }),
            ("all tasks, median", { $0.median }),
        ]
        for (index, (name, value)) in series.enumerated() {
            drawing.addLine(rows.map { (x($0.agents), y(value($0))) }, "l s\(index)")
            let at = Double(150 + 22 * index)
            drawing.addLine([(566, at), (588, at)], "l s\(index)")
            drawing.addText(name, x: 594, y: at + 4)
        }
        // From the fastest to the slowest single task.
        for row in rows {
            let at = x(row.agents)
            drawing.addLine(
                [(at, y(row.single.min() ?? 0)), (at, y(row.single.max() ?? 0))], "l s0")
        }
        return drawing.svg
    }
}
