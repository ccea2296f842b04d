internal import Foundation
internal import Glibc
internal import Hummingbird
public import Logging
public import ProfferAgent
internal import ProfferContainers
public import ProfferFetching
internal import ProfferHTTP
public import ProfferIsolation
internal import ProfferKernel
public import ProfferModel
internal import ProfferRegistry
internal import ProfferTransport
internal import ProfferZeroMQ
internal import ServiceLifecycle

/// What `proffer-agent` is told.
public struct AgentDaemonConfiguration: Sendable {
    /// The directory of its checkpoints, key and sandboxes.
    public var dataDirectory: String
    /// The address its HTTP server listens on.
    public var host = "127.0.0.1"
    /// The port of its HTTP server; 0 is any free one.
    public var httpPort = 5051
    /// The name under which others reach it; the node's own when absent.
    public var hostname: String?
    /// The masters' addresses for agents, `tcp://host:port` or `tcp://host:port=KEY`.
    public var masters: [String]
    /// The public key, Z85, of masters whose address names none.
    public var masterKey: String
    /// What it offers; detected when absent.
    public var resources: Resources?
    /// What tells it from others.
    public var attributes: [Attribute] = []
    /// The failure domain, `region/zone`.
    public var domain: FaultDomain?
    /// The path of `proffer-executor`; beside the running program when absent.
    public var executor: String?
    /// A file with a token; whoever has it may run programs in tasks, nobody when absent.
    public var operatorTokenFile: String?
    /// From one report of what the node uses to the next.
    public var usageInterval = AgentNode.usageInterval
    /// How it offers what its tasks hold but do not use; absent for not at all.
    public var oversubscription: Oversubscription?
    /// The most that each file of a task's output has, in bytes.
    public var taskOutputBytes = 10 << 20
    /// How many files there may be of each output of a task.
    public var taskOutputFiles = 5
    /// What it keeps of the disk for its own records, in bytes; a part of a hundred of the disk at
    /// most, up to 32 MiB, when absent.
    public var reservedDiskBytes: Int64?
    /// When the directories of what has ended are removed.
    public var collection = CollectionRule()
    /// From one look at ended directories and the disk to the next.
    public var diskWatchInterval = Duration.seconds(60)
    /// What may be fetched for tasks; its directory is set from the data directory.
    public var fetch = FetchSettings()
    /// The directory of secrets, see ``SecretDirectory``; tasks have none when absent.
    public var secretsDirectory: String?
    /// Finds the secrets that tasks name, in place of a directory.
    public var secrets: (any SecretProvider)?
    /// How tasks are kept apart; without a root for their cgroups, one is made of the directory.
    public var isolation = IsolationSettings()
    /// How it behaves; its work directory is set from the data directory.
    public var agent = AgentConfiguration(workDirectory: "/")

    /// The program's version.
    public static let version = MasterDaemonConfiguration.version

    /// Reads the settings.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    public init(_ settings: DaemonSettings) throws {
        dataDirectory = try settings.required(
            "data-dir", "name a directory for checkpoints, key and sandboxes")
        let servers = ServerAddress.list(
            try settings.required("master", "give the masters' addresses, tcp://host:5061"))
        for server in servers where !server.isTCP {
            throw DaemonProblem(
                .configuration, "--master is not valid",
                because: "'\(server.address)' is not tcp://host:port",
                try: "write for example tcp://10.0.0.1:5061")
        }
        guard let first = servers.first else {
            throw DaemonProblem(
                .configuration, "--master is not valid", because: "it names no master",
                try: "write for example tcp://10.0.0.1:5061")
        }
        masters = servers.map(\.description)
        masterKey =
            servers.allSatisfy { $0.key != nil }
            ? settings.text("master-key") ?? first.key ?? ""
            : try settings.required(
                "master-key", "copy the public key that the master printed when it started")
        host = settings.text("host") ?? host
        httpPort = try settings.port("http-port", default: httpPort)
        hostname = settings.text("hostname")
        executor = settings.text("executor")
        operatorTokenFile = settings.text("operator-token-file")
        secretsDirectory = settings.text("secrets-directory")
        agent.launchTimeout = try settings.durationOrNone(
            "launch-timeout", default: agent.launchTimeout)
        usageInterval = try settings.duration("usage-interval", default: usageInterval)
        agent.executorIdleTimeout = try settings.duration(
            "executor-idle-timeout", default: agent.executorIdleTimeout)
        try readFiles(settings)
        fetch = try FetchSettings(settings)
        isolation = try IsolationSettings(settings)
        oversubscription = try Oversubscription.read(settings)
        resources = try settings.text("resources").map(ResourcesFlag.read)
        do throws(ResourceTextProblem) {
            attributes = try settings.text("attributes").map(Attribute.list(text:)) ?? []
        } catch {
            throw DaemonProblem(
                .configuration, "--attributes is not valid", because: "\(error)",
                try: "write for example 'rack:r1;zone:a'")
        }
        domain = try settings.domain()
    }

    /// Reads what concerns the files of tasks.
    private mutating func readFiles(_ settings: DaemonSettings) throws {
        taskOutputBytes =
            try settings.number("task-output", default: 10, in: 1...1_048_576) << 20
        taskOutputFiles = try settings.number("task-output-files", default: 5, in: 1...1000)
        collection.delay = try settings.duration("gc-delay", default: collection.delay)
        if let text = settings.text("gc-disk-headroom") {
            guard let part = Double(text), (0...1).contains(part) else {
                throw settings.invalid("gc-disk-headroom", text, "a number from 0 to 1")
            }
            collection.headroom = Int64(part * 1000)
        }
        diskWatchInterval = try settings.duration(
            "disk-watch-interval", default: diskWatchInterval)
        if settings.text("reserved-disk") != nil {
            reservedDiskBytes =
                Int64(try settings.number("reserved-disk", default: 32, in: 0...1_048_576)) << 20
        }
    }
}

/// The program `proffer-agent`: an agent over TCP with CURVE, its checkpoints in SQLite, its
/// executors as processes, its HTTP server.
public struct AgentDaemon: Sendable {
    private let configuration: AgentDaemonConfiguration
    private let logger: Logger

    /// Prepares an agent.
    public init(_ configuration: AgentDaemonConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Runs until TERM or INT, which leave its tasks alive, or USR1, which ends them and takes the
    /// agent out of the cluster.
    ///
    /// - Throws: ``DaemonProblem`` with the exit code for a supervisor.
    public func run() async throws {
        let directory = try DataDirectory(configuration.dataDirectory)
        let lock = try DirectoryLock(directory)
        let keys = try directory.keyPair("agent.key")
        let named = configuration.masters.compactMap { ServerAddress(text: $0).key }
        for key in [configuration.masterKey] + named {
            guard KeyPair.isKey(key), !KeyPair.isPublicTestKey(key) else {
                throw DaemonProblem(
                    .key, "--master-key is not valid",
                    because: "'\(key)' is no key of 40 characters, or is one that is printed in"
                        + " manuals",
                    try: "copy the public key that the master printed when it started")
            }
        }
        let work = try DataDirectory(directory.file("work")).path
        let metrics = PrometheusRegistry()
        var isolation = configuration.isolation
        isolation.gpus = NodeGPUs.find()
        isolation = try IsolationStart.prepare(
            isolation, work: work, name: SocketPath.digest(of: work),
            hasSecrets: configuration.secrets != nil || configuration.secretsDirectory != nil,
            logger: logger)
        let place = IsolationStart.protectProcessor(isolation, logger: logger)
        defer { place?.leave() }
        let reserve = DiskReserve(
            file: ReservedFile(
                directory.file("reserve"), bytes: configuration.reservedDiskBytes ?? 32 << 20,
                isExact: configuration.reservedDiskBytes != nil),
            interval: configuration.diskWatchInterval, logger: logger)
        let node = try makeNode(directory, work, keys, metrics, isolation, place, reserve)
        let server = AgentServer(
            sandboxes: Self.sandboxes(work, node), metrics: metrics,
            sessions: try sessions(node, work, isolation),
            usage: { await Self.usage(of: node) }, audit: audit)
        let port = PortPromise()
        let host = configuration.host
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = server.application(
            address: .hostname(host, port: configuration.httpPort), logger: quiet
        ) { port.keep($0) }
        let service = NodeService(
            port: port,
            start: { [logger] httpPort in
                try node.start(httpPort: httpPort)
                try directory.publish(Endpoints(http: "http://\(host):\(httpPort)"))
                logger.info(
                    "the agent serves",
                    metadata: [
                        "http": "http://\(host):\(httpPort)", "public_key": "\(keys.publicKey)",
                    ])
                ProgramPages.release()
            },
            stop: { node.stop() }, finished: { try await node.finished() })
        defer {
            withExtendedLifetime(lock) {
                directory.withdrawEndpoints()
                SocketPath.remove(in: directory)
            }
        }
        try await Daemon.run(
            [
                HTTPService(address: "\(host):\(configuration.httpPort)", application: application),
                service, UserSignalService { node.stop(unregister: true) },
                collector(work, node), reserve,
            ], logger: logger)
    }

    private func makeNode(
        _ directory: DataDirectory, _ work: String, _ keys: KeyPair,
        _ metrics: PrometheusRegistry, _ isolation: IsolationSettings,
        _ place: NodeCgroups.Place?, _ reserve: DiskReserve
    ) throws -> AgentNode {
        var agent = configuration.agent
        agent.workDirectory = work
        agent.version = AgentDaemonConfiguration.version
        agent.gpus = isolation.gpus.devices.map(\.name)
        let problems = agent.problems()
        guard problems.isEmpty else {
            throw DaemonProblem(
                .configuration, "the configuration is not valid",
                because: problems.joined(separator: "; "), try: "correct these settings")
        }
        let secrets = try secretProvider()
        let address = try SocketPath.address(in: directory)
        let store = try directory.store("agent.sqlite")
        store.setRelief(reserve.release)
        let info = AgentInfo(
            hostname: configuration.hostname ?? NodeProbe.hostname,
            resources: try offered(isolation.gpus, diskAt: work),
            attributes: Self.attributes(configuration.attributes, isolation),
            domain: configuration.domain)
        return try AgentNode(
            configuration: agent, info: info,
            links: AgentLinks(
                masters: configuration.masters,
                masterSecurity: .curve(keys, serverKey: configuration.masterKey),
                executors: address),
            store: DurableStore(agent: store),
            host: ProcessExecutorHost(
                root: work, program: try executorPath(), agentAddress: address,
                isolation: isolation, unprotected: place.map { [$0.origin] } ?? [],
                variables: executorVariables(work),
                complain: { [logger] problem in
                    logger.error("what a task has left stays", metadata: ["error": "\(problem)"])
                }),
            context: Context(), logger: logger, metrics: metrics,
            usageInterval: configuration.usageInterval,
            oversubscription: configuration.oversubscription, secrets: secrets)
    }

    /// What the node and its tasks use, for `/metrics`.
    private static func usage(of node: AgentNode) async -> String {
        guard case .summary(let report)? = try? await node.answer(.summary) else { return "" }
        let live = report.tasks.filter { !$0.state.isTerminal }
        return UsageText(
            usage: report.usage, total: report.info.resources,
            tasks: live.map { (key: $0.key, resources: $0.resources) }
        ).text
    }

    private func secretProvider() throws -> (any SecretProvider)? {
        if let provider = configuration.secrets { return provider }
        guard let path = configuration.secretsDirectory else { return nil }
        let directory = SecretDirectory(path)
        if let problem = directory.problem {
            throw DaemonProblem(
                .configuration, "--secrets-directory is not valid", because: "\(problem)",
                try: "make a directory that belongs to the agent's user, with mode 0700")
        }
        return directory
    }

    /// What the operator says, else what is found, GPUs included.
    private func offered(_ gpus: GPUSettings, diskAt path: String) throws -> Resources {
        let found = gpus.devices.count
        guard let given = configuration.resources else {
            var resources = NodeProbe.resources(diskAt: path)
            if found > 0 { resources += Resource("gpus", .scalar(Milli(found))) }
            return resources
        }
        // Without any found, the number is only counted: the operator may have devices of his own.
        let wanted = given.scalar("gpus")
        if found > 0, wanted > Milli(found) {
            throw DaemonProblem(
                .configuration, "--resources is not valid",
                because: "it has gpus:\(wanted), and \(found) are found here",
                try: "see what nvidia-smi -L prints, and offer no more")
        }
        return given
    }

    /// Says by an attribute how tasks are kept apart, so that frameworks can ask for it; unless the
    /// operator uses the name for something else.
    private static func attributes(
        _ given: [Attribute], _ isolation: IsolationSettings
    ) -> [Attribute] {
        if isolation.mode == .process || given.contains(where: { $0.name == "isolation" }) {
            return given
        }
        return given + [Attribute(name: "isolation", value: .text(isolation.mode.rawValue))]
    }

    private func executorPath() throws -> String {
        let path =
            configuration.executor
            ?? URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("proffer-executor").path
        guard access(path, X_OK) == 0 else {
            throw DaemonProblem(
                .configuration, "the executor \(path) cannot be started",
                because: String(cString: strerror(errno)),
                try: "install proffer-executor beside proffer-agent, or name it with --executor")
        }
        return path
    }

    @Sendable
    private func audit(_ access: SandboxAccess) {
        logger.info(
            "a sandbox was looked into",
            metadata: [
                "from": "\(access.address)", "user": "\(access.user)",
                "action": "\(access.action)", "framework.id": "\(access.framework)",
                "task.id": "\(access.task)", "path": "\(access.path)",
            ])
    }

    private func executorVariables(_ work: String) -> [EnvironmentVariable] {
        var fetch = configuration.fetch
        fetch.directory = work + "/fetch"
        let (seconds, rest) = configuration.usageInterval.components
        let milliseconds = min(max(0, seconds), 1_000_000) * 1000 + rest / 1_000_000_000_000_000
        return [
            EnvironmentVariable(name: "PROFFER_FETCH", value: fetch.json.description),
            EnvironmentVariable(
                name: "PROFFER_USAGE_INTERVAL_MS", value: "\(max(1, milliseconds))"),
            EnvironmentVariable(
                name: "PROFFER_OUTPUT_LIMIT_BYTES", value: "\(configuration.taskOutputBytes)"),
            EnvironmentVariable(
                name: "PROFFER_OUTPUT_FILES", value: "\(configuration.taskOutputFiles)"),
        ]
    }

    private func collector(_ work: String, _ node: AgentNode) -> DirectoryCollector {
        DirectoryCollector(
            directories: EndedDirectories(root: work), rule: configuration.collection,
            interval: configuration.diskWatchInterval, logger: logger,
            inUse: {
                guard case .summary(let report) = try await node.answer(.summary) else { return [] }
                return Set(report.tasks.map(\.sandbox) + report.executors.map(\.directory))
            },
            discard: { _ = try await node.answer(.discard(paths: $0)) })
    }

    /// Programs in tasks, for whoever has the token of the file that was named; `nil` without one.
    private func sessions(
        _ node: AgentNode, _ work: String, _ isolation: IsolationSettings
    ) throws -> TaskSessions? {
        guard let path = configuration.operatorTokenFile else { return nil }
        guard let token = try DataDirectory.secret(at: path) else {
            throw DaemonProblem(
                .configuration, "--operator-token-file is not valid",
                because: "there is no text in a file \(path)",
                try: "copy the master's operator.token there, with mode 0600")
        }
        let sessions = AgentSessions(
            node: node, isolation: isolation, directory: work, logger: logger)
        return TaskSessions(token: token) { try await sessions.open($0) }
    }

    private static func sandboxes(_ work: String, _ node: AgentNode) -> Sandboxes {
        Sandboxes(root: work) { framework, task in
            let key = TaskKey(FrameworkID(framework), TaskID(task))
            guard case .sandbox(let path)? = try? await node.answer(.sandbox(key)),
                path.hasPrefix(work + "/")
            else { return nil }
            return String(path.dropFirst(work.count + 1))
        }
    }
}

/// Where executors reach their agent: a socket in the data directory, or, when its path would be
/// too long for the kernel, one in a directory of its own below the system's temporary one.
enum SocketPath {
    /// The size of `sun_path`, without the zero at its end.
    private static let limit = 107
    private static let name = "agent.sock"

    /// Removes the socket: the process may end before libzmq has done it.
    static func remove(in directory: DataDirectory) {
        let path = path(in: directory)
        unlink(path)
        if path != directory.file(name) { rmdir(String(path.dropLast(name.utf8.count + 1))) }
    }

    /// The address, the same for the same data directory, in a directory that exists.
    static func address(in directory: DataDirectory) throws -> String {
        let path = path(in: directory)
        if path != directory.file(name) {
            try makePrivate(String(path.dropLast(name.utf8.count + 1)))
        }
        return "ipc://" + path
    }

    private static func path(in directory: DataDirectory) -> String {
        let path = directory.file(name)
        if path.utf8.count <= limit { return path }
        return "/tmp/proffer-\(getuid())-\(digest(of: path))/\(name)"
    }

    /// A short name that is the same for the same path (FNV-1a).
    static func digest(of path: String) -> String {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in path.utf8 { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return String(digest, radix: 16)
    }

    private static func makePrivate(_ path: String) throws {
        let parent = try DataDirectory(path)
        let attributes = try? FileManager.default.attributesOfItem(atPath: parent.path)
        guard attributes?[.type] as? FileAttributeType == .typeDirectory,
            (attributes?[.ownerAccountID] as? NSNumber)?.uint32Value == getuid(),
            let mode = (attributes?[.posixPermissions] as? NSNumber)?.intValue, mode & 0o077 == 0
        else {
            throw DaemonProblem(
                .dataDirectory, "the directory \(parent.path) is not safe",
                because: "others than this user can use it",
                try: "give a data directory with a shorter path, or mend the mode to 0700")
        }
    }
}
