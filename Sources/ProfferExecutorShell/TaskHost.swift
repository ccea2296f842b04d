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
        var hasOwnNetwork: Bool
    }

    /// A task whose container is being made.
    private struct Preparing {
        var launch: TaskLaunch
        var startedAt: Instant
    }

    /// What tasks of a group share, until the last of them has gone.
    private struct Group {
        var plan: IsolationPlan
        var members: Set<TaskID>
    }

    /// A task whose first process has ended while others of it, or what was made for it, are there.
    private struct Draining {
        var end: TaskEnd
        var plan: IsolationPlan
        var since: Instant
        var pause: Duration
        var nextAt: Instant
        var isTold = false
    }

    /// One pass over all processes for everything that ended in the meantime.
    private static let sweepDelay = Duration.milliseconds(200)
    private static let firstPause = Duration.milliseconds(1)
    private static let longestPause = Duration.milliseconds(200)
    /// After so long, what does not go away is told.
    private static let patience = Duration.seconds(5)

    private let planner: TaskPlanner
    private let runner: PlanRunner
    private let probe: CgroupProbe?
    private let sampler: CgroupSampler?
    private let containerID: ContainerID
    private let log: @Sendable (String) -> Void
    private let background = BackgroundWork(threads: 4)
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
        probe = planner.cgroups.map { CgroupProbe($0) }
        sampler = probe.map { CgroupSampler($0) }
        runner = PlanRunner(
            directory: configuration.plansDirectory ?? configuration.directory)
        containerID = configuration.containerID
        fetch = configuration.fetch
        self.post = post
        self.log = log
    }

    /// Becomes readable when ``takeEnds(at:)`` has something to do.
    var fileDescriptor: Int32 { watcher.fileDescriptor }

    /// When ``takeEnds(at:)`` or ``sweep(at:)`` is next due.
    var nextDeadline: Instant? {
        earliest(sweepAt, draining.map(\.nextAt).min())
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
        if let problem = planner.problem(with: launch.container) {
            throw SystemError("start", "task \(launch.id)", code: EPERM, hint: problem)
        }
        if !launch.command.uris.isEmpty {
            try beginFetch(launch)
            return nil
        }
        lastToken += 1
        let plan = planner.plan(
            IsolationSubject(
                name: "\(containerID.value).\(lastToken)", resources: launch.resources,
                bounds: launch.limits, container: launch.container))
        if ContainerStart.isWanted(by: launch, planner.settings) {
            try contain(launch, plan, at: now)
            return nil
        }
        Failpoint.hit(.executorPlanBefore)
        try runner.carryOut(plan)
        Failpoint.hit(.executorPlanAfter)
        var command = launch.command
        command.user = command.user ?? planner.settings.user
        let process: ProcessIdentity
        do throws(SystemError) {
            Failpoint.hit(.executorStartBefore)
            process = try ProcessLauncher.start(
                ProcessPlan(
                    command: command, environment: launch.environment, directory: launch.sandbox,
                    confinement: plan.confinement), isExact: false)
            Failpoint.hit(.executorStartAfter)
            try watcher.watchChild(process, token: lastToken)
        } catch {
            runner.undo(plan)
            throw error
        }
        note(launch, process, plan, token: lastToken, at: now)
        return process
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
            hasOwnNetwork: UsageProbe.hasOwnNetwork(process.pid))
        tokens[launch.id] = token
    }

    /// Has the files of a task fetched, which is told by mail.
    private mutating func beginFetch(_ launch: TaskLaunch) throws(SystemError) {
        let uris = launch.command.uris
        guard let fetch else {
            throw SystemError(
                "fetch", uris.first?.value ?? "", code: 0,
                hint: "this executor fetches nothing; install proffer-fetcher beside it")
        }
        let user = try NodeUsers.find(launch.command.user ?? planner.settings.user)
        let token = fetches.begin(launch)
        background.submit { [post] in
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
        _ launch: TaskLaunch, _ plan: IsolationPlan, at now: Instant
    ) throws(SystemError) {
        let group = try enterGroup(launch)
        let token = lastToken
        preparing[token] = Preparing(launch: launch, startedAt: now)
        let id = launch.id
        let start = ContainerStart(
            launch: launch, plan: plan, settings: planner.settings, runner: runner, group: group,
            log: { [log] in log("task '\(id)': \($0)") })
        background.submit { [post] in
            let result: Result<ContainerStart.Outcome, SystemError>
            do throws(SystemError) {
                result = .success(try start.run())
            } catch {
                result = .failure(error)
            }
            post(.contained(token, result))
        }
    }

    /// Makes what a task's group shares, if it is the first of it.
    ///
    /// - Returns: The name of the group's plan; `nil` for a task of its own.
    private mutating func enterGroup(_ launch: TaskLaunch) throws(SystemError) -> String? {
        guard let number = launch.group, let container = launch.container else { return nil }
        if groups[number] == nil {
            let plan = try ContainerStart.makeGroup(
                "\(containerID.value).g\(number)", like: container, planner.settings, runner)
            groups[number] = Group(plan: plan, members: [])
        }
        groups[number]?.members.insert(launch.id)
        return groups[number]?.plan.name
    }

    /// Undoes what a group has shared after its last task.
    private mutating func leaveGroup(_ id: TaskID) {
        guard let number = groups.first(where: { $0.value.members.contains(id) })?.key else {
            return
        }
        groups[number]?.members.remove(id)
        guard let group = groups[number], group.members.isEmpty else { return }
        groups[number] = nil
        runner.undo(group.plan, within: 100)
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
    private mutating func drain(at now: Instant) -> [TaskEnd] {
        var ends: [TaskEnd] = []
        var left: [Draining] = []
        for var task in draining {
            if task.nextAt > now {
                left.append(task)
            } else if undo(task.plan) {
                leaveGroup(task.end.id)
                ends.append(task.end)
            } else {
                task.pause = min(Self.longestPause, task.pause * 2)
                task.nextAt = now + task.pause
                if !task.isTold, now - task.since > Self.patience {
                    task.isTold = true
                    log("the processes of task '\(task.end.id)' do not go away")
                }
                left.append(task)
            }
        }
        draining = left
        return ends
    }

    private func undo(_ plan: IsolationPlan) -> Bool {
        Failpoint.hit(.executorUndoBefore)
        guard runner.undo(plan) else { return false }
        Failpoint.hit(.executorUndoAfter)
        return true
    }

    /// Kills what tasks without a cgroup have left behind, if it is time to.
    mutating func sweep(at now: Instant) {
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
        plans += groups.values.map(\.plan)
        probe?.killAll(plans)
        for plan in plans { runner.undo(plan, within: 500) }
    }

    // MARK: Usage

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
