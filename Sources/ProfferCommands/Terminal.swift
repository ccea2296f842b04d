internal import Foundation
internal import Glibc
internal import Synchronization

/// One of the process's outputs: a terminal that shows a live line, or a file or pipe.
struct Terminal: Sendable {
    static let output = Terminal(STDOUT_FILENO)
    static let error = Terminal(STDERR_FILENO)

    let descriptor: Int32
    /// Whether somebody watches; a pipe gets plain lines only.
    let isInteractive: Bool

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        isInteractive = isatty(descriptor) == 1 && Self.isCapable
    }

    /// Whether bold and coloured text may be used, see no-color.org.
    var isColored: Bool {
        isInteractive && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
    }

    private static var isCapable: Bool {
        (ProcessInfo.processInfo.environment["TERM"] ?? "dumb") != "dumb"
    }

    var columns: Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
        return Int(size.ws_col)
    }

    var rows: Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 2 else { return 24 }
        return Int(size.ws_row)
    }

    func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            // A reader that went away is no reason to stop the work.
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// The progress of one piece of work: a live line on a terminal, a line per change elsewhere.
final class ProgressLine: Sendable {
    private struct State {
        var last = ""
        var lastPlain: ContinuousClock.Instant?
        var isShown = false
    }

    private let terminal: Terminal
    private let indent: String
    private let state = Mutex(State())

    init(_ terminal: Terminal, indent: String = "") {
        self.terminal = terminal
        self.indent = indent
    }

    /// Shows where the work is.
    ///
    /// - Parameters:
    ///   - text: The line. In a pipe it is written when it differs from the one before.
    ///   - live: What the line says on a terminal only, such as the time taken.
    func update(_ text: String, live: String = "") {
        state.withLock { state in
            if terminal.isInteractive {
                let line = indent + text + live
                terminal.write("\r\u{1B}[K" + String(line.prefix(terminal.columns - 1)))
                state.isShown = true
            } else if text != state.last {
                terminal.write(indent + text + "\n")
            }
            state.last = text
        }
    }

    /// Takes the live line away.
    func clear() {
        state.withLock { state in
            if state.isShown { terminal.write("\r\u{1B}[K") }
            state = State()
        }
    }
}

/// A duration as people say it: `0.21s`, `12.3s`, `2m 05s`.
func brief(_ duration: Duration) -> String {
    let seconds = seconds(duration)
    if seconds < 10 { return String(format: "%.2fs", seconds) }
    if seconds < 100 { return String(format: "%.1fs", seconds) }
    return String(format: "%dm %02ds", Int(seconds) / 60, Int(seconds) % 60)
}

/// A duration as a number.
func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
}
