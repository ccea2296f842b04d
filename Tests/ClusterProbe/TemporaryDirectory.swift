internal import Foundation
internal import Glibc

/// A directory of its own, removed at the end.
public final class TemporaryDirectory: Sendable {
    /// Its absolute path.
    public let path: String

    /// Makes a directory that only its owner can enter.
    public init(_ name: String) throws {
        var template = Array("/tmp/proffer-\(name)-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw NeverHappened(description: "no temporary directory: \(errno)")
        }
        path = String(cString: made)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of something in it.
    public func file(_ name: String) -> String { path + "/" + name }
}
