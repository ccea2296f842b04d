import Proffer
import Testing

@testable import BatchPolicy

@Suite("Launch")
struct LaunchTests {
    @Test("an array is launched in the order of its indexes, as far as the offer goes")
    func array() {
        var bench = Bench()
        bench.submit(task("map", count: 5))
        #expect(bench.offer(cpus: 3) == ["job-1.map.0.1", "job-1.map.1.1", "job-1.map.2.1"])
        #expect(bench.offer(cpus: 3) == ["job-1.map.3.1", "job-1.map.4.1"])
        let counts = bench.show("job-1")?.counts
        #expect(counts?.running == 5)
        #expect(counts?.ready == 0)
    }

    @Test("an instance finds its job, task, index, count and attempt in its environment")
    func environment() {
        var bench = Bench { $0.environment = [.init("PROFFER_BATCH", "http://here")] }
        bench.submit(task("map", count: 2, environment: [.init("KEY", "value")]))
        bench.offer(cpus: 2)
        let variables = bench.launched.last?.command?.environment.map { "\($0.name)=\($0.value)" }
        #expect(
            variables == [
                "PROFFER_JOB_ID=job-1", "PROFFER_TASK=map", "PROFFER_ARRAY_INDEX=1",
                "PROFFER_ARRAY_COUNT=2", "PROFFER_ATTEMPT=1", "PROFFER_BATCH=http://here",
                "KEY=value",
            ])
        #expect(bench.launched.last?.id.problem == nil)
    }

    @Test("an array never runs more instances than its concurrency limit")
    func concurrency() {
        var bench = Bench()
        bench.submit(task("map", count: 4, concurrency: 2))
        let first = bench.offer(cpus: 8)
        #expect(first.count == 2)
        #expect(bench.offer(cpus: 8) == [])
        bench.update(first[0], .finished, exit: 0)
        #expect(bench.hasRevived)
        #expect(bench.offer(cpus: 8) == ["job-1.map.2.1"])
    }

    @Test("a job of higher priority goes first, then the one submitted first")
    func jobPriority() {
        var bench = Bench()
        bench.submit("low", task())
        bench.submit("high", priority: 5, task())
        bench.submit("later", priority: 5, task())
        #expect(bench.offer(cpus: 3) == ["high-2.t.0.1", "later-3.t.0.1", "low-1.t.0.1"])
    }

    @Test("a task's own priority goes before its job's")
    func taskPriority() {
        var bench = Bench()
        bench.submit("first", priority: 1, task("a"), task("b", priority: 9))
        bench.submit("second", priority: 2, task("c"))
        #expect(bench.offer(cpus: 3) == ["first-1.b.0.1", "second-2.c.0.1", "first-1.a.0.1"])
    }

    @Test("what does not fit an offer lets the next in line pass")
    func fitting() {
        var bench = Bench()
        bench.submit("big", task(cpus: 4))
        bench.submit("small", task())
        #expect(bench.offer(cpus: 2) == ["small-2.t.0.1"])
        #expect(bench.refusal == nil)
        #expect(bench.show("big")?.message?.contains("waits for an offer with cpus:4") == true)
        #expect(bench.offer(cpus: 4) == ["big-1.t.0.1"])
        #expect(bench.show("big")?.message == nil)
    }

    @Test("one offer is used for a bounded number of launches and the rest wanted back at once")
    func bounded() {
        var bench = Bench { $0.launchesPerOffer = 2 }
        bench.submit(task(count: 5))
        #expect(bench.offer(cpus: 9).count == 2)
        #expect(bench.refusal == .zero)
    }

    @Test("launches that are large are fewer per offer")
    func boundedBytes() {
        var bench = Bench { $0.launchBytesPerOffer = 1000 }
        bench.submit(task(count: 5))
        #expect(bench.offer(cpus: 9).count == 2)
    }

    @Test("a launch is kept before its call leaves")
    func order() {
        var bench = Bench()
        bench.submit(task())
        bench.offer()
        let instances = bench.changes.compactMap { change -> InstanceRecord? in
            guard case .instance(let record) = change else { return nil }
            return record
        }
        #expect(instances.map(\.phase) == [.running])
        #expect(instances.first?.place.hostname == "host-a-1")
    }

    @Test("without work offers are suppressed, and refused for long when one comes all the same")
    func suppression() {
        var bench = Bench(isSubscribed: false)
        bench.subscribe()
        #expect(bench.hasSuppressed)
        bench.offer()
        #expect(bench.refusal == .seconds(3600))
        #expect(!bench.hasSuppressed)
        bench.submit(task())
        #expect(bench.hasRevived)
        bench.offer()
        #expect(bench.hasSuppressed)
    }

    @Test("work of a new demand revives what was refused for another")
    func revival() {
        var bench = Bench()
        bench.submit("big", task(cpus: 8))
        bench.offer(cpus: 2)
        bench.submit("again", task(cpus: 8))
        #expect(!bench.hasRevived)
        bench.submit("small", task(cpus: 1))
        #expect(bench.hasRevived)
    }

    @Test("work that comes up without a subscription is offered for when there is one")
    func unsubscribed() {
        var bench = Bench(isSubscribed: false)
        bench.submit(task())
        #expect(bench.calls.isEmpty)
        bench.subscribe()
        #expect(!bench.hasSuppressed)
        #expect(bench.offer().count == 1)
    }

    @Test("volumes and whole disks are not taken for plain disk")
    func volumes() {
        var bench = Bench()
        var wanting = task()
        wanting.demand.disk = Milli(10)
        bench.submit(wanting)
        let volume = Resource(
            "disk", .scalar(Milli(100)),
            reservations: [Reservation(role: "r")], disk: DiskInfo(persistenceID: "v"))
        var resources = Resources(cpus: Milli(1), mem: Milli(100))
        resources += volume
        bench.handle(
            .offers([
                Offer(
                    id: "o", frameworkID: "f-1", agentID: "a-1", hostname: "h",
                    resources: resources, role: "*")
            ]))
        #expect(bench.launched.isEmpty)
    }

    @Test("an array of 100,000 runs through offers of a thousand launches each")
    func large() {
        var bench = Bench { $0.launchBytesPerOffer = .max }
        bench.submit(task("big", count: 100_000))
        #expect(bench.scheduler.jobs.slots.count == 1)
        var rounds = 0
        while rounds < 200, bench.show("big-1")?.state != .finished {
            let tasks = bench.offer(cpus: 5000, mem: 1_000_000)
            if tasks.isEmpty { break }
            for task in tasks { bench.update(task, .finished, exit: 0) }
            rounds += 1
        }
        #expect(rounds == 100)
        #expect(bench.show("job")?.state == .finished)
        #expect(bench.show("job")?.counts.finished == 100_000)
    }

    @Test("what has not been launched of an array takes no room")
    func lazy() {
        var bench = Bench()
        bench.submit(task("big", count: 1_000_000))
        bench.offer(cpus: 3)
        let rows = bench.scheduler.jobs.slots.map {
            bench.scheduler.jobs[$0]?.tasks[0].instances.count
        }
        #expect(rows == [3])
    }
}
