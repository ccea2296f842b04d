internal import ArgumentParser
internal import Foundation
internal import ProfferAPI

struct TaskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task", abstract: "Show one task, with the last results of its checks.")

    @OptionGroup
    var cluster: ClusterOptions

    @Argument(help: "The task: its id, a unique beginning of it, or its name.")
    var task: String

    func run() async throws {
        let found = try await findTask(task, cluster.client())
        switch cluster.output {
        case .json:
            say(String(decoding: try APICoding.encode(found, pretty: true), as: UTF8.self))
        case .table:
            var table = Table(["FIELD", "VALUE"])
            for (name, value) in Self.rows(found) { table.add([name, value]) }
            say(table.text)
        }
    }

    /// What is known of a task, in the order in which it is shown.
    static func rows(_ task: TaskObject) -> [(name: String, value: String)] {
        let known: [(String, String?)] = [
            ("task", task.id), ("name", task.name), ("state", task.state),
            ("reason", task.reason), ("message", task.message),
            ("health", task.healthy.map { $0 ? "ok" : "bad" }), ("check", task.check.map(words)),
            ("framework", task.framework), ("role", task.role), ("agent", task.agent),
            ("host", task.hostname), ("pid", task.pid.map(String.init)),
            ("since", task.created), ("resources", amounts(task.resources)),
        ]
        return known.compactMap { name, value in value.map { (name, $0) } }
    }

    private static func words(_ check: CheckObject) -> String {
        if let code = check.exitCode { return "the command exited with code \(code)" }
        if let status = check.status { return "the answer had status \(status)" }
        if let connected = check.connected {
            return connected ? "the connection was made" : "the connection was refused"
        }
        return "\(check.kind): not done, or no answer in time"
    }
}
