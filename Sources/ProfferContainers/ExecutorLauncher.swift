internal import Glibc
public import ProfferIsolation
public import ProfferModel

/// Starts executors for an agent, and notices the end of those it has started and of those it
/// has found again after a restart.
///
/// Executors lead sessions of their own, so they outlive the agent.
public struct ExecutorLauncher: ~Copyable, Sendable {
    /// What an executor's output is written to, in its directory.
    public static let logName = "executor.log"

    private var watcher: ProcessWatcher

    /// Makes a launcher without executors.
    public init() throws(SystemError) { watcher = try ProcessWatcher() }

    /// Becomes readable when ``takeEnds(within:)`` has something to say.
    public var fileDescriptor: Int32 { watcher.fileDescriptor }

    /// Starts an executor.
    ///
    /// - Parameters:
    ///   - command: The program, or for a custom executor the framework's command.
    ///   - environment: Its whole environment.
    ///   - directory: Its working directory, which must exist.
    ///   - token: A number for it that no other executor has.
    ///   - confinement: What its first process does to itself.
    /// - Returns: Its process.
    /// - Throws: ``SystemError`` that names the program.
    public mutating func start(
        _ command: CommandInfo, environment: [EnvironmentVariable], directory: String,
        token: UInt64, confinement: Confinement = Confinement()
    ) throws(SystemError) -> ProcessIdentity {
        let process = try ProcessLauncher.start(
            ProcessPlan(
                command: command, environment: environment + command.environment,
                directory: directory, output: .log(Self.logName), confinement: confinement))
        try watcher.watchChild(process, token: token)
        return process
    }

    /// Watches an executor that an earlier agent process has started.
    ///
    /// - Returns: Whether it is alive; otherwise its end has been missed.
    /// - Throws: ``SystemError`` when there are no descriptors left.
    public mutating func adopt(
        _ process: ProcessIdentity, token: UInt64
    ) throws(SystemError) -> Bool {
        // An agent that was replaced by `exec` is still the parent.
        if ProcessStat(pid: process.pid)?.parent == getpid(), process.isAlive {
            try watcher.watchChild(process, token: token)
            return true
        }
        return try watcher.watchStranger(process, token: token)
    }

    /// Sends a signal to an executor's process group; its tasks are in groups of their own.
    ///
    /// - Returns: Whether there was a process to send it to.
    @discardableResult
    public func signal(_ token: UInt64, _ number: Int32) -> Bool {
        watcher.signalGroup(token, number)
    }

    /// Reports every end since the last call; without an exit status for adopted executors.
    ///
    /// - Parameter milliseconds: How long to wait for the first end; -1 is for ever.
    /// - Returns: The ends, in the order in which they were noticed.
    public mutating func takeEnds(within milliseconds: Int32 = 0) -> [ProcessEnd] {
        watcher.takeEnds(within: milliseconds)
    }
}
