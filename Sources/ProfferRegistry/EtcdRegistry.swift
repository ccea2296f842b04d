internal import Foundation
public import ProfferElection
internal import ProfferKernel
public import ProfferWire

/// A registry in etcd, and the coordinator of the election of who may write it.
///
/// Every write is a transaction on the condition of the leader key's creation revision, and of the
/// head that the write before has left. Reads are taken at a revision that is known to be late
/// enough. Nothing rests on a lease or a watch.
public final class EtcdRegistry: Sendable {
    /// The version of the layout that this program writes.
    public static let schema = EtcdLayout.schema
    /// How many keys one read may bring.
    private static let page: Int64 = 1000

    /// Where it is.
    public let address: EtcdAddress
    let client: EtcdClient
    let layout: EtcdLayout

    /// Prepares to speak to etcd.
    ///
    /// - Throws: ``StoreProblem`` when a certificate or key cannot be read.
    public init(_ address: EtcdAddress) throws(StoreProblem) {
        self.address = address
        client = try EtcdClient(address)
        layout = EtcdLayout(prefix: address.prefix)
    }

    /// Lets go of all connections.
    public func close() async { await client.close() }

    // MARK: Election

    /// Carries out a request of an election; `load` is answered, but what was read is lost: see
    /// ``load(at:pending:)``.
    public func carryOut(
        _ request: ElectionRequest, within limit: Duration
    ) async -> Result<ElectionAnswer, ElectionFailure> {
        do {
            return .success(try await answer(request, within: limit))
        } catch {
            return .failure(Self.failure(error))
        }
    }

    private static func failure(_ problem: EtcdProblem) -> ElectionFailure {
        switch problem {
        case .unreachable(let text): .unreachable(text)
        case .noSpace: .noSpace
        case .revision(let text), .denied(let text), .refused(let text): .refused(text)
        }
    }

    private func answer(
        _ request: ElectionRequest, within limit: Duration
    ) async throws(EtcdProblem) -> ElectionAnswer {
        switch request {
        case .readLeader:
            let answer = try await client.call(
                "/v3/kv/range", Etcd.Range(key: layout.leader), as: Etcd.RangeAnswer.self,
                within: limit)
            return .leader(
                try EtcdLayout.leader(answer.kvs?.first),
                at: Revision(answer.header?.revision?.value ?? 0))
        case .grantLease(let time):
            let seconds = max(1, time.components.seconds)
            let lease = try await client.call(
                "/v3/lease/grant", Etcd.Grant(time: QuotedNumber(seconds)), as: Etcd.Lease.self,
                within: limit)
            return .lease(LeaseID(lease.id.value), .seconds(lease.time?.value ?? 0))
        case .campaign(let record, let lease):
            return try await transaction(
                [.created(layout.leader, at: 0)],
                [
                    .put(layout.leader, EtcdLayout.encode(record), lease: lease.value),
                    .get(layout.head),
                ], within: limit)
        case .takeOver(let fence, let expecting, let head):
            return try await transaction(
                conditions(fence, expecting), [.put(layout.head, EtcdLayout.encode(head))],
                within: limit)
        case .load(let revision):
            return .loaded(at: revision)
        case .keepAlive(let lease):
            let answer = try await client.call(
                "/v3/lease/keepalive", Etcd.Lease(id: QuotedNumber(lease.value)),
                as: Etcd.Streamed<Etcd.Lease>.self, within: limit)
            if let problem = answer.error { throw EtcdClient.problem(problem) }
            return .alive(.seconds(answer.result?.time?.value ?? 0))
        case .prove(let fence):
            // A deletion of what is not there: it takes its place among the writes, but makes no
            // revision and needs no space.
            return .proof(
                try await holds(fence, [.delete(layout.proof)], within: limit))
        case .resign(let fence):
            return .proof(try await holds(fence, [.delete(layout.leader)], within: limit))
        }
    }

    func conditions(_ fence: Fence, _ head: Revision) -> [Etcd.Compare] {
        [
            .created(layout.leader, at: fence.creation.value),
            .modified(layout.head, at: head.value),
        ]
    }

    private func holds(
        _ fence: Fence, _ success: [Etcd.Operation], within limit: Duration
    ) async throws(EtcdProblem) -> Bool {
        let answer = try await client.call(
            "/v3/kv/txn",
            Etcd.Transaction(
                compare: [.created(layout.leader, at: fence.creation.value)], success: success,
                failure: []), as: Etcd.TransactionAnswer.self, within: limit)
        return answer.succeeded == true
    }

    private func transaction(
        _ compare: [Etcd.Compare], _ success: [Etcd.Operation], within limit: Duration
    ) async throws(EtcdProblem) -> ElectionAnswer {
        let answer = try await client.call(
            "/v3/kv/txn",
            Etcd.Transaction(
                compare: compare, success: success,
                failure: [.get(layout.leader), .get(layout.head)]),
            as: Etcd.TransactionAnswer.self, within: limit)
        return .transaction(
            held: answer.succeeded == true,
            leader: try EtcdLayout.leader(answer.found(layout.leader)),
            head: try EtcdLayout.head(answer.found(layout.head)), at: Revision(answer.revision))
    }

    /// Watches the leader key until the watch breaks; returns soon when it cannot be begun.
    public func watchLeader(after revision: Revision, changed: @Sendable () -> Void) async {
        try? await client.watch(layout.leader, from: revision.value + 1, changed: changed)
    }

    // MARK: Reading

    /// Reads everything as it was at a revision, or, when that one has been compacted, at a later
    /// one.
    ///
    /// - Parameters:
    ///   - revision: The one at which the head was written.
    ///   - pending: What the head says of a commit that is not in its places yet.
    /// - Returns: Everything; its revision tells whether that is late enough.
    /// - Throws: ``StoreProblem``.
    /// - Complexity: O(facts).
    public func load(
        at revision: Revision, pending: PendingCommit?
    ) async throws(StoreProblem) -> LoadedRegistry {
        do {
            return try await read(at: revision, pending)
        } catch {
            throw problem(error)
        }
    }

    private func read(
        at revision: Revision, _ pending: PendingCommit?
    ) async throws(EtcdProblem) -> LoadedRegistry {
        var found: (pairs: [Etcd.KeyValue], at: Revision)
        do {
            found = try await pages("record", at: revision)
        } catch .revision(let text) where text.contains("compacted") {
            found = try await pages("record", at: .zero)
        }
        // An answer from before makes no sense to whoever has written since.
        guard found.at >= revision else {
            client.distrust()
            return LoadedRegistry(revision: found.at)
        }
        var values: [String: Data] = [:]
        for pair in found.pairs {
            guard let name = layout.name(pair.key, in: "record") else { continue }
            values[name] = pair.value ?? Data()
        }
        var pieces: [Data: Data] = [:]
        if values.values.contains(where: { $0.first == 1 }) || pending != nil {
            for pair in try await pages("more", at: found.at).pairs {
                pieces[pair.key] = pair.value ?? Data()
            }
        }
        var unfinished: [EtcdChange] = []
        if let pending {
            unfinished = try await parts(of: pending, at: found.at)
            apply(unfinished, to: &values, &pieces)
        }
        return try assembled(values, pieces, unfinished, at: found.at)
    }

    private func pages(
        _ folder: String, at revision: Revision
    ) async throws(EtcdProblem) -> (pairs: [Etcd.KeyValue], at: Revision) {
        var (next, end) = layout.folder(folder)
        var pairs: [Etcd.KeyValue] = []
        var pinned = revision
        while true {
            let answer = try await client.call(
                "/v3/kv/range",
                Etcd.Range(
                    key: next, rangeEnd: end,
                    limit: QuotedNumber(folder == "record" ? Self.page : Self.page / 20),
                    revision: pinned == .zero ? nil : QuotedNumber(pinned.value)),
                as: Etcd.RangeAnswer.self, within: .seconds(20))
            let header = Revision(answer.header?.revision?.value ?? 0)
            // All pages of one revision; the member must have come so far itself.
            if pinned == .zero { pinned = header }
            guard header >= pinned else { return ([], header) }
            pairs += answer.kvs ?? []
            guard answer.more == true, let last = answer.kvs?.last?.key else {
                return (pairs, pinned)
            }
            next = last + Data([0])
        }
    }

    private func parts(
        of pending: PendingCommit, at revision: Revision
    ) async throws(EtcdProblem) -> [EtcdChange] {
        var bytes = Data()
        for index in 0..<pending.parts {
            let answer = try await client.call(
                "/v3/kv/range",
                Etcd.Range(
                    key: layout.part(pending, index), revision: QuotedNumber(revision.value)),
                as: Etcd.RangeAnswer.self, within: .seconds(20))
            guard let part = answer.kvs?.first?.value else {
                throw .refused("part \(index) of commit \(pending.sequence) is missing")
            }
            bytes += part
        }
        guard let changes = EtcdChange.decode(bytes) else {
            throw .refused("commit \(pending.sequence) is damaged")
        }
        return changes
    }

    private func apply(
        _ changes: [EtcdChange], to values: inout [String: Data], _ pieces: inout [Data: Data]
    ) {
        for change in changes {
            switch change {
            case .put(let key, let value):
                if let name = layout.name(key, in: "record") {
                    values[name] = value
                } else {
                    pieces[key] = value
                }
            case .delete(let key):
                if let name = layout.name(key, in: "record") { values[name] = nil }
            case .deleteRange(let key, let end):
                pieces = pieces.filter {
                    $0.key.lexicographicallyPrecedes(key) || !$0.key.lexicographicallyPrecedes(end)
                }
            }
        }
    }

    private func assembled(
        _ values: [String: Data], _ pieces: [Data: Data], _ unfinished: [EtcdChange],
        at revision: Revision
    ) throws(EtcdProblem) -> LoadedRegistry {
        var loaded = LoadedRegistry(revision: revision)
        loaded.unfinished = unfinished
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            guard let slash = name.firstIndex(of: "/") else { continue }
            var bytes = [UInt8](value.dropFirst())
            switch value.first {
            case 0: break
            case 1:
                guard let count = Int(String(decoding: bytes, as: UTF8.self)) else {
                    throw .refused("the record '\(name)' is damaged")
                }
                bytes = []
                for index in 0..<count {
                    guard let piece = pieces[layout.piece(name, index)] else {
                        throw .refused("piece \(index) of the record '\(name)' is missing")
                    }
                    bytes += piece
                }
                loaded.inPieces.insert(name)
            default: throw .refused("the record '\(name)' is damaged")
            }
            loaded.records.append(
                StoredRecord(
                    kind: String(name[..<slash]), key: String(name[name.index(after: slash)...]),
                    value: bytes))
        }
        return loaded
    }

    func problem(_ problem: EtcdProblem) -> StoreProblem {
        let kind: StoreProblem.Kind =
            switch problem {
            case .unreachable: .unreachable
            case .noSpace: .full
            case .denied: .denied
            case .revision, .refused: .unusable
            }
        return StoreProblem(kind, path: address.description, because: problem.text)
    }

    // MARK: Care

    /// What etcd is; its version, such as `3.5.9`.
    ///
    /// - Throws: ``StoreProblem`` when no member answers, or the version is too old to serve.
    public func version() async throws(StoreProblem) -> String {
        let version: String
        do {
            version = try await client.version(within: .seconds(2)).etcdserver
        } catch {
            throw problem(error)
        }
        let numbers = version.split(separator: ".").compactMap { Int($0) }
        guard numbers.count >= 2, (numbers[0], numbers[1]) >= (3, 4) else {
            throw StoreProblem(
                .unusable, path: address.description,
                because: "etcd \(version) is too old; 3.4 is the least, 3.5 or later is advised")
        }
        return version
    }

    /// What an operator should know of a version; `nil` is nothing.
    public static func warning(version: String) -> String? {
        let numbers = version.split(whereSeparator: { $0 == "." || $0 == "-" })
            .prefix(3).compactMap { Int($0) }
        guard numbers.count >= 2, numbers[0] == 3 else { return nil }
        if numbers[1] == 5, numbers.count < 3 || numbers[2] < 5 {
            return "etcd \(version) has faults that are mended in 3.5.5: its members may come to"
                + " differ, and without space it refuses even what writes nothing, so that no"
                + " master goes on leading; use 3.5.5 or later"
        }
        guard numbers[1] == 4 else { return nil }
        return
            "etcd \(version) belongs to a line that gets no more fixes: leases may end or seem to"
            + " go on wrongly, reads after a pause may be old, and permissions may be passed by."
            + " Masters are fenced against the first three; use 3.5 or later, and let nobody but"
            + " the masters reach it"
    }

    /// Whether etcd has no space left for writes.
    ///
    /// - Throws: ``StoreProblem`` when no member answers.
    public func isOutOfSpace() async throws(StoreProblem) -> Bool {
        do {
            let alarms = try await client.call(
                "/v3/maintenance/alarm", Etcd.AlarmRequest(), as: Etcd.Alarms.self,
                within: .seconds(2))
            return alarms.alarms?.contains { $0.alarm == "NOSPACE" } ?? false
        } catch {
            throw problem(error)
        }
    }

    /// Lets etcd forget what was before a revision.
    ///
    /// - Throws: ``StoreProblem`` when no member answers.
    public func compact(before revision: Revision) async throws(StoreProblem) {
        do {
            _ = try await client.call(
                "/v3/kv/compaction", Etcd.Compaction(revision: QuotedNumber(revision.value)),
                as: Etcd.Empty.self, within: .seconds(10))
        } catch .revision {
            // Somebody else did.
        } catch {
            throw problem(error)
        }
    }

    /// The head and the leader as they are now.
    ///
    /// - Throws: ``StoreProblem``.
    public func head() async throws(StoreProblem) -> (head: HeadKey?, leader: LeaderKey?) {
        do {
            // With a condition that never holds and a deletion of nothing: no answer of before.
            let answer = try await client.call(
                "/v3/kv/txn",
                Etcd.Transaction(
                    compare: [.created(layout.proof, at: -1)], success: [.delete(layout.proof)],
                    failure: [.get(layout.leader), .get(layout.head)]),
                as: Etcd.TransactionAnswer.self, within: .seconds(5))
            return (
                try EtcdLayout.head(answer.found(layout.head)),
                try EtcdLayout.leader(answer.found(layout.leader))
            )
        } catch {
            throw problem(error)
        }
    }
}

/// What was read of a registry at the beginning of a term.
public struct LoadedRegistry: Sendable {
    /// The facts, by kind and key.
    public var records: [StoredRecord] = []
    /// As of when.
    public var revision: Revision
    /// The facts that lie in pieces.
    var inPieces: Set<String> = []
    /// What an earlier term has committed and not carried to its places.
    var unfinished: [EtcdChange] = []
}
