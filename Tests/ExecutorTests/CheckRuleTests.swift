import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferExecutor

@Suite("Checks and health checks")
struct CheckRuleTests {
    private let health = HealthCheck(kind: .http(scheme: "http", port: 80, path: "/"))

    /// Answers the newest check.
    private func answer(_ stage: inout Stage, _ outcome: CheckOutcome) throws {
        stage.send(.checkFinished(try #require(stage.checks.last), outcome))
    }

    @Test("with the defaults, three failures from the first check on kill the task")
    func defaults() throws {
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: health))
        stage.pass(.milliseconds(14_999))
        #expect(stage.checks.isEmpty)
        stage.pass(.milliseconds(1))
        #expect(stage.checks.count == 1)
        try answer(&stage, .http(status: 500))
        #expect(stage.updates.last?.healthy == false)
        #expect(stage.updates.last?.reason == .taskHealthCheckStatusUpdated)
        stage.pass(.seconds(10))
        try answer(&stage, .timedOut)
        #expect(stage.signals.isEmpty)
        stage.pass(.seconds(10))
        try answer(&stage, .failed("no route"))
        #expect(stage.states == [.running, .running, .running, .running, .killing])
        #expect(stage.signals == [15])
        stage.exit("a", signal: 15)
        #expect(stage.updates.last?.state == .killed)
        #expect(stage.updates.last?.healthy == false)
        #expect(stage.checks.count == 3)
    }

    @Test("failures within the grace period do not count")
    func grace() throws {
        var check = health
        check.delay = .zero
        check.interval = .seconds(1)
        check.gracePeriod = .seconds(10)
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: check))
        for _ in 0..<10 {
            stage.pass(.milliseconds(1000))
            try answer(&stage, .http(status: 503))
        }
        #expect(stage.states == [.running])
    }

    @Test("the first success ends the grace period")
    func successEndsGrace() throws {
        var check = health
        check.delay = .zero
        check.interval = .seconds(1)
        check.gracePeriod = .seconds(100)
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: check))
        stage.pass(.seconds(1))
        try answer(&stage, .http(status: 399))
        #expect(stage.updates.last?.healthy == true)
        for _ in 0..<3 {
            stage.pass(.seconds(1))
            try answer(&stage, .http(status: 400))
        }
        #expect(stage.signals == [15])
    }

    @Test("health is reported at the first success and at recovery only")
    func quietWhenHealthy() throws {
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: health))
        stage.pass(.seconds(15))
        for outcome: CheckOutcome in [
            .http(status: 200), .http(status: 200), .http(status: 500), .http(status: 200),
        ] {
            try answer(&stage, outcome)
            stage.pass(.seconds(10))
        }
        #expect(stage.updates.map(\.healthy) == [nil, true, false, true])
    }

    @Test("the interval counts from the end of a check")
    func interval() throws {
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: health))
        stage.pass(.seconds(18))
        try answer(&stage, .http(status: 200))
        stage.pass(.milliseconds(9999))
        #expect(stage.checks.count == 1)
        stage.pass(.milliseconds(1))
        #expect(stage.checks.count == 2)
    }

    @Test(
        "a check that asks for no pause gets a short one",
        arguments: [.zero, .nanoseconds(1), .seconds(-1), .nanoseconds(Int64.min)] as [Duration])
    func pause(interval: Duration) throws {
        var check = health
        check.delay = .zero
        check.interval = interval
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: check))
        stage.pass(.zero)
        try answer(&stage, .http(status: 200))
        stage.pass(.milliseconds(9))
        #expect(stage.checks.count == 1)
        stage.pass(.milliseconds(1))
        #expect(stage.checks.count == 2)
    }

    @Test("a check whose answer never comes has timed out, and a late answer is ignored")
    func lost() throws {
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: health))
        stage.pass(.seconds(15))
        let first = try #require(stage.checks.first)
        stage.pass(.seconds(25))
        #expect(stage.updates.last?.healthy == false)
        let count = stage.updates.count
        stage.send(.checkFinished(first, .http(status: 200)))
        #expect(stage.updates.count == count)
    }

    @Test("a check is reported when its result changes, and never judged")
    func check() throws {
        let info = CheckInfo(
            kind: .command(CommandInfo(value: "true")), delay: .zero, interval: .seconds(1))
        var stage = Stage()
        stage.launch(Stage.task("a", check: info))
        for outcome: CheckOutcome in [
            .command(exitCode: 7), .command(exitCode: 7), .timedOut, .command(exitCode: 0),
        ] {
            stage.pass(.seconds(1))
            try answer(&stage, outcome)
        }
        #expect(
            stage.updates.map(\.checkResult) == [
                nil, .command(exitCode: 7), .command(exitCode: nil), .command(exitCode: 0),
            ])
        #expect(stage.signals.isEmpty)
    }

    @Test("a task that is being killed is not checked")
    func noneWhileKilled() {
        var stage = Stage()
        stage.launch(Stage.task("a", healthCheck: health))
        stage.tell(.kill("a", policy: KillPolicy(gracePeriod: .seconds(60))))
        stage.pass(.seconds(30))
        #expect(stage.checks.isEmpty)
    }
}
