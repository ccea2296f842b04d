internal import Foundation
public import ProfferModel
public import ProfferRegistry
internal import ProfferWire
internal import Synchronization

/// Where a daemon keeps its durable facts.
public protocol RecordStore<Record>: Sendable {
    /// A durable fact: a value under a key, or its removal.
    associatedtype Record: Sendable

    /// Everything that was kept, in no particular order.
    ///
    /// - Throws: When the store cannot be read; says what to do.
    func load() throws -> [Record]

    /// Makes records durable, in order of submission, and then calls `completion` on a thread of
    /// the store's own. After one failure everything later fails.
    func submit(
        _ records: [Record], completion: @escaping @Sendable ((any Error)?) -> Void)

    /// Waits for what was submitted and gives the store up.
    func close()
}

extension RecordStore {
    /// Makes records durable and waits until they are.
    func keep(_ records: [Record]) throws {
        let done = DispatchSemaphore(value: 0)
        let problem = Mutex<(any Error)?>(nil)
        submit(records) { error in
            problem.withLock { $0 = error }
            done.signal()
        }
        done.wait()
        if let error = problem.withLock({ $0 }) { throw error }
    }
}

/// What was kept before a start: held until the machine has taken it, and not for all its life.
final class KeptRecords<Record: Sendable>: Sendable {
    private let records: Mutex<[Record]>

    init(_ records: [Record]) { self.records = Mutex(records) }

    var all: [Record] { records.withLock { $0 } }

    func take() -> [Record] {
        records.withLock { records in
            defer { records = [] }
            return records
        }
    }
}

/// Keeps records in memory: for clusters that live and die with their process.
///
/// A node that is made anew with the same store finds what its predecessor kept.
public final class MemoryStore<Record: Sendable>: RecordStore {
    private struct Key: Hashable {
        var kind: String
        var key: String
    }

    private let encode: @Sendable (Record) -> StoredRecord
    private let records = Mutex<[Key: Record]>([:])

    fileprivate init(_ encode: @escaping @Sendable (Record) -> StoredRecord) {
        self.encode = encode
    }

    /// Everything that was kept, by kind and key.
    public func load() -> [Record] {
        records.withLock { records in
            records.sorted { ($0.key.kind, $0.key.key) < ($1.key.kind, $1.key.key) }.map(\.value)
        }
    }

    /// Completes at once.
    public func submit(
        _ records: [Record], completion: @escaping @Sendable ((any Error)?) -> Void
    ) {
        self.records.withLock { kept in
            for record in records {
                let stored = encode(record)
                let key = Key(kind: stored.kind, key: stored.key)
                kept[key] = stored.value == nil ? nil : record
            }
        }
        completion(nil)
    }

    /// Does nothing.
    public func close() {}
}

extension MemoryStore<MasterRecord> {
    /// The registry of a master.
    public static func registry() -> MemoryStore<MasterRecord> {
        MemoryStore { WireCodec.encode($0) }
    }
}

extension MemoryStore<AgentRecord> {
    /// The checkpoints of an agent.
    public static func checkpoints() -> MemoryStore<AgentRecord> {
        MemoryStore { WireCodec.encode($0) }
    }
}

/// Keeps records in a ``SQLiteStore``.
public struct DurableStore<Record: Sendable>: RecordStore {
    private let store: SQLiteStore
    private let encode: @Sendable (Record) -> StoredRecord
    private let decode: @Sendable (StoredRecord) throws -> Record

    /// Every record.
    ///
    /// - Throws: ``StoreProblem`` or ``WireError`` when the file is damaged.
    public func load() throws -> [Record] { try store.load().map(decode) }

    /// Makes records durable together with what others submit meanwhile.
    public func submit(
        _ records: [Record], completion: @escaping @Sendable ((any Error)?) -> Void
    ) { store.submit(records.map(encode)) { completion($0) } }

    /// Waits for what was submitted and closes the file.
    public func close() { store.close() }
}

extension DurableStore<MasterRecord> {
    /// The registry of a master.
    public init(master store: SQLiteStore) {
        self.store = store
        encode = { WireCodec.encode($0) }
        decode = { try WireCodec.decodeMasterRecord($0) }
    }
}

extension DurableStore<AgentRecord> {
    /// The checkpoints of an agent.
    public init(agent store: SQLiteStore) {
        self.store = store
        encode = { WireCodec.encode($0) }
        decode = { try WireCodec.decodeAgentRecord($0) }
    }
}
