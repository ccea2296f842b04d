internal import Foundation
internal import ProfferElection
internal import ProfferKernel
internal import ProfferWire

extension EtcdRegistry: Registry {
    /// Where it is, without secrets.
    public var place: String { address.description }

    /// How long a tool that died keeps masters from leading.
    private static let toolLease: Int64 = 30

    /// Everything, as of one moment, also while a master leads.
    public func contents() async throws(StoreProblem) -> RegistryContents? {
        guard let head = try await head().head else { return nil }
        try refuseNewer(head.record)
        let loaded = try await load(at: head.modified, pending: head.record.pending)
        guard loaded.revision >= head.modified else {
            throw StoreProblem(
                .unreachable, path: place, because: "a member answered with what was before")
        }
        return RegistryContents(
            schema: head.record.schema, clusterID: head.record.clusterID,
            epoch: head.record.epoch, records: loaded.records)
    }

    /// The HTTP server of the master that leads; `nil` when none does.
    ///
    /// - Throws: ``StoreProblem``.
    public func leader() async throws(StoreProblem) -> String? {
        try await head().leader?.record.contact.http
    }

    private func refuseNewer(_ head: RegistryHead) throws(StoreProblem) {
        guard head.schema <= Self.schema else {
            throw StoreProblem(
                .newer, path: place,
                because: "its version is \(head.schema), this program knows up to \(Self.schema)")
        }
    }

    /// Takes the place of a leader, if there is none.
    public func claim(
        clusterID: String?, above epoch: UInt64
    ) async throws(StoreProblem) -> any RegistryWriter {
        guard
            case .lease(let lease, _) = try await ask(
                .grantLease(.seconds(Self.toolLease)))
        else { throw senseless }
        let record = LeaderRecord(
            candidate: "tool-\(UUID().uuidString)", contact: MasterContact())
        guard
            case .transaction(let held, let leader, let head, let revision) = try await ask(
                .campaign(record, lease))
        else { throw senseless }
        guard held || leader?.record.candidate == record.candidate else {
            let who = leader.map { $0.record.contact.http } ?? ""
            throw StoreProblem(
                .taken, path: place,
                because: who.isEmpty
                    ? "another tool works on it" : "the master at \(who) leads")
        }
        let fence = Fence(held ? revision : leader?.creation ?? revision)
        do throws(StoreProblem) {
            return try await takeOver(fence, head, clusterID, above: epoch)
        } catch {
            _ = await carryOut(.resign(fence), within: .seconds(2))
            throw error
        }
    }

    private func takeOver(
        _ fence: Fence, _ head: HeadKey?, _ clusterID: String?, above epoch: UInt64
    ) async throws(StoreProblem) -> any RegistryWriter {
        if let head { try refuseNewer(head.record) }
        let own = RegistryHead(
            schema: Self.schema,
            clusterID: clusterID ?? head?.record.clusterID ?? UUID().uuidString.lowercased(),
            epoch: max(head?.record.epoch ?? 0, epoch) + 1, fence: fence,
            pending: head?.record.pending)
        guard
            case .transaction(let held, _, let found, let written) = try await ask(
                .takeOver(fence, expecting: head?.modified ?? .zero, own))
        else { throw senseless }
        guard held || found?.record == own else {
            throw StoreProblem(.fenced, path: place, because: "somebody else wrote meanwhile")
        }
        let modified = held ? written : found?.modified ?? written
        let loaded = try await load(at: modified, pending: own.pending)
        guard loaded.revision >= modified else {
            throw StoreProblem(
                .unreachable, path: place, because: "a member answered with what was before")
        }
        let term = EtcdTerm(
            Leadership(
                epoch: own.epoch, fence: fence, head: HeadKey(record: own, modified: modified)),
            in: self, after: loaded, now: { .zero }, outcome: { _ in })
        return Writer(epoch: own.epoch, fence: fence, term: term, registry: self)
    }

    private func ask(_ request: ElectionRequest) async throws(StoreProblem) -> ElectionAnswer {
        switch await carryOut(request, within: .seconds(5)) {
        case .success(let answer): return answer
        case .failure(.unreachable(let text)):
            throw StoreProblem(.unreachable, path: place, because: text)
        case .failure(.noSpace):
            throw StoreProblem(.full, path: place, because: EtcdProblem.noSpace.text)
        case .failure(.refused(let text)):
            throw StoreProblem(.denied, path: place, because: text)
        }
    }

    private var senseless: StoreProblem {
        StoreProblem(.unusable, path: place, because: "etcd answered something else than was asked")
    }

    private struct Writer: RegistryWriter {
        let epoch: UInt64
        let fence: Fence
        let term: EtcdTerm
        let registry: EtcdRegistry

        func commit(_ records: [StoredRecord]) async throws(StoreProblem) {
            let problem = await withCheckedContinuation { continuation in
                term.submit(records) { continuation.resume(returning: $0) }
            }
            if let problem { throw problem }
        }

        func release() async {
            term.close()
            _ = await registry.carryOut(.resign(fence), within: .seconds(5))
        }
    }
}
