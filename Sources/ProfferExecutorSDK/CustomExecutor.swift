internal import Glibc
public import Logging
public import ProfferExecutorDriver
internal import ProfferKernel
internal import ProfferModel
internal import ProfferTransport
internal import Synchronization

/// An executor with an async face: the quick way to write one.
///
/// Every task runs in a Swift task of its own, side by side with the others. `@main` on a
/// conforming type makes it a program for the command of an `ExecutorInfo`. Where every decision
/// has to be testable without an agent, write an `ExecutorPolicy` instead.
public protocol CustomExecutor: Sendable {
    /// Makes the executor when the program starts: the place for whatever takes long once.
    init() async throws

    /// Runs a task.
    ///
    /// It is `TASK_RUNNING` when this is called, `TASK_FINISHED` when it returns and `TASK_FAILED`,
    /// with the error as its message, when it throws. To kill the task is to cancel the Swift task
    /// that this runs in: then it is `TASK_KILLED`, however this ends. Nobody can end it by force,
    /// so whatever takes long has to look at `Task.isCancelled`.
    ///
    /// - Parameters:
    ///   - task: What its framework says of it, and its directory.
    ///   - reporter: Says more about it.
    /// - Returns: Bytes for the framework, in `data` of the last update; empty for none.
    /// - Throws: Why the task has failed.
    func run(_ task: LaunchedTask, _ reporter: TaskReporter) async throws -> [UInt8]

    /// Bytes from the framework; one after another, in their order.
    func message(_ data: [UInt8], _ executor: ExecutorHandle) async

    /// The subscription holds; also after a restart of the agent.
    func subscribed(_ subscription: ExecutorSubscription, _ executor: ExecutorHandle) async

    /// The executor will end; its tasks are cancelled already.
    func shutdown() async
}

/// What an executor can say that is not about one task; usable from anywhere.
public struct ExecutorHandle: Sendable {
    let post: @Sendable (RelayCommand) -> Void

    /// Sends bytes to the framework, at most once.
    public func send(_ data: [UInt8]) { post(.message(data)) }

    /// Ends the executor; tasks that have not ended have failed.
    public func end() { post(.end) }
}

/// What a task can say of itself; usable from anywhere, until it has ended.
public struct TaskReporter: Sendable {
    /// The executor.
    public let executor: ExecutorHandle
    let id: TaskID

    /// Reports the task as running, with something more.
    ///
    /// - Parameters:
    ///   - message: For people.
    ///   - data: For the framework.
    ///   - healthy: Whether the task is well; `nil` when nobody can tell.
    public func report(_ message: String? = nil, data: [UInt8]? = nil, healthy: Bool? = nil) {
        executor.post(
            .update(
                TaskStatus(
                    taskID: id, state: .running, message: message, data: data, healthy: healthy)))
    }
}

extension CustomExecutor {
    /// Does nothing.
    public func message(_ data: [UInt8], _ executor: ExecutorHandle) async {}
    /// Does nothing.
    public func subscribed(
        _ subscription: ExecutorSubscription, _ executor: ExecutorHandle
    ) async {}
    /// Does nothing.
    public func shutdown() async {}

    /// Runs the executor until its agent or a TERM ends it.
    @concurrent
    public static func main() async {
        do {
            let connection = try ExecutorConnection.fromEnvironment()
            try await Self().run(connection: connection, stopsOnSignals: true)
        } catch {
            FileDescriptorText.standardError("error: \(error)\n")
            exit(1)
        }
    }

    /// Runs the executor until its agent ends it or the task is cancelled.
    ///
    /// - Parameters:
    ///   - connection: How to reach the agent.
    ///   - logger: For what an operator should know.
    ///   - stopsOnSignals: Whether TERM and INT end it.
    /// - Throws: ``ExecutorProblem`` when there are more happenings than it takes in.
    public func run(
        connection: ExecutorConnection, logger: Logger = Logger(label: "executor"),
        stopsOnSignals: Bool = false
    ) async throws {
        let (happenings, continuation) = AsyncStream.makeStream(
            of: ExecutorHappening<Never>.self, bufferingPolicy: .bufferingOldest(100_000))
        let runner = try ExecutorRunner(
            policy: RelayPolicy(), connection: connection, logger: logger,
            outputs: { happenings in
                for happening in happenings {
                    if case .dropped = continuation.yield(happening) {
                        throw ExecutorProblem(
                            description: "the executor takes happenings in too slowly")
                    }
                }
            })
        let handle = ExecutorHandle { runner.post($0) }
        let live = LiveTasks()
        if stopsOnSignals { StopSignals.install { runner.terminate() } }
        try runner.start()
        let delivery = Task {
            for await happening in happenings { await deliver(happening, handle, live) }
        }
        defer {
            continuation.finish()
            delivery.cancel()
            live.killAll()
        }
        try await withTaskCancellationHandler {
            try await runner.finished()
        } onCancel: {
            runner.terminate()
        }
    }

    private func deliver(
        _ happening: ExecutorHappening<Never>, _ handle: ExecutorHandle, _ live: LiveTasks
    ) async {
        switch happening {
        case .subscribed(let subscription): await subscribed(subscription, handle)
        case .disconnected: break
        case .launch(let task): launch(task, handle, live)
        case .launchGroup(let tasks):
            for task in tasks { launch(task, handle, live) }
        case .kill(let id, _): live.kill(id)
        case .message(let data): await message(data, handle)
        case .shutdown:
            live.killAll()
            await shutdown()
        }
    }

    private func launch(_ task: LaunchedTask, _ handle: ExecutorHandle, _ live: LiveTasks) {
        let id = task.info.id
        let reporter = TaskReporter(executor: handle, id: id)
        reporter.report()
        live.add(id) {
            Task {
                var status = TaskStatus(taskID: id, state: .finished)
                do {
                    let data = try await run(task, reporter)
                    if !data.isEmpty { status.data = data }
                } catch {
                    status.state = .failed
                    status.message = "\(error)"
                    status.reason = .commandExecutorFailed
                }
                if live.remove(id) {
                    status.state = .killed
                    status.message = "killed on request"
                    status.reason = nil
                }
                handle.post(.update(status))
            }
        }
    }
}

/// The Swift tasks in which tasks run.
final class LiveTasks: Sendable {
    private struct Row {
        var task: Task<Void, Never>
        var isKilled = false
    }

    private let rows = Mutex<[TaskID: Row]>([:])

    /// Keeps a task that is made while nobody else looks, so that its end finds it here.
    func add(_ id: TaskID, _ make: () -> Task<Void, Never>) {
        rows.withLock { $0[id] = Row(task: make()) }
    }

    /// Forgets a task that has ended; whether it was killed before.
    func remove(_ id: TaskID) -> Bool {
        rows.withLock { $0.removeValue(forKey: id)?.isKilled ?? false }
    }

    func kill(_ id: TaskID) {
        let task = rows.withLock { rows in
            rows[id]?.isKilled = true
            return rows[id]?.task
        }
        task?.cancel()
    }

    func killAll() {
        for id in rows.withLock({ Array($0.keys) }) { kill(id) }
    }
}

/// What async code says to its driver.
enum RelayCommand: Sendable {
    case update(TaskStatus)
    case message([UInt8])
    case end
}

/// Hands everything on: the decisions are made in async code.
struct RelayPolicy: ExecutorPolicy {
    typealias Command = RelayCommand
    typealias Output = ExecutorHappening<Never>

    mutating func handle(
        _ happening: ExecutorHappening<RelayCommand>, at now: Instant,
        into actions: inout Outbox<ExecutorAction<ExecutorHappening<Never>>>
    ) {
        switch happening {
        case .command(.update(let status)): actions.append(.update(status))
        case .command(.message(let data)): actions.append(.message(data))
        case .command(.end): actions.append(.end)
        case .subscribed(let subscription): actions.append(.output(.subscribed(subscription)))
        case .disconnected: actions.append(.output(.disconnected))
        case .launch(let task): actions.append(.output(.launch(task)))
        case .launchGroup(let tasks): actions.append(.output(.launchGroup(tasks)))
        case .kill(let id, let grace): actions.append(.output(.kill(id, grace: grace)))
        case .message(let data): actions.append(.output(.message(data)))
        case .shutdown(let grace): actions.append(.output(.shutdown(grace: grace)))
        }
    }
}
