internal import ArgumentParser
internal import BatchPolicy
internal import Foundation
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Proffer
internal import ServiceLifecycle
internal import UnixSignals

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the scheduler: connect to the master and serve the HTTP API.",
        discussion: """
            Keeps its jobs in the data directory and goes on with them when it is
            started again; TERM and INT stop it, its tasks live on. Once it serves,
            <data-dir>/endpoints.json holds its address.

            Whoever reaches the HTTP address can run commands on the cluster: keep it
            on a loopback address, or behind a proxy that asks who comes.

            Exit codes: 0 stopped on request, 1 something failed (a restart may help),
            6 no cluster is known, 100 the data directory cannot be used, 102 the
            address is in use.
            """)

    @Option(help: "Directory for state and outputs; made when it is missing.")
    var dataDir: String

    @Option(help: "Address to listen on, and the name in the addresses that tasks are given.")
    var host = "127.0.0.1"

    @Option(help: "Port to listen on; 0 is any free one.")
    var httpPort = 8081

    @Option(help: "Name of the framework in the cluster.")
    var frameworkName = "batch"

    @Option(help: "Role in which resources are asked for.")
    var role = "*"

    @Option(
        help: "Cluster file (default: $PROFFER_MASTER..., $PROFFER_CONTEXT or ~/.proffer).")
    var context: String?

    @Option(help: "How long the master keeps the tasks while the scheduler is away: 30s, 5m, 2h.")
    var failoverTimeout = "168h"

    @Option(help: "How many ended jobs are kept.")
    var keepJobs = 1000

    @Option(help: "How long ended jobs are kept: 30s, 5m, 2h.")
    var keepFor = "168h"

    @Option(help: "Least level of log lines: trace, debug, info, notice, warning, error, critical.")
    var logLevel = "info"

    func validate() throws {
        guard (0...65_535).contains(httpPort) else {
            throw ValidationError("--http-port is a number from 0 to 65535.")
        }
        guard keepJobs >= 1 else { throw ValidationError("--keep-jobs is at least 1.") }
        for (flag, text) in [("--failover-timeout", failoverTimeout), ("--keep-for", keepFor)]
        where DurationText.parse(text) == nil {
            throw ValidationError("\(flag) is a whole number with a unit: 30s, 5m, 2h.")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level '\(logLevel)' is not a level.")
        }
    }

    func run() async throws {
        try await reportingProblems {
            let logger = makeLogger()
            let directory = try DataDirectory(dataDir)
            let listener = try Listener(host: host, port: httpPort)
            let shell = try makeShell(directory, listener, logger)
            let routes = Routes(
                ask: { await shell.ask($0) }, files: AgentFiles(),
                outputs: OutputFolder(path: directory.file("outputs")))
            let url = listener.url
            let application = Application(
                router: routes.router(),
                configuration: .init(
                    address: listener.address, serverName: "batch-scheduler",
                    reuseAddress: true),
                onServerRunning: { _ in
                    do {
                        try directory.publish(http: url)
                        logger.info("serving", metadata: ["http": "\(url)"])
                    } catch {
                        logger.critical("not published", metadata: ["error": "\(error)"])
                    }
                },
                logger: logger)
            defer { directory.unpublish() }
            let group = ServiceGroup(
                configuration: .init(
                    services: shell.services + [application],
                    gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
            try await group.run()
        }
    }

    private func makeLogger() -> Logger {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "batch-scheduler")
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        return logger
    }

    private func makeShell(
        _ directory: DataDirectory, _ listener: Listener, _ logger: Logger
    ) throws -> SchedulerShell {
        let store = try Store(directory.file("batch.sqlite"))
        var options = BatchOptions(clock: SystemTime.wallClock())
        options.role = role
        options.environment = [TaskSpecification.Variable("PROFFER_BATCH", listener.url)]
        options.keptJobs = keepJobs
        options.keptFor = DurationText.parse(keepFor) ?? options.keptFor
        let info = FrameworkInfo(
            name: frameworkName,
            failoverTimeout: DurationText.parse(failoverTimeout) ?? .seconds(604_800),
            roles: [role], hostname: ProcessInfo.processInfo.hostName, webUIURL: listener.url)
        let connection: MasterConnection
        do {
            connection =
                try context.map { try MasterConnection.fromContext($0) } ?? .fromEnvironment()
        } catch let problem as ConnectionProblem {
            throw Problem(
                .unreachable, "the scheduler cannot connect", because: problem.what,
                try: problem.advice)
        }
        return try SchedulerShell(
            store: store,
            collector: { post in
                Collector(
                    directory: directory.file("outputs"), files: AgentFiles(), logger: logger,
                    done: { post(.collected($0, problem: $1)) })
            }, info: info, options: options, connection: connection, logger: logger)
    }
}

/// The address of the server, fixed before anything is told about it.
private struct Listener {
    let address: BindAddress
    let url: String

    /// Finds out whether the port can be had; for port 0, which one.
    init(host: String, port: Int) throws {
        let chosen = try Self.probe(host, port)
        address = .hostname(host, port: chosen)
        let name = host == "0.0.0.0" || host == "::" ? ProcessInfo.processInfo.hostName : host
        url = "http://\(name.contains(":") ? "[\(name)]" : name):\(chosen)"
    }

    private static func probe(_ host: String, _ port: Int) throws -> Int {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0, let info = list?.pointee else {
            throw Problem(
                .address, "the address '\(host)' is not known",
                because: String(cString: gai_strerror(code)),
                try: "give an address of this machine with --host")
        }
        let socket = socket(info.ai_family, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var reuse: Int32 = 1
        setsockopt(
            socket, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        guard bind(socket, info.ai_addr, info.ai_addrlen) == 0, listen(socket, 1) == 0 else {
            throw Problem(
                .address, "\(host):\(port) cannot be listened on",
                because: String(cString: strerror(errno)),
                try: "choose another --http-port; 0 is any free one")
        }
        var bound = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isNamed = withUnsafeMutablePointer(to: &bound) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(socket, $0, &length) == 0
            }
        }
        guard isNamed else { return port }
        let family = bound.ss_family
        return withUnsafePointer(to: bound) { pointer in
            family == sa_family_t(AF_INET6)
                ? pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                    Int(UInt16(bigEndian: $0.pointee.sin6_port))
                }
                : pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    Int(UInt16(bigEndian: $0.pointee.sin_port))
                }
        }
    }
}
