internal import Foundation
internal import Glibc
internal import Proffer

/// The directory in which the scheduler keeps its state; one process at a time has it.
///
/// The kernel lets go of the lock however the process ends.
final class DataFolder: Sendable {
    let path: String
    private let lock: FileLock

    /// - Throws: ``Problem`` when it cannot be used, or another process has it.
    init(_ path: String) throws {
        self.path = URL(fileURLWithPath: path).standardizedFileURL.path
        let folder = self.path
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw Problem(
                .dataDirectory, "the data directory \(folder) cannot be made",
                because: error.localizedDescription,
                try: "choose another with --data-dir, or make it writable for this user")
        }
        do throws(FileLock.Problem) {
            lock = try FileLock(folder + "/lock")
        } catch {
            switch error {
            case .unusable(let code):
                throw Problem(
                    .dataDirectory, "the data directory \(folder) cannot be locked",
                    because: String(cString: strerror(code)),
                    try: "make it writable for this user")
            case .taken(let process):
                throw Problem(
                    .dataDirectory, "the data directory \(folder) is in use",
                    because: "process \(process) has it",
                    try: "stop that process, or give this one a data directory of its own")
            }
        }
    }

    func file(_ name: String) -> String { path + "/" + name }

    /// Says where the scheduler serves, whole or not at all.
    ///
    /// - Throws: ``Problem`` when the directory cannot be written.
    func publish(http: String) throws {
        struct Endpoints: Encodable {
            var pid: Int32
            var http: String
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(Endpoints(pid: getpid(), http: http))
        let target = file("endpoints.json")
        let isWritten = FileManager.default.createFile(
            atPath: target + ".new", contents: data, attributes: [.posixPermissions: 0o600])
        guard isWritten, rename(target + ".new", target) == 0 else {
            throw Problem(
                .dataDirectory, "\(target) cannot be written",
                because: String(cString: strerror(errno)),
                try: "make room on its disk, and the directory writable for this user")
        }
    }

    func withdraw() { unlink(file("endpoints.json")) }
}
