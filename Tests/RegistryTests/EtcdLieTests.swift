import ClusterProbe
import Foundation
import ProfferElection
@_spi(Driver) import ProfferKernel
import ProfferWire
import Synchronization
import Testing

@testable import ProfferRegistry

/// An election that runs by itself against etcd, with the clock of this machine.
actor Runner {
    private var election: Election
    private let registry: EtcdRegistry
    private let begin = ContinuousClock.now
    private(set) var leadership: Leadership?
    private(set) var stepDowns: [StepDownReason] = []
    private(set) var problems: [ElectionProblem] = []
    private var head: RegistryHead?
    private var isEnded = false

    init(_ name: String, _ registry: EtcdRegistry, seed: UInt64) {
        self.registry = registry
        election = Election(
            record: LeaderRecord(candidate: name, contact: MasterContact(http: name)),
            clusterID: nil, newClusterID: "c", seed: seed, at: .zero)
    }

    private var now: Instant {
        let passed = ContinuousClock.now - begin
        return .zero + passed
    }

    var leads: Bool { election.leads(at: now) }

    /// Runs until it is ended.
    func run() async {
        while !isEnded, !Task.isCancelled {
            let now = now
            if let due = election.nextDeadline, due <= now {
                apply { $0.wake(at: now, into: &$1) }
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    func end() { isEnded = true }

    func take(_ input: ElectionInput) {
        let now = now
        apply { $0.handle(input, at: now, into: &$1) }
    }

    private func apply(_ body: (inout Election, inout Outbox<ElectionEffect>) -> Void) {
        var outbox = Outbox<ElectionEffect>()
        body(&election, &outbox)
        for effect in outbox.takeAll() {
            switch effect {
            case .request(let id, let request): send(request, id)
            case .lead(let new): leadership = new
            case .stepDown(let reason):
                stepDowns.append(reason)
                leadership = nil
            case .report(let problem?): problems.append(problem)
            case .watch, .follow, .report, .ended: break
            }
        }
    }

    private func send(_ request: ElectionRequest, _ id: RequestID) {
        if case .takeOver(_, _, let head) = request { self.head = head }
        let pending = head?.pending
        Task {
            if case .load(let revision) = request {
                do {
                    let loaded = try await registry.load(at: revision, pending: pending)
                    take(.answer(id, .loaded(at: loaded.revision)))
                } catch {
                    take(.failed(id, .refused("\(error)")))
                }
                return
            }
            switch await registry.carryOut(request, within: .seconds(1)) {
            case .success(let answer): take(.answer(id, answer))
            case .failure(let failure): take(.failed(id, failure))
            }
        }
    }
}

@Suite(
    "An etcd that lies", .serialized,
    .enabled(if: EtcdCluster.program != nil, "etcd is not installed: apt install etcd-server"))
struct EtcdLieTests {
    private func runner(_ name: String, _ address: String, seed: UInt64) throws -> Runner {
        Runner(name, try EtcdRegistry(try EtcdAddress(address)), seed: seed)
    }

    @Test("a renewal that is confirmed although the lease has ended does not keep a leader")
    func falseRenewal() async throws {
        let etcd = try await EtcdCluster()
        let liar = LyingEndpoint(before: etcd.addresses[0])
        try await liar.serve { address in
            let deceived = try runner("deceived", address, seed: 1)
            let first = Task { await deceived.run() }
            try await eventually("the first leader") { await deceived.leads }
            let fence = try #require(await deceived.leadership).fence
            liar.lies.withLock { $0.confirmsRenewals = true }
            // The lease ends; the deceived one hears only good of it.
            try await etcd.control(["del", "/proffer/leader"])
            let other = try runner("other", etcd.registry, seed: 2)
            let second = Task { await other.run() }
            try await eventually("the other leader") { await other.leads }
            // On a busy machine its own deadline may come before the answer about the key.
            try await eventually("the deceived one to step down") {
                await deceived.stepDowns.contains { $0 == .keyLost || $0 == .deadline }
            }
            let stage = try EtcdStage(etcd.registry)
            #expect(try await stage.ask(.prove(fence)) == .proof(false))
            for runner in [deceived, other] { await runner.end() }
            await first.value
            await second.value
        }
    }

    @Test("a lease that is ended wrongly deposes a leader, and its writes with it")
    func falseRevocation() async throws {
        let etcd = try await EtcdCluster()
        let runner = try runner("one", etcd.registry, seed: 3)
        let run = Task { await runner.run() }
        try await eventually("a leader") { await runner.leads }
        let first = try #require(await runner.leadership)
        let leases = try await etcd.control(["lease", "list"])
        for line in leases.split(separator: "\n").dropFirst() {
            try await etcd.control(["lease", "revoke", String(line)])
        }
        try await eventually("a new term") {
            guard let now = await runner.leadership else { return false }
            return now.epoch > first.epoch
        }
        let stage = try EtcdStage(etcd.registry)
        let old = stage.term(first, LoadedRegistry(revision: .zero))
        #expect(await old.submit([fact("a", [66])])?.kind == .fenced)
        await runner.end()
        await run.value
    }

    @Test("a registry that is answered as it was before is not led")
    func staleRead() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let before = try await stage.lead("before")
        let term = stage.term(before.leadership, before.loaded)
        #expect(await term.submit([fact("a", [1])]) == nil)
        _ = try await stage.ask(.resign(before.leadership.fence))
        let liar = LyingEndpoint(before: etcd.addresses[0])
        try await liar.serve { address in
            let runner = try runner("one", address, seed: 4)
            let run = Task { await runner.run() }
            liar.lies.withLock { $0.readsAsOf = before.leadership.head.modified.value }
            // The old answer says that somebody leads; that is looked into until it is true.
            try await eventually("another look") { await runner.leadership == nil }
            try await etcd.control(["del", "/proffer/leader"])
            liar.lies.withLock { $0.readsAsOf = nil }
            try await eventually("the leader") { await runner.leads }
            #expect(try #require(await runner.leadership).epoch == before.leadership.epoch + 1)
            await runner.end()
            await run.value
            // The same for the reading of the registry alone.
            let registry = try EtcdRegistry(try EtcdAddress(address))
            liar.lies.withLock { $0.readsAsOf = before.leadership.head.modified.value }
            let now = try #require(try await registry.head().head)
            let loaded = try await registry.load(at: now.modified, pending: nil)
            #expect(loaded.revision < now.modified)
            #expect(loaded.records.isEmpty)
        }
    }

    @Test("a commit whose answer is lost is carried out once")
    func lostAnswer() async throws {
        let etcd = try await EtcdCluster()
        let liar = LyingEndpoint(before: etcd.addresses[0])
        try await liar.serve { address in
            let stage = try EtcdStage(address)
            let first = try await stage.lead("one")
            let term = stage.term(first.leadership, first.loaded)
            for round in 0..<5 {
                liar.lies.withLock { $0.losesAnswers = 1 + round % 3 }
                #expect(await term.submit([fact("a", [UInt8(round)])]) == nil)
            }
            let head = try #require(try await stage.registry.head().head)
            #expect(head.record.sequence == 5)
            #expect(try await stage.contents() == [fact("a", [4])])
        }
    }

    @Test("a commit that is carried out a second time, late, changes nothing")
    func lateRepetition() async throws {
        let etcd = try await EtcdCluster()
        let liar = LyingEndpoint(before: etcd.addresses[0])
        try await liar.serve { address in
            let stage = try EtcdStage(address)
            let first = try await stage.lead("one")
            let term = stage.term(first.leadership, first.loaded)
            liar.lies.withLock { $0.repeatsLate = true }
            for round in UInt8(0)..<10 {
                #expect(await term.submit([fact("a", [round]), fact("b-\(round)", [1])]) == nil)
                #expect(await term.submit([fact("b-\(round)", nil)]) == nil)
            }
            liar.lies.withLock { $0.repeatsLate = false }
            #expect(try await stage.contents() == [fact("a", [9])])
        }
    }

    @Test("a watch that hears nothing delays a follower, and no more")
    func watchGap() async throws {
        let etcd = try await EtcdCluster()
        let liar = LyingEndpoint(before: etcd.addresses[0])
        liar.lies.withLock { $0.silencesWatches = true }
        try await liar.serve { address in
            let stage = try EtcdStage(etcd.registry)
            let before = try await stage.lead("before")
            let runner = try runner("next", address, seed: 5)
            let run = Task { await runner.run() }
            _ = try await stage.ask(.resign(before.leadership.fence))
            try await eventually("the follower to find out by itself") { await runner.leads }
            await runner.end()
            await run.value
        }
    }
}
