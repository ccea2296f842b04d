internal import Glibc

/// The directories of tasks and executors below an agent's work directory, for their removal.
///
/// A directory that is to go is first renamed into `discarded`, which takes no time and lets a
/// later task have its path; removing what is in it takes as long as it takes.
public struct EndedDirectories: Sendable {
    /// A directory of a task or of one run of an executor.
    public struct Entry: Hashable, Sendable {
        /// Where it is.
        public var path: String
        /// When it, or an output file of a task in it, was changed last; seconds since 1970.
        public var changedAt: Int64
    }

    private let root: String

    /// - Parameter root: The agent's work directory.
    public init(root: String) { self.root = root }

    private var discarded: String { root + "/discarded" }

    /// The directories that there are, of tasks and executors that live as of those that do not.
    ///
    /// - Complexity: O(directories).
    public func entries() -> [Entry] {
        let sandboxes = directories(root + "/sandboxes").flatMap { framework in
            directories("\(root)/sandboxes/\(framework)").map {
                "\(root)/sandboxes/\(framework)/\($0)"
            }
        }
        let executors = directories(root + "/executors").flatMap { framework in
            directories("\(root)/executors/\(framework)").flatMap { executor in
                let path = "\(root)/executors/\(framework)/\(executor)"
                return directories(path).map { "\(path)/\($0)" }
            }
        }
        return (sandboxes + executors).map { path in
            let times = ["", "/stdout", "/stderr"].map { Self.changeTime(path + $0) }
            return Entry(path: path, changedAt: times.max() ?? 0)
        }
    }

    /// Lets a directory look as if it had been changed now.
    public func touch(_ path: String) {
        _ = utimensat(AT_FDCWD, path, nil, AT_SYMLINK_NOFOLLOW)
    }

    /// The used part of the disk, in thousandths; 0 when that cannot be found out.
    public func diskUse() -> Int64 {
        guard let disk = UsageProbe.disk(at: root), disk.total > 1000 else { return 0 }
        return min(1000, max(0, 1000 - disk.free / (disk.total / 1000)))
    }

    /// Moves directories out of the way, and removes those above them that are empty then.
    ///
    /// - Throws: ``SystemError`` of the first that cannot be moved; those after it are moved.
    public func discard(_ paths: [String]) throws(SystemError) {
        _ = try Sandbox.create(["discarded"], below: root)
        var problem: SystemError?
        for path in paths where path.hasPrefix(root + "/") {
            if rename(path, freshName(path)) != 0 {
                problem = problem ?? SystemError("move away", path, code: errno)
                continue
            }
            var above = path
            // Down to `sandboxes` or `executors`, which stay.
            while let slash = above.lastIndex(of: "/") {
                above = String(above[..<slash])
                if above.dropFirst(root.count + 1).contains("/"), rmdir(above) == 0 {
                    continue
                }
                break
            }
        }
        if let problem { throw problem }
    }

    private func freshName(_ path: String) -> String {
        let name = path.split(separator: "/").suffix(1).joined()
        var number = 0
        while true {
            let candidate = "\(discarded)/\(number)-\(name.prefix(200))"
            var status = stat()
            if lstat(candidate, &status) != 0 { return candidate }
            number += 1
        }
    }

    /// Removes what was discarded, also by an earlier run; no link is followed, no mount crossed.
    ///
    /// - Parameter isStopped: Asked before each file: whether to leave the rest for another time.
    /// - Returns: How many directories are gone, and the paths of those that cannot be removed.
    public func removeDiscarded(
        unless isStopped: () -> Bool = { false }
    ) -> (removed: Int, left: [String]) {
        var removed = 0
        var left: [String] = []
        for name in directories(discarded) where !isStopped() {
            let path = "\(discarded)/\(name)"
            if FileTree.remove(path, unless: isStopped) {
                removed += 1
            } else if !isStopped() {
                left.append(path)
            }
        }
        return (removed, left)
    }

    private func directories(_ path: String) -> [String] {
        DirectoryNames.list(path, directoriesOnly: true)
    }

    private static func changeTime(_ path: String) -> Int64 {
        var status = stat()
        guard lstat(path, &status) == 0 else { return 0 }
        return Int64(status.st_mtim.tv_sec)
    }
}
