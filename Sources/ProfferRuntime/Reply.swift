internal import Synchronization

/// Answers one question once.
///
/// Dropped without an answer, because the node has stopped, it lets the asker know.
final class Reply<Answer: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Answer, any Error>?>

    init(_ continuation: CheckedContinuation<Answer, any Error>) {
        self.continuation = Mutex(continuation)
    }

    deinit { take()?.resume(throwing: NodeStopped()) }

    func answer(_ answer: Answer) { take()?.resume(returning: answer) }

    func refuse(_ error: any Error) { take()?.resume(throwing: error) }

    private func take() -> CheckedContinuation<Answer, any Error>? {
        continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
    }
}

/// A question came too late: the node does not run any more.
public struct NodeStopped: Error, CustomStringConvertible {
    /// Made where a question cannot be answered any more.
    public init() {}

    /// One sentence.
    public var description: String { "this node has stopped" }
}

/// A question came to a master that does not lead.
public struct NotLeading: Error, CustomStringConvertible {
    /// The HTTP server of the one that leads, as far as it is known.
    public var leader: String?

    /// One sentence.
    public var description: String {
        leader.map { "this master does not lead; \($0) does" }
            ?? "this master does not lead, and knows of none that does"
    }
}
