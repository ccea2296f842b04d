import Foundation
import Logging
import Proffer

/// A framework for the tests of crashes: it keeps its intents and updates in a file, runs a number
/// of tasks, each once, and ends when it gets TERM.
///
/// Its environment: `CRASH_JOURNAL` (the file), `CRASH_COMMAND` (what a task does), `CRASH_TASKS`
/// (how many, 1 unless said), `CRASH_CPUS` (thousandths of a core for each, 100 unless said), and
/// what every framework reads to find the master.
@main
enum CrashFramework {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        func number(_ name: String, _ standard: Int) -> Int {
            environment[name].flatMap { Int($0) } ?? standard
        }
        guard let path = environment["CRASH_JOURNAL"], let command = environment["CRASH_COMMAND"]
        else { throw Problem(description: "CRASH_JOURNAL and CRASH_COMMAND have to be set") }
        let journal = try Journal(path)
        let policy = CrashPolicy(
            tasks: number("CRASH_TASKS", 1), command: command,
            cpus: Milli(thousandths: Int64(number("CRASH_CPUS", 100))), before: journal.before)
        var info = FrameworkInfo(name: "crash")
        info.failoverTimeout = .seconds(3600)
        for case .id(let id) in journal.before { info.id = id }
        var options = FrameworkOptions(info: info)
        options.knownTasks = policy.known.map { ReconcileTask(taskID: $0) }
        options.reconcileFirstPause = .milliseconds(500)
        options.teardownPatience = .seconds(300)
        let runner = try FrameworkRunner(
            policy: policy, options: options, connection: .fromEnvironment(),
            logger: Logger(label: "crash"), registered: { try journal.append([.id($0)]) },
            outputs: { try journal.append($0) })
        signal(SIGTERM, SIG_IGN)
        let signals = DispatchSource.makeSignalSource(signal: SIGTERM)
        signals.setEventHandler { runner.stop(teardown: true) }
        signals.resume()
        // From here on it can be asked to end.
        try journal.append([.started])
        try runner.start()
        try await runner.finished()
        withExtendedLifetime(signals) {}
    }

    struct Problem: Error, CustomStringConvertible {
        let description: String
    }
}
