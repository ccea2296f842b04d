import ClusterProbe
import Proffer
import ProfferEmbedded
import ProfferMaster
import Testing

@Suite("Offer", .serialized, .timeLimit(.minutes(5)))
struct OfferTests {
    private static let long = Filters(refuse: .seconds(3600))

    @Test("a refusal holds for the same and for less, and ends when more is free")
    func containment() async throws {
        try await withProbe { _, probe in
            let first = try await probe.offer()
            probe.launch(
                [TaskInfo("half", "sleep 600", on: first, cpus: Milli(1))], on: first,
                refuse: .seconds(3600))
            try await probe.update("half", .running)
            try await probe.settled()
            #expect(probe.history.offers.count == 1)
            probe.call(.kill("half", agent: nil, policy: nil))
            let whole = try await probe.offer()
            #expect(whole.resources == first.resources)
        }
    }

    @Test("a refusal of nothing is none")
    func zero() async throws {
        try await withProbe { _, probe in
            for _ in 0..<3 {
                let offer = try await probe.offer()
                probe.call(.decline(offers: [offer.id], filters: Filters(refuse: .zero)))
            }
            _ = try await probe.offer()
        }
    }

    @Test("a refusal without a time, and one with a negative time, last five seconds")
    func absent() async throws {
        try await withProbe { _, probe in
            for filters in [nil, Filters(), Filters(refuse: .seconds(-3))] {
                let offer = try await probe.offer()
                let begun = ContinuousClock.now
                probe.call(.decline(offers: [offer.id], filters: filters))
                let next = try await probe.offer()
                #expect(ContinuousClock.now - begun > .milliseconds(4900))
                #expect(next.resources == offer.resources)
                probe.call(.decline(offers: [next.id], filters: Filters(refuse: .zero)))
            }
        }
    }

    @Test("REVIVE ends the refusals of the named role only")
    func revive() async throws {
        let info = FrameworkInfo(name: "probe", roles: ["a", "b"])
        try await withProbe(info) { _, probe in
            for _ in 0..<2 {
                let offer = try await probe.offer()
                probe.call(.decline(offers: [offer.id], filters: Self.long))
            }
            try await probe.settled()
            #expect(Set(probe.history.offers.map(\.role)) == ["a", "b"])
            probe.call(.revive(roles: ["b"]))
            let again = try await probe.offer()
            #expect(again.role == "b")
            probe.call(.decline(offers: [again.id], filters: Self.long))
            try await probe.settled()
            #expect(probe.history.offers.count == 3)
            probe.call(.revive(roles: ["c"]))
            try await probe.settled()
            #expect(probe.history.offers.count == 3)
        }
    }

    @Test("refusals end when the framework subscribes anew")
    func resubscribe() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            let offer = try await probe.offer()
            probe.call(.decline(offers: [offer.id], filters: Self.long))
            try await probe.settled()
            await probe.stop()
            let next = try Probe(FrameworkInfo(name: "probe", id: id), cluster.connection)
            #expect(try await next.subscribed() == id)
            #expect(try await next.offer().resources == offer.resources)
            await next.stop()
        }
    }

    @Test("SUPPRESS leaves a held offer valid and ends new ones; updates still come")
    func suppress() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            probe.call(.suppress(roles: []))
            try await probe.settled()
            probe.launch([TaskInfo("one", "true", on: offer)], on: offer)
            try await probe.update("one", .finished)
            try await probe.settled()
            #expect(probe.history.rescinded.isEmpty)
            #expect(probe.history.offers.count == 1)
            probe.call(.revive(roles: []))
            #expect(try await probe.offer().resources == offer.resources)
        }
    }

    @Test("SUPPRESS with a role that is not the framework's changes nothing")
    func suppressUnknown() async throws {
        try await withProbe { _, probe in
            let offer = try await probe.offer()
            probe.call(.suppress(roles: ["*", "strange"]))
            probe.call(.decline(offers: [offer.id], filters: Filters(refuse: .zero)))
            _ = try await probe.offer()
        }
    }

    @Test("an agent that disconnects takes back each of its offers")
    func rescind() async throws {
        try await withProbe(agents: 2) { cluster, probe in
            let offers = [try await probe.offer(), try await probe.offer()]
            let kept = try #require(offers.first { $0.hostname == "agent-0" })
            let lost = try #require(offers.first { $0.hostname == "agent-1" })
            try await cluster.stopAgent(1)
            try await eventually("a rescinded offer") { !probe.history.rescinded.isEmpty }
            #expect(probe.history.rescinded == [lost.id])
            probe.launch([TaskInfo("late", "true", on: lost)], on: lost)
            let status = try await probe.update("late", .dropped)
            #expect(status.reason == .invalidOffers)
            probe.launch([TaskInfo("ok", "true", on: kept)], on: kept)
            try await probe.update("ok", .finished)
        }
    }

    @Test("an offer that is held too long is taken back and made again")
    func timeout() async throws {
        try await withProbe(FrameworkInfo(name: "probe"), agents: 1) { options in
            options.master.offerTimeout = .milliseconds(300)
        } _: { _, probe in
            let first = try await probe.offer()
            try await eventually("a rescinded offer") {
                probe.history.rescinded.contains(first.id)
            }
            let second = try await probe.offer()
            #expect(second.id != first.id)
            #expect(second.resources == first.resources)
        }
    }

    @Test("three tenths are used up by three tasks of one tenth each")
    func fixedPoint() async throws {
        try await withProbe(FrameworkInfo(name: "probe"), agents: 1) { options in
            options.resources = { _ in
                Resources(cpus: Milli(thousandths: 300), mem: Milli(1024))
            }
        } _: { _, probe in
            let offer = try await probe.offer()
            let tasks = (0..<3).map { TaskInfo(TaskID("t\($0)"), "sleep 600", on: offer) }
            probe.launch(tasks, on: offer)
            for task in tasks { try await probe.update(task.id, .running) }
            let rest = try await probe.offer()
            #expect(!rest.resources.items.contains { $0.name == "cpus" })
            #expect(rest.resources.mem == Milli(1024 - 96))
        }
    }

    @Test("what becomes free is offered to the framework with the smaller share")
    func fairness() async throws {
        let half = (cpus: Milli(1), mem: Milli(512))
        try await withProbe(FrameworkInfo(name: "first"), agents: 2) { options in
            options.resources = { _ in Resources(cpus: Milli(2), mem: Milli(1024)) }
        } _: { cluster, first in
            let tasks = (0..<4).map { TaskID("first-\($0)") }
            for pair in [tasks[0...1], tasks[2...3]] {
                let offer = try await first.offer()
                first.launch(
                    pair.map {
                        TaskInfo($0, "sleep 600", on: offer, cpus: half.cpus, mem: half.mem)
                    }, on: offer)
            }
            for task in tasks { try await first.update(task, .running) }

            let second = try Probe(FrameworkInfo(name: "second"), cluster.connection)
            _ = try await second.subscribed()
            for (index, task) in tasks.prefix(2).enumerated() {
                first.call(.kill(task, agent: nil, policy: nil))
                let offer = try await second.offer()
                let id = TaskID("second-\(index)")
                second.launch(
                    [TaskInfo(id, "sleep 600", on: offer, cpus: half.cpus, mem: half.mem)],
                    on: offer)
                try await second.update(id, .running)
            }
            let shares = try await cluster.frameworks().map(\.shareMillionths)
            #expect(shares == [500_000, 500_000])
            #expect(first.history.offers.count == 2)
            first.call(.kill(tasks[2], agent: nil, policy: nil))
            _ = try await first.offer()
            #expect(second.history.offers.count == 2)
            await second.stop(teardown: true)
        }
    }
}
