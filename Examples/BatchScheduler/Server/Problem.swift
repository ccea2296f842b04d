/// A failure as a user sees it: what failed, because of what, what to do.
struct Problem: Error, CustomStringConvertible {
    /// The process's exit codes; they never change meaning.
    enum Code: Int32, Sendable {
        /// The operation failed.
        case failed = 1
        /// There is no such thing.
        case notFound = 3
        /// The server does not allow it.
        case refused = 4
        /// The server, or the master, cannot be reached.
        case unreachable = 6
        /// The job file is not valid.
        case invalidFile = 65
        /// The configuration is not valid.
        case configuration = 78
        /// The data directory cannot be used, or belongs to a running scheduler.
        case dataDirectory = 100
        /// The address is in use.
        case address = 102
    }

    var code: Code
    var what: String
    var because: String
    var advice: String

    init(_ code: Code, _ what: String, because: String, try advice: String) {
        self.code = code
        self.what = what
        self.because = because
        self.advice = advice
    }

    /// Three lines for standard error.
    var description: String {
        "error[E\(1000 + code.rawValue)]: \(what)\n  because: \(because)\n  try: \(advice)"
    }
}
