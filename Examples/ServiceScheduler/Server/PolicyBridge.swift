internal import Proffer
internal import ServicePolicy
internal import Synchronization

/// Carries requests from HTTP to the policy's thread, and answers and events back.
final class PolicyBridge: Sendable {
    private struct State {
        var post: (@Sendable (ServicePolicy.Command) -> Bool)?
        var next: UInt64 = 0
        var waiting: [RequestID: CheckedContinuation<ServiceAnswer, Never>] = [:]
        var listeners: [UInt64: AsyncStream<ServiceEvent?>.Continuation] = [:]
        var isEnded = false
    }

    /// A listener that is so far behind is dropped.
    private static let eventBuffer = 1024
    private let state = Mutex(State())

    private static let unavailable = ServiceAnswer.message(
        503, "The scheduler is starting or stopping. Try again.")

    /// Begins to hand requests on.
    func open(_ post: @escaping @Sendable (ServicePolicy.Command) -> Bool) {
        state.withLock { $0.post = post }
    }

    /// Asks the policy.
    func answer(to request: ServiceRequest) async -> ServiceAnswer {
        await withCheckedContinuation { continuation in
            let command = state.withLock { state -> (RequestID, @Sendable () -> Bool)? in
                guard let post = state.post, !state.isEnded else { return nil }
                state.next += 1
                let id = RequestID(state.next)
                state.waiting[id] = continuation
                return (id, { post(ServicePolicy.Command(id, request)) })
            }
            guard let (id, send) = command else {
                continuation.resume(returning: Self.unavailable)
                return
            }
            if !send() { deliver(id, Self.unavailable) }
        }
    }

    private func deliver(_ id: RequestID, _ answer: ServiceAnswer) {
        let waiting = state.withLock { $0.waiting.removeValue(forKey: id) }
        waiting?.resume(returning: answer)
    }

    /// Carries out what the policy wants: durable first, then told.
    func perform(_ outputs: [ServiceOutput], in store: ServiceStore) throws {
        var changes: [StoreChange] = []
        for case .persist(let more) in outputs { changes += more }
        if !changes.isEmpty { try store.apply(changes) }
        for output in outputs {
            switch output {
            case .persist: break
            case .answer(let id, let answer): deliver(id, answer)
            case .event(let event): broadcast(event)
            }
        }
    }

    /// Events from now on; `nil` now and then, as a sign of life.
    func events() -> AsyncStream<ServiceEvent?> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ServiceEvent?.self, bufferingPolicy: .bufferingOldest(Self.eventBuffer))
        let id = state.withLock { state -> UInt64? in
            guard !state.isEnded else { return nil }
            state.next += 1
            state.listeners[state.next] = continuation
            return state.next
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
        }
        return stream
    }

    /// Tells every listener; `nil` is a sign of life.
    func broadcast(_ event: ServiceEvent?) {
        let listeners = state.withLock { Array($0.listeners.values) }
        for listener in listeners {
            if case .dropped = listener.yield(event) { listener.finish() }
        }
    }

    /// Answers whoever still waits, and ends the streams of events.
    func end() {
        let (waiting, listeners) = state.withLock { state in
            state.isEnded = true
            defer {
                state.waiting = [:]
                state.listeners = [:]
            }
            return (Array(state.waiting.values), Array(state.listeners.values))
        }
        for one in waiting { one.resume(returning: Self.unavailable) }
        for one in listeners { one.finish() }
    }
}
