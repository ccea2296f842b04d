internal import Foundation

/// How to reach a cluster: the file that `proffer dev` writes and every client reads.
public struct ClusterContext: Codable, Sendable {
    /// ZeroMQ addresses of the masters, for frameworks.
    public var master: [String]
    /// The masters' public key, Z85.
    public var masterKey: String
    /// The client's key pair.
    public var keyFile: String
    /// The master's HTTP address.
    public var http: String
    /// The operator's token, for orders.
    public var tokenFile: String?
    /// The service scheduler's HTTP address.
    public var services: String?
    /// The batch scheduler's HTTP address.
    public var batch: String?

    /// Describes a cluster.
    public init(master: [String], masterKey: String, keyFile: String, http: String) {
        self.master = master
        self.masterKey = masterKey
        self.keyFile = keyFile
        self.http = http
    }

    /// Where the context is unless `PROFFER_CONTEXT` says otherwise.
    public static var defaultPath: String {
        let path = ProcessInfo.processInfo.environment["PROFFER_CONTEXT"] ?? ""
        return path.isEmpty ? homeDirectory + "/.proffer/context.json" : path
    }

    /// Reads a context.
    ///
    /// - Throws: ``CommandProblem`` when there is none or it cannot be understood.
    public static func load(_ path: String? = nil) throws -> ClusterContext {
        let path = path ?? defaultPath
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandProblem(
                .unreachable, "no cluster is known", because: "there is no file \(path)",
                try: "start one with 'proffer dev', or name its file in PROFFER_CONTEXT")
        }
        do {
            return try JSONDecoder().decode(ClusterContext.self, from: data)
        } catch {
            throw CommandProblem(
                .invalidConfiguration, "the cluster file \(path) cannot be used",
                because: decodingProblem(error, in: data),
                try: "correct it there, or delete it and start 'proffer dev' again")
        }
    }

    /// Writes the context so that only its owner can read it.
    public func save(_ path: String) throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(self)
        let temporary = path + ".new"
        guard
            FileManager.default.createFile(
                atPath: temporary, contents: data, attributes: [.posixPermissions: 0o600]),
            rename(temporary, path) == 0
        else {
            throw CommandProblem(
                .failed, "the cluster file \(path) cannot be written",
                because: String(cString: strerror(errno)),
                try: "give another data directory, or set PROFFER_CONTEXT to a writable path")
        }
    }
}

/// The user's home as the shell knows it.
var homeDirectory: String {
    let home = ProcessInfo.processInfo.environment["HOME"] ?? ""
    return home.isEmpty ? NSHomeDirectory() : home
}
