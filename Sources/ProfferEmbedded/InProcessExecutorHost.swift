internal import Foundation
internal import ProfferAgent
internal import ProfferContainers
internal import ProfferExecutorShell
internal import ProfferFetching
internal import ProfferIsolation
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
            var isolation = IsolationSettings()
            isolation.volumes.directory = try Sandbox.create(["volumes"], below: root)
            let shell = try ExecutorShell(
                configuration: ExecutorShellConfiguration(
                    frameworkID: launch.key.framework, executorID: launch.key.executor,
                    agentAddress: agentAddress, token: launch.token,
                    directory: launch.directory, fetch: fetch, isolation: isolation,
                    containerID: launch.containerID),
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

    /// Files of tasks are fetched where `proffer-fetcher` is beside the running program, as it is
    /// beside `proffer`; tasks that want any elsewhere are told so.
    private var fetch: TaskFetch? {
        let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent()
        let program = folder.appendingPathComponent("proffer-fetcher").path
        guard FileManager.default.isExecutableFile(atPath: program) else { return nil }
        var settings = FetchSettings()
        settings.directory = root + "/fetch"
        return TaskFetch(program: program, settings: settings.json.description)
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

    func changeVolumes(destroyed: [VolumePlace], created: [VolumePlace]) {
        let store = VolumeStore()
        // A cluster of this kind ends with its directory; what cannot be moved goes then.
        let moved = (try? store.discard(destroyed)) ?? []
        _ = store.remove(moved)
        _ = try? store.setAside(created)
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
