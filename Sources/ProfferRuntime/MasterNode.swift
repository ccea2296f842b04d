public import CoreMetrics
public import Logging
internal import Metrics
public import ProfferAllocation
public import ProfferHTTP
internal import ProfferKernel
public import ProfferMaster
public import ProfferModel
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

/// A master on a thread of its own, with its registry.
public final class MasterNode: ClusterView {
    private let configuration: MasterConfiguration
    private let allocator: any Allocator
    private let store: any RecordStore<MasterRecord>
    private let clock: ShiftedClock
    private let sink: MasterSink
    private let gauges: ClusterGauges
    private let reactor: Reactor<MasterMail>
    private let records: KeptRecords<MasterRecord>

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
    public init(
        configuration: MasterConfiguration,
        allocator: any Allocator = HierarchicalAllocator(),
        listeners: MasterListeners, clusterID: String, store: any RecordStore<MasterRecord>,
        context: Context, logger: Logger, metrics: any MetricsFactory,
        clock: ShiftedClock = ShiftedClock()
    ) throws {
        self.configuration = configuration
        self.allocator = allocator
        self.store = store
        self.clock = clock
        sink = MasterSink(logger: logger, metrics: metrics)
        let records = try store.load()
        self.records = KeptRecords(records)
        let epoch = Self.lastEpoch(of: records) + 1
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
        transport.clusterID = clusterID
        transport.clock = clock
        let notices = NoticeLog(logger)
        transport.notice = { notices.noteArrival($0) }
        transport.epoch = epoch
        transport.socket.messageBytes = Int64(WireLimits.state) + 4096
        reactor = try Reactor(transport, context: context)
        gauges = ClusterGauges(metrics)
        // Peers obey the highest epoch, so it must be on disk before the first of them hears it.
        do {
            try store.keep([.epoch(epoch)])
        } catch {
            throw Self.unwritable(because: "\(error)")
        }
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
    /// - Parameter httpPort: The port of its HTTP server, as frameworks are told.
    /// - Returns: The addresses as they became.
    /// - Throws: `TransportError` when an address cannot be listened on.
    public func start(httpPort: Int) throws -> (frameworks: String, agents: String) {
        var configuration = configuration
        configuration.httpPort = httpPort
        let addresses = try reactor.start {
            [configuration, allocator, records, store, sink, reactor, clock] in
            MasterHandler(
                machine: Master(
                    configuration: configuration, replaying: records.take(), allocator: allocator,
                    wallClock: clock.wallClock(), seed: SystemClock.seed(),
                    at: clock.now()),
                store: store, sink: sink, post: { [weak reactor] in reactor?.post($0) })
        }
        return (
            addresses[MasterEndpoint.frameworks] ?? "", addresses[MasterEndpoint.agents] ?? ""
        )
    }

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
        store.close()
        if let reason = sink.reason { throw Self.unwritable(because: reason) }
    }
}
