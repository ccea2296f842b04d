public import Logging
internal import ProfferFailpoints
public import ProfferFramework
@_spi(Driver) internal import ProfferKernel
public import ProfferModel
internal import ProfferTransport
internal import ProfferWire
internal import ProfferZeroMQ
internal import Synchronization

/// Runs a framework: a policy inside its driver, on a thread that talks to the master.
public final class FrameworkRunner<Policy: FrameworkPolicy>: Sendable {
    enum Mail: Sendable {
        case command(Policy.Command)
        case stop(teardown: Bool)
    }

    private let reactor: Reactor<Mail>
    private let makeHandler: @Sendable () -> FrameworkHandler<Policy>
    private let outcome = Outcome()

    /// Prepares a framework.
    ///
    /// - Parameters:
    ///   - policy: Its decisions.
    ///   - options: Who it is and what the driver does.
    ///   - connection: How to reach the master.
    ///   - logger: For what an operator should know.
    ///   - registered: Is given the framework's id, once, to keep it for the next start; called on
    ///     the framework's thread.
    ///   - outputs: Carries the policy's outputs out, on the framework's thread and before any
    ///     later call leaves. When it throws the framework stops.
    /// - Throws: When descriptors run out.
    public init(
        policy: Policy, options: FrameworkOptions, connection: MasterConnection, logger: Logger,
        registered: @escaping @Sendable (FrameworkID) throws -> Void = { _ in },
        outputs: @escaping @Sendable ([Policy.Output]) throws -> Void = { _ in }
    ) throws {
        var configuration = ReactorConfiguration(
            name: "framework",
            endpoints: [
                .dial(
                    EndpointID("master"), addresses: connection.addresses, connection.security)
            ],
            coding: EnvelopeCoding(
                encode: { EnvelopeCodec.encode($0) }, decode: { try EnvelopeCodec.decode($0) }))
        configuration.socket.messageBytes = Int64(WireLimits.state) + 4096
        let refusals = RefusalLog(logger)
        configuration.notice = { refusals.take($0) }
        reactor = try Reactor(configuration, context: connection.context)
        let outcome = self.outcome
        makeHandler = {
            FrameworkHandler(
                driver: FrameworkDriver(
                    policy: policy, options: options, seed: SystemClock.seed()),
                logger: logger, outcome: outcome, registered: registered, outputs: outputs)
        }
    }

    /// Starts the framework's thread and returns.
    public func start() throws { _ = try reactor.start(makeHandler) }

    /// Gives the policy a command; usable from any thread.
    ///
    /// - Returns: Whether it was taken; not after the end.
    @discardableResult
    public func post(_ command: Policy.Command) -> Bool { reactor.post(.command(command)) }

    /// Ends the framework's thread.
    ///
    /// Its tasks live on for the framework's failover time-out, or end with it when `teardown` is
    /// set; without a master to tell it waits for one, for ``FrameworkOptions/teardownPatience`` at
    /// most. A second stop does not wait.
    public func stop(teardown: Bool = false) { reactor.post(.stop(teardown: teardown)) }

    /// Waits until the framework has ended.
    ///
    /// - Throws: ``FrameworkEnded`` when the master or an output ended it.
    public func finished() async throws {
        await reactor.finished()
        if let reason = outcome.reason { throw FrameworkEnded(reason: reason) }
    }

    /// Runs the framework until it ends or the task is cancelled.
    ///
    /// - Throws: ``FrameworkEnded`` when the master or an output ended it.
    public func run() async throws {
        try start()
        try await withTaskCancellationHandler {
            try await finished()
        } onCancel: {
            stop()
        }
    }
}

/// The framework was ended by somebody else.
public struct FrameworkEnded: Error, CustomStringConvertible, Sendable {
    /// Why.
    public let reason: String

    /// One sentence.
    public var description: String { "the framework was ended: \(reason)" }
}

final class Outcome: Sendable {
    private let state = Mutex<String?>(nil)

    var reason: String? { state.withLock { $0 } }

    func end(_ reason: String?) { state.withLock { $0 = $0 ?? reason } }
}

struct FrameworkHandler<Policy: FrameworkPolicy>: ReactorHandler, ~Copyable {
    private var driver: FrameworkDriver<Policy>
    private var outbox = Outbox<FrameworkDriver<Policy>.Effect>()
    private let logger: Logger
    private let outcome: Outcome
    private let registered: @Sendable (FrameworkID) throws -> Void
    private let outputs: @Sendable ([Policy.Output]) throws -> Void

    init(
        driver: FrameworkDriver<Policy>, logger: Logger, outcome: Outcome,
        registered: @escaping @Sendable (FrameworkID) throws -> Void,
        outputs: @escaping @Sendable ([Policy.Output]) throws -> Void
    ) {
        self.driver = driver
        self.logger = logger
        self.outcome = outcome
        self.registered = registered
        self.outputs = outputs
    }

    var nextDeadline: Instant? { driver.nextDeadline }

    mutating func turn(
        events: [TransportEvent], mail: [FrameworkRunner<Policy>.Mail], at now: Instant,
        links: inout Links
    ) {
        Failpoint.turn()
        for event in events { take(event, at: now, links: &links) }
        for item in mail {
            switch item {
            case .command(let command):
                driver.handle(.command(command), at: now, into: &outbox)
            case .stop(let teardown):
                driver.handle(.stop(teardown: teardown), at: now, into: &outbox)
            }
        }
        if let deadline = driver.nextDeadline, deadline <= now {
            driver.wake(at: now, into: &outbox)
        }
        perform(links: &links)
    }

    private mutating func take(_ event: TransportEvent, at now: Instant, links: inout Links) {
        switch event {
        case .opened(let peer, _, _):
            driver.handle(.opened(peer), at: now, into: &outbox)
        case .closed(let peer, let reason):
            driver.handle(.closed(peer, reason: "\(reason)"), at: now, into: &outbox)
        case .message(let peer, let bytes):
            do {
                guard let event = try WireCodec.decodeSchedulerEvent(bytes) else { return }
                event.passFailpoint()
                driver.handle(.event(event, from: peer), at: now, into: &outbox)
            } catch {
                logger.warning("a message of the master is malformed", error: error)
                links.close(peer, reason: "malformed message")
                driver.handle(.closed(peer, reason: "malformed"), at: now, into: &outbox)
            }
        case .readable: break
        }
    }

    /// The id first, then outputs: what a call rests on must be kept before the call leaves, and
    /// whoever comes back with an intent must come back as the framework that had it.
    private mutating func perform(links: inout Links) {
        var ids: [FrameworkID] = []
        var kept: [Policy.Output] = []
        var rest: [FrameworkDriver<Policy>.Effect] = []
        for effect in outbox.takeAll() {
            switch effect {
            case .registered(let id): ids.append(id)
            case .output(let output): kept.append(output)
            default: rest.append(effect)
            }
        }
        do {
            for id in ids { try registered(id) }
            if !kept.isEmpty {
                Failpoint.hit(.frameworkOutputsBefore)
                try outputs(kept)
                Failpoint.hit(.frameworkOutputsAfter)
            }
            for effect in rest { carryOut(effect, links: &links) }
        } catch {
            logger.critical("the framework cannot keep its state and stops", error: error)
            outcome.end("its state cannot be kept: \(error)")
            links.stop()
        }
    }

    private func carryOut(
        _ effect: FrameworkDriver<Policy>.Effect, links: inout Links
    ) {
        switch effect {
        case .send(let call, let peer):
            Failpoint.sending(call.call.failpoints) { links.send(WireCodec.encode(call), to: peer) }
        case .closePeer(let peer, let reason): links.close(peer, reason: reason)
        case .observe(let observation): log(observation)
        case .ended(let reason):
            outcome.end(reason)
            links.stop()
        case .registered, .output: break
        }
    }

    private func log(_ observation: DriverObservation) {
        switch observation {
        case .subscribed(let id):
            logger.info("subscribed", metadata: ["framework.id": "\(id)"])
        case .disconnected(let reason):
            logger.warning("disconnected from the master", metadata: ["reason": "\(reason)"])
        case .dropped(let call):
            logger.debug("call dropped without a subscription", metadata: ["call": "\(call)"])
        case .repeatedUpdate(let task):
            logger.debug("repeated update", metadata: ["task.id": "\(task)"])
        case .updateRefused(let problem):
            logger.warning(
                "the master refused a change of the framework's description",
                metadata: ["problem": "\(problem)"])
        case .clusterStreamBroken(let serial):
            logger.info(
                "a step of the cluster's state is missing; the stream begins anew",
                metadata: ["after": "\(serial.map(String.init) ?? "nothing")"])
        case .backedOff(let role, let declines, let pause):
            logger.notice(
                "every offer was given back, so the next ones come later",
                metadata: ["role": "\(role)", "declines": "\(declines)", "pause": "\(pause)"])
        case .reconciling(let tasks):
            logger.debug("reconciling", metadata: ["tasks": "\(tasks)"])
        case .teardownWaits(let patience):
            logger.notice(
                "the framework is to end; waiting for a master to tell",
                metadata: ["at_most": "\(patience)"])
        case .ended(let reason):
            logger.error("the master ended the framework", metadata: ["reason": "\(reason)"])
        }
    }
}

extension Logger {
    func warning(_ message: Logger.Message, error: any Error) {
        warning(message, metadata: ["error": "\(error)"])
    }

    func critical(_ message: Logger.Message, error: any Error) {
        critical(message, metadata: ["error": "\(error)"])
    }
}
