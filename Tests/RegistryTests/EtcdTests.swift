import ClusterProbe
import Foundation
import ProfferElection
import ProfferKernel
import ProfferWire
import Synchronization
import Testing

@testable import ProfferRegistry

/// What the tests of etcd share: terms of leadership, and commits that are waited for.
struct EtcdStage {
    let registry: EtcdRegistry
    let limits: EtcdTerm.Limits

    init(_ address: String, limits: EtcdTerm.Limits = .init()) throws {
        registry = try EtcdRegistry(try EtcdAddress(address))
        self.limits = limits
    }

    init(_ registry: EtcdRegistry) throws {
        self.registry = registry
        limits = .init()
    }

    func ask(_ request: ElectionRequest) async throws -> ElectionAnswer {
        try await registry.carryOut(request, within: .seconds(30)).get()
    }

    /// Becomes the leader by the steps of the election; the lease is long unless told otherwise.
    func lead(
        _ name: String, lease: Duration = .seconds(600)
    ) async throws -> (leadership: Leadership, loaded: LoadedRegistry, lease: LeaseID) {
        guard case .lease(let id, _) = try await ask(.grantLease(lease)) else {
            throw NeverHappened(description: "no lease")
        }
        let record = LeaderRecord(
            candidate: name, contact: MasterContact(http: "http://\(name)"))
        guard
            case .transaction(true, _, let head, let creation) = try await ask(
                .campaign(record, id))
        else { throw NeverHappened(description: "somebody else leads") }
        let fence = Fence(creation)
        let own = RegistryHead(
            schema: 1, clusterID: "c", epoch: (head?.record.epoch ?? 0) + 1, fence: fence,
            pending: head?.record.pending)
        guard
            case .transaction(true, _, _, let written) = try await ask(
                .takeOver(fence, expecting: head?.modified ?? .zero, own))
        else { throw NeverHappened(description: "not taken over") }
        let loaded = try await registry.load(at: written, pending: own.pending)
        return (
            Leadership(
                epoch: own.epoch, fence: fence, head: HeadKey(record: own, modified: written)),
            loaded, id
        )
    }

    func term(
        _ leadership: Leadership, _ loaded: LoadedRegistry,
        outcome: @escaping @Sendable (EtcdTerm.Outcome) -> Void = { _ in }
    ) -> EtcdTerm {
        EtcdTerm(
            leadership, in: registry, after: loaded, limits: limits, now: { .zero },
            outcome: outcome)
    }

    /// Everything, as a new leader after this one would read it.
    func contents() async throws -> [StoredRecord] {
        let head = try #require(try await registry.head().head)
        return try await registry.load(at: head.modified, pending: head.record.pending).records
    }
}

extension EtcdTerm {
    func submit(_ records: [StoredRecord]) async -> StoreProblem? {
        await withCheckedContinuation { continuation in
            submit(records) { continuation.resume(returning: $0) }
        }
    }
}

func fact(_ key: String, _ value: [UInt8]?, kind: String = "k") -> StoredRecord {
    StoredRecord(kind: kind, key: key, value: value)
}

@Suite(
    "Registry in etcd",
    .enabled(if: EtcdCluster.program != nil, "etcd is not installed: apt install etcd-server"))
struct EtcdTests {
    @Test("what one term committed the next one reads, whatever is in keys and values")
    func commitAndLoad() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        #expect(first.leadership.epoch == 1)
        #expect(first.loaded.records.isEmpty)
        let term = stage.term(first.leadership, first.loaded)
        let facts = [
            fact("a", [1]), fact("b/c d", []), fact("u\u{1F}v", [0, 255]),
            fact("", Array("5".utf8), kind: "epoch"), fact("gone", [9]),
        ]
        #expect(await term.submit(facts) == nil)
        #expect(await term.submit([fact("gone", nil), fact("a", [2])]) == nil)
        _ = try await stage.ask(.resign(first.leadership.fence))
        let second = try await stage.lead("two")
        #expect(second.leadership.epoch == 2)
        let expected = [fact("a", [2])] + facts[1...3]
        #expect(
            second.loaded.records
                == expected.sorted { ($0.kind, $0.key) < ($1.kind, $1.key) })
        await stage.registry.close()
    }

    @Test("a leader that was deposed writes nothing, and is told so")
    func fencing() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        let outcomes = Mutex<[String]>([])
        let old = stage.term(first.leadership, first.loaded) { outcome in
            outcomes.withLock { $0.append("\(outcome)") }
        }
        #expect(await old.submit([fact("a", [1])]) == nil)
        // The lease ends without the first one's knowledge, and another takes over.
        try await etcd.control(["lease", "revoke", String(first.lease.value, radix: 16)])
        let second = try await stage.lead("two")
        #expect(await old.submit([fact("a", [66])])?.kind == .fenced)
        #expect(await old.submit([fact("b", [66])])?.kind == .fenced)
        #expect(outcomes.withLock { $0.last } == "refused")
        let new = stage.term(second.leadership, second.loaded)
        #expect(await new.submit([fact("c", [3])]) == nil)
        #expect(try await stage.contents() == [fact("a", [1]), fact("c", [3])])
        #expect(try await stage.ask(.prove(first.leadership.fence)) == .proof(false))
        #expect(try await stage.ask(.prove(second.leadership.fence)) == .proof(true))
        await stage.registry.close()
    }

    @Test("a commit that is sent twice, because its answer was lost, has an effect once")
    func repetition() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        // Two writers with one position: what the first one did looks to the second like an
        // attempt of its own that went through.
        let once = stage.term(first.leadership, first.loaded)
        let twice = stage.term(first.leadership, first.loaded)
        #expect(await once.submit([fact("a", [1])]) == nil)
        #expect(await twice.submit([fact("a", [1])]) == nil)
        #expect(await once.submit([fact("a", [2])]) == nil)
        #expect(try await stage.contents() == [fact("a", [2])])
        // A late repetition of the first commit cannot take the second one back.
        let late = stage.term(first.leadership, first.loaded)
        #expect(await late.submit([fact("a", [1])])?.kind == .unusable)
        #expect(try await stage.contents() == [fact("a", [2])])
        await stage.registry.close()
    }

    @Test("commits and values beyond the limits of a transaction are whole or not there")
    func large() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        let term = stage.term(first.leadership, first.loaded)
        let many = (0..<1000).map { fact("many-\($0)", [UInt8($0 % 256)]) }
        #expect(await term.submit(many) == nil)
        let big = [UInt8](unsafeUninitializedCapacity: 3_500_000) { buffer, count in
            for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: index / 7) }
            count = buffer.count
        }
        #expect(await term.submit([fact("big", big), fact("small", [1])]) == nil)
        var contents = try await stage.contents()
        #expect(contents.count == 1002)
        #expect(contents.first { $0.key == "big" }?.value == big)
        #expect(await term.submit([fact("big", Array(big.prefix(700_000)))]) == nil)
        contents = try await stage.contents()
        #expect(contents.first { $0.key == "big" }?.value == Array(big.prefix(700_000)))
        #expect(await term.submit([fact("big", [7])] + many.map { fact($0.key, nil) }) == nil)
        #expect(try await stage.contents() == [fact("big", [7]), fact("small", [1])])
        let left = try await etcd.control(["get", "--prefix", "--keys-only", "/proffer/more"])
        #expect(!left.contains("more"))
        let parts = try await etcd.control(["get", "--prefix", "--keys-only", "/proffer/part"])
        #expect(!parts.contains("part"))
        await stage.registry.close()
    }

    @Test(
        "a large commit that was cut short after it counted is read and finished by the next term")
    func cutShort() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        let layout = EtcdLayout(prefix: "/proffer/")
        let term = stage.term(first.leadership, first.loaded)
        #expect(await term.submit([fact("old", [1]), fact("kept", [1])]) == nil)
        // What `EtcdTerm` leaves when its process ends right after the transaction that counts.
        let head = try #require(try await stage.registry.head().head)
        var counted = head.record
        counted.sequence += 1
        counted.pending = PendingCommit(
            fence: first.leadership.fence, sequence: counted.sequence, parts: 1)
        let changes: [EtcdChange] = [
            .put(layout.record("k/new"), Data([0, 5])), .delete(layout.record("k/old")),
        ]
        _ = try await stage.registry.client.call(
            "/v3/kv/txn",
            Etcd.Transaction(
                compare: [],
                success: [
                    .put(
                        layout.part(try #require(counted.pending), 0), EtcdChange.encode(changes)),
                    .put(layout.head, EtcdLayout.encode(counted)),
                ], failure: []), as: Etcd.TransactionAnswer.self, within: .seconds(5))
        _ = try await stage.ask(.resign(first.leadership.fence))
        let second = try await stage.lead("two")
        #expect(second.loaded.records == [fact("kept", [1]), fact("new", [5])])
        let next = stage.term(second.leadership, second.loaded)
        #expect(await next.submit([fact("more", [6])]) == nil)
        #expect(try await stage.registry.head().head?.record.pending == nil)
        #expect(
            try await stage.contents()
                == [fact("kept", [1]), fact("more", [6]), fact("new", [5])])
        await stage.registry.close()
    }

    @Test("what is submitted together is written together, and in order")
    func groups() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        let commits = Mutex(0)
        let term = stage.term(first.leadership, first.loaded) { _ in
            commits.withLock { $0 += 1 }
        }
        let order = Mutex<[Int]>([])
        await withTaskGroup { group in
            let (stream, done) = AsyncStream.makeStream(of: Void.self)
            for index in 0..<200 {
                term.submit([fact("k", [UInt8(index)])]) { problem in
                    if problem == nil { order.withLock { $0.append(index) } }
                    done.yield()
                }
            }
            group.addTask {
                var left = 200
                for await _ in stream {
                    left -= 1
                    if left == 0 { return }
                }
            }
        }
        #expect(order.withLock { $0 } == Array(0..<200))
        #expect(commits.withLock { $0 } < 20)
        #expect(try await stage.contents() == [fact("k", [199])])
        await stage.registry.close()
    }

    @Test("history that was compacted away does not keep a leader from reading")
    func compaction() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        let term = stage.term(first.leadership, first.loaded)
        for index in 0..<20 { #expect(await term.submit([fact("a", [UInt8(index)])]) == nil) }
        let head = try #require(try await stage.registry.head().head)
        try await stage.registry.compact(before: head.modified)
        let early = first.leadership.head.modified
        let loaded = try await stage.registry.load(at: early, pending: nil)
        #expect(loaded.revision >= early)
        #expect(loaded.records == [fact("a", [19])])
        // Compacting again what is compacted is no failure.
        try await stage.registry.compact(before: head.modified)
        await stage.registry.close()
    }

    @Test("a proof writes nothing and goes on when there is no space; commits wait for space")
    func noSpace() async throws {
        var options = EtcdCluster.Options()
        options.arguments = ["--quota-backend-bytes", "\(1 << 20)"]
        let etcd = try await EtcdCluster(options: options)
        var limits = EtcdTerm.Limits()
        limits.patience = .seconds(4)
        let stage = try EtcdStage(etcd.registry, limits: limits)
        let first = try await stage.lead("one")
        let outcomes = Mutex<[String]>([])
        let term = stage.term(first.leadership, first.loaded) { outcome in
            outcomes.withLock { $0.append("\(outcome)") }
        }
        var problem: StoreProblem?
        var count = 0
        while problem == nil, count < 100 {
            problem = await term.submit([
                fact("fill-\(count)", [UInt8](repeating: UInt8(count), count: 100_000))
            ])
            count += 1
        }
        #expect(problem?.kind == .full)
        #expect(outcomes.withLock { $0.contains("outOfSpace(true)") })
        #expect(try await stage.registry.isOutOfSpace())
        let version = try await stage.registry.version()
        if version.hasPrefix("3.5."), EtcdRegistry.warning(version: version) != nil {
            #expect(
                await stage.registry.carryOut(
                    .prove(first.leadership.fence), within: .seconds(2)) == .failure(.noSpace))
            await stage.registry.close()
            return
        }
        let before = try await stage.ask(.readLeader)
        #expect(try await stage.ask(.prove(first.leadership.fence)) == .proof(true))
        #expect(try await stage.ask(.keepAlive(first.lease)) != .alive(.zero))
        #expect(try await stage.ask(.readLeader) == before)
        #expect(
            await stage.registry.carryOut(.grantLease(.seconds(3)), within: .seconds(2))
                == .failure(.noSpace))
        await stage.registry.close()
    }

    @Test("a lease that has ended is not renewed")
    func endedLease() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        #expect(try await stage.ask(.keepAlive(first.lease)) == .alive(.seconds(600)))
        try await etcd.control(["lease", "revoke", String(first.lease.value, radix: 16)])
        #expect(try await stage.ask(.keepAlive(first.lease)) == .alive(.zero))
        #expect(try await stage.ask(.prove(first.leadership.fence)) == .proof(false))
        await stage.registry.close()
    }

    @Test("a watch tells of the end of the leader key")
    func watch() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let first = try await stage.lead("one")
        guard case .leader(_, let revision) = try await stage.ask(.readLeader) else { return }
        let hints = Mutex(0)
        let registry = stage.registry
        let watch = Task {
            await registry.watchLeader(after: revision) { hints.withLock { $0 += 1 } }
        }
        _ = try await stage.ask(.resign(first.leadership.fence))
        try await eventually("a hint") { hints.withLock { $0 } > 0 }
        watch.cancel()
        await stage.registry.close()
    }
}
