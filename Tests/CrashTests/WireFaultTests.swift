import ClusterProbe
import Foundation
import ProcessProbe
import ProfferRuntime
import Testing

/// Faults of the byte streams between master, agent and framework.
@Suite("Faults on the wire", .timeLimit(.minutes(15)))
struct WireFaultTests {
    /// Which of the two connections to a master goes through the proxy.
    enum Link: String, CaseIterable, Sendable {
        case agent
        case framework
    }

    private static let tasks = 24
    /// The greeting and the handshake have 64 to 600 bytes; what follows are frames.
    private static let cuts =
        CrashCase.repeats > 3
        ? Array(stride(from: 1, to: 2_000, by: 13))
        : [1, 9, 10, 11, 63, 64, 65, 150, 264, 300, 450, 700, 1_000, 1_700, 2_500, 4_000]

    /// Runs tasks while `fault` plays with a link until all have ended.
    private func play(
        _ link: Link, _ fault: (ByteProxy, Load) async throws -> Void
    ) async throws {
        try await withBench { bench in
            _ = try await bench.cluster.startMaster()
            let master = try bench.cluster.master
            let address = try (link == .agent ? master.agents : master.frameworks)
                .orThrow("no address")
            let port = try address.split(separator: ":").last.flatMap { Int($0) }.orThrow("no port")
            let proxy = try ByteProxy(to: port)
            defer { proxy.close() }
            let way = "tcp://127.0.0.1:\(proxy.port)"
            let agent = try await bench.startAgent(through: link == .agent ? way : nil)
            let load = Load(bench, Self.tasks)
            let framework = try load.start(link == .framework ? ["PROFFER_MASTER": way] : [:])
            try await fault(proxy, load)
            proxy.set(.none)
            try await load.check("\(link)")
            #expect(agent.isRunning && framework.isRunning)
        }
    }

    @Test(
        "a connection that breaks after any number of bytes loses and repeats nothing",
        arguments: Link.allCases, [ByteProxy.Direction.toServer, .toClient])
    func cut(_ link: Link, _ direction: ByteProxy.Direction) async throws {
        try await play(link) { proxy, load in
            for bytes in Self.cuts where load.ended() < load.count {
                let before = proxy.cuts
                proxy.set(.cut(after: bytes), direction)
                try await eventually("a cut after \(bytes) bytes") {
                    proxy.cuts > before || load.ended() == load.count
                }
            }
            #expect(proxy.cuts > 8)
        }
    }

    @Test("bytes that come late make nothing but things late", arguments: Link.allCases)
    func late(_ link: Link) async throws {
        try await play(link) { proxy, load in
            proxy.set(.delay(milliseconds: 20))
            try await eventually("half of the tasks") { load.ended() >= load.count / 2 }
        }
    }

    @Test(
        "a stream that stalls for longer than the lease is given up and made anew",
        arguments: Link.allCases, [ByteProxy.Fault.stall, .vanish])
    func stall(_ link: Link, _ fault: ByteProxy.Fault) async throws {
        try await play(link) { proxy, load in
            try await eventually("some tasks") { load.ended() > 2 }
            proxy.set(fault, link == .agent ? .toServer : .toClient)
            let witness = load.bench.cluster.directory.file(
                link == .agent ? "agent-0.log" : "framework.log")
            let words = link == .agent ? "lost the master" : "disconnected from the master"
            try await eventually("the end of the session: \(TextFile.read(witness) ?? "")") {
                TextFile.read(witness)?.contains(words) == true
            }
        }
    }
}
