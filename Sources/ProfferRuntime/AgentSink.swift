internal import CoreMetrics
internal import Logging
internal import Metrics
internal import ProfferAgent
internal import ProfferKernel
internal import ProfferModel
internal import Synchronization

/// How an agent ended by itself.
enum AgentEnd: Sendable {
    case terminated(reason: String, exitCode: Int)
    case commitFailed(String)
}

/// Turns what an agent observes into log lines and metrics.
final class AgentSink: Sendable {
    private let logger: Logger
    private let ending = Mutex<AgentEnd?>(nil)
    private let transitions: [Counter]
    private let executorStarts: Counter
    private let executorEnds: Counter
    private let retries: Counter
    private let preemptions: Counter
    private let malformedMessages: Counter

    init(logger: Logger, metrics: any MetricsFactory) {
        self.logger = logger
        func counter(_ name: String) -> Counter {
            Counter(label: name, dimensions: [], factory: metrics)
        }
        transitions = TaskState.allCases.map { state in
            Counter(
                label: "proffer_agent_task_transitions_total",
                dimensions: [("to", state.name)], factory: metrics)
        }
        executorStarts = counter("proffer_agent_executor_starts_total")
        executorEnds = counter("proffer_agent_executor_ends_total")
        retries = counter("proffer_agent_status_update_resends_total")
        preemptions = counter("proffer_agent_task_preemptions_total")
        malformedMessages = counter("proffer_malformed_messages_total")
    }

    /// How the agent ended by itself, if it did.
    var end: AgentEnd? { ending.withLock { $0 } }

    func observe(_ observation: AgentObservation) {
        count(observation)
        // What a line is made of costs more than the rest of an observation.
        if Self.isDetail(observation), logger.logLevel > .debug { return }
        guard let line = Self.line(of: observation), logger.logLevel <= line.level else { return }
        logger.log(level: line.level, "\(line.text)", metadata: line.metadata)
    }

    private func count(_ observation: AgentObservation) {
        switch observation {
        case .taskState(_, let state, _, _): transitions[state.rawValue].increment()
        case .executorLaunched: executorStarts.increment()
        case .executorEnded: executorEnds.increment()
        case .updateRetried: retries.increment()
        case .taskPreempted: preemptions.increment()
        case .recovered, .rebooted, .registered, .masterLost, .taskAccepted, .taskRefused,
            .oversubscribed, .taskLate, .duplicateUpdate, .updateRefused, .strayAcknowledgement,
            .taskForgotten, .executorSubscribed, .executorAway, .executorStopping,
            .executorRejected, .ignored, .volumeDestroyed:
            break
        }
    }

    /// Whether it happens to every task and is told at the level `debug`, at most.
    private static func isDetail(_ observation: AgentObservation) -> Bool {
        switch observation {
        case .taskAccepted, .taskForgotten, .duplicateUpdate, .updateRetried,
            .strayAcknowledgement, .ignored:
            true
        case .taskState(_, let state, _, _): state != .failed && state != .lost && state != .gone
        case .recovered, .rebooted, .registered, .masterLost, .taskRefused, .taskLate,
            .updateRefused, .taskPreempted, .oversubscribed, .executorLaunched,
            .executorSubscribed, .executorAway, .executorStopping, .executorEnded,
            .executorRejected, .volumeDestroyed:
            false
        }
    }

    private struct Line {
        var level: Logger.Level
        var text: String
        var metadata: Logger.Metadata

        init(_ level: Logger.Level, _ text: String, _ metadata: Logger.Metadata = [:]) {
            self.level = level
            self.text = text
            self.metadata = metadata
        }
    }

    private static func line(of observation: AgentObservation) -> Line? {
        switch observation {
        case .recovered(let frameworks, let executors, let tasks, let updates):
            return Line(
                .info, "recovered what an earlier run has left",
                [
                    "frameworks": "\(frameworks)", "executors": "\(executors)",
                    "tasks": "\(tasks)", "updates": "\(updates)",
                ])
        case .rebooted: return Line(.info, "the node was started anew")
        case .registered(let id, let isReturn):
            return Line(
                .info, isReturn ? "back at the master" : "admitted by the master",
                ["agent.id": "\(id)"])
        case .masterLost(let reason):
            return Line(.warning, "lost the master", ["reason": "\(reason)"])
        case .volumeDestroyed(let place):
            return Line(.info, "destroyed a volume with its data", ["path": "\(place.path)"])
        case .executorLaunched, .executorSubscribed, .executorAway, .executorStopping,
            .executorEnded, .executorRejected:
            return executorLine(of: observation)
        case .taskAccepted, .taskRefused, .taskLate, .taskState, .updateRetried,
            .duplicateUpdate, .updateRefused, .strayAcknowledgement, .taskForgotten,
            .taskPreempted:
            return taskLine(of: observation)
        case .oversubscribed(let resources):
            return Line(
                .info, "offers what its tasks do not use", ["resources": "\(resources)"])
        case .ignored(let what): return Line(.debug, "ignored a message", ["what": "\(what)"])
        }
    }

    private static func executorLine(of observation: AgentObservation) -> Line? {
        func about(_ key: ExecutorKey, _ container: ContainerID) -> Logger.Metadata {
            [
                "framework.id": "\(key.framework)", "executor.id": "\(key.executor)",
                "container.id": "\(container)",
            ]
        }
        switch observation {
        case .executorLaunched(let key, let container):
            return Line(.info, "starting an executor", about(key, container))
        case .executorSubscribed(let key, let container):
            return Line(.info, "an executor is ready", about(key, container))
        case .executorAway(let key, let container):
            return Line(.warning, "the session with an executor broke", about(key, container))
        case .executorStopping(let key, let container, let reason):
            return Line(
                .info, "stopping an executor",
                about(key, container).merging(["reason": "\(reason)"]) { $1 })
        case .executorEnded(let key, let container, let status):
            return Line(
                .info, "an executor ended",
                about(key, container).merging(["status": "\(status)"]) { $1 })
        case .executorRejected(let peer, let key):
            return Line(
                .warning, "a peer without the right token claimed to be an executor",
                ["peer": "\(peer)", "executor.id": "\(key.executor)"])
        default: return nil
        }
    }

    private static func taskLine(of observation: AgentObservation) -> Line? {
        func about(_ key: TaskKey) -> Logger.Metadata {
            ["framework.id": "\(key.framework)", "task.id": "\(key.task)"]
        }
        switch observation {
        case .taskAccepted(let key, _, let sandbox):
            return Line(
                .debug, "took on a task", about(key).merging(["sandbox": "\(sandbox)"]) { $1 })
        case .taskPreempted(let key, let reason):
            return Line(
                .warning, "kills a revocable task for the others' sake",
                about(key).merging(["reason": "\(reason)"]) { $1 })
        case .taskRefused(let key, let reason):
            return Line(
                .info, "did not take on a task",
                about(key).merging(["reason": "\(reason)"]) { $1 })
        case .taskLate(let key, let limit):
            return Line(
                .warning, "a task does not run and is given up",
                about(key).merging(["after": "\(limit)"]) { $1 })
        case .taskState(let key, let state, let reason, let message):
            return Line(
                state == .failed || state == .lost || state == .gone ? .info : .debug,
                "task changed its state",
                about(key).merging([
                    "state": "\(state.name)", "reason": "\(reason?.name ?? "")",
                    "message": "\(message ?? "")",
                ]) { $1 })
        case .updateRetried(let key, _):
            return Line(.debug, "sent an update again", about(key))
        case .duplicateUpdate(let key, _):
            return Line(.debug, "an executor repeated an update", about(key))
        case .updateRefused(let key, let state, let reason):
            return Line(
                .warning, "an executor sent an update that breaks the rules",
                about(key).merging(["state": "\(state.name)", "reason": "\(reason)"]) { $1 })
        case .strayAcknowledgement(let key, _):
            return Line(.debug, "stray acknowledgement", about(key))
        case .taskForgotten(let key): return Line(.debug, "a task is over", about(key))
        default: return nil
        }
    }

    func malformed(_ peer: PeerID, _ error: any Error) {
        malformedMessages.increment()
        logger.warning(
            "a peer sent a malformed message and was dropped",
            metadata: ["peer": "\(peer)", "error": "\(error)"])
    }

    /// Who wants which secrets, by name.
    func secretsWanted(_ request: SecretRequest) {
        logger.info(
            "secrets are looked up",
            metadata: [
                "secrets": "\(request.references.map(\.name).joined(separator: ","))",
                "role": "\(request.role)", "framework.id": "\(request.framework)",
                "task.id": "\(request.tasks.map(\.value).joined(separator: ","))",
            ])
    }

    func commitFailed(_ message: String) {
        ending.withLock { $0 = $0 ?? .commitFailed(message) }
        logger.critical(
            "the checkpoints cannot be written; the agent stops, its tasks live on",
            metadata: ["error": "\(message)"])
    }

    func sandboxFailed(_ path: String, _ error: any Error) {
        logger.error(
            "a sandbox cannot be made", metadata: ["path": "\(path)", "error": "\(error)"])
    }

    func terminated(_ reason: String, _ exitCode: Int) {
        ending.withLock { $0 = $0 ?? .terminated(reason: reason, exitCode: exitCode) }
        logger.info("the agent ends", metadata: ["reason": "\(reason)"])
    }
}
