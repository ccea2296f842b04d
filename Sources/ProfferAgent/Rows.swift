internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

/// A framework with tasks or executors here.
struct FrameworkRow: Sendable {
    var info: FrameworkInfo
    /// Tasks and executors that hold it.
    var holders = 0
    /// Whether the master has ended it: its updates interest nobody.
    var isRemoved = false
}

/// One run of an executor, from the wish to start it until its end.
struct ExecutorRow: Sendable {
    /// How far it is; each phase but an untroubled `ready` has one deadline.
    enum Phase: Hashable, Sendable {
        /// It has not subscribed yet.
        case starting
        /// It has a session. The deadline, if any, is the end of patience with its idleness.
        case ready
        /// It has no session and is expected back.
        case away
        /// It was told to end; the deadline turns that into a kill.
        case stopping
        /// It is killed, again at each deadline, until it is gone.
        case killing
        /// It is gone, and what its tasks have left is killed, again at each deadline, until that
        /// is gone too: only then are its resources free.
        case sweeping
    }

    /// Tasks to be launched together.
    struct Unit: Sendable {
        var tasks: [Slot<TaskRow>]
        var isGroup: Bool
    }

    /// A search for the secrets of tasks that are to be launched when it ends.
    struct Search: Sendable {
        var ticket: SecretTicket
        var unit: Unit
    }

    /// What becomes of the tasks that are alive when the executor ends.
    struct Cause: Hashable, Sendable {
        var reason = StatusReason.executorTerminated
        var message = "the executor ended"
    }

    let key: ExecutorKey
    var info: ExecutorInfo
    var role: String
    let containerID: ContainerID
    let directory: String
    let token: String
    let isRecovered: Bool
    /// Whether it has subscribed since the agent started.
    var hasSubscribed = false
    var pid: Int?
    var startTicks: UInt64?
    var phase = Phase.starting
    var peer: PeerID?
    var cause = Cause()
    /// How its process ended, while its last words may still be under way.
    var exitStatus: Int?
    /// What waits for the subscription or, when the executor is ending, for its successor.
    var queue = Deque<Unit>()
    /// What waits for its secrets; its tasks count as queued.
    var searches: [Search] = []
    /// Tasks that have not ended, queued ones included.
    var taskCount = 0
    /// What a custom executor and its tasks have taken; nothing for the agent's own, whose tasks
    /// are limited one by one.
    var held = Resources()

    var isEnding: Bool { phase == .stopping || phase == .killing || phase == .sweeping }

    var checkpoint: ExecutorCheckpoint {
        ExecutorCheckpoint(
            info: info, role: role, containerID: containerID, directory: directory, token: token,
            pid: pid, startTicks: startTicks)
    }
}

/// One task, from its acceptance until its last update is acknowledged.
struct TaskRow: Sendable {
    /// How far it is towards its executor.
    enum Phase: Hashable, Sendable {
        /// It waits for its executor's subscription, or for its secrets.
        case queued
        /// Its executor was told to launch it and has not mentioned it yet.
        case sent
        /// Its executor has mentioned it.
        case known
        /// It has ended.
        case ended
    }

    /// An update that is not acknowledged.
    struct Pending: Hashable, Sendable {
        var sequence: UInt64
        var status: TaskStatus
    }

    /// What a task used at some time; kept apart because it is large and rows are copied often.
    final class Measured: Sendable {
        let usage: TaskUsage
        let at: Instant

        init(_ usage: TaskUsage, at: Instant) {
            self.usage = usage
            self.at = at
        }
    }

    /// How many accepted updates a task remembers to recognise repetitions.
    static let memory = 16

    let key: TaskKey
    /// Absent when the agent has never known the task and only says so.
    let info: TaskInfo?
    let role: String
    let executorID: ExecutorID
    var executor: Slot<ExecutorRow>?
    let sandbox: String
    let groupID: TaskID?
    let window: Int
    /// Counts launches.
    let serial: UInt64
    let isRecovered: Bool
    var phase: Phase
    /// The newest state.
    var state: TaskState
    /// The wish to kill it, once there is one.
    var kill: Kill?
    /// After how long it was given up because it did not run.
    var lateAfter: Duration?
    /// What it uses, as told last.
    var measured: Measured?
    /// Why it has to go though nobody has asked for it; its end is told as preemption.
    var preemption: String?

    var pending = Deque<Pending>()
    /// How many of `pending`, from its front, were sent in the present session.
    var forwarded = 0
    var nextSequence: UInt64 = 1
    var retry: Duration = .zero
    /// The update that was acknowledged last.
    var lastAcknowledged: UpdateID?
    /// Updates accepted last, the newest at the end.
    var recent = Deque<UpdateID>()

    /// The wish to kill a task.
    struct Kill: Hashable, Sendable {
        var policy: KillPolicy?
    }

    var position: UpdatePosition {
        UpdatePosition(latestState: state, latestUUID: pending.last?.status.uuid)
    }

    /// What is durable of it; the updates apart.
    var checkpoint: TaskCheckpoint? {
        guard let info else { return nil }
        return TaskCheckpoint(
            info: info, role: role, executorID: executorID, sandbox: sandbox, state: state,
            groupID: groupID, updateWindow: window, lastAcknowledged: lastAcknowledged)
    }

    /// Whether an update is known already.
    func knows(_ id: UpdateID) -> Bool {
        id == lastAcknowledged || recent.contains(id) || pending.contains { $0.status.uuid == id }
    }

    mutating func remember(_ id: UpdateID) {
        recent.append(id)
        if recent.count > Self.memory { recent.removeFirst() }
    }
}

/// What one input leads to: facts to make durable, then effects that rest on them.
struct Turn: ~Copyable {
    let now: Instant
    /// The session with the master, as far as this turn has got.
    var master: PeerID?
    var records: [AgentRecord] = []
    var effects: [AgentEffect] = []

    init(at now: Instant, master: PeerID?) {
        self.now = now
        self.master = master
    }

    mutating func observe(_ observation: AgentObservation) { effects.append(.observe(observation)) }

    mutating func tellMaster(_ message: AgentToMaster) {
        if let master { effects.append(.tellMaster(message, master)) }
    }

    /// Hands everything over: one commit, then what has to wait for it.
    consuming func finish(into outbox: inout Outbox<AgentEffect>) {
        if !records.isEmpty { outbox.append(.commit(records)) }
        for effect in effects { outbox.append(effect) }
    }
}
