import Logging
import Proffer

/// Drives the framework of the bench from async code.
package final class Driver: Sendable {
    private let runner: FrameworkRunner<NoOpPolicy>
    private let outputs: AsyncStream<NoOpPolicy.Output>

    package init(_ connection: MasterConnection) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: NoOpPolicy.Output.self)
        outputs = stream
        var logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        runner = try FrameworkRunner(
            policy: NoOpPolicy(), options: FrameworkOptions(info: FrameworkInfo(name: "bench")),
            connection: connection, logger: logger,
            outputs: { for output in $0 { continuation.yield(output) } })
        try runner.start()
        for await case .subscribed in stream { return }
    }

    package func run(
        total: Int, atOnce: Int, in container: ContainerInfo? = nil,
        _ command: CommandInfo? = nil
    ) async throws -> NoOpPolicy.Round {
        var start = NoOpPolicy.Start(total: total, atOnce: atOnce, container: container)
        if let command { start.command = command }
        runner.post(start)
        for await output in outputs {
            if case .ended(let round) = output { return round }
        }
        throw BenchProblem("the framework has ended")
    }

    package func stop() async throws {
        runner.stop(teardown: true)
        try await runner.finished()
    }
}

/// The value below which `percent` of a hundred lie (nearest rank).
package func percentile(_ values: [Double], _ percent: Int) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    let rank = (sorted.count * percent + 99) / 100
    return sorted[max(0, min(sorted.count, rank) - 1)]
}
