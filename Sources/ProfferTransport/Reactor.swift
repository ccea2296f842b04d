internal import Glibc
public import ProfferKernel
public import ProfferSession
public import ProfferZeroMQ
internal import Synchronization

/// Something that a reactor tells its handler.
public enum TransportEvent: Sendable {
    /// A session has begun.
    case opened(PeerID, EndpointID, PeerIdentity)
    /// A message has arrived, in order, once.
    case message(PeerID, [UInt8])
    /// A session has ended.
    case closed(PeerID, CloseReason)
    /// A watched descriptor can be read.
    case readable(Int32)
}

/// The state machine of a process, run by a ``Reactor`` on the thread that owns the sockets.
public protocol ReactorHandler: ~Copyable {
    /// What other threads can post.
    associatedtype Mail: Sendable

    /// When it wants a turn even if nothing arrives.
    var nextDeadline: Instant? { get }

    /// Takes everything that has arrived since the last turn.
    mutating func turn(
        events: [TransportEvent], mail: [Mail], at now: Instant, links: inout Links)
}

/// What a handler can do to the transport during its turn.
public struct Links {
    enum Command {
        case send([UInt8], PeerID)
        case close(PeerID, String)
        case watch(Int32)
        case unwatch(Int32)
        case serve(clusterID: String, epoch: UInt64)
        case standBy([EndpointID: Redirect])
        case stop
    }

    var commands: [Command] = []

    /// Sends a message in its session; without one nothing happens.
    public mutating func send(_ body: [UInt8], to peer: PeerID) {
        commands.append(.send(body, peer))
    }

    /// Ends a session after everything sent before; no `.closed` event follows.
    public mutating func close(_ peer: PeerID, reason: String) {
        commands.append(.close(peer, reason))
    }

    /// Tells the handler from now on when a descriptor can be read.
    public mutating func watch(_ descriptor: Int32) { commands.append(.watch(descriptor)) }

    /// Stops that; must come before the descriptor is closed.
    public mutating func unwatch(_ descriptor: Int32) { commands.append(.unwatch(descriptor)) }

    /// Takes up sessions from now on, for this cluster and under this epoch.
    public mutating func serve(clusterID: String, epoch: UInt64) {
        commands.append(.serve(clusterID: clusterID, epoch: epoch))
    }

    /// Ends all sessions, without `.closed` events, and sends clients elsewhere from now on: by
    /// endpoint, to nobody where none is named.
    public mutating func standBy(_ redirects: [EndpointID: Redirect]) {
        commands.append(.standBy(redirects))
    }

    /// Ends the reactor after this turn; open sessions are told.
    public mutating func stop() { commands.append(.stop) }
}

/// One thread that owns every socket of a process and runs its state machine.
///
/// Socket and machine share the thread because a hop between two threads costs more than a turn
/// of the machine. Other threads only ``post(_:)``.
public final class Reactor<Mail: Sendable>: Sendable {
    private struct State {
        var mail: [Mail] = []
        var isFinished = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var counters = TransportCounters()
    }

    private let state = Mutex(State())
    private let wakeUp: WakeUp
    private let configuration: ReactorConfiguration
    private let context: Context

    /// Makes a reactor that does not run yet.
    public init(
        _ configuration: ReactorConfiguration, context: Context
    ) throws(TransportError) {
        self.configuration = configuration
        self.context = context
        do {
            wakeUp = try WakeUp()
        } catch {
            throw TransportError(error)
        }
        configuration.clock?.wake(wakeUp)
    }

    /// Opens the sockets and runs the handler on a thread of its own.
    ///
    /// - Returns: The addresses as they became, by endpoint; port 0 is replaced by the real one.
    /// - Throws: When a socket cannot be opened, for example because its port is in use.
    public func start<Handler: ReactorHandler & ~Copyable & SendableMetatype>(
        _ makeHandler: @escaping @Sendable () -> Handler
    ) throws(TransportError) -> [EndpointID: String] where Handler.Mail == Mail {
        let started = Started()
        let name = configuration.name
        spawnThread(name: name) { [self] in
            do {
                let loop = try ReactorLoop(configuration, context: context, wakeUp: wakeUp)
                started.finish(.success(loop.addresses))
                run(loop, makeHandler())
            } catch let error as TransportError {
                started.finish(.failure(error))
                finish()
            } catch {
                started.finish(.failure(TransportError("start", because: "\(error)")))
                finish()
            }
        }
        return try started.wait().get()
    }

    /// Opens the sockets and runs the handler on the calling thread until it stops.
    ///
    /// - Throws: When a socket cannot be opened.
    public func run<Handler: ReactorHandler & ~Copyable>(
        _ makeHandler: () -> Handler
    ) throws(TransportError) where Handler.Mail == Mail {
        defer { finish() }
        let loop = try ReactorLoop(configuration, context: context, wakeUp: wakeUp)
        run(loop, makeHandler())
    }

    /// Hands something to the handler; usable from any thread, never waits.
    ///
    /// - Returns: Whether it was taken; not after the end, and not above the limit.
    @discardableResult
    public func post(_ item: Mail) -> Bool {
        let (isTaken, isFirst) = state.withLock { state in
            guard !state.isFinished, state.mail.count < configuration.mailLimit else {
                return (false, false)
            }
            state.mail.append(item)
            return (true, state.mail.count == 1)
        }
        if isFirst { wakeUp.signal() }
        return isTaken
    }

    /// Waits until the reactor has ended.
    public func finished() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if !state.isFinished { state.waiters.append(continuation) }
                return state.isFinished
            }
            if isDone { continuation.resume() }
        }
    }

    /// What was turned away so far.
    public var counters: TransportCounters { state.withLock { $0.counters } }

    private func run<Handler: ReactorHandler & ~Copyable>(
        _ loop: consuming ReactorLoop, _ handler: consuming Handler
    ) where Handler.Mail == Mail {
        let mailbox = Mailbox { [self] counters in
            state.withLock { state in
                state.counters = counters
                let mail = state.mail
                if !mail.isEmpty { state.mail = [] }
                return mail
            }
        }
        var handler = handler
        loop.run(&handler, mailbox)
        finish()
    }

    private func finish() {
        let waiters = state.withLock { state in
            state.isFinished = true
            state.mail = []
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// Takes posted mail out, and leaves the counters where other threads can read them.
struct Mailbox<Mail> {
    let take: (TransportCounters) -> [Mail]
}

/// Hands the outcome of a start from the new thread to the caller, which waits for it.
private final class Started: Sendable {
    private let outcome = Mutex<Result<[EndpointID: String], TransportError>?>(nil)
    private let semaphore = Semaphore()

    func finish(_ result: Result<[EndpointID: String], TransportError>) {
        outcome.withLock { $0 = result }
        semaphore.signal()
    }

    func wait() -> Result<[EndpointID: String], TransportError> {
        semaphore.wait()
        return outcome.withLock { $0 }
            ?? .failure(TransportError("start", because: "no outcome"))
    }
}

private final class Semaphore: @unchecked Sendable {
    // POSIX semaphores are made to be shared by threads; the pointer never changes.
    private let handle = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(handle, 0, 0) }

    deinit {
        sem_destroy(handle)
        handle.deallocate()
    }

    func signal() { sem_post(handle) }

    func wait() {
        while sem_wait(handle) != 0 && errno == EINTR {}
    }
}

private final class ThreadBody: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

/// Runs `body` on a new thread with a stack of 4 MiB and all signals blocked.
public func spawnThread(name: String, _ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 4 << 20)
    let argument = Unmanaged.passRetained(ThreadBody(name: name, body: body))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, &attributes,
        { pointer in
            guard let pointer else { return nil }
            let body = Unmanaged<ThreadBody>.fromOpaque(pointer).takeRetainedValue()
            var signals = sigset_t()
            sigfillset(&signals)
            pthread_sigmask(SIG_BLOCK, &signals, nil)
            nameThread(String(body.name.prefix(15)))
            body.body()
            return nil
        }, argument.toOpaque())
    pthread_attr_destroy(&attributes)
    if code != 0 { argument.release() }
    invariant(code == 0, "no thread '\(name)' could be started: error \(code)")
}
