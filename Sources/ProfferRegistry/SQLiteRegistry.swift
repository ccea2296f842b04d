internal import Foundation
internal import Glibc
internal import ProfferWire

/// A registry in a file of a master without others, beside that master's `cluster.id`.
public struct SQLiteRegistry: Registry {
    /// The path of the file.
    public let place: String

    /// Names the file.
    public init(path: String) { place = path }

    private var directory: String {
        URL(fileURLWithPath: place).deletingLastPathComponent().path
    }
    private var clusterFile: String { directory + "/cluster.id" }

    /// Everything, as of one moment, also while a master runs; `nil` when there is no file.
    public func contents() async throws(StoreProblem) -> RegistryContents? {
        guard FileManager.default.fileExists(atPath: place) else { return nil }
        let store = try SQLiteStore(path: place)
        defer { store.close() }
        var records = try store.load()
        let epochs = records.filter { $0.kind == "epoch" }
        records.removeAll { $0.kind == "epoch" }
        if records.isEmpty, epochs.isEmpty { return nil }
        return RegistryContents(
            schema: Int(SQLiteStore.schemaVersion), clusterID: clusterID,
            epoch: epochs.compactMap { Self.number($0.value) }.max() ?? 0, records: records)
    }

    private var clusterID: String? {
        guard let data = FileManager.default.contents(atPath: clusterFile) else { return nil }
        let text = String(decoding: data, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? nil : text
    }

    private static func number(_ value: [UInt8]?) -> UInt64? {
        value.flatMap { UInt64(String(decoding: $0, as: UTF8.self)) }
    }

    /// Becomes the owner; a copy is adopted by that.
    public func claim(
        clusterID: String?, above epoch: UInt64
    ) async throws(StoreProblem) -> any RegistryWriter {
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let lock = try Lock([directory + "/lock", place + ".lock"], of: place)
        let before = try await contents()?.epoch ?? 0
        let store = try SQLiteStore(path: place)
        try store.claim(adopts: true)
        let writer = Writer(epoch: max(before, epoch) + 1, store: store, lock: lock)
        if let clusterID, clusterID != self.clusterID {
            guard
                FileManager.default.createFile(
                    atPath: clusterFile, contents: Data((clusterID + "\n").utf8),
                    attributes: [.posixPermissions: 0o600])
            else {
                throw StoreProblem(
                    .full, path: clusterFile, because: String(cString: strerror(errno)))
            }
        }
        return writer
    }

    private struct Writer: RegistryWriter {
        let epoch: UInt64
        let store: SQLiteStore
        let lock: Lock

        func commit(_ records: [StoredRecord]) async throws(StoreProblem) {
            let own = StoredRecord(kind: "epoch", key: "", value: Array("\(epoch)".utf8))
            let problem = await withCheckedContinuation { continuation in
                store.submit(records + [own]) { continuation.resume(returning: $0) }
            }
            if let problem { throw problem }
        }

        func release() async {
            store.close()
            lock.release()
        }
    }

    /// The lock of a master's data directory, or of a file elsewhere; a running one holds it.
    private final class Lock: Sendable {
        private let files: [Int32]

        init(_ paths: [String], of place: String) throws(StoreProblem) {
            var files: [Int32] = []
            for path in paths {
                let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
                let code = errno
                if file >= 0 { files.append(file) }
                guard file >= 0, flock(file, LOCK_EX | LOCK_NB) == 0 else {
                    for file in files { Glibc.close(file) }
                    throw file < 0
                        ? StoreProblem(
                            .unusable, path: place, because: String(cString: strerror(code)))
                        : StoreProblem(.taken, path: place, because: "a master has it")
                }
            }
            self.files = files
        }

        func release() { for file in files { Glibc.close(file) } }
    }
}
