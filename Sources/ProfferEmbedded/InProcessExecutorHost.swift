internal import Foundation
internal import ProfferAgent
internal import ProfferContainers
internal import ProfferExecutorShell
internal import ProfferModel
internal import ProfferRuntime
internal import ProfferZeroMQ
internal import Synchronization

/// Runs each executor as a thread of this process; their tasks are real processes all the same.
final class InProcessExecutorHost: ExecutorHost {
    private struct State {
        var shells: [ContainerID: ExecutorShell] = [:]
        var report: (@Sendable (ExecutorFate) -> Void)?
    }

    private let root: String
    private let agentAddress: String
    private let context: Context
    private let mayStart: (@Sendable () async -> Void)?
    private let state = Mutex(State())

    init(
        root: String, agentAddress: String, context: Context,
        mayStart: (@Sendable () async -> Void)? = nil
    ) {
        self.mayStart = mayStart
        self.root = root
        self.agentAddress = agentAddress
        self.context = context
    }

    func open(_ report: @escaping @Sendable (ExecutorFate) -> Void) {
        state.withLock { $0.report = report }
    }

    func makeSandbox(_ path: String) throws {
        let names = path.dropFirst(root.count + 1).split(separator: "/").map(String.init)
        _ = try Sandbox.create(names, below: root)
    }

    func launch(_ launch: ExecutorLaunch) {
        guard let mayStart else { return start(launch) }
        Task {
            await mayStart()
            start(launch)
        }
    }

    private func start(_ launch: ExecutorLaunch) {
        do {
            guard launch.info.kind == .default else { throw NoCustomExecutors() }
            try makeSandbox(launch.directory)
            let shell = try ExecutorShell(
                configuration: ExecutorShellConfiguration(
                    frameworkID: launch.key.framework, executorID: launch.key.executor,
                    agentAddress: agentAddress, token: launch.token,
                    directory: launch.directory),
                context: context)
            try shell.start()
            let report = state.withLock { state in
                state.shells[launch.containerID] = shell
                return state.report
            }
            let process = ProcessIdentity(pid: getpid())
            report?(
                .started(
                    launch.containerID, pid: Int(getpid()),
                    startTicks: process?.startTicks ?? 0))
            waitForEnd(of: shell, launch.containerID)
        } catch {
            let report = state.withLock { $0.report }
            report?(.failed(launch.containerID, message: "\(error)"))
        }
    }

    private func waitForEnd(of shell: ExecutorShell, _ container: ContainerID) {
        Task { [self] in
            await shell.finished()
            let report = state.withLock { state in
                state.shells[container] = nil
                return state.report
            }
            report?(.ended(container, status: 0))
        }
    }

    /// A thread cannot be killed: the executor kills its tasks and ends.
    func kill(_ container: ContainerID, pid: Int, startTicks: UInt64) {
        let (shell, report) = state.withLock { ($0.shells[container], $0.report) }
        if let shell { shell.terminate() } else { report?(.ended(container, status: -1)) }
    }

    func sweep(_ container: ContainerID, _ sandboxes: [String]) {
        var sweeper = ProcessSweeper()
        for sandbox in sandboxes {
            sweeper.add(sandbox: sandbox, process: ProcessIdentity(pid: 0, startTicks: 0))
        }
        // Nothing may wait long here; an executor in this process has waited for its tasks.
        sweeper.sweep()
        state.withLock { $0.report }?(.swept(container))
    }

    func adopt(_ container: ContainerID, pid: Int, startTicks: UInt64) -> Bool {
        state.withLock { $0.shells[container] != nil }
    }

    func close() { state.withLock { $0.report = nil } }

    /// Ends every executor that is left, with its tasks.
    func endAll() async {
        let shells = state.withLock { Array($0.shells.values) }
        for shell in shells { shell.terminate() }
        for shell in shells { await shell.finished() }
    }
}

struct NoCustomExecutors: Error, CustomStringConvertible {
    var description: String {
        "an embedded agent runs its own executor only; custom executors need proffer-agent"
    }
}
