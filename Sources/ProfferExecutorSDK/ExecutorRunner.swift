public import Logging
public import ProfferExecutorDriver
internal import ProfferExecutorWire
@_spi(Driver) internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession
internal import ProfferTransport
internal import ProfferZeroMQ
internal import Synchronization

/// Runs an executor: a policy inside its driver, on a thread that talks to the agent.
public final class ExecutorRunner<Policy: ExecutorPolicy>: Sendable {
    enum Mail: Sendable {
        case command(Policy.Command)
        case terminate
    }

    private let reactor: Reactor<Mail>
    private let makeHandler: @Sendable () -> ExecutorHandler<Policy>
    private let problem: ProblemNote

    /// Prepares an executor.
    ///
    /// - Parameters:
    ///   - policy: Its decisions.
    ///   - connection: How to reach the agent.
    ///   - logger: For what an operator should know.
    ///   - outputs: Carries the policy's outputs out, on the executor's thread. When it throws the
    ///     executor stops at once, and its tasks have failed.
    /// - Throws: When descriptors run out.
    public init(
        policy: Policy, connection: ExecutorConnection,
        logger: Logger = Logger(label: "executor"),
        outputs: @escaping @Sendable ([Policy.Output]) throws -> Void = { _ in }
    ) throws {
        let options = connection.options
        var configuration = ReactorConfiguration(
            name: "executor",
            endpoints: [
                .dial(
                    EndpointID("agent"), addresses: [connection.address],
                    credential: Array(connection.token.utf8), .local)
            ],
            coding: EnvelopeCoding(
                encode: { ExecutorCodec.encode($0) },
                decode: { try ExecutorCodec.decodeEnvelope($0) }))
        configuration.socket.messageBytes = Int64(WireLimits.state) + 4096
        // The agent is on the same node, so asking often costs little, and after a restart it
        // waits for its executors for some seconds only.
        configuration.socket.reconnectMaxMilliseconds = 500
        configuration.session.openLast = .seconds(1)
        reactor = try Reactor(configuration, context: connection.context)
        let problem = ProblemNote()
        self.problem = problem
        makeHandler = {
            ExecutorHandler(
                driver: ExecutorDriver(
                    policy: policy, options: options, clock: SystemClock.wallClock(),
                    seed: SystemClock.seed(), at: SystemClock.now()),
                options: options, logger: logger, problem: problem, outputs: outputs)
        }
    }

    /// Starts the executor's thread and returns.
    public func start() throws { _ = try reactor.start(makeHandler) }

    /// Gives the policy a command; usable from any thread.
    ///
    /// - Returns: Whether it was taken; not after the end.
    @discardableResult
    public func post(_ command: Policy.Command) -> Bool { reactor.post(.command(command)) }

    /// Asks the executor to end: the policy is told to shut down.
    public func terminate() { reactor.post(.terminate) }

    /// Waits until the executor has ended.
    ///
    /// - Throws: ``ExecutorProblem`` when an output could not be carried out.
    public func finished() async throws {
        await reactor.finished()
        if let text = problem.text { throw ExecutorProblem(description: text) }
    }
}

final class ProblemNote: Sendable {
    private let state = Mutex<String?>(nil)

    var text: String? { state.withLock { $0 } }

    func write(_ text: String) { state.withLock { $0 = $0 ?? text } }
}

struct ExecutorHandler<Policy: ExecutorPolicy>: ReactorHandler, ~Copyable {
    private var driver: ExecutorDriver<Policy>
    private var outbox = Outbox<ExecutorDriver<Policy>.Effect>()
    private let options: ExecutorOptions
    private let logger: Logger
    private let problem: ProblemNote
    private let outputs: @Sendable ([Policy.Output]) throws -> Void

    init(
        driver: ExecutorDriver<Policy>, options: ExecutorOptions, logger: Logger,
        problem: ProblemNote, outputs: @escaping @Sendable ([Policy.Output]) throws -> Void
    ) {
        self.driver = driver
        self.options = options
        self.logger = logger
        self.problem = problem
        self.outputs = outputs
    }

    var nextDeadline: Instant? { driver.nextDeadline }

    mutating func turn(
        events: [TransportEvent], mail: [ExecutorRunner<Policy>.Mail], at now: Instant,
        links: inout Links
    ) {
        for event in events { take(event, at: now, &links) }
        for item in mail {
            switch item {
            case .command(let command):
                driver.handle(.command(command), at: now, into: &outbox)
            case .terminate: driver.handle(.terminate, at: now, into: &outbox)
            }
        }
        if let deadline = driver.nextDeadline, deadline <= now {
            driver.wake(at: now, into: &outbox)
        }
        for effect in outbox.takeAll() { carryOut(effect, &links) }
    }

    private mutating func take(
        _ event: TransportEvent, at now: Instant, _ links: inout Links
    ) {
        switch event {
        case .opened(let peer, _, _): driver.handle(.opened(peer), at: now, into: &outbox)
        case .closed(let peer, _): driver.handle(.closed(peer), at: now, into: &outbox)
        case .message(let peer, let bytes):
            do {
                guard let event = try ExecutorCodec.decodeEvent(bytes) else { return }
                driver.handle(.event(event, from: peer), at: now, into: &outbox)
            } catch {
                logger.warning(
                    "a message of the agent is malformed", metadata: ["error": "\(error)"])
                links.close(peer, reason: "malformed message")
                driver.handle(.closed(peer), at: now, into: &outbox)
            }
        case .readable: break
        }
    }

    private func carryOut(_ effect: ExecutorDriver<Policy>.Effect, _ links: inout Links) {
        switch effect {
        case .send(let call, let peer):
            let message = ExecutorMessage(
                frameworkID: options.frameworkID, executorID: options.executorID, call: call)
            links.send(ExecutorCodec.encode(message), to: peer)
        case .output(let output):
            do {
                try outputs([output])
            } catch {
                logger.critical("the executor stops", metadata: ["error": "\(error)"])
                problem.write("an output could not be carried out: \(error)")
                links.stop()
            }
        case .observe(let notice): log(notice)
        case .ended: links.stop()
        }
    }

    private func log(_ notice: ExecutorNotice) {
        switch notice {
        case .subscribed: logger.info("subscribed")
        case .agentAway: logger.warning("the agent is away; tasks go on")
        case .agentLost:
            logger.error(
                "the agent was away for too long",
                metadata: ["limit": "\(options.recoveryTimeout)"])
        case .unknownTask(let id):
            logger.debug("a kill names a task that is not here", metadata: ["task.id": "\(id)"])
        case .droppedUpdate(let id, let state):
            logger.warning(
                "news of a task cannot be, and is dropped",
                metadata: ["task.id": "\(id)", "state": "\(state.name)"])
        case .ending: logger.info("the executor ends")
        case .refused(let message):
            logger.error("the agent refused a call", metadata: ["problem": "\(message)"])
        }
    }
}
