internal import BatchPolicy
internal import Foundation
internal import GRDB
internal import Glibc
internal import Proffer

/// The scheduler's state in SQLite: written ahead, synchronised at each commit.
///
/// Used by one thread at a time: while starting, then by the framework's.
final class Store: Sendable {
    private let database: DatabaseQueue

    /// Opens a database, making it when it is missing.
    init(_ path: String) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        do {
            // SQLite would let everybody read what it makes; the journals get the mode of the file.
            let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            if file >= 0 { _ = Glibc.close(file) }
            database = try DatabaseQueue(path: path, configuration: configuration)
            try Self.migrator.migrate(database)
        } catch {
            throw Problem(
                .dataDirectory, "the database \(path) cannot be used", because: "\(error)",
                try: "look at the permissions and free space; a newer version may have made it")
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
                    CREATE TABLE job (
                        sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, specification BLOB NOT NULL,
                        state TEXT NOT NULL, ending TEXT, created INTEGER NOT NULL,
                        started INTEGER, ended INTEGER, retries INTEGER NOT NULL,
                        exit_code INTEGER, message TEXT) STRICT;
                    CREATE TABLE place (
                        number INTEGER PRIMARY KEY, framework TEXT NOT NULL, agent TEXT NOT NULL,
                        hostname TEXT NOT NULL, port INTEGER NOT NULL,
                        UNIQUE (framework, agent, hostname, port)) STRICT;
                    CREATE TABLE instance (
                        job INTEGER NOT NULL, task INTEGER NOT NULL, position INTEGER NOT NULL,
                        phase INTEGER NOT NULL, attempts INTEGER NOT NULL,
                        failures INTEGER NOT NULL, losses INTEGER NOT NULL, exit_code INTEGER,
                        message TEXT, place INTEGER NOT NULL, started INTEGER NOT NULL,
                        ended INTEGER, PRIMARY KEY (job, task, position)) STRICT, WITHOUT ROWID;
                    """)
        }
        return migrator
    }

    // MARK: Settings

    func setting(_ name: String) throws -> String? {
        try database.read { database in
            try String.fetchOne(
                database, sql: "SELECT value FROM setting WHERE name = ?", arguments: [name])
        }
    }

    func set(_ name: String, _ value: String) throws {
        try database.write { try Self.set(name, value, $0) }
    }

    private static func set(_ name: String, _ value: String, _ database: Database) throws {
        try database.cachedStatement(sql: "INSERT OR REPLACE INTO setting VALUES (?, ?)")
            .execute(arguments: [name, value])
    }

    // MARK: Changes

    /// Keeps all of these or none.
    func commit(_ changes: [BatchChange]) throws {
        guard !changes.isEmpty else { return }
        try database.write { database in
            for change in changes {
                switch change {
                case .job(let record): try Self.write(record, database)
                case .instance(let record): try Self.write(record, database)
                case .forget(let sequence):
                    for sql in [
                        "DELETE FROM instance WHERE job = ?", "DELETE FROM job WHERE sequence = ?",
                    ] {
                        try database.cachedStatement(sql: sql).execute(arguments: [sequence])
                    }
                }
            }
        }
    }

    /// The specification never changes: it is written once.
    private static func write(_ record: JobRecord, _ database: Database) throws {
        let values: StatementArguments = [
            record.state.rawValue, record.ending?.rawValue, nanoseconds(record.started),
            nanoseconds(record.ended), record.retries, record.exitCode, record.message,
            record.sequence,
        ]
        try database.cachedStatement(
            sql: """
                UPDATE job SET state = ?, ending = ?, started = ?, ended = ?, retries = ?,
                exit_code = ?, message = ? WHERE sequence = ?
                """
        ).execute(arguments: values)
        guard database.changesCount == 0 else { return }
        let specification = try JSONEncoder().encode(record.specification)
        try database.cachedStatement(
            sql: "INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ).execute(arguments: [
            record.sequence, record.id, specification, record.state.rawValue,
            record.ending?.rawValue, nanoseconds(record.created), nanoseconds(record.started),
            nanoseconds(record.ended), record.retries, record.exitCode, record.message,
        ])
        try set("sequence", "\(record.sequence)", database)
    }

    private static func write(_ record: InstanceRecord, _ database: Database) throws {
        try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO instance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            record.job, record.task, record.index, record.phase.rawValue, record.attempts,
            record.failures, record.losses, record.exitCode, record.message,
            try number(of: record.place, database), nanoseconds(record.started),
            nanoseconds(record.ended),
        ])
    }

    private static func number(of place: Place, _ database: Database) throws -> Int64 {
        let values: StatementArguments = [
            place.framework.value, place.agent.value, place.hostname, place.port,
        ]
        let query = try database.cachedStatement(
            sql: """
                SELECT number FROM place WHERE framework = ? AND agent = ? AND hostname = ?
                AND port = ?
                """)
        if let number = try Int64.fetchOne(query, arguments: values) { return number }
        try database.cachedStatement(sql: "INSERT INTO place VALUES (NULL, ?, ?, ?, ?)")
            .execute(arguments: values)
        return database.lastInsertedRowID
    }

    private static func nanoseconds(_ time: WallTime?) -> Int64? { time?.nanosecondsSince1970 }

    // MARK: Loading

    /// Everything that was kept.
    func load() throws -> BatchRecords {
        try database.read { database in
            BatchRecords(
                jobs: try Self.jobs(database), instances: try Self.instances(database),
                lastSequence: try Int64.fetchOne(
                    database,
                    sql: "SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'sequence'")
                    ?? 0)
        }
    }

    private static func jobs(_ database: Database) throws -> [JobRecord] {
        let rows = try Row.fetchAll(database, sql: "SELECT * FROM job ORDER BY sequence")
        return try rows.map { row in
            let text: String = row["state"]
            guard let state = JobState(rawValue: text) else { throw Damage(what: text) }
            let ending: String? = row["ending"]
            return JobRecord(
                sequence: row["sequence"], id: row["id"],
                specification: try JSONDecoder().decode(
                    JobSpecification.self, from: row["specification"] as Data),
                state: state, ending: ending.flatMap(JobState.init),
                created: WallTime(nanosecondsSince1970: row["created"]),
                started: time(row["started"]), ended: time(row["ended"]),
                retries: row["retries"], exitCode: row["exit_code"], message: row["message"])
        }
    }

    private static func instances(_ database: Database) throws -> [InstanceRecord] {
        var places: [Int64: Place] = [:]
        for row in try Row.fetchAll(database, sql: "SELECT * FROM place") {
            places[row["number"]] = Place(
                framework: FrameworkID(row["framework"] as String),
                agent: AgentID(row["agent"] as String), hostname: row["hostname"],
                port: row["port"])
        }
        var records: [InstanceRecord] = []
        let rows = try Row.fetchCursor(
            database, sql: "SELECT * FROM instance ORDER BY job, task, position")
        while let row = try rows.next() {
            guard let phase = InstanceRecord.Phase(rawValue: row["phase"]),
                let place = places[row["place"]]
            else { throw Damage(what: "instance") }
            records.append(
                InstanceRecord(
                    job: row["job"], task: row["task"], index: row["position"], phase: phase,
                    attempts: row["attempts"], failures: row["failures"], losses: row["losses"],
                    exitCode: row["exit_code"], message: row["message"], place: place,
                    started: WallTime(nanosecondsSince1970: row["started"]),
                    ended: time(row["ended"])))
        }
        return records
    }

    private static func time(_ nanoseconds: Int64?) -> WallTime? {
        nanoseconds.map { WallTime(nanosecondsSince1970: $0) }
    }
}

/// The database holds something that no scheduler writes.
private struct Damage: Error, CustomStringConvertible {
    var what: String

    var description: String { "the database has a row that cannot be understood: \(what)" }
}
