internal import BatchPolicy
internal import Foundation
internal import Logging
internal import Proffer
internal import ServiceLifecycle
internal import Synchronization

/// Runs a ``BatchScheduler``: keeps its state, carries questions in and answers out.
final class SchedulerShell: Service {
    private let runner: FrameworkRunner<BatchScheduler>
    private let questions: Questions
    private let collector: Collector

    /// Goes on from what the store holds.
    init(
        store: Store,
        collector: @escaping (@escaping @Sendable (BatchCommand) -> Void) -> Collector,
        info: FrameworkInfo, options: BatchOptions, connection: MasterConnection, logger: Logger
    ) throws {
        let known = try store.setting("framework").map { FrameworkID($0) }
        let policy = BatchScheduler(
            restoring: try store.load(), frameworkID: known, options: options,
            at: SystemTime.now())
        var framework = FrameworkOptions(info: info)
        framework.info.id = known
        framework.knownTasks = policy.liveTasks
        framework.startsAnewWhenRemoved = true
        // It always says what it wants, so that whole agents are never meant for it.
        framework.demands = []
        let questions = Questions()
        let mailbox = Mailbox()
        let collecting = collector { mailbox.post($0) }
        runner = try FrameworkRunner(
            policy: policy, options: framework, connection: connection, logger: logger,
            registered: { try store.set("framework", $0.value) },
            outputs: { outputs in
                var changes: [BatchChange] = []
                for case .persist(let list) in outputs { changes += list }
                try store.commit(changes)
                for output in outputs {
                    switch output {
                    case .persist: break
                    case .answer(let ticket, let answer): questions.answer(ticket, answer)
                    case .collect(let collection): collecting.add(collection)
                    }
                }
            })
        self.questions = questions
        self.collector = collecting
        let runner = runner
        mailbox.open { runner.post($0) }
    }

    var services: [any Service] { [self, collector] }

    func run() async throws {
        try runner.start()
        defer { questions.close() }
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await runner.finished()
        } onCancelOrGracefulShutdown: { [runner] in
            runner.stop()
        }
    }

    /// Asks the scheduler something.
    func ask(_ command: @Sendable (Ticket) -> BatchCommand) async -> BatchAnswer {
        await questions.ask { ticket in runner.post(command(ticket)) }
    }
}

/// Passes commands on to a runner that is made later than whoever gives them.
private final class Mailbox: Sendable {
    private let target = Mutex<(@Sendable (BatchCommand) -> Void)?>(nil)

    func open(_ post: @escaping @Sendable (BatchCommand) -> Void) {
        target.withLock { $0 = post }
    }

    func post(_ command: BatchCommand) { target.withLock { $0 }?(command) }
}

/// Questions that wait for their answers.
final class Questions: Sendable {
    private struct State {
        var next: UInt64 = 0
        var isClosed = false
        var waiting: [Ticket: CheckedContinuation<BatchAnswer, Never>] = [:]
    }

    private let state = Mutex(State())

    /// Sends a question by `post`, which says whether it was taken.
    func ask(_ post: (Ticket) -> Bool) async -> BatchAnswer {
        await withCheckedContinuation { continuation in
            let ticket: Ticket? = state.withLock { state in
                guard !state.isClosed else { return nil }
                state.next += 1
                state.waiting[Ticket(state.next)] = continuation
                return Ticket(state.next)
            }
            guard let ticket else {
                continuation.resume(returning: .refused(.stopping))
                return
            }
            if !post(ticket) { answer(ticket, .refused(.stopping)) }
        }
    }

    func answer(_ ticket: Ticket, _ answer: BatchAnswer) {
        state.withLock { $0.waiting.removeValue(forKey: ticket) }?.resume(returning: answer)
    }

    /// Refuses whatever still waits and whatever comes.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values {
            continuation.resume(returning: .refused(.stopping))
        }
    }
}

extension BatchProblem {
    /// The shell does not run any more.
    static let stopping = BatchProblem(
        kind: .full, what: "the scheduler is stopping", because: "it was asked to stop",
        advice: "ask again when it has been started again; its jobs live on")
}
