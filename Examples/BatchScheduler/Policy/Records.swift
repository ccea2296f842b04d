public import Proffer

/// What must be kept about a job.
public struct JobRecord: Hashable, Sendable {
    /// Unique and growing.
    public var sequence: Int64
    /// Made of the name and the sequence number.
    public var id: String
    /// How it was described.
    public var specification: JobSpecification
    /// Its state.
    public var state: JobState
    /// Where it will get when its running instances have ended.
    public var ending: JobState?
    /// When it was submitted.
    public var created: WallTime
    /// When its first instance was launched.
    public var started: WallTime?
    /// When it ended.
    public var ended: WallTime?
    /// How often an instance was or will be run again.
    public var retries: Int
    /// Once it is known.
    public var exitCode: Int?
    /// Why.
    public var message: String?

    /// Sets every field.
    public init(
        sequence: Int64, id: String, specification: JobSpecification, state: JobState,
        ending: JobState? = nil, created: WallTime, started: WallTime? = nil,
        ended: WallTime? = nil, retries: Int = 0, exitCode: Int? = nil, message: String? = nil
    ) {
        self.sequence = sequence
        self.id = id
        self.specification = specification
        self.state = state
        self.ending = ending
        self.created = created
        self.started = started
        self.ended = ended
        self.retries = retries
        self.exitCode = exitCode
        self.message = message
    }
}

/// What must be kept about an instance that has been launched at least once.
public struct InstanceRecord: Hashable, Sendable {
    /// What happened last; numbers are kept for ever.
    public enum Phase: Int, Hashable, Sendable {
        /// It was launched.
        case running = 1
        /// It has finished, its outputs are not here yet.
        case collecting = 2
        /// It will be launched again.
        case backingOff = 3
        /// With success.
        case finished = 4
        /// For good.
        case failed = 5
        /// Killed, or not run again, because the job ended before.
        case cancelled = 6
    }

    /// The job's sequence number.
    public var job: Int64
    /// The task's position in the job.
    public var task: Int
    /// From 0.
    public var index: Int
    /// What happened last.
    public var phase: Phase
    /// How often it was launched.
    public var attempts: Int
    /// How often it failed by itself.
    public var failures: Int
    /// How often it was lost.
    public var losses: Int
    /// How the last attempt ended.
    public var exitCode: Int?
    /// Why.
    public var message: String?
    /// Where the last attempt runs or ran.
    public var place: Place
    /// When it was launched.
    public var started: WallTime
    /// When it ended, or when it may be launched again.
    public var ended: WallTime?

    /// Sets every field.
    public init(
        job: Int64, task: Int, index: Int, phase: Phase, attempts: Int, failures: Int = 0,
        losses: Int = 0, exitCode: Int? = nil, message: String? = nil, place: Place,
        started: WallTime, ended: WallTime? = nil
    ) {
        self.job = job
        self.task = task
        self.index = index
        self.phase = phase
        self.attempts = attempts
        self.failures = failures
        self.losses = losses
        self.exitCode = exitCode
        self.message = message
        self.place = place
        self.started = started
        self.ended = ended
    }
}

/// A change to what is kept.
///
/// Later ones replace earlier ones of the same job or instance.
public enum BatchChange: Hashable, Sendable {
    /// The job is new or different.
    case job(JobRecord)
    /// The instance is new or different.
    case instance(InstanceRecord)
    /// The job with this sequence number and all its instances are not kept any longer.
    case forget(Int64)
}

/// Everything that was kept.
public struct BatchRecords: Sendable {
    /// The jobs by sequence number, rising.
    public var jobs: [JobRecord]
    /// The instances by job, task and index, rising.
    public var instances: [InstanceRecord]
    /// The largest sequence number ever used; ids are never used twice.
    public var lastSequence: Int64

    /// Collects what was kept.
    public init(
        jobs: [JobRecord] = [], instances: [InstanceRecord] = [], lastSequence: Int64 = 0
    ) {
        self.jobs = jobs
        self.instances = instances
        self.lastSequence = lastSequence
    }
}
