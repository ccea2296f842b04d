internal import Foundation
internal import Logging
internal import ProfferAPI
internal import ProfferAgent
internal import ProfferContainers
internal import ProfferHTTP
internal import ProfferIsolation
internal import ProfferModel
internal import Synchronization

/// Starts programs beside the tasks of an agent.
struct AgentSessions: Sendable {
    /// So many frames wait for whoever asked; then the program waits too.
    private static let window = 16

    let node: AgentNode
    let isolation: IsolationSettings
    /// Where the numbers of processes in containers are kept for a while.
    let directory: String
    let logger: Logger

    /// - Throws: ``ProblemObject`` when there is no such task here, or it cannot be entered.
    func open(_ request: SessionRequest) async throws -> OpenSession {
        let entry = try await entry(request)
        // Who may do it is the operator; the arguments may hold what is not for a log.
        logger.notice(
            "a program is run in a task",
            metadata: [
                "framework.id": "\(request.framework)", "task.id": "\(request.task)",
                "program": "\(request.words[0])",
            ])
        let (frames, continuation) = AsyncStream.makeStream(of: SessionFrame.self)
        let room = DispatchSemaphore(value: Self.window)
        let over = Flag()
        let size = request.terminal.map { _ in
            TaskSession.Size(rows: request.rows, columns: request.columns)
        }
        let session: TaskSession
        do {
            session = try TaskSession(
                request.words, entry, size: size, kind: request.terminal
            ) { event in
                if case .ended(let exit) = event {
                    continuation.yield(.ended(code: Self.code(exit)))
                    continuation.finish()
                    return false
                }
                while room.wait(timeout: .now() + .milliseconds(200)) == .timedOut {
                    if over.isSet { return false }
                }
                switch event {
                case .output(let bytes): continuation.yield(.output(bytes))
                case .error(let bytes): continuation.yield(.error(bytes))
                case .ended: break
                }
                return !over.isSet
            }
        } catch {
            throw ProblemObject(
                status: 409, title: "not started", detail: "\(error)",
                advice: "look whether the program is there for the task")
        }
        // Whoever asked gives up on a connection on which nothing comes.
        let clock = Task {
            while true {
                try await Task.sleep(for: .seconds(10))
                continuation.yield(.alive)
            }
        }
        continuation.onTermination = { _ in clock.cancel() }
        let inputs = DispatchQueue(label: "proffer.session")
        return OpenSession(
            frames: frames, consumed: { room.signal() },
            take: { frame in
                switch frame {
                case .input(let bytes): inputs.async { session.write(bytes) }
                case .endOfInput: inputs.async { session.endInput() }
                case .size(let rows, let columns):
                    session.resize(.init(rows: rows, columns: columns))
                case .alive, .output, .error, .ended: break
                }
            },
            end: {
                over.set()
                session.end()
            })
    }

    private func entry(_ request: SessionRequest) async throws -> TaskEntry {
        let key = TaskKey(FrameworkID(request.framework), TaskID(request.task))
        guard case .summary(let report) = try await node.answer(.summary),
            let task = report.tasks.first(where: { $0.key == key }),
            let executor = report.executors.first(where: {
                $0.key == ExecutorKey(key.framework, task.executorID)
            }), let pid = executor.pid
        else {
            throw ProblemObject(
                status: 404, title: "not found",
                detail: "there is no running task '\(request.task)' of framework "
                    + "'\(request.framework)' here",
                advice: "look with 'proffer ps' on which agent it runs")
        }
        let file = "\(directory)/session-\(UInt64.random(in: 0...UInt64.max)).pid"
        do {
            return try TaskEntry(
                key, of: Int32(clamping: pid), sandbox: task.sandbox, settings: isolation,
                numberFile: file)
        } catch {
            throw ProblemObject(status: 409, title: "not running", detail: "\(error)")
        }
    }

    private static func code(_ exit: TaskExit) -> UInt32 {
        UInt32(clamping: exit.code ?? exit.signal.map { 128 + $0 } ?? 255)
    }
}

/// Something that has happened or not.
private final class Flag: Sendable {
    private let state = Atomic(false)

    var isSet: Bool { state.load(ordering: .acquiring) }

    func set() { state.store(true, ordering: .releasing) }
}
