internal import Dispatch
internal import Foundation
internal import GRDB
internal import GRDBSQLite
internal import Glibc
public import ProfferWire
internal import Synchronization

/// Keeps keyed facts in one SQLite file, written in groups.
///
/// Write-ahead log with synchronous FULL: what has been reported as durable outlives a power cut.
/// Facts that are submitted while a write is under way are written together in the next one, so
/// the cost of a disk flush is shared by all of them (group commit). When many come, a write waits
/// for more of them, 2 ms at most; a fact that comes alone never waits.
///
/// After one failed write nothing is written any more: a daemon must stop then and recover from
/// what is on disk.
public final class SQLiteStore: Sendable {
    private struct Batch {
        var records: [StoredRecord]
        var completion: @Sendable (StoreProblem?) -> Void
    }

    private struct State {
        var waiting: [Batch] = []
        var isWriting = false
        var failure: StoreProblem?
        var isClosed = false
        var relieve: (@Sendable () -> Bool)?
        /// The fence of the owner, if the file has one.
        var token: Int64?
    }

    /// Marks the file as ours, for tools such as `file`.
    static let applicationID: Int32 = 0x5072_6F66
    /// The version of the tables; a file of a later one is refused.
    static let schemaVersion: Int32 = 1

    private let path: String
    private let database: DatabaseQueue
    private let queue: DispatchQueue
    private let state = Mutex(State())

    /// Opens a file, making it when it is missing, readable by its owner only.
    ///
    /// The caller makes sure that no other process has it open.
    /// - Throws: ``StoreProblem`` when it cannot be opened, is damaged, is no file of ours or comes
    ///   from a newer version.
    public init(path: String) throws(StoreProblem) {
        self.path = path
        queue = DispatchQueue(label: "proffer.store")
        do {
            var configuration = Configuration()
            configuration.label = "proffer"
            configuration.prepareDatabase { db in
                try db.execute(sql: "PRAGMA synchronous = FULL")
                try db.execute(sql: "PRAGMA cache_size = -2000")
            }
            Self.makePrivate(path)
            database = try DatabaseQueue(path: path, configuration: configuration)
            try database.inDatabase { db in
                try Self.prepare(db, path)
            }
        } catch let problem as StoreProblem {
            throw problem
        } catch {
            throw StoreProblem(.unusable, path: path, because: Self.reason(error))
        }
    }

    /// Makes a missing file before SQLite does, which would let everybody read it.
    ///
    /// The journals get the mode of their file. What is wrong with the path SQLite says itself.
    private static func makePrivate(_ path: String) {
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if file >= 0 { _ = Glibc.close(file) }
    }

    private static func prepare(_ db: Database, _ path: String) throws {
        let application = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let version = try Int32.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let isEmpty = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") == 0
        guard application == applicationID || (isEmpty && application == 0) else {
            throw StoreProblem(
                .foreign, path: path, because: "it is a database of another program")
        }
        guard version <= schemaVersion else {
            throw StoreProblem(
                .newer, path: path,
                because: "its version is \(version), this program knows up to \(schemaVersion)")
        }
        try db.execute(sql: "PRAGMA journal_mode = WAL")
        guard version == 0 else { return }
        // All or nothing: a table without our mark would be taken for another program's.
        try db.inTransaction {
            try db.execute(
                sql: """
                    CREATE TABLE fact (
                        kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
                        PRIMARY KEY (kind, key)
                    ) WITHOUT ROWID;
                    PRAGMA application_id = \(applicationID);
                    PRAGMA user_version = \(schemaVersion);
                    """)
            return .commit
        }
    }

    /// Takes the file for this process: whoever had it before writes nothing any more.
    ///
    /// The file remembers its own number on the disk. A copy has another one: two masters that
    /// both believe to be the one of this registry would tear the cluster apart, so a copy has to
    /// be adopted first.
    /// - Parameter adopts: Whether a copy is taken, too.
    /// - Throws: ``StoreProblem``: `taken` when it is a copy.
    public func claim(adopts: Bool = false) throws(StoreProblem) {
        var attributes = stat()
        guard stat(path, &attributes) == 0 else {
            throw StoreProblem(
                .unusable, path: path, because: String(cString: strerror(errno)))
        }
        let file = Int64(bitPattern: UInt64(attributes.st_ino))
        do {
            let token = try database.write { db -> Int64 in
                try db.execute(
                    sql: "CREATE TABLE IF NOT EXISTS owner (file INTEGER, token INTEGER)")
                let row = try Row.fetchOne(db, sql: "SELECT file, token FROM owner")
                if let row, row[0] != file, !adopts {
                    throw StoreProblem(
                        .taken, path: path,
                        because: "it is a copy of a registry that another master may be using")
                }
                let token: Int64 = (row?[1] ?? 0) + 1
                try db.execute(sql: "DELETE FROM owner")
                try db.execute(
                    sql: "INSERT INTO owner (file, token) VALUES (?, ?)",
                    arguments: [file, token])
                return token
            }
            state.withLock { $0.token = token }
        } catch let problem as StoreProblem {
            throw problem
        } catch {
            throw StoreProblem(.unusable, path: path, because: Self.reason(error))
        }
    }

    /// Every fact, by kind and key.
    ///
    /// - Throws: ``StoreProblem`` when the file is damaged.
    /// - Complexity: O(facts).
    public func load() throws(StoreProblem) -> [StoredRecord] {
        do {
            return try database.read { db in
                let rows = try Row.fetchCursor(
                    db, sql: "SELECT kind, key, value FROM fact ORDER BY kind, key")
                var records: [StoredRecord] = []
                while let row = try rows.next() {
                    let value: [UInt8] = try row.withUnsafeData(atIndex: 2) { Array($0 ?? .init()) }
                    records.append(StoredRecord(kind: row[0], key: row[1], value: value))
                }
                return records
            }
        } catch {
            throw StoreProblem(.unusable, path: path, because: Self.reason(error))
        }
    }

    /// Makes facts durable, in the order of submission, all of one call or none; usable from any
    /// thread.
    ///
    /// - Parameters:
    ///   - records: The facts.
    ///   - completion: Called on a thread of the store, with the problem when the facts are not
    ///     durable.
    public func submit(
        _ records: [StoredRecord], completion: @escaping @Sendable (StoreProblem?) -> Void
    ) {
        let refusal = state.withLock { state -> StoreProblem? in
            if let failure = state.failure { return failure }
            if state.isClosed {
                return StoreProblem(.closed, path: path, because: "it was closed")
            }
            state.waiting.append(Batch(records: records, completion: completion))
            if !state.isWriting {
                state.isWriting = true
                queue.async { self.writeAll() }
            }
            return nil
        }
        if let refusal { queue.async { completion(refusal) } }
    }

    /// Writes what waits and then refuses everything; returns when the file is closed.
    public func close() {
        state.withLock { $0.isClosed = true }
        queue.sync { try? database.close() }
    }

    /// Has `relieve` called when something cannot be written, before that is a failure.
    ///
    /// When it says that there is more room now, it is tried again. On a thread of the store's own.
    public func setRelief(_ relieve: @escaping @Sendable () -> Bool) {
        state.withLock { $0.relieve = relieve }
    }

    private func writeWithRelief(_ batches: [Batch]) throws {
        do {
            try write(batches)
        } catch {
            guard !(error is StoreProblem), let relieve = state.withLock({ $0.relieve }), relieve()
            else { throw error }
            try write(batches)
        }
    }

    private func writeAll() {
        var pause: UInt32 = 0
        while true {
            // Whoever submits little by little and quickly gets fewer and larger writes. It sleeps
            // rather than leave the queue, so that `close`, which waits for the queue, comes after
            // what was submitted before it.
            if pause > 0 { usleep(pause) }
            let batches = state.withLock { state -> [Batch] in
                if state.waiting.isEmpty { state.isWriting = false }
                defer { state.waiting = [] }
                return state.waiting
            }
            if batches.isEmpty { return }
            pause = Self.pause(after: batches.count)
            var problem = state.withLock { $0.failure }
            if problem == nil {
                do {
                    try writeWithRelief(batches)
                } catch {
                    let failure =
                        error as? StoreProblem
                        ?? StoreProblem(.full, path: path, because: Self.reason(error))
                    state.withLock { $0.failure = failure }
                    problem = failure
                }
            }
            for batch in batches { batch.completion(problem) }
        }
    }

    /// How long the next write waits for more when one has had so many batches; in microseconds.
    ///
    /// Two batches are no sign of a crowd. From about four batches in a millisecond on, groups and
    /// pauses make each other grow up to the limit, which is worth less than a disk flush or two;
    /// below, they make each other vanish.
    static func pause(after batchCount: Int) -> UInt32 {
        UInt32(min(2000, 250 * max(0, batchCount - 2)))
    }

    private func write(_ batches: [Batch]) throws {
        let token = state.withLock { $0.token }
        try database.write { db in
            if let token {
                let owner = try db.cachedStatement(sql: "SELECT token FROM owner")
                guard try Int64.fetchOne(owner) == token else {
                    throw StoreProblem(
                        .fenced, path: path, because: "another process has taken it since")
                }
            }
            let put = try db.cachedStatement(
                sql: "INSERT OR REPLACE INTO fact (kind, key, value) VALUES (?, ?, ?)")
            let remove = try db.cachedStatement(sql: "DELETE FROM fact WHERE kind = ? AND key = ?")
            for record in StoredRecord.lastWords(of: batches.map(\.records)) {
                let statement = record.value == nil ? remove : put
                try Self.execute(statement.sqliteStatement, record, db)
            }
        }
    }

    /// Runs a prepared statement: what the library does on the way costs more than SQLite itself.
    private static func execute(
        _ statement: SQLiteStatement, _ record: StoredRecord, _ db: Database
    ) throws {
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        // SQLite reads the bytes in place; they stay until the statement is reset.
        var (kind, key) = (record.kind, record.key)
        let code = kind.withUTF8 { kind in
            key.withUTF8 { key in
                bindText(statement, 1, kind)
                bindText(statement, 2, key)
                guard let value = record.value else { return sqlite3_step(statement) }
                return value.withUnsafeBytes { value in
                    if value.isEmpty {
                        sqlite3_bind_zeroblob(statement, 3, 0)
                    } else {
                        sqlite3_bind_blob(
                            statement, 3, value.baseAddress, Int32(clamping: value.count), nil)
                    }
                    return sqlite3_step(statement)
                }
            }
        }
        guard code == SQLITE_DONE else {
            throw DatabaseError(
                resultCode: ResultCode(rawValue: code), message: db.lastErrorMessage)
        }
    }

    private static func bindText(
        _ statement: SQLiteStatement, _ index: Int32, _ text: UnsafeBufferPointer<UInt8>
    ) {
        let start = UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self)
        if let start, !text.isEmpty {
            sqlite3_bind_text(statement, index, start, Int32(clamping: text.count), nil)
        } else {
            sqlite3_bind_text(statement, index, "", 0, nil)
        }
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        return error.message ?? "SQLite error \(error.resultCode.rawValue)"
    }
}

/// Why facts cannot be kept or read.
public struct StoreProblem: Error, Hashable, CustomStringConvertible {
    /// What is wrong.
    public enum Kind: Hashable, Sendable {
        /// The file cannot be opened or read, or is damaged.
        case unusable
        /// The file belongs to another program.
        case foreign
        /// The file was written by a newer version.
        case newer
        /// A write failed, most often because the disk is full.
        case full
        /// The store was closed.
        case closed
        /// The address of the store is none.
        case address
        /// The store does not answer.
        case unreachable
        /// The store does not let this program in.
        case denied
        /// Another master leads, or has led since; what was to be written was not.
        case fenced
        /// Another process, or another copy, has the store.
        case taken
    }

    /// What is wrong.
    public let kind: Kind
    /// The file.
    public let path: String
    /// Why.
    public let because: String

    /// Describes a failure.
    public init(_ kind: Kind, path: String, because: String) {
        self.kind = kind
        self.path = path
        self.because = because
    }

    /// What to do about it.
    public var advice: String {
        switch kind {
        case .unusable: "restore the file from a backup, or move it away to begin anew"
        case .foreign: "give another data directory"
        case .newer: "start the version that wrote it, or a later one"
        case .full: "make room on the disk and start again; nothing that was confirmed is lost"
        case .closed: "start the program again"
        case .address: "write for example etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379"
        case .unreachable: "look whether a majority of the etcd members runs and can be reached"
        case .denied: "compare user, password and certificates with those that etcd knows"
        case .fenced: "nothing: the master that leads goes on"
        case .taken:
            "stop the other one; if this is a copy that takes its place, run"
                + " 'proffer registry adopt'"
        }
    }

    /// One sentence.
    public var description: String {
        switch kind {
        case .full, .fenced: "\(path) cannot be written: \(because)"
        case .unusable, .foreign, .newer, .closed, .address, .unreachable, .denied, .taken:
            "\(path) cannot be used: \(because)"
        }
    }
}
