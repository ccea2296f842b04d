import Glibc
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferContainers

/// A directory of its own, removed at the end.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/proffer-containers-XXXXXX".utf8CString)
        path = String(cString: try #require(mkdtemp(&template)))
    }

    deinit {
        let command = CommandInfo(
            value: "rm", shell: false, arguments: ["rm", "-rf", "--", path])
        let plan = ProcessPlan(
            command: command, environment: [], directory: "/", output: .discarded)
        guard let process = try? ProcessLauncher.start(plan),
            var watcher = try? ProcessWatcher()
        else { return }
        try? watcher.watchChild(process, token: 1)
        _ = watcher.takeEnds(within: 30_000)
    }

    func text(_ name: String) -> String { OutputFile.tail("\(path)/\(name)", limit: 65_536) }

    /// A plan for a shell command in this directory.
    func plan(_ command: String, variables: [EnvironmentVariable] = []) -> ProcessPlan {
        ProcessPlan(
            command: CommandInfo(value: command), environment: standardEnvironment + variables,
            directory: path)
    }

    var standardEnvironment: [EnvironmentVariable] {
        [
            EnvironmentVariable(name: "PATH", value: "/usr/bin:/bin"),
            EnvironmentVariable(name: "PROFFER_SANDBOX", value: path),
        ]
    }

    /// Runs a command to its end.
    func run(_ plan: ProcessPlan) throws -> TaskExit? {
        var watcher = try ProcessWatcher()
        try watcher.watchChild(try ProcessLauncher.start(plan), token: 1)
        return watcher.takeEnds(within: 30_000).first?.exit
    }
}

/// Waits until something is true; fails after ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    let end = monotonicNow() + .seconds(10)
    while monotonicNow() < end {
        if condition() { return true }
        usleep(2000)
    }
    return condition()
}
