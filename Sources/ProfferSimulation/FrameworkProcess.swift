internal import DequeModule
internal import ProfferFramework
internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession

/// A framework's process, whatever its policy.
class FrameworkShell: SimulatedProcess {
    /// The id that was kept for the next start.
    var keptID: FrameworkID?
    var behavior: (@Sendable (TaskID, inout SeededGenerator) -> SimulatedTask)?
    var complaint: (@Sendable (FrameworkShell) -> String?)?
    /// Whether it gives back whatever it does not want and may be offered it again at once.
    var isEager = false
    var hasEnded: Bool { false }
    /// The tasks that its driver knows to live.
    var info: FrameworkInfo { FrameworkInfo(name: name) }
    var isSubscribed: Bool { false }
    func stopForGood(teardown: Bool) {}
}

/// A framework's process: what the runner of the SDK does, over the modelled network.
final class FrameworkProcess<Policy: FrameworkPolicy>: FrameworkShell {
    private enum Command {
        case send(FrameworkCall, PeerID)
        case close(PeerID, String)
    }

    private let description: SimulatedFramework.Description<Policy>
    /// What the policy has asked to keep, in order.
    private var journal: [Policy.Output] = []
    private var driver: FrameworkDriver<WatchedPolicy<Policy>>?
    private var transport = TransportState()
    private var dialer: DialerModel?
    private var outbox = Outbox<FrameworkDriver<WatchedPolicy<Policy>>.Effect>()
    private var isEnded = false
    private var lastInfo: FrameworkInfo

    init(
        _ world: World, _ description: SimulatedFramework.Description<Policy>, name: String,
        node: Int, key: String, clock: SkewedClock
    ) {
        self.description = description
        lastInfo = FrameworkInfo(name: name)
        super.init(world, name, node: node, key: key, clock: clock)
    }

    /// The policy as it is.
    var policy: Policy? { driver?.policy.inner }

    override var hasEnded: Bool { isEnded }
    override var info: FrameworkInfo { lastInfo }
    override var isSubscribed: Bool { driver?.isSubscribed ?? false }

    override var nextDeadline: Instant? {
        earliest(driver?.deadline(), dialer?.nextDeadline)
    }

    override func boot() {
        var start = description.start(
            journal,
            SimulatedFramework.Circumstances(
                id: keptID, now: instant, wallClock: clock.wallClock(at: world.now),
                seed: world.chance.seeds.next()))
        start.options.info.id = keptID
        lastInfo = start.options.info
        driver = FrameworkDriver(
            policy: WatchedPolicy(inner: start.policy), options: start.options,
            seed: world.chance.seeds.next())
        dialer = DialerModel(
            self, to: world.masters.map { Address(process: $0.index, port: .frameworks) },
            limits: world.plan.session, state: transport)
        world.note(.frameworkBoots(index, start.options.info))
        for (number, command) in description.commands.enumerated() {
            let span = command.at.inNanoseconds - world.now
            guard span > 0 || incarnation == 1 else { continue }
            let current = incarnation
            world.after(max(span, Span.second)) { [self] in
                if incarnation == current { arrive(.mail(.command(number))) }
            }
        }
    }

    override func lose() {
        driver = nil
        dialer = nil
        transport = TransportState()
        outbox = Outbox()
    }

    override func crashInTurn() { world.crash(self) }

    override func stopForGood(teardown: Bool) {
        guard isUp else { return }
        driver?.handle(.stop(teardown: teardown), at: instant, into: &outbox)
        _ = perform(at: instant)
    }

    override func turn(at now: Instant) {
        var commands: [Int] = []
        while let arrival = inbox.popFirst() {
            switch arrival {
            case .down(let connection, let envelope):
                if connection == dialer?.connection { dialer?.take(envelope, at: now) }
            case .handshake(let connection):
                if connection == dialer?.connection { dialer?.handshake(at: now) }
            case .broken(let connection):
                if connection == dialer?.connection { dialer?.broke(at: now) }
            case .mail(.command(let number)): commands.append(number)
            case .mail, .up: break
            }
        }
        dialer?.wake(at: now)
        repeat {
            let events = transport.events
            transport.events = []
            for event in events { take(event, at: now) }
            for number in commands {
                driver?.handle(
                    .command(description.commands[number].command), at: now, into: &outbox)
            }
            commands = []
            if let due = driver?.deadline(), due <= now { driver?.wake(at: now, into: &outbox) }
            guard perform(at: now) else { return }
        } while !transport.events.isEmpty
    }

    private func take(_ event: TransportEvent, at now: Instant) {
        switch event {
        case .opened(let peer, _, _, _):
            driver?.handle(.opened(peer), at: now, into: &outbox)
        case .closed(let peer, let reason):
            driver?.handle(.closed(peer, reason: "\(reason)"), at: now, into: &outbox)
        case .message(let peer, let bytes):
            guard case .event(let event)? = world.arena.decode(bytes) else { return }
            for event in world.bug.map({ $0.mutate(event) }) ?? [event] {
                world.note(.frameworkInput(index, keptID, event))
                driver?.handle(.event(event, from: peer), at: now, into: &outbox)
            }
        }
    }

    /// Outputs first: what a call rests on must be kept before the call leaves.
    private func perform(at now: Instant) -> Bool {
        if let seen = driver?.policy.seen, !seen.isEmpty {
            driver?.policy.seen = []
            for status in seen { world.note(.policySaw(index, keptID, status)) }
        }
        let effects = outbox.all()
        for case .output(let output) in effects { journal.append(output) }
        for effect in effects {
            guard mayAct() else { return false }
            switch effect {
            case .send(let call, let peer):
                for call in world.bug.map({ $0.mutate(call) }) ?? [call] {
                    world.note(.frameworkSent(index, call))
                    _ = dialer?.send(
                        world.arena.encode(.call(call), at: world.now), to: peer, at: now)
                }
            case .closePeer(let peer, let reason): _ = dialer?.close(peer, reason, at: now)
            case .registered(let id):
                keptID = id
                world.note(.frameworkRegistered(index, id))
            case .ended:
                isEnded = true
                world.note(.frameworkEnded(index, keptID))
                dialer?.stop(at: now)
                die()
                return false
            case .output, .observe: break
            }
        }
        return true
    }
}

/// A policy whose updates can be seen.
struct WatchedPolicy<Inner: FrameworkPolicy>: FrameworkPolicy {
    typealias Command = Inner.Command
    typealias Output = Inner.Output

    var inner: Inner
    var seen: [TaskStatus] = []

    var nextDeadline: Instant? { inner.nextDeadline }

    mutating func handle(
        _ happening: Happening<Command>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        if case .update(let status) = happening { seen.append(status) }
        inner.handle(happening, at: now, into: &actions)
    }

    mutating func wake(at now: Instant, into actions: inout Outbox<FrameworkAction<Output>>) {
        inner.wake(at: now, into: &actions)
    }
}
