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
