import BenchSupport
import Foundation
import FoundationNetworking
import Logging
import Proffer
import ProfferKernel
import ProfferModel
import ProfferTransport
import ProfferWire
import ProfferZeroMQ
import Synchronization

/// A framework that notes when it was offered something, and gives it back.
struct OfferPolicy: FrameworkPolicy {
    enum Output: Sendable {
        case subscribed
        case disconnected
        case offered
    }
    typealias Command = Never

    mutating func handle(
        _ happening: Happening<Never>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        switch happening {
        case .subscribed: actions.append(.output(.subscribed))
        case .disconnected: actions.append(.output(.disconnected))
        case .offers(let offers):
            actions.append(.output(.offered))
            for offer in offers { actions.decline(offer, refuse: .milliseconds(100)) }
        default: break
        }
    }
}

/// When things happened, by the steady clock.
final class Moments: Sendable {
    private let state = Mutex<(offers: [ContinuousClock.Instant], disconnections: Int)>(([], 0))

    func note(_ output: OfferPolicy.Output) {
        let now = ContinuousClock.now
        state.withLock { state in
            switch output {
            case .offered: state.offers.append(now)
            case .disconnected: state.disconnections += 1
            case .subscribed: break
            }
        }
    }

    var offerCount: Int { state.withLock { $0.offers.count } }

    /// The first offer after a disconnection that came after `moment`.
    func firstOffer(after moment: ContinuousClock.Instant, offers before: Int)
        -> ContinuousClock.Instant?
    {
        state.withLock { state in
            state.offers.dropFirst(before).first { $0 > moment }
        }
    }

    var disconnections: Int { state.withLock { $0.disconnections } }
}

private func framework(
    _ addresses: [String], _ key: String, _ keys: KeyPair, _ moments: Moments
) throws -> FrameworkRunner<OfferPolicy> {
    var logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .error
    var info = FrameworkInfo(name: "bench")
    info.failoverTimeout = .seconds(3600)
    let runner = try FrameworkRunner(
        policy: OfferPolicy(), options: FrameworkOptions(info: info),
        connection: MasterConnection(addresses: addresses, masterKey: key, keys: keys),
        logger: logger, outputs: { outputs in for output in outputs { moments.note(output) } })
    try runner.start()
    return runner
}

private func until(_ limit: Duration, _ what: String, _ holds: () -> Bool) throws {
    let end = ContinuousClock.now + limit
    while !holds() {
        guard ContinuousClock.now < end else { throw BenchProblem("waited in vain for \(what)") }
        // Small beside what is measured.
        usleep(500)
    }
}

/// From the death of a leading master to an offer of the next one.
enum Failover {
    static func measure(binaries: String) async throws -> Double {
        let scratch = try Scratch()
        let etcd = try Etcd(members: 3)
        defer { etcd.stop() }
        try etcd.wait()
        let keys = try KeyPair.generate()
        let agentKeys = try (0..<3).map { _ in try KeyPair.generate() }
        var masters: [MasterProgram] = []
        for index in 0..<3 {
            let directory = scratch.path + "/master-\(index)"
            try MasterProgram.prepare(directory, frameworks: [keys], agents: agentKeys)
            masters.append(
                try MasterProgram(binaries, directory, ["--registry", etcd.registry]))
        }
        func addresses(_ kind: KeyPath<Endpoints, String>) -> [String] {
            masters.map { "\($0.endpoints[keyPath: kind])=\($0.endpoints.publicKey)" }
        }
        let agents = try agentKeys.enumerated().map { index, keys in
            let directory = scratch.path + "/agent-\(index)"
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            try keys.save(directory + "/agent.key")
            return try Program(
                binaries + "/proffer-agent",
                [
                    "--data-dir", directory, "--http-port", "0", "--hostname", "node-\(index)",
                    "--master", addresses(\.agents).joined(separator: ","), "--resources",
                    "cpus:1;mem:512", "--log-level", "warning",
                ], log: directory + ".log")
        }
        defer { for agent in agents { agent.kill() } }
        let moments = Moments()
        let runner = try framework(addresses(\.frameworks), "", keys, moments)
        try until(.seconds(60), "an offer") { moments.offerCount > 0 }
        // Into a steady state, at a moment that has nothing to do with the lease's renewals.
        try await Task.sleep(for: .milliseconds(Int.random(in: 2000...4000)))
        let leader = try await leader(of: masters)
        let before = moments.disconnections
        let begin = ContinuousClock.now
        masters[leader].program.kill()
        try until(.seconds(60), "the end of the session") { moments.disconnections > before }
        let count = moments.offerCount
        try until(.seconds(60), "an offer of the next leader") { moments.offerCount > count }
        let seconds = Calibration.seconds(ContinuousClock.now - begin)
        runner.stop()
        try? await runner.finished()
        return seconds
    }

    private static func leader(of masters: [MasterProgram]) async throws -> Int {
        struct Standing: Decodable { var leads: Bool }
        for _ in 0..<200 {
            for (index, master) in masters.enumerated() {
                guard let url = URL(string: master.endpoints.http + "/v1/leader"),
                    let data = try? Data(contentsOf: url),
                    let standing = try? JSONDecoder().decode(Standing.self, from: data)
                else { continue }
                if standing.leads { return index }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw BenchProblem("nobody leads")
    }
}

/// From the death of a master without others, which is started again at once, to its next offer and
/// to the return of all its agents.
enum Restart {
    static func measure(
        binaries: String, agents count: Int
    ) async throws -> (served: Double, back: Double) {
        let scratch = try Scratch()
        let keys = try KeyPair.generate()
        let agentKeys = try KeyPair.generate()
        let directory = scratch.path + "/master"
        try MasterProgram.prepare(directory, frameworks: [keys], agents: [agentKeys])
        let master = try MasterProgram(binaries, directory)
        let fleet = try Fleet(
            count, master.endpoints.agents, agentKeys, key: master.endpoints.publicKey)
        try until(.seconds(120), "the agents to register") { fleet.registered >= count }
        let moments = Moments()
        let runner = try framework(
            [master.endpoints.frameworks], master.endpoints.publicKey, keys, moments)
        try until(.seconds(60), "an offer") { moments.offerCount > 0 }
        try await Task.sleep(for: .seconds(1))
        let before = moments.disconnections
        let known = fleet.reregistered
        let begin = ContinuousClock.now
        try master.restart()
        try until(.seconds(60), "the end of the session") { moments.disconnections > before }
        let offers = moments.offerCount
        try until(.seconds(60), "an offer after the restart") { moments.offerCount > offers }
        let served = Calibration.seconds(ContinuousClock.now - begin)
        try until(.seconds(120), "all agents") { fleet.reregistered >= known + count }
        let back = Calibration.seconds(ContinuousClock.now - begin)
        runner.stop()
        try? await runner.finished()
        await fleet.stop()
        return (served, back)
    }
}

/// Agents that do nothing but belong to a cluster: a session each, on a few threads.
final class Fleet: Sendable {
    private static let perReactor = 100

    final class Counts: Sendable {
        let state = Mutex((registered: 0, reregistered: 0))
    }

    private let counts = Counts()
    private let reactors: [Reactor<Bool>]

    var registered: Int { counts.state.withLock { $0.registered } }
    var reregistered: Int { counts.state.withLock { $0.reregistered } }

    init(_ count: Int, _ address: String, _ keys: KeyPair, key: String) throws {
        var reactors: [Reactor<Bool>] = []
        for start in stride(from: 0, to: count, by: Self.perReactor) {
            let numbers = start..<min(start + Self.perReactor, count)
            var configuration = ReactorConfiguration(
                name: "fleet",
                endpoints: numbers.map {
                    .dial(
                        EndpointID("\($0)"), addresses: [address], .curve(keys, serverKey: key))
                },
                coding: EnvelopeCoding(
                    encode: { EnvelopeCodec.encode($0) },
                    decode: { try EnvelopeCodec.decode($0) }))
            configuration.socket.messageBytes = Int64(WireLimits.state) + 4096
            let reactor = try Reactor<Bool>(configuration, context: try Context())
            let counts = counts
            _ = try reactor.start { FleetHandler(counts) }
            reactors.append(reactor)
        }
        self.reactors = reactors
    }

    func stop() async {
        for reactor in reactors {
            reactor.post(true)
            await reactor.finished()
        }
    }
}

private struct FleetHandler: ReactorHandler {
    private let counts: Fleet.Counts
    private var places: [PeerID: EndpointID] = [:]
    private var ids: [EndpointID: AgentID] = [:]

    init(_ counts: Fleet.Counts) { self.counts = counts }

    var nextDeadline: Instant? { nil }

    mutating func turn(
        events: [TransportEvent], mail: [Bool], at now: Instant, links: inout Links
    ) {
        if !mail.isEmpty { links.stop() }
        for event in events {
            switch event {
            case .opened(let peer, let endpoint, _):
                places[peer] = endpoint
                links.send(WireCodec.encode(hello(endpoint)), to: peer)
            case .closed(let peer, _): places[peer] = nil
            case .message(let peer, let bytes): take(bytes, from: peer, links: &links)
            case .readable: break
            }
        }
    }

    private func hello(_ endpoint: EndpointID) -> AgentToMaster {
        var info = AgentInfo(
            hostname: "node-\(endpoint)",
            resources: Resources(cpus: Milli(8), mem: Milli(16_384)), attributes: [])
        guard let id = ids[endpoint] else {
            return .register(info, version: "0.1.0", bootID: "boot")
        }
        info.id = id
        return .reregister(Reregistration(info: info), version: "0.1.0", bootID: "boot")
    }

    private mutating func take(_ bytes: [UInt8], from peer: PeerID, links: inout Links) {
        guard let message = try? WireCodec.decodeMasterToAgent(bytes) else { return }
        switch message {
        case .registered(let id, _):
            if let endpoint = places[peer] { ids[endpoint] = id }
            counts.state.withLock { $0.registered += 1 }
        case .reregistered: counts.state.withLock { $0.reregistered += 1 }
        case .ping(let number, _):
            links.send(WireCodec.encode(AgentToMaster.pong(number: number)), to: peer)
        default: break
        }
    }
}
