internal import CoreMetrics
internal import Foundation
public import Logging
public import Proffer
@_exported public import ProfferAgent
public import ProfferAllocation
internal import ProfferHTTP
@_exported public import ProfferMaster
internal import ProfferRuntime
internal import ProfferZeroMQ
internal import Synchronization

@_exported public import class ProfferTransport.ShiftedClock

/// How an embedded cluster is made.
public struct EmbeddedClusterOptions: Sendable {
    /// How many agents.
    public var agents: Int
    /// What each agent offers; by default 2 cores, 1 GiB of memory and disk, and 100 ports that no
    /// other agent has.
    public var resources: @Sendable (_ agent: Int) -> Resources
    /// What tells each agent from the others; by default a rack of its own, `rack:r1` and so on.
    public var attributes: @Sendable (_ agent: Int) -> [Attribute]
    /// How the master behaves.
    public var master = MasterConfiguration()
    /// Changes how an agent behaves; its directory and version are given.
    public var adjustAgent: @Sendable (_ agent: Int, inout AgentConfiguration) -> Void = { _, _ in }
    /// From one report of what an agent uses to the next.
    public var usageInterval = Duration.seconds(5)
    /// How each agent offers what its tasks hold but do not use; not at all unless set.
    public var oversubscription: @Sendable (_ agent: Int) -> Oversubscription? = { _ in nil }
    /// What the time is for the decisions of master and agents: a test can let it pass.
    public var clock = ShiftedClock()
    /// What an executor waits for before it starts; a test can keep it from coming up.
    @_spi(Testing)
    public var executorMayStart: (@Sendable () async -> Void)?
    /// Who decides what is offered to whom.
    public var allocator: any Allocator = HierarchicalAllocator()
    /// For what an operator should know; nothing is written unless it is set.
    public var logger = Logger(label: "proffer") { _ in SwiftLogNoOpLogHandler() }

    /// Describes a cluster of `agents` agents.
    public init(agents: Int = 1) {
        self.agents = agents
        resources = { agent in
            let first = UInt64(20_000 + 100 * (agent % 400))
            var resources = Resources(cpus: Milli(2), mem: Milli(1024), disk: Milli(1024))
            resources += Resource("ports", .ranges(IntervalSet([first...(first + 99)])))
            return resources
        }
        attributes = { [Attribute(name: "rack", value: .text("r\($0 + 1)"))] }
    }
}

/// A whole cluster in this process: one master and any number of agents.
///
/// They talk over `inproc://`; tasks are real processes. For tests of frameworks, and for programs
/// that want a scheduler without daemons. State lives in memory and in a temporary directory that
/// ``shutdown()`` removes.
public final class EmbeddedCluster: Sendable {
    private struct State {
        var master: MasterNode?
        var agents: [Int: AgentNode] = [:]
    }

    private let options: EmbeddedClusterOptions
    private let context: Context
    private let directory: String
    private let registry = MemoryStore.registry()
    private let checkpoints: [MemoryStore<AgentRecord>]
    private let hosts: [InProcessExecutorHost]
    private let state = Mutex(State())

    private static let frameworkAddress = "inproc://master-frameworks"
    private static let agentAddress = "inproc://master-agents"

    /// Starts a cluster of `agents` agents with everything else as it is by default.
    ///
    /// - Throws: When descriptors, threads or room for the temporary directory run out.
    public convenience init(agents: Int = 1) throws {
        try self.init(EmbeddedClusterOptions(agents: agents))
    }

    /// Starts a cluster.
    ///
    /// - Throws: When descriptors, threads or room for the temporary directory run out.
    public init(_ options: EmbeddedClusterOptions) throws {
        self.options = options
        let context = try Context()
        self.context = context
        let name = "proffer-embedded-\(getpid())-\(UUID().uuidString.prefix(8))"
        let directory = FileManager.default.temporaryDirectory
            .resolvingSymlinksInPath().appendingPathComponent(name).path
        self.directory = directory
        let indices = 0..<max(0, options.agents)
        for index in indices {
            try FileManager.default.createDirectory(
                atPath: Self.work(directory, index), withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
        checkpoints = indices.map { _ in MemoryStore.checkpoints() }
        hosts = indices.map {
            InProcessExecutorHost(
                root: Self.work(directory, $0), agentAddress: Self.executors($0),
                context: context, mayStart: options.executorMayStart)
        }
        try startMaster()
        for index in indices { try startAgent(index) }
    }

    private static func work(_ directory: String, _ index: Int) -> String {
        "\(directory)/agent-\(index)"
    }

    private static func executors(_ index: Int) -> String { "inproc://agent-\(index)" }

    /// How a framework reaches the master.
    public var connection: MasterConnection {
        MasterConnection(inProcess: Self.frameworkAddress, context: context)
    }

    /// Asks the master something, or orders it.
    ///
    /// - Throws: When the master does not run.
    public func answer(_ call: OperatorCall) async throws -> OperatorAnswer {
        guard let master = state.withLock({ $0.master }) else { throw NodeStopped() }
        return try await master.answer(call)
    }

    /// What happens in the cluster from now on, until the master ends.
    public func events() -> AsyncStream<ClusterEvent> {
        guard let master = state.withLock({ $0.master }) else {
            return AsyncStream { $0.finish() }
        }
        return master.events()
    }

    /// The directory of a task's sandbox; what it wrote is in `stdout` and `stderr` there.
    ///
    /// - Returns: The path, or `nil` when no running agent knows the task.
    public func sandbox(_ task: TaskKey) async -> String? {
        for agent in state.withLock({ $0.agents.sorted { $0.key < $1.key }.map(\.value) }) {
            if case .sandbox(path: let path)? = try? await agent.answer(.sandbox(task)),
                FileManager.default.fileExists(atPath: path)
            {
                return path
            }
        }
        return nil
    }

    /// Starts the master again after ``stopMaster()``; it remembers what its predecessor kept.
    ///
    /// - Throws: When descriptors run out.
    public func startMaster() throws {
        let node = try MasterNode(
            configuration: options.master, allocator: options.allocator,
            listeners: MasterListeners(
                frameworks: Self.frameworkAddress, frameworkSecurity: .local,
                agents: Self.agentAddress, agentSecurity: .local),
            clusterID: "embedded", store: registry, context: context, logger: options.logger,
            metrics: NOOPMetricsHandler.instance, clock: options.clock)
        _ = try node.start(httpPort: 0)
        state.withLock { $0.master = node }
    }

    /// Ends the master; agents, tasks and frameworks live on and wait for the next one.
    public func stopMaster() async throws {
        let node = state.withLock { state in
            defer { state.master = nil }
            return state.master
        }
        node?.stop()
        try await node?.finished()
    }

    /// Starts an agent again after ``stopAgent(_:)``; it takes its running tasks back.
    ///
    /// - Throws: When descriptors run out.
    public func startAgent(_ index: Int) throws {
        var configuration = AgentConfiguration(
            workDirectory: Self.work(directory, index), version: options.master.version)
        options.adjustAgent(index, &configuration)
        configuration.workDirectory = Self.work(directory, index)
        let node = try AgentNode(
            configuration: configuration,
            info: AgentInfo(
                hostname: "agent-\(index)", resources: options.resources(index),
                attributes: options.attributes(index)),
            links: AgentLinks(
                masters: [Self.agentAddress], masterSecurity: .local,
                executors: Self.executors(index)),
            store: checkpoints[index], host: hosts[index], context: context,
            logger: options.logger, metrics: NOOPMetricsHandler.instance,
            usageInterval: options.usageInterval,
            oversubscription: options.oversubscription(index), clock: options.clock)
        try node.start(httpPort: 0)
        state.withLock { $0.agents[index] = node }
    }

    /// Ends an agent; its tasks live on.
    public func stopAgent(_ index: Int) async throws {
        let node = state.withLock { $0.agents.removeValue(forKey: index) }
        node?.stop()
        try await node?.finished()
    }

    /// Kills every task, ends every node and removes the temporary directory.
    public func shutdown() async {
        let (master, agents) = state.withLock { state in
            defer { state = State() }
            return (state.master, state.agents.sorted { $0.key < $1.key }.map(\.value))
        }
        for agent in agents { agent.stop(unregister: true) }
        for host in hosts { await host.endAll() }
        for agent in agents { try? await agent.finished() }
        master?.stop()
        try? await master?.finished()
        try? FileManager.default.removeItem(atPath: directory)
    }
}
