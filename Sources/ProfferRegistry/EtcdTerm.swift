internal import Foundation
public import ProfferElection
public import ProfferKernel
public import ProfferWire
internal import Synchronization

/// The writer of a registry in etcd during one term of leadership.
///
/// Commits go out one after another, what is submitted meanwhile together in the next one. Each is
/// one transaction on the condition of the fence and of the head that the one before has left, so
/// that a repetition, because an answer was lost, changes nothing. One that is too large for a
/// transaction is first laid down in parts; then one transaction makes it count, by naming the
/// parts in the head; then it is carried to its places. Whoever reads meanwhile, or after a crash,
/// reads the parts too. So every commit is whole or not there, whatever its size.
public final class EtcdTerm: Sendable {
    /// What became of a commit, for the election.
    public enum Outcome: Sendable {
        /// It went through; the transaction was sent then.
        case committed(sent: Instant)
        /// The leader key is another's by now.
        case refused
        /// It was given up.
        case failed(String)
        /// Etcd has no space, or has it again.
        case outOfSpace(Bool)
    }

    /// What bounds a transaction; etcd's own defaults are 128 and 1.5 MiB.
    struct Limits: Sendable {
        var operations = 120
        var bytes = 1 << 20
        var piece = 512 << 10
        /// How long a commit may take before it is given up.
        var patience = Duration.seconds(20)
    }

    private struct Batch {
        var records: [StoredRecord]
        var completion: @Sendable (StoreProblem?) -> Void
    }

    private struct State {
        var waiting: [Batch] = []
        var isWriting = false
        var failure: StoreProblem?
        var isClosed = false
        var task: Task<Void, Never>?
    }

    /// Touched by the writing task only, of which there is one at a time.
    private struct Position {
        var head: HeadKey
        var inPieces: Set<String>
        var unfinished: [EtcdChange]
    }

    private let registry: EtcdRegistry
    private let fence: Fence
    private let limits: Limits
    private let now: @Sendable () -> Instant
    private let outcome: @Sendable (Outcome) -> Void
    private let state = Mutex(State())
    private let position: Mutex<Position>

    /// Begins to write.
    ///
    /// - Parameters:
    ///   - leadership: The term.
    ///   - registry: Where to.
    ///   - loaded: What was read at the beginning of the term.
    ///   - now: The monotonic clock of the election.
    ///   - outcome: Is told what becomes of commits, before their completions are called.
    public convenience init(
        _ leadership: Leadership, in registry: EtcdRegistry, after loaded: LoadedRegistry,
        now: @escaping @Sendable () -> Instant,
        outcome: @escaping @Sendable (Outcome) -> Void
    ) {
        self.init(
            leadership, in: registry, after: loaded, limits: Limits(), now: now, outcome: outcome)
    }

    init(
        _ leadership: Leadership, in registry: EtcdRegistry, after loaded: LoadedRegistry,
        limits: Limits, now: @escaping @Sendable () -> Instant,
        outcome: @escaping @Sendable (Outcome) -> Void
    ) {
        self.registry = registry
        self.limits = limits
        self.now = now
        self.outcome = outcome
        fence = leadership.fence
        position = Mutex(
            Position(
                head: leadership.head, inPieces: loaded.inPieces, unfinished: loaded.unfinished))
    }

    /// Makes facts durable, in the order of submission, all of one call or none; usable from any
    /// thread.
    ///
    /// After one failure everything later fails.
    public func submit(
        _ records: [StoredRecord], completion: @escaping @Sendable (StoreProblem?) -> Void
    ) {
        let refusal = state.withLock { state -> StoreProblem? in
            if let failure = state.failure { return failure }
            if state.isClosed { return problem(.closed, "the term is over") }
            state.waiting.append(Batch(records: records, completion: completion))
            if !state.isWriting {
                state.isWriting = true
                state.task = Task { await self.writeAll() }
            }
            return nil
        }
        if let refusal { completion(refusal) }
    }

    /// Takes nothing more, and does not wait: what is under way may or may not be carried out.
    public func close() {
        state.withLock { state in
            state.isClosed = true
            state.task?.cancel()
        }
    }

    private func problem(_ kind: StoreProblem.Kind, _ because: String) -> StoreProblem {
        StoreProblem(kind, path: registry.address.description, because: because)
    }

    private func writeAll() async {
        while true {
            let batches = state.withLock { state -> [Batch] in
                let taken = fitting(&state.waiting)
                if taken.isEmpty { state.isWriting = false }
                return taken
            }
            if batches.isEmpty { return }
            var failure = state.withLock { state in
                state.failure ?? (state.isClosed ? problem(.closed, "the term is over") : nil)
            }
            if failure == nil {
                do {
                    try await write(StoredRecord.lastWords(of: batches.map(\.records)))
                } catch {
                    state.withLock { $0.failure = error }
                    failure = error
                    tell(error)
                }
            }
            for batch in batches { batch.completion(failure) }
        }
    }

    private func tell(_ failure: StoreProblem) {
        switch failure.kind {
        case .fenced: outcome(.refused)
        case .closed: break
        default: outcome(.failed(failure.because))
        }
    }

    /// As many of the waiting batches as fit into one transaction; at least one.
    private func fitting(_ waiting: inout [Batch]) -> [Batch] {
        var (count, operations, bytes) = (0, 0, 0)
        for batch in waiting {
            operations += batch.records.count * 2
            bytes += batch.records.reduce(0) { $0 + $1.size }
            if count > 0, operations > limits.operations || bytes > limits.bytes { break }
            count += 1
        }
        let taken = Array(waiting.prefix(count))
        waiting.removeFirst(count)
        return taken
    }

    // MARK: Commits

    private func write(_ records: [StoredRecord]) async throws(StoreProblem) {
        try await finishEarlier()
        let changes = changes(for: records)
        let size = changes.reduce(0) { $0 + $1.operation.size }
        let isSmall =
            changes.count <= limits.operations && size <= limits.bytes
            && !changes.contains { if case .deleteRange = $0 { true } else { false } }
        if isSmall {
            var head = position.withLock { $0.head.record }
            head.sequence += 1
            try await commit(changes, head)
        } else {
            try await commitInParts(changes)
        }
    }

    private func changes(for records: [StoredRecord]) -> [EtcdChange] {
        let layout = registry.layout
        var (ranges, changes): ([EtcdChange], [EtcdChange]) = ([], [])
        position.withLock { position in
            for record in records {
                let name = layout.recordName(record.kind, record.key)
                if position.inPieces.remove(name) != nil {
                    let (first, end) = layout.pieces(name)
                    ranges.append(.deleteRange(first, end))
                }
                guard let value = record.value else {
                    changes.append(.delete(layout.record(name)))
                    continue
                }
                guard value.count > limits.piece else {
                    changes.append(.put(layout.record(name), Data([0] + value)))
                    continue
                }
                let starts = stride(from: 0, to: value.count, by: limits.piece)
                for (index, start) in starts.enumerated() {
                    let piece = value[start..<min(start + limits.piece, value.count)]
                    changes.append(.put(layout.piece(name, index), Data(piece)))
                }
                let count = (value.count + limits.piece - 1) / limits.piece
                changes.append(.put(layout.record(name), Data([1] + "\(count)".utf8)))
                position.inPieces.insert(name)
            }
        }
        return ranges + changes
    }

    /// Lays a commit down in parts, makes it count, and carries it to its places.
    private func commitInParts(_ changes: [EtcdChange]) async throws(StoreProblem) {
        let layout = registry.layout
        let bytes = EtcdChange.encode(changes)
        var head = position.withLock { $0.head.record }
        head.sequence += 1
        let starts = Array(stride(from: 0, to: bytes.count, by: limits.piece))
        let pending = PendingCommit(fence: fence, sequence: head.sequence, parts: starts.count)
        for (index, start) in starts.enumerated() {
            let part = Data(bytes[start..<min(start + limits.piece, bytes.count)])
            try await fenced([.put(layout.part(pending, index), part)])
        }
        head.pending = pending
        try await commit([], head)
        position.withLock { $0.unfinished = changes }
        try await finishEarlier()
    }

    /// Carries a commit that counts already to its places.
    private func finishEarlier() async throws(StoreProblem) {
        let changes = position.withLock { $0.unfinished }
        guard position.withLock({ $0.head.record.pending }) != nil else { return }
        var slice: [EtcdChange] = []
        var (size, hasRange) = (0, false)
        for change in changes {
            var isRange = false
            if case .deleteRange = change { isRange = true }
            let bytes = change.operation.size
            // One transaction may not delete a range and write into it.
            if !slice.isEmpty,
                slice.count >= limits.operations || size + bytes > limits.bytes
                    || hasRange != isRange
            {
                try await carry(slice)
                (slice, size) = ([], 0)
            }
            slice.append(change)
            size += bytes
            hasRange = isRange
        }
        if !slice.isEmpty { try await carry(slice) }
        var head = position.withLock { $0.head.record }
        head.sequence += 1
        head.pending = nil
        let (first, end) = registry.layout.folder("part")
        try await commit([.deleteRange(first, end)], head)
        position.withLock { $0.unfinished = [] }
    }

    /// Carries a part of a commit that counts already.
    ///
    /// Each part moves the head on, so that an attempt at an earlier one that comes late, after its
    /// answer was given up, changes nothing.
    private func carry(_ slice: [EtcdChange]) async throws(StoreProblem) {
        var head = position.withLock { $0.head.record }
        head.sequence += 1
        try await commit(slice, head)
    }

    /// Writes under the fence, without a new head: for what does not count yet.
    private func fenced(_ operations: [Etcd.Operation]) async throws(StoreProblem) {
        let modified = position.withLock { $0.head.modified }
        let answer = try await transact(operations, modified)
        guard answer.succeeded == true else { throw try deposed(answer) }
    }

    /// Writes under the fence together with the next head.
    private func commit(
        _ changes: [EtcdChange], _ head: RegistryHead
    ) async throws(StoreProblem) {
        var head = head
        head.fence = fence
        let modified = position.withLock { $0.head.modified }
        let sent = now()
        let answer = try await transact(
            changes.map(\.operation) + [.put(registry.layout.head, EtcdLayout.encode(head))],
            modified)
        if answer.succeeded == true {
            let written = HeadKey(record: head, modified: Revision(answer.revision))
            position.withLock { $0.head = written }
        } else {
            // An earlier attempt may have gone through without an answer.
            let found: HeadKey?
            do {
                found = try EtcdLayout.head(answer.found(registry.layout.head))
            } catch {
                throw registry.problem(error)
            }
            guard let found, found.record == head else { throw try deposed(answer) }
            position.withLock { $0.head = found }
        }
        outcome(.committed(sent: sent))
    }

    private func deposed(
        _ answer: Etcd.TransactionAnswer
    ) throws(StoreProblem) -> StoreProblem {
        let leader = answer.found(registry.layout.leader)
        if leader?.createRevision?.value == fence.creation.value {
            return problem(.unusable, "its head was changed by something that does not lead")
        }
        return problem(.fenced, "another master leads by now")
    }

    private func transact(
        _ operations: [Etcd.Operation], _ modified: Revision
    ) async throws(StoreProblem) -> Etcd.TransactionAnswer {
        let layout = registry.layout
        let request = Etcd.Transaction(
            compare: registry.conditions(fence, modified), success: operations,
            failure: [.get(layout.leader), .get(layout.head)])
        let end = ContinuousClock.now + limits.patience
        var wasFull = false
        while true {
            do {
                let answer = try await registry.client.call(
                    "/v3/kv/txn", request, as: Etcd.TransactionAnswer.self,
                    within: end - .now)
                if wasFull { outcome(.outOfSpace(false)) }
                return answer
            } catch {
                guard case .noSpace = error else { throw registry.problem(error) }
                if !wasFull { outcome(.outOfSpace(true)) }
                wasFull = true
                guard ContinuousClock.now + .seconds(1) < end, !Task.isCancelled else {
                    throw registry.problem(error)
                }
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
    }
}

extension StoredRecord {
    /// About how many bytes it takes.
    var size: Int { 96 + kind.utf8.count + key.utf8.count + (value?.count ?? 0) }

    /// The records of a group without those that a later one of the same group makes void.
    static func lastWords(of batches: [[StoredRecord]]) -> [StoredRecord] {
        struct Name: Hashable {
            let kind: String
            let key: String
        }
        var records: [StoredRecord] = []
        var places: [Name: Int] = [:]
        for batch in batches {
            for record in batch {
                let name = Name(kind: record.kind, key: record.key)
                if let place = places[name] {
                    records[place] = record
                } else {
                    places[name] = records.count
                    records.append(record)
                }
            }
        }
        return records
    }
}
