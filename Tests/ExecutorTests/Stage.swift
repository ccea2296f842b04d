@_spi(Driver) import ProfferKernel
import ProfferModel

@testable import ProfferExecutor

/// An executor with a clock that stands still until it is moved.
struct Stage {
    static let frameworkID: FrameworkID = "framework"
    static let peer = PeerID(1)

    var executor: Executor
    var now = Instant.zero
    var effects: [ExecutorEffect] = []

    init(
        configuration: ExecutorConfiguration = ExecutorConfiguration(
            frameworkID: Stage.frameworkID, executorID: "executor"),
        capabilities: FrameworkCapabilities = [.taskKillingState], isSubscribed: Bool = true
    ) {
        executor = Executor(
            configuration: configuration,
            clock: WallClock(.zero, is: WallTime(nanosecondsSince1970: 0)), seed: 7, at: .zero)
        if !isSubscribed { return }
        send(.agentOpened(Self.peer))
        let framework = FrameworkInfo(
            name: "tests", id: Self.frameworkID, capabilities: capabilities)
        tell(
            .subscribed(
                executor: ExecutorInfo(id: "executor"), framework: framework,
                agent: AgentInfo(hostname: "node", id: "agent"), container: "run"))
        effects = []
    }

    mutating func send(_ input: ExecutorInput) {
        var outbox = Outbox<ExecutorEffect>()
        executor.handle(input, at: now, into: &outbox)
        effects += outbox.takeAll()
    }

    mutating func tell(_ event: ExecutorEvent, in peer: PeerID = Stage.peer) {
        send(.event(event, from: peer))
    }

    /// Lets time pass, stopping at every deadline on the way.
    mutating func pass(_ span: Duration) {
        let end = now + span
        while let deadline = executor.nextDeadline, deadline <= end {
            now = max(now, deadline)
            var outbox = Outbox<ExecutorEffect>()
            executor.wake(at: now, into: &outbox)
            effects += outbox.takeAll()
        }
        now = end
    }

    /// Launches a task and, unless told otherwise, lets its process run.
    mutating func launch(_ info: TaskInfo, runs: Bool = true) {
        tell(.launch(info, sandbox: "/sandbox/\(info.id)"))
        if runs { send(.processStarted(info.id, pid: 100, startTicks: 5)) }
    }

    mutating func exit(_ id: TaskID, code: Int, tail: String = "") {
        send(.processExited(id, TaskExit(code: code), errorTail: tail))
    }

    mutating func exit(_ id: TaskID, signal: Int) {
        send(.processExited(id, TaskExit(signal: signal), errorTail: ""))
    }

    mutating func acknowledgeAll() {
        for status in updates {
            if let uuid = status.uuid { tell(.acknowledged(status.taskID, uuid: uuid)) }
        }
    }

    static func task(
        _ id: TaskID, healthCheck: HealthCheck? = nil, check: CheckInfo? = nil,
        killPolicy: KillPolicy? = nil, limit: Duration? = nil
    ) -> TaskInfo {
        TaskInfo(
            name: id.value, id: id, agentID: "agent", command: CommandInfo(value: "sleep 1"),
            healthCheck: healthCheck, check: check, killPolicy: killPolicy,
            maxCompletionTime: limit)
    }

    /// Every update that was sent, in order.
    var updates: [TaskStatus] {
        effects.compactMap { effect in
            if case .tellAgent(.update(let status), _) = effect { status } else { nil }
        }
    }

    var states: [TaskState] { updates.map(\.state) }

    var signals: [Int32] {
        effects.compactMap { effect in
            if case .signal(_, let number) = effect { number } else { nil }
        }
    }

    var checks: [CheckReference] {
        effects.compactMap { effect in
            if case .runCheck(let reference, _, _) = effect { reference } else { nil }
        }
    }

    var launches: [TaskLaunch] {
        effects.compactMap { effect in
            if case .start(let launch) = effect { launch } else { nil }
        }
    }

    var subscriptions: [(tasks: [TaskInfo], updates: [TaskStatus])] {
        effects.compactMap { effect in
            if case .tellAgent(.subscribe(let tasks, let updates), _) = effect {
                (tasks, updates)
            } else {
                nil
            }
        }
    }

    var hasExited: Bool { effects.contains(.exit(code: 0)) }
}
