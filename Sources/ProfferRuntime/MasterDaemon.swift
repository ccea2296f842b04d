internal import Hummingbird
public import Logging
public import ProfferAllocation
internal import ProfferContainers
public import ProfferElection
internal import ProfferHTTP
internal import ProfferKernel
public import ProfferMaster
internal import ProfferModel
public import ProfferRegistry
internal import ProfferTransport
internal import ProfferZeroMQ
internal import ServiceLifecycle

/// What `proffer-master` is told.
public struct MasterDaemonConfiguration: Sendable {
    /// The directory of its registry, keys and allow-lists.
    public var dataDirectory: String
    /// The address it listens on.
    public var host = "127.0.0.1"
    /// The port of its HTTP server; 0 is any free one.
    public var httpPort = 5050
    /// The port for frameworks; 0 is any free one.
    public var frameworkPort = 5060
    /// The port for agents; 0 is any free one.
    public var agentPort = 5061
    /// How it behaves.
    public var master = MasterConfiguration()
    /// Where its registry is.
    public var registry = RegistryPlace.embedded(nil)
    /// How several masters elect the one that leads.
    public var election = ElectionConfiguration()
    /// How it decides what is offered to whom.
    public var allocation = HierarchicalAllocator.Options()

    /// The defaults.
    public init(dataDirectory: String) { self.dataDirectory = dataDirectory }

    /// The program's version.
    public static let version = MasterConfiguration().version

    /// Reads the settings.
    ///
    /// - Throws: ``DaemonProblem`` that names the first setting that is not valid.
    public init(_ settings: DaemonSettings) throws {
        dataDirectory = try settings.required(
            "data-dir", "name a directory for the registry, keys and allow-lists")
        host = settings.text("host") ?? host
        httpPort = try settings.port("http-port", default: httpPort)
        frameworkPort = try settings.port("framework-port", default: frameworkPort)
        agentPort = try settings.port("agent-port", default: agentPort)
        master.clusterName = settings.text("cluster-name") ?? master.clusterName
        master.hostname = settings.text("hostname") ?? host
        master.offerTimeout = try settings.durationOrNone(
            "offer-timeout", default: master.offerTimeout)
        master.agentPingInterval = try settings.duration(
            "ping-interval", default: master.agentPingInterval)
        master.agentPingsMissed = try settings.number(
            "pings-missed", default: master.agentPingsMissed, in: 1...1000)
        master.agentReturnWindow = try settings.duration(
            "agent-return-window", default: master.agentReturnWindow)
        try readAgentLimits(settings)
        master.heartbeatInterval = try settings.duration(
            "heartbeat-interval", default: master.heartbeatInterval)
        master.preemptionDelay = try settings.durationOrNone(
            "preemption-delay", default: master.preemptionDelay)
        master.preemptionNotice =
            try settings.durationOrNone(
                "preemption-notice", default: master.preemptionNotice) ?? .zero
        allocation = try settings.allocation()
        registry = try settings.registry()
        election = try settings.election()
        master.domain = try settings.domain()
        master.whitelistFile = settings.text("whitelist")
    }

    /// What is set about lost agents.
    private mutating func readAgentLimits(_ settings: DaemonSettings) throws {
        if let text = settings.text("agent-removal-rate-limit"), text != "none" {
            guard let limit = RateLimit(text: text) else {
                throw settings.invalid(
                    "agent-removal-rate-limit", text, "a number and a time as in 1/10m, or none")
            }
            master.agentRemovalRateLimit = limit
        }
        if settings.text("agent-loss-threshold") == "none" {
            master.agentLossThreshold = nil
        } else {
            master.agentLossThreshold = try settings.number(
                "agent-loss-threshold", default: master.agentLossThreshold ?? 50, in: 0...100)
        }
        master.agentLossPause = try settings.duration(
            "agent-loss-pause", default: master.agentLossPause)
        master.registryGCInterval = try settings.duration(
            "registry-gc-interval", default: master.registryGCInterval)
        master.registryMaxAgentAge = try settings.duration(
            "registry-max-agent-age", default: master.registryMaxAgentAge)
        master.registryMaxAgentCount = try settings.number(
            "registry-max-agent-count", default: master.registryMaxAgentCount,
            in: 0...10_000_000)
    }
}

/// The program `proffer-master`: a master over TCP with CURVE, its registry in SQLite or etcd, its
/// HTTP server.
public struct MasterDaemon: Sendable {
    private let configuration: MasterDaemonConfiguration
    private let logger: Logger

    /// Prepares a master.
    public init(_ configuration: MasterDaemonConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Runs until TERM or INT.
    ///
    /// - Throws: ``DaemonProblem`` with the exit code for a supervisor.
    public func run() async throws {
        let directory = try DataDirectory(configuration.dataDirectory)
        let lock = try DirectoryLock(directory)
        let registryLock = try lockRegistry()
        let keys = try directory.keyPair("master.key")
        let token = try directory.secret("operator.token")
        let allowList = AllowList()
        let allowed = AllowListService(
            files: [
                AllowListFile(
                    path: directory.file("frameworks.allow"), domain: Self.frameworkDomain),
                AllowListFile(path: directory.file("agents.allow"), domain: Self.agentDomain),
            ], allowList: allowList, logger: logger)
        let metrics = PrometheusRegistry()
        let whitelist = configuration.master.whitelistFile.map { WhitelistFile(path: $0) }
        let stamp = whitelist?.stamp()
        let node = try makeNode(
            directory, keys, allowList, metrics,
            whitelist: try whitelist.flatMap { try $0.read() })
        let server = MasterServer(
            view: node, metrics: metrics, token: token,
            refresh: { await node.refreshMetrics(allowList: allowList) })
        let port = PortPromise()
        let host = configuration.host
        let application = server.application(
            address: .hostname(host, port: configuration.httpPort), logger: quiet
        ) { port.keep($0) }
        let service = NodeService(
            port: port,
            start: { [logger] httpPort in
                let addresses = try Self.listen {
                    try node.start(httpPort: httpPort, publicKey: keys.publicKey)
                }
                try directory.publish(
                    Endpoints(
                        http: "http://\(host):\(httpPort)", frameworks: addresses.frameworks,
                        agents: addresses.agents, publicKey: keys.publicKey))
                logger.info(
                    "the master serves",
                    metadata: [
                        "http": "http://\(host):\(httpPort)",
                        "frameworks": "\(addresses.frameworks)", "agents": "\(addresses.agents)",
                        "public_key": "\(keys.publicKey)",
                    ])
                ProgramPages.release()
            },
            stop: { node.stop() }, finished: { try await node.finished() })
        defer { withExtendedLifetime((lock, registryLock)) { directory.withdrawEndpoints() } }
        var services: [any Service] = [
            HTTPService(address: "\(host):\(configuration.httpPort)", application: application),
            service, allowed,
        ]
        if let whitelist {
            services.append(
                WhitelistService(
                    file: whitelist, stamp: stamp, logger: logger,
                    changed: { node.noteWhitelist($0) }))
        }
        try await Daemon.run(services, logger: logger)
    }

    /// Keeps a registry outside of the data directory for this process.
    private func lockRegistry() throws -> FileLock? {
        guard case .embedded(let path?) = configuration.registry else { return nil }
        do throws(FileLock.Problem) {
            return try FileLock(path + ".lock")
        } catch {
            let reason =
                switch error {
                case .unusable(let code): "error \(code) of the system"
                case .taken(let process): "process \(process) has it"
                }
            throw DaemonProblem(
                .dataDirectory, "the registry \(path) cannot be used", because: reason,
                try: "stop that process, or give another registry")
        }
    }

    private static let frameworkDomain = "frameworks"
    private static let agentDomain = "agents"

    private var quiet: Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return quiet
    }

    private func makeNode(
        _ directory: DataDirectory, _ keys: KeyPair, _ allowList: AllowList,
        _ metrics: PrometheusRegistry, whitelist: [String]?
    ) throws -> MasterNode {
        let problems = configuration.master.problems + configuration.election.problems
        guard problems.isEmpty else {
            throw DaemonProblem(
                .configuration, "the configuration is not valid",
                because: problems.joined(separator: "; "), try: "correct these settings")
        }
        let host = configuration.host
        var allocation = configuration.allocation
        allocation.seed = SystemClock.seed()
        let allocator = HierarchicalAllocator(options: allocation)
        let listeners = MasterListeners(
            frameworks: "tcp://\(host):\(configuration.frameworkPort)",
            frameworkSecurity: .curve(keys, domain: Self.frameworkDomain, allowList),
            agents: "tcp://\(host):\(configuration.agentPort)",
            agentSecurity: .curve(keys, domain: Self.agentDomain, allowList))
        var master = configuration.master
        master.whitelist = whitelist
        switch configuration.registry {
        case .embedded(let path):
            let store = try directory.registry(path)
            return try MasterNode(
                configuration: master, allocator: allocator,
                listeners: listeners, clusterID: try directory.clusterID(ofRegistry: path),
                store: DurableStore(master: store), context: Context(),
                logger: logger, metrics: metrics)
        case .etcd(let address):
            return try MasterNode(
                configuration: master, allocator: allocator,
                listeners: listeners, candidacy: try candidacy(address, directory),
                context: Context(), logger: logger, metrics: metrics)
        }
    }

    private func candidacy(
        _ address: EtcdAddress, _ directory: DataDirectory
    ) throws -> Candidacy {
        let name = configuration.master.hostname
        guard !["0.0.0.0", "::", "*", "[::]"].contains(name) else {
            throw DaemonProblem(
                .configuration, "--hostname is missing",
                because: "other masters send clients here, and '\(name)' is no place to go to",
                try: "give the name or address of this node with --hostname")
        }
        let registry: EtcdRegistry
        do throws(StoreProblem) {
            registry = try EtcdRegistry(address)
        } catch {
            throw DaemonProblem(
                .configuration, "--registry cannot be used", because: error.because,
                try: error.advice)
        }
        return Candidacy(
            registry: registry, clusterID: try directory.existingSecret("cluster.id"),
            newClusterID: DataDirectory.freshSecret(), host: name,
            election: configuration.election,
            seenEpoch: try directory.existingSecret("cluster.epoch").flatMap { UInt64($0) } ?? 0,
            adopt: { [logger] id, epoch in
                do {
                    try directory.keep(secret: id, as: "cluster.id")
                    try directory.keep(secret: "\(epoch)", as: "cluster.epoch")
                } catch {
                    logger.warning("\(error)")
                }
            })
    }

    private static func listen<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as TransportError {
            throw DaemonProblem(
                .address, "the master cannot listen", because: "\(error)",
                try: "stop the program that has the port, or give others with --framework-port"
                    + " and --agent-port")
        }
    }
}

extension DataDirectory {
    /// Opens the registry of a master without others; `nil` is the file in the directory.
    func registry(_ path: String?) throws -> SQLiteStore {
        let store = try open(path ?? file("registry.sqlite"))
        do throws(StoreProblem) {
            try store.claim()
            return store
        } catch {
            store.close()
            throw DaemonProblem(
                .dataDirectory, "the registry \(error.path) cannot be used",
                because: error.because, try: error.advice)
        }
    }

    /// Opens a SQLite file in the directory.
    func store(_ name: String) throws -> SQLiteStore { try open(file(name)) }

    private func open(_ path: String) throws -> SQLiteStore {
        do throws(StoreProblem) {
            return try SQLiteStore(path: path)
        } catch {
            throw DaemonProblem(
                .dataDirectory, "the file \(error.path) cannot be used", because: error.because,
                try: error.advice)
        }
    }
}
