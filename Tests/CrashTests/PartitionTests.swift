import ClusterProbe
import Foundation
import ProcessProbe
import ProfferRuntime
import Testing

/// A cluster in a network of its own whose packets are dropped.
@Suite(
    "Partitions", .timeLimit(.minutes(15)),
    .enabled(if: OwnNetwork.isPossible, "only root can make a network namespace with iptables"))
struct PartitionTests {
    private static let tasks = 12

    @Test(
        "a partition, one way or both, is survived without loss or repetition",
        arguments: WireFaultTests.Link.allCases,
        [ByteProxy.Direction.toServer, .toClient, .both])
    func partition(_ link: WireFaultTests.Link, _ direction: ByteProxy.Direction) async throws {
        try await withBench { bench in
            let network = try await OwnNetwork(bench.cluster)
            bench.fetch = { try await network.fetch($0) }
            _ = try await bench.cluster.startMaster()
            let agent = try await bench.startAgent()
            let load = Load(bench, Self.tasks)
            let framework = try load.start()
            try await eventually("some tasks") { load.ended() > 2 }
            let master = try bench.cluster.master
            let port = try (link == .agent ? master.agents : master.frameworks)
                .flatMap { $0.split(separator: ":").last.map(String.init) }.orThrow("no port")
            try await network.drop(port, direction)
            let (witness, words) =
                link == .agent
                ? (agent, "lost the master") : (framework, "disconnected from the master")
            try await eventually("the end of the session: \(witness.output)") {
                witness.output.contains(words)
            }
            try await network.heal()
            try await load.check("\(link) \(direction)")
            #expect(agent.isRunning && framework.isRunning)
        }
    }
}

/// A network namespace with a loopback interface and nothing else; it ends with its cluster.
final class OwnNetwork: Sendable {
    private let cluster: ProcessCluster
    private let holder: Program
    private let entry: [String]

    static var isPossible: Bool {
        guard geteuid() == 0,
            let shell = try? Process.run(
                URL(fileURLWithPath: "/usr/bin/unshare"),
                arguments: [
                    "-n", "/bin/sh", "-c",
                    "exec >/dev/null 2>&1; ip link set lo up "
                        + "&& iptables -w -A INPUT -p tcp --dport 1 -j DROP",
                ])
        else { return false }
        shell.waitUntilExit()
        return shell.terminationStatus == 0
    }

    /// Makes a network in which the cluster's later programs run.
    init(_ cluster: ProcessCluster) async throws {
        self.cluster = cluster
        let holder = try cluster.start(
            "/usr/bin/unshare", ["-n", "/bin/sleep", "infinity"], log: "network")
        self.holder = holder
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
        try await eventually("a network") {
            let path = "/proc/\(holder.pid)/ns/net"
            let link = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
            return link != nil && link != own
        }
        entry = ["/usr/bin/nsenter", "-t", "\(holder.pid)", "-n"]
        cluster.run(through: entry)
        try await shell("ip link set lo up")
    }

    /// Runs a line of shell in the network.
    @discardableResult
    func shell(_ line: String) async throws -> String {
        let name = "shell-\(UUID().uuidString.prefix(8))"
        let program = try cluster.start(
            "/bin/bash", ["-c", line],
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], log: name)
        guard try await program.exitCode() == 0 else {
            throw NeverHappened(description: "'\(line)' failed: \(program.output)")
        }
        return program.output
    }

    /// Drops the packets to or from a port.
    func drop(_ port: String, _ direction: ByteProxy.Direction) async throws {
        if direction != .toClient {
            try await shell("iptables -w -A INPUT -p tcp --dport \(port) -j DROP")
        }
        if direction != .toServer {
            try await shell("iptables -w -A INPUT -p tcp --sport \(port) -j DROP")
        }
    }

    /// Lets everything through again.
    func heal() async throws { try await shell("iptables -w -F INPUT") }

    /// Reads a page of a server in the network.
    func fetch(_ url: String) async throws -> String {
        let address = url.dropFirst("http://".count)
        let slash = try address.firstIndex(of: "/").orThrow("no path in \(url)")
        let (host, path) = (address[..<slash], address[slash...])
        let parts = host.split(separator: ":")
        let answer = try await shell(
            """
            exec 3<>/dev/tcp/\(parts[0])/\(parts[1])
            printf 'GET \(path) HTTP/1.1\\r\\nHost: \(host)\\r\\nConnection: close\\r\\n\\r\\n' >&3
            cat <&3
            """)
        let end = try answer.range(of: "\r\n\r\n").orThrow("no answer of \(url): \(answer)")
        return String(answer[end.upperBound...])
    }
}
