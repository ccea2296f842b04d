import ArgumentParser
import Foundation
import ProfferAPI
import Testing

@testable import ProfferCommands

@Suite("Output")
struct OutputTests {
    @Test("columns are as wide as their widest cell, the last one is not filled up")
    func columns() {
        var table = Table(["ID", "NAME"])
        table.add(["a-long-id", "x"])
        table.add(["b", "y"])
        #expect(table.text == "ID         NAME\na-long-id  x\nb          y")
    }

    @Test("a cell cannot break its line or move the cursor")
    func controlCharacters() {
        var table = Table(["A"])
        table.add(["x\ny\u{1B}[2Jz"])
        #expect(table.text == "A\nx y [2Jz")
    }

    @Test("a table without rows is its header")
    func emptyTable() {
        #expect(Table(["ID", "NAME"]).text == "ID  NAME")
    }

    @Test("a long id is cut and shows that it is")
    func shortIDs() {
        #expect(short("abc", 3) == "abc")
        #expect(short("abcd", 3) == "ab…")
    }

    @Test("amounts come in the usual order, without ports")
    func amountOrder() {
        let resources = ["ports": "[1-2]", "zeta": "1", "disk": "3", "cpus": "0.5", "mem": "32"]
        #expect(amounts(resources) == "cpus 0.5, mem 32, disk 3, zeta 1")
        #expect(amounts([:]) == "none")
    }

    @Test("durations are short, with the precision that matters")
    func durations() {
        #expect(brief(.milliseconds(214)) == "0.21s")
        #expect(brief(.milliseconds(12_340)) == "12.3s")
        #expect(brief(.seconds(125)) == "2m 05s")
    }

    @Test(
        "numbers have commas",
        arguments: [
            (0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000"),
        ])
    func groups(number: Int, text: String) {
        #expect(grouped(number) == text)
    }

    @Test("long lines break between words")
    func wrapping() {
        #expect(DemoScreen.wrap("one two three", 7) == ["one two", "three"])
        #expect(DemoScreen.wrap("unbreakable", 4) == ["unbreakable"])
        #expect(DemoScreen.wrap("", 4) == [""])
    }

    @Test("a bar is empty at the start, full at the end, and tells the time left in between")
    func bars() {
        let empty = DemoScreen.bar(0, of: 4, after: .seconds(1))
        let half = DemoScreen.bar(2, of: 4, after: .seconds(3))
        let full = DemoScreen.bar(4, of: 4, after: .seconds(6))
        #expect(empty == "[" + String(repeating: "-", count: 24) + "] 0 of 4")
        #expect(half.hasSuffix("] 2 of 4, 3.00s left"))
        #expect(half.count { $0 == "#" } == 12)
        #expect(full == "[" + String(repeating: "#", count: 24) + "] 4 of 4")
        #expect(DemoScreen.bar(0, of: 0, after: .zero).hasSuffix("0 of 0"))
    }

    @Test("JSON has snake case keys and is one document")
    func json() throws {
        let state = try JSONDecoder().decode(
            Services.State.self,
            from: Data(#"{"id":"/a/b","instances":2,"tasksRunning":1}"#.utf8))
        let text = String(
            decoding: try APICoding.encode(ServiceObject(state), pretty: false), as: UTF8.self)
        #expect(
            text == #"{"healthy":0,"id":"/a/b","instances":2,"kind":"service","name":"a/b","#
                + #""running":1,"state":"deploying"}"#)
    }

    @Test("the formats are table and json")
    func formats() {
        #expect(OutputFormat.allCases.map(\.rawValue) == ["table", "json"])
        #expect(OutputFormat(argument: "yaml") == nil)
    }
}

@Suite("CommandProblem")
struct CommandProblemTests {
    @Test("it says what, because and try, each on its line")
    func form() {
        let problem = CommandProblem(.notFound, "no task", because: "none", try: "another")
        #expect(problem.description == "error[E1003]: no task\n  because: none\n  try: another")
    }

    @Test("the exit codes do not change")
    func codes() {
        let codes: [CommandProblem.Code] = [
            .failed, .notFound, .refused, .timedOut, .unreachable, .conflict, .degraded,
            .invalidFile, .invalidConfiguration,
        ]
        #expect(codes.map(\.rawValue) == [1, 3, 4, 5, 6, 7, 8, 65, 78])
    }

    @Test(
        "a server's refusal becomes the code for its status",
        arguments: [
            (404, CommandProblem.Code.notFound), (401, .refused), (403, .refused), (409, .conflict),
            (422, .invalidFile), (503, .unreachable), (500, .failed), (400, .failed),
        ])
    func statuses(status: Int, code: CommandProblem.Code) {
        #expect(Client.problem(status, Data(), "http://x/").code == code)
    }

    @Test("a problem object keeps its words")
    func problemObject() throws {
        let body = try APICoding.encode(
            ProblemObject(status: 409, title: "busy", detail: "two at once", advice: "wait"))
        let problem = Client.problem(409, body, "http://x/")
        #expect(problem.what == "busy")
        #expect(problem.because == "two at once")
        #expect(problem.advice == "wait")
    }

    @Test("Marathon's message is the reason")
    func marathonMessage() {
        let problem = Client.problem(422, Data(#"{"message":"no cmd"}"#.utf8), "http://x/")
        #expect(problem.because == "no cmd")
    }

    @Test("an answer of another kind is quoted")
    func otherAnswer() {
        let problem = Client.problem(500, Data("boom".utf8), "http://x/")
        #expect(problem.because == "status 500: boom")
    }
}

@Suite("Percent encoding")
struct PercentEncodingTests {
    @Test(
        "only unreserved ASCII stays as it is",
        arguments: [
            ("aZ09-._~", "aZ09-._~"), ("a/b c", "a%2Fb%20c"), ("é", "%C3%A9"), ("50%", "50%25"),
            ("?#&+", "%3F%23%26%2B"), ("", ""),
        ])
    func encoding(text: String, encoded: String) {
        #expect(percentEncoded(text) == encoded)
        #expect(encoded.removingPercentEncoding == text)
    }

    @Test("the path of an app keeps its slashes and nothing else")
    func appPath() {
        #expect(Services.path("/web") == "/v2/apps/web")
        #expect(Services.path("//a/b c/") == "/v2/apps/a/b%20c")
    }
}
