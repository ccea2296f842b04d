internal import Glibc

/// A file to which a task writes without end, kept small from outside.
///
/// The task writes straight into the file (opened for appending), so there is no pipe that could
/// break and no copying in the usual case. When the file has grown over its limit, its last
/// `limit` bytes are copied to the same name with `.1` and the file is truncated. Two bounds are
/// soft: between two looks the file can grow further, and what is written between the copy and
/// the truncation is lost.
public struct OutputFile: Hashable, Sendable {
    /// Where it is.
    public let path: String
    private let device: UInt64
    private let inode: UInt64

    /// Looks at the file that is at `path` now; `nil` when it is not a plain file.
    public init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, Self.isPlain(status) else { return nil }
        self.path = path
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Moves the file's content away if it has more than `limit` bytes.
    ///
    /// A file that the task has put in its place is left alone, and so is one with another name.
    ///
    /// - Returns: Whether there was something to move.
    /// - Throws: ``SystemError`` when the copy cannot be opened; a copy that does not fit on the
    ///   disk is given up, the file is truncated all the same.
    @discardableResult
    public func rotate(limit: Int) throws(SystemError) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, isSame(status), status.st_size > limit else {
            return false
        }
        let flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
        let source = open(path, O_RDWR | flags)
        guard source >= 0 else { throw SystemError("open", path, code: errno) }
        defer { close(source) }
        guard fstat(source, &status) == 0, isSame(status) else { return false }
        let copy = open(path + ".1", O_WRONLY | O_CREAT | flags, 0o600)
        guard copy >= 0 else { throw SystemError("open", path + ".1", code: errno) }
        defer { close(copy) }
        var copyStatus = stat()
        guard fstat(copy, &copyStatus) == 0, Self.isPlain(copyStatus) else { return false }
        ftruncate(copy, 0)
        Self.copy(from: source, at: Int(status.st_size) - limit, to: copy)
        ftruncate(source, 0)
        return true
    }

    /// The last lines of a file, at most `limit` bytes; empty when there is no plain file.
    public static func tail(_ path: String, limit: Int = 1024) -> String {
        let source = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard source >= 0 else { return "" }
        defer { close(source) }
        var status = stat()
        guard fstat(source, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return "" }
        let offset = max(0, Int(status.st_size) - limit)
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = max(0, pread(source, buffer.baseAddress, limit, offset))
        }
        // A line of which the beginning is missing is left out, unless it is the only one.
        var start = bytes.startIndex
        if offset > 0, let end = bytes.dropLast().firstIndex(of: 0x0A) { start = end + 1 }
        return String(decoding: bytes[start...], as: UTF8.self)
    }

    private func isSame(_ status: stat) -> Bool {
        Self.isPlain(status) && UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
    }

    private static func isPlain(_ status: stat) -> Bool {
        status.st_mode & S_IFMT == S_IFREG && status.st_nlink == 1
    }

    private static func copy(from source: Int32, at offset: Int, to target: Int32) {
        let size = 262_144
        var offset = max(0, offset)
        withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { buffer in
            while true {
                let got = pread(source, buffer.baseAddress, size, offset)
                if got <= 0 { return }
                var written = 0
                while written < got {
                    let count = write(
                        target, buffer.baseAddress.map { $0 + written }, got - written)
                    if count <= 0 { return }
                    written += count
                }
                offset += got
            }
        }
    }
}
