/// How an agent behaves.
public struct AgentConfiguration: Hashable, Sendable {
    /// The absolute path below which sandboxes and executors have their directories.
    public var workDirectory: String
    /// Its version, told to the master.
    public var version: String
    /// From one unanswered registration to the next, at most, at first; doubled each time.
    public var registrationBackoff: Duration
    /// The longest time between two registrations.
    public var registrationBackoffLimit: Duration
    /// Without a ping for so long, the session with the master is given up; the master may set
    /// another value at registration.
    public var pingTimeout: Duration
    /// From the start of an executor until it must have subscribed.
    public var executorRegistrationTimeout: Duration
    /// From a restart of the agent until a living executor must have come back.
    public var executorReregistrationTimeout: Duration
    /// From a broken session until a living executor must have come back.
    public var executorReconnectTimeout: Duration
    /// From taking a task on until it must run, files and image included, unless the task says
    /// otherwise; `nil` is any time.
    public var launchTimeout: Duration?
    /// From SHUTDOWN until an executor is killed, unless it says otherwise itself.
    public var executorShutdownGrace: Duration
    /// Without a task for so long, the agent's own executor of a framework is shut down.
    public var executorIdleTimeout: Duration
    /// How long an executor waits for its agent before it gives up; told to it at its start.
    public var executorRecoveryTimeout: Duration
    /// From a forwarded update to its first repetition; doubled each time.
    public var updateRetry: Duration
    /// The longest time between two repetitions of an update.
    public var updateRetryLimit: Duration
    /// How many tasks that have not ended the agent holds at most; further ones are dropped.
    public var taskLimit: Int
    /// How many unacknowledged updates of one task are kept at most; beyond that a newer one that
    /// is not the last word replaces the newest that was not sent yet.
    public var updateLimit: Int
    /// The names of the node's GPUs, each of which one task or executor has at a time; without any,
    /// tasks that take `gpus` are told of none.
    public var gpus: [String]

    /// Sets every field; what is left out has the default shown.
    public init(
        workDirectory: String,
        version: String = "",
        registrationBackoff: Duration = .seconds(1),
        registrationBackoffLimit: Duration = .seconds(60),
        pingTimeout: Duration = .seconds(75),
        executorRegistrationTimeout: Duration = .seconds(60),
        executorReregistrationTimeout: Duration = .seconds(15),
        executorReconnectTimeout: Duration = .seconds(60),
        launchTimeout: Duration? = .seconds(1800),
        executorShutdownGrace: Duration = .seconds(5),
        executorIdleTimeout: Duration = .seconds(300),
        executorRecoveryTimeout: Duration = .seconds(900),
        updateRetry: Duration = .seconds(10),
        updateRetryLimit: Duration = .seconds(600),
        taskLimit: Int = 10_000,
        updateLimit: Int = 128,
        gpus: [String] = []
    ) {
        self.workDirectory = workDirectory
        self.version = version
        self.registrationBackoff = registrationBackoff
        self.registrationBackoffLimit = registrationBackoffLimit
        self.pingTimeout = pingTimeout
        self.executorRegistrationTimeout = executorRegistrationTimeout
        self.executorReregistrationTimeout = executorReregistrationTimeout
        self.executorReconnectTimeout = executorReconnectTimeout
        self.launchTimeout = launchTimeout
        self.executorShutdownGrace = executorShutdownGrace
        self.executorIdleTimeout = executorIdleTimeout
        self.executorRecoveryTimeout = executorRecoveryTimeout
        self.updateRetry = updateRetry
        self.updateRetryLimit = updateRetryLimit
        self.taskLimit = taskLimit
        self.updateLimit = updateLimit
        self.gpus = gpus
    }

    /// Everything that is wrong with the values, each as one sentence; empty when they are valid.
    public func problems() -> [String] {
        var found: [String] = []
        if !workDirectory.utf8.starts(with: "/".utf8) {
            found.append("workDirectory must be an absolute path, not '\(workDirectory)'")
        }
        let spans: [(String, Duration)] = [
            ("registrationBackoff", registrationBackoff),
            ("registrationBackoffLimit", registrationBackoffLimit),
            ("pingTimeout", pingTimeout),
            ("executorRegistrationTimeout", executorRegistrationTimeout),
            ("executorReregistrationTimeout", executorReregistrationTimeout),
            ("executorReconnectTimeout", executorReconnectTimeout),
            ("launchTimeout", launchTimeout ?? .seconds(1)),
            ("executorShutdownGrace", executorShutdownGrace),
            ("executorIdleTimeout", executorIdleTimeout),
            ("executorRecoveryTimeout", executorRecoveryTimeout),
            ("updateRetry", updateRetry),
            ("updateRetryLimit", updateRetryLimit),
        ]
        for (name, span) in spans where span <= .zero {
            found.append("\(name) must be longer than zero")
        }
        if registrationBackoffLimit < registrationBackoff {
            found.append("registrationBackoffLimit must not be shorter than registrationBackoff")
        }
        if updateRetryLimit < updateRetry {
            found.append("updateRetryLimit must not be shorter than updateRetry")
        }
        if taskLimit < 1 { found.append("taskLimit must be at least 1") }
        if updateLimit < 2 { found.append("updateLimit must be at least 2") }
        return found
    }
}
