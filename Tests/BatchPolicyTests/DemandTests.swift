import Proffer
@_spi(Driver) import ProfferKernel
import Testing

@testable import BatchPolicy

@Suite("Demand")
struct DemandTests {
    private func stated(_ bench: Bench) -> [StatedDemand]? {
        for call in bench.calls {
            if case .demand(let list) = call { return list }
        }
        return nil
    }

    /// What the master knows after everything that was said.
    private func known(_ bench: Bench) -> [String: Int] {
        Dictionary(
            (bench.scheduler.book.stated ?? []).map { ($0.id, $0.count) },
            uniquingKeysWith: { first, _ in first })
    }

    private static func offer(
        _ id: OfferID, cpus: Int, agent: AgentID = "a-1", demand: String? = nil,
        instances: Int = 0, gang: UInt64? = nil
    ) -> Offer {
        Offer(
            id: id, frameworkID: Bench.framework, agentID: agent, hostname: "host-\(agent)",
            resources: Resources(cpus: Milli(cpus), mem: Milli(1024)), role: "*",
            demandID: demand, instances: instances, gang: gang.map { GangID($0) })
    }

    @Test("what waits is stated by size and priority, the highest priority first")
    func sizes() {
        var bench = Bench()
        bench.submit("low", task("a", count: 3), task("b", count: 2, cpus: 2))
        #expect(
            stated(bench) == [
                StatedDemand(
                    id: "cpus:1;mem:1",
                    resources: Resources(cpus: Milli(1), mem: Milli(1)).quantities,
                    count: 3),
                StatedDemand(
                    id: "cpus:2;mem:1",
                    resources: Resources(cpus: Milli(2), mem: Milli(1)).quantities,
                    count: 2),
            ])
        bench.submit("high", priority: 7, task("a"))
        let list = stated(bench)
        #expect(list?.map(\.id) == ["cpus:1;mem:1;priority:7", "cpus:1;mem:1", "cpus:2;mem:1"])
        #expect(list?.map(\.priority) == [7, 0, 0])
        #expect(list?.allSatisfy { $0.problem == nil } == true)
    }

    @Test("a role and priorities beyond what the master takes are stated as they have to be")
    func bounds() {
        var bench = Bench { $0.role = "eng/batch" }
        bench.submit("j", priority: .max, task("a"))
        let demand = stated(bench)?.first
        #expect(demand?.role == "eng/batch")
        #expect(demand?.problem == nil)
    }

    @Test("what may not run yet, for its concurrency or its dependencies, is not stated")
    func limits() {
        var bench = Bench()
        bench.submit(
            task("a", count: 9, concurrency: 4), task("b", count: 5, cpus: 2, depends: ["a"]))
        #expect(known(bench) == ["cpus:1;mem:1": 4])
        let first = bench.offer(cpus: 3)
        #expect(known(bench) == ["cpus:1;mem:1": 1])
        bench.finish(first)
        #expect(known(bench) == ["cpus:1;mem:1": 4])
    }

    @Test("offers for a demand take off what is launched, so that nothing has to be said")
    func deduction() {
        var bench = Bench()
        bench.submit(task("a", count: 5))
        bench.handle(
            .offers([Self.offer("o", cpus: 3, demand: "cpus:1;mem:1", instances: 3)]))
        #expect(bench.launched.count == 3)
        #expect(stated(bench) == nil)
        #expect(known(bench) == ["cpus:1;mem:1": 2])
        bench.update("job-1.a.0.1", .failed, reason: .agentRemoved)
        #expect(known(bench) == ["cpus:1;mem:1": 3])
        #expect(stated(bench) != nil)
    }

    @Test("classic offers take nothing off, so that what is left is stated")
    func classic() {
        var bench = Bench()
        bench.submit(task("a", count: 5))
        bench.offer(cpus: 3)
        #expect(stated(bench)?.map(\.count) == [2])
    }

    @Test("silence is said before the end of demand, and demand before the wish for offers")
    func order() {
        var bench = Bench()
        bench.submit(task("a"))
        let wish = bench.calls
        #expect(wish.count == 2)
        guard case .demand = wish.first, case .revive = wish.last else {
            Issue.record("\(wish)")
            return
        }
        bench.offer()
        #expect(Array(bench.calls.dropFirst()) == [.suppress(roles: []), .demand([])])
    }

    @Test("after a restart what waits is stated with the first subscription")
    func restart() {
        var bench = Bench()
        bench.submit(task("a", count: 5))
        bench.offer(cpus: 2)
        var next = Bench(after: bench)
        next.subscribe()
        #expect(stated(next)?.map(\.count) == [3])
    }

    @Test("a task whose offers were made for its demand needs no revival")
    func revival() {
        var bench = Bench()
        bench.submit("big", task(cpus: 8))
        bench.handle(.offers([Self.offer("o", cpus: 2, demand: "cpus:8;mem:1", instances: 1)]))
        bench.submit("small", task())
        #expect(!bench.hasRevived)
        #expect(stated(bench)?.map(\.id) == ["cpus:1;mem:1", "cpus:8;mem:1"])
    }

    @Test("thousands of sizes are stated as far as the master takes them")
    func many() {
        var bench = Bench()
        for cpus in 1...1200 { bench.submit("j", task(cpus: cpus)) }
        #expect(bench.scheduler.wantedDemand().count == StatedDemand.countLimit)
    }

    @Test("a launched task carries the priority of its job, or its own")
    func priorities() {
        var bench = Bench()
        bench.submit("j", priority: 3, task("a"), task("b", priority: -2), task("c", priority: 0))
        bench.offer(cpus: 3)
        #expect(
            Dictionary(
                bench.launched.map { ($0.name, $0.priority) },
                uniquingKeysWith: { first, _ in first }
            ) == ["j.a": 3, "j.b": -2, "j.c": nil])
    }
}

@Suite("Gangs")
struct GangTests {
    private func gang(
        _ name: String = "g", count: Int, of size: Int, concurrency: Int? = nil, cpus: Int = 1
    ) -> TaskSpecification {
        var task = task(name, count: count, concurrency: concurrency, cpus: cpus)
        task.gang = size
        return task
    }

    private func offers(_ cpus: Int..., demand: String? = nil, gang: UInt64? = nil) -> [Offer] {
        cpus.enumerated().map { index, cpus in
            Offer(
                id: OfferID("o-\(index)"), frameworkID: Bench.framework,
                agentID: AgentID("a-\(index)"), hostname: "h\(index)",
                resources: Resources(cpus: Milli(cpus), mem: Milli(1024)), role: "*",
                demandID: demand, instances: demand == nil ? 0 : cpus,
                gang: gang.map { GangID($0) })
        }
    }

    private func together(_ bench: Bench) -> [OfferAcceptance]? {
        for call in bench.calls {
            if case .acceptTogether(let parts, _) = call { return parts }
        }
        return nil
    }

    private func tasks(_ part: OfferAcceptance) -> [String] {
        part.operations.flatMap { operation -> [String] in
            guard case .launch(let tasks) = operation.action else { return [] }
            return tasks.map(\.id.value)
        }
    }

    @Test("a gang is stated by its job and task, and starts all at once or not at all")
    func allOrNothing() {
        var bench = Bench()
        bench.submit(gang(count: 4, of: 4))
        let stated = bench.scheduler.book.stated
        #expect(stated?.map(\.id) == ["job-1.g"])
        #expect(stated?.map(\.gang) == [4])
        #expect(stated?.map(\.count) == [4])
        bench.handle(.offers(offers(2, 1)))
        #expect(bench.launched.isEmpty)
        bench.handle(.offers(offers(2, 1, 1)))
        #expect(bench.launched.count == 4)
        #expect(bench.show("job-1")?.counts.running == 4)
    }

    @Test("offers of one gang are accepted together, the unused ones with them")
    func acceptedTogether() throws {
        var bench = Bench()
        bench.submit(gang(count: 3, of: 3))
        bench.handle(.offers(offers(2, 1, 1, demand: "job-1.g", gang: 9)))
        let parts = try #require(together(bench))
        #expect(parts.map(\.offers) == [["o-0"], ["o-1"], ["o-2"]])
        #expect(
            parts.map(tasks) == [["job-1.g.0.1", "job-1.g.1.1"], ["job-1.g.2.1"], []])
        #expect(bench.launched.isEmpty)
        #expect(bench.scheduler.queue.isEmpty)
    }

    @Test("offers of a gang that is not wanted any more are all declined")
    func obsolete() {
        var bench = Bench()
        let id = bench.submit(gang(count: 2, of: 2))
        _ = bench.ask { .cancel(job: id, $0) }
        bench.submit("other", task())
        bench.handle(.offers(offers(1, 1, demand: "job-1.g", gang: 9)))
        #expect(together(bench) == nil)
        #expect(bench.calls.contains(.decline(offers: ["o-0", "o-1"], filters: nil)))
        #expect(bench.launched.isEmpty)
    }

    @Test("a set of offers that falls short of the gang is declined whole")
    func incomplete() {
        var bench = Bench()
        bench.submit(gang(count: 3, of: 3))
        bench.handle(.offers(offers(1, 1, demand: "job-1.g", gang: 9)))
        #expect(together(bench) == nil)
        #expect(bench.calls == [.decline(offers: ["o-0", "o-1"], filters: nil)])
    }

    @Test("as many gangs run at once as the concurrency allows")
    func concurrency() {
        var bench = Bench()
        bench.submit(gang(count: 6, of: 2, concurrency: 5))
        #expect(bench.scheduler.book.stated?.map(\.count) == [4])
        bench.handle(.offers(offers(9)))
        let first = bench.launched.map(\.id.value)
        #expect(first.count == 4)
        #expect(bench.scheduler.queue.isEmpty)
        bench.finish(Array(first.prefix(1)))
        #expect(bench.scheduler.book.stated?.map(\.count) == [2])
        bench.handle(.offers(offers(9)))
        #expect(bench.launched.count == 2)
    }

    @Test("one of a gang that was lost is run again by itself")
    func loss() {
        var bench = Bench()
        bench.submit(gang(count: 2, of: 2))
        bench.handle(.offers(offers(2)))
        bench.update("job-1.g.1.1", .gone)
        #expect(bench.scheduler.book.stated?.map(\.id) == ["cpus:1;mem:1"])
        #expect(bench.offer() == ["job-1.g.1.2"])
    }

    @Test("tasks of a higher rank go before a gang, those of a lower one after it")
    func ranks() {
        var bench = Bench()
        bench.submit("low", priority: 1, task())
        bench.submit("gang", priority: 5, gang(count: 2, of: 2))
        bench.submit("high", priority: 9, task())
        bench.handle(.offers(offers(2)))
        // The gang does not fit beside the task that goes first, and lets the other pass.
        #expect(bench.launched.map(\.name) == ["high.t", "low.t"])
        bench.handle(.offers(offers(2)))
        #expect(bench.launched.map(\.name) == ["gang.g", "gang.g"])
    }

    @Test("a gang that cannot be whole or cannot start is refused")
    func refused() {
        var bench = Bench { $0.launchBytesPerOffer = 10_000 }
        let wrong = [
            gang(count: 3, of: 2), gang(count: 2, of: 0), gang(count: 4, of: 4, concurrency: 3),
            gang(count: 100, of: 100), gang(count: 2, of: -1),
        ]
        for task in wrong { #expect(bench.submit(task) == "refused") }
        #expect(bench.submit(gang(count: 4, of: 2)) != "refused")
    }

    @Test("a gang waits across a restart")
    func restart() {
        var bench = Bench()
        bench.submit(gang(count: 4, of: 2))
        bench.handle(.offers(offers(2)))
        var next = Bench(after: bench)
        next.subscribe()
        #expect(next.scheduler.book.stated?.map(\.count) == [2])
        next.handle(.offers(offers(1)))
        #expect(next.launched.isEmpty)
        next.handle(.offers(offers(2)))
        #expect(next.launched.map(\.id.value) == ["job-1.g.2.1", "job-1.g.3.1"])
    }

    @Test("a job says for which demand each of its tasks waits")
    func shown() {
        var bench = Bench()
        bench.submit(gang(count: 2, of: 2), task("a"), task("b", priority: 4))
        #expect(
            bench.show("job-1")?.tasks.map(\.demand) == [
                "job-1.g", "cpus:1;mem:1", "cpus:1;mem:1;priority:4",
            ])
    }
}
