internal import Glibc
public import ProfferKernel

/// A call to the system failed.
public struct SystemError: Error, Hashable, CustomStringConvertible {
    /// What was attempted, as a verb: `start`, `open`.
    public var operation: String
    /// On what: a path, a command, a process.
    public var subject: String
    /// The number of the error (`errno`); 0 when the hint is the whole reason.
    public var code: Int32
    /// What more is known.
    public var hint: String?

    /// Sets every field.
    public init(_ operation: String, _ subject: String, code: Int32, hint: String? = nil) {
        self.operation = operation
        self.subject = subject
        self.code = code
        self.hint = hint
    }

    /// The system's words for ``code``.
    public var reason: String { String(cString: strerror(code)) }

    /// What failed, and because of what.
    public var description: String {
        if code == 0, let hint { return "cannot \(operation) '\(subject)': \(hint)" }
        return "cannot \(operation) '\(subject)': \(reason)" + (hint.map { " (\($0))" } ?? "")
    }
}

/// The present instant of the node's monotonic clock, the one that the reactor uses too.
public func monotonicNow() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
}
