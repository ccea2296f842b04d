import Foundation
import ProfferAPI
import Testing

@testable import ProfferCommands

@Suite("Word count")
struct WordCountTests {
    private func count(_ text: String) -> WordCount {
        var count = WordCount()
        count.add(Array(text.utf8))
        return count
    }

    @Test("a word is a run of ASCII letters in lower case")
    func words() {
        let count = count("The the THE don't x86_64 naïve\n-\tend")
        #expect(
            count.counts == [
                "the": 3, "don": 1, "t": 1, "x": 1, "na": 1, "ve": 1, "end": 1,
            ])
        #expect(count.total == 9)
    }

    @Test("characters that look like letters with one bit less are none")
    func neighbours() {
        #expect(count("@[`{A\u{1}").counts == ["a": 1])
    }

    @Test("a text without words has none")
    func empty() {
        #expect(count("").counts.isEmpty)
        #expect(count("1 2 3").counts.isEmpty)
    }

    @Test("words do not go over from one text to the next")
    func texts() {
        var count = WordCount()
        count.add(Array("half".utf8))
        count.add(Array("time".utf8))
        #expect(count.counts == ["half": 1, "time": 1])
    }

    @Test("the top is by frequency, then by the alphabet")
    func top() {
        let top = count("b b a a c c c d").top(3)
        #expect(top.map(\.word) == ["c", "a", "b"])
        #expect(top.map(\.count) == [3, 2, 2])
    }

    @Test("a table of words and counts is read back")
    func table() {
        #expect(WordCount(table: "a\t2\nb\t1\n") == count("a b a"))
        #expect(WordCount(table: "") == WordCount())
    }

    @Test(
        "a table that is damaged is none",
        arguments: [
            "a", "a\tx", "a\t0", "a\t1\t2", "a\t1\na\t2",
        ])
    func damaged(table: String) {
        #expect(WordCount(table: table) == nil)
    }

    @Test("a difference names its word")
    func difference() {
        #expect(count("a b").difference(from: count("b a")) == nil)
        #expect(count("a b").difference(from: count("a b b"))?.contains("'b'") == true)
        #expect(count("a").difference(from: count("a c"))?.contains("'c'") == true)
    }
}

@Suite("Corpus")
struct CorpusTests {
    @Test("files come once, links resolved, in order")
    func files() async throws {
        try await withTemporaryDirectory { directory in
            let manager = FileManager.default
            let root = URL(fileURLWithPath: directory).resolvingSymlinksInPath().path
            try manager.createDirectory(
                atPath: root + "/sub", withIntermediateDirectories: true)
            for name in ["b", "a", "sub/c", ".hidden"] {
                try Data(name.utf8).write(to: URL(fileURLWithPath: root + "/" + name))
            }
            try manager.createSymbolicLink(
                atPath: root + "/link", withDestinationPath: root + "/a")
            #expect(try Corpus.files(in: root) == [root + "/a", root + "/b", root + "/sub/c"])
        }
    }

    @Test("a directory without files is refused")
    func none() async throws {
        try await withTemporaryDirectory { directory in
            #expect(throws: CommandProblem.self) { try Corpus.files(in: directory) }
            #expect(throws: CommandProblem.self) { try Corpus.files(in: directory + "/none") }
        }
    }

    @Test("the directory that was given is taken")
    func given() throws {
        #expect(try Corpus.directory("/some/where") == "/some/where")
    }
}

@Suite("Launch times")
struct LaunchTimesTests {
    private let start = ContinuousClock.now

    private func event(
        _ kind: String, _ id: String, _ state: String, agent: String? = "a"
    ) throws -> EventObject {
        var text = #"{"kind":"\#(kind)","id":"\#(id)","state":"\#(state)","framework":"f""#
        if let agent { text += #","agent":"\#(agent)""# }
        return try APICoding.decode(EventObject.self, from: Data((text + "}").utf8))
    }

    @Test("the time is from the offer to RUNNING")
    func fromOffer() throws {
        var times = LaunchTimes()
        times.take(try event("offer", "o", "outstanding"), at: start)
        times.take(try event("offer_end", "o", "accepted"), at: start + .milliseconds(10))
        times.take(try event("task", "t", "TASK_STAGING"), at: start + .milliseconds(11))
        times.take(try event("task", "t", "TASK_RUNNING"), at: start + .milliseconds(40))
        times.take(try event("task", "t", "TASK_RUNNING"), at: start + .milliseconds(90))
        #expect(times.durations == [.milliseconds(40)])
        #expect(times.taskCount == 1)
    }

    @Test("an offer that was declined starts nothing")
    func declined() throws {
        var times = LaunchTimes()
        times.take(try event("offer", "o", "outstanding"), at: start)
        times.take(try event("offer_end", "o", "declined"), at: start)
        times.take(try event("task", "t", "TASK_STAGING"), at: start)
        times.take(try event("task", "t", "TASK_RUNNING"), at: start)
        #expect(times.durations.isEmpty)
        #expect(times.taskCount == 1)
    }

    @Test("an offer of another agent is not the task's")
    func otherAgent() throws {
        var times = LaunchTimes()
        times.take(try event("offer", "o", "outstanding", agent: "b"), at: start)
        times.take(try event("offer_end", "o", "accepted"), at: start)
        times.take(try event("task", "t", "TASK_STAGING"), at: start)
        times.take(try event("task", "t", "TASK_RUNNING"), at: start)
        #expect(times.durations.isEmpty)
    }

    @Test(
        "a percentile is a value that occurred",
        arguments: [
            (0, 1), (1, 1), (50, 50), (99, 99), (100, 100), (-5, 1), (200, 100),
        ])
    func percentiles(percent: Int, milliseconds: Int) {
        let values = (1...100).reversed().map { Duration.milliseconds($0) }
        #expect(percentile(percent, of: values) == .milliseconds(milliseconds))
    }

    @Test("of few values the upper percentiles are the greatest one")
    func fewValues() {
        #expect(percentile(99, of: [.seconds(1), .seconds(2)]) == .seconds(2))
        #expect(percentile(50, of: [.seconds(1), .seconds(2)]) == .seconds(1))
        #expect(percentile(50, of: []) == nil)
    }
}

@Suite("Scheduler objects")
struct SchedulerObjectTests {
    private func state(_ json: String) throws -> Services.State {
        try JSONDecoder().decode(Services.State.self, from: Data(json.utf8))
    }

    @Test("an app is settled when no deployment is left and all instances run")
    func settled() throws {
        #expect(
            try state(#"{"id":"/a","instances":2,"tasksRunning":2,"deployments":[]}"#).isSettled)
        #expect(
            try !state(#"{"id":"/a","instances":2,"tasksRunning":1,"deployments":[]}"#).isSettled)
        #expect(
            try !state(#"{"id":"/a","instances":1,"tasksRunning":1,"deployments":[{"id":"d"}]}"#)
                .isSettled)
    }

    @Test("with a health check running is not enough")
    func healthy() throws {
        let json =
            #"{"id":"/a","instances":1,"tasksRunning":1,"tasksHealthy":0,"healthChecks":[{}]}"#
        #expect(try !state(json).isSettled)
    }

    @Test(
        "a target is a running task whose checks are all content",
        arguments: [
            (
                #"{"id":"t","host":"h","ports":[1],"state":"TASK_RUNNING","#
                    + #""healthCheckResults":[{"alive":true}]}"#, true
            ),
            (
                #"{"id":"t","host":"h","ports":[1],"state":"TASK_KILLING","#
                    + #""healthCheckResults":[{"alive":true}]}"#, false
            ),
            (
                #"{"id":"t","host":"h","ports":[1],"state":"TASK_RUNNING","#
                    + #""healthCheckResults":[{"alive":false}]}"#, false
            ),
            (#"{"id":"t","host":"h","ports":[1],"state":"TASK_RUNNING"}"#, false),
        ])
    func targets(json: String, isHealthy: Bool) throws {
        let instance = try JSONDecoder().decode(Services.Instance.self, from: Data(json.utf8))
        #expect(instance.isHealthy == isHealthy)
        #expect(instance.address == "http://h:1")
    }

    @Test("a job's file has the names that the scheduler knows")
    func job() throws {
        let job = Batches.Job(
            name: "j",
            tasks: [
                .init(
                    name: "t", command: "true", array: .init(count: 3),
                    retry: .init(limit: 2, backoff: "1s", exitCodes: [75]))
            ])
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(job), as: UTF8.self)
        #expect(text.contains(#""array":{"count":3}"#))
        #expect(text.contains(#""retry":{"backoff":"1s","exit_codes":[75],"limit":2}"#))
    }

    @Test("what has finished is counted for the job and for a task")
    func counts() throws {
        let json =
            #"{"id":"1","state":"RUNNING","counts":{"finished":3},"#
            + #""tasks":[{"name":"map","counts":{"finished":2,"running":1}}]}"#
        let state = try JSONDecoder().decode(Batches.State.self, from: Data(json.utf8))
        #expect(state.finished() == 3)
        #expect(state.finished("map") == 2)
        #expect(state.finished("none") == 0)
        #expect(!state.isFinished)
        #expect(!state.hasFailed)
    }

    @Test("a request loop's result knows the last version and how long it lasts")
    func requests() {
        var result = RequestLoop.Result()
        for version in ["v1", "v1", "v2", "v1", "v2", "v2"] { result.succeed(version) }
        result.fail("gone")
        result.fail("away")
        #expect(result.versions == ["v1", "v2", "v1", "v2"])
        #expect(result.streak == 2)
        #expect(result.sent == 8)
        #expect(result.failed == 2)
        #expect(result.firstFailure == "gone")
        #expect(result.answers == ["v1": 3, "v2": 3])
    }
}
