public import ProfferKernel
public import ProfferModel

/// Everything that can happen to an agent.
public enum AgentInput: Sendable {
    /// There is a session with the leading master; an older one is void.
    case masterOpened(PeerID)
    /// The session with the master has ended.
    case masterClosed(PeerID, reason: String)
    /// The master says something.
    case master(MasterToAgent, from: PeerID)
    /// An executor says something; `credential` is the token of its session, as UTF-8.
    case executor(ExecutorMessage, from: PeerID, credential: [UInt8])
    /// A session with an executor has ended.
    case executorClosed(PeerID)
    /// The executor has a process.
    case executorStarted(ContainerID, pid: Int, startTicks: UInt64)
    /// The executor has no process, and why.
    case executorLaunchFailed(ContainerID, message: String)
    /// The executor's process has ended, with its wait status; -1 when that is not known.
    case executorExited(ContainerID, status: Int)
    /// Of the tasks of an executor that is dead, no process is left.
    case tasksSwept(ContainerID)
    /// The secrets that were asked for are there.
    case secretsFound(SecretTicket)
    /// The secrets that were asked for cannot be had, and why.
    case secretsMissing(SecretTicket, message: String)
    /// A change of volumes is done, as far as it can be.
    case volumesChanged
    /// What the node uses; the tasks' part comes from the executors.
    case usage(AgentUsage)
    /// Somebody asks through the agent's HTTP server.
    case operation(AgentOperation, QueryID)
    /// The agent is to end: `unregister` kills every task first and leaves the cluster for good;
    /// otherwise tasks live on.
    case stop(unregister: Bool)
}

/// Everything an agent can ask the world to do.
public enum AgentEffect: Sendable {
    /// Make these facts durable together. Every later effect of the agent waits until they are.
    case commit([AgentRecord])
    /// Say this to the master; void when the session has ended, also when there is a newer one:
    /// its master has to be told who the agent is first.
    case tellMaster(AgentToMaster, PeerID)
    /// Say this to an executor; void when the session has ended.
    case tellExecutor(ExecutorEvent, PeerID)
    /// Find secrets and keep their values outside of the agent's decisions; answered with
    /// `secretsFound` or `secretsMissing`.
    case findSecrets(SecretTicket, SecretRequest)
    /// Say this to an executor, which is a launch, with the values of these secrets; void when the
    /// session has ended. The values are of no more use then.
    case handOver(SecretTicket, ExecutorEvent, PeerID)
    /// Forget the values of these secrets.
    case dropSecrets(SecretTicket)
    /// End a session; not answered by an input.
    case closePeer(PeerID, reason: String)
    /// Make this sandbox, with its parents, unless it is there; before the task is launched.
    case makeSandbox(path: String, user: String?)
    /// Start an executor; answered with `executorStarted` or `executorLaunchFailed`.
    case launchExecutor(ExecutorLaunch)
    /// Hold a custom executor to this from now on, which is what it and its tasks have taken, and
    /// give it the volumes among it; until then it has what it takes itself.
    case resizeExecutor(ExecutorSize)
    /// Kill the executor's process and its session, if the process has this start time; answered
    /// with `executorExited`, also when it was gone already.
    case killExecutor(ContainerID, pid: Int, startTicks: UInt64)
    /// Kill every process that the tasks in these sandboxes have left: their executor is dead.
    /// Answered with `tasksSwept` when all of them are gone; asked for again until then.
    case sweepTasks(ContainerID, sandboxes: [String])
    /// Put these directories away for good: nobody uses them, but a later sandbox may have the path
    /// of one.
    case discard(paths: [String])
    /// Put the data of the destroyed volumes away for good, and set aside whatever is where the
    /// created ones will be; answered with `volumesChanged`.
    case changeVolumes(destroyed: [VolumePlace], created: [VolumePlace])
    /// The answer to an operation.
    case answer(AgentAnswer, QueryID)
    /// Something worth a line in the log or a metric; never awaited.
    case observe(AgentObservation)
    /// End the process with this exit code.
    case terminate(reason: String, exitCode: Int)
}

/// An executor to start.
public struct ExecutorLaunch: Hashable, Sendable {
    /// The run.
    public var containerID: ContainerID
    /// The executor.
    public var key: ExecutorKey
    /// Its description; the agent's own when its kind is `default`.
    public var info: ExecutorInfo
    /// Its working directory, to be made with its parents.
    public var directory: String
    /// What it proves itself with when it connects to the agent.
    public var token: String
    /// What every executor finds in its environment; the shell adds how to reach the agent.
    public var environment: [EnvironmentVariable]
    /// The user to run as; `nil` is the agent's own.
    public var user: String?
    /// Whether it outlives a restart of the agent.
    public var isCheckpointing: Bool
    /// The secrets that its environment names, to be found before it is started; `nil` for none.
    public var secrets: SecretRequest?

    /// Sets every field; what is left out has the default shown.
    public init(
        containerID: ContainerID,
        key: ExecutorKey,
        info: ExecutorInfo,
        directory: String,
        token: String,
        environment: [EnvironmentVariable] = [],
        user: String? = nil,
        isCheckpointing: Bool = true,
        secrets: SecretRequest? = nil
    ) {
        self.containerID = containerID
        self.key = key
        self.info = info
        self.directory = directory
        self.token = token
        self.environment = environment
        self.user = user
        self.isCheckpointing = isCheckpointing
        self.secrets = secrets
    }
}

/// Names one search for secrets.
public struct SecretTicket: Hashable, Sendable {
    /// Counts the searches.
    public var number: UInt64

    /// Names a search.
    public init(number: UInt64) { self.number = number }
}

/// Who wants which secrets.
public struct SecretRequest: Hashable, Sendable {
    /// The secrets, each once.
    public var references: [SecretReference]
    /// The role whose resources the tasks use.
    public var role: String
    /// Their framework.
    public var framework: FrameworkID
    /// The principal of their framework.
    public var principal: String?
    /// The tasks; empty for an executor.
    public var tasks: [TaskID]

    /// Sets every field; what is left out has the default shown.
    public init(
        references: [SecretReference], role: String, framework: FrameworkID,
        principal: String? = nil, tasks: [TaskID] = []
    ) {
        self.references = references
        self.role = role
        self.framework = framework
        self.principal = principal
        self.tasks = tasks
    }
}

/// What a custom executor and its tasks have taken together.
public struct ExecutorSize: Hashable, Sendable {
    /// The run.
    public var containerID: ContainerID
    /// Its working directory.
    public var directory: String
    /// The user it runs as; `nil` is the agent's own.
    public var user: String?
    /// The sum.
    public var resources: Resources

    /// Sets every field.
    public init(
        containerID: ContainerID, directory: String, user: String?, resources: Resources
    ) {
        self.containerID = containerID
        self.directory = directory
        self.user = user
        self.resources = resources
    }
}

/// What is worth a line in an agent's log, or a metric.
public enum AgentObservation: Hashable, Sendable {
    /// What an earlier run of the agent left was read.
    case recovered(frameworks: Int, executors: Int, tasks: Int, updates: Int)
    /// The node was started anew: no executor of before can live.
    case rebooted
    /// The master has admitted the agent, or taken it back.
    case registered(AgentID, isReturn: Bool)
    /// The session with the master is over.
    case masterLost(reason: String)
    /// A task was taken on; its sandbox is at this path.
    case taskAccepted(TaskKey, ExecutorID, sandbox: String)
    /// A revocable task is killed for the others' sake, and why.
    case taskPreempted(TaskKey, reason: String)
    /// What is offered beyond the resources has changed.
    case oversubscribed(Resources)
    /// A task was not taken on, and why.
    case taskRefused(TaskKey, reason: String)
    /// A task did not run in this time and is killed.
    case taskLate(TaskKey, after: Duration)
    /// The newest state of a task has changed.
    case taskState(TaskKey, TaskState, StatusReason?, message: String?)
    /// An update was sent again because nobody acknowledged it.
    case updateRetried(TaskKey, UpdateID)
    /// An update of an executor was already known.
    case duplicateUpdate(TaskKey, UpdateID)
    /// An update of an executor broke the rules and was not taken, and why.
    case updateRefused(TaskKey, TaskState, reason: String)
    /// An acknowledgement names no update under way.
    case strayAcknowledgement(TaskKey, UpdateID)
    /// The last update of a task was acknowledged; nothing is kept of it.
    case taskForgotten(TaskKey)
    /// An executor is being started.
    case executorLaunched(ExecutorKey, ContainerID)
    /// An executor is ready.
    case executorSubscribed(ExecutorKey, ContainerID)
    /// The session with a live executor has broken.
    case executorAway(ExecutorKey, ContainerID)
    /// An executor is made to end, and why.
    case executorStopping(ExecutorKey, ContainerID, reason: String)
    /// An executor has ended, with its wait status; -1 when that is not known.
    case executorEnded(ExecutorKey, ContainerID, status: Int)
    /// A persistent volume was destroyed, with its data.
    case volumeDestroyed(VolumePlace)
    /// A peer without the right token claimed to be an executor.
    case executorRejected(PeerID, ExecutorKey)
    /// A message names something that is not here; it was ignored.
    case ignored(String)
}
