public import ProfferKernel
public import ProfferModel

/// The decisions of an agent: joins the master, starts executors, hands them their tasks, and keeps
/// every update until its framework has acknowledged it.
///
/// Everything it promises is durable first: one input leads to at most one
/// ``AgentEffect/commit(_:)``, which comes before all other effects of that input. After a crash
/// the records rebuild the agent; executors that live on are taken back when they subscribe again.
///
/// A control message that is repeated changes nothing.
public struct Agent: Machine {
    /// What a deadline is for.
    enum Timer: Hashable, Sendable {
        /// What an earlier run has left is to be dealt with.
        case recovery
        /// The registration was not answered.
        case registration
        /// The master has not pinged.
        case ping
        /// The phase of an executor has lasted long enough.
        case executor(Slot<ExecutorRow>)
        /// An update was not acknowledged.
        case update(Slot<TaskRow>)
        /// A task does not run yet.
        case launch(Slot<TaskRow>)
    }

    /// Whether and how the agent is to end.
    enum Ending: Hashable, Sendable {
        /// It goes on.
        case none
        /// When every executor has gone.
        case afterExecutors(unregister: Bool, reason: String)
        /// It has said that it ends.
        case done
    }

    /// What init has found and the first turn deals with.
    struct Leftovers: Sendable {
        var isRebooted = false
        var updates = 0
        var dead: [Slot<ExecutorRow>] = []
        var forsaken: [Slot<ExecutorRow>] = []
        var orphans: [Slot<TaskRow>] = []
    }

    /// From one attempt to kill an executor to the next.
    static let killRepetition = Duration.seconds(5)
    /// The id of the agent's own executor of each framework.
    static let ownExecutorID = ExecutorID("proffer-executor")

    let configuration: AgentConfiguration
    let bootID: String
    let clock: WallClock
    let paths: Paths
    let tokens: TokenMaker
    var generator: SeededGenerator
    var info: AgentInfo

    var master: PeerID?
    var isRegistered = false
    var registrationBackoff: Duration
    var pingTimeout: Duration
    var ending = Ending.none
    var leftovers: Leftovers?
    var measures = Measures()

    var frameworks = SlotTable<FrameworkRow>()
    var frameworkSlots = LookupTable<FrameworkID, Slot<FrameworkRow>>()
    var executors = SlotTable<ExecutorRow>()
    var executorSlots = LookupTable<ExecutorKey, Slot<ExecutorRow>>()
    var containers = LookupTable<ContainerID, Slot<ExecutorRow>>()
    var executorPeers = LookupTable<PeerID, Slot<ExecutorRow>>()
    var tasks = SlotTable<TaskRow>()
    var taskSlots = LookupTable<TaskKey, Slot<TaskRow>>()
    /// How often the id of each recent task was launched, oldest id first.
    var launchNumbers = OrderedTable<TaskKey, Int>()
    /// Tasks that have not ended.
    var liveTaskCount = 0
    var launchCount: UInt64 = 0
    /// Searches for secrets.
    var searchCount: UInt64 = 0
    /// What the agent has once its volumes are as they should be.
    var wantedResources: Resources?
    /// Changes of volumes that are under way.
    var volumeChanges = 0
    var timers = DeadlineQueue<Timer>()

    /// Makes an agent from what an earlier run has left.
    ///
    /// - Parameters:
    ///   - configuration: How it behaves; see ``AgentConfiguration/problems()``.
    ///   - info: What the node has; the id is taken from the records.
    ///   - bootID: Names the present boot of the node.
    ///   - records: Everything that was kept, in any order.
    ///   - livingExecutors: Those executors in the records whose process still exists; the shell
    ///     watches them and reports their end.
    ///   - wallClock: Stamps updates.
    ///   - seed: From the system's random numbers; executor tokens depend on it.
    ///   - oversubscription: How it offers what its tasks hold but do not use; `nil` for not.
    ///   - now: The present instant; time for executors to come back counts from here.
    public init(
        configuration: AgentConfiguration, info: AgentInfo, bootID: String,
        replaying records: [AgentRecord], livingExecutors: [ContainerID], wallClock: WallClock,
        seed: UInt64, oversubscription: Oversubscription? = nil, at now: Instant
    ) {
        self.configuration = configuration
        measures.oversubscription = oversubscription
        self.info = info
        self.bootID = bootID
        clock = wallClock
        paths = Paths(root: configuration.workDirectory)
        tokens = TokenMaker(seed: seed)
        generator = SeededGenerator(seed: TokenMaker.publicSeed(from: seed))
        registrationBackoff = configuration.registrationBackoff
        pingTimeout = configuration.pingTimeout
        recover(records, living: livingExecutors, at: now)
    }

    /// When ``wake(at:into:)`` is next due.
    public var nextDeadline: Instant? { ending == .done ? nil : timers.next }

    /// Takes one input to completion.
    public mutating func handle(
        _ input: AgentInput, at now: Instant, into outbox: inout Outbox<AgentEffect>
    ) {
        if ending == .done { return }
        var turn = Turn(at: now, master: master)
        finishRecovery(&turn)
        switch input {
        case .masterOpened(let peer): openMaster(peer, &turn)
        case .masterClosed(let peer, let reason):
            if peer == master { loseMaster(reason, &turn) }
        case .master(let message, let peer):
            if peer == master { obey(message, &turn) }
        case .executor(let message, let peer, let credential):
            hear(message, from: peer, credential, &turn)
        case .executorClosed(let peer): closeExecutor(peer, &turn)
        case .executorStarted(let container, let pid, let ticks):
            noteStart(of: container, pid: pid, startTicks: ticks, &turn)
        case .executorLaunchFailed(let container, let message):
            noteFailure(of: container, message, &turn)
        case .executorExited(let container, let status):
            noteExit(of: container, status: status, &turn)
        case .tasksSwept(let container): noteSweep(of: container, &turn)
        case .secretsFound(let ticket): noteSecrets(ticket, &turn)
        case .secretsMissing(let ticket, let message): missSecrets(ticket, message, &turn)
        case .volumesChanged: noteVolumeChange(&turn)
        case .usage(let usage): report(usage, &turn)
        case .operation(let operation, let query): answer(operation, query, &turn)
        case .stop(let unregister): stop(unregister: unregister, &turn)
        }
        endIfDone(&turn)
        turn.finish(into: &outbox)
    }

    /// Lets everything happen that is due at `now`.
    public mutating func wake(at now: Instant, into outbox: inout Outbox<AgentEffect>) {
        if ending == .done { return }
        var turn = Turn(at: now, master: master)
        finishRecovery(&turn)
        while ending != .done, let timer = timers.popDue(at: now) {
            switch timer {
            case .recovery: break
            case .registration: repeatRegistration(&turn)
            case .ping: missPing(&turn)
            case .executor(let slot): runOut(slot, &turn)
            case .update(let slot): repeatUpdates(slot, &turn)
            case .launch(let slot): giveUpLaunch(slot, &turn)
            }
        }
        endIfDone(&turn)
        turn.finish(into: &outbox)
    }

    // MARK: End

    private mutating func stop(unregister: Bool, _ turn: inout Turn) {
        if unregister {
            ending = .afterExecutors(unregister: true, reason: "the agent leaves the cluster")
            for slot in executors.slots {
                stopExecutor(slot, because: "the agent leaves the cluster", &turn)
            }
            return
        }
        for slot in executors.slots {
            guard let row = executors[slot], let pid = row.pid, let ticks = row.startTicks,
                !isCheckpointing(row.key.framework)
            else { continue }
            turn.effects.append(.killExecutor(row.containerID, pid: pid, startTicks: ticks))
        }
        finish("the agent was asked to stop", exitCode: 0, &turn)
    }

    /// Ends everything on the master's order.
    mutating func shutDown(_ reason: String, _ turn: inout Turn) {
        guard ending == .none else { return }
        ending = .afterExecutors(unregister: false, reason: reason)
        for slot in executors.slots { stopExecutor(slot, because: reason, &turn) }
    }

    mutating func finish(_ reason: String, exitCode: Int, _ turn: inout Turn) {
        ending = .done
        turn.effects.append(.terminate(reason: reason, exitCode: exitCode))
    }

    private mutating func endIfDone(_ turn: inout Turn) {
        guard case .afterExecutors(let unregister, let reason) = ending, executors.count == 0
        else { return }
        if unregister {
            var anonymous = info
            anonymous.id = nil
            turn.records.append(.identity(anonymous, bootID: bootID))
            for slot in tasks.slots { forget(slot, &turn) }
            if isRegistered { turn.tellMaster(.unregister) }
        }
        finish(reason, exitCode: 0, &turn)
    }
}
