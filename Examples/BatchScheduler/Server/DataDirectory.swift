internal import Foundation
internal import Proffer

/// Where a scheduler keeps its state; of one running scheduler only.
struct DataDirectory: Sendable {
    let path: String
    private let lock: FileLock

    /// Opens and locks a directory, making it when it is missing.
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
        do throws(FileLock.Problem) {
            lock = try FileLock(absolute + "/lock")
        } catch {
            switch error {
            case .unusable(let code):
                throw Problem(
                    .dataDirectory, "the data directory \(absolute) cannot be written",
                    because: String(cString: strerror(code)),
                    try: "choose another with --data-dir, or make it writable for this user")
            case .taken(let process):
                throw Problem(
                    .dataDirectory, "the data directory \(absolute) is in use",
                    because: "process \(process) has it",
                    try: "stop that one, or choose another directory with --data-dir")
            }
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
