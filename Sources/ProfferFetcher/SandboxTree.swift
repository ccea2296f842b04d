internal import CLinux
internal import Glibc
internal import ProfferFetching

/// A system call failed while files were put into a sandbox.
struct TreeProblem: Error, CustomStringConvertible {
    let description: String

    init(_ what: String, _ path: [String], code: Int32 = errno) {
        description =
            "cannot \(what) '\(path.joined(separator: "/"))': \(String(cString: strerror(code)))"
    }
}

/// Puts files into a sandbox and nowhere else, whatever is in it and whoever changes it meanwhile.
///
/// Every directory is opened by itself below the one before, through no link and no mount; files
/// are always made afresh. What is made belongs to the task's user.
final class SandboxTree {
    private let root: Int32
    private let user: uid_t
    private let group: gid_t
    private let isGivenAway: Bool

    /// Opens a sandbox, which lies in a directory that is the caller's alone.
    init(_ path: String, user: uid_t, group: gid_t) throws {
        root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard root >= 0 else { throw TreeProblem("open", [path]) }
        self.user = user
        self.group = group
        isGivenAway = geteuid() == 0 && user != 0
    }

    deinit { close(root) }

    /// Makes a directory, with those above it, unless it is there.
    func makeDirectory(_ steps: [String], mode: UInt32) throws {
        let directory = try openDirectory(steps, isMade: true)
        defer { close(directory) }
        guard fchmod(directory, mode) == 0 else { throw TreeProblem("make", steps) }
    }

    /// Makes a file; whatever has its name is removed first, unless it is a directory.
    ///
    /// - Returns: The open file, readable for its owner only until ``finish(_:mode:_:)``.
    func makeFile(_ steps: [String]) throws -> Int32 {
        let (parent, name) = try parent(of: steps)
        defer { close(parent) }
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let file = openat(parent, name, flags, 0o600)
        guard file >= 0 else { throw TreeProblem("make", steps) }
        if isGivenAway, fchown(file, user, group) != 0 {
            let problem = TreeProblem("give away", steps)
            close(file)
            throw problem
        }
        return file
    }

    /// Sets the permissions of a file that was made, and closes it.
    func finish(_ file: Int32, mode: UInt32, _ steps: [String]) throws {
        let isSet = fchmod(file, mode & 0o777) == 0
        let code = errno
        guard close(file) == 0, isSet else {
            throw TreeProblem("write", steps, code: isSet ? errno : code)
        }
    }

    /// Makes a symbolic link.
    func makeLink(_ steps: [String], to target: String) throws {
        let (parent, name) = try parent(of: steps)
        defer { close(parent) }
        guard symlinkat(target, parent, name) == 0 else { throw TreeProblem("make", steps) }
    }

    /// Gives a file that was made another name.
    func makeHardLink(_ steps: [String], of target: [String]) throws {
        let (source, name) = try parent(of: target, removesExisting: false)
        defer { close(source) }
        let file = openat(source, name, Self.nameOnly | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { throw TreeProblem("find", target) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_uid == (isGivenAway ? user : geteuid())
        else { throw TreeProblem("link to", target, code: EPERM) }
        if steps == target { return }
        let (parent, newName) = try parent(of: steps)
        defer { close(parent) }
        guard linkat(AT_FDCWD, "/proc/self/fd/\(file)", parent, newName, AT_SYMLINK_FOLLOW) == 0
        else { throw TreeProblem("make", steps) }
    }

    /// `O_PATH`: a name for something without opening it.
    private static let nameOnly: Int32 = 0o1000_0000

    private func parent(
        of steps: [String], removesExisting: Bool = true
    ) throws -> (directory: Int32, name: String) {
        guard let name = steps.last else { throw TreeProblem("make", steps, code: EINVAL) }
        let directory = try openDirectory(Array(steps.dropLast()), isMade: removesExisting)
        if removesExisting, unlinkat(directory, name, 0) != 0, errno != ENOENT {
            let problem = TreeProblem("replace", steps)
            close(directory)
            throw problem
        }
        return (directory, name)
    }

    private func openDirectory(_ steps: [String], isMade: Bool) throws -> Int32 {
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        var current = fcntl(root, F_DUPFD_CLOEXEC, 3)
        guard current >= 0 else { throw TreeProblem("open", steps) }
        for (index, step) in steps.enumerated() {
            let path = Array(steps[...index])
            var isNew = false
            var next = linux_open_here(current, step, flags)
            if next < 0, errno == ENOENT, isMade {
                isNew = mkdirat(current, step, 0o700) == 0
                next = linux_open_here(current, step, flags)
            }
            let code = errno
            close(current)
            guard next >= 0 else { throw TreeProblem("open", path, code: code) }
            current = next
            if isNew { try give(current, path) }
        }
        return current
    }

    /// Gives a directory that was just made to the user, if it is that one.
    private func give(_ directory: Int32, _ path: [String]) throws {
        var status = stat()
        guard isGivenAway else { return }
        guard fstat(directory, &status) == 0, status.st_uid == geteuid(),
            fchown(directory, user, group) == 0
        else {
            let problem = TreeProblem("give away", path)
            close(directory)
            throw problem
        }
    }
}

/// Copying between open files.
enum FileCopy {
    /// Hands a file on in pieces, from its beginning.
    static func read(_ file: Int32, _ take: ([UInt8]) throws -> Void) throws {
        var offset: off_t = 0
        while true {
            let count = 1 << 20
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
                used = max(0, pread(file, buffer.baseAddress, count, offset))
            }
            if bytes.isEmpty { return }
            try take(bytes)
            offset += off_t(bytes.count)
        }
    }

    /// Writes all of the bytes.
    static func write(_ bytes: [UInt8], to file: Int32) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw TreeProblem("write", ["the file"]) }
            written += count
        }
    }
}
