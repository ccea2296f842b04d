public import CoreMetrics
public import Logging
public import ProfferAgent
internal import ProfferContainers
internal import ProfferKernel
public import ProfferModel
public import ProfferTransport
internal import ProfferWire
public import ProfferZeroMQ

/// How an agent reaches the master and its executors reach it.
public struct AgentLinks: Sendable {
    /// The masters' addresses for agents.
    public var masters: [String]
    /// How the agent proves who it is.
    public var masterSecurity: DialSecurity
    /// Where executors reach the agent: `ipc://…` or `inproc://…`.
    public var executors: String

    /// Describes the links.
    public init(masters: [String], masterSecurity: DialSecurity, executors: String) {
        self.masters = masters
        self.masterSecurity = masterSecurity
        self.executors = executors
    }
}

/// An agent on a thread of its own, with its checkpoints and executors.
public final class AgentNode: Sendable {
    /// From one report of what the node uses to the next, unless another is given.
    public static let usageInterval = Duration.seconds(5)

    private let configuration: AgentConfiguration
    private let info: AgentInfo
    private let store: any RecordStore<AgentRecord>
    private let clock: ShiftedClock
    private let host: any ExecutorHost
    private let secrets: (any SecretProvider)?
    private let sink: AgentSink
    private let usageInterval: Duration
    private let oversubscription: Oversubscription?
    private let reactor: Reactor<AgentMail>
    private let records: KeptRecords<AgentRecord>

    /// Reads the checkpoints and prepares an agent that does not run yet.
    ///
    /// - Parameters:
    ///   - configuration: How it behaves.
    ///   - info: What the node has; the port is given at the start.
    ///   - links: How it reaches the master.
    ///   - store: Its checkpoints.
    ///   - host: Who runs its executors.
    ///   - context: The ZeroMQ context of its sockets.
    ///   - logger: For what an operator should know.
    ///   - metrics: Takes its figures.
    ///   - usageInterval: From one report of what the node uses to the next.
    ///   - oversubscription: How it offers what its tasks do not use; `nil` for not at all.
    ///   - clock: What the time is for its decisions.
    ///   - secrets: Finds the secrets that tasks name; without it they have none.
    /// - Throws: When the checkpoints cannot be read or descriptors run out.
    public init(
        configuration: AgentConfiguration, info: AgentInfo, links: AgentLinks,
        store: any RecordStore<AgentRecord>, host: any ExecutorHost, context: Context,
        logger: Logger, metrics: any MetricsFactory,
        usageInterval: Duration = AgentNode.usageInterval,
        oversubscription: Oversubscription? = nil, clock: ShiftedClock = ShiftedClock(),
        secrets: (any SecretProvider)? = nil
    ) throws {
        self.configuration = configuration
        self.info = info
        self.store = store
        self.clock = clock
        self.host = host
        self.secrets = secrets
        self.usageInterval = usageInterval
        self.oversubscription = oversubscription
        sink = AgentSink(logger: logger, metrics: metrics)
        records = KeptRecords(try store.load())
        var transport = ReactorConfiguration(
            name: "agent",
            endpoints: [
                .dial(AgentEndpoint.master, addresses: links.masters, links.masterSecurity),
                .listen(AgentEndpoint.executors, address: links.executors, .local),
            ],
            coding: EnvelopeCoding(
                encode: { EnvelopeCodec.encode($0) }, decode: { try EnvelopeCodec.decode($0) }))
        transport.socket.messageBytes = Int64(WireLimits.state) + 4096
        transport.clock = clock
        var ownKey: String?
        if case .curve(let keys, _) = links.masterSecurity { ownKey = keys.publicKey }
        let notices = NoticeLog(logger, ownKey: ownKey)
        transport.notice = { notices.noteDeparture($0) }
        reactor = try Reactor(transport, context: context)
    }

    /// Opens the sockets, takes executors of an earlier run back and starts the agent's thread.
    ///
    /// - Parameter httpPort: The port of its HTTP server, as the master and frameworks are told.
    /// - Throws: `TransportError` when an address cannot be listened on.
    public func start(httpPort: Int) throws {
        var info = info
        info.port = httpPort
        let reactor = self.reactor
        try host.open { [weak reactor] fate in reactor?.post(.executor(fate)) }
        let living = livingExecutors()
        host.settle(living: living, hasRecords: !records.all.isEmpty)
        _ = try reactor.start {
            [
                configuration, records, store, host, secrets, sink, usageInterval,
                oversubscription, info, clock
            ] in
            let now = clock.now()
            return AgentHandler(
                machine: Agent(
                    configuration: configuration, info: info, bootID: NodeProbe.bootID,
                    replaying: records.take(), livingExecutors: living,
                    wallClock: clock.wallClock(), seed: SystemClock.seed(),
                    oversubscription: oversubscription, at: now),
                store: store, host: host, secrets: secrets, sink: sink,
                usageInterval: usageInterval, at: now,
                measure: { UsageProbe.node(diskAt: configuration.workDirectory) },
                post: { [weak reactor] in reactor?.post($0) })
        }
    }

    private func livingExecutors() -> [ContainerID] {
        records.all.compactMap { record in
            guard case .executor(_, let kept?) = record, let pid = kept.pid,
                let ticks = kept.startTicks,
                host.adopt(kept.containerID, pid: pid, startTicks: ticks)
            else { return nil }
            return kept.containerID
        }
    }

    /// Asks something; usable from anywhere.
    ///
    /// - Throws: ``NodeStopped`` after the end.
    public func answer(_ operation: AgentOperation) async throws -> AgentAnswer {
        try await withCheckedThrowingContinuation { continuation in
            reactor.post(.operation(operation, Reply(continuation)))
        }
    }

    /// Ends the agent; its tasks live on, or are killed first when it leaves the cluster for good.
    public func stop(unregister: Bool = false) { reactor.post(.stop(unregister: unregister)) }

    /// Waits until the agent has ended and its checkpoints are closed.
    ///
    /// - Throws: ``DaemonProblem`` when its disk failed or the master refused it.
    public func finished() async throws {
        await reactor.finished()
        host.close()
        store.close()
        switch sink.end {
        case .commitFailed(let reason):
            throw DaemonProblem(
                .disk, "the checkpoints cannot be written", because: reason,
                try: "make room on the disk and start again; running tasks are taken back")
        case .terminated(let reason, let code) where code != 0:
            throw DaemonProblem(
                .refused, "the agent had to end", because: reason,
                try: "look at the master's log for this agent")
        case .terminated, nil: break
        }
    }
}
