internal import DequeModule
internal import ProfferKernel
internal import ProfferModel

/// One task of an executor, from its launch until its last update is acknowledged.
struct TaskRow: Sendable {
    /// How far its process is.
    enum Phase: Hashable, Sendable {
        /// The shell has been asked to start it.
        case starting
        /// It has a process.
        case running
        /// Its process has ended or never was.
        case ended
    }

    /// Why a task is killed.
    enum KillCause: Hashable, Sendable {
        /// The framework, the operator or the agent wants it.
        case request
        /// Its health checks failed.
        case unhealthy
        /// Its sandbox takes more of the disk than it has; both in bytes.
        case disk(used: Int64, limit: Int64)
        /// It ran longer than it may.
        case completionTime
        /// Another task of its group failed or was killed.
        case group(TaskID)
        /// The executor ends.
        case shutdown
    }

    /// A kill under way.
    struct Kill: Hashable, Sendable {
        /// The first reason.
        var cause: KillCause
        /// When it began; a shorter grace counts from here.
        var began: Instant
        /// When TERM becomes KILL.
        var deadline: Instant
        /// Whether KILL was sent.
        var isForced = false
    }

    /// An update that is not acknowledged.
    struct Pending: Hashable, Sendable {
        var status: TaskStatus
        /// Whether it was sent in any session.
        var wasSent: Bool
    }

    /// The state of one of its two checks.
    struct Check: Hashable, Sendable {
        /// Counts the runs.
        var number: UInt64 = 0
        /// Whether the answer to that number is awaited.
        var isRunning = false
    }

    let info: TaskInfo
    let sandbox: String
    /// Counts groups; `nil` for a task of its own.
    let group: UInt64?
    var phase = Phase.starting
    var state = TaskState.staging
    var kill: Kill?
    var pid: Int?
    /// Those of its own network.
    var addresses: [String] = []
    var runningSince: Instant?
    /// Whether the agent has acknowledged any update, and so knows the task.
    var isKnownToAgent = false
    var pending: Deque<Pending> = []

    var health = Check()
    var check = Check()
    var healthy: Bool?
    var failuresInRow = 0
    var checkResult: CheckResult?
    var exit: TaskExit?
}

/// Signals by number, as the kernel of Linux counts them.
enum Signal {
    static let terminate: Int32 = 15
    static let kill: Int32 = 9

    private static let names = [
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE",
        "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM",
        "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
    ]

    /// The name of a signal, or its number when it has none.
    static func name(_ number: Int) -> String {
        names.indices.contains(number - 1) ? names[number - 1] : "signal \(number)"
    }
}
