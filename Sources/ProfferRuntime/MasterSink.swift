internal import CoreMetrics
internal import Logging
internal import Metrics
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel
internal import Synchronization

/// Turns what a master observes into log lines, metrics and entries of the event stream.
final class MasterSink: Sendable {
    let hub = EventHub()
    private let logger: Logger
    private let failure = Mutex<String?>(nil)
    private let transitions: [Counter]
    private let offersMade: Counter
    private let offersEnded: [OfferEnd: Counter]
    private let offerAge: Metrics.Timer
    private let allocations: Counter
    private let invalidCalls: Counter
    private let refusedIdentities: Counter
    private let malformedMessages: Counter

    init(logger: Logger, metrics: any MetricsFactory) {
        self.logger = logger
        transitions = TaskState.allCases.map { state in
            Counter(
                label: "proffer_task_transitions_total", dimensions: [("to", state.name)],
                factory: metrics)
        }
        offersMade = Counter(
            label: "proffer_offers_total", dimensions: [("outcome", "made")], factory: metrics)
        offersEnded = Dictionary(
            uniqueKeysWithValues: OfferEnd.allCases.map { end in
                (
                    end,
                    Counter(
                        label: "proffer_offers_total", dimensions: [("outcome", end.rawValue)],
                        factory: metrics)
                )
            })
        offerAge = Metrics.Timer(
            label: "proffer_offer_age_seconds", dimensions: [], factory: metrics)
        allocations = Counter(
            label: "proffer_allocation_cycles_total", dimensions: [], factory: metrics)
        invalidCalls = Counter(
            label: "proffer_invalid_calls_total", dimensions: [], factory: metrics)
        refusedIdentities = Counter(
            label: "proffer_identities_refused_total", dimensions: [], factory: metrics)
        malformedMessages = Counter(
            label: "proffer_malformed_messages_total", dimensions: [], factory: metrics)
    }

    /// Why the master ended by itself, if it did.
    var reason: String? { failure.withLock { $0 } }

    func observe(_ observation: MasterObservation) {
        switch observation {
        case .agent(let id, let hostname, let state, let reason):
            logger.info(
                "agent changed its state",
                metadata: [
                    "agent.id": "\(id)", "hostname": "\(hostname)", "state": "\(state.rawValue)",
                    "reason": "\(reason)",
                ])
        case .framework(let id, let name, let isConnected, let isRemoved, let reason):
            logger.info(
                "framework changed its state",
                metadata: [
                    "framework.id": "\(id)", "name": "\(name)",
                    "state":
                        "\(isRemoved ? "removed" : isConnected ? "connected" : "disconnected")",
                    "reason": "\(reason)",
                ])
        case .task(let key, _, let agent, let state, let reason, let message):
            transitions[state.rawValue].increment()
            logger.log(
                level: Self.level(state), "task changed its state",
                metadata: [
                    "framework.id": "\(key.framework)", "task.id": "\(key.task)",
                    "agent.id": "\(agent?.value ?? "")", "state": "\(state.name)",
                    "reason": "\(reason?.name ?? "")", "message": "\(message ?? "")",
                ])
        case .offered: offersMade.increment()
        case .offerEnded(_, let end, let held):
            offersEnded[end]?.increment()
            offerAge.recordNanoseconds(held.inNanoseconds)
        case .invalidCall(let framework, let call, let problem):
            invalidCalls.increment()
            logger.warning(
                "a call was refused",
                metadata: [
                    "framework.id": "\(framework?.value ?? "")", "call": "\(call)",
                    "problem": "\(problem)",
                ])
        case .identityRefused(let claimed, let key):
            refusedIdentities.increment()
            logger.warning(
                "a peer claimed the id of another",
                metadata: ["claimed": "\(claimed)", "key": "\(key ?? "")"])
        case .stray(let what): logger.debug("stray message", metadata: ["what": "\(what)"])
        case .preempting(let tasks, let agent, let reason):
            logger.info(
                "tasks are to make room",
                metadata: [
                    "agent.id": "\(agent)", "reason": "\(reason)",
                    "tasks": "\(tasks.map { "\($0.framework)/\($0.task)" }.joined(separator: " "))",
                ])
        case .allocated: allocations.increment()
        case .agentsMissing(let missing, let all, let isSlow):
            logger.warning(
                isSlow
                    ? "so many agents are missing that they are removed slowly"
                    : "agents are removed as usual again",
                metadata: ["missing": "\(missing)", "agents": "\(all)"])
        case .removalCancelled(let id):
            logger.info("an agent answered before it was removed", metadata: ["agent.id": "\(id)"])
        case .forgotten(let agents):
            logger.info("lost agents were forgotten", metadata: ["agents": "\(agents)"])
        }
        if hub.hasReaders, let event = observation.clusterEvent { hub.publish(event) }
    }

    private static func level(_ state: TaskState) -> Logger.Level {
        switch state {
        case .failed, .lost, .error, .dropped, .unreachable, .gone, .goneByOperator: .info
        case .starting, .running, .finished, .killed, .staging, .killing, .unknown: .debug
        }
    }

    func malformed(_ peer: PeerID, _ error: any Error) {
        malformedMessages.increment()
        logger.warning(
            "a peer sent a malformed message and was dropped",
            metadata: ["peer": "\(peer)", "error": "\(error)"])
    }

    func leads(epoch: UInt64, records: Int) {
        logger.notice(
            "this master leads now", metadata: ["epoch": "\(epoch)", "records": "\(records)"])
    }

    func steppedDown(epoch: UInt64, reason: String) {
        // Whoever reads on would wait in vain: another master has the events from now on.
        hub.endStreams()
        logger.warning(
            "this master does not lead any more; running tasks go on",
            metadata: ["epoch": "\(epoch)", "reason": "\(reason)"])
    }

    func follows(_ leader: String) {
        logger.info("another master leads", metadata: ["leader": "\(leader)"])
    }

    func warned(_ what: String) { logger.warning("\(what)") }

    func degraded(_ problem: String) {
        logger.warning("the registry is not well", metadata: ["problem": "\(problem)"])
    }

    func commitFailed(_ message: String) {
        failure.withLock { $0 = $0 ?? message }
        logger.critical(
            "the registry cannot be written; the master stops",
            metadata: ["error": "\(message)"])
    }
}
