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
