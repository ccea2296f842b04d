internal import Foundation
internal import Glibc
public import ProfferAPI
internal import ProfferKernel

/// Read access to the sandboxes of an agent's tasks that cannot leave them.
///
/// Every step of a path is opened by itself below the one before, never following a symbolic link:
/// a task that plants `../..`, absolute paths or links in its sandbox gains nothing.
public struct Sandboxes: Sendable {
    /// The most that one read returns, in bytes.
    public static let chunkLimit = 1 << 20

    private let root: String
    private let newestDirectory: @Sendable (_ framework: String, _ task: String) async -> String?

    /// Serves the sandboxes below `root`.
    ///
    /// - Parameters:
    ///   - root: The agent's sandbox directory.
    ///   - directory: Names the sandbox of a task, relative to `root`; `nil` when there is none.
    public init(
        root: String,
        directory: @escaping @Sendable (_ framework: String, _ task: String) async -> String?
    ) {
        self.root = root
        newestDirectory = directory
    }

    /// Part of a file.
    public struct Chunk: Sendable {
        /// The bytes.
        public var bytes: [UInt8]
        /// Where they start.
        public var offset: Int64
        /// How long the file is now.
        public var fileSize: Int64
    }

    /// The most that one list has.
    public static let listLimit = 10_000

    /// The files of a sandbox, directories included, at most ``listLimit``.
    ///
    /// - Parameters:
    ///   - framework: The framework's id, percent-encoded or not.
    ///   - task: The task's id, likewise.
    ///   - directory: The directory whose files are wanted, by its path in the sandbox; the whole
    ///     sandbox when empty. Names are relative to the sandbox in either case.
    ///   - depth: How many levels are looked at; 1 is the directory itself.
    /// - Returns: The files in the order of their names, and whether these are all.
    /// - Throws: `ProblemObject` when there is no such directory, or it may not be looked into.
    public func list(
        framework: String, task: String, directory: String = "", depth: Int = 17
    ) async throws -> (files: [FileObject], isComplete: Bool) {
        let base = try await openSandbox(framework, task)
        defer { close(base) }
        let path = directory.split(separator: "/").joined(separator: "/")
        let top = try openBelow(
            base, path.split(separator: "/").map(String.init), isDirectory: true)
        defer { close(top) }
        var files: [FileObject] = []
        collect(
            below: top, prefix: path.isEmpty ? "" : path + "/", levels: min(17, max(1, depth)),
            into: &files)
        let isComplete = files.count <= Self.listLimit
        return (Array(files.prefix(Self.listLimit)).sorted { $0.name < $1.name }, isComplete)
    }

    /// At most `length` bytes of one file, from `offset`; a negative offset counts from the end.
    public func read(
        framework: String, task: String, path: String, offset: Int64, length: Int64
    ) async throws -> Chunk {
        let file = try await open(framework: framework, task: task, path: path)
        return try file.read(offset: offset, length: length)
    }

    /// A file of a sandbox, open for reading; closed with the last use of it.
    final class OpenFile: Sendable {
        /// Its last name.
        let name: String
        private let descriptor: Int32

        fileprivate init(name: String, descriptor: Int32) {
            self.name = name
            self.descriptor = descriptor
        }

        deinit { close(descriptor) }

        /// At most `length` bytes from `offset`; a negative offset counts from the end.
        func read(offset: Int64, length: Int64) throws -> Chunk {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw failed() }
            let size = Int64(status.st_size)
            let start = offset >= 0 ? min(offset, size) : max(0, size + max(offset, -size))
            let count = Int(max(0, min(length, Int64(chunkLimit), size - start)))
            let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
                let got = pread(descriptor, buffer.baseAddress, count, off_t(start))
                guard got >= 0 else { throw failed() }
                used = got
            }
            return Chunk(bytes: bytes, offset: start, fileSize: size)
        }

        private func failed() -> ProblemObject {
            ProblemObject(
                status: 500, title: "read failed", detail: String(cString: strerror(errno)))
        }
    }

    /// Opens a regular file of a sandbox.
    ///
    /// What it is is looked at before it is opened: opening a pipe or a device can have effects.
    func open(framework: String, task: String, path: String) async throws -> OpenFile {
        let base = try await openSandbox(framework, task)
        defer { close(base) }
        guard let plain = path.removingPercentEncoding else { throw refused(path) }
        let steps = plain.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let name = try openBelow(base, steps, isDirectory: false)
        defer { close(name) }
        var status = stat()
        var owner = stat()
        guard fstat(name, &status) == 0, fstat(base, &owner) == 0,
            status.st_mode & S_IFMT == S_IFREG
        else {
            throw ProblemObject(
                status: 400, title: "not a file", detail: "'\(plain)' is not a regular file")
        }
        // A second name for somebody else's file, which the task may not be able to read itself.
        guard status.st_nlink == 1 || status.st_uid == owner.st_uid else { throw refused(plain) }
        let file = Glibc.open("/proc/self/fd/\(name)", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw missing(plain) }
        return OpenFile(name: steps.last ?? "", descriptor: file)
    }

    private func openSandbox(_ framework: String, _ task: String) async throws -> Int32 {
        guard let framework = framework.removingPercentEncoding,
            let task = task.removingPercentEncoding,
            let relative = await newestDirectory(framework, task)
        else {
            throw ProblemObject(
                status: 404, title: "not found",
                detail: "there is no sandbox of task '\(task)' of framework '\(framework)' here",
                advice: "look with 'proffer ps' on which agent the task ran")
        }
        let base = Glibc.open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard base >= 0 else { throw missing(root) }
        defer { close(base) }
        return try openBelow(
            base, relative.split(separator: "/").map(String.init), isDirectory: true)
    }

    /// `O_PATH`: a name for something without opening it, so a link is not followed but found.
    private static let nameOnly: Int32 = 0o1000_0000

    private func openBelow(_ base: Int32, _ steps: [String], isDirectory: Bool) throws -> Int32 {
        var current = dup(base)
        guard current >= 0 else { throw missing("sandbox") }
        for (index, step) in steps.enumerated() {
            guard !step.isEmpty, step != ".", step != "..", !step.utf8.contains(0) else {
                close(current)
                throw refused(steps.joined(separator: "/"))
            }
            let isLast = index == steps.count - 1
            let wantsDirectory = !isLast || isDirectory
            let flags =
                O_NOFOLLOW | O_CLOEXEC
                | (wantsDirectory ? O_RDONLY | O_DIRECTORY | O_NONBLOCK : Self.nameOnly)
            let next = openat(current, step, flags)
            let code = errno
            close(current)
            guard next >= 0 else {
                if code == ELOOP || code == ENOTDIR { throw refused(step) }
                throw missing(step)
            }
            var status = stat()
            if !wantsDirectory, fstat(next, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
                close(next)
                throw refused(step)
            }
            current = next
        }
        return current
    }

    private func collect(
        below directory: Int32, prefix: String, levels: Int, into files: inout [FileObject]
    ) {
        let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream), files.count <= Self.listLimit {
            let name = withUnsafePointer(to: entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            var status = stat()
            guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            let kind = status.st_mode & S_IFMT
            // As two numbers: beside Foundation's view of the C library, builds for release do not
            // find the second member of the type by its name.
            let (seconds, rest) = withUnsafeBytes(of: status.st_mtim) { bytes in
                (bytes.load(as: Int.self), bytes.load(fromByteOffset: 8, as: Int.self))
            }
            let modified = WallTime(
                nanosecondsSince1970: Int64(seconds) * 1_000_000_000 + Int64(rest))
            files.append(
                FileObject(
                    name: prefix + name,
                    state: kind == S_IFREG
                        ? "file"
                        : kind == S_IFDIR ? "directory" : kind == S_IFLNK ? "link" : "other",
                    sizeBytes: Int64(status.st_size), modified: WallTimeText(modified)))
            guard kind == S_IFDIR, levels > 1 else { continue }
            let child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard child >= 0 else { continue }
            collect(below: child, prefix: prefix + name + "/", levels: levels - 1, into: &files)
            close(child)
        }
    }

    private func refused(_ path: String) -> ProblemObject {
        ProblemObject(
            status: 403, title: "path refused",
            detail: "'\(path)' leaves the sandbox or goes through a link",
            advice: "ask for the list of files and use one of those names")
    }

    private func missing(_ path: String) -> ProblemObject {
        ProblemObject(
            status: 404, title: "not found", detail: "there is no '\(path)' in the sandbox")
    }
}
