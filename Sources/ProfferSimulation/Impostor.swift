internal import DequeModule
internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession

/// A stranger with a valid key of its own who claims to be somebody else.
final class Impostor: SimulatedProcess {
    enum Victim {
        case framework(FrameworkID)
        case agent(AgentInfo)
    }

    private let victim: Victim
    private var transport = TransportState()
    private var dialer: DialerModel?

    init(_ world: World, _ victim: Victim, node: Int) {
        self.victim = victim
        super.init(
            world, "impostor", node: node, key: "kx\(world.processes.count)", clock: SkewedClock())
    }

    override var nextDeadline: Instant? { dialer?.nextDeadline }

    override func boot() {
        let port: Port = if case .agent = victim { .agents } else { .frameworks }
        dialer = DialerModel(
            self, to: world.masters.map { Address(process: $0.index, port: port) },
            limits: world.plan.session, state: transport)
    }

    override func lose() { dialer = nil }

    override func turn(at now: Instant) {
        while let arrival = inbox.popFirst() {
            switch arrival {
            case .down(let connection, let envelope):
                if connection == dialer?.connection { dialer?.take(envelope, at: now) }
            case .handshake(let connection):
                if connection == dialer?.connection { dialer?.handshake(at: now) }
            case .broken(let connection):
                if connection == dialer?.connection { dialer?.broke(at: now) }
            case .mail, .up: break
            }
        }
        dialer?.wake(at: now)
        for event in transport.events {
            guard case .opened(let peer, _, _, _) = event else { continue }
            for message in lies {
                _ = dialer?.send(
                    world.arena.encode(message, at: world.now), to: peer, at: now)
            }
        }
        transport.events = []
    }

    /// What it says as soon as somebody listens.
    private var lies: [Message] {
        switch victim {
        case .framework(let id):
            let info = FrameworkInfo(name: "impostor", id: id)
            return [
                .call(
                    FrameworkCall(
                        frameworkID: id, call: .subscribe(Subscription(framework: info)))),
                .call(FrameworkCall(frameworkID: id, call: .teardown)),
            ]
        case .agent(let info):
            return [
                .toMaster(
                    .reregister(Reregistration(info: info), version: "", bootID: "lie")),
                .toMaster(.unregister),
            ]
        }
    }
}
