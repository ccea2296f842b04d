internal import DequeModule
internal import Glibc
internal import ProfferContainers
internal import ProfferExecutor
internal import ProfferExecutorWire
internal import ProfferFailpoints
@_spi(Driver) internal import ProfferKernel
internal import ProfferModel
internal import ProfferTransport

/// Carries out what the executor machine wants, on the thread of its reactor.
final class ExecutorHandler: ReactorHandler {
    /// A task that has a process.
    private struct Running {
        var id: TaskID
        var process: ProcessIdentity
        var sandbox: String
        var environment: [EnvironmentVariable]
        var outputs: [OutputFile]
    }

    /// So many processes are started in one turn, so that updates leave in between.
    private static let startsPerTurn = 4
    private static let rotationInterval = Duration.seconds(1)
    /// One pass over all processes for everything that ended in the meantime.
    private static let sweepDelay = Duration.milliseconds(200)

    private let configuration: ExecutorShellConfiguration
    private let signals: SignalDescriptor?
    private var machine: Executor
    private var outbox = Outbox<ExecutorEffect>()
    private var inputs: Deque<ExecutorInput> = []
    private var starts: Deque<TaskLaunch> = []

    private var watcher: ProcessWatcher
    private var checks: CheckRunner
    private var sweeper = ProcessSweeper()
    private var sweepAt: Instant?
    private var rotateAt: Instant?
    private var running: [UInt64: Running] = [:]
    private var tokens: [TaskID: UInt64] = [:]
    private var references: [UInt64: CheckReference] = [:]
    private var lastToken: UInt64 = 0
    private var isWatching = false
    private(set) var exitCode: Int32?

    init(
        _ configuration: ExecutorShellConfiguration, signals: SignalDescriptor?
    ) throws(SystemError) {
        let watcher = try ProcessWatcher()
        let checks = try CheckRunner()
        self.configuration = configuration
        self.signals = signals
        self.watcher = watcher
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
            earliest(machine.nextDeadline, checks.nextDeadline), earliest(sweepAt, rotateAt))
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
            }
        }
        for _ in 0..<Self.startsPerTurn {
            guard let launch = starts.popFirst() else { break }
            start(launch, at: now)
        }
        if let deadline = checks.nextDeadline, deadline <= now { takeAnswers(at: now) }
        settle(at: now, &links)
        if let sweepAt, sweepAt <= now { sweep() }
        if let rotateAt, rotateAt <= now { rotate(at: now) }
    }

    private func watch(_ links: inout Links) {
        isWatching = true
        links.watch(watcher.fileDescriptor)
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
            if descriptor == watcher.fileDescriptor {
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
        case .signal(let id, let number): signal(id, number)
        case .runCheck(let reference, let kind, let timeout):
            run(reference, kind, until: now + timeout)
        case .measure(let ids): measure(ids)
        case .forget: break
        case .observe(let observation): log("\(observation)")
        case .exit(let code):
            sweep()
            exitCode = code
            links.stop()
        }
    }

    // MARK: Processes

    private func start(_ launch: TaskLaunch, at now: Instant) {
        let plan = ProcessPlan(
            command: launch.command, environment: launch.environment, directory: launch.sandbox)
        do throws(SystemError) {
            Failpoint.hit(.executorStartBefore)
            let process = try ProcessLauncher.start(plan, isExact: false)
            Failpoint.hit(.executorStartAfter)
            lastToken += 1
            try watcher.watchChild(process, token: lastToken)
            running[lastToken] = Running(
                id: launch.id, process: process, sandbox: launch.sandbox,
                environment: launch.environment,
                outputs: ["stdout", "stderr"].compactMap {
                    OutputFile("\(launch.sandbox)/\($0)")
                })
            tokens[launch.id] = lastToken
            if rotateAt == nil { rotateAt = now + Self.rotationInterval }
            inputs.append(
                .processStarted(
                    launch.id, pid: Int(process.pid), startTicks: process.startTicks))
        } catch {
            inputs.append(.startFailed(launch.id, message: error.description))
        }
    }

    private func signal(_ id: TaskID, _ number: Int32) {
        guard let token = tokens[id], let task = running[token] else { return }
        watcher.signalGroup(token, number)
        if number == SIGKILL {
            ProcessSweeper.signalStrays(of: task.process, sandbox: task.sandbox, number)
        }
    }

    private func takeEnds(at now: Instant) {
        for end in watcher.takeEnds() {
            guard let task = running.removeValue(forKey: end.token) else { continue }
            Failpoint.hit(.executorExitReceived)
            tokens[task.id] = nil
            sweeper.add(sandbox: task.sandbox, process: task.process)
            if sweepAt == nil { sweepAt = now + Self.sweepDelay }
            let exit = end.exit ?? TaskExit()
            var tail = exit.code == 0 ? "" : OutputFile.tail("\(task.sandbox)/stderr")
            // A task cannot say it itself: its standard error is on the same disk.
            if exit.code != 0, Sandbox.isFull(task.sandbox) {
                tail += "\nNo space left on the disk of the sandbox"
            }
            inputs.append(.processExited(task.id, exit, errorTail: tail))
        }
    }

    private func sweep() {
        sweepAt = nil
        Failpoint.hit(.executorSweepBefore)
        let count = sweeper.sweep()
        Failpoint.hit(.executorSweepAfter)
        if count > 0 { log("killed \(count) processes that tasks had left behind") }
    }

    private func rotate(at now: Instant) {
        rotateAt = running.isEmpty ? nil : now + Self.rotationInterval
        for task in running.values {
            for output in task.outputs {
                do throws(SystemError) {
                    try output.rotate(limit: configuration.outputLimitBytes)
                } catch {
                    log("\(error)")
                }
            }
        }
    }

    // MARK: Checks and usage

    private func run(_ reference: CheckReference, _ kind: CheckKind, until deadline: Instant) {
        guard let token = tokens[reference.task], let task = running[token] else {
            inputs.append(.checkFinished(reference, .failed("the task has no process")))
            return
        }
        lastToken += 1
        references[lastToken] = reference
        let plan = CheckPlan(
            kind: kind, directory: task.sandbox, environment: task.environment,
            deadline: deadline)
        checks.start(plan, token: lastToken)
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

    private func measure(_ ids: [TaskID]) {
        let live = ids.compactMap { id in
            tokens[id].flatMap { running[$0] }.map { (id: id, leader: $0.process.pid) }
        }
        let usages = UsageProbe.sessions(live.map(\.leader))
        let reports = zip(live, usages).map { task, usage in
            TaskUsage(
                key: TaskKey(configuration.frameworkID, task.id), cpuTime: usage.cpuTime,
                memoryBytes: usage.memoryBytes, processes: usage.processes)
        }
        inputs.append(.usage(reports))
    }

    private func log(_ line: @autoclosure () -> String) {
        if let log = configuration.log { log(line()) }
    }
}
