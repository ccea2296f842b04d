internal import ProfferAgent
internal import ProfferExecutor
internal import ProfferKernel
internal import ProfferModel

/// What a task does once it has a process.
public struct SimulatedTask: Hashable, Sendable {
    /// How long it runs by itself; `nil` is for ever.
    public var duration: Duration?
    /// The code it exits with then.
    public var exitCode = 0
    /// Whether it was killed for its memory instead of exiting.
    public var isOutOfMemory = false
    /// From TERM to its end; `nil` when it does not care about TERM.
    public var endsAfterTerm: Duration? = .milliseconds(100)
    /// From KILL to its end.
    public var endsAfterKill: Duration = .milliseconds(5)
    /// In how many of a thousand checks it is not healthy.
    public var unhealthyPermille = 0
    /// Whether there will be no process at all.
    public var failsToStart = false

    /// A task that runs for ever, obeys and is healthy.
    public init() {}
}

/// A machine of the cluster: what its kernel knows.
final class Node {
    enum Content {
        case executor(ExecutorProcess)
        case task(TaskProcess)
    }

    struct TaskProcess {
        var key: TaskKey
        var container: ContainerID
        var sandbox: String
        var resources: Resources
        var behavior: SimulatedTask
        /// The executor that is told of its end.
        var executor: Int
        var executorIncarnation: UInt32
        var isEnding = false
    }

    struct Entry {
        var content: Content
        var startTicks: UInt64
    }

    unowned let world: World
    let index: Int
    let name: String
    private(set) var bootCount = 1
    private(set) var table = OrderedTable<Int, Entry>()
    private var lastPID = 100
    private var ticks: UInt64 = 0
    /// Executors that an agent of this node watches, by container.
    private var watched = LookupTable<ContainerID, Int>()

    init(_ world: World, index: Int, name: String) {
        self.world = world
        self.index = index
        self.name = name
    }

    var bootID: String { "\(name)-boot-\(bootCount)" }

    private func enter(_ content: Content) -> (pid: Int, ticks: UInt64) {
        // Numbers are used again soon, as on a busy node.
        repeat { lastPID = lastPID >= 160 ? 100 : lastPID + 1 } while table.contains(lastPID)
        ticks += 1
        table[lastPID] = Entry(content: content, startTicks: ticks)
        return (lastPID, ticks)
    }

    // MARK: Executors

    func start(_ launch: ExecutorLaunch, for agent: AgentProcess) {
        if world.chance.processes.hits(world.plan.rate(.executorLaunchFails)) {
            world.hit(.executorLaunchFails)
            agent.post(.executorFailed(launch.containerID.value, message: "no memory"))
            return
        }
        let process = ExecutorProcess(world, launch, node: self, agent: agent)
        world.add(process)
        let (pid, ticks) = enter(.executor(process))
        process.pid = pid
        watched[launch.containerID] = pid
        agent.post(.executorStarted(launch.containerID.value, pid: pid, startTicks: ticks))
        var span = 20 * Span.millisecond + world.chance.processes.below(80 * Span.millisecond)
        if world.chance.processes.hits(world.plan.rate(.executorStartsSlowly)) {
            world.hit(.executorStartsSlowly)
            span += world.chance.processes.below(90 * Span.second)
        }
        world.after(span) { [self] in
            if case .executor(let same)? = table[pid]?.content, same === process {
                process.begin()
            }
        }
    }

    func kill(_ container: ContainerID, pid: Int, startTicks: UInt64, for agent: AgentProcess) {
        guard watched[container] == pid, let entry = table[pid], entry.startTicks == startTicks
        else {
            agent.post(.executorEnded(container.value, status: -1))
            return
        }
        killExecutor(pid, status: 9)
    }

    /// Watches an executor that an earlier run of the agent has started; `false` when it is gone.
    func adopt(_ container: ContainerID, pid: Int, startTicks: UInt64) -> Bool {
        guard let entry = table[pid], entry.startTicks == startTicks,
            case .executor = entry.content
        else { return false }
        watched[container] = pid
        return true
    }

    /// Ends an executor's process; its tasks live on without it.
    func killExecutor(_ pid: Int, status: Int) {
        guard case .executor(let process)? = table[pid]?.content else { return }
        table.remove(pid)
        process.die()
        guard let agent = process.agent, agent.isUp, watched[process.container] == pid else {
            return
        }
        watched.remove(process.container)
        agent.post(.executorEnded(process.container.value, status: status))
    }

    var executors: [ExecutorProcess] {
        table.values.compactMap { entry in
            if case .executor(let process) = entry.content { process } else { nil }
        }
    }

    /// The agent has ended: nobody watches.
    func forgetWatches() { watched.removeAll() }

    // MARK: Tasks

    func start(
        _ launch: TaskLaunch, _ key: TaskKey, _ behavior: SimulatedTask,
        for executor: ExecutorProcess
    ) -> (pid: Int, ticks: UInt64) {
        let process = TaskProcess(
            key: key, container: executor.container, sandbox: launch.sandbox,
            resources: launch.resources, behavior: behavior, executor: executor.index,
            executorIncarnation: executor.incarnation)
        let (pid, ticks) = enter(.task(process))
        world.note(.taskBegan(node: index, pid: pid, key, launch.resources))
        if let duration = behavior.duration {
            endLater(
                pid, ticks, after: duration.inNanoseconds,
                exit: behavior.isOutOfMemory
                    ? TaskExit(signal: 9, isOutOfMemory: true) : TaskExit(code: behavior.exitCode))
            if behavior.isOutOfMemory { world.hit(.taskOutOfMemory) }
            if duration == .zero { world.hit(.taskExitsAtOnce) }
            if behavior.exitCode != 0 { world.hit(.taskFails) }
        }
        return (pid, ticks)
    }

    private func endLater(_ pid: Int, _ ticks: UInt64, after span: Int64, exit: TaskExit) {
        world.after(span) { [self] in
            guard table[pid]?.startTicks == ticks else { return }
            endTask(pid, exit)
        }
    }

    private func endTask(_ pid: Int, _ exit: TaskExit) {
        guard case .task(let task)? = table[pid]?.content else { return }
        table.remove(pid)
        world.note(.taskEnded(node: index, pid: pid, task.key))
        let executor = world.processes[task.executor]
        guard executor.isUp, executor.incarnation == task.executorIncarnation,
            let owner = executor as? ExecutorProcess
        else { return }
        owner.noteEnd(of: task.key.task, exit)
    }

    func signal(_ pid: Int, _ number: Int32) {
        guard let entry = table[pid], case .task(let task) = entry.content else { return }
        if number == 9 {
            endLater(
                pid, entry.startTicks, after: task.behavior.endsAfterKill.inNanoseconds,
                exit: TaskExit(signal: 9))
            return
        }
        guard let span = task.behavior.endsAfterTerm else {
            world.hit(.taskIgnoresTerm)
            return
        }
        endLater(pid, entry.startTicks, after: span.inNanoseconds, exit: TaskExit(signal: 15))
    }

    /// Kills what the tasks in some sandboxes have left, and tells the agent when it is gone.
    func sweep(_ container: ContainerID, _ sandboxes: [String], for agent: AgentProcess) {
        let wanted = Set(sandboxes)
        var last: Int64 = 20 * Span.millisecond
        for (pid, entry) in Array(table) where world.bug != .orphansNotSwept {
            guard case .task(let task) = entry.content, wanted.contains(task.sandbox) else {
                continue
            }
            let span = 20 * Span.millisecond + task.behavior.endsAfterKill.inNanoseconds
            last = max(last, span)
            endLater(pid, entry.startTicks, after: span, exit: TaskExit(signal: 9))
        }
        let incarnation = agent.incarnation
        world.after(last) {
            if agent.incarnation == incarnation { agent.post(.tasksSwept(container.value)) }
        }
    }

    /// Kills every task: an agent that has lost its records does so before it says who it is.
    func sweepAll() {
        for (pid, entry) in Array(table) where world.bug != .orphansNotSwept {
            if case .task = entry.content { endTask(pid, TaskExit(signal: 9)) }
        }
    }

    func task(at pid: Int) -> TaskProcess? {
        if case .task(let task)? = table[pid]?.content { task } else { nil }
    }

    /// Whether the executor of a task's process is there to tell of its end.
    func hasLivingExecutor(_ pid: Int) -> Bool {
        guard let task = task(at: pid) else { return false }
        let executor = world.processes[task.executor]
        return executor.isUp && executor.incarnation == task.executorIncarnation
    }

    /// The tasks that have a process, with its number.
    var tasks: [(pid: Int, task: TaskProcess)] {
        table.compactMap { pid, entry in
            if case .task(let task) = entry.content { (pid, task) } else { nil }
        }
    }

    /// Forgets every process; the run is over.
    func clear() { table.removeAll() }

    // MARK: Power

    /// Everything on the node ends at once, and the next boot has another name.
    func losePower() {
        bootCount += 1
        for (pid, entry) in Array(table) {
            switch entry.content {
            case .executor(let process):
                table.remove(pid)
                process.die(isPowerLoss: true)
            case .task(let task):
                table.remove(pid)
                world.note(.taskEnded(node: index, pid: pid, task.key))
            }
        }
        watched.removeAll()
        lastPID = 100
        ticks = 0
    }
}
