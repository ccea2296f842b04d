import Glibc
import ProfferExecutorSDK

/// Does what the data of its tasks says: `wait PATH` ends when there is a file, with the process's
/// number; `fail TEXT` fails; `stay` never looks at its cancellation.
@main
struct ScriptedExecutor: CustomExecutor {
    func run(_ task: LaunchedTask, _ reporter: TaskReporter) async throws -> [UInt8] {
        let text = String(decoding: task.info.data, as: UTF8.self)
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        switch words.first {
        case "wait":
            reporter.report("waiting", data: Array("\(getpid())".utf8), healthy: true)
            while access(words[1], F_OK) != 0 {
                try await Task.sleep(for: .milliseconds(10))
            }
            return Array("\(getpid())".utf8)
        case "stay":
            while true { try? await Task.sleep(for: .milliseconds(10)) }
        default: throw Failure(description: words.count > 1 ? words[1] : "no such order")
        }
    }

    /// Sends everything back, with the name of the token's variable if it is still set.
    func message(_ data: [UInt8], _ executor: ExecutorHandle) async {
        let hasToken = getenv("PROFFER_EXECUTOR_TOKEN") != nil
        executor.send(data + (hasToken ? Array("token".utf8) : []))
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
}
