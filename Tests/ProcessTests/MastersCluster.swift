import AsyncHTTPClient
import ClusterProbe
import Foundation
import NIOCore
import NIOHTTP1
import Proffer
import ProfferRuntime
import ProfferZeroMQ
import Synchronization

/// Several masters that share a registry in etcd, and agents, as processes of their own.
final class MastersCluster: Sendable {
    let base: ProcessCluster
    let etcd: EtcdCluster
    private let masters: Mutex<[Int: (program: Program, endpoints: Endpoints)]> = Mutex([:])

    init(masters count: Int, agents: Int, etcd: EtcdCluster) async throws {
        base = try ProcessCluster(agents: agents)
        self.etcd = etcd
        let first = try DataDirectory(base.data("master"))
        for index in 0..<count {
            let directory = try DataDirectory(base.data("master-\(index)"))
            for list in ["frameworks.allow", "agents.allow"] {
                try TextFile.write(
                    TextFile.read(first.file(list)) ?? "", to: directory.file(list))
            }
            _ = try directory.keyPair("master.key")
        }
        for index in 0..<count { try await startMaster(index) }
    }

    /// Starts a master, on its earlier ports if it had some, and waits until it serves.
    ///
    /// Its registry may lie in another folder of etcd than that of the others.
    func startMaster(_ index: Int, folder: String = "") async throws {
        func port(_ address: String?) -> String {
            address.flatMap { $0.split(separator: ":").last.map(String.init) } ?? "0"
        }
        let before = masters.withLock { $0[index]?.endpoints }
        let program = try base.start(
            "proffer-master",
            [
                "--data-dir", base.data("master-\(index)"), "--http-port", port(before?.http),
                "--framework-port", port(before?.frameworks), "--agent-port",
                port(before?.agents), "--registry", etcd.registry + folder,
            ], log: "master-\(index)")
        let endpoints = try await base.endpoints("master-\(index)", of: program)
        masters.withLock { $0[index] = (program, endpoints) }
    }

    func program(_ index: Int) throws -> Program {
        try masters.withLock { try $0[index].orThrow("no master \(index)").program }
    }

    func http(_ index: Int) throws -> String {
        try masters.withLock { try $0[index].orThrow("no master \(index)").endpoints.http }
    }

    var indices: [Int] { masters.withLock { $0.keys.sorted() } }

    struct Standing: Decodable {
        var leads: Bool
        var leader: String?
        var epoch: UInt64?
        var problem: String?
    }

    /// What a master says of itself; `nil` when it does not answer.
    func standing(_ index: Int) async throws -> Standing? {
        var request = HTTPClientRequest(url: try http(index) + "/v1/leader")
        request.headers.add(name: "Connection", value: "close")
        guard
            let response = try? await HTTPClient.shared.execute(request, timeout: .seconds(2)),
            let body = try? await response.body.collect(upTo: 1 << 16)
        else { return nil }
        return try JSONDecoder().decode(Standing.self, from: Data(body.readableBytesView))
    }

    /// Waits until one of some masters leads.
    func leader(among some: [Int]? = nil) async throws -> (index: Int, epoch: UInt64) {
        try await eventually("a leading master") {
            for index in some ?? indices {
                if let standing = try await standing(index), standing.leads {
                    return (index, standing.epoch ?? 0)
                }
            }
            return nil
        }
    }

    /// The masters' addresses, each with its key, as clients are given them.
    func addresses(_ port: KeyPath<Endpoints, String?>) -> [String] {
        masters.withLock { masters in
            masters.sorted { $0.key < $1.key }.map { entry in
                let endpoints = entry.value.endpoints
                return "\(endpoints[keyPath: port] ?? "")=\(endpoints.publicKey ?? "")"
            }
        }
    }

    func startAgent(_ index: Int = 0) async throws -> Program {
        let program = try base.start(
            "proffer-agent",
            [
                "--data-dir", base.data("agent-\(index)"), "--http-port", "0", "--master",
                addresses(\.agents).joined(separator: ","), "--hostname", "127.0.0.1",
                "--resources", "cpus:2;mem:1024;disk:1024;ports:[31000-31099]",
            ], log: "agent-\(index)")
        try await base.endpoints("agent-\(index)", of: program)
        return program
    }

    func probe(_ info: FrameworkInfo = FrameworkInfo(name: "probe")) throws -> Probe {
        try Probe(
            info,
            MasterConnection(
                addresses: addresses(\.frameworks), masterKey: "", keys: base.frameworkKeys))
    }
}

/// Runs `body` with masters, which are ended afterwards whatever happens.
func withMasters(
    _ count: Int = 3, agents: Int = 1, etcd members: Int = 1,
    _ body: (MastersCluster) async throws -> Void
) async throws {
    let etcd = try await EtcdCluster(members: members)
    let cluster = try await MastersCluster(masters: count, agents: agents, etcd: etcd)
    do {
        try await body(cluster)
        await cluster.base.end()
    } catch {
        await cluster.base.end()
        throw error
    }
}

/// A process as the kernel tells it from every other one: its id and when it began.
struct ProcessIdentity: Hashable {
    var pid: Int
    var start: String

    init(_ pid: Int) throws {
        self.pid = pid
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        start = fields.count > 20 ? String(fields[20]) : ""
    }
}
