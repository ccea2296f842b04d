import ProfferAPI
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferCommands

@Suite("One task")
struct TaskTests {
    private func task(_ result: CheckResult?, healthy: Bool? = nil) -> TaskObject {
        TaskObject(
            TaskSummary(
                key: TaskKey("f/1", "t t"), name: "web", role: "*", state: .running,
                lastStatus: TaskStatus(
                    taskID: "t t", state: .running, healthy: healthy, checkResult: result)))
    }

    private func value(_ name: String, _ task: TaskObject) -> String? {
        TaskCommand.rows(task).first { $0.name == name }?.value
    }

    @Test(
        "the last result of a check is told in words",
        arguments: [
            (.command(exitCode: 42), "the command exited with code 42"),
            (.http(status: 503), "the answer had status 503"),
            (.tcp(succeeded: true), "the connection was made"),
            (.tcp(succeeded: false), "the connection was refused"),
            (.http(status: nil), "http: not done, or no answer in time"),
        ] as [(CheckResult, String)])
    func check(result: CheckResult, words: String) {
        #expect(value("check", task(result)) == words)
    }

    @Test("what is not known is left out")
    func unknown() {
        let found = task(nil)
        #expect(value("check", found) == nil)
        #expect(value("health", found) == nil)
        #expect(value("state", found) == "TASK_RUNNING")
        #expect(value("health", task(nil, healthy: false)) == "bad")
    }

    @Test("a session's query keeps every argument whole")
    func query() {
        let words = ["sh", "-c", "echo a&b=c ü"]
        #expect(
            ExecCommand.path(task(nil), words, nil)
                == "/v1/sessions/f%2F1/t%20t?arg=sh&arg=-c&arg=echo%20a%26b%3Dc%20%C3%BC")
        let path = ExecCommand.path(task(nil), ["sh"], (rows: 3, columns: 4))
        #expect(path.hasSuffix("&rows=3&columns=4"))
        #expect(path.contains("&terminal="))
    }
}
