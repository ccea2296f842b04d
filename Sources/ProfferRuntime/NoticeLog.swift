internal import Logging
internal import ProfferKernel
internal import ProfferTransport
internal import ProfferZeroMQ
internal import Synchronization

/// Writes log lines about peers that cannot connect, without letting them fill the disk: whoever
/// reaches the port can cause them, and one that is turned away tries again every few seconds.
final class NoticeLog: Sendable {
    /// The same line again after so long.
    private static let pause = Duration.seconds(60)
    /// So many different lines are remembered, and written within a pause.
    private static let limit = 64

    private struct State {
        var written: [String: Instant] = [:]
        var since = Instant.distantPast
        var left = 0
    }

    private let logger: Logger
    private let ownKey: String?
    private let state = Mutex(State())

    /// Makes a log; `ownKey` is shown where this end was turned away.
    init(_ logger: Logger, ownKey: String? = nil) {
        self.logger = logger
        self.ownKey = ownKey
    }

    /// Takes a notice about peers that came to this end.
    func noteArrival(_ notice: TransportNotice) {
        switch notice {
        case .keyRefused(let key, let domain, let address):
            guard isNew(key + domain + address) else { return }
            logger.warning(
                "a peer was not let in: its key is on no allow-list",
                metadata: [
                    "public_key": "\(key.isEmpty ? "none" : "\(key.prefix(8))...")",
                    "list": "\(domain)", "address": "\(address)",
                ])
        case .epochBehind(let endpoint, let served, let obeyed):
            guard isNew("\(endpoint)\(obeyed)") else { return }
            logger.error(
                """
                a peer has obeyed a later epoch. Of several masters, one that was stopped for a \
                while may say this as it ends its term. If it is said again, the registry went \
                back to an older state: stop the masters and run 'proffer registry raise-epoch \
                \(obeyed)'
                """,
                metadata: [
                    "list": "\(endpoint)", "epoch": "\(served)", "obeyed": "\(obeyed)",
                ])
        case .handshakeFailed(let endpoint, let address, let problem):
            // The authenticator has told of that already.
            if case .refused = problem { return }
            guard isNew("\(endpoint)\(problem)") else { return }
            logger.info(
                "a handshake failed",
                metadata: [
                    "endpoint": "\(endpoint)", "address": "\(address)", "problem": "\(problem)",
                ])
        }
    }

    /// Takes a notice about this end, which has dialled.
    func noteDeparture(_ notice: TransportNotice) {
        guard case .handshakeFailed(_, let address, let problem) = notice,
            isNew(address + problem.text)
        else { return }
        logger.warning(
            "handshake refused",
            metadata: [
                "address": "\(address)", "reason": "\(problem.text)",
                "public_key": "\(ownKey ?? "")",
            ])
    }

    private func isNew(_ line: String) -> Bool {
        let now = SystemClock.now()
        return state.withLock { state in
            if now - state.since >= Self.pause {
                state.since = now
                state.left = Self.limit
                if state.written.count > Self.limit { state.written = [:] }
            }
            if let last = state.written[line], now - last < Self.pause { return false }
            guard state.left > 0 else { return false }
            state.left -= 1
            state.written[line] = now
            return true
        }
    }
}
