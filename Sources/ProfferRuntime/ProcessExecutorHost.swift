internal import Foundation
internal import Glibc
public import ProfferAgent
internal import ProfferContainers
internal import ProfferFailpoints
public import ProfferIsolation
public import ProfferModel
internal import ProfferTransport
internal import ProfferZeroMQ
internal import Synchronization

/// Runs each executor as a process in a session of its own, which outlives the agent.
public final class ProcessExecutorHost: ExecutorHost {
    private struct State: ~Copyable {
        var launcher: ExecutorLauncher
        var containers: [UInt64: ContainerID] = [:]
        var tokens: [ContainerID: UInt64] = [:]
        var lastToken: UInt64 = 0
        var report: (@Sendable (ExecutorFate) -> Void)?
        var isClosed = false

        init() throws { launcher = try ExecutorLauncher() }

        mutating func token(for container: ContainerID) -> UInt64 {
            lastToken += 1
            tokens[container] = lastToken
            containers[lastToken] = container
            return lastToken
        }

        mutating func forget(_ container: ContainerID) {
            if let token = tokens.removeValue(forKey: container) { containers[token] = nil }
        }

        mutating func takeEnds() -> [ExecutorFate] {
            launcher.takeEnds().compactMap { end in
                guard let container = containers.removeValue(forKey: end.token) else { return nil }
                tokens[container] = nil
                return .ended(container, status: end.exit.map(Self.waitStatus) ?? -1)
            }
        }

        private static func waitStatus(_ exit: TaskExit) -> Int {
            if let signal = exit.signal { return signal | (exit.isCoreDumped ? 0x80 : 0) }
            return (exit.code ?? 0) << 8
        }
    }

    private let root: String
    private let program: String
    private let agentAddress: String
    private let isolation: IsolationSettings
    private let unprotected: [String]
    private let plans: PlanRunner
    private let containers: ExecutorContainers
    private let directories: EndedDirectories
    private let variables: [EnvironmentVariable]
    private let complain: @Sendable (String) -> Void
    private let state: Mutex<State>
    private let wakeUp: WakeUp
    private let sweeps: DispatchQueue

    /// Makes a host.
    ///
    /// - Parameters:
    ///   - root: The directory below which executors and sandboxes have theirs; it must exist and
    ///     be writable for nobody else.
    ///   - program: The path of `proffer-executor`.
    ///   - agentAddress: Where executors reach the agent, `ipc://…`.
    ///   - isolation: How tasks are kept apart.
    ///   - unprotected: The files of cgroups that custom executors enter, because the agent is in
    ///     one that protects it.
    ///   - variables: What executors of the agent's own are told beside that.
    ///   - complain: Told what an executor has left that cannot be undone.
    /// - Throws: When descriptors run out.
    public init(
        root: String, program: String, agentAddress: String,
        isolation: IsolationSettings = IsolationSettings(), unprotected: [String] = [],
        variables: [EnvironmentVariable] = [],
        complain: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        self.root = root
        self.program = program
        self.agentAddress = agentAddress
        self.isolation = isolation
        self.unprotected = unprotected
        self.variables = variables
        self.complain = complain
        directories = EndedDirectories(root: root)
        plans = PlanRunner(directory: try Sandbox.create(["plans"], below: root))
        containers = ExecutorContainers(isolation, runner: plans)
        state = Mutex(try State())
        wakeUp = try WakeUp()
        sweeps = DispatchQueue(label: "proffer.sweeps")
    }

    /// Begins to report.
    public func open(_ report: @escaping @Sendable (ExecutorFate) -> Void) {
        let descriptor = state.withLock { state in
            state.report = report
            return state.launcher.fileDescriptor
        }
        spawnThread(name: "executors") { [self] in watch(descriptor) }
    }

    /// Waits for ends until the host is closed.
    private func watch(_ descriptor: Int32) {
        var waiting = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            _ = poll(&waiting, 2, -1)
            let (reports, report) = state.withLock { state in
                (state.takeEnds(), state.isClosed ? nil : state.report)
            }
            guard let report else { return }
            for item in reports { conclude(item, report) }
        }
    }

    /// Tells of an end.
    ///
    /// What an executor has made for its tasks is undone meanwhile; everything in
    /// a cgroup of its own dies first, so that nothing of it is left when its resources are free.
    private func conclude(
        _ fate: ExecutorFate, _ report: @escaping @Sendable (ExecutorFate) -> Void
    ) {
        guard case .ended(let container, _) = fate else { return report(fate) }
        containers.forget(container)
        if !containers.hasCgroups {
            undoPlans(of: container)
            report(fate)
            return
        }
        sweeps.async { [self] in
            self.report(plans.recover { Self.container(of: $0) == container.value })
            report(fate)
        }
    }

    /// Makes a sandbox that only its owner can enter.
    ///
    /// - Throws: `SystemError` that names the path.
    public func makeSandbox(_ path: String) throws { try makeDirectory(path) }

    private func makeDirectory(_ path: String) throws {
        guard path.hasPrefix(root + "/") else {
            throw DaemonProblem(
                .failed, "\(path) cannot be made", because: "it does not lie below \(root)",
                try: "give the agent one data directory only")
        }
        let names = path.dropFirst(root.count + 1).split(separator: "/").map(String.init)
        _ = try Sandbox.create(names, below: root)
    }

    /// Moves directories to where they are removed.
    public func discard(_ paths: [String]) {
        do throws(SystemError) {
            try directories.discard(paths)
        } catch {
            complain("\(error)")
        }
    }

    /// Renames what is to go, and removes it on a thread of its own.
    public func changeVolumes(destroyed: [VolumePlace], created: [VolumePlace]) {
        let store = VolumeStore()
        do throws(SystemError) {
            let moved = try store.discard(destroyed)
            sweeps.async { [complain] in
                for path in store.remove(moved) { complain("\(path) cannot be removed") }
            }
            for path in try store.setAside(created) {
                complain("a new volume was to have a place in use; that is now \(path)")
            }
        } catch {
            complain(error.description)
        }
    }

    /// Starts `proffer-executor`, or for a custom executor its command.
    public func launch(_ launch: ExecutorLaunch) {
        do {
            try makeDirectory(launch.directory)
            var command: CommandInfo
            var settings = isolation
            var confinement = Confinement()
            if launch.info.kind == .custom {
                command = launch.info.command ?? CommandInfo()
                command.user = launch.user
                confinement = try containers.prepare(launch)
                // It is the framework's program: the node's memory is taken from it as from tasks,
                // and it has no part in what protects the agent.
                confinement.oomScore = isolation.oomScore
                if confinement.cgroups.isEmpty { confinement.cgroups = unprotected }
            } else {
                // Our own executor keeps the agent's user, out of reach of its tasks, and gives
                // each of them its own.
                command = CommandInfo(value: program, shell: false, arguments: [program])
                settings.user = launch.user
            }
            let environment =
                [EnvironmentVariable(name: "PATH", value: Self.path)] + launch.environment + [
                    EnvironmentVariable(name: "PROFFER_AGENT_ADDRESS", value: agentAddress),
                    EnvironmentVariable(name: "PROFFER_PLANS", value: plans.directory),
                ] + settings.environment + variables
                + Failpoints.environment.map { .init(name: $0.name, value: $0.value) }
            command.environment = []
            let (process, report) = try state.withLock { state in
                let token = state.token(for: launch.containerID)
                let process = try state.launcher.start(
                    command, environment: environment, directory: launch.directory,
                    token: token, confinement: confinement)
                return (process, state.report)
            }
            report?(
                .started(
                    launch.containerID, pid: Int(process.pid), startTicks: process.startTicks))
        } catch {
            let report = state.withLock { state in
                state.forget(launch.containerID)
                return state.report
            }
            containers.forget(launch.containerID)
            undoPlans(of: launch.containerID)
            report?(.failed(launch.containerID, message: "\(error)"))
        }
    }

    /// Changes the limits and volumes of a custom executor.
    public func resize(_ size: ExecutorSize) {
        // One that was not started, or has ended meanwhile, has nothing to be changed.
        guard state.withLock({ $0.tokens[size.containerID] != nil }) else { return }
        do throws(SystemError) {
            try containers.resize(size)
        } catch {
            complain("executor \(size.containerID): \(error)")
        }
    }

    private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// Kills an executor if it is still the same process.
    public func kill(_ container: ContainerID, pid: Int, startTicks: UInt64) {
        let report = state.withLock { state -> (@Sendable (ExecutorFate) -> Void)? in
            if let token = state.tokens[container], state.launcher.signal(token, SIGKILL) {
                return nil
            }
            return state.report
        }
        if let report { conclude(.ended(container, status: -1), report) }
    }

    /// So long is waited for what was killed; the agent asks again later.
    private static let sweepPatience = Duration.seconds(5)

    /// Kills what is left of tasks, on a thread of its own: it looks at every process of the node.
    public func sweep(_ container: ContainerID, _ sandboxes: [String]) {
        sweeps.async { [self] in
            var sweeper = ProcessSweeper()
            for sandbox in sandboxes {
                sweeper.add(sandbox: sandbox, process: ProcessIdentity(pid: 0, startTicks: 0))
            }
            guard sweeper.sweepCompletely(within: Self.sweepPatience) else {
                complain("processes of \(sandboxes.joined(separator: ", ")) do not die")
                return
            }
            state.withLock { $0.report }?(.swept(container))
        }
    }

    /// Undoes what executors that are no more have made for their tasks, and waits until what an
    /// agent without records does not know is gone.
    public func settle(living: [ContainerID], hasRecords: Bool) {
        if !hasRecords {
            var sweeper = ProcessSweeper()
            sweeper.add(allBelow: root + "/sandboxes")
            if !sweeper.sweepCompletely(within: Self.sweepPatience) {
                complain("processes of an earlier agent of \(root) do not die")
            }
        }
        if !isolation.volumes.directory.isEmpty {
            sweeps.async { [self] in
                let left = VolumeStore().removeDiscarded(below: isolation.volumes.directory)
                for path in left { complain("\(path) cannot be removed") }
            }
        }
        let living = Set(living.map(\.value))
        // What there is now: executors that are started meanwhile make plans of their own.
        let left = Set(plans.names().filter { !living.contains(Self.container(of: $0)) })
        if left.isEmpty { return }
        sweeps.async { [self] in report(plans.recover(where: left.contains)) }
    }

    private func undoPlans(of container: ContainerID) {
        sweeps.async { [self] in
            report(plans.recover { Self.container(of: $0) == container.value })
        }
    }

    private func report(_ problems: [SystemError]) {
        for problem in problems { complain(problem.description) }
    }

    /// The executor in the name of a plan, which ends with a dot and a number.
    private static func container(of plan: String) -> String {
        plan.lastIndex(of: ".").map { String(plan[..<$0]) } ?? plan
    }

    /// Watches an executor that an earlier run of the agent started.
    public func adopt(_ container: ContainerID, pid: Int, startTicks: UInt64) -> Bool {
        state.withLock { state in
            let process = ProcessIdentity(pid: Int32(clamping: pid), startTicks: startTicks)
            let token = state.token(for: container)
            let isAlive = (try? state.launcher.adopt(process, token: token)) ?? false
            if !isAlive { state.forget(container) }
            return isAlive
        }
    }

    /// Ends the host's thread; executors live on.
    public func close() {
        state.withLock { state in
            state.isClosed = true
            state.report = nil
        }
        wakeUp.signal()
        sweeps.sync {}
    }
}
