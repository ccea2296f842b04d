internal import Foundation

/// Where a scheduler keeps its state; of one running scheduler only.
struct DataDirectory: Sendable {
    let path: String

    /// Opens and locks a directory, making it when it is missing.
    ///
    /// The lock lives as long as the process.
    ///
    /// - Throws: ``Problem`` when it cannot be used or another scheduler uses it.
    init(_ path: String) throws {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        self.path = absolute
        do {
            try FileManager.default.createDirectory(
                atPath: absolute, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw Problem(
                .dataDirectory, "the data directory \(absolute) cannot be made",
                because: error.localizedDescription,
                try: "choose another with --data-dir, or make it writable for this user")
        }
        let lock = open(absolute + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw Problem(
                .dataDirectory, "the data directory \(absolute) cannot be written",
                because: String(cString: strerror(errno)),
                try: "choose another with --data-dir, or make it writable for this user")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw Problem(
                .dataDirectory, "the data directory \(absolute) is in use",
                because: "another batch scheduler runs with it",
                try: "stop that one, or choose another directory with --data-dir")
        }
    }

    func file(_ name: String) -> String { path + "/" + name }

    /// Tells others where the server is: written at once or not at all.
    func publish(http: String) throws {
        struct Endpoints: Encodable {
            var pid: Int32
            var http: String
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(Endpoints(pid: getpid(), http: http))
        let temporary = file("endpoints.json.new")
        guard
            FileManager.default.createFile(
                atPath: temporary, contents: data, attributes: [.posixPermissions: 0o600]),
            rename(temporary, file("endpoints.json")) == 0
        else {
            throw Problem(
                .dataDirectory, "\(file("endpoints.json")) cannot be written",
                because: String(cString: strerror(errno)),
                try: "look whether the disk is full")
        }
    }

    func unpublish() { unlink(file("endpoints.json")) }
}
