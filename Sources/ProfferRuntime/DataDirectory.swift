internal import Foundation
internal import Glibc
public import ProfferZeroMQ

/// The directory in which a daemon keeps its keys and state; readable by its owner only.
public struct DataDirectory: Sendable {
    /// Its absolute path.
    public let path: String

    /// Opens a directory, making it when it is missing.
    ///
    /// - Throws: ``DaemonProblem`` when it cannot be made, read and written, or when others than
    ///   its owner can use it.
    public init(_ path: String) throws {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        self.path = absolute
        do {
            try FileManager.default.createDirectory(
                atPath: absolute, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw DaemonProblem(
                .dataDirectory, "the data directory \(absolute) cannot be made",
                because: "\(error.localizedDescription)",
                try: "choose another with --data-dir, or make it writable for this user")
        }
        guard access(absolute, R_OK | W_OK | X_OK) == 0 else {
            throw DaemonProblem(
                .dataDirectory, "the data directory \(absolute) cannot be used",
                because: String(cString: strerror(errno)),
                try: "choose another with --data-dir, or make it writable for this user")
        }
        if let reason = Self.danger(URL(fileURLWithPath: absolute).resolvingSymlinksInPath().path) {
            throw DaemonProblem(
                .dataDirectory, "the data directory \(absolute) is not safe", because: reason,
                try: "give it to this user alone: chown $(id -un) and chmod 700, or choose another"
                    + " with --data-dir")
        }
    }

    /// Why a file or directory is not its user's alone; `nil` when it is.
    private static func danger(_ path: String) -> String? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        guard let owner = (attributes?[.ownerAccountID] as? NSNumber)?.uint32Value,
            let mode = (attributes?[.posixPermissions] as? NSNumber)?.intValue
        else { return "its owner and mode cannot be found out" }
        if owner != geteuid() { return "it belongs to user \(owner), not to user \(geteuid())" }
        if mode & 0o077 != 0 {
            return "its mode is 0\(String(mode, radix: 8)), which lets others than its owner in"
        }
        return nil
    }

    /// The path of a file in it.
    public func file(_ name: String) -> String { path + "/" + name }

    /// The key pair in `name`, made at the first use (mode 0600).
    public func keyPair(_ name: String) throws -> KeyPair {
        let path = file(name)
        do {
            if FileManager.default.fileExists(atPath: path) { return try KeyPair.load(path) }
            let fresh = try KeyPair.generate()
            try fresh.save(path)
            return fresh
        } catch {
            throw DaemonProblem(
                .key, "the key file \(path) cannot be used", because: "\(error)",
                try: "give it mode 0600 and this user as owner, or delete it to get a new key")
        }
    }

    /// The secret text in `name`, made at the first use (mode 0600).
    ///
    /// - Throws: ``DaemonProblem`` when others than its owner can read it, or it cannot be written.
    public func secret(_ name: String) throws -> String {
        if let text = try existingSecret(name) { return text }
        let text = Self.freshSecret()
        try keep(secret: text, as: name)
        return text
    }

    /// The secret text in `name`; `nil` when there is none yet.
    ///
    /// - Throws: ``DaemonProblem`` when others than its owner can read it.
    public func existingSecret(_ name: String) throws -> String? {
        try Self.secret(at: file(name))
    }

    /// The secret text in a file; `nil` when there is none.
    ///
    /// - Throws: ``DaemonProblem`` when others than its owner can read it.
    static func secret(at path: String) throws -> String? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        if let reason = danger(path) {
            throw DaemonProblem(
                .key, "the file \(path) is not safe", because: reason,
                try: "whoever has read it can give orders: delete it to get a new one")
        }
        let data = FileManager.default.contents(atPath: path) ?? Data()
        let text = String(decoding: data, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? nil : text
    }

    /// 256 bits by chance, as text.
    static func freshSecret() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let word = String(generator.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - word.count) + word
        }.joined()
    }

    /// Writes a secret text (mode 0600).
    ///
    /// - Throws: ``DaemonProblem`` when it cannot be written.
    func keep(secret text: String, as name: String) throws {
        try Self.keep(secret: text, at: file(name))
    }

    /// The name of the cluster whose registry is the file `path`, made when there is none.
    ///
    /// It lies beside that file, so that both move together; `nil` is the registry in this
    /// directory.
    ///
    /// - Throws: ``DaemonProblem`` when others can read it, or it cannot be written.
    func clusterID(ofRegistry path: String?) throws -> String {
        let name = "cluster.id"
        guard let path else { return try secret(name) }
        let place = URL(fileURLWithPath: path).deletingLastPathComponent().path + "/" + name
        if let text = try Self.secret(at: place) { return text }
        // Masters of before kept it here wherever the registry was.
        let text = try secret(name)
        if place != file(name) { try Self.keep(secret: text, at: place) }
        return text
    }

    private static func keep(secret text: String, at path: String) throws {
        guard
            FileManager.default.createFile(
                atPath: path, contents: Data((text + "\n").utf8),
                attributes: [.posixPermissions: 0o600])
        else {
            throw DaemonProblem(
                .dataDirectory, "the file \(path) cannot be written",
                because: String(cString: strerror(errno)),
                try: "make the data directory writable for this user")
        }
    }
}

/// A failure of a daemon as its operator sees it: what failed, because of what, what to do.
public struct DaemonProblem: Error, CustomStringConvertible, Sendable {
    /// The exit codes of daemons; supervisors can tell by them whether a restart helps.
    public enum Code: Int32, Sendable {
        /// Something unexpected; a restart may help.
        case failed = 1
        /// The configuration is not valid.
        case configuration = 78
        /// The data directory cannot be used, or belongs to a running daemon.
        case dataDirectory = 100
        /// A key is missing or not safe.
        case key = 101
        /// An address is in use.
        case address = 102
        /// The disk refused a write.
        case disk = 103
        /// The master refused the agent.
        case refused = 104
    }

    /// The exit code.
    public var code: Code
    /// What failed.
    public var what: String
    /// Because of what.
    public var because: String
    /// What to do.
    public var advice: String

    /// Describes a failure.
    public init(_ code: Code, _ what: String, because: String, try advice: String) {
        self.code = code
        self.what = what
        self.because = because
        self.advice = advice
    }

    /// Three lines for standard error.
    public var description: String {
        "error[D\(code.rawValue)]: \(what)\n  because: \(because)\n  try: \(advice)"
    }
}
