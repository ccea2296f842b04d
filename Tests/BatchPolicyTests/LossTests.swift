import Proffer
import Testing

@testable import BatchPolicy

@Suite("Loss")
struct LossTests {
    @Test(
        "an instance that was lost runs again without counting as failed",
        arguments: [TaskState.lost, .dropped, .gone, .goneByOperator, .unknown, .killed])
    func lost(_ state: TaskState) {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update("job-1.t.0.1", state)
        #expect(bench.hasRevived)
        #expect(bench.offer() == ["job-1.t.0.2"])
        bench.finish(["job-1.t.0.2"])
        #expect(bench.show("job-1")?.state == .finished)
        #expect(bench.show("job-1")?.retries == 1)
    }

    @Test("a failure of the executor is a loss, one of the command is not")
    func infrastructure() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update("job-1.t.0.1", .failed, reason: .executorTerminated)
        #expect(bench.offer() == ["job-1.t.0.2"])
        bench.update("job-1.t.0.2", .failed, exit: 1, reason: .executorTerminated)
        #expect(bench.show("job-1")?.state == .failed)
    }

    @Test("losses without end fail the job")
    func endless() {
        var bench = Bench { $0.losses = 3 }
        bench.submit(task())
        for attempt in 1...4 {
            #expect(bench.offer() == ["job-1.t.0.\(attempt)"])
            bench.update("job-1.t.0.\(attempt)", .lost, message: "agent removed")
            bench.advance(.seconds(60))
        }
        #expect(bench.show("job-1")?.state == .failed)
        #expect(bench.show("job-1")?.message?.contains("lost 4 times") == true)
    }

    @Test("an agent that answers in time keeps its instance")
    func returning() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update("job-1.t.0.1", .unreachable)
        #expect(bench.instances("job-1").first?.message == "its agent does not answer")
        bench.advance(.seconds(59))
        bench.update("job-1.t.0.1", .running)
        bench.advance(.seconds(1000))
        #expect(bench.show("job-1")?.counts.running == 1)
        #expect(bench.show("job-1")?.retries == 0)
    }

    @Test("an agent that does not answer loses its instance, which is killed when it comes back")
    func unreachable() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update("job-1.t.0.1", .unreachable)
        bench.advance(.seconds(60))
        #expect(bench.offer(agent: "a-2") == ["job-1.t.0.2"])
        bench.update("job-1.t.0.1", .running)
        #expect(bench.killed == ["job-1.t.0.1"])
        bench.update("job-1.t.0.1", .killed)
        #expect(bench.show("job-1")?.counts.running == 1)
    }

    @Test("an attempt that was given up and finished all the same counts, and is not run again")
    func lateSuccess() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update("job-1.t.0.1", .lost)
        bench.update("job-1.t.0.1", .finished, exit: 0)
        #expect(bench.show("job-1")?.state == .finished)
        #expect(bench.offer().isEmpty)
    }

    @Test("the second attempt is killed when the first one turns out to have finished")
    func lateSuccessWhileRunning() {
        var bench = Bench()
        bench.submit(task(outputs: ["out"]))
        bench.offer()
        bench.update("job-1.t.0.1", .lost)
        bench.offer(agent: "a-2")
        bench.update("job-1.t.0.1", .finished, exit: 0)
        #expect(bench.killed == ["job-1.t.0.2"])
        #expect(bench.collections.first?.taskID == "job-1.t.0.1")
        #expect(bench.collections.first?.place.agent == "a-1")
        bench.update("job-1.t.0.2", .running, agent: "a-2")
        #expect(bench.killed == ["job-1.t.0.2"])
    }

    @Test(
        "updates of tasks that nobody knows are killed or ignored",
        arguments: [
            "strange", "job-1.t.0.7", "job-1.t.9.1", "job-1.t.0", "a.b.c.d", "job-1.t.x.1", "",
        ])
    func strange(_ id: String) {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        bench.update(id, .finished)
        #expect(bench.show("job-1")?.counts.running == 1)
        bench.update(id, .running)
        #expect(bench.killed == [id])
    }

    @Test("a repeated end changes nothing")
    func repeated() {
        var bench = Bench()
        bench.submit(task(count: 2))
        let tasks = bench.offer(cpus: 2)
        bench.finish([tasks[0], tasks[0]])
        #expect(bench.show("job-1")?.counts.finished == 1)
        #expect(bench.show("job-1")?.counts.running == 1)
    }

    @Test("when the master has removed the framework everything that ran is lost")
    func removed() {
        var bench = Bench()
        bench.submit(task(count: 2))
        bench.offer(cpus: 2)
        bench.handle(.disconnected)
        bench.subscribe("f-2")
        #expect(bench.offer(cpus: 2) == ["job-1.t.0.2", "job-1.t.1.2"])
    }
}
