@_spi(Driver) import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferExecutorDriver

/// A policy that notes everything and does what it is commanded to do.
struct Recorder: ExecutorPolicy {
    var happenings: [ExecutorHappening<ExecutorAction<String>>] = []
    var wakeAt: Instant?

    var nextDeadline: Instant? { wakeAt }

    mutating func handle(
        _ happening: ExecutorHappening<ExecutorAction<String>>, at now: Instant,
        into actions: inout Outbox<ExecutorAction<String>>
    ) {
        happenings.append(happening)
        if case .command(let action) = happening { actions.append(action) }
    }

    mutating func wake(at now: Instant, into actions: inout Outbox<ExecutorAction<String>>) {
        wakeAt = nil
        actions.append(.output("woken"))
    }

    var launches: [TaskID] {
        happenings.flatMap { happening -> [TaskID] in
            switch happening {
            case .launch(let task): [task.info.id]
            case .launchGroup(let tasks): tasks.map(\.info.id)
            default: []
            }
        }
    }

    var kills: [Duration] {
        happenings.compactMap { if case .kill(_, let grace) = $0 { grace } else { nil } }
    }
}

/// A driver with an agent that the test plays.
struct Bench {
    typealias Driver = ExecutorDriver<Recorder>
    var driver: Driver
    var now = Instant.zero
    var effects: [Driver.Effect] = []

    static let peer = PeerID(1)

    init(shutdownGrace: Duration = .seconds(5), wakeAt: Instant? = nil) {
        driver = Driver(
            policy: Recorder(wakeAt: wakeAt),
            options: ExecutorOptions(
                frameworkID: "f", executorID: "e", shutdownGrace: shutdownGrace),
            clock: WallClock(.zero, is: WallTime(nanosecondsSince1970: 1000)), seed: 1, at: .zero)
    }

    /// A driver that has subscribed.
    static func subscribed(
        shutdownGrace: Duration = .seconds(5), capabilities: FrameworkCapabilities = []
    ) -> Bench {
        var bench = Bench(shutdownGrace: shutdownGrace)
        bench.give(.opened(peer))
        bench.event(
            .subscribed(
                executor: ExecutorInfo(id: "e"),
                framework: FrameworkInfo(name: "f", capabilities: capabilities),
                agent: AgentInfo(hostname: "h", id: "a"), container: "c"))
        return bench
    }

    mutating func give(_ input: Driver.Input) {
        var outbox = Outbox<Driver.Effect>()
        driver.handle(input, at: now, into: &outbox)
        effects += outbox.takeAll()
    }

    mutating func event(_ event: ExecutorEvent, from peer: PeerID = Bench.peer) {
        give(.event(event, from: peer))
    }

    mutating func launch(_ id: TaskID, killGrace: Duration? = nil) {
        event(
            .launch(
                TaskInfo(
                    name: "t", id: id, agentID: "a",
                    killPolicy: killGrace.map { KillPolicy(gracePeriod: $0) }), sandbox: "/s"))
    }

    mutating func report(_ id: TaskID, _ state: TaskState, message: String? = nil) {
        give(.command(.update(TaskStatus(taskID: id, state: state, message: message))))
    }

    mutating func pass(_ span: Duration) {
        let end = now + span
        while let deadline = driver.nextDeadline, deadline <= end {
            now = max(now, deadline)
            var outbox = Outbox<Driver.Effect>()
            driver.wake(at: now, into: &outbox)
            effects += outbox.takeAll()
            #expect(driver.nextDeadline.map { $0 > now } ?? true)
        }
        now = end
    }

    var calls: [ExecutorCall] {
        effects.compactMap { if case .send(let call, _) = $0 { call } else { nil } }
    }

    var updates: [TaskStatus] {
        calls.compactMap { if case .update(let status) = $0 { status } else { nil } }
    }

    var notices: [ExecutorNotice] {
        effects.compactMap { if case .observe(let notice) = $0 { notice } else { nil } }
    }

    var hasEnded: Bool { effects.contains { if case .ended = $0 { true } else { false } } }

    /// What the last subscription listed.
    var listed: (tasks: [TaskID], updates: [TaskStatus]) {
        for call in calls.reversed() {
            if case .subscribe(let tasks, let updates) = call { return (tasks.map(\.id), updates) }
        }
        return ([], [])
    }

    /// Acknowledges everything that was sent of a task.
    mutating func acknowledge(_ id: TaskID) {
        for status in updates where status.taskID == id {
            if let uuid = status.uuid { event(.acknowledged(id, uuid: uuid)) }
        }
    }
}
