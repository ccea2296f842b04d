internal import Foundation

/// A failure as the operator sees it: what failed, because of what, what to do.
struct Problem: Error, CustomStringConvertible {
    /// Supervisors can tell by the exit code whether a restart helps.
    enum Code: Int32 {
        case failed = 1
        case configuration = 78
        case dataDirectory = 100
        case address = 102
        case disk = 103
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

    var description: String { "error: \(what)\n  because: \(because)\n  try: \(advice)" }

    /// Says it on standard error and ends the process.
    static func end(_ error: any Error) -> Never {
        try? FileHandle.standardError.write(contentsOf: Data("\(error)\n".utf8))
        exit((error as? Problem)?.code.rawValue ?? Code.failed.rawValue)
    }
}
