internal import Logging
internal import ProfferKernel
internal import ProfferTransport
internal import ProfferZeroMQ
internal import Synchronization

/// Says why the master does not let the framework in, once a minute.
final class RefusalLog: Sendable {
    private static let pause = Duration.seconds(60)

    private let logger: Logger
    private let last = Mutex(Instant.distantPast)

    init(_ logger: Logger) { self.logger = logger }

    func take(_ notice: TransportNotice) {
        guard case .handshakeFailed(_, let address, let problem) = notice else { return }
        let now = SystemClock.now()
        let isNew = last.withLock { last in
            guard now - last >= Self.pause else { return false }
            last = now
            return true
        }
        guard isNew else { return }
        logger.warning(
            "handshake refused",
            metadata: ["address": "\(address)", "reason": "\(problem.text)"])
    }
}
