import BatchPolicy
import Proffer
import Testing

@testable import batch_scheduler

@Suite("Job file")
struct JobFileTests {
    private func problems(_ text: String) -> [JobFileProblem] {
        do {
            _ = try JobFile.parse(text)
            return []
        } catch {
            return error.problems
        }
    }

    private func places(_ text: String) -> [String] {
        problems(text).map { "\($0.line):\($0.column) \($0.what)" }
    }

    @Test("everything that can be said in a file is understood")
    func everything() throws {
        let job = try JobFile.parse(
            """
            name: word-count
            priority: 3
            tasks:
              - name: map
                command: "wc -w < $FILE"
                array: {count: 25, concurrency: 8}
                cpus: 0.25
                mem: 64
                disk: 5
                priority: 7
                env: {FILE: a.txt, NUMBER: 5}
                retry: {limit: 2, backoff: 500ms, factor: 1.5, max_backoff: 5m, exit_codes: [1, 75]}
                time_limit: 2h
                outputs: ["result.txt", sub/dir/x]
              - name: reduce
                depends: [map]
                command: cat
            """)
        var map = TaskSpecification(name: "map", command: "wc -w < $FILE")
        map.count = 25
        map.concurrency = 8
        map.demand = Demand(cpus: Milli(thousandths: 250), mem: Milli(64), disk: Milli(5))
        map.priority = 7
        map.environment = [.init("FILE", "a.txt"), .init("NUMBER", "5")]
        map.retry = RetryRule(
            limit: 2, backoff: .milliseconds(500), factorThousandths: 1500,
            longestBackoff: .seconds(300), exitCodes: [1, 75])
        map.timeLimit = .seconds(7200)
        map.outputs = ["result.txt", "sub/dir/x"]
        let reduce = TaskSpecification(name: "reduce", command: "cat", depends: ["map"])
        #expect(job == JobSpecification(name: "word-count", priority: 3, tasks: [map, reduce]))
    }

    @Test("what is left out has its default")
    func defaults() throws {
        let job = try JobFile.parse(#"{"name": "j", "tasks": [{"name": "t", "command": "true"}]}"#)
        let task = job.tasks[0]
        #expect(job.priority == 0)
        #expect(task.demand.description == "cpus:0.1;mem:32")
        #expect(task.count == 1)
        #expect(task.retry.limit == 0)
        #expect(task.timeLimit == nil)
    }

    @Test("a gang divides the array and is within the concurrency")
    func gang() throws {
        func gang(_ rest: String) throws -> Int? {
            try JobFile.parse("name: j\ntasks:\n- {name: t, command: x, \(rest)}\n").tasks[0].gang
        }
        #expect(try gang("array: {count: 8}") == nil)
        #expect(try gang("gang: 4, array: {count: 8, concurrency: 4}") == 4)
        #expect(try gang("gang: 1") == 1)
        #expect(
            places("name: j\ntasks:\n- {name: t, command: x, gang: 3, array: {count: 8}}\n") == [
                "3:31 an array of 8 cannot start in gangs of 3"
            ])
        #expect(
            places(
                "name: j\ntasks:\n- {name: t, command: x, gang: 4, "
                    + "array: {count: 8, concurrency: 3}}\n") == [
                    "3:31 a gang of 4 cannot run with a concurrency of 3"
                ])
        for wrong in ["0", "-1", "1001", "two"] {
            #expect(
                places("name: j\ntasks:\n- {name: t, command: x, gang: \(wrong)}\n").count == 1)
        }
    }

    @Test("JSON may be indented with tabs and may escape every character")
    func json() throws {
        let job = try JobFile.parse(
            "{\n\t\"name\": \"j\",\n\t\"tasks\": [{\"name\": \"t\",\t\"command\": "
                + #""a\/b \u00e9 \ud83d\ude00 \\ud83d\\ude00"}]}"#)
        #expect(job.tasks[0].command == "a/b \u{e9} \u{1F600} \\ud83d\\ude00")
    }

    @Test("an unknown key has a place and a suggestion")
    func unknownKey() {
        let found = problems("name: j\ntasks:\n  - name: t\n    comand: x\n    command: x\n")
        #expect(found.count == 1)
        #expect(found.first?.line == 4)
        #expect(found.first?.column == 5)
        #expect(found.first?.what == "unknown key 'comand'")
        #expect(found.first?.advice == "perhaps 'command' was meant")
    }

    @Test("a repeated key is found where it is repeated, in YAML and in JSON")
    func repeatedKey() {
        let yaml = "name: j\nname: k\ntasks:\n- {name: t, command: x, cpus: 1, cpus: 2}\n"
        #expect(
            places(yaml) == [
                "2:1 the key 'name' is given twice", "4:34 the key 'cpus' is given twice",
            ])
        let json =
            "{\"name\": \"j\", \"tasks\": [{\"name\": \"t\",\n \"command\": \"x\",\n"
            + " \"command\": \"y\"}]}"
        #expect(places(json) == ["3:2 the key 'command' is given twice"])
    }

    @Test("all problems of a file are told at once, in its order")
    func allAtOnce() {
        let found = places(
            """
            nam: j
            tasks:
              - name: a b
                command: ""
                cpus: -1
                mem: lots
                time_limit: 10
                outputs: [../x]
                env: {1X: y}
              - name: ok
                command: x
                retry: {limit: 1, factor: 0.5}
                array: {count: 0}
            """)
        #expect(
            found == [
                "1:1 unknown key 'nam'", "1:1 a job needs 'name'",
                "3:11 the task's name 'a b' is not usable", "4:14 the command is empty",
                "5:11 cpus cannot be -1", "6:10 mem cannot be lots",
                "7:17 the time limit cannot be '10'", "8:15 '../x' cannot be an output",
                "9:11 '1X' cannot be a variable here", "12:31 the factor cannot be 0.5",
                "13:20 the count of the array cannot be 0",
            ])
    }

    @Test("an unknown dependency and a cycle are found at the dependencies")
    func dependencies() {
        let found = problems(
            """
            name: j
            tasks:
              - name: prepare
                command: x
                depends: [finish]
              - name: finish
                command: x
                depends: [prepare, preparr]
            """)
        #expect(found.map(\.line) == [5, 8])
        #expect(found.first?.what == "the dependencies go round in a circle")
        #expect(found.last?.what == "there is no task 'preparr' to depend on")
        #expect(found.last?.advice == "perhaps 'prepare' was meant")
    }

    @Test("dependencies are judged although something else is wrong")
    func dependenciesToo() {
        let found = places(
            "name: j\ntasks:\n- {name: a, command: x, cpus: 0}\n"
                + "- {name: b, command: x, depends: [c]}\n")
        #expect(found == ["3:31 cpus cannot be 0", "4:34 there is no task 'c' to depend on"])
    }

    @Test("two tasks cannot have one name")
    func names() {
        let found = places("name: j\ntasks:\n- {name: a, command: x}\n- {name: a, command: x}\n")
        #expect(found == ["4:3 two tasks are named 'a'"])
    }

    @Test(
        "amounts without sense are refused",
        arguments: [
            "cpus: 0", "cpus: nan", "cpus: inf", "cpus: 1e300", "cpus: 0.0001", "mem: -5",
            "mem: 0", "mem: 99999999999", "disk: -1", "cpus: [1]", "cpus:", "cpus: 1 core",
            "array: 5", "array: {concurrency: 3}", "array: {count: 1.5}",
            "array: {count: 1000001}", "retry: {limit: -1}", "retry: 3",
            "retry: {limit: 1, exit_codes: []}", "retry: {limit: 1, exit_codes: [256]}",
            "retry: {limit: 1, backoff: 5}", "time_limit: 5 s", "time_limit: -5s",
            "time_limit: 0s", "time_limit: 99999h", "time_limit: 99999999999999999999s",
            "depends: a", "outputs: [/etc/passwd]", "outputs: ['']", "outputs: [a//b]",
            "env: [a]", "env: {PROFFER_X: 1}", "env: {A: [1]}", "priority: high",
        ])
    func absurd(_ line: String) {
        let text = "name: j\ntasks:\n- name: t\n  command: x\n  \(line)\n"
        #expect(problems(text).count == 1)
        #expect(problems(text).allSatisfy { $0.line == 5 && !$0.advice.isEmpty })
    }

    @Test(
        "what is no job at all is refused",
        arguments: [
            "", "# nothing", "[]", "5", "name: j", "name: j\ntasks: []", "name: j\ntasks: x",
            "name: [\n", "a: b: c", "---\nname: a\n---\nname: b\n", "? {a: b}\n: c\n",
            "\u{0}", "name: *x", "tasks: {}", "\tname: x",
        ])
    func noJob(_ text: String) {
        #expect(!problems(text).isEmpty)
    }

    @Test("deep nesting is refused without harm")
    func deep() {
        #expect(!problems(String(repeating: "[", count: 100_000)).isEmpty)
        #expect(!problems(String(repeating: "{a: ", count: 5000)).isEmpty)
    }

    @Test("aliases that expand without end are refused")
    func aliases() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let list = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(list)]\n"
        }
        #expect(places(text) == ["1:1 the file is too large when expanded"])
    }

    @Test("durations are whole numbers with a unit")
    func durations() {
        #expect(DurationText.parse("500ms") == .milliseconds(500))
        #expect(DurationText.parse("30s") == .seconds(30))
        #expect(DurationText.parse("5m") == .seconds(300))
        #expect(DurationText.parse("2h") == .seconds(7200))
        for text in ["", "5", "s", "1.5h", "-1s", "1d", "5 m", "5M"] {
            #expect(DurationText.parse(text) == nil)
        }
    }

    @Test("a problem is written with file, line, column, reason and advice")
    func form() {
        let problem = JobFileProblem(
            line: 2, column: 3, what: "bad", because: "reason", advice: "do this")
        #expect(
            problem.text(file: "job.yaml")
                == "error[E1065]: job.yaml:2:3: bad\n  because: reason\n  try: do this")
    }
}
