import Foundation

/// A fresh directory below `TMPDIR`, or `/tmp`, for all state of one run of the program.
///
/// Where many files have just been deleted, ext4 without a journal spends more time on looking for
/// an inode that was not freed within the last minutes than on all the rest of making a file. It
/// puts new directories near their parent, so a run would work where the one before has cleared
/// away. Only the children of a directory with the flag for the top of a hierarchy (chattr +T) are
/// spread over the whole disk, by their names. So some such children are made, and the one in which
/// files are made fastest has the state.
package final class ScratchDirectory {
    package let path: String
    private let top: String

    package init() throws {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? ""
        var template = Array("\(base.isEmpty ? "/tmp" : base)/proffer-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BenchProblem(
                "no directory can be made below '\(base.isEmpty ? "/tmp" : base)':"
                    + " \(String(cString: strerror(errno))); set TMPDIR to one that can be written")
        }
        top = template.withUnsafeBytes {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        Self.markAsTop(top)
        var best: (path: String, seconds: Double)?
        for _ in 0..<8 {
            let path = top + "/" + String(UInt32.random(in: 0...(.max)), radix: 16)
            let seconds = try Self.trial(path)
            if seconds < best?.seconds ?? .infinity { best = (path, seconds) }
        }
        path = best?.path ?? top
    }

    /// Makes a directory and files in it, which stay: to delete them would spoil the place.
    private static func trial(_ path: String) throws -> Double {
        guard mkdir(path, 0o700) == 0, mkdir(path + "/trial", 0o700) == 0 else {
            throw BenchProblem("'\(path)' cannot be made: \(String(cString: strerror(errno)))")
        }
        let begin = Clock.now()
        for number in 0..<200 {
            let file = open("\(path)/trial/\(number)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            if file >= 0 { close(file) }
        }
        return Clock.now() - begin
    }

    /// Sets the flag where the file system knows it.
    private static func markAsTop(_ path: String) {
        // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_TOPDIR_FL of linux/fs.h.
        let (get, set, flag): (UInt, UInt, Int) = (0x8008_6601, 0x4008_6602, 0x0002_0000)
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        defer { close(directory) }
        var flags = 0
        guard ioctl(directory, get, &flags) == 0 else { return }
        flags |= flag
        _ = ioctl(directory, set, &flags)
    }

    package func remove() { try? FileManager.default.removeItem(atPath: top) }
}
