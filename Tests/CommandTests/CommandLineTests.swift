import ArgumentParser
import Foundation
import ProfferAPI
import Testing

@testable import ProfferCommands

@Suite("Command line")
struct CommandLineTests {
    private func run(_ arguments: [String]) throws -> RunCommand {
        try #require(try ProfferCommand.parseAsRoot(["run"] + arguments) as? RunCommand)
    }

    private func exitCode(_ arguments: [String]) -> Int32? {
        do {
            _ = try ProfferCommand.parseAsRoot(arguments)
            return nil
        } catch {
            return ProfferCommand.exitCode(for: error).rawValue
        }
    }

    @Test("every command is there, none with a hyphen")
    func names() {
        let names = ProfferCommand.configuration.subcommands.compactMap {
            $0.configuration.commandName
        }
        #expect(
            names.sorted() == [
                "agent", "agents", "cp", "demo", "dev", "doctor", "exec", "files", "frameworks",
                "keygen", "kill", "logs",
                "maintenance", "offers", "priority", "ps", "quota", "rebind", "registry",
                "reserve", "roles", "run", "simulate", "status", "stop", "task", "top",
                "unreserve", "weight", "whitelist", "why",
            ])
    }

    @Test("every command says in one sentence what it does")
    func abstracts() {
        for command in ProfferCommand.configuration.subcommands {
            #expect(command.configuration.abstract.hasSuffix("."))
        }
    }

    @Test("the examples come before the explanations")
    func help() throws {
        let text = ProfferCommand.helpMessage(columns: 80)
        let examples = try #require(text.range(of: "EXAMPLES"))
        let options = try #require(text.range(of: "OPTIONS"))
        #expect(examples.lowerBound < options.lowerBound)
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test(
        "mistakes in the use end with 64",
        arguments: [
            ["frob"], ["run"], ["run", "--name", "x"], ["dev", "--agents", "0"],
            ["dev", "--agents", "33"], ["simulate", "--seeds", "0"],
            ["simulate", "--only", "x"], ["demo", "--agents", "2"], ["logs"], ["ps", "-o", "xml"],
            ["logs", "x", "--tail", "-1"], ["cp", "x", "y"], ["cp", ":x", "y"], ["files"],
            ["stop", "x", "--timeout", "soon"],
            ["run", "--name", "x", "--timeout", "1", "--", "true"],
            ["agent", "drain", "a", "--max-grace", "long"], ["agent", "gone"],
            ["maintenance", "down"], ["maintenance", "plan", "h", "--start", "noon"],
            ["maintenance", "plan", "h", "--duration", "long"], ["rebind", "agent"],
            ["run", "--name", "x", "--env", "A", "--", "true"],
            ["run", "--name", "x", "--constraint", "rack", "--", "true"],
            ["run", "--name", "x", "--health", "/", "--", "true"],
            ["run", "--name", "x", "--instances", "-1", "--", "true"],
        ])
    func usage(arguments: [String]) {
        #expect(exitCode(arguments) == 64)
    }

    @Test("an app has what the options say")
    func app() throws {
        let app = try run([
            "--name", "hello", "--instances", "2", "--cpus", "0.5", "--mem", "64", "--ports", "2",
            "--env", "A=b=c", "--env", "E=", "--constraint", "rack:UNIQUE", "--constraint",
            "zone:LIKE:a:b", "--health", "ok", "--", "echo hello",
        ]).app
        #expect(app.id == "/hello")
        #expect(app.cmd == "echo hello")
        #expect(app.instances == 2)
        #expect(app.cpus == 0.5)
        #expect(app.mem == 64)
        #expect(app.portDefinitions.map(\.name) == ["port0", "port1"])
        #expect(app.env == ["A": "b=c", "E": ""])
        #expect(app.constraints == [["rack", "UNIQUE"], ["zone", "LIKE", "a:b"]])
        #expect(app.healthChecks.map(\.path) == ["/ok"])
    }

    @Test("what comes after -- is not taken for an option")
    func terminator() throws {
        #expect(
            try run(["--name", "x", "--", "ls", "-o", "--name"]).app.cmd
                == "exec ls -o --name")
    }

    @Test(
        "one word is for the shell, of several only variables are replaced",
        arguments: [
            (["a | b"], "a | b"),
            (["ls", "/tmp"], "exec ls /tmp"),
            (["serve", "$PORT"], #"exec serve "$PORT""#),
            (["sh", "-c", "echo $PORT"], "exec sh -c 'echo $PORT'"),
            (["echo", "it's"], #"exec echo 'it'\''s'"#),
            (["echo", ""], "exec echo ''"),
            (["echo", "$(rm)"], "exec echo '$(rm)'"),
            (["echo", "$A$B"], "exec echo '$A$B'"),
        ])
    func shell(words: [String], text: String) {
        #expect(shellCommand(words) == text)
    }
}

@Suite("Log cursor")
struct LogCursorTests {
    @Test("it goes on where the answer ended")
    func progress() {
        var cursor = LogCursor(tail: nil)
        #expect(cursor.offset == 0)
        let first = cursor.advance(count: 10, start: 0, size: 25)
        #expect(first == .more)
        #expect(cursor.offset == 10)
        let second = cursor.advance(count: 15, start: 10, size: 25)
        #expect(second == .atEnd)
        let third = cursor.advance(count: 0, start: 25, size: 25)
        #expect(third == .atEnd)
        #expect(cursor.offset == 25)
    }

    @Test("a tail is counted from the end once, then the place is known")
    func tail() {
        var cursor = LogCursor(tail: 100)
        #expect(cursor.offset == -100)
        let next = cursor.advance(count: 100, start: 900, size: 1000)
        #expect(next == .atEnd)
        #expect(cursor.offset == 1000)
    }

    @Test("a tail of nothing skips all there is")
    func emptyTail() {
        var cursor = LogCursor(tail: 0)
        #expect(cursor.offset > 1 << 60)
        let next = cursor.advance(count: 0, start: 8, size: 8)
        #expect(next == .atEnd)
        #expect(cursor.offset == 8)
    }

    @Test("a file that became shorter was rotated, and is read on where its older part ends")
    func rotation() {
        var cursor = LogCursor(tail: nil)
        let first = cursor.advance(count: 50, start: 0, size: 50)
        #expect(first == .atEnd)
        let second = cursor.advance(count: 0, start: 7, size: 7)
        #expect(second == .rotated(50))
        cursor.resume(at: 5)
        #expect(cursor.offset == 5)
        let third = cursor.advance(count: 2, start: 5, size: 7)
        #expect(third == .atEnd)
    }

    @Test("without the headers of the answer its length counts")
    func withoutHeaders() {
        var cursor = LogCursor(tail: nil)
        let next = cursor.advance(count: 5, start: nil, size: nil)
        #expect(next == .atEnd)
        #expect(cursor.offset == 5)
    }
}

@Suite("Choice of a task")
struct TaskChoiceTests {
    private func task(_ id: String, _ name: String, _ state: String = "TASK_RUNNING") throws
        -> TaskObject
    {
        let text =
            #"{"kind":"task","id":"\#(id)","name":"\#(name)","framework":"f","role":"*","#
            + #""state":"\#(state)","resources":{},"labels":{}}"#
        return try APICoding.decode(TaskObject.self, from: Data(text.utf8))
    }

    @Test("an exact id wins over those that begin with it")
    func exact() throws {
        let all = [try task("web.1", "web"), try task("web.10", "web")]
        #expect(try select("web.1", from: all).id == "web.1")
    }

    @Test("a unique beginning or a name is enough")
    func near() throws {
        let all = [try task("web.1", "web"), try task("db.1", "db")]
        #expect(try select("we", from: all).id == "web.1")
        #expect(try select("db", from: all).id == "db.1")
    }

    @Test("a task that runs is meant rather than one that has ended")
    func live() throws {
        let all = [try task("web.1", "web", "TASK_FAILED"), try task("web.2", "web")]
        #expect(try select("web", from: all).id == "web.2")
    }

    @Test("what can mean several is refused, what means none is not found")
    func problems() throws {
        let all = [try task("web.1", "web"), try task("web.2", "web")]
        let several = #expect(throws: CommandProblem.self) { try select("web", from: all) }
        #expect(several?.code == .failed)
        let none = #expect(throws: CommandProblem.self) { try select("db", from: all) }
        #expect(none?.code == .notFound)
    }
}

@Suite("Names that come from elsewhere")
struct LocalNameTests {
    @Test(
        "a name that leads elsewhere is refused",
        arguments: ["", ".", "..", "a/b", "/", "../x", "a\0b"])
    func refused(name: String) {
        #expect(throws: CommandProblem.self) { try LocalName.checked(name) }
    }

    @Test("others are taken as they are", arguments: ["a", "...", "a b", "-rf", "\u{1b}[2J"])
    func taken(name: String) throws {
        #expect(try LocalName.checked(name) == name)
    }
}
