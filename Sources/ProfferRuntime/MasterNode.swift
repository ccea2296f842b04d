public import CoreMetrics
public import Logging
internal import Metrics
public import ProfferAllocation
internal import ProfferElection
public import ProfferHTTP
internal import ProfferKernel
public import ProfferMaster
public import ProfferModel
internal import ProfferRegistry
public import ProfferTransport
internal import ProfferWire
public import ProfferZeroMQ
internal import Synchronization

/// Where a master listens, and how its peers prove who they are.
public struct MasterListeners: Sendable {
    /// The address for frameworks; port 0 is any free one.
    public var frameworks: String
    /// How frameworks prove who they are.
    public var frameworkSecurity: ListenSecurity
    /// The address for agents; port 0 is any free one.
    public var agents: String
    /// How agents prove who they are.
    public var agentSecurity: ListenSecurity

    /// Describes the listeners.
    public init(
        frameworks: String, frameworkSecurity: ListenSecurity, agents: String,
        agentSecurity: ListenSecurity
    ) {
        self.frameworks = frameworks
        self.frameworkSecurity = frameworkSecurity
        self.agents = agents
        self.agentSecurity = agentSecurity
    }
}

/// A master on a thread of its own, with its registry; by itself or one of several.
public final class MasterNode: ClusterView {
    private enum Mode: Sendable {
        /// By itself: it always leads.
        case alone(any RecordStore<MasterRecord>, KeptRecords<MasterRecord>)
        /// With others, one of which leads.
        case among(Candidacy)
    }

    private let configuration: MasterConfiguration
    private let allocator: any Allocator
    private let mode: Mode
    private let clock: ShiftedClock
    private let sink: MasterSink
    private let gauges: ClusterGauges
    private let reactor: Reactor<MasterMail>
    private let box: StandingBox
    private let care = Mutex<Task<Void, Never>?>(nil)

    /// Reads the registry and prepares a master that does not run yet.
    ///
    /// - Parameters:
    ///   - configuration: How it behaves.
    ///   - allocator: Who decides what is offered to whom.
    ///   - listeners: Where it listens.
    ///   - clusterID: Names the cluster; peers of another one are turned away.
    ///   - store: Its registry.
    ///   - context: The ZeroMQ context of its sockets.
    ///   - logger: For what an operator should know.
    ///   - metrics: Takes its figures.
    ///   - clock: What the time is for its decisions.
    /// - Throws: When the registry cannot be read or written, or descriptors run out.
    public convenience init(
        configuration: MasterConfiguration,
        allocator: any Allocator = HierarchicalAllocator(),
        listeners: MasterListeners, clusterID: String, store: any RecordStore<MasterRecord>,
        context: Context, logger: Logger, metrics: any MetricsFactory,
        clock: ShiftedClock = ShiftedClock()
    ) throws {
        let records = try store.load()
        let epoch = Self.lastEpoch(of: records) + 1
        var transport = Self.transport(listeners, logger, clock)
        transport.clusterID = clusterID
        transport.epoch = epoch
        try self.init(
            configuration, allocator, .alone(store, KeptRecords(records)),
            MasterStanding(leads: true, epoch: epoch, registry: "sqlite"), transport, context,
            logger, metrics, clock)
        // Peers obey the highest epoch, so it must be on disk before the first of them hears it.
        do {
            try store.keep([.epoch(epoch)])
        } catch {
            throw Self.unwritable(because: "\(error)")
        }
    }

    /// Prepares a master that stands for election among several, once it runs.
    ///
    /// - Parameters:
    ///   - configuration: How it behaves.
    ///   - allocator: Who decides what is offered to whom; begins anew with each term.
    ///   - listeners: Where it listens.
    ///   - candidacy: With what it stands for election.
    ///   - context: The ZeroMQ context of its sockets.
    ///   - logger: For what an operator should know.
    ///   - metrics: Takes its figures.
    /// - Throws: When descriptors run out.
    public convenience init(
        configuration: MasterConfiguration,
        allocator: any Allocator = HierarchicalAllocator(),
        listeners: MasterListeners, candidacy: Candidacy, context: Context, logger: Logger,
        metrics: any MetricsFactory
    ) throws {
        let clock = ShiftedClock()
        var transport = Self.transport(listeners, logger, clock)
        transport.standsBy = true
        try self.init(
            configuration, allocator, .among(candidacy),
            MasterStanding(leads: false, registry: candidacy.registry.address.description),
            transport, context, logger, metrics, clock)
    }

    private init(
        _ configuration: MasterConfiguration, _ allocator: any Allocator, _ mode: Mode,
        _ standing: MasterStanding, _ transport: ReactorConfiguration, _ context: Context,
        _ logger: Logger, _ metrics: any MetricsFactory, _ clock: ShiftedClock
    ) throws {
        self.configuration = configuration
        self.allocator = allocator
        self.mode = mode
        self.clock = clock
        box = StandingBox(standing)
        sink = MasterSink(logger: logger, metrics: metrics)
        reactor = try Reactor(transport, context: context)
        gauges = ClusterGauges(metrics)
    }

    private static func transport(
        _ listeners: MasterListeners, _ logger: Logger, _ clock: ShiftedClock
    ) -> ReactorConfiguration {
        var transport = ReactorConfiguration(
            name: "master",
            endpoints: [
                .listen(
                    MasterEndpoint.frameworks, address: listeners.frameworks,
                    listeners.frameworkSecurity),
                .listen(
                    MasterEndpoint.agents, address: listeners.agents, listeners.agentSecurity),
            ],
            coding: EnvelopeCoding(
                encode: { EnvelopeCodec.encode($0) }, decode: { try EnvelopeCodec.decode($0) }))
        transport.clock = clock
        let notices = NoticeLog(logger)
        transport.notice = { notices.noteArrival($0) }
        transport.socket.messageBytes = Int64(WireLimits.state) + 4096
        return transport
    }

    private static func unwritable(because reason: String) -> DaemonProblem {
        DaemonProblem(
            .disk, "the registry cannot be written", because: reason,
            try: "make room on the disk and start again; what was confirmed is kept")
    }

    private static func lastEpoch(of records: [MasterRecord]) -> UInt64 {
        var last: UInt64 = 0
        for case .epoch(let epoch) in records { last = max(last, epoch) }
        return last
    }

    /// Opens the sockets and starts the master's thread.
    ///
    /// - Parameters:
    ///   - httpPort: The port of its HTTP server, as frameworks are told.
    ///   - publicKey: Its public key, as the other masters are told.
    /// - Returns: The addresses as they became.
    /// - Throws: `TransportError` when an address cannot be listened on.
    public func start(
        httpPort: Int, publicKey: String = ""
    ) throws -> (frameworks: String, agents: String) {
        var configuration = configuration
        configuration.httpPort = httpPort
        let addresses: [EndpointID: String]
        switch mode {
        case .alone(let store, let records):
            addresses = try reactor.start {
                [configuration, allocator, sink, reactor, clock] in
                MasterHandler(
                    machine: Master(
                        configuration: configuration, replaying: records.take(),
                        allocator: allocator, wallClock: clock.wallClock(),
                        seed: SystemClock.seed(), at: clock.now()),
                    store: store, sink: sink, post: { [weak reactor] in reactor?.post($0) })
            }
        case .among(let candidacy):
            addresses = try reactor.start {
                [configuration, allocator, sink, reactor, clock, box] in
                MasterCandidate(
                    .init(
                        configuration: configuration, allocator: allocator,
                        candidacy: candidacy, clock: clock, sink: sink, standing: box,
                        post: { [weak reactor] in reactor?.post($0) }))
            }
            reactor.post(
                .stand(Self.contact(candidacy.host, addresses, httpPort, publicKey)))
            let task = Task { [box, sink, weak reactor] in
                await RegistryCare(
                    registry: candidacy.registry, standing: box, sink: sink,
                    tell: { [weak reactor] in reactor?.post(.outOfSpace($0)) }
                ).run()
            }
            care.withLock { $0 = task }
        }
        return (
            addresses[MasterEndpoint.frameworks] ?? "", addresses[MasterEndpoint.agents] ?? ""
        )
    }

    /// Where others reach it: what it listens on, under the name that they know.
    private static func contact(
        _ host: String, _ addresses: [EndpointID: String], _ httpPort: Int, _ publicKey: String
    ) -> MasterContact {
        func address(_ endpoint: EndpointID) -> String {
            let port = addresses[endpoint]?.split(separator: ":").last ?? "0"
            return "tcp://\(host):\(port)"
        }
        return MasterContact(
            frameworks: address(MasterEndpoint.frameworks),
            agents: address(MasterEndpoint.agents), http: "http://\(host):\(httpPort)",
            publicKey: publicKey)
    }

    /// Whether it leads.
    public var standing: MasterStanding { box.value }

    /// Asks or orders something; usable from anywhere, also before the start.
    ///
    /// - Throws: ``NodeStopped`` after the end.
    public func answer(_ call: OperatorCall) async throws -> OperatorAnswer {
        try await withCheckedThrowingContinuation { continuation in
            reactor.post(.operation(call, Reply(continuation)))
        }
    }

    /// Tells the master what the file of its whitelist says now; `nil` is every host.
    func noteWhitelist(_ hosts: [String]?) { reactor.post(.whitelistRead(hosts)) }

    /// What happens in the cluster from now on.
    public func events() -> AsyncStream<ClusterEvent> { sink.hub.subscribe() }

    /// Brings the figures that are states, not events, up to date.
    public func refreshMetrics(allowList: AllowList? = nil) async {
        if case .summary(let summary)? = try? await answer(.summary) { gauges.set(summary) }
        gauges.set(standing)
        gauges.set(reactor.counters, allowList?.counts.refused ?? 0)
    }

    /// Ends the master's thread; peers are told.
    public func stop() { reactor.post(.stop) }

    /// Waits until the master has ended and its registry is closed.
    ///
    /// - Throws: ``DaemonProblem`` when its registry could not be written.
    public func finished() async throws {
        await reactor.finished()
        sink.hub.close()
        care.withLock { $0 }?.cancel()
        switch mode {
        case .alone(let store, _): store.close()
        case .among(let candidacy): await candidacy.registry.close()
        }
        if let reason = sink.reason { throw Self.unwritable(because: reason) }
    }
}
