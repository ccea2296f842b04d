internal import CLinux
internal import Glibc

/// A file to which a task writes without end, kept small from outside.
///
/// The task writes straight into the file (opened for appending), so there is no pipe that could
/// break, nothing that has to live for the task to write on, and no copying in the usual case. When
/// the file has grown over its limit, its first `limit` bytes are copied to the same name with `.1`
/// and cut off at the front; what was `.1` before becomes `.2`, and so on.
///
/// File systems that can cut off the front (ext4, XFS, F2FS) lose nothing of what the task writes
/// meanwhile. On others the whole file is truncated, and what is written between the copy and the
/// truncation is lost. Between two looks the file can grow beyond its limit.
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

    /// Moves the file's older content away if it has more than `limit` bytes.
    ///
    /// A file that the task has put in its place is left alone, and so is one with another name.
    ///
    /// - Parameters:
    ///   - limit: So many bytes the file, and each older one, may have.
    ///   - count: How many older files there may be, `.1` being the newest.
    /// - Returns: Whether there was something to move.
    /// - Throws: ``SystemError`` when the file cannot be opened; a copy that does not fit on the
    ///   disk is given up, the file is made smaller all the same.
    @discardableResult
    public func rotate(limit: Int, keeping count: Int = 1) throws(SystemError) -> Bool {
        var status = stat()
        guard limit > 0, lstat(path, &status) == 0, isSame(status), status.st_size > limit else {
            return false
        }
        let source = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard source >= 0 else { throw SystemError("open", path, code: errno) }
        defer { close(source) }
        while fstat(source, &status) == 0, isSame(status), status.st_size > limit {
            let size = Int(status.st_size)
            let block = max(512, Int(status.st_blksize))
            // The cut is between two blocks of the file system, and before the end.
            let whole = min(limit, size - 1) / block * block
            // What would be pushed out by the rest of this file at once is not copied first.
            let surplus = (size - (count + 1) * limit) / block * block
            if surplus > 0, linux_cut_front(source, Int64(surplus)) == 0 { continue }
            if whole == 0 || !Self.canCut(source) {
                copy(from: source, max(0, size - limit)..<Int.max, status, keeping: count)
                ftruncate(source, 0)
                return true
            }
            copy(from: source, 0..<whole, status, keeping: count)
            guard linux_cut_front(source, Int64(whole)) == 0 else {
                ftruncate(source, 0)
                return true
            }
        }
        return true
    }

    /// Whether the file system can cut off the front, asked so that nothing is cut: no front of no
    /// length is refused as such by those that can only.
    private static func canCut(_ file: Int32) -> Bool {
        linux_cut_front(file, 1) != 0 && errno == EINVAL
    }

    /// Puts part of the file into a fresh `.1`, and lets the older files make room for it.
    private func copy(
        from source: Int32, _ range: Range<Int>, _ status: stat, keeping count: Int
    ) {
        guard count > 0 else { return }
        for number in stride(from: count - 1, to: 0, by: -1) {
            rename("\(path).\(number)", "\(path).\(number + 1)")
        }
        let name = path + ".1"
        unlink(name)
        // Whatever has the name still is the task's own doing, and stays.
        let copy = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard copy >= 0 else { return }
        defer { close(copy) }
        if status.st_uid != geteuid() { fchown(copy, status.st_uid, status.st_gid) }
        Self.copy(from: source, range, to: copy)
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

    private static func copy(from source: Int32, _ range: Range<Int>, to target: Int32) {
        let size = 262_144
        var offset = range.lowerBound
        withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { buffer in
            while offset < range.upperBound {
                let got = pread(
                    source, buffer.baseAddress, min(size, range.upperBound - offset), offset)
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
