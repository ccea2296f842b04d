internal import Foundation
public import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// What all daemons share: their log, their order of services, their way to end.
public enum Daemon {
    /// Makes a logger that writes one line per event to standard error.
    ///
    /// - Parameters:
    ///   - label: The daemon's name.
    ///   - level: How much is written.
    /// - Returns: The logger.
    public static func logger(_ label: String, level: Logger.Level) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        return logger
    }

    /// Writes a failure to standard error and ends the process with its code.
    public static func fail(_ error: any Error) -> Never {
        let code = (error as? DaemonProblem)?.code ?? .failed
        // Not FileHandle: it traps when nobody reads any more.
        try? FileHandle.standardError.write(contentsOf: Data("\(error)\n".utf8))
        exit(code.rawValue)
    }

    /// Runs services in order until one ends, or TERM or INT asks them to; then stops them in
    /// reverse order.
    static func run(_ services: [any Service], logger: Logger) async throws {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(
                    service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup)
            },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        // Readers of the event stream may hold the HTTP server open for ever.
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: configuration).run()
    }
}

/// An HTTP server whose failure to listen is told to the operator as such.
struct HTTPService<Application: Service>: Service {
    let address: String
    let application: Application

    func run() async throws {
        do {
            try await application.run()
        } catch is CancellationError {
            return
        } catch {
            throw DaemonProblem(
                .address, "the HTTP server cannot listen on \(address)", because: "\(error)",
                try: "stop the program that has the port, or give another with --http-port")
        }
    }
}

/// Carries the port of the HTTP server to the service that waits for it.
struct PortPromise: Sendable {
    private let stream: AsyncStream<Int>
    private let continuation: AsyncStream<Int>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func keep(_ port: Int) {
        continuation.yield(port)
        continuation.finish()
    }

    /// The port; `nil` when the wait was cancelled.
    func value() async -> Int? {
        for await port in stream { return port }
        return nil
    }
}

/// A service made of three closures: one that starts, one that is told to stop, one that waits.
struct NodeService: Service {
    let port: PortPromise
    let start: @Sendable (Int) async throws -> Void
    let stop: @Sendable () -> Void
    let finished: @Sendable () async throws -> Void

    func run() async throws {
        let promise = port
        let value = await withTaskGroup(of: Int?.self) { group in
            group.addTask { await promise.value() }
            group.addTask {
                try? await gracefulShutdown()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        guard let value else { return }
        try await start(value)
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await finished()
        } onCancelOrGracefulShutdown: {
            stop()
        }
    }
}

/// Calls a closure at each USR1.
struct UserSignalService: Service {
    let received: @Sendable () -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in await UnixSignalsSequence(trapping: .sigusr1) { received() }
        }
    }
}
