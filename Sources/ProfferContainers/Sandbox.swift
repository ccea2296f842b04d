internal import Glibc

/// The directories in which executors and tasks run.
public enum Sandbox {
    /// Makes a directory and those above it that are missing, each with mode 0700.
    ///
    /// Nothing on the way below `root` may be a symbolic link, and no name may be `.`, `..` or
    /// empty, so that a task cannot lead the next one astray. A directory that is there already is
    /// taken as it is.
    ///
    /// - Parameters:
    ///   - names: One name per level.
    ///   - root: An existing directory that only the caller can write to.
    /// - Returns: The path of the directory.
    /// - Throws: ``SystemError`` with `EINVAL` for a bad name, `ELOOP` or `ENOTDIR` for a link.
    public static func create(_ names: [String], below root: String) throws(SystemError) -> String {
        var path = root
        var directory = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw SystemError("open", root, code: errno) }
        defer { close(directory) }
        for (level, name) in names.enumerated() {
            path += "/" + name
            let isSafe =
                !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
                && !name.utf8.contains(0x2F) && !name.utf8.contains(0)
            guard isSafe else { throw SystemError("create", path, code: EINVAL) }
            let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
            // The last level is new most of the time, and those above are there.
            let isLast = level == names.count - 1
            var next = isLast ? -1 : openat(directory, name, flags)
            if next < 0 {
                if !isLast, errno != ENOENT { throw SystemError("create", path, code: errno) }
                let isNew = mkdirat(directory, name, 0o700) == 0
                if isNew, isLast { return path }
                if !isNew, errno != EEXIST { throw SystemError("create", path, code: errno) }
                next = openat(directory, name, flags)
            }
            guard next >= 0 else { throw SystemError("create", path, code: errno) }
            close(directory)
            directory = next
        }
        return path
    }

    /// What a directory and everything in it takes on the disk, in bytes.
    ///
    /// - Parameters:
    ///   - path: The directory; links are not followed, other file systems not entered.
    ///   - limit: So many entries are counted at most; what comes after them is not.
    /// - Returns: The bytes, 0 when there is no such directory.
    /// - Complexity: O(entries), at most `limit`.
    public static func size(_ path: String, entries limit: Int) -> Int64 {
        FileTree.size(path, entries: limit)
    }

    /// Whether nothing can be written to the file system of a directory any more.
    public static func isFull(_ path: String) -> Bool {
        var numbers = statvfs()
        return statvfs(path, &numbers) == 0 && numbers.f_blocks > 0 && numbers.f_bavail == 0
    }
}
