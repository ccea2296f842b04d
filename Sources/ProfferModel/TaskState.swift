/// The state of a task, numbered as on the wire.
///
/// ``mayBecome(_:)`` is the table of legal moves as an agent sees them; the master may in addition
/// learn of a state without having seen those before it.
public enum TaskState: Int, CaseIterable, Hashable, Sendable {
    /// The executor has the task.
    case starting = 0
    /// It runs.
    case running = 1
    /// It ended by itself with exit code 0.
    case finished = 2
    /// It ended otherwise.
    case failed = 3
    /// It was killed on request.
    case killed = 4
    /// For frameworks that are not partition aware: dropped, unreachable, gone or unknown.
    case lost = 5
    /// The master has accepted it; nothing is known from the agent.
    case staging = 6
    /// Its description was refused; the same description will be refused again.
    case error = 7
    /// It is being killed.
    case killing = 8
    /// It was never started.
    case dropped = 9
    /// Its agent does not answer; it may come back.
    case unreachable = 10
    /// It ran and does not run now.
    case gone = 11
    /// Its agent was declared gone by the operator.
    case goneByOperator = 12
    /// The master has never heard of it.
    case unknown = 13

    /// Whether nothing can come after it.
    ///
    /// `lost` counts as terminal, as in Mesos, although a lost task can return with its agent.
    public var isTerminal: Bool {
        switch self {
        case .finished, .failed, .killed, .lost, .error, .dropped, .gone, .goneByOperator: true
        case .starting, .running, .staging, .killing, .unreachable, .unknown: false
        }
    }

    /// The states an agent may report directly after this one.
    public var successors: [TaskState] {
        switch self {
        case .staging:
            [
                .starting, .running, .killing, .finished, .failed, .killed, .lost, .error,
                .dropped, .gone, .goneByOperator, .unreachable,
            ]
        case .starting:
            [
                .starting, .running, .killing, .finished, .failed, .killed, .lost, .error, .gone,
                .goneByOperator, .unreachable,
            ]
        case .running:
            [
                .running, .killing, .finished, .failed, .killed, .lost, .error, .gone,
                .goneByOperator, .unreachable,
            ]
        case .killing:
            [
                .killing, .finished, .failed, .killed, .lost, .gone, .goneByOperator,
                .unreachable,
            ]
        case .unreachable:
            [
                .staging, .starting, .running, .killing, .finished, .failed, .killed, .lost,
                .error, .gone, .goneByOperator,
            ]
        case .finished, .failed, .killed, .lost, .error, .dropped, .gone, .goneByOperator,
            .unknown:
            []
        }
    }

    /// Whether `next` may directly follow.
    public func mayBecome(_ next: TaskState) -> Bool { successors.contains(next) }

    /// The wire name, such as `TASK_RUNNING`.
    public var name: String {
        switch self {
        case .starting: "TASK_STARTING"
        case .running: "TASK_RUNNING"
        case .finished: "TASK_FINISHED"
        case .failed: "TASK_FAILED"
        case .killed: "TASK_KILLED"
        case .lost: "TASK_LOST"
        case .staging: "TASK_STAGING"
        case .error: "TASK_ERROR"
        case .killing: "TASK_KILLING"
        case .dropped: "TASK_DROPPED"
        case .unreachable: "TASK_UNREACHABLE"
        case .gone: "TASK_GONE"
        case .goneByOperator: "TASK_GONE_BY_OPERATOR"
        case .unknown: "TASK_UNKNOWN"
        }
    }

    /// What a framework sees instead when it is not partition aware.
    public func visible(toPartitionAware isAware: Bool) -> TaskState {
        if isAware { return self }
        switch self {
        case .dropped, .unreachable, .gone, .goneByOperator, .unknown: return .lost
        case .starting, .running, .finished, .failed, .killed, .lost, .staging, .error, .killing:
            return self
        }
    }
}

/// Who made a status update, numbered as on the wire.
public enum StatusSource: Int, CaseIterable, Hashable, Sendable {
    /// The master.
    case master = 0
    /// The agent.
    case agent = 1
    /// The executor.
    case executor = 2

    /// The wire name.
    public var name: String {
        switch self {
        case .master: "SOURCE_MASTER"
        case .agent: "SOURCE_AGENT"
        case .executor: "SOURCE_EXECUTOR"
        }
    }
}

/// Why a task is in its state, numbered as on the wire.
public enum StatusReason: Int, CaseIterable, Hashable, Sendable {
    /// The command executor failed.
    case commandExecutorFailed = 0
    /// The executor ended while the task was alive.
    case executorTerminated = 1
    /// The executor left.
    case executorUnregistered = 2
    /// The framework was torn down or timed out.
    case frameworkRemoved = 3
    /// The sandbox could not be kept from collection.
    case gcError = 4
    /// The framework id is not known.
    case invalidFrameworkID = 5
    /// An offer of the ACCEPT was not valid (any more).
    case invalidOffers = 6
    /// There was no master.
    case masterDisconnected = 7
    /// It used more memory than its limit.
    case containerLimitationMemory = 8
    /// The answer to a RECONCILE.
    case reconciliation = 9
    /// The connection to the agent broke.
    case agentDisconnected = 10
    /// The agent was removed.
    case agentRemoved = 11
    /// The agent restarted before the executor had the task.
    case agentRestarted = 12
    /// The agent is not known.
    case agentUnknown = 13
    /// The description is not valid.
    case taskInvalid = 14
    /// The framework may not launch it.
    case taskUnauthorized = 15
    /// The task is not known.
    case taskUnknown = 16
    /// It was stopped for another task.
    case containerPreempted = 17
    /// Its resources are not on the agent (any more).
    case resourcesUnknown = 18
    /// It used more than a limit.
    case containerLimitation = 19
    /// It used more disk than its limit.
    case containerLimitationDisk = 20
    /// Its process or container could not be started.
    case containerLaunchFailed = 21
    /// Its limits could not be changed.
    case containerUpdateFailed = 22
    /// The executor did not register in time.
    case executorRegistrationTimeout = 23
    /// The executor did not come back in time.
    case executorReregistrationTimeout = 24
    /// A task of its group is not valid.
    case taskGroupInvalid = 25
    /// A task of its group may not be launched.
    case taskGroupUnauthorized = 26
    /// The carrier of its output ended.
    case ioSwitchboardExited = 27
    /// The result of its check changed.
    case taskCheckStatusUpdated = 28
    /// Its health changed.
    case taskHealthCheckStatusUpdated = 29
    /// It was killed before it ran.
    case taskKilledDuringLaunch = 30
    /// The operator removed the agent.
    case agentRemovedByOperator = 31
    /// Its agent came back.
    case agentReregistered = 32
    /// It ran longer than it may.
    case maxCompletionTimeReached = 33
    /// Its agent is being drained.
    case agentDraining = 34

    /// The wire name, such as `REASON_EXECUTOR_TERMINATED`.
    public var name: String {
        switch self {
        case .invalidFrameworkID: return "REASON_INVALID_FRAMEWORKID"
        case .gcError: return "REASON_GC_ERROR"
        case .ioSwitchboardExited: return "REASON_IO_SWITCHBOARD_EXITED"
        case .agentRemovedByOperator: return "REASON_AGENT_REMOVED_BY_OPERATOR"
        case .commandExecutorFailed, .executorTerminated, .executorUnregistered,
            .frameworkRemoved, .invalidOffers, .masterDisconnected, .containerLimitationMemory,
            .reconciliation, .agentDisconnected, .agentRemoved, .agentRestarted, .agentUnknown,
            .taskInvalid, .taskUnauthorized, .taskUnknown, .containerPreempted,
            .resourcesUnknown, .containerLimitation, .containerLimitationDisk,
            .containerLaunchFailed, .containerUpdateFailed, .executorRegistrationTimeout,
            .executorReregistrationTimeout, .taskGroupInvalid, .taskGroupUnauthorized,
            .taskCheckStatusUpdated, .taskHealthCheckStatusUpdated, .taskKilledDuringLaunch,
            .agentReregistered, .maxCompletionTimeReached, .agentDraining:
            // The case names are the wire names in camel case.
            return "REASON_"
                + "\(self)".reduce(into: "") { text, character in
                    if character.isUppercase { text.append("_") }
                    text.append(contentsOf: character.uppercased())
                }
        }
    }
}
