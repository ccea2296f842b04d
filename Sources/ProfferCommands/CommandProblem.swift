/// A failure as the command line shows it: what failed, because of what, what to do.
public struct CommandProblem: Error, CustomStringConvertible {
    /// The process's exit codes; they never change meaning.
    public enum Code: Int32, Sendable {
        /// The operation failed.
        case failed = 1
        /// There is no such thing.
        case notFound = 3
        /// Permission, policy or quota forbids it.
        case refused = 4
        /// It took too long; the outcome is not known.
        case timedOut = 5
        /// The cluster cannot be reached.
        case unreachable = 6
        /// Somebody else changed it.
        case conflict = 7
        /// Something is not healthy.
        case degraded = 8
        /// The file is not valid.
        case invalidFile = 65
        /// The configuration is not valid.
        case invalidConfiguration = 78
    }

    /// The exit code.
    public var code: Code
    /// What failed.
    public var what: String
    /// Because of what.
    public var because: String
    /// What to do.
    public var advice: String

    /// Describes a failure.
    public init(_ code: Code, _ what: String, because: String, try advice: String) {
        self.code = code
        self.what = what
        self.because = because
        self.advice = advice
    }

    /// Three lines for standard error.
    public var description: String {
        "error[E\(1000 + code.rawValue)]: \(what)\n  because: \(because)\n  try: \(advice)"
    }
}
