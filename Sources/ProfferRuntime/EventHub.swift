internal import ProfferModel
internal import Synchronization

/// Hands cluster events to any number of readers; one that falls behind loses its stream.
final class EventHub: Sendable {
    private typealias Continuation = AsyncStream<ClusterEvent>.Continuation

    private struct State {
        var readers: [(id: UInt64, continuation: Continuation)] = []
        var nextID: UInt64 = 0
        var isClosed = false
    }

    /// How many events a reader may be behind, and how many readers there may be.
    static let bufferLimit = 10_000
    static let readerLimit = 1000

    private let state = Mutex(State())

    /// Everything from now on.
    func subscribe() -> AsyncStream<ClusterEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ClusterEvent.self, bufferingPolicy: .bufferingOldest(Self.bufferLimit))
        let (id, surplus) = state.withLock { state -> (UInt64?, Continuation?) in
            guard !state.isClosed else { return (nil, nil) }
            // The newest reader is the one somebody is looking at.
            let surplus =
                state.readers.count < Self.readerLimit
                ? nil : state.readers.removeFirst().continuation
            state.nextID += 1
            state.readers.append((state.nextID, continuation))
            return (state.nextID, surplus)
        }
        // The end of a stream takes the lock.
        surplus?.finish()
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { $0.readers.removeAll { $0.id == id } }
        }
        return stream
    }

    /// Whether anybody reads.
    var hasReaders: Bool { state.withLock { !$0.readers.isEmpty } }

    /// Gives one event to every reader.
    func publish(_ event: ClusterEvent) {
        let readers = state.withLock { $0.readers }
        for reader in readers {
            if case .dropped = reader.continuation.yield(event) { reader.continuation.finish() }
        }
    }

    /// Ends every stream for good.
    func close() {
        state.withLock { $0.isClosed = true }
        endStreams()
    }

    /// Ends every stream; new ones may be begun.
    func endStreams() {
        let readers = state.withLock { state in
            defer { state.readers = [] }
            return state.readers
        }
        for reader in readers { reader.continuation.finish() }
    }
}
