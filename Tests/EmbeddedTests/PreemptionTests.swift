import ClusterProbe
import Proffer
import ProfferEmbedded
import ProfferMaster
import Testing

/// Clusters whose time stands still unless a test lets it pass.
@Suite("Preemption and back-off", .serialized, .timeLimit(.minutes(5)))
struct PreemptionTests {
    private func withStoppedClock(
        _ body: (EmbeddedCluster, Probe, ShiftedClock) async throws -> Void
    ) async throws {
        let clock = ShiftedClock()
        clock.stop()
        try await withProbe(
            FrameworkInfo(name: "low"), agents: 1,
            {
                $0.clock = clock
                // Executors live in real time and are not to be late in this one.
                $0.adjustAgent = { $1.executorReregistrationTimeout = .seconds(1_000_000) }
                $0.master.agentPingsMissed = 1000
                $0.master.preemptionDelay = .seconds(10)
                $0.master.preemptionNotice = .seconds(30)
            },
            { try await body($0, $1, clock) })
    }

    /// Lets time pass by milliseconds until something is found.
    private func soon<Found>(
        _ what: String, _ clock: ShiftedClock, _ find: () async throws -> Found?
    ) async throws -> Found {
        try await eventually(what) {
            clock.advance(by: .milliseconds(1))
            return try await find()
        }
    }

    @Test(
        """
        a demand of higher priority waits, the tasks in its way are named in an inverse offer, \
        and only at its deadline are they killed to make room
        """)
    func preemption() async throws {
        try await withStoppedClock { cluster, low, clock in
            let offer = try await soon("an offer", clock) { low.openOffer() }
            low.launch(
                [
                    TaskInfo("first", "sleep 600", on: offer, cpus: Milli(1), mem: Milli(64)),
                    TaskInfo("second", "sleep 600", on: offer, cpus: Milli(1), mem: Milli(64)),
                ], on: offer, refuse: .seconds(3600))
            for task in ["first", "second"] { try await low.update(TaskID(task), .running) }

            let high = try Probe(FrameworkInfo(name: "high"), cluster.connection)
            let id = try await high.subscribed()
            high.call(.demand([Demand("urgent", cpus: Milli(1), priority: 10)]))
            try await high.settled()
            #expect(try await cluster.demands(of: id).first?.waitingSince != nil)
            #expect(low.history.inverseOffers.isEmpty)

            clock.advance(by: .seconds(10))
            let request = try await soon("an inverse offer", clock) {
                low.history.inverseOffers.first
            }
            #expect(request.tasks.count == 1)
            let victim = try #require(request.tasks.first)
            #expect(request.resources == Resources(cpus: Milli(1), mem: Milli(64)))
            low.call(.acceptInverseOffers([request.id], filters: nil))
            clock.advance(by: .seconds(29))
            try await low.settled()
            #expect(low.history.states(of: victim) == [.running])
            guard case .inverseOffers(let shown) = try await cluster.answer(.inverseOffers) else {
                throw NeverHappened(description: "no answer")
            }
            #expect(shown.map(\.inverseOffer.id) == [request.id])
            #expect(shown.first?.reason.contains("'urgent'") == true)
            #expect(shown.first?.response != nil)

            clock.advance(by: .seconds(1))
            let end = try await soon("the end of the victim", clock) {
                low.history.updates.first { $0.taskID == victim && $0.state.isTerminal }
            }
            #expect(end.state == .killed)
            let room = try await soon("an offer for the demand", clock) { high.openOffer() }
            #expect(room.demandID == "urgent")
            high.launch(
                [TaskInfo("urgent", "sleep 600", on: room, cpus: Milli(1), mem: Milli(64))],
                on: room)
            try await high.update("urgent", .running)
            let other: TaskID = victim == "first" ? "second" : "first"
            #expect(low.history.states(of: other) == [.running])
            await high.stop(teardown: true)
        }
    }

    @Test("who only declines is told that it is offered less often, until it revives")
    func backOff() async throws {
        try await withStoppedClock { _, probe, clock in
            for _ in 1...5 {
                let offer = try await soon("an offer", clock) { probe.openOffer() }
                probe.call(.decline(offers: [offer.id], filters: Filters(refuse: .seconds(20))))
                try await probe.settled()
                guard probe.history.backOffs.isEmpty else { break }
                clock.advance(by: .seconds(20))
            }
            let told = try await soon("a back-off", clock) { probe.history.backOffs.first }
            #expect(told.role == "*")
            #expect(told.declines == 5)
            #expect(told.pause == .seconds(40))
            clock.advance(by: .seconds(20))
            try await probe.settled()
            #expect(probe.history.offers.count == 5)
            probe.call(.revive(roles: []))
            _ = try await soon("an offer", clock) { probe.openOffer() }
        }
    }
}
