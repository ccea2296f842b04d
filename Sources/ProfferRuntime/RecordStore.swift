public import ProfferModel
public import ProfferRegistry
internal import ProfferWire

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

/// Keeps nothing: for clusters that live and die with their process.
public struct MemoryStore<Record: Sendable>: RecordStore {
    /// Makes a store without content.
    public init() {}

    /// Nothing.
    public func load() throws -> [Record] { [] }

    /// Completes at once.
    public func submit(
        _ records: [Record], completion: @escaping @Sendable ((any Error)?) -> Void
    ) { completion(nil) }

    /// Does nothing.
    public func close() {}
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
