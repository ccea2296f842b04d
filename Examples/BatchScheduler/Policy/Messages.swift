public import Proffer

/// The state of a job.
public enum JobState: String, Hashable, Sendable, CaseIterable, Codable {
    /// Nothing of it has been launched yet.
    case queued = "QUEUED"
    /// Something has been launched.
    case running = "RUNNING"
    /// Every instance has finished.
    case finished = "FINISHED"
    /// An instance has failed for good; nothing runs any more.
    case failed = "FAILED"
    /// Somebody cancelled it; nothing runs any more.
    case cancelled = "CANCELLED"

    /// Whether nothing can come after it.
    public var isFinal: Bool {
        switch self {
        case .queued, .running: false
        case .finished, .failed, .cancelled: true
        }
    }
}

/// How many instances are in which state.
public struct InstanceCounts: Hashable, Sendable {
    /// For a dependency or a back-off.
    public var waiting = 0
    /// For an offer or for the concurrency limit.
    public var ready = 0
    /// Launched, or being collected from.
    public var running = 0
    /// With success.
    public var finished = 0
    /// For good.
    public var failed = 0
    /// Not run, or killed, because the job ended before.
    public var cancelled = 0

    /// All zero.
    public init() {}

    /// Nothing more happens to so many.
    public var done: Int { finished + failed + cancelled }
    /// All of them.
    public var total: Int { waiting + ready + running + done }

    subscript(state: InstanceState) -> Int {
        get {
            switch state {
            case .waiting: waiting
            case .ready: ready
            case .running: running
            case .finished: finished
            case .failed: failed
            case .cancelled: cancelled
            }
        }
        set {
            switch state {
            case .waiting: waiting = newValue
            case .ready: ready = newValue
            case .running: running = newValue
            case .finished: finished = newValue
            case .failed: failed = newValue
            case .cancelled: cancelled = newValue
            }
        }
    }
}

/// The state of one instance of a task.
public enum InstanceState: String, Hashable, Sendable, CaseIterable {
    /// For a dependency or a back-off.
    case waiting = "WAITING"
    /// For an offer or for the concurrency limit.
    case ready = "READY"
    /// Launched, or being collected from.
    case running = "RUNNING"
    /// With success.
    case finished = "FINISHED"
    /// For good.
    case failed = "FAILED"
    /// Not run, or killed, because the job ended before.
    case cancelled = "CANCELLED"
}

/// Ties an answer to its question; made by whoever asks.
public struct Ticket: Hashable, Sendable {
    /// Any number that is not in use.
    public var number: UInt64

    /// Makes a ticket.
    public init(_ number: UInt64) { self.number = number }
}

/// What users and the shell ask of a ``BatchScheduler``.
public enum BatchCommand: Sendable {
    /// Take a job on.
    case submit(JobSpecification, Ticket)
    /// End a job; harmless when it has ended.
    case cancel(job: String, Ticket)
    /// The jobs, newest first: at most `limit`, submitted before the one with sequence number
    /// `before`.
    case list(state: JobState?, before: Int64?, limit: Int, Ticket)
    /// One job, by id or, the newest, by name.
    case show(job: String, Ticket)
    /// Its instances in the order of tasks and indexes: at most `limit`, from position `from`.
    case instances(
        job: String, task: String?, state: InstanceState?, from: Int, limit: Int, Ticket)
    /// One instance; without a task the only one, or the first task.
    case instance(job: String, task: String?, index: Int, Ticket)
    /// Outputs were collected, or not, and why.
    case collected(Collection, problem: String?)
}

/// What a ``BatchScheduler`` asks of its shell.
public enum BatchOutput: Sendable {
    /// Keep this, all or nothing, before anything later.
    case persist([BatchChange])
    /// Answer a question.
    case answer(Ticket, BatchAnswer)
    /// Fetch files from a sandbox, then say ``BatchCommand/collected(_:problem:)``.
    case collect(Collection)
}

/// Files to fetch from the sandbox of an instance that has finished.
public struct Collection: Hashable, Sendable {
    /// The job's id.
    public var job: String
    /// The task's name.
    public var task: String
    /// The instance.
    public var index: Int
    /// The attempt that finished.
    public var taskID: TaskID
    /// Where it ran.
    public var place: Place
    /// Paths below the sandbox.
    public var files: [String]
}

/// Where an instance runs or ran.
public struct Place: Hashable, Sendable {
    /// The framework under whose id it was launched.
    public var framework: FrameworkID
    /// The agent.
    public var agent: AgentID
    /// Its host name.
    public var hostname: String
    /// The port of its HTTP server.
    public var port: Int

    /// Names a place.
    public init(framework: FrameworkID, agent: AgentID, hostname: String, port: Int) {
        self.framework = framework
        self.agent = agent
        self.hostname = hostname
        self.port = port
    }
}

/// An answer to a ``BatchCommand``.
public enum BatchAnswer: Sendable {
    /// The job as it is now.
    case job(JobView)
    /// Some jobs; `next` continues the list.
    case jobs([JobView], next: Int64?)
    /// Some instances; `next` continues the list.
    case instances([InstanceView], next: Int?)
    /// One instance.
    case instance(InstanceView)
    /// No.
    case refused(BatchProblem)
}

/// Why a command was refused.
public struct BatchProblem: Error, Hashable, Sendable {
    /// What kind of refusal it is.
    public enum Kind: Hashable, Sendable {
        /// There is no such job, task or instance.
        case notFound
        /// The job is not acceptable.
        case invalid
        /// There is too much already.
        case full
    }

    /// What kind of refusal it is.
    public var kind: Kind
    /// What failed.
    public var what: String
    /// Because of what.
    public var because: String
    /// What to do.
    public var advice: String

    /// Describes a refusal.
    public init(kind: Kind, what: String, because: String, advice: String) {
        self.kind = kind
        self.what = what
        self.because = because
        self.advice = advice
    }
}

/// A job as others see it.
public struct JobView: Hashable, Sendable {
    /// Unique for ever.
    public var id: String
    /// Grows from job to job.
    public var sequence: Int64
    /// Its name.
    public var name: String
    /// Its state.
    public var state: JobState
    /// Higher first.
    public var priority: Int
    /// When it was submitted.
    public var created: WallTime
    /// When its first instance was launched.
    public var started: WallTime?
    /// When nothing of it ran any more.
    public var ended: WallTime?
    /// Its instances by state.
    public var counts: InstanceCounts
    /// How often an instance was or will be run again.
    public var retries: Int
    /// Once it has ended; see ``BatchScheduler``.
    public var exitCode: Int?
    /// Why it failed, was cancelled, or is about to.
    public var message: String?
    /// Its tasks; empty in lists.
    public var tasks: [TaskView]
}

/// A task of a job as others see it.
public struct TaskView: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Its state, derived from its instances.
    public var state: InstanceState
    /// Its instances by state.
    public var counts: InstanceCounts
    /// How it was described.
    public var specification: TaskSpecification
    /// The id of the demand that was stated for it, when it waits for offers.
    public var demand: String?
}

/// An instance of a task as others see it.
public struct InstanceView: Hashable, Sendable {
    /// The job's id.
    public var job: String
    /// The task's name.
    public var task: String
    /// From 0.
    public var index: Int
    /// Its state.
    public var state: InstanceState
    /// How often it was launched.
    public var attempts: Int
    /// How the last attempt ended.
    public var exitCode: Int?
    /// Why it is in its state.
    public var message: String?
    /// The last attempt, when there was one.
    public var taskID: TaskID?
    /// Where that runs or ran.
    public var place: Place?
    /// When that was launched.
    public var started: WallTime?
    /// When the instance ended, or will be run again.
    public var ended: WallTime?
}
