internal import Foundation

/// What the demo shows: headings, finished steps with the time they took, a live line meanwhile.
struct DemoScreen: Sendable {
    private static let width = 79
    private static let indent = "      "

    let terminal = Terminal.output

    func heading(_ number: Int, _ text: String) {
        let line = "\(number)  \(text)"
        say("\n" + (terminal.isColored ? "\u{1B}[1m\(line)\u{1B}[0m" : line))
    }

    /// Does a piece of work and tells what came of it.
    func step(
        _ title: String, _ work: (ProgressLine) async throws -> String
    ) async throws {
        let begin = ContinuousClock.now
        let progress = ProgressLine(terminal, indent: Self.indent)
        if terminal.isInteractive { progress.update(title) }
        let result: String
        do {
            result = try await work(progress)
        } catch {
            progress.clear()
            throw error
        }
        progress.clear()
        done(result, ContinuousClock.now - begin)
    }

    /// A finished step; long text is broken between words.
    func done(_ text: String, _ duration: Duration) {
        let time = brief(duration)
        let lines = Self.wrap(text, Self.width - Self.indent.count - 9)
        let mark = terminal.isColored ? "\u{1B}[32mok\u{1B}[0m" : "ok"
        for (index, line) in lines.enumerated() {
            let start = index == 0 ? "  \(mark)  " : Self.indent
            let isFirst = index == 0
            let fill = Self.width - Self.indent.count - time.count
            say(start + (isFirst ? padded(line, fill) + time : line))
        }
    }

    /// A line of plain text below a step.
    func detail(_ text: String) { say(Self.indent + text) }

    static func wrap(_ text: String, _ width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return lines + [line]
    }

    /// A bar such as `[####----]  4 of 8`, with the time that is left, as far as it went so far.
    static func bar(_ done: Int, of total: Int, after duration: Duration) -> String {
        let width = 24
        let filled = total > 0 ? width * min(done, total) / total : 0
        let bar =
            String(repeating: "#", count: filled)
            + String(repeating: "-", count: width - filled)
        let left = done > 0 && done < total ? duration / done * (total - done) : nil
        return "[\(bar)] \(done) of \(total)" + (left.map { ", \(brief($0)) left" } ?? "")
    }
}

/// A whole number with commas.
func grouped(_ number: Int) -> String {
    var text = ""
    for (index, digit) in String(abs(number)).reversed().enumerated() {
        if index > 0, index % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return (number < 0 ? "-" : "") + String(text.reversed())
}
