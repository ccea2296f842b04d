import BenchSupport
import Foundation
import ProfferModel
import ProfferRegistry
import ProfferWire

/// What a registry takes for as many agents as a large cluster has.
enum Registries {
    static func measure(_ place: String, agents count: Int) async throws -> [(String, Double)] {
        if place == "sqlite" {
            let scratch = try Scratch()
            return try await measure(
                SQLiteRegistry(path: scratch.path + "/registry.sqlite"), count, unit: "sqlite")
        }
        let etcd = try Etcd(members: 1)
        try etcd.wait()
        let registry = try EtcdRegistry(try EtcdAddress(etcd.registry))
        let result = try await measure(registry, count, unit: "etcd")
        await registry.close()
        etcd.stop()
        return result
    }

    private static func measure(
        _ registry: any Registry, _ count: Int, unit: String
    ) async throws -> [(String, Double)] {
        let facts = (0..<count).map { WireCodec.encode(MasterRecord.agent(id($0), entry($0))) }
        let writer = try await registry.claim(clusterID: "bench", above: 0)
        let admitted = try await rate(of: facts, writer)
        await writer.release()
        let begin = ContinuousClock.now
        guard let contents = try await registry.contents() else {
            throw BenchProblem("the registry is empty")
        }
        let records = try contents.records.map { try WireCodec.decodeMasterRecord($0) }
        let recovered = Calibration.seconds(ContinuousClock.now - begin)
        guard records.count == count else { throw BenchProblem("\(records.count) of \(count)") }
        let again = try await registry.claim(clusterID: nil, above: 0)
        let removed = try await rate(
            of: (0..<count).map { WireCodec.encode(MasterRecord.agent(id($0), nil)) }, again)
        await again.release()
        return [
            ("admitted, per second", admitted), ("recovered and decoded, s", recovered),
            ("removed, per second", removed),
        ]
    }

    private static func id(_ index: Int) -> AgentID {
        AgentID("5f1c0f4e-2b8c-4a6c-9a6b-0d5c6b1f7a11-S\(index)")
    }

    /// With what agents of a real cluster have: resources, ports, attributes, a name.
    private static func entry(_ index: Int) -> AgentEntry {
        var info = AgentInfo(
            hostname: "node-\(index).example.org",
            resources: (try? Resources(
                text: "cpus:48;mem:262144;disk:4194304;ports:[31000-32000]")) ?? Resources(),
            attributes: (try? Attribute.list(
                text: "rack:rack-\(index % 500);zone:zone-\(index % 3)")) ?? [])
        info.id = id(index)
        return AgentEntry(
            info: info, publicKey: String(repeating: "k", count: 40))
    }

    /// Each fact is a commit of its own, as when agents register; all of them wait at once.
    private static func rate(
        of facts: [StoredRecord], _ writer: any RegistryWriter
    ) async throws -> Double {
        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for fact in facts { group.addTask { try await writer.commit([fact]) } }
            try await group.waitForAll()
        }
        return Double(facts.count) / Calibration.seconds(ContinuousClock.now - begin)
    }
}
