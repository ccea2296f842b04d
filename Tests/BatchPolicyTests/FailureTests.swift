import Proffer
import Testing

@testable import BatchPolicy

@Suite("Failure")
struct FailureTests {
    @Test("a failure without retries fails the job with the exit code of the task")
    func plain() {
        var bench = Bench()
        bench.submit(task("a"), task("b", depends: ["a"]))
        bench.offer()
        bench.update("job-1.a.0.1", .failed, exit: 7)
        let job = bench.show("job-1")
        #expect(job?.state == .failed)
        #expect(job?.exitCode == 7)
        #expect(job?.counts.failed == 1)
        #expect(job?.counts.cancelled == 1)
        #expect(
            job?.message == "task 'a', index 0, attempt 1: exit code 7")
    }

    @Test("a signal counts as exit code 128 + n")
    func signal() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update("job-1.t.0.1", .failed, signal: 9)
        #expect(bench.show("job-1")?.exitCode == 137)
        #expect(bench.show("job-1")?.message?.hasSuffix("killed by signal 9") == true)
    }

    @Test("a failure without an exit code makes exit code 1")
    func withoutCode() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update("job-1.t.0.1", .failed, message: "no such user")
        #expect(bench.show("job-1")?.exitCode == 1)
        #expect(bench.show("job-1")?.message?.hasSuffix("no such user") == true)
    }

    @Test("retries come after pauses that grow up to the longest, then the job fails")
    func backOff() {
        var bench = Bench()
        let rule = RetryRule(
            limit: 4, backoff: .seconds(1), factorThousandths: 3000, longestBackoff: .seconds(5))
        bench.submit(task(retry: rule))
        for (attempt, pause) in [1, 3, 5, 5].enumerated() {
            #expect(bench.offer() == ["job-1.t.0.\(attempt + 1)"])
            bench.update("job-1.t.0.\(attempt + 1)", .failed, exit: 1)
            #expect(bench.show("job-1")?.counts.waiting == 1)
            #expect(bench.scheduler.nextDeadline == bench.now + .seconds(pause))
            bench.advance(.seconds(pause) - .nanoseconds(1))
            #expect(!bench.hasRevived)
            bench.advance(.nanoseconds(1))
            #expect(bench.hasRevived)
        }
        #expect(bench.offer() == ["job-1.t.0.5"])
        bench.update("job-1.t.0.5", .failed, exit: 3)
        let job = bench.show("job-1")
        #expect(job?.state == .failed)
        #expect(job?.exitCode == 3)
        #expect(job?.retries == 4)
    }

    @Test("the pause grows by fractions too and never beyond the longest")
    func pauses() {
        let rule = RetryRule(
            limit: 9, backoff: .milliseconds(100), factorThousandths: 1500,
            longestBackoff: .milliseconds(300))
        let pauses = (1...5).map { rule.pause(beforeRetry: $0) }
        #expect(
            pauses == [
                .milliseconds(100), .milliseconds(150), .milliseconds(225), .milliseconds(300),
                .milliseconds(300),
            ])
        #expect(RetryRule().pause(beforeRetry: .max) == .seconds(60))
    }

    @Test("only the exit codes of the rule are worth a retry")
    func exitCodes() {
        var bench = Bench()
        bench.submit(task(retry: RetryRule(limit: 5, backoff: .zero, exitCodes: [75, 137])))
        bench.offer()
        bench.update("job-1.t.0.1", .failed, exit: 75)
        #expect(bench.offer() == ["job-1.t.0.2"])
        bench.update("job-1.t.0.2", .failed, signal: 9)
        #expect(bench.offer() == ["job-1.t.0.3"])
        bench.update("job-1.t.0.3", .failed, exit: 2)
        #expect(bench.show("job-1")?.state == .failed)
        #expect(bench.show("job-1")?.exitCode == 2)
    }

    @Test("a task that was refused is not tried again")
    func refused() {
        var bench = Bench()
        bench.submit(task(retry: RetryRule(limit: 5)))
        bench.offer()
        bench.update("job-1.t.0.1", .error, reason: .taskInvalid, message: "bad user")
        #expect(bench.show("job-1")?.state == .failed)
    }

    @Test("when a job fails, what runs is killed and the job ends after it")
    func kills() {
        var bench = Bench()
        bench.submit(task(count: 10))
        let tasks = bench.offer(cpus: 3)
        bench.update(tasks[1], .failed, exit: 1)
        #expect(bench.killed == [tasks[0], tasks[2]])
        var job = bench.show("job-1")
        #expect(job?.state == .running)
        #expect(job?.exitCode == nil)
        #expect(job?.counts.cancelled == 7)
        #expect(bench.offer(cpus: 9).isEmpty)
        bench.update(tasks[0], .killed, signal: 15)
        bench.update(tasks[2], .finished, exit: 0)
        job = bench.show("job-1")
        #expect(job?.state == .failed)
        #expect(job?.counts.cancelled == 8)
        #expect(job?.counts.finished == 1)
        #expect(job?.counts.total == 10)
    }

    @Test("the agent is told the time limit, and its verdict is exit code 124")
    func timeLimit() {
        var bench = Bench()
        bench.submit(task(timeLimit: .seconds(60)))
        bench.offer()
        #expect(bench.launched.first?.maxCompletionTime == .seconds(60))
        bench.update(
            "job-1.t.0.1", .failed, signal: 15, reason: .maxCompletionTimeReached)
        #expect(bench.show("job-1")?.exitCode == 124)
        #expect(bench.show("job-1")?.message?.contains("longer than its time limit") == true)
    }

    @Test("a task that its agent does not end in time is killed and has failed")
    func overtime() {
        var bench = Bench()
        bench.submit(task(timeLimit: .seconds(60)))
        bench.offer()
        bench.advance(.seconds(100))
        bench.update("job-1.t.0.1", .running)
        bench.advance(.seconds(74))
        #expect(bench.killed.isEmpty)
        bench.advance(.seconds(1))
        #expect(bench.killed == ["job-1.t.0.1"])
        bench.update("job-1.t.0.1", .killed, signal: 9)
        #expect(bench.show("job-1")?.state == .failed)
        #expect(bench.show("job-1")?.exitCode == 124)
    }

    @Test("a task that ends in time is not killed later")
    func inTime() {
        var bench = Bench()
        bench.submit(task(count: 2, timeLimit: .seconds(60)))
        let first = bench.offer()
        bench.finish(first)
        bench.advance(.seconds(1000))
        #expect(bench.killed.isEmpty)
    }
}
