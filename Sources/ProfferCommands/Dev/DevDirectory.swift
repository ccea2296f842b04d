internal import Foundation
internal import Glibc
internal import ProfferZeroMQ

/// The directory of a dev cluster: keys, data and logs of its programs.
///
/// There is one cluster at a time in it.
final class DevDirectory: Sendable {
    let path: String
    /// Whether the directory is to stay when the cluster ends.
    let isKept: Bool
    private let lock: Int32
    private let wasMade: Bool

    /// Takes a directory for a cluster, and makes it when there is none.
    ///
    /// What a cluster left behind that was not stopped properly is removed, unless it was to be
    /// kept.
    /// - Throws: ``CommandProblem`` when another cluster runs there, or it is not a cluster's.
    init(_ path: String, isKept: Bool) throws {
        let files = FileManager.default
        wasMade = !files.fileExists(atPath: path)
        try Self.make(path)
        let found = (try? files.contentsOfDirectory(atPath: path)) ?? []
        guard found.isEmpty || found.contains(Self.lockName) else {
            throw CommandProblem(
                .refused, "\(path) cannot be the data directory",
                because: "there are files in it that are not of a dev cluster",
                try: "name an empty or a new directory with --data-dir")
        }
        lock = open(path + "/" + Self.lockName, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw Self.unusable(path, errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw CommandProblem(
                .conflict, "a dev cluster already runs in \(path)",
                because: "another 'proffer dev' holds its lock",
                try: "use that one, stop it with Ctrl-C, or give --data-dir another directory")
        }
        self.path = path
        self.isKept = isKept
        if !found.contains(Self.keepName) { removeContents() }
        if isKept {
            guard files.createFile(atPath: path + "/" + Self.keepName, contents: nil) else {
                throw Self.unusable(path, errno)
            }
        }
        try Self.make(path + "/logs")
    }

    private static let lockName = "dev.lock"
    private static let keepName = "dev.keep"

    private static func unusable(_ path: String, _ code: Int32) -> CommandProblem {
        CommandProblem(
            .failed, "\(path) cannot be used", because: String(cString: strerror(code)),
            try: "give --data-dir a directory that you may write to")
    }

    private static func make(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw unusable(path, errno)
        }
    }

    /// The directory of one program, which is made.
    func member(_ name: String) throws -> String {
        let member = path + "/" + name
        try Self.make(member)
        return member
    }

    func log(of name: String) -> String { path + "/logs/\(name).log" }

    /// The key pair in this file; a new one, readable by the owner only, when there is none.
    func keys(_ file: String) throws -> KeyPair {
        let file = path + "/" + file
        do {
            if FileManager.default.fileExists(atPath: file) { return try KeyPair.load(file) }
            let keys = try KeyPair.generate()
            try keys.save(file)
            return keys
        } catch {
            throw CommandProblem(
                .failed, "the key file \(file) cannot be used", because: "\(error)",
                try: "remove it, or give --data-dir another directory")
        }
    }

    /// Writes a list of those who may connect.
    func allow(_ keys: [(key: KeyPair, name: String)], in file: String) throws {
        let text = keys.map { "\($0.key.publicKey) \($0.name)\n" }.joined()
        let file = path + "/" + file
        guard
            FileManager.default.createFile(
                atPath: file, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
        else { throw Self.unusable(file, errno) }
    }

    /// Gives the directory up; removes it or what is in it unless it is to be kept.
    func release() {
        if !isKept {
            removeContents()
            if wasMade {
                try? FileManager.default.removeItem(atPath: path)
            } else {
                unlink(path + "/" + Self.lockName)
            }
        }
        close(lock)
    }

    private func removeContents() {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: path)) ?? []
        where name != Self.lockName {
            try? files.removeItem(atPath: path + "/" + name)
        }
    }

    /// The last lines of a program's log, for a message.
    func lastLines(of name: String, count: Int = 8) -> String {
        guard let data = FileManager.default.contents(atPath: log(of: name)) else { return "" }
        let lines = String(decoding: data.suffix(8192), as: UTF8.self).split(separator: "\n")
        return lines.suffix(count).map { "    | \($0)" }.joined(separator: "\n")
    }
}
