internal import AsyncHTTPClient
public import ClusterProbe
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
public import Proffer
public import ProfferRuntime
public import ProfferZeroMQ
internal import Synchronization

/// A master and agents as processes of their own, over TCP with CURVE on free ports.
public final class ProcessCluster: Sendable {
    /// Where everything of it is; removed with it.
    public let directory: TemporaryDirectory
    /// The key of a framework that is let in.
    public let frameworkKeys: KeyPair
    private let programs = Mutex<[Program]>([])
    private let known = Mutex<Endpoints?>(nil)
    private let runner = Mutex<[String]>([])

    /// Prepares the directories and lists of keys; nothing runs yet.
    public init(agents: Int = 1) throws {
        directory = try TemporaryDirectory("cluster")
        frameworkKeys = try KeyPair.generate()
        let master = try DataDirectory(directory.file("master"))
        try TextFile.write(frameworkKeys.publicKey + " test\n", to: master.file("frameworks.allow"))
        let keys = try (0..<agents).map {
            try DataDirectory(directory.file("agent-\($0)")).keyPair("agent.key").publicKey
        }
        try TextFile.write(
            keys.map { $0 + "\n" }.joined(), to: master.file("agents.allow"))
    }

    /// What the running master serves.
    public var master: Endpoints {
        get throws { try known.withLock { try $0.orThrow("no master") } }
    }

    /// The data directory of `master`, `agent-0` and so on.
    public func data(_ name: String) -> String { directory.file(name) }

    /// Starts a program that is killed at the end, whatever happens.
    public func start(
        _ name: String, _ arguments: [String], environment: [String: String] = [:],
        log: String
    ) throws -> Program {
        let runner = runner.withLock { $0 }
        let path = name.hasPrefix("/") ? name : Program.folder.appendingPathComponent(name).path
        let words = runner + [path] + arguments
        let program = try Program(
            words[0], Array(words.dropFirst()), environment: environment,
            log: directory.file(log + ".log"))
        programs.withLock { $0.append(program) }
        return program
    }

    /// Has later programs started by another one, which must become them: `nsenter`, for one.
    public func run(through words: [String]) { runner.withLock { $0 = words } }

    /// The arguments of a master in this cluster's directory: on its earlier ports after a
    /// restart, on free ones before.
    public func masterArguments() -> [String] {
        func port(_ address: String?) -> String {
            address.flatMap { $0.split(separator: ":").last.map(String.init) } ?? "0"
        }
        let before = known.withLock { $0 }
        return [
            "--data-dir", data("master"), "--http-port", port(before?.http), "--framework-port",
            port(before?.frameworks), "--agent-port", port(before?.agents),
        ]
    }

    /// Starts the master and waits until it serves.
    public func startMaster(
        _ further: [String] = [], environment: [String: String] = [:]
    ) async throws -> Program {
        let program = try start(
            "proffer-master", masterArguments() + further, environment: environment,
            log: "master")
        let endpoints = try await endpoints("master", of: program)
        known.withLock { $0 = endpoints }
        return program
    }

    /// The arguments of an agent in this cluster's directory.
    public func agentArguments(_ index: Int) throws -> [String] {
        let master = try master
        return [
            "--data-dir", data("agent-\(index)"), "--http-port", "0", "--master",
            try master.agents.orThrow("no address for agents"), "--master-key",
            try master.publicKey.orThrow("no key"), "--hostname", "127.0.0.1", "--resources",
            "cpus:2;mem:1024;disk:1024;ports:[31000-31099]", "--usage-interval", "1s",
        ]
    }

    /// Starts an agent and waits until it serves.
    public func startAgent(
        _ index: Int = 0, _ further: [String] = [], environment: [String: String] = [:]
    ) async throws -> Program {
        let program = try start(
            "proffer-agent", try agentArguments(index) + further, environment: environment,
            log: "agent-\(index)")
        _ = try await endpoints("agent-\(index)", of: program)
        return program
    }

    /// Waits for the file that says what a daemon serves.
    @discardableResult
    public func endpoints(_ name: String, of program: Program) async throws -> Endpoints {
        let path = data(name) + "/endpoints.json"
        return try await eventually("\(name) to serve; it wrote: \(program.output)") {
            guard program.isRunning else {
                throw NeverHappened(description: "\(name) has ended: \(program.output)")
            }
            guard let data = FileManager.default.contents(atPath: path),
                let endpoints = try? JSONDecoder().decode(Endpoints.self, from: data),
                Int(endpoints.pid) == program.pid
            else { return nil }
            return endpoints
        }
    }

    /// Starts a framework of the test.
    public func probe(
        _ info: FrameworkInfo = FrameworkInfo(name: "probe"), keys: KeyPair? = nil
    ) throws -> Probe {
        let master = try master
        return try Probe(
            info,
            MasterConnection(
                addresses: [try master.frameworks.orThrow("no address for frameworks")],
                masterKey: try master.publicKey.orThrow("no key"), keys: keys ?? frameworkKeys))
    }

    /// The processes of executors.
    public func executors() -> [Int] {
        ProcessTable.having("PROFFER_DIRECTORY", below: directory.path)
    }

    /// The processes of tasks.
    public func tasks() -> [Int] { ProcessTable.having("PROFFER_SANDBOX", below: directory.path) }

    /// Puts a daemon's data directory, with what is in it, on a disk of its own.
    public func moveToSmallDisk(_ name: String, kibibytes: Int = 2048) throws -> SmallDisk {
        let path = data(name)
        let contents = try FileManager.default.contentsOfDirectory(atPath: path).map {
            ($0, try String(contentsOfFile: path + "/" + $0, encoding: .utf8))
        }
        let disk = try SmallDisk(kibibytes: kibibytes, at: path)
        for (file, text) in contents {
            try TextFile.write(text, to: path + "/" + file)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600], ofItemAtPath: path + "/" + file)
        }
        return disk
    }

    /// Kills whatever runs.
    public func end() async {
        let all = programs.withLock { $0 }
        for program in all where program.isRunning { try? await program.crash() }
        for pid in executors() + tasks() { ProcessTable.kill(pid) }
    }
}

/// Runs `body` with a cluster, which is ended afterwards whatever happens.
public func withProcesses(
    agents: Int = 1, _ body: (ProcessCluster) async throws -> Void
) async throws {
    let cluster = try ProcessCluster(agents: agents)
    do {
        try await body(cluster)
        await cluster.end()
    } catch {
        await cluster.end()
        throw error
    }
}

/// Asks an HTTP server.
public func get(_ url: String) async throws -> (status: Int, body: String) {
    let response = try await HTTPClient.shared.execute(
        HTTPClientRequest(url: url), timeout: .seconds(30))
    let body = try await response.body.collect(upTo: 16 << 20)
    return (Int(response.status.code), String(buffer: body))
}

/// Sends an order without a body to an HTTP server.
public func post(_ url: String, token: String?) async throws -> Int {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
    _ = try await response.body.collect(upTo: 16 << 20)
    return Int(response.status.code)
}

extension Optional {
    /// What is there; otherwise a test's failure that names what is missing.
    public func orThrow(_ what: String) throws -> Wrapped {
        guard let self else { throw NeverHappened(description: what) }
        return self
    }
}
