internal import Foundation
internal import Glibc

/// The directory in which the scheduler keeps its state; one process at a time has it.
///
/// The kernel lets go of the lock however the process ends.
final class DataFolder: Sendable {
    let path: String
    private let lock: Int32

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
        lock = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else {
            throw Problem(
                .dataDirectory, "the data directory \(folder) cannot be locked",
                because: String(cString: strerror(errno)),
                try: "make it writable for this user")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            var bytes = [UInt8](repeating: 0, count: 32)
            let count = max(0, pread(lock, &bytes, bytes.count, 0))
            close(lock)
            throw Problem(
                .dataDirectory, "the data directory \(folder) is in use",
                because: "process \(String(decoding: bytes.prefix(count), as: UTF8.self)) has it",
                try: "stop that process, or give this one a data directory of its own")
        }
        let text = Array("\(getpid())".utf8)
        ftruncate(lock, 0)
        pwrite(lock, text, text.count, 0)
    }

    deinit { close(lock) }

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
