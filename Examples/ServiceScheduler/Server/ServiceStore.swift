internal import Foundation
internal import GRDB
internal import Glibc
internal import ServicePolicy

/// The scheduler's durable state in one SQLite file.
///
/// Write-ahead log with synchronous FULL: what was reported as durable outlives a power cut.
final class ServiceStore: Sendable {
    private static let schemaVersion = 1
    private let path: String
    private let database: DatabaseQueue

    /// - Throws: ``Problem`` when the file cannot be used, or comes from a newer version.
    init(path: String) throws {
        self.path = path
        do {
            var configuration = Configuration()
            configuration.prepareDatabase { database in
                try database.execute(sql: "PRAGMA synchronous = FULL")
            }
            // SQLite would let everybody read what it makes; the journals get the mode of the file.
            let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            if file >= 0 { _ = Glibc.close(file) }
            database = try DatabaseQueue(path: path, configuration: configuration)
            try database.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA journal_mode = WAL")
            }
            try database.write { database in try Self.prepare(database, path) }
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Problem(
                .disk, "the state in \(path) cannot be used", because: "\(error)",
                try: "restore the file from a backup, or move it away to begin anew")
        }
    }

    private static func prepare(_ database: Database, _ path: String) throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard version <= schemaVersion else {
            throw Problem(
                .disk, "the state in \(path) cannot be used",
                because: "its version is \(version), this program knows up to \(schemaVersion)",
                try: "start the version that wrote it, or a later one")
        }
        try database.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS record (
                    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                    PRIMARY KEY (kind, key)
                ) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS setting (
                    name TEXT PRIMARY KEY, value TEXT NOT NULL
                ) WITHOUT ROWID;
                PRAGMA user_version = \(schemaVersion);
                """)
    }

    /// Every record, by kind and key.
    func load() throws -> [StoreChange] {
        try guarded("read") {
            try database.read { database in
                try Row.fetchAll(
                    database, sql: "SELECT kind, key, value FROM record ORDER BY kind, key"
                ).map { StoreChange(kind: $0[0], key: $0[1], value: $0[2]) }
            }
        }
    }

    /// Makes changes durable, all or none.
    func apply(_ changes: [StoreChange]) throws {
        try guarded("written") {
            try database.write { database in
                let put = try database.cachedStatement(
                    sql: "INSERT OR REPLACE INTO record (kind, key, value) VALUES (?, ?, ?)")
                let remove = try database.cachedStatement(
                    sql: "DELETE FROM record WHERE kind = ? AND key = ?")
                for change in changes {
                    if let value = change.value {
                        try put.execute(arguments: [change.kind, change.key, value])
                    } else {
                        try remove.execute(arguments: [change.kind, change.key])
                    }
                }
            }
        }
    }

    /// The framework's id from an earlier run.
    func frameworkID() throws -> String? {
        try guarded("read") {
            try database.read { database in
                try String.fetchOne(
                    database, sql: "SELECT value FROM setting WHERE name = 'framework'")
            }
        }
    }

    func keep(frameworkID: String) throws {
        try guarded("written") {
            try database.write { database in
                try database.execute(
                    sql: "INSERT OR REPLACE INTO setting (name, value) VALUES ('framework', ?)",
                    arguments: [frameworkID])
            }
        }
    }

    private func guarded<Result>(_ verb: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            throw Problem(
                .disk, "the state in \(path) cannot be \(verb)", because: "\(error)",
                try: "make room on the disk and start again; nothing that was confirmed is lost")
        }
    }
}
