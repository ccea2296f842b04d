import ClusterProbe
import Proffer
import ProfferEmbedded
import Testing

/// Clusters whose time stands still unless a test lets it pass.
@Suite("Passing of time", .serialized, .timeLimit(.minutes(5)))
struct TimeTests {
    /// Runs `body` with a cluster whose clock stands from the beginning.
    private func withStoppedClock(
        _ info: FrameworkInfo = FrameworkInfo(name: "probe"), pingsMissed: Int = 5,
        _ body: (EmbeddedCluster, Probe, ShiftedClock) async throws -> Void
    ) async throws {
        let clock = ShiftedClock()
        clock.stop()
        try await withProbe(
            info, agents: 1,
            {
                $0.clock = clock
                // Executors live in real time and are not to be late in this one.
                $0.adjustAgent = { $1.executorReregistrationTimeout = .seconds(1_000_000) }
                $0.master.agentPingsMissed = pingsMissed
            },
            { try await body($0, $1, clock) })
    }

    /// The next offer; lets only as much time pass as the allocation of one needs.
    private func offer(_ probe: Probe, _ clock: ShiftedClock) async throws -> Offer {
        try await eventually("an offer") {
            clock.advance(by: .milliseconds(1))
            return probe.openOffer()
        }
    }

    /// Launches `sleep` and waits until it runs; there is an open offer afterwards.
    private func run(
        _ probe: Probe, _ clock: ShiftedClock
    ) async throws -> (status: TaskStatus, open: OfferID) {
        let offer = try await offer(probe, clock)
        probe.launch([TaskInfo("t", "sleep 600", on: offer)], on: offer)
        let status = try await probe.update("t", .running)
        return (status, try await self.offer(probe, clock).id)
    }

    private func state(_ cluster: EmbeddedCluster) async throws -> AgentState? {
        // The answer to the second question comes after everything that was due at the first.
        _ = try await cluster.agents()
        return try await cluster.agents().first?.state
    }

    @Test(
        """
        an agent whose process is away is expected back: its offers are rescinded, its tasks stay \
        as they are, and it becomes unreachable when it has missed five pings in 75 s
        """)
    func agentAway() async throws {
        try await withStoppedClock { cluster, probe, clock in
            let (_, open) = try await run(probe, clock)
            try await cluster.stopAgent(0)
            try await eventually("the end of the offer") {
                probe.history.rescinded.contains(open)
            }
            for _ in 1...4 {
                clock.advance(by: .seconds(15))
                #expect(try await state(cluster) == .disconnected)
            }
            try await probe.settled()
            #expect(probe.history.states(of: "t") == [.running])

            clock.advance(by: .seconds(15))
            #expect(try await state(cluster) == .unreachable)
            let status = try await probe.update("t", .unreachable)
            #expect(status.reason == .agentRemoved)
            #expect(status.unreachableTime != nil)
        }
    }

    @Test("an agent that is back before its fifth ping has its task, and nobody hears of anything")
    func backInTime() async throws {
        try await withStoppedClock { cluster, probe, clock in
            let (before, _) = try await run(probe, clock)
            try await cluster.stopAgent(0)
            try await eventually("the loss of the agent") {
                try await state(cluster) == .disconnected
            }
            for _ in 1...4 {
                clock.advance(by: .seconds(15))
                #expect(try await state(cluster) == .disconnected)
            }
            try cluster.startAgent(0)
            try await cluster.activeAgents(1)
            // Pings are answered again, so that none of those before counts.
            for _ in 1...4 {
                clock.advance(by: .seconds(15))
                #expect(try await state(cluster) == .active)
            }
            try await probe.settled()
            #expect(probe.history.states(of: "t") == [.running])
            #expect(ProcessTable.isAlive(try #require(before.containerStatus?.pid)))
        }
    }

    @Test("an agent that comes back after it was unreachable brings its task back")
    func backTooLate() async throws {
        try await withStoppedClock { cluster, probe, clock in
            let (before, _) = try await run(probe, clock)
            try await cluster.stopAgent(0)
            try await eventually("the loss of the agent") {
                try await state(cluster) == .disconnected
            }
            for _ in 1...5 {
                clock.advance(by: .seconds(15))
                _ = try await state(cluster)
            }
            try await probe.update("t", .unreachable)
            try cluster.startAgent(0)
            let back = try await probe.update("t", .running) { $0.reason == .agentReregistered }
            #expect(back.source == .master)
            #expect(ProcessTable.isAlive(try #require(before.containerStatus?.pid)))
        }
    }

    @Test("an agent that a new master knows from its registry has 10 minutes to come back")
    func returnWindow() async throws {
        try await withStoppedClock { cluster, probe, clock in
            _ = try await run(probe, clock)
            try await cluster.stopAgent(0)
            try await cluster.stopMaster()
            try cluster.startMaster()
            _ = try await probe.subscribed(2)
            for _ in 1...5 {
                clock.advance(by: .seconds(119))
                #expect(try await state(cluster) == .recovered)
            }
            clock.advance(by: .seconds(5))
            #expect(try await state(cluster) == .unreachable)
        }
    }

    @Test("an agent that may miss many pings has 10 minutes to come back all the same")
    func returnWindowOfDisconnected() async throws {
        try await withStoppedClock(pingsMissed: 1000) { cluster, probe, clock in
            _ = try await run(probe, clock)
            try await cluster.stopAgent(0)
            try await eventually("the loss of the agent") {
                try await state(cluster) == .disconnected
            }
            clock.advance(by: .seconds(599))
            #expect(try await state(cluster) == .disconnected)
            clock.advance(by: .seconds(1))
            #expect(try await state(cluster) == .unreachable)
            try await probe.update("t", .unreachable)
        }
    }

    @Test(
        "without checkpoints the tasks are lost as soon as the agent's process is gone",
        arguments: [FrameworkCapabilities(), .partitionAware])
    func withoutCheckpoint(_ capabilities: FrameworkCapabilities) async throws {
        let info = FrameworkInfo(name: "probe", checkpoint: false, capabilities: capabilities)
        try await withStoppedClock(info) { cluster, probe, clock in
            _ = try await run(probe, clock)
            let then = clock.now()
            try await cluster.stopAgent(0)
            let status = try await probe.update("t", .lost)
            #expect(status.reason == .agentDisconnected)
            #expect(status.source == .master)
            #expect(clock.now() == then)
        }
    }
}
