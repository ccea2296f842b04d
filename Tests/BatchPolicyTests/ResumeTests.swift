import Proffer
import Testing

@testable import BatchPolicy

@Suite("Resume")
struct ResumeTests {
    @Test("what runs is asked about after a restart and not launched again")
    func running() {
        var bench = Bench()
        bench.submit(task(count: 3))
        let tasks = bench.offer(cpus: 2)
        bench.finish([tasks[0]])
        var next = Bench(after: bench)
        #expect(next.scheduler.liveTasks.map(\.taskID.value) == [tasks[1]])
        #expect(next.scheduler.liveTasks.map(\.agentID) == ["a-1"])
        next.subscribe()
        #expect(next.offer(cpus: 9) == ["job-1.t.2.1"])
        next.update(tasks[1], .running)
        next.finish([tasks[1], "job-1.t.2.1"])
        #expect(next.show("job-1")?.state == .finished)
    }

    @Test("what was lost meanwhile runs again")
    func lost() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        var next = Bench(after: bench)
        next.subscribe()
        next.update("job-1.t.0.1", .unknown, reason: .reconciliation)
        #expect(next.offer() == ["job-1.t.0.2"])
    }

    @Test("a back-off goes on where it was")
    func backOff() {
        var bench = Bench()
        bench.submit(task(retry: RetryRule(limit: 3, backoff: .seconds(10))))
        bench.offer()
        bench.update("job-1.t.0.1", .failed, exit: 1)
        var next = Bench(after: bench, pause: .seconds(4))
        next.subscribe()
        #expect(next.scheduler.nextDeadline == next.now + .seconds(6))
        next.advance(.seconds(6))
        #expect(next.offer() == ["job-1.t.0.2"])
        #expect(next.show("job-1")?.retries == 1)
    }

    @Test("retries that were used stay used")
    func retries() {
        var bench = Bench()
        bench.submit(task(retry: RetryRule(limit: 1, backoff: .zero)))
        bench.offer()
        bench.update("job-1.t.0.1", .failed, exit: 1)
        bench.offer()
        var next = Bench(after: bench)
        next.subscribe()
        next.update("job-1.t.0.2", .failed, exit: 5)
        #expect(next.show("job-1")?.exitCode == 5)
    }

    @Test("dependencies that were met stay met")
    func dependencies() {
        var bench = Bench()
        bench.submit(task("b", depends: ["a"]), task("a"))
        bench.finish(bench.offer())
        var next = Bench(after: bench)
        next.subscribe()
        #expect(next.offer() == ["job-1.b.0.1"])
    }

    @Test("outputs that were not collected yet are asked for again")
    func outputs() {
        var bench = Bench()
        bench.submit(task(outputs: ["r"]))
        bench.finish(bench.offer())
        let wanted = bench.collections
        var next = Bench(after: bench)
        next.advance(.zero)
        #expect(next.collections == wanted)
        #expect(!wanted.isEmpty)
    }

    @Test("a cancellation goes on: what runs is killed again")
    func cancellation() {
        var bench = Bench()
        bench.submit(task(count: 3))
        let tasks = bench.offer(cpus: 2)
        _ = bench.ask { .cancel(job: "job-1", $0) }
        var next = Bench(after: bench)
        next.subscribe()
        #expect(next.killed == tasks)
        #expect(next.offer(cpus: 9).isEmpty)
        for task in tasks { next.update(task, .killed) }
        #expect(next.show("job-1")?.state == .cancelled)
        #expect(next.show("job-1")?.exitCode == 40)
    }

    @Test("ended jobs are still known, with all their instances")
    func ended() {
        var bench = Bench()
        bench.submit(task(count: 3))
        let tasks = bench.offer(cpus: 1)
        bench.update(tasks[0], .failed, exit: 9)
        let before = bench.show("job-1")
        let instances = bench.instances("job-1")
        var next = Bench(after: bench)
        next.subscribe()
        #expect(next.show("job-1") == before)
        #expect(next.instances("job-1") == instances)
        #expect(next.offer(cpus: 9).isEmpty)
    }

    @Test("an id is never used twice, not even when its job is forgotten")
    func sequence() {
        var bench = Bench()
        bench.submit(task())
        bench.finish(bench.offer())
        bench.advance(.seconds(8 * 86_400))
        var next = Bench(after: bench)
        #expect(next.submit(task()) == "job-2")
    }

    @Test("the time limit goes on from the launch")
    func timeLimit() {
        var bench = Bench()
        bench.submit(task(timeLimit: .seconds(100)))
        bench.offer()
        bench.update("job-1.t.0.1", .running)
        var next = Bench(after: bench, pause: .seconds(50))
        next.subscribe()
        next.advance(.seconds(65))
        #expect(next.killed == ["job-1.t.0.1"])
    }

    @Test("everything is lost when the master knows the framework by another id now")
    func anotherFramework() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        var next = Bench(after: bench)
        next.subscribe("f-2")
        #expect(next.offer() == ["job-1.t.0.2"])
    }

    @Test("an array of 100,000 of which half has run goes on with the other half")
    func large() {
        var bench = Bench {
            $0.launchesPerOffer = 50_000
            $0.launchBytesPerOffer = .max
        }
        bench.submit(task(count: 100_000))
        let tasks = bench.offer(cpus: 50_000, mem: 1_000_000)
        for task in tasks { bench.update(task, .finished) }
        var next = Bench(after: bench)
        next.subscribe()
        #expect(next.show("job-1")?.counts.finished == 50_000)
        #expect(next.offer(cpus: 1) == ["job-1.t.50000.1"])
    }
}
