internal import Glibc
internal import ProfferContainers
internal import ProfferExecutor
internal import ProfferFailpoints
internal import ProfferIsolation
@_spi(Driver) internal import ProfferKernel
internal import ProfferModel

/// A task whose processes are gone, with all that was made for it.
struct TaskEnd {
    var id: TaskID
    var exit: TaskExit
    /// The end of its standard error.
    var errorTail: String
}

/// The processes of an executor's tasks: starts, watches, measures and kills them, and undoes what
/// was made for them.
struct TaskHost: ~Copyable {
    /// A task that has a process.
    struct Running {
        var id: TaskID
        var process: ProcessIdentity
        var sandbox: String
        var environment: [EnvironmentVariable]
        var outputs: [OutputFile]
        var startedAt: Instant
        var plan: IsolationPlan
        var user: String?
        var isContained: Bool
        var resources: Resources
        var hasOwnNetwork: Bool
    }

    /// A task whose container is being made.
    private struct Preparing {
        var launch: TaskLaunch
        var startedAt: Instant
        var process: ProcessIdentity?
        var isKilled = false
    }

    /// What tasks of a group share, until the last of them has gone.
    private struct Group {
        var shared: SharedGroup
        var members: Set<TaskID>
    }

    /// A task whose first process has ended while others of it, or what was made for it, are there.
    private struct Draining {
        var end: TaskEnd
        var plan: IsolationPlan
        var since: Instant
        var pause: Duration
        /// `nil` while another thread undoes the plan.
        var nextAt: Instant?
        var isTold = false
    }

    /// One pass over all processes for everything that ended in the meantime.
    private static let sweepDelay = Duration.milliseconds(200)
    private static let reapInterval = Duration.seconds(10)
    private static let firstPause = Duration.milliseconds(1)
    private static let longestPause = Duration.milliseconds(200)
    /// After so long, what does not go away is told.
    private static let patience = Duration.seconds(5)

    private let planner: TaskPlanner
    private let volumes: VolumePlanner
    private let runner: PlanRunner
    private let probe: CgroupProbe?
    private let sampler: CgroupSampler?
    private let containerID: ContainerID
    private let log: @Sendable (String) -> Void
    private let background = BackgroundWork(threads: 4)
    /// Apart from what is made, which may wait for a registry for long.
    private let cleaning = BackgroundWork(threads: 4)
    /// `nil` when this process takes up no orphans.
    private var reaper: OrphanReaper?
    private var reapAt: Instant?
    // A pass over large sandboxes must not keep a launch waiting.
    private let measuring = BackgroundWork(threads: 1)
    private var sizes = SandboxSizes()
    private let post: @Sendable (ExecutorShell.Mail) -> Void
    private let fetch: TaskFetch?
    private var fetches = TaskFetches()
    private var preparing: [UInt64: Preparing] = [:]
    private var groups: [UInt64: Group] = [:]
    private var watcher: ProcessWatcher
    private var sweeper = ProcessSweeper()
    private var sweepAt: Instant?
    private var draining: [Draining] = []
    private(set) var running: [UInt64: Running] = [:]
    private var tokens: [TaskID: UInt64] = [:]
    private var lastToken: UInt64 = 0

    init(
        _ configuration: ExecutorShellConfiguration,
        post: @escaping @Sendable (ExecutorShell.Mail) -> Void,
        log: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        watcher = try ProcessWatcher()
        var settings = configuration.isolation
        // Looked up once: most tasks run as the user that the executor has anyway.
        if let user = try? NodeUsers.find(settings.user), user.id == geteuid() {
            settings.user = nil
        }
        planner = TaskPlanner(settings: settings, facts: NodeIsolation.facts(for: settings))
        volumes = VolumePlanner(settings.volumes, drivers: configuration.volumeDrivers)
        probe = planner.cgroups.map { CgroupProbe($0) }
        sampler = probe.map { CgroupSampler($0) }
        runner = PlanRunner(
            directory: configuration.plansDirectory ?? configuration.directory)
        containerID = configuration.containerID
        fetch = configuration.fetch
        if settings.mode == .oci { reaper = OrphanReaper() }
        self.post = post
        self.log = log
    }

    /// Becomes readable when ``takeEnds(at:)`` has something to do.
    var fileDescriptor: Int32 { watcher.fileDescriptor }

    /// When ``takeEnds(at:)`` or ``sweep(at:)`` is next due.
    var nextDeadline: Instant? {
        earliest(earliest(sweepAt, reapAt), draining.compactMap(\.nextAt).min())
    }

    /// The running task.
    func task(_ id: TaskID) -> Running? { tokens[id].flatMap { running[$0] } }

    /// How a further program gets into a task's container; `nil` when it has none.
    func entry(_ task: Running, numberFile: String) -> ContainerEntry? {
        guard task.isContained else { return nil }
        let containers = planner.settings.containers
        return ContainerEntry(
            runtime: ContainerRuntime(
                program: containers.runtime, stateDirectory: containers.bundles + "/runtime"),
            name: task.plan.name, process: task.process.pid, numberFile: numberFile)
    }

    // MARK: Start

    /// Makes what a task needs and starts its first process.
    ///
    /// - Returns: The process; `nil` when files are fetched or a container is made first, which is
    ///   told by mail.
    /// - Throws: ``SystemError`` that says what failed; then nothing is left.
    mutating func start(
        _ launch: TaskLaunch, at now: Instant
    ) throws(SystemError) -> ProcessIdentity? {
        let problem =
            planner.problem(with: launch.container)
            ?? (launch.container?.image?.isEmpty == false
                ? nil : TaskPlanner.problem(withoutImage: launch.container))
        if let problem {
            throw SystemError("start", "task \(launch.id)", code: EPERM, hint: problem)
        }
        if !launch.command.uris.isEmpty {
            try beginFetch(launch)
            return nil
        }
        lastToken += 1
        var plan = planner.plan(
            IsolationSubject(
                name: "\(containerID.value).\(lastToken)", resources: launch.resources,
                bounds: launch.limits, container: launch.container,
                gpus: planner.settings.gpus.devices(of: launch.command.environment)))
        let mounts = try TaskVolumes.mounts(of: launch, volumes)
        if ContainerStart.isWanted(by: launch, planner.settings) {
            contain(launch, plan, mounts, at: now)
            return nil
        }
        plan.steps += try secretFiles(launch, plan.name)
        plan.steps += try TaskVolumes.steps(
            launch, plan.name, mounts, volumes, planner)
        let start = PlainStart(
            launch: launch, plan: plan, runner: runner, user: planner.settings.user)
        if TaskVolumes.mayTakeLong(launch) {
            begin(launch, at: now) { () throws(SystemError) in
                ContainerStart.Outcome(plan: start.plan, process: try start.run(), addresses: [])
            }
            return nil
        }
        let process = try start.run()
        do throws(SystemError) {
            try watcher.watchChild(process, token: lastToken)
        } catch {
            runner.undo(plan)
            throw error
        }
        note(launch, process, plan, token: lastToken, at: now)
        return process
    }

    /// What makes the files with secrets of a task without a container.
    private func secretFiles(
        _ launch: TaskLaunch, _ name: String
    ) throws(SystemError) -> [IsolationStep] {
        if launch.secretFiles.isEmpty { return [] }
        let owner = try NodeUsers.find(launch.command.user ?? planner.settings.user)
        do throws(ContainerProblem) {
            return try SecretPlanner(memory: planner.settings.memory).steps(
                name, launch.plannedFiles, sandbox: launch.sandbox, owner: owner)
        } catch {
            throw SystemError("start", launch.id.value, code: 0, hint: error.description)
        }
    }

    private mutating func note(
        _ launch: TaskLaunch, _ process: ProcessIdentity, _ plan: IsolationPlan, token: UInt64,
        at now: Instant
    ) {
        running[token] = Running(
            id: launch.id, process: process, sandbox: launch.sandbox,
            environment: launch.environment,
            outputs: ["stdout", "stderr"].compactMap { OutputFile("\(launch.sandbox)/\($0)") },
            startedAt: now, plan: plan, user: launch.command.user ?? planner.settings.user,
            isContained: ContainerStart.isWanted(by: launch, planner.settings),
            resources: launch.resources, hasOwnNetwork: UsageProbe.hasOwnNetwork(process.pid))
        tokens[launch.id] = token
        if reaper != nil, reapAt == nil { reapAt = now + Self.reapInterval }
    }

    /// Reaps what others have left to this process, if it is time to.
    private mutating func reap(at now: Instant) {
        guard let due = reapAt, due <= now else { return }
        reaper?.reap()
        let isDone = running.isEmpty && reaper?.isWaiting == false
        reapAt = isDone ? nil : now + Self.reapInterval
    }

    /// Has the files of a task fetched, which is told by mail.
    private mutating func beginFetch(_ launch: TaskLaunch) throws(SystemError) {
        let uris = launch.command.uris
        guard let fetch else {
            throw SystemError(
                "fetch", uris.first?.value ?? "", code: 0,
                hint: "this executor fetches nothing; install proffer-fetcher beside it")
        }
        var user = try NodeUsers.find(launch.command.user ?? planner.settings.user)
        if ContainerStart.isWanted(by: launch, planner.settings), let container = launch.container {
            user = ContainerPlanner.owner(user, container)
        }
        let token = fetches.begin(launch)
        background.submit { [post, user] in
            let result: Result<Void, SystemError>
            do throws(SystemError) {
                try fetch.run(uris, into: launch.sandbox, for: user) { post(.fetching(token, $0)) }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            post(.fetched(token, result))
        }
    }

    /// Takes note of the process of a fetch.
    mutating func noteFetch(_ token: UInt64, _ process: ProcessIdentity) {
        fetches.note(token, process)
    }

    /// The task of a fetch that has ended, now without files to be fetched.
    mutating func takeFetch(_ token: UInt64) -> TaskLaunch? { fetches.end(token) }

    private mutating func contain(
        _ launch: TaskLaunch, _ plan: IsolationPlan, _ mounts: [VolumeMount], at now: Instant
    ) {
        let group = enterGroup(launch)
        let token = lastToken
        let id = launch.id
        let start = ContainerStart(
            launch: launch, plan: plan, settings: planner.settings, runner: runner, group: group,
            volumes: volumes, mounts: mounts,
            leftovers: planner.cgroups?.leftovers(
                plan.name, cores: planner.settings.cores != nil) ?? [],
            log: { [log] in log("task '\(id)': \($0)") },
            started: { [post] in post(.preparing(token, $0)) })
        begin(launch, at: now) { () throws(SystemError) in try start.run() }
    }

    /// Has a task started by a thread that may wait, which is told by mail.
    private mutating func begin(
        _ launch: TaskLaunch, at now: Instant,
        _ start: @escaping @Sendable () throws(SystemError) -> ContainerStart.Outcome
    ) {
        let token = lastToken
        preparing[token] = Preparing(launch: launch, startedAt: now)
        background.submit { [post] in
            let result: Result<ContainerStart.Outcome, SystemError>
            do throws(SystemError) {
                result = .success(try start())
            } catch {
                result = .failure(error)
            }
            post(.contained(token, result))
        }
    }

    /// Takes note of a process that does something for a container which is being made.
    mutating func notePreparation(_ token: UInt64, _ process: ProcessIdentity) {
        preparing[token]?.process = process
        if preparing[token]?.isKilled == true { TaskFetches.kill(process) }
    }

    private mutating func killPreparation(_ id: TaskID) {
        for (token, entry) in preparing where entry.launch.id == id {
            preparing[token]?.isKilled = true
            if let process = entry.process { TaskFetches.kill(process) }
        }
    }

    /// What a task's group shares; made with the first task of it.
    ///
    /// - Returns: `nil` for a task of its own.
    private mutating func enterGroup(_ launch: TaskLaunch) -> SharedGroup? {
        guard let number = launch.group, let container = launch.container else { return nil }
        let shared =
            groups[number]?.shared
            ?? SharedGroup(
                name: "\(containerID.value).g\(number)", container: container,
                settings: planner.settings, runner: runner)
        groups[number, default: Group(shared: shared, members: [])].members.insert(launch.id)
        return shared
    }

    /// Undoes what a group has shared after its last task.
    private mutating func leaveGroup(_ id: TaskID) {
        guard let number = groups.first(where: { $0.value.members.contains(id) })?.key else {
            return
        }
        groups[number]?.members.remove(id)
        guard let group = groups[number], group.members.isEmpty else { return }
        groups[number] = nil
        cleaning.submit { group.shared.undo() }
    }

    /// Takes over a container that was made, or hears why it was not.
    ///
    /// - Returns: The task with its first process; `nil` when nobody waits for it.
    mutating func take(
        _ token: UInt64, _ result: Result<ContainerStart.Outcome, SystemError>, at now: Instant
    ) -> (id: TaskID, addresses: [String], result: Result<ProcessIdentity, SystemError>)? {
        guard let waiting = preparing.removeValue(forKey: token) else { return nil }
        do throws(SystemError) {
            let outcome = try result.get()
            do throws(SystemError) {
                try watcher.watchChild(outcome.process, token: token)
            } catch {
                runner.undo(outcome.plan, within: 500)
                throw error
            }
            note(waiting.launch, outcome.process, outcome.plan, token: token, at: now)
            return (waiting.launch.id, outcome.addresses, .success(outcome.process))
        } catch {
            leaveGroup(waiting.launch.id)
            return (waiting.launch.id, [], .failure(error))
        }
    }

    // MARK: Kill

    /// Sends a signal to a task; KILL reaches every process of it, wherever it has gone.
    mutating func signal(_ id: TaskID, _ number: Int32) {
        guard let token = tokens[id], let task = running[token] else {
            fetches.kill(id)
            killPreparation(id)
            if number == SIGKILL { probe?.killAll(draining.filter { $0.end.id == id }.map(\.plan)) }
            return
        }
        watcher.signalGroup(token, number)
        guard number == SIGKILL else { return }
        if let probe {
            probe.kill(task.plan.name)
        } else {
            ProcessSweeper.signalStrays(of: task.process, sandbox: task.sandbox, number)
        }
    }

    // MARK: End

    /// Takes the ends of tasks of which nothing is left.
    mutating func takeEnds(at now: Instant) -> [TaskEnd] {
        for end in watcher.takeEnds() {
            guard let task = running.removeValue(forKey: end.token) else { continue }
            tokens[task.id] = nil
            var exit = end.exit ?? TaskExit()
            exit.wallTime = now - task.startedAt
            account(for: task.plan.name, in: &exit)
            var tail = exit.code == 0 ? "" : OutputFile.tail("\(task.sandbox)/stderr")
            // A task cannot say it itself: its standard error is on the same disk.
            if exit.code != 0, Sandbox.isFull(task.sandbox) {
                tail += "\nNo space left on the disk of the sandbox"
            }
            if probe == nil {
                sweeper.add(sandbox: task.sandbox, process: task.process)
                if sweepAt == nil { sweepAt = now + Self.sweepDelay }
            }
            draining.append(
                Draining(
                    end: TaskEnd(id: task.id, exit: exit, errorTail: tail), plan: task.plan,
                    since: now, pause: Self.firstPause, nextAt: now))
        }
        return drain(at: now)
    }

    /// Takes over what the cgroup knows better than the process table.
    private func account(for name: String, in exit: inout TaskExit) {
        sampler?.forget(name)
        guard let usage = probe?.account(of: name) else { return }
        exit.cpuTime = usage.cpuTime ?? exit.cpuTime
        exit.peakMemoryBytes = usage.peakMemoryBytes ?? exit.peakMemoryBytes
        exit.memoryLimitBytes = usage.memoryLimitBytes
        exit.isOutOfMemory = usage.outOfMemoryKills > 0
    }

    /// Undoes the plans of tasks that have ended; what a task took is free only then.
    ///
    /// A plan that runs programs is undone by another thread, which is told by mail.
    private mutating func drain(at now: Instant) -> [TaskEnd] {
        var ends: [TaskEnd] = []
        var left: [Draining] = []
        for var task in draining {
            guard let nextAt = task.nextAt, nextAt <= now else {
                left.append(task)
                continue
            }
            if task.plan.runsPrograms {
                task.nextAt = nil
                undoElsewhere(task)
                left.append(task)
            } else if Self.undo(task.plan, runner) {
                leaveGroup(task.end.id)
                ends.append(task.end)
            } else {
                postpone(&task, at: now)
                left.append(task)
            }
        }
        draining = left
        return ends
    }

    private func undoElsewhere(_ task: Draining) {
        let (id, plan) = (task.end.id, task.plan)
        cleaning.submit { [post, runner] in
            post(.undone(id, plan.name, isDone: Self.undo(plan, runner)))
        }
    }

    /// Hears whether another thread has undone a plan.
    ///
    /// - Returns: The task, when nothing is left of it.
    mutating func takeUndone(
        _ id: TaskID, _ name: String, isDone: Bool, at now: Instant
    ) -> TaskEnd? {
        guard let index = draining.firstIndex(where: { $0.plan.name == name }) else { return nil }
        guard isDone else {
            var task = draining[index]
            postpone(&task, at: now)
            draining[index] = task
            return nil
        }
        leaveGroup(id)
        return draining.remove(at: index).end
    }

    private func postpone(_ task: inout Draining, at now: Instant) {
        task.pause = min(Self.longestPause, task.pause * 2)
        task.nextAt = now + task.pause
        if !task.isTold, now - task.since > Self.patience {
            task.isTold = true
            log("the processes of task '\(task.end.id)' do not go away")
        }
    }

    private static func undo(_ plan: IsolationPlan, _ runner: PlanRunner) -> Bool {
        Failpoint.hit(.executorUndoBefore)
        guard runner.undo(plan) else { return false }
        Failpoint.hit(.executorUndoAfter)
        return true
    }

    /// Kills what tasks without a cgroup have left behind, if it is time to.
    mutating func sweep(at now: Instant) {
        reap(at: now)
        guard let due = sweepAt, due <= now else { return }
        sweepAt = nil
        Failpoint.hit(.executorSweepBefore)
        let count = sweeper.sweep()
        Failpoint.hit(.executorSweepAfter)
        if count > 0 { log("killed \(count) processes that tasks had left behind") }
    }

    /// Kills and undoes everything, because the executor ends; what is left then, the agent finds
    /// by the records of the plans.
    mutating func finish() {
        fetches.killAll()
        sweeper.sweep()
        var plans = draining.map(\.plan) + running.values.map(\.plan)
        plans += groups.values.compactMap(\.shared.plan)
        probe?.killAll(plans)
        for plan in plans { runner.undo(plan, within: 500) }
    }

    // MARK: Usage

    /// Has what tasks use of disks measured, which is told by mail.
    ///
    /// - Returns: Whether there is anything to measure.
    func measureDisks() -> Bool {
        let uses = running.values.flatMap { $0.disks(planner.settings) }
        if uses.isEmpty { return false }
        background.submit { [post] in
            var problems: [TaskID: String] = [:]
            for use in uses where problems[use.id] == nil { problems[use.id] = use.problem() }
            post(.disks(Set(uses.map(\.id)).sorted(), problems))
        }
        return true
    }

    /// Whether a task that uses too much disk may go on, and when to look again.
    var diskRule: (mayGoOn: Bool, interval: Duration) {
        (!planner.settings.limitsDisk, planner.settings.diskInterval)
    }

    /// Measures tasks that run.
    mutating func measure(
        _ ids: [TaskID], of framework: FrameworkID, at now: Instant
    ) -> [TaskUsage] {
        sizes.refresh(running.map { ($0.key, $0.value.sandbox) }, at: now, on: measuring) {
            [post] in post(.measured($0))
        }
        let live = ids.compactMap { id in
            tokens[id].flatMap { token in running[token].map { (token: token, task: $0) } }
        }
        let sessions = sampler == nil ? UsageProbe.sessions(live.map(\.task.process.pid)) : []
        return live.enumerated().map { index, item in
            var usage = TaskUsage(
                key: TaskKey(framework, item.task.id), diskBytes: sizes[item.token])
            if let sampler {
                let counted = sampler.sample(item.task.plan.name)
                usage.cpuTime = counted.cpuTime ?? .zero
                usage.memoryBytes = counted.memoryBytes ?? 0
                usage.processes = counted.processes ?? 0
                usage.throttledTime = counted.throttledTime
                usage.pressure = counted.pressure
            } else {
                usage.cpuTime = sessions[index].cpuTime
                usage.memoryBytes = sessions[index].memoryBytes
                usage.processes = sessions[index].processes
            }
            if item.task.hasOwnNetwork {
                usage.network = UsageProbe.network(of: item.task.process.pid)
            }
            return usage
        }
    }

    /// Takes over what the sandboxes take on the disk.
    mutating func take(_ pass: SandboxSizes.Pass, at now: Instant) { sizes.take(pass, at: now) }
}

extension CgroupProbe {
    fileprivate func killAll(_ plans: [IsolationPlan]) {
        for plan in plans where !plan.confinement.cgroups.isEmpty { kill(plan.name) }
    }
}
