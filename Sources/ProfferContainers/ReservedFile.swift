internal import Glibc

/// A file that only takes room on a disk, to be given up when the room is needed.
public struct ReservedFile: Sendable {
    /// The file.
    public let path: String
    /// How much room it takes, in bytes.
    public let bytes: Int64
    private let directory: String

    /// Describes a file; see ``take()``.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - wanted: How much room, in bytes.
    ///   - isExact: Whether that is so whatever the size of the disk; otherwise it is a part of a
    ///     hundred of it at most.
    public init(_ path: String, bytes wanted: Int64, isExact: Bool) {
        self.path = path
        let above = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        directory = above.isEmpty ? "/" : above
        let size = UsageProbe.disk(at: directory)?.total ?? 0
        bytes = isExact ? wanted : min(wanted, size / 100)
    }

    /// Takes the room, once there is twice as much; without effect while it has it.
    ///
    /// - Returns: Whether it has it now.
    @discardableResult
    public func take() -> Bool {
        if held >= bytes { return true }
        guard let disk = UsageProbe.disk(at: directory), disk.free >= 2 * bytes else {
            return false
        }
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return false }
        defer { close(file) }
        if posix_fallocate(file, 0, off_t(bytes)) == 0 { return true }
        _ = ftruncate(file, 0)
        return false
    }

    /// Gives the room up.
    ///
    /// - Returns: Whether there was any.
    public func release() -> Bool { held > 0 && truncate(path, 0) == 0 }

    private var held: Int64 {
        var status = stat()
        return lstat(path, &status) == 0 ? Int64(status.st_blocks) * 512 : 0
    }
}
