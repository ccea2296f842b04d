public import Logging
internal import Synchronization

/// Keeps log lines for a test to look at.
public final class LogJournal: Sendable {
    /// A line: its fixed text, and what varies.
    public struct Line: Sendable {
        /// The fixed text.
        public var text: String
        /// What varies, by key.
        public var values: [String: String]
    }

    private let kept = Mutex<[Line]>([])

    /// Makes an empty journal.
    public init() {}

    /// Everything that was logged so far.
    public var lines: [Line] { kept.withLock { $0 } }

    /// A logger that writes here, from its lowest level on.
    public var logger: Logger {
        var logger = Logger(label: "journal") { _ in Handler(journal: self) }
        logger.logLevel = .trace
        return logger
    }

    /// How many lines have this text and these values.
    public func count(_ text: String, _ values: [String: String] = [:]) -> Int {
        lines.count { line in
            line.text == text && values.allSatisfy { line.values[$0.key] == $0.value }
        }
    }

    private func keep(_ line: Line) { kept.withLock { $0.append(line) } }

    private struct Handler: LogHandler {
        let journal: LogJournal
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            journal.keep(Line(text: "\(event.message)", values: all.mapValues { "\($0)" }))
        }
    }
}
