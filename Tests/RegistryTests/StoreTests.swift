import ClusterProbe
import Foundation
import GRDB
import ProfferWire
import Synchronization
import Testing

@testable import ProfferRegistry

@Suite("Store")
struct StoreTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.file("store.sqlite") }

    init() throws { directory = try TemporaryDirectory("registry") }

    private func record(_ key: String, _ text: String?, kind: String = "k") -> StoredRecord {
        StoredRecord(kind: kind, key: key, value: text.map { Array($0.utf8) })
    }

    @Test("what was confirmed is there after the file is opened again")
    func reopen() async throws {
        let records = [
            record("a", "1"), record("b", ""), record("a", "other kind", kind: "l"),
            StoredRecord(kind: "k", key: "bytes", value: [0, 255, 0, 1]),
        ]
        let store = try SQLiteStore(path: path)
        #expect(try store.load().isEmpty)
        #expect(await store.submit(records) == nil)
        store.close()
        let again = try SQLiteStore(path: path)
        let order: (StoredRecord, StoredRecord) -> Bool = { ($0.kind, $0.key) < ($1.kind, $1.key) }
        #expect(try again.load() == records.sorted(by: order))
        again.close()
    }

    @Test("the file and its journals can be read by their owner only")
    func mode() async throws {
        let store = try SQLiteStore(path: path)
        #expect(await store.submit([record("a", "1")]) == nil)
        for name in [path, path + "-wal", path + "-shm"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: name)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        }
        store.close()
    }

    @Test("a removed record is gone, and removing what is not there does no harm")
    func removal() async throws {
        let store = try SQLiteStore(path: path)
        #expect(await store.submit([record("a", "1"), record("b", "2")]) == nil)
        #expect(await store.submit([record("a", nil), record("never", nil)]) == nil)
        #expect(try store.load() == [record("b", "2")])
        store.close()
    }

    @Test("within one batch the last word on a key counts")
    func order() async throws {
        let store = try SQLiteStore(path: path)
        let batch = [
            record("a", "1"), record("a", "2"), record("b", "1"), record("b", nil),
            record("c", nil), record("c", "3"),
        ]
        #expect(await store.submit(batch) == nil)
        #expect(try store.load() == [record("a", "2"), record("c", "3")])
        store.close()
    }

    @Test("every text and every value comes back as it was")
    func texts() async throws {
        let store = try SQLiteStore(path: path)
        let texts = ["", "é", "a\u{1F}b", "'; --", String(repeating: "long", count: 100)]
        let records = texts.flatMap { key in
            texts.map { record(key, $0 + key, kind: "k" + key) }
        }
        #expect(await store.submit(records) == nil)
        let last = texts.map { record($0, texts[4] + $0, kind: "k" + $0) }
        #expect(Set(try store.load()) == Set(last))
        #expect(await store.submit(last.map { record($0.key, nil, kind: $0.kind) }) == nil)
        #expect(try store.load().isEmpty)
        store.close()
    }

    @Test("a write that has had one batch or two lets the next one go at once, and none waits long")
    func pauses() {
        #expect([0, 1, 2].map(SQLiteStore.pause(after:)) == [0, 0, 0])
        #expect([3, 6, 10, 1000].map(SQLiteStore.pause(after:)) == [250, 1000, 2000, 2000])
    }

    @Test("batches of several threads are all confirmed, each thread's in its order")
    func groupCommit() async throws {
        let store = try SQLiteStore(path: path)
        let confirmed = Mutex<[Int: [Int]]>([:])
        DispatchQueue.concurrentPerform(iterations: 8) { writer in
            for number in 0..<50 {
                store.submit([record("\(writer)-\(number)", "\(number)")]) { problem in
                    if problem == nil {
                        confirmed.withLock { $0[writer, default: []].append(number) }
                    }
                }
            }
        }
        store.close()
        let all = Array(0..<50)
        #expect(
            confirmed.withLock { $0 } == Dictionary(uniqueKeysWithValues: (0..<8).map { ($0, all) })
        )
        #expect(try SQLiteStore(path: path).load().count == 400)
    }

    @Test("closing writes what was submitted before")
    func closeWrites() async throws {
        let store = try SQLiteStore(path: path)
        let results = Mutex<[StoreProblem?]>([])
        for number in 0..<20 {
            store.submit([record("\(number)", "x")]) { problem in
                results.withLock { $0.append(problem) }
            }
        }
        store.close()
        #expect(results.withLock { $0.count } == 20)
        #expect(results.withLock { $0.allSatisfy { $0 == nil } })
        #expect(try SQLiteStore(path: path).load().count == 20)
    }

    @Test("a closed store refuses")
    func closed() async throws {
        let store = try SQLiteStore(path: path)
        store.close()
        #expect(await store.submit([record("a", "1")])?.kind == .closed)
        #expect(try SQLiteStore(path: path).load().isEmpty)
    }

    @Test("the file of a newer version is refused and stays as it is")
    func newer() async throws {
        let store = try SQLiteStore(path: path)
        #expect(await store.submit([record("a", "1")]) == nil)
        store.close()
        let other = try DatabaseQueue(path: path)
        try await other.write {
            try $0.execute(sql: "PRAGMA user_version = \(SQLiteStore.schemaVersion + 1)")
        }
        try other.close()
        let problem = #expect(throws: StoreProblem.self) { try SQLiteStore(path: path) }
        #expect(problem?.kind == .newer)
        #expect(problem?.path == path)
        #expect(problem?.advice.contains("version") == true)
    }

    @Test("the file of another program is refused")
    func foreign() async throws {
        let other = try DatabaseQueue(path: path)
        try await other.write { try $0.execute(sql: "CREATE TABLE song (name TEXT)") }
        try other.close()
        let problem = #expect(throws: StoreProblem.self) { try SQLiteStore(path: path) }
        #expect(problem?.kind == .foreign)
    }

    @Test("a file that is no database is refused and stays as it is")
    func garbage() throws {
        let text = String(repeating: "this is no database\n", count: 500)
        try TextFile.write(text, to: path)
        let problem = #expect(throws: StoreProblem.self) { try SQLiteStore(path: path) }
        #expect(problem?.kind == .unusable)
        #expect(TextFile.read(path) == text)
    }

    @Test("a directory that does not exist is named in the problem")
    func noDirectory() {
        let missing = directory.file("no/such/store.sqlite")
        let problem = #expect(throws: StoreProblem.self) { try SQLiteStore(path: missing) }
        #expect(problem?.kind == .unusable)
        #expect(problem?.description.contains(missing) == true)
    }
}

extension SQLiteStore {
    /// Submits a batch and waits for its fate.
    func submit(_ records: [StoredRecord]) async -> StoreProblem? {
        await withCheckedContinuation { continuation in
            submit(records) { continuation.resume(returning: $0) }
        }
    }
}
