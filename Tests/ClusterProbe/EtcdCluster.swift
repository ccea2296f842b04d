internal import Foundation
internal import Glibc
internal import Synchronization

/// An etcd cluster of a test: processes on free ports of the loopback, killed when the test lets go
/// of it.
public final class EtcdCluster: Sendable {
    /// Where etcd is installed; `nil` when it is not, and tests of it are skipped.
    ///
    /// `PROFFER_ETCD` names another than the system's, to test with another version.
    public static let program: String? = {
        let named = ProcessInfo.processInfo.environment["PROFFER_ETCD"].map { [$0] }
        return (named ?? ["/usr/bin/etcd", "/usr/local/bin/etcd"]).first { access($0, X_OK) == 0 }
    }()

    /// What a member is started with.
    public struct Options: Sendable {
        /// Arguments for every member besides those that make the cluster.
        public var arguments: [String] = []
        /// Whether clients speak TLS; the arguments must name the files.
        public var isTLS = false

        /// Sets every field; what is left out has the default shown.
        public init(arguments: [String] = [], isTLS: Bool = false) {
            self.arguments = arguments
            self.isTLS = isTLS
        }
    }

    private struct Member {
        var client: Int
        var peer: Int
        var process: Process?
    }

    /// Where the members keep their data.
    public let directory: TemporaryDirectory
    private let options: Options
    private let members: Mutex<[Member]>

    /// Starts members and waits until they have a leader.
    public init(members count: Int = 1, options: Options = .init()) async throws {
        directory = try TemporaryDirectory("etcd")
        self.options = options
        members = Mutex(
            try (0..<count).map { _ in
                Member(client: try Self.freePort(), peer: try Self.freePort())
            })
        for index in 0..<count { try start(index) }
        for index in 0..<count { try await serves(index) }
    }

    deinit {
        for member in members.withLock({ $0 }) {
            guard let process = member.process, process.isRunning else { continue }
            kill(process.processIdentifier, SIGKILL)
        }
    }

    /// How many members there are.
    public var count: Int { members.withLock { $0.count } }

    /// The addresses for clients, `host:port`.
    public var addresses: [String] { members.withLock { $0.map { "127.0.0.1:\($0.client)" } } }

    /// The registry that a master is given.
    public var registry: String { "etcd://" + addresses.joined(separator: ",") }

    /// The process of a member.
    public func pid(_ index: Int) -> Int {
        members.withLock { Int($0[index].process?.processIdentifier ?? 0) }
    }

    /// Starts a member, or starts it again with its data.
    public func start(_ index: Int) throws {
        guard let program = Self.program else {
            throw NeverHappened(description: "etcd is not installed")
        }
        let all = members.withLock { $0 }
        let (scheme, own) = (options.isTLS ? "https" : "http", all[index])
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments =
            [
                "--name", "m\(index)", "--data-dir", directory.file("m\(index)"),
                "--listen-client-urls", "\(scheme)://127.0.0.1:\(own.client)",
                "--advertise-client-urls", "\(scheme)://127.0.0.1:\(own.client)",
                "--listen-peer-urls", "http://127.0.0.1:\(own.peer)",
                "--initial-advertise-peer-urls", "http://127.0.0.1:\(own.peer)",
                "--initial-cluster",
                all.enumerated().map { "m\($0)=http://127.0.0.1:\($1.peer)" }
                    .joined(separator: ","),
                "--logger", "zap", "--log-outputs", directory.file("m\(index).log"),
            ] + options.arguments
        process.environment = ["PATH": "/usr/bin:/bin"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        members.withLock { $0[index].process = process }
    }

    /// Waits until a member serves clients.
    public func serves(_ index: Int) async throws {
        let port = members.withLock { $0[index].client }
        let log = directory.file("m\(index).log")
        try await eventually("etcd member \(index) to serve; it wrote: \(TextFile.read(log) ?? "")")
        {
            guard members.withLock({ $0[index].process?.isRunning }) == true else {
                let text = TextFile.read(log) ?? "no log"
                // Somebody's outgoing connection may have got the free port first.
                if text.contains("address already in use") {
                    try start(index)
                    return false
                }
                throw NeverHappened(description: "etcd has ended: \(text)")
            }
            // Client connections are taken only once there is a leader.
            return Self.accepts(port)
        }
    }

    /// Stops members where they are, as if their machines hung.
    public func pause(_ indices: [Int]) {
        for index in indices { kill(Int32(pid(index)), SIGSTOP) }
    }

    /// Lets them go on.
    public func resume(_ indices: [Int]) {
        for index in indices { kill(Int32(pid(index)), SIGCONT) }
    }

    /// Kills a member as a crash would.
    public func crash(_ index: Int) async throws {
        let process = members.withLock { $0[index].process }
        kill(Int32(pid(index)), SIGKILL)
        try await eventually("the end of an etcd member") { process?.isRunning != true }
    }

    /// Runs `etcdctl` against the cluster, or one member, and returns what it wrote.
    @discardableResult
    public func control(
        _ arguments: [String], member: Int? = nil
    ) async throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/etcdctl")
        let scheme = options.isTLS ? "https" : "http"
        let asked = member.map { [addresses[$0]] } ?? addresses
        process.arguments =
            ["--endpoints", asked.map { "\(scheme)://\($0)" }.joined(separator: ",")]
            + arguments
        process.environment = ["PATH": "/usr/bin:/bin", "ETCDCTL_API": "3"]
        let file = directory.file("control-\(UUID().uuidString)")
        try TextFile.write("", to: file)
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try await eventually("the end of etcdctl \(arguments)") { !process.isRunning }
        let text = TextFile.read(file) ?? ""
        guard process.terminationStatus == 0 else {
            throw NeverHappened(description: "etcdctl \(arguments) failed: \(text)")
        }
        return text
    }

    /// The member that leads the others.
    public func leader() async throws -> Int {
        try await eventually("a leader of etcd") {
            for index in 0..<count {
                let text = try? await control(
                    ["endpoint", "status", "-w", "fields"], member: index)
                guard let text else { continue }
                func field(_ name: String) -> Substring? {
                    text.split(separator: "\n").first { $0.hasPrefix("\"\(name)\"") }?
                        .split(separator: " ").last
                }
                if let own = field("MemberID"), own == field("Leader") { return index }
            }
            return nil
        }
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw NeverHappened(description: "no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func accepts(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(UInt16(port))
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
