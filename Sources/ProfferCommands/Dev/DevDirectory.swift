internal import Foundation
internal import Glibc
internal import ProfferTransport
internal import ProfferZeroMQ

/// The directory of a dev cluster: keys, data and logs of its programs.
///
/// There is one cluster at a time in it.
final class DevDirectory: Sendable {
    let path: String
    let lifetime: Lifetime
    private let lock: FileLock
    private let wasMade: Bool

    /// How long the contents live.
    enum Lifetime: Sendable {
        /// From this start to its end.
        case run
        /// From this start on, to be looked at.
        case left
        /// For ever: this cluster goes on where the one before it stopped.
        case continued
    }

    /// Takes a directory for a cluster, and makes it when there is none.
    ///
    /// What an earlier cluster left behind is removed, unless that was to be continued.
    ///
    /// - Parameters:
    ///   - path: The directory; a new one for temporary files when absent.
    ///   - lifetime: Of its contents. What is to be continued stays whatever is asked for now.
    /// - Throws: ``CommandProblem`` when another cluster runs there, or it is not a cluster's.
    init(_ path: String?, _ lifetime: Lifetime) throws {
        let files = FileManager.default
        let isTemporary = path == nil
        let path = try path ?? Self.temporary()
        let existed = files.fileExists(atPath: path)
        try Self.make(path)
        let found = (try? files.contentsOfDirectory(atPath: path)) ?? []
        // One that a killed cluster left, too, so that the next one takes it away.
        let isContinued = lifetime != .left && found.contains(Self.keepName)
        wasMade = isTemporary || !existed || found.contains(Self.lockName) && !isContinued
        guard found.isEmpty || found.contains(Self.lockName) else {
            throw CommandProblem(
                .refused, "\(path) cannot be the data directory",
                because: "there are files in it that are not of a dev cluster",
                try: "name an empty or a new directory with --data-dir")
        }
        do throws(FileLock.Problem) {
            lock = try FileLock(path + "/" + Self.lockName)
        } catch {
            switch error {
            case .unusable(let code): throw Self.unusable(path, code)
            case .taken(let process):
                throw CommandProblem(
                    .conflict, "a dev cluster already runs in \(path)",
                    because: "process \(process) holds its lock",
                    try: "use that one, stop it with Ctrl-C, or give --data-dir another directory")
            }
        }
        self.path = path
        self.lifetime = isContinued ? .continued : lifetime
        if !isContinued { removeContents() }
        if lifetime == .continued {
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

    /// Gives the directory up; removes what is in it, and it itself if it was made here, unless it
    /// is to stay.
    func release() {
        if lifetime == .run {
            removeContents()
            unlink(path + "/" + Self.lockName)
            if wasMade { rmdir(path) }
        }
        lock.release()
    }

    /// A new directory for temporary files.
    private static func temporary() throws -> String {
        let parent = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var name = Array((parent + "/proffer-XXXXXX").utf8CString)
        guard mkdtemp(&name) != nil else { throw unusable(parent, errno) }
        return String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
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
