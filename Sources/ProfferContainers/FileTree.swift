internal import CLinux
internal import Glibc

/// How much is in a directory.
public enum DiskSize {
    /// What a directory and everything in it takes on the disk; no link is followed and no mount
    /// crossed.
    ///
    /// - Returns: Bytes; a file with several names counts for each.
    /// - Complexity: O(entries).
    public static func bytes(of path: String) -> Int64 { FileTree.size(path) }
}

/// Directories with everything in them.
enum FileTree {
    /// How deep a directory may be nested to be counted.
    private static let depthLimit = 1000
    /// So deep is gone at once when a tree is removed; what lies deeper is moved up first.
    ///
    /// Each level costs a descriptor and a part of the stack.
    private static let removalDepth = 100

    /// Removes a directory and what is in it, without following links or crossing mounts, however
    /// deep it is.
    ///
    /// - Parameters:
    ///   - path: The directory.
    ///   - isStopped: Asked before each entry: whether to leave what is not removed yet.
    /// - Returns: Whether nothing is left.
    /// - Complexity: O(entries); a hundred descriptors at most.
    static func remove(_ path: String, unless isStopped: () -> Bool = { false }) -> Bool {
        guard let slash = path.lastIndex(of: "/") else { return false }
        let above = open(
            slash == path.startIndex ? "/" : String(path[..<slash]),
            O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if above < 0 { return errno == ENOENT }
        defer { close(above) }
        let name = String(path[path.index(after: slash)...])
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        // What is mounted there is somebody's data.
        let directory = linux_open_here(above, name, flags)
        if directory < 0 {
            return errno == ENOENT || (errno == ENOTDIR || errno == ELOOP) && unlink(path) == 0
        }
        defer { close(directory) }
        return empty(directory, unless: isStopped) { rmdir(path) == 0 || errno == ENOENT }
    }

    /// Removes what is in a directory, which stays, without following links or crossing mounts.
    static func empty(_ path: String) {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard directory >= 0 else { return }
        defer { close(directory) }
        _ = empty(directory, unless: { false }, until: { false })
    }

    /// Removes what is in a directory, in as many passes as something was moved up.
    private static func empty(
        _ directory: Int32, unless isStopped: () -> Bool, until isDone: () -> Bool
    ) -> Bool {
        var moved = 0
        var before = -1
        while moved > before, !isStopped() {
            before = moved
            let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if copy >= 0 { empty(copy, below: directory, depth: 0, &moved, unless: isStopped) }
            if isDone() { return true }
        }
        return false
    }

    /// Removes what is in a directory, and closes it.
    ///
    /// - Parameters:
    ///   - directory: The directory.
    ///   - root: The top of the tree, to which what lies too deep is moved.
    ///   - depth: How far below the top it is.
    ///   - moved: How many directories were moved so far.
    ///   - isStopped: Whether to leave the rest.
    private static func empty(
        _ directory: Int32, below root: Int32, depth: Int, _ moved: inout Int,
        unless isStopped: () -> Bool
    ) {
        guard let stream = fdopendir(directory) else {
            close(directory)
            return
        }
        defer { closedir(stream) }
        while !isStopped(), let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                Array(bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) }) + [0]
            }
            if name == [0x2E, 0] || name == [0x2E, 0x2E, 0] { continue }
            if unlinkat(directory, name, 0) == 0 { continue }
            if depth >= removalDepth {
                if unlinkat(directory, name, AT_REMOVEDIR) == 0 { continue }
                // A name that is taken by something that is not empty is not replaced.
                if renameat(directory, name, root, "\u{1}deep-\(moved)") == 0 { moved += 1 }
                continue
            }
            let flags = UInt64(O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            let below = linux_open_here(directory, name, flags)
            if below >= 0 {
                empty(below, below: root, depth: depth + 1, &moved, unless: isStopped)
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
    /// - Returns: The bytes, 0 when there is no such directory.
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
