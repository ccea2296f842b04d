public import ProfferWire

/// The durable facts of a master, wherever they are: read whole, written in batches by one owner.
///
/// A master without others keeps them in SQLite (``SQLiteRegistry``), several share etcd
/// (``EtcdRegistry``). Tools treat both alike.
public protocol Registry: Sendable {
    /// Where it is, for people.
    var place: String { get }

    /// Everything, as of one moment, whoever owns it; `nil` when nothing was ever written.
    ///
    /// - Throws: ``StoreProblem``.
    func contents() async throws(StoreProblem) -> RegistryContents?

    /// Becomes the owner, under an epoch above every earlier one.
    ///
    /// - Parameters:
    ///   - clusterID: The cluster, if the registry is a new one; `nil` is one by chance.
    ///   - epoch: The new epoch is above this one, too.
    /// - Returns: The only one that can write from now on.
    /// - Throws: ``StoreProblem``: `taken` while a master has it.
    func claim(
        clusterID: String?, above epoch: UInt64
    ) async throws(StoreProblem) -> any RegistryWriter
}

/// What one owner of a registry can do: commit batches under its fencing token.
public protocol RegistryWriter: Sendable {
    /// The epoch of this ownership.
    var epoch: UInt64 { get }

    /// Commits a batch, all of it or nothing, unless somebody else has become the owner since.
    ///
    /// - Throws: ``StoreProblem``: `fenced` when somebody has.
    func commit(_ records: [StoredRecord]) async throws(StoreProblem)

    /// Gives the registry up.
    func release() async
}

/// Everything in a registry.
public struct RegistryContents: Hashable, Sendable {
    /// The version of the layout.
    public var schema: Int
    /// The cluster; `nil` where it is not known.
    public var clusterID: String?
    /// How often a master has taken over.
    public var epoch: UInt64
    /// The facts, by kind and key; the epoch is none of them.
    public var records: [StoredRecord]

    /// Describes contents.
    public init(schema: Int, clusterID: String?, epoch: UInt64, records: [StoredRecord]) {
        self.schema = schema
        self.clusterID = clusterID
        self.epoch = epoch
        self.records = records
    }
}

extension Registry {
    /// Writes contents of another registry in place of what is here, all of it or nothing.
    ///
    /// - Parameters:
    ///   - contents: What to write.
    ///   - replaces: Whether facts that are here may be lost.
    /// - Returns: The epoch under which it was written.
    /// - Throws: ``StoreProblem``: `taken` while a master has it, or facts are here that may not be
    ///   lost.
    public func restore(
        _ contents: RegistryContents, replaces: Bool
    ) async throws(StoreProblem) -> UInt64 {
        if let found = try await self.contents(), !found.records.isEmpty, !replaces {
            throw StoreProblem(
                .taken, path: place, because: "there are \(found.records.count) facts in it already"
            )
        }
        let writer = try await claim(clusterID: contents.clusterID, above: contents.epoch)
        do throws(StoreProblem) {
            // What is here is read again now that nobody else can write.
            let found = try await self.contents()?.records ?? []
            let kept = Set(contents.records.map { Name($0) })
            let gone = found.filter { !kept.contains(Name($0)) }.map {
                StoredRecord(kind: $0.kind, key: $0.key, value: nil)
            }
            try await writer.commit(gone + contents.records)
        } catch {
            await writer.release()
            throw error
        }
        await writer.release()
        return writer.epoch
    }
}

private struct Name: Hashable {
    var kind: String
    var key: String

    init(_ record: StoredRecord) {
        kind = record.kind
        key = record.key
    }
}
