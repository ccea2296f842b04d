internal import Foundation

/// A chart as SVG: title, frame, grid and lines, in the colours of light and dark pages.
public struct Drawing: Sendable {
    /// The edges of the frame, from the left and the top of the picture.
    public let left, right, top, bottom: Double
    private var text: String

    /// Begins a picture that is 720 wide.
    ///
    /// - Parameters:
    ///   - height: How high it is.
    ///   - label: What it shows, for those who cannot see it.
    ///   - title: The first line.
    ///   - subtitle: The second one.
    ///   - style: The style of lines of the class `m`.
    ///   - darkStyle: The same for dark pages; nothing when it is the same.
    ///   - frame: The edges of the frame: left, right, top, bottom.
    public init(
        height: Int, label: String, title: String, subtitle: String, style: String,
        darkStyle: String = "", frame: (Double, Double, Double, Double)
    ) {
        (left, right, top, bottom) = frame
        text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 \(height)" role="img" \
            aria-label="\(label)">
            <style>
            text { font: 13px system-ui, sans-serif; fill: #24292f }
            .t { font-size: 15px; font-weight: 600 }
            .a { fill: #57606a }
            .g { stroke: #d0d7de; stroke-width: 1 }
            .l { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
            .m { \(style) }
            .s0 { stroke: #0969da } .s1 { stroke: #1a7f37 } .s2 { stroke: #bc4c00 }
            @media (prefers-color-scheme: dark) {
            text { fill: #e6edf3 }
            .a { fill: #9198a1 }
            .g { stroke: #3d444d }
            \(darkStyle.isEmpty ? "" : ".m { \(darkStyle) }\n")\
            .s0 { stroke: #4493f8 } .s1 { stroke: #3fb950 } .s2 { stroke: #f0883e }
            }
            </style>
            <text class="t" x="16" y="26">\(title)</text>
            <text class="a" x="16" y="45">\(subtitle)</text>

            """
    }

    /// A number as the picture has it.
    public static func number(_ value: Double) -> String { String(format: "%.1f", value) }

    /// A whole number with commas between thousands.
    public static func grouped(_ value: Int) -> String {
        value < 1000
            ? "\(value)" : grouped(value / 1000) + "," + String(format: "%03d", value % 1000)
    }

    /// Draws a line of the grid with what it stands for.
    public mutating func addLevel(at y: Double, _ label: String) {
        addRule(at: y, "g")
        addText(label, x: left - 8, y: y + 4, "class=\"a\" text-anchor=\"end\"")
    }

    /// Draws a line across the frame.
    public mutating func addRule(at y: Double, _ style: String) {
        addLine([(left, y), (right, y)], style)
    }

    /// Draws what a place on the lower edge stands for.
    public mutating func addTick(at x: Double, _ label: String) {
        addText(label, x: x, y: bottom + 22, "class=\"a\" text-anchor=\"middle\"")
    }

    /// Draws what the lower edge is about.
    public mutating func addName(_ name: String) {
        addText(name, x: (left + right) / 2, y: bottom + 47, "class=\"a\" text-anchor=\"middle\"")
    }

    /// Draws a line through points.
    public mutating func addLine(_ points: [(x: Double, y: Double)], _ style: String) {
        let list = points.map { Self.number($0.x) + "," + Self.number($0.y) }
        text += "<polyline class=\"\(style)\" points=\"\(list.joined(separator: " "))\"/>\n"
    }

    /// Writes text; `attributes` say how.
    public mutating func addText(_ words: String, x: Double, y: Double, _ attributes: String = "") {
        text += "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\""
        text += (attributes.isEmpty ? "" : " " + attributes) + ">\(words)</text>\n"
    }

    /// The whole picture.
    public var svg: String { text + "</svg>\n" }
}
