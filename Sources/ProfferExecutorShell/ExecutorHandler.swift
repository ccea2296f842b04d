internal import DequeModule
internal import Glibc
internal import ProfferContainers
internal import ProfferExecutor
internal import ProfferExecutorWire
internal import ProfferFailpoints
internal import ProfferIsolation
@_spi(Driver) internal import ProfferKernel
internal import ProfferModel
internal import ProfferTransport

/// Carries out what the executor machine wants, on the thread of its reactor.
final class ExecutorHandler: ReactorHandler {
    /// So many processes are started in one turn, so that updates leave in between.
    private static let startsPerTurn = 4
    private static let rotationInterval = Duration.seconds(1)

    private let configuration: ExecutorShellConfiguration
    private let signals: SignalDescriptor?
    private var machine: Executor
    private var outbox = Outbox<ExecutorEffect>()
    private var inputs: Deque<ExecutorInput> = []
    private var starts: Deque<TaskLaunch> = []

    private var tasks: TaskHost
    private var checks: CheckRunner
    private var rotateAt: Instant?
    private var diskAt: Instant?
    private var isMeasuring = false
    private var references: [UInt64: CheckReference] = [:]
    private var lastCheck: UInt64 = 0
    private var isWatching = false
    private(set) var exitCode: Int32?

    init(
        _ configuration: ExecutorShellConfiguration, signals: SignalDescriptor?,
        post: @escaping @Sendable (ExecutorShell.Mail) -> Void
    ) throws(SystemError) {
        let tasks = try TaskHost(configuration, post: post) { configuration.log?($0) }
        let checks = try CheckRunner()
        self.configuration = configuration
        self.signals = signals
        self.tasks = tasks
        self.checks = checks
        machine = Executor(
            configuration: ExecutorConfiguration(
                frameworkID: configuration.frameworkID, executorID: configuration.executorID,
                shutdownGrace: configuration.shutdownGrace,
                recoveryTimeout: configuration.recoveryTimeout,
                usageInterval: configuration.usageInterval),
            clock: SystemClock.wallClock(), seed: SystemClock.seed(), at: SystemClock.now())
    }

    var nextDeadline: Instant? {
        if exitCode != nil { return nil }
        if !starts.isEmpty { return .zero }
        return earliest(
            earliest(machine.nextDeadline, checks.nextDeadline),
            earliest(tasks.nextDeadline, earliest(rotateAt, diskAt)))
    }

    func turn(
        events: [TransportEvent], mail: [ExecutorShell.Mail], at now: Instant, links: inout Links
    ) {
        Failpoint.turn()
        if !isWatching { watch(&links) }
        for event in events { translate(event, at: now, &links) }
        for item in mail {
            switch item {
            case .terminate: inputs.append(.terminate)
            case .fetching(let token, let process): tasks.noteFetch(token, process)
            case .fetched(let token, let result):
                guard let launch = tasks.takeFetch(token) else { continue }
                switch result {
                case .success: start(launch, at: now)
                case .failure(let error): told(launch.id, .failure(error), at: now)
                }
            case .preparing(let token, let process): tasks.notePreparation(token, process)
            case .undone(let id, let name, let isDone):
                if let end = tasks.takeUndone(id, name, isDone: isDone, at: now) { told(end) }
            case .disks(let ids, let problems):
                isMeasuring = false
                for id in ids {
                    inputs.append(
                        .diskMeasured(
                            id, problem: problems[id], mayGoOn: tasks.diskRule.mayGoOn))
                }
            case .contained(let token, let result):
                if let (id, addresses, result) = tasks.take(token, result, at: now) {
                    told(id, result, addresses, at: now)
                }
            case .measured(let pass): tasks.take(pass, at: now)
            }
        }
        for _ in 0..<Self.startsPerTurn {
            guard let launch = starts.popFirst() else { break }
            start(launch, at: now)
        }
        if let deadline = checks.nextDeadline, deadline <= now { takeAnswers(at: now) }
        if let deadline = tasks.nextDeadline, deadline <= now { takeEnds(at: now) }
        settle(at: now, &links)
        tasks.sweep(at: now)
        if let rotateAt, rotateAt <= now { rotate(at: now) }
        if let diskAt, diskAt <= now { measureDisks(at: now) }
    }

    /// Looks at the disks of tasks, unless the last look takes longer than the pause.
    private func measureDisks(at now: Instant) {
        diskAt = tasks.running.isEmpty ? nil : now + tasks.diskRule.interval
        if !isMeasuring { isMeasuring = tasks.measureDisks() }
    }

    private func watch(_ links: inout Links) {
        isWatching = true
        links.watch(tasks.fileDescriptor)
        links.watch(checks.fileDescriptor)
        if let signals { links.watch(signals.fileDescriptor) }
    }

    private func translate(_ event: TransportEvent, at now: Instant, _ links: inout Links) {
        switch event {
        case .opened(let peer, _, _):
            // Whoever takes signals over has the process for itself.
            if signals != nil { ProgramPages.release() }
            inputs.append(.agentOpened(peer))
        case .closed(let peer, _): inputs.append(.agentClosed(peer))
        case .message(let peer, let bytes):
            do {
                // An event that this version does not know is not for it.
                guard let event = try ExecutorCodec.decodeEvent(bytes) else { return }
                event.passFailpoint()
                inputs.append(.event(event, from: peer))
            } catch {
                log("a message of the agent cannot be read: \(error)")
                inputs.append(.agentClosed(peer))
                links.close(peer, reason: "a message that cannot be read")
            }
        case .readable(let descriptor):
            if descriptor == tasks.fileDescriptor {
                takeEnds(at: now)
            } else if descriptor == checks.fileDescriptor {
                takeAnswers(at: now)
            } else {
                signals?.clear()
                inputs.append(.terminate)
            }
        }
    }

    /// Gives the machine its inputs and carries out what it wants, until there is nothing left.
    private func settle(at now: Instant, _ links: inout Links) {
        if let deadline = machine.nextDeadline, deadline <= now {
            machine.wake(at: now, into: &outbox)
        }
        repeat {
            while let input = inputs.popFirst() {
                machine.handle(input, at: now, into: &outbox)
            }
            for effect in outbox.takeAll() { perform(effect, at: now, &links) }
        } while !inputs.isEmpty
    }

    private func perform(_ effect: ExecutorEffect, at now: Instant, _ links: inout Links) {
        switch effect {
        case .tellAgent(let call, let peer):
            let message = ExecutorMessage(
                frameworkID: configuration.frameworkID, executorID: configuration.executorID,
                call: call)
            Failpoint.sending(call.failpoints) {
                links.send(ExecutorCodec.encode(message), to: peer)
            }
        case .start(let launch): starts.append(launch)
        case .signal(let id, let number): tasks.signal(id, number)
        case .runCheck(let reference, let kind, let timeout):
            run(reference, kind, until: now + timeout)
        case .measure(let ids):
            inputs.append(.usage(tasks.measure(ids, of: configuration.frameworkID, at: now)))
        case .forget: break
        case .observe(let observation): log("\(observation)")
        case .exit(let code):
            tasks.finish()
            exitCode = code
            links.stop()
        }
    }

    // MARK: Processes

    private func start(_ launch: TaskLaunch, at now: Instant) {
        do throws(SystemError) {
            if let process = try tasks.start(launch, at: now) {
                told(launch.id, .success(process), at: now)
            }
        } catch {
            told(launch.id, .failure(error), at: now)
        }
    }

    private func told(
        _ id: TaskID, _ result: Result<ProcessIdentity, SystemError>,
        _ addresses: [String] = [], at now: Instant
    ) {
        switch result {
        case .success(let process):
            if rotateAt == nil { rotateAt = now + Self.rotationInterval }
            if diskAt == nil { diskAt = now + tasks.diskRule.interval }
            inputs.append(
                .processStarted(
                    id, pid: Int(process.pid), startTicks: process.startTicks,
                    addresses: addresses))
        case .failure(let error):
            inputs.append(.startFailed(id, message: error.description))
        }
    }

    private func takeEnds(at now: Instant) {
        for end in tasks.takeEnds(at: now) { told(end) }
    }

    private func told(_ end: TaskEnd) {
        Failpoint.hit(.executorExitReceived)
        inputs.append(.processExited(end.id, end.exit, errorTail: end.errorTail))
    }

    private func rotate(at now: Instant) {
        rotateAt = tasks.running.isEmpty ? nil : now + Self.rotationInterval
        for task in tasks.running.values {
            for output in task.outputs {
                do throws(SystemError) {
                    try output.rotate(
                        limit: configuration.outputLimitBytes,
                        keeping: configuration.outputFiles - 1)
                } catch {
                    log("\(error)")
                }
            }
        }
    }

    // MARK: Checks and usage

    private func run(_ reference: CheckReference, _ kind: CheckKind, until deadline: Instant) {
        guard let task = tasks.task(reference.task) else {
            inputs.append(.checkFinished(reference, .failed("the task has no process")))
            return
        }
        lastCheck += 1
        references[lastCheck] = reference
        let plan = CheckPlan(
            kind: kind, directory: task.sandbox, environment: task.environment, user: task.user,
            confinement: task.plan.confinement,
            network: task.isContained ? "/proc/\(task.process.pid)/ns/net" : nil,
            container: tasks.entry(
                task, numberFile: "\(configuration.directory)/check-\(lastCheck).pid"),
            deadline: deadline)
        checks.start(plan, token: lastCheck)
    }

    private func takeAnswers(at now: Instant) {
        for (token, answer) in checks.takeAnswers(at: now) {
            guard let reference = references.removeValue(forKey: token) else { continue }
            let outcome: CheckOutcome =
                switch answer {
                case .command(let exitCode): .command(exitCode: exitCode)
                case .http(let status): .http(status: status)
                case .tcp(let succeeded): .tcp(succeeded: succeeded)
                case .timedOut: .timedOut
                case .failed(let message): .failed(message)
                }
            inputs.append(.checkFinished(reference, outcome))
        }
    }

    private func log(_ line: @autoclosure () -> String) {
        if let log = configuration.log { log(line()) }
    }
}
