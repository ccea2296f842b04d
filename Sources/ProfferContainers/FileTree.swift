internal import CLinux
internal import Glibc

/// Directories with everything in them.
enum FileTree {
    /// How deep a directory may be nested; a deeper one is left.
    private static let depthLimit = 1000

    /// Removes a directory and what is in it, without following links or crossing mounts.
    ///
    /// - Returns: Whether nothing is left.
    /// - Complexity: O(entries).
    static func remove(_ path: String) -> Bool {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        if directory < 0 { return errno == ENOENT || errno == ENOTDIR && unlink(path) == 0 }
        empty(directory, depth: 0)
        return rmdir(path) == 0 || errno == ENOENT
    }

    /// Removes what is in a directory, and closes it.
    private static func empty(_ directory: Int32, depth: Int) {
        guard let stream = fdopendir(directory) else {
            close(directory)
            return
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                Array(bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) }) + [0]
            }
            if name == [0x2E, 0] || name == [0x2E, 0x2E, 0] { continue }
            if unlinkat(directory, name, 0) == 0 { continue }
            let flags = UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            let below = linux_open_here(directory, name, flags)
            if below >= 0 {
                if depth >= depthLimit { close(below) } else { empty(below, depth: depth + 1) }
            }
            unlinkat(directory, name, AT_REMOVEDIR)
        }
    }

    /// What a directory and everything in it takes on the disk, in bytes; a file with several
    /// names counts for each.
    ///
    /// - Parameters:
    ///   - path: The directory; links are not followed.
    ///   - limit: So many entries are counted at most; what comes after them is not.
    /// - Complexity: O(entries), at most `limit`.
    static func size(_ path: String, entries limit: Int = .max) -> Int64 {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        var left = limit
        return directory < 0 ? 0 : size(directory, depth: 0, &left)
    }

    /// Adds up what is in a directory, and closes it.
    private static func size(_ directory: Int32, depth: Int, _ left: inout Int) -> Int64 {
        guard let stream = fdopendir(directory) else {
            close(directory)
            return 0
        }
        defer { closedir(stream) }
        var total: Int64 = 0
        while left > 0, let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                Array(bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) }) + [0]
            }
            if name == [0x2E, 0] || name == [0x2E, 0x2E, 0] { continue }
            left -= 1
            var status = stat()
            guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            total += Int64(status.st_blocks) * 512
            guard status.st_mode & S_IFMT == S_IFDIR, depth < depthLimit else { continue }
            let flags = UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            let below = linux_open_here(directory, name, flags)
            if below >= 0 { total += size(below, depth: depth + 1, &left) }
        }
        return total
    }
}
