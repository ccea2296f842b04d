import ClusterProbe
import Foundation
import ProfferElection
import ProfferKernel
import ProfferModel
import ProfferWire
import Testing

@testable import ProfferRegistry

@Suite("Tools of registries")
struct ToolTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory("tools") }

    private func sqlite(_ name: String = "one") throws -> SQLiteRegistry {
        let folder = directory.file(name)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        return SQLiteRegistry(path: folder + "/registry.sqlite")
    }

    private static let facts = [
        WireCodec.encode(MasterRecord.weight(role: "a", 2000)),
        WireCodec.encode(MasterRecord.weight(role: "b", 500)),
    ]

    private func fill(_ registry: any Registry, _ facts: [StoredRecord] = Self.facts) async throws {
        let writer = try await registry.claim(clusterID: "c", above: 4)
        try await writer.commit(facts)
        await writer.release()
    }

    private func kind(_ body: () async throws -> Void) async -> StoreProblem.Kind? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreProblem)?.kind
        }
    }

    @Test(
        "an operator is warned of releases of etcd with known faults, and of no others",
        arguments: [
            ("3.4.23", true), ("3.5.0-rc.1", true), ("3.5.1", true), ("3.5.4", true),
            ("3.5.5", false), ("3.5.21", false), ("3.6.0", false), ("4.0.1", false), ("", false),
        ])
    func warnings(version: String, isExpected: Bool) {
        #expect((EtcdRegistry.warning(version: version) != nil) == isExpected)
    }

    @Test("a registry in SQLite has one owner at a time, and epochs that only rise")
    func owner() async throws {
        let registry = try sqlite()
        #expect(try await registry.contents() == nil)
        let first = try await registry.claim(clusterID: "c", above: 4)
        #expect(first.epoch == 5)
        #expect(await kind { _ = try await registry.claim(clusterID: nil, above: 0) } == .taken)
        try await first.commit(Self.facts)
        await first.release()
        let contents = try #require(try await registry.contents())
        #expect(contents.epoch == 5)
        #expect(contents.clusterID == "c")
        #expect(contents.records == Self.facts)
        let second = try await registry.claim(clusterID: nil, above: 0)
        #expect(second.epoch == 6)
        await second.release()
    }

    @Test("whoever had a SQLite registry before another took it writes nothing any more")
    func fencedOwner() async throws {
        let path = directory.file("fenced.sqlite")
        let old = try SQLiteStore(path: path)
        try old.claim()
        #expect(await old.submit([Self.facts[0]]) == nil)
        let new = try SQLiteStore(path: path)
        try new.claim()
        #expect(await old.submit([Self.facts[1]])?.kind == .fenced)
        #expect(await new.submit([Self.facts[1]]) == nil)
        #expect(try new.load() == Self.facts)
        old.close()
        new.close()
    }

    @Test("a copied SQLite registry is refused until it is adopted; the original is not")
    func copies() async throws {
        let original = directory.file("original.sqlite")
        let store = try SQLiteStore(path: original)
        try store.claim()
        #expect(await store.submit(Self.facts) == nil)
        store.close()
        let copy = directory.file("copy.sqlite")
        try FileManager.default.copyItem(atPath: original, toPath: copy)
        let copied = try SQLiteStore(path: copy)
        #expect(throws: StoreProblem.self) { try copied.claim() }
        try copied.claim(adopts: true)
        copied.close()
        let adopted = try SQLiteStore(path: copy)
        try adopted.claim()
        adopted.close()
        let again = try SQLiteStore(path: original)
        try again.claim()
        again.close()
    }

    @Test("a backup holds everything, and one with a changed byte is refused")
    func backup() async throws {
        let registry = try sqlite()
        try await fill(registry)
        let contents = try #require(try await registry.contents())
        let data = try RegistryBackup(contents).encoded()
        #expect(try RegistryBackup(data, path: "f").contents == contents)
        let text = String(decoding: data, as: UTF8.self)
        for change in [
            ("\"epoch\":5", "\"epoch\":6"), ("\"key\":\"a\"", "\"key\":\"c\""),
            ("\"cluster\":\"c\"", "\"cluster\":\"d\""), ("weight", "wight"),
            ("proffer-registry", "something"), ("\"version\":1", "\"version\":2"),
        ] {
            let changed = text.replacingOccurrences(of: change.0, with: change.1)
            #expect(changed != text)
            #expect(throws: StoreProblem.self, "\(change)") {
                try RegistryBackup(Data(changed.utf8), path: "f")
            }
        }
        #expect(throws: StoreProblem.self) {
            try RegistryBackup(data.dropLast(10), path: "f")
        }
    }

    @Test("restoring replaces facts only when that was allowed, and goes on with the epoch")
    func restore() async throws {
        let source = try sqlite("source")
        try await fill(source)
        let contents = try #require(try await source.contents())
        let target = try sqlite("target")
        try await fill(target, [fact("old", [1])])
        #expect(
            await kind { _ = try await target.restore(contents, replaces: false) } == .taken)
        #expect(try await target.contents()?.records == [fact("old", [1])])
        #expect(try await target.restore(contents, replaces: true) == 6)
        let restored = try #require(try await target.contents())
        #expect(restored.records == contents.records)
        #expect(restored.epoch == 6)
    }

    @Test(
        "facts go from SQLite to etcd and back, with cluster and epoch",
        .enabled(if: EtcdCluster.program != nil, "etcd is not installed"))
    func migration() async throws {
        let etcd = try await EtcdCluster()
        let before = try sqlite("before")
        let many = (0..<500).map { WireCodec.encode(MasterRecord.weight(role: "r\($0)", 1000)) }
        try await fill(before, many)
        let contents = try #require(try await before.contents())
        let shared = try EtcdRegistry(try EtcdAddress(etcd.registry))
        #expect(try await shared.contents() == nil)
        #expect(try await shared.restore(contents, replaces: false) == 6)
        let moved = try #require(try await shared.contents())
        #expect(moved.clusterID == "c")
        #expect(moved.records == contents.records)
        let back = try sqlite("back")
        #expect(try await back.restore(moved, replaces: false) == 7)
        #expect(try await back.contents()?.records == contents.records)
        #expect(try await back.contents()?.clusterID == "c")
        await shared.close()
    }

    @Test(
        "while a master leads, nothing else takes its registry; when it has gone, something may",
        .enabled(if: EtcdCluster.program != nil, "etcd is not installed"))
    func takenEtcd() async throws {
        let etcd = try await EtcdCluster()
        let stage = try EtcdStage(etcd.registry)
        let leader = try await stage.lead("http://leader")
        #expect(
            await kind { _ = try await stage.registry.claim(clusterID: nil, above: 0) } == .taken)
        #expect(try await stage.registry.leader() == "http://http://leader")
        _ = try await stage.ask(.resign(leader.leadership.fence))
        let writer = try await stage.registry.claim(clusterID: nil, above: 40)
        #expect(writer.epoch == 41)
        try await writer.commit([fact("a", [1])])
        await writer.release()
        #expect(try await stage.registry.leader() == nil)
        #expect(try await stage.registry.contents()?.epoch == 41)
        await stage.registry.close()
    }

    @Test(
        "a registry of a later version is refused, in etcd as in SQLite",
        .enabled(if: EtcdCluster.program != nil, "etcd is not installed"))
    func newer() async throws {
        let etcd = try await EtcdCluster()
        let registry = try EtcdRegistry(try EtcdAddress(etcd.registry))
        let head = RegistryHead(
            schema: EtcdRegistry.schema + 1, clusterID: "c", epoch: 9,
            fence: Fence(Revision(1)))
        let text = String(decoding: EtcdLayout.encode(head), as: UTF8.self)
        try await etcd.control(["put", "/proffer/head", text])
        #expect(await kind { _ = try await registry.contents() } == .newer)
        #expect(await kind { _ = try await registry.claim(clusterID: nil, above: 0) } == .newer)
        // What was tried has left nothing behind.
        #expect(try await registry.leader() == nil)
        await registry.close()
    }
}
