internal import Foundation
internal import ProfferAPI
internal import Synchronization

/// How long tasks take from the offer they were launched with until they run.
///
/// Both ends are events of the master's stream, taken when they arrive here. A task belongs to the
/// offer of its framework and agent that was accepted last before it was launched.
struct LaunchTimes: Sendable {
    private struct Place: Hashable {
        var framework: String
        var agent: String
    }

    private var offers: [String: (place: Place, at: ContinuousClock.Instant)] = [:]
    private var accepted: [Place: ContinuousClock.Instant] = [:]
    private var launched: [String: ContinuousClock.Instant] = [:]
    private var known: Set<String> = []
    /// One of each task that runs or ran.
    private(set) var durations: [Duration] = []

    /// How many tasks were launched.
    var taskCount: Int { known.count }

    /// Takes note of an event.
    mutating func take(_ event: EventObject, at now: ContinuousClock.Instant) {
        switch event.kind {
        case "offer":
            guard let framework = event.framework, let agent = event.agent else { return }
            offers[event.id] = (Place(framework: framework, agent: agent), now)
        case "offer_end":
            guard let offer = offers.removeValue(forKey: event.id) else { return }
            if event.state == "accepted" { accepted[offer.place] = offer.at }
        case "task":
            guard let framework = event.framework, let agent = event.agent else { return }
            let key = framework + "/" + event.id
            if known.insert(key).inserted {
                launched[key] = accepted[Place(framework: framework, agent: agent)]
            }
            if event.state == "TASK_RUNNING", let begin = launched.removeValue(forKey: key) {
                durations.append(now - begin)
            }
        default: break
        }
    }
}

/// The smallest value that at least `percent` of the values do not exceed; `nil` without values.
func percentile(_ percent: Int, of values: [Duration]) -> Duration? {
    guard !values.isEmpty else { return nil }
    let rank = (values.count * min(max(percent, 0), 100) + 99) / 100
    return values.sorted()[max(0, rank - 1)]
}

/// Listens to the master's events while the demo runs.
final class EventListener: Sendable {
    private let times = Mutex(LaunchTimes())
    private let isLost = Atomic(false)
    private let work = Mutex<Task<Void, Never>?>(nil)

    init(_ client: Client) {
        let task = Task { [weak self] in
            try? await client.events { event in
                guard let self else { return false }
                self.times.withLock { $0.take(event, at: .now) }
                return true
            }
            if !Task.isCancelled { self?.isLost.store(true, ordering: .relaxed) }
        }
        work.withLock { $0 = task }
    }

    /// What was learned so far.
    var launchTimes: LaunchTimes { times.withLock { $0 } }

    /// Whether the stream broke off, so that the numbers are not of everything.
    var isIncomplete: Bool { isLost.load(ordering: .relaxed) }

    func stop() { work.withLock { $0 }?.cancel() }
}
