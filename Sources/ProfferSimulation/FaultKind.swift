/// What can go wrong in a simulated cluster.
///
/// The first group is planned: a run chooses kinds, times and victims from its seed. The second
/// group happens by itself, at rates that the seed chooses or as a consequence of the first.
public enum FaultKind: Int, CaseIterable, Sendable {
    // MARK: Planned

    /// The leading master is killed.
    case leaderKilled
    /// A master that does not lead is killed.
    case standbyKilled
    /// The leading master is stopped past its lease and goes on.
    case leaderPaused
    /// The machine of the leading master is suspended past its lease: its clock stands still.
    case leaderSuspended
    /// An agent is killed; its executors and tasks live on.
    case agentKilled
    /// An agent is stopped for a while.
    case agentPaused
    /// An agent dies again and again soon after its start.
    case agentCrashLoop
    /// An agent's directory is deleted while it is down.
    case agentDiskWiped
    /// A framework's process is killed.
    case frameworkKilled
    /// A framework's process is stopped for a while.
    case frameworkPaused
    /// An executor is killed.
    case executorKilled
    /// An executor is stopped for a while.
    case executorPaused
    /// A task's process is killed from outside.
    case taskKilled
    /// A node loses power and boots anew.
    case nodeRebooted
    /// A master and an agent are killed at once.
    case masterAndAgentKilled
    /// Every master and agent is killed at once.
    case everythingKilled
    /// Every process stops for a while, as when a machine is suspended.
    case everythingPaused
    /// A process takes its turns late.
    case processSlow
    /// A process dies between two effects of one turn.
    case crashArmed
    /// Nothing passes between a master and an agent.
    case partition
    /// Nothing passes in one direction between two nodes.
    case partitionOneWay
    /// Nothing passes to or from a node.
    case nodeIsolated
    /// Nothing passes between a framework and a master.
    case frameworkPartitioned
    /// A link stops and starts again, many times.
    case linkFlapping
    /// What is under way on a link waits.
    case linkClogged
    /// Links clog one by one and open in another order.
    case swizzle
    /// A link becomes slow.
    case linkSlow
    /// Queues towards a node hold a few messages only.
    case queueSmall
    /// A connection breaks for both sides.
    case connectionBroken
    /// A connection breaks for the side that made it only.
    case connectionHalfBroken
    /// Messages of a connection that is gone arrive a second time.
    case frameRepeated
    /// An agent's disk is slow for a while.
    case agentDiskSlow
    /// An agent's disk is full for a while.
    case agentDiskFull
    /// An agent's disk fails once.
    case agentDiskFails
    /// The registry is slow for a while.
    case registrySlow
    /// The registry fails once.
    case registryFails
    /// The registry writes, and the answer is lost.
    case registryAnswerLost
    /// There is no quorum of the coordinator for a while.
    case coordinatorOutage
    /// The coordinator does not hear the leader for a while.
    case leaderCutOff
    /// The coordinator takes the leader's lease away by mistake.
    case leaseRevoked
    /// The coordinator confirms the next renewal of a lost lease.
    case renewalLie
    /// The coordinator answers reads with what was before, for a while.
    case readStale
    /// A monotonic clock runs at another rate.
    case clockRate
    /// A wall clock jumps.
    case wallClockJump
    /// An operator kills a task.
    case operatorKills
    /// An operator changes a weight.
    case operatorWeighs
    /// An operator sets or removes a quota.
    case operatorSetsQuota
    /// An operator tears a framework down.
    case operatorTearsDown
    /// A stranger claims the id of a framework or agent.
    case impostor
    /// An operator drains an agent, and takes it into use again later.
    case operatorDrains
    /// An operator takes an agent out of use, and into use again later.
    case operatorDeactivates

    // MARK: By themselves

    /// A process died in the middle of a turn.
    case crashInTurn
    /// A message was dropped because there was no connection.
    case sendWithoutConnection
    /// A message was dropped at the high-water mark.
    case highWaterMark
    /// A message went into a connection whose other side is gone without a word.
    case sendIntoHalfOpen
    /// Something of an old connection arrived after the new one.
    case lateFrame
    /// What was under way was lost with its connection.
    case lossAtReconnect
    /// A side was gone without a word.
    case halfOpen
    /// Writes that were under way at a crash were lost.
    case unsyncedTailLost
    /// The last write before a crash was torn.
    case tornWrite
    /// A write was delayed.
    case diskSlow
    /// A write failed for want of room.
    case diskFull
    /// A write failed.
    case diskErrorOnce
    /// A write was done, and its answer lost.
    case commitAnswerLost
    /// A write took so long that its process gave up.
    case commitTookTooLong
    /// A write of a master that was deposed was refused.
    case commitFenced
    /// A request to the coordinator was not answered.
    case coordinatorDown
    /// A request to the coordinator or its answer took long.
    case coordinatorSlow
    /// A commit whose answer was lost was sent again and found to be done.
    case commitRepeated
    /// A new leader was told of a registry as it was before it took over.
    case staleReadRefused
    /// The coordinator confirmed a renewal falsely.
    case falseRenewal
    /// A leader gave up by its own clock.
    case leadershipGivenUp
    /// An executor could not be started.
    case executorLaunchFails
    /// An executor took long to start.
    case executorStartsSlowly
    /// A task could not be started.
    case taskDoesNotStart
    /// A task ended at once.
    case taskExitsAtOnce
    /// A task failed.
    case taskFails
    /// A task was killed for its memory.
    case taskOutOfMemory
    /// A task did not care about TERM.
    case taskIgnoresTerm
    /// A task did not end at once after KILL.
    case taskLingers
    /// A check found a task not healthy.
    case taskUnhealthy

    /// Its name in transcripts and reports.
    public var name: String { "\(self)" }

    /// Whether a run plans it; otherwise it happens by itself.
    public var isPlanned: Bool { rawValue <= FaultKind.operatorDeactivates.rawValue }

    static let planned = allCases.filter(\.isPlanned)
    /// Those that take agents out of use.
    static let withdrawals: [FaultKind] = [.operatorDrains, .operatorDeactivates]

    /// Whether it needs several masters.
    var needsStandby: Bool {
        switch self {
        case .standbyKilled, .leaderPaused, .leaderSuspended, .leaderCutOff, .leaseRevoked,
            .renewalLie, .readStale:
            true
        default: false
        }
    }
}

/// How often each kind of fault has really happened.
public struct FaultTally: Hashable, Sendable {
    private var counts = [Int](repeating: 0, count: FaultKind.allCases.count)

    /// Nothing has happened.
    public init() {}

    /// How often a kind has happened.
    public subscript(kind: FaultKind) -> Int { counts[kind.rawValue] }

    mutating func hit(_ kind: FaultKind) { counts[kind.rawValue] += 1 }

    /// Adds the counts of another run.
    public mutating func add(_ other: FaultTally) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }

    /// The kinds that have never happened.
    public var missing: [FaultKind] { FaultKind.allCases.filter { self[$0] == 0 } }
}
