internal import CLinux
internal import Glibc
public import ProfferContainers
internal import ProfferExecutor
internal import ProfferExecutorWire
internal import ProfferFailpoints
public import ProfferIsolation
public import ProfferModel
internal import ProfferSession
internal import ProfferTransport
public import ProfferZeroMQ

/// What an executor's shell is told when it starts.
public struct ExecutorShellConfiguration: Sendable {
    /// The framework it works for.
    public var frameworkID: FrameworkID
    /// Itself.
    public var executorID: ExecutorID
    /// Where the agent listens: `ipc://` or `inproc://`.
    public var agentAddress: String
    /// What it proves itself with to the agent.
    public var token: String
    /// Its own directory.
    public var directory: String
    /// From SHUTDOWN to its end.
    public var shutdownGrace: Duration
    /// Without an agent for so long, it kills everything and ends.
    public var recoveryTimeout: Duration
    /// From one report of what its tasks use to the next.
    public var usageInterval: Duration
    /// The size at which the content of `stdout` and `stderr` of a task is moved to `stdout.1` and
    /// `stderr.1`.
    public var outputLimitBytes: Int
    /// How many files there may be of each, the one that is written to included; at least 1.
    public var outputFiles: Int
    /// How the files of its tasks are fetched; `nil` refuses tasks that have any.
    public var fetch: TaskFetch?
    /// How its tasks are kept apart.
    public var isolation: IsolationSettings
    /// Its run, which names what is made for its tasks.
    public var containerID: ContainerID
    /// Where is written what has to be undone for its tasks; its own directory when absent.
    public var plansDirectory: String?
    /// Drivers of volumes beside those that the operator of the agent has given, by name.
    public var volumeDrivers: [String: any VolumeDriver] = [:]
    /// Takes lines for its log; `nil` for none.
    public var log: (@Sendable (String) -> Void)?

    /// Sets every field; what is left out has the default shown.
    public init(
        frameworkID: FrameworkID,
        executorID: ExecutorID,
        agentAddress: String,
        token: String,
        directory: String,
        shutdownGrace: Duration = .seconds(5),
        recoveryTimeout: Duration = .seconds(900),
        usageInterval: Duration = .seconds(5),
        outputLimitBytes: Int = 10 << 20,
        outputFiles: Int = 5,
        fetch: TaskFetch? = nil,
        isolation: IsolationSettings = IsolationSettings(),
        containerID: ContainerID = "executor",
        plansDirectory: String? = nil,
        log: (@Sendable (String) -> Void)? = nil
    ) {
        self.frameworkID = frameworkID
        self.executorID = executorID
        self.agentAddress = agentAddress
        self.token = token
        self.directory = directory
        self.shutdownGrace = shutdownGrace
        self.recoveryTimeout = recoveryTimeout
        self.usageInterval = usageInterval
        self.outputLimitBytes = outputLimitBytes
        self.outputFiles = outputFiles
        self.fetch = fetch
        self.isolation = isolation
        self.containerID = containerID
        self.plansDirectory = plansDirectory
        self.log = log
    }
}

/// An executor cannot start.
public struct ExecutorShellError: Error, CustomStringConvertible, Sendable {
    /// What failed, and because of what.
    public let description: String
}

/// An executor that runs real processes: the machine ``Executor`` between a socket to the agent
/// and the process table.
///
/// Many may live in one program, because each reaps its own processes only and none changes how
/// the program handles signals (see ``run()`` for the exception).
public struct ExecutorShell: Sendable {
    /// What other threads can ask of an executor.
    enum Mail: Sendable {
        case terminate
        case fetching(UInt64, ProcessIdentity)
        case fetched(UInt64, Result<Void, SystemError>)
        case preparing(UInt64, ProcessIdentity)
        case undone(TaskID, String, isDone: Bool)
        case disks([TaskID], [TaskID: String])
        case contained(UInt64, Result<ContainerStart.Outcome, SystemError>)
        case measured(SandboxSizes.Pass)
    }

    private let configuration: ExecutorShellConfiguration
    private let reactor: Reactor<Mail>

    /// Makes an executor that does not run yet.
    ///
    /// - Parameters:
    ///   - configuration: Who it is and where its agent is.
    ///   - context: Must be the agent's own when the address is `inproc://`.
    /// - Throws: ``ExecutorShellError`` when there are no descriptors left.
    public init(
        configuration: ExecutorShellConfiguration, context: Context
    ) throws(ExecutorShellError) {
        self.configuration = configuration
        let endpoint = Endpoint.dial(
            Self.agent, addresses: [configuration.agentAddress],
            credential: Array(configuration.token.utf8), .local)
        var transport = ReactorConfiguration(
            name: "ex-" + configuration.executorID.value.suffix(12), endpoints: [endpoint],
            coding: Self.coding)
        transport.socket.messageBytes = Int64(WireLimits.state) + 4096
        // An agent that was away for long gives its executors 15 seconds to come back. It is on the
        // same node, so asking often costs little.
        transport.socket.reconnectMaxMilliseconds = 500
        transport.session.openLast = .seconds(1)
        do throws(TransportError) {
            reactor = try Reactor(transport, context: context)
        } catch {
            throw ExecutorShellError(description: error.description)
        }
    }

    private static let agent = EndpointID("agent")
    private static let coding = EnvelopeCoding(
        encode: { ExecutorCodec.encode($0) }, decode: { try ExecutorCodec.decodeEnvelope($0) })

    /// Runs on the calling thread until the executor ends; for a program that is an executor and
    /// nothing else.
    ///
    /// SIGTERM ends it gracefully, SIGHUP and SIGINT are ignored.
    ///
    /// - Returns: The exit code.
    /// - Throws: ``ExecutorShellError`` when it cannot start.
    public func run() throws(ExecutorShellError) -> Int32 {
        Failpoint.hit(.executorBegin)
        let signals = SignalDescriptor.takeOver()
        // The first process of a container loses its parent, which is the runtime.
        if configuration.isolation.mode == .oci { _ = linux_adopt_orphans() }
        let handler = try makeHandler(signals: signals)
        do throws(TransportError) {
            try reactor.run { handler }
        } catch {
            throw ExecutorShellError(description: error.description)
        }
        return handler.exitCode ?? 1
    }

    /// Runs on a thread of its own until the executor ends.
    ///
    /// - Throws: ``ExecutorShellError`` when it cannot start.
    public func start() throws(ExecutorShellError) {
        // The handler is made here for its errors and used on the new thread only.
        let handler = HandOver(try makeHandler(signals: nil))
        do throws(TransportError) {
            _ = try reactor.start { handler.value }
        } catch {
            throw ExecutorShellError(description: error.description)
        }
    }

    /// Asks the executor to end: its tasks are killed with grace.
    public func terminate() { reactor.post(.terminate) }

    /// Waits for the end of an executor that was started with ``start()``.
    public func finished() async { await reactor.finished() }

    private func makeHandler(
        signals: SignalDescriptor?
    ) throws(ExecutorShellError) -> ExecutorHandler {
        do throws(SystemError) {
            return try ExecutorHandler(
                configuration, signals: signals,
                post: { [weak reactor] in reactor?.post($0) })
        } catch {
            throw ExecutorShellError(description: error.description)
        }
    }
}

/// Carries the handler to the thread that will own it.
private final class HandOver: @unchecked Sendable {
    // Written before the thread begins and read by it once; nobody else has it.
    let value: ExecutorHandler

    init(_ value: ExecutorHandler) { self.value = value }
}
