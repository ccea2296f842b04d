internal import Glibc
internal import Synchronization

/// A file that one process at a time has: the mark of a data directory in use.
///
/// The kernel lets go of it however the process ends.
public final class FileLock: Sendable {
    /// Why a lock cannot be had.
    public enum Problem: Error, Hashable, Sendable {
        /// The file cannot be made or opened, with this `errno` value.
        case unusable(code: Int32)
        /// Another holder has it; its process id, as far as it has written one.
        case taken(process: String)
    }

    private let descriptor: Mutex<Int32>

    /// Takes the lock; the file is made with mode 0600 when it is missing, and stays afterwards.
    ///
    /// - Throws: ``Problem``, also when the path names a symbolic link.
    public init(_ path: String) throws(Problem) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .unusable(code: errno) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            var bytes = [UInt8](repeating: 0, count: 32)
            let count = max(0, pread(file, &bytes, bytes.count, 0))
            close(file)
            throw .taken(process: String(decoding: bytes.prefix(count), as: UTF8.self))
        }
        let text = Array("\(getpid())".utf8)
        ftruncate(file, 0)
        pwrite(file, text, text.count, 0)
        descriptor = Mutex(file)
    }

    deinit { release() }

    /// Gives the lock up, once.
    public func release() {
        let file = descriptor.withLock { descriptor in
            defer { descriptor = -1 }
            return descriptor
        }
        if file >= 0 { close(file) }
    }
}
