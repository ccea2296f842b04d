internal import Foundation
internal import Glibc
internal import ProfferTransport

/// What a daemon serves and where: the file `endpoints.json` in its data directory, which is there
/// exactly while it serves.
public struct Endpoints: Codable, Hashable, Sendable {
    /// The daemon's process.
    public var pid: Int32
    /// Its HTTP server.
    public var http: String
    /// A master's address for frameworks.
    public var frameworks: String?
    /// A master's address for agents.
    public var agents: String?
    /// A master's public key, Z85.
    public var publicKey: String?

    /// Describes what this process serves.
    public init(
        http: String, frameworks: String? = nil, agents: String? = nil, publicKey: String? = nil
    ) {
        pid = getpid()
        self.http = http
        self.frameworks = frameworks
        self.agents = agents
        self.publicKey = publicKey
    }

    static let fileName = "endpoints.json"
}

extension DataDirectory {
    /// Writes `endpoints.json`, whole or not at all, readable by its owner only.
    ///
    /// - Throws: ``DaemonProblem`` when the directory cannot be written.
    public func publish(_ endpoints: Endpoints) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let target = file(Endpoints.fileName)
        let temporary = target + ".new"
        let data = try encoder.encode(endpoints)
        guard
            FileManager.default.createFile(
                atPath: temporary, contents: data, attributes: [.posixPermissions: 0o600]),
            rename(temporary, target) == 0
        else {
            throw DaemonProblem(
                .dataDirectory, "\(target) cannot be written",
                because: String(cString: strerror(errno)),
                try: "make the data directory writable for this user, and room on its disk")
        }
    }

    /// Removes `endpoints.json`.
    public func withdrawEndpoints() { unlink(file(Endpoints.fileName)) }
}

/// Keeps a data directory for one process; the kernel lets go of it however the process ends.
public final class DirectoryLock: Sendable {
    private let lock: FileLock

    /// Takes the directory.
    ///
    /// - Throws: ``DaemonProblem`` when another process has it.
    public init(_ directory: DataDirectory) throws {
        do throws(FileLock.Problem) {
            lock = try FileLock(directory.file("lock"))
        } catch {
            switch error {
            case .unusable(let code):
                throw DaemonProblem(
                    .dataDirectory, "the data directory \(directory.path) cannot be locked",
                    because: String(cString: strerror(code)),
                    try: "make the data directory writable for this user")
            case .taken(let process):
                throw DaemonProblem(
                    .dataDirectory, "the data directory \(directory.path) is in use",
                    because: "process \(process) has it",
                    try: "stop that process, or give this one a data directory of its own")
            }
        }
    }
}
