internal import Foundation
internal import Glibc
internal import Hummingbird
internal import Logging
internal import Proffer
internal import ServiceLifecycle
internal import ServicePolicy
internal import UnixSignals

/// What the command line says.
struct DaemonSettings {
    var dataDirectory: String
    var host: String
    var port: Int
    var frameworkName: String
    var role: String
    var context: String?
    var drain: Duration
}

/// The whole program: state on disk, the policy on its thread, HTTP in front.
struct ServiceDaemon {
    let settings: DaemonSettings
    let logger: Logger

    func run() async throws {
        let folder = try DataFolder(settings.dataDirectory)
        let store = try ServiceStore(path: folder.file("services.sqlite"))
        let bridge = PolicyBridge()
        let (ports, announce) = AsyncStream.makeStream(of: Int.self)
        let http = Application(
            responder: HTTPFace(bridge: bridge),
            configuration: .init(
                address: .hostname(settings.host, port: settings.port), serverName: "proffer"),
            onServerRunning: { channel in
                announce.yield(channel.localAddress?.port ?? 0)
                announce.finish()
            },
            logger: logger)
        let scheduler = SchedulerService(
            settings: settings, folder: folder, store: store, bridge: bridge, ports: ports,
            logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: http, failureTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: Heartbeat(bridge: bridge)),
                    .init(
                        service: scheduler, successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup),
                ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
        withExtendedLifetime(folder) {}
    }
}

/// Lets listeners of events know that the stream is alive.
private struct Heartbeat: Service {
    let bridge: PolicyBridge

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: .seconds(10))
                bridge.broadcast(nil)
            }
        }
    }
}

/// The framework, once the HTTP server listens.
private struct SchedulerService: Service {
    let settings: DaemonSettings
    let folder: DataFolder
    let store: ServiceStore
    let bridge: PolicyBridge
    let ports: AsyncStream<Int>
    let logger: Logger

    func run() async throws {
        defer { bridge.end() }
        guard let port = await ports.first(where: { _ in true }) else { return }
        let authority = "\(settings.host):\(port)"
        let runner = try makeRunner(authority)
        try runner.start()
        bridge.open { runner.post($0) }
        try folder.publish(http: "http://\(authority)")
        defer { folder.withdraw() }
        logger.info("serving", metadata: ["http": "http://\(authority)"])
        try await withGracefulShutdownHandler {
            try await runner.finished()
        } onGracefulShutdown: {
            bridge.end()
            runner.stop()
        }
    }

    private func makeRunner(_ authority: String) throws -> FrameworkRunner<ServicePolicy> {
        let id = try store.frameworkID().map { FrameworkID($0) }
        var configuration = ServiceConfiguration()
        configuration.role = settings.role
        configuration.frameworkName = settings.frameworkName
        configuration.frameworkID = id
        configuration.address = authority
        configuration.drain = settings.drain
        configuration.instant = SystemTime.now()
        configuration.wallTime = SystemTime.wallTime()
        configuration.seed = UInt64.random(in: 0...UInt64.max)
        let policy = try ServicePolicy(configuration, stored: store.load())
        var options = FrameworkOptions(
            info: FrameworkInfo(
                name: settings.frameworkName, id: id, failoverTimeout: .seconds(7 * 86_400),
                roles: [settings.role], hostname: settings.host,
                webUIURL: "http://\(authority)"))
        options.knownTasks = policy.knownTasks
        options.startsAnewWhenRemoved = true
        // It always says what it wants, so that whole agents are never meant for it.
        options.demands = []
        let connection =
            try settings.context.map { try MasterConnection.fromContext($0) }
            ?? MasterConnection.fromEnvironment()
        return try FrameworkRunner(
            policy: policy, options: options, connection: connection, logger: logger,
            registered: { [store] id in try store.keep(frameworkID: id.value) },
            outputs: { [bridge, store] outputs in try bridge.perform(outputs, in: store) })
    }
}
