import ClusterProbe
import Proffer
import ProfferEmbedded
import Testing

/// What becomes of updates that nobody acknowledges; time stands still unless a test lets it pass.
@Suite("Resending of updates", .serialized, .timeLimit(.minutes(5)))
struct ResendTests {
    /// A cluster, a framework that acknowledges nothing by itself, and what they log.
    private struct Stage {
        let cluster: EmbeddedCluster
        let probe: Probe
        let clock: ShiftedClock
        let journal: LogJournal

        /// How often the agent has sent an update of the task again.
        var resent: Int { journal.count("sent an update again", ["task.id": "t"]) }

        /// How often the framework got an update that it had by its uuid.
        var repeated: Int { journal.count("repeated update", ["task.id": "t"]) }

        /// Waits until the agent has done everything that is due.
        func settled() async throws {
            // The answer to the second question comes after everything due at the first.
            for _ in 1...2 {
                _ = await cluster.sandbox(TaskKey(try await probe.subscribed(), "t"))
            }
        }

        func acknowledge(_ status: TaskStatus, as uuid: UpdateID? = nil) throws {
            probe.call(
                .acknowledge(
                    status.taskID, agent: try #require(status.agentID),
                    uuid: try #require(uuid ?? status.uuid)))
        }

        /// Lets `span` pass and expects `more` repetitions at its very end.
        func expect(_ more: Int, after span: Duration) async throws {
            let before = resent
            clock.advance(by: span - .milliseconds(1))
            try await settled()
            #expect(resent == before)
            clock.advance(by: .milliseconds(1))
            try await settled()
            #expect(resent == before + more)
            try await eventually("the framework to hear it again") { repeated == resent }
        }
    }

    /// Runs `body` when a task has run and ended, and nobody has acknowledged anything.
    private func withStage(window: Int, _ body: (Stage) async throws -> Void) async throws {
        let journal = LogJournal()
        let clock = ShiftedClock()
        clock.stop()
        try await withCluster(
            agents: 1,
            {
                $0.clock = clock
                $0.logger = journal.logger
                $0.master.updateWindow = window
                // No ping falls due, so that a long step of time is no long silence.
                $0.master.agentPingInterval = .seconds(1_000_000)
                $0.usageInterval = .seconds(1_000_000)
            },
            { cluster in
                var options = FrameworkOptions(info: FrameworkInfo(name: "probe"))
                options.acknowledgement = .manual
                options.reconciliation = .manual
                let probe = try Probe(options, cluster.connection, logger: journal.logger)
                let offer = try await eventually("an offer") {
                    clock.advance(by: .milliseconds(1))
                    return probe.openOffer()
                }
                probe.launch([TaskInfo("t", "true", on: offer)], on: offer)
                try await eventually("the end of the task") {
                    journal.count(
                        "task changed its state",
                        ["task.id": "t", "state": "TASK_FINISHED"]) > 0
                }
                let stage = Stage(
                    cluster: cluster, probe: probe, clock: clock, journal: journal)
                try await body(stage)
                await probe.stop(teardown: true)
            })
    }

    @Test("an update is sent again as it was after 10 s, then after twice as long, up to 10 min")
    func backOff() async throws {
        try await withStage(window: 1) { stage in
            try await stage.probe.update("t", .running)
            for gap in [10, 20, 40, 80, 160, 320, 600, 600] {
                try await stage.expect(1, after: .seconds(gap))
            }
            #expect(stage.probe.history.states(of: "t") == [.running])
        }
    }

    @Test("with a window of one the next update waits for the acknowledgement of the one before")
    func stopAndWait() async throws {
        try await withStage(window: 1) { stage in
            let running = try await stage.probe.update("t", .running)
            // The acknowledgement of something else is none.
            try stage.acknowledge(running, as: UpdateID(high: 1, low: 2))
            try await eventually("the refusal") {
                stage.journal.count("stray acknowledgement", ["task.id": "t"]) == 1
            }
            try await stage.expect(1, after: .seconds(10))
            #expect(stage.probe.history.states(of: "t") == [.running])

            try stage.acknowledge(running)
            let finished = try await stage.probe.update("t", .finished)
            #expect(finished.uuid != running.uuid)
            // The back-off begins anew with a new update.
            try await stage.expect(1, after: .seconds(10))
            try await stage.expect(1, after: .seconds(20))
            try stage.acknowledge(finished)
            try await eventually("the end of it") {
                stage.journal.count("a task is over", ["task.id": "t"]) == 1
            }
            try await stage.expect(0, after: .seconds(600))
        }
    }

    @Test("with a window updates come one after the other, and all are repeated together")
    func window() async throws {
        try await withStage(window: 64) { stage in
            let running = try await stage.probe.update("t", .running)
            let finished = try await stage.probe.update("t", .finished)
            for gap in [10, 20, 40] { try await stage.expect(2, after: .seconds(gap)) }
            try stage.acknowledge(running, as: UpdateID(high: 1, low: 2))
            try await eventually("the refusal") {
                stage.journal.count("stray acknowledgement", ["task.id": "t"]) == 1
            }
            try await stage.expect(2, after: .seconds(80))

            try stage.acknowledge(running)
            try await eventually("only one to be under way") {
                try await stage.settled()
                let before = stage.resent
                stage.clock.advance(by: .seconds(10))
                try await stage.settled()
                return stage.resent == before + 1
            }
            try stage.acknowledge(finished)
            try await eventually("the end of it") {
                stage.journal.count("a task is over", ["task.id": "t"]) == 1
            }
            try await stage.expect(0, after: .seconds(600))
        }
    }

    @Test("the acknowledgement of an update is one of those before it")
    func cumulative() async throws {
        try await withStage(window: 64) { stage in
            try stage.acknowledge(try await stage.probe.update("t", .finished))
            try await eventually("the end of it") {
                stage.journal.count("a task is over", ["task.id": "t"]) == 1
            }
            try await stage.expect(0, after: .seconds(600))
        }
    }
}
