import Proffer
import Testing

@testable import BatchPolicy

@Suite("Jobs")
struct JobTests {
    @Test("a job is queued until its first launch and finished after its last instance")
    func states() {
        var bench = Bench()
        bench.submit(task(count: 2))
        #expect(bench.show("job-1")?.state == .queued)
        bench.now = bench.now + .seconds(5)
        let tasks = bench.offer(cpus: 2)
        #expect(bench.show("job-1")?.state == .running)
        bench.now = bench.now + .seconds(5)
        bench.finish(tasks)
        let job = bench.show("job-1")
        #expect(job?.state == .finished)
        #expect(job?.created == Bench.start)
        #expect(job?.started == WallTime(nanosecondsSince1970: 1_700_000_005_000_000_000))
        #expect(job?.ended == WallTime(nanosecondsSince1970: 1_700_000_010_000_000_000))
    }

    @Test("a cancelled job kills what runs, starts nothing more and has exit code 40")
    func cancel() {
        var bench = Bench()
        bench.submit(task(count: 5))
        let tasks = bench.offer(cpus: 2)
        guard case .job = bench.ask({ .cancel(job: "job-1", $0) }) else {
            Issue.record("not cancelled")
            return
        }
        #expect(bench.killed == tasks)
        #expect(bench.hasSuppressed)
        for task in tasks { bench.update(task, .killed) }
        let job = bench.show("job-1")
        #expect(job?.state == .cancelled)
        #expect(job?.exitCode == 40)
        #expect(job?.counts.cancelled == 5)
    }

    @Test("a job is cancelled while it waits for a back-off, for good")
    func cancelWaiting() {
        var bench = Bench()
        bench.submit(task(retry: RetryRule(limit: 3)))
        bench.offer()
        bench.update("job-1.t.0.1", .failed, exit: 1)
        _ = bench.ask { .cancel(job: "job-1", $0) }
        #expect(bench.show("job-1")?.state == .cancelled)
        bench.advance(.seconds(10))
        #expect(bench.offer().isEmpty)
    }

    @Test("cancelling a job that has ended changes nothing")
    func cancelLate() {
        var bench = Bench()
        bench.submit(task())
        bench.finish(bench.offer())
        _ = bench.ask { .cancel(job: "job-1", $0) }
        #expect(bench.show("job-1")?.state == .finished)
    }

    @Test("a name means the newest job of that name")
    func names() {
        var bench = Bench()
        bench.submit("same", task())
        bench.submit("same", task())
        #expect(bench.show("same")?.id == "same-2")
        #expect(bench.show("same-1")?.id == "same-1")
    }

    @Test("what is asked of an unknown job is refused as not found")
    func unknown() {
        var bench = Bench()
        let questions: [(Ticket) -> BatchCommand] = [
            { .show(job: "x", $0) }, { .cancel(job: "x", $0) },
            { .instances(job: "x", task: nil, state: nil, from: 0, limit: 1, $0) },
            { .instance(job: "x", task: nil, index: 0, $0) },
        ]
        for question in questions {
            guard case .refused(let problem) = bench.ask(question) else {
                Issue.record("answered")
                continue
            }
            #expect(problem.kind == .notFound)
        }
    }

    @Test("an index that an array does not have is refused with those it has")
    func index() {
        var bench = Bench()
        bench.submit(task("map", count: 3))
        guard
            case .refused(let problem) = bench.ask({
                .instance(job: "job-1", task: "map", index: 3, $0)
            })
        else {
            Issue.record("answered")
            return
        }
        #expect(problem.because == "its indexes go from 0 to 2")
    }

    @Test("jobs are listed newest first, in pages, and by state")
    func list() {
        var bench = Bench()
        for number in 1...5 { bench.submit("n\(number)", task()) }
        bench.finish(bench.offer())
        guard
            case .jobs(let first, let next) = bench.ask({
                .list(state: nil, before: nil, limit: 3, $0)
            }),
            case .jobs(let second, nil) = bench.ask({
                .list(state: nil, before: next, limit: 3, $0)
            }),
            case .jobs(let finished, nil) = bench.ask({
                .list(state: .finished, before: nil, limit: 3, $0)
            })
        else {
            Issue.record("no lists")
            return
        }
        #expect(first.map(\.name) == ["n5", "n4", "n3"])
        #expect(second.map(\.name) == ["n2", "n1"])
        #expect(finished.map(\.name) == ["n1"])
    }

    @Test("instances are listed in pages over all tasks")
    func pages() {
        var bench = Bench()
        bench.submit(task("a", count: 2), task("b", count: 3, depends: ["a"]))
        bench.offer()
        guard
            case .instances(let first, let next) = bench.ask({
                .instances(job: "job", task: nil, state: nil, from: 0, limit: 3, $0)
            }),
            case .instances(let second, nil) = bench.ask({
                .instances(job: "job", task: nil, state: nil, from: next ?? 0, limit: 3, $0)
            })
        else {
            Issue.record("no lists")
            return
        }
        #expect(next == 3)
        #expect((first + second).map { "\($0.task)\($0.index)" } == ["a0", "a1", "b0", "b1", "b2"])
        #expect(first.map(\.state) == [.running, .ready, .waiting])
        #expect(first[0].taskID == "job-1.a.0.1")
        #expect(first[0].place?.agent == "a-1")
    }

    @Test("outputs are collected before an instance counts as finished")
    func outputs() {
        var bench = Bench()
        bench.submit(task("a", outputs: ["r.txt"]), task("b", depends: ["a"]))
        bench.finish(bench.offer())
        #expect(bench.collections.map(\.files) == [["r.txt"]])
        #expect(bench.collections.first?.place.port == 5051)
        #expect(bench.show("job-1")?.counts.running == 1)
        #expect(bench.offer().isEmpty)
        guard let collection = bench.kept.records.instances.first.map(\.phase) else { return }
        #expect(collection == .collecting)
    }

    @Test("a problem with outputs is told and does not fail the instance")
    func outputsMissing() {
        var bench = Bench()
        bench.submit(task("a", outputs: ["r.txt"]), task("b", depends: ["a"]))
        bench.finish(bench.offer())
        guard let collection = bench.collections.first else {
            Issue.record("nothing to collect")
            return
        }
        bench.handle(.command(.collected(collection, problem: "no r.txt")))
        #expect(bench.offer() == ["job-1.b.0.1"])
        #expect(bench.instances("job-1").first?.message == "no r.txt")
    }

    @Test("too many jobs or instances are refused, and room comes back when jobs end")
    func full() {
        var bench = Bench {
            $0.openJobs = 2
            $0.openInstances = 10
        }
        #expect(bench.submit(task(count: 11)) == "refused")
        bench.submit(task(count: 10))
        #expect(bench.submit(task()) == "refused")
        bench.finish(bench.offer(cpus: 10))
        #expect(bench.submit(task()) == "job-2")
    }

    @Test("ended jobs are kept in bounded number and for a bounded time")
    func retention() {
        var bench = Bench { $0.keptJobs = 2 }
        for number in 1...3 {
            bench.submit("n\(number)", task())
            bench.finish(bench.offer())
        }
        #expect(bench.show("n1") == nil)
        #expect(bench.show("n2")?.state == .finished)
        #expect(bench.kept.records.jobs.map(\.sequence) == [2, 3])
        bench.advance(.seconds(7 * 86_400))
        #expect(bench.show("n3") == nil)
        #expect(bench.kept.records.instances.isEmpty)
        #expect(bench.submit(task()) == "job-4")
    }

    @Test(
        "names are short and plain",
        arguments: [
            ("a", true), ("word-count_2", true), ("", false), ("-a", false), ("a.b", false),
            ("a b", false), (String(repeating: "a", count: 63), true),
            (String(repeating: "a", count: 64), false), ("\u{e9}", false),
        ])
    func plainNames(_ name: String, _ isName: Bool) {
        #expect(JobSpecification.isName(name) == isName)
    }
}
