import Proffer
import Testing

@testable import ServicePolicy

@Suite("Failures")
struct FailureTests {
    private var bench: ServiceBench

    init() throws { bench = try ServiceBench() }

    private mutating func deploy(_ fields: JSON = [:]) throws {
        try bench.ask(.post, "/v2/apps", app("/web", fields))
        bench.converge()
    }

    private mutating func timeLeft() throws -> JSON? {
        try bench.ask(.get, "/v2/queue").json["queue"]?.elements.first?["delay"]?["timeLeftSeconds"]
    }

    @Test("an instance that has run for a while and dies is replaced at once")
    mutating func replacement() throws {
        try deploy(["instances": 2])
        bench.wait(.seconds(10))
        bench.update(bench.tasks[0].info.id, .failed)
        #expect(bench.wantsOffers)
        bench.offer()
        #expect(bench.tasks.count == 2)
    }

    @Test("an instance that dies soon after its start makes the next launch wait, longer each time")
    mutating func backoff() throws {
        try deploy(["backoffSeconds": 2, "backoffFactor": 2, "maxLaunchDelaySeconds": 7])
        for expected in [2, 4, 7, 7] {
            bench.update(bench.tasks[0].info.id, .failed)
            #expect(try timeLeft() == .int(expected))
            bench.offer()
            #expect(bench.tasks.isEmpty)
            bench.wait(.seconds(expected))
            #expect(bench.wantsOffers)
            bench.offer()
            bench.runAll()
            #expect(bench.tasks.count == 1)
        }
    }

    @Test("an instance that outlives the delay ends it")
    mutating func recovery() throws {
        try deploy(["backoffSeconds": 2])
        bench.update(bench.tasks[0].info.id, .failed)
        bench.wait(.seconds(2))
        bench.offer()
        bench.runAll()
        bench.wait(.seconds(60))
        bench.update(bench.tasks[0].info.id, .failed)
        #expect(try timeLeft() == 0)
    }

    @Test("the delay can be ended by hand")
    mutating func resetDelay() throws {
        try deploy(["backoffSeconds": 60])
        bench.update(bench.tasks[0].info.id, .failed)
        bench.offer()
        #expect(bench.tasks.isEmpty)
        #expect(try bench.ask(.delete, "/v2/queue/web/delay").status == 204)
        bench.offer()
        #expect(bench.tasks.count == 1)
    }

    @Test("a task that ends by itself with success counts as failed: a service should not end")
    mutating func finished() throws {
        try deploy(["backoffSeconds": 5])
        bench.update(bench.tasks[0].info.id, .finished)
        #expect(try timeLeft() == 5)
    }

    @Test(
        "what is not the app's fault makes nothing wait",
        arguments: [TaskState.killed, .gone, .goneByOperator, .lost, .dropped])
    mutating func foreignFaults(_ state: TaskState) throws {
        try deploy(["backoffSeconds": 60])
        bench.update(bench.tasks[0].info.id, state, reason: .invalidOffers)
        bench.offer()
        #expect(bench.tasks.count == 1)
    }

    @Test("an instance that fails with its agent makes nothing wait")
    mutating func agentRestart() throws {
        try deploy(["backoffSeconds": 60])
        bench.update(bench.tasks[0].info.id, .failed, reason: .executorReregistrationTimeout)
        bench.offer()
        #expect(bench.tasks.count == 1)
    }

    @Test("an instance that its check has killed is replaced, and slows the next one down")
    mutating func unhealthy() throws {
        try deploy(["healthChecks": quickCheck, "backoffSeconds": 9])
        let id = bench.tasks[0].info.id
        bench.becomeHealthy(id, false)
        let shown = try bench.ask(.get, "/v2/apps/web").json["app"]
        #expect(shown?["tasksUnhealthy"] == 1)
        bench.update(id, .killed, healthy: false)
        #expect(try timeLeft() == 9)
    }

    @Test(
        "an app whose instances are killed for their health again and again waits longer each time")
    mutating func alwaysSick() throws {
        try deploy([
            "healthChecks": quickCheck, "backoffSeconds": 2, "backoffFactor": 3,
            "maxLaunchDelaySeconds": 50,
        ])
        for (round, expected) in [2, 6, 18, 50, 50].enumerated() {
            let id = bench.tasks[0].info.id
            // Healthy for a moment, or never; either way it takes long until the check kills it.
            if round % 2 == 1 { bench.becomeHealthy(id) }
            bench.wait(.seconds(20))
            bench.becomeHealthy(id, false)
            bench.wait(.seconds(40))
            bench.update(id, .killed, healthy: false)
            #expect(try timeLeft() == .int(expected))
            bench.wait(.seconds(expected))
            bench.offer()
            bench.runAll()
            #expect(bench.tasks.count == 1)
        }
    }

    @Test("an instance that was healthy for long before its check killed it ends the delay")
    mutating func sickAtLast() throws {
        try deploy(["healthChecks": quickCheck, "backoffSeconds": 9])
        let id = bench.tasks[0].info.id
        bench.becomeHealthy(id)
        bench.wait(.seconds(60))
        bench.becomeHealthy(id, false)
        bench.update(id, .killed, healthy: false)
        #expect(try timeLeft() == 0)
    }

    @Test("an unreachable instance is given up at once by default, and killed should it return")
    mutating func unreachable() throws {
        try deploy()
        let lost = bench.tasks[0].info.id
        bench.update(lost, .unreachable)
        bench.offer([bench.agents[1].id])
        #expect(bench.tasks.count == 2)
        bench.update(lost, .running)
        #expect(bench.killed() == [lost])
    }

    @Test("an unreachable instance is replaced and given up when its times are over")
    mutating func unreachableStrategy() throws {
        try deploy([
            "unreachableStrategy": ["inactiveAfterSeconds": 10, "expungeAfterSeconds": 60]
        ])
        let lost = bench.tasks[0].info.id
        let shown = { (bench: inout ServiceBench) in
            try bench.ask(.get, "/v2/apps/web/tasks").json["tasks"]?.elements.map { $0["state"] }
        }
        bench.update(lost, .unreachable)
        bench.offer()
        #expect(bench.tasks.count == 1)
        #expect(try shown(&bench) == ["TASK_UNREACHABLE"])
        bench.wait(.seconds(10))
        bench.offer()
        #expect(bench.tasks.count == 2)
        bench.wait(.seconds(50))
        #expect(try shown(&bench) == ["TASK_STAGING"])
    }

    @Test("an unreachable instance that returns in time is kept, and its replacement goes")
    mutating func returned() throws {
        try deploy([
            "unreachableStrategy": ["inactiveAfterSeconds": 10, "expungeAfterSeconds": 600]
        ])
        let lost = bench.tasks[0].info.id
        bench.update(lost, .unreachable)
        bench.wait(.seconds(10))
        bench.converge()
        bench.update(lost, .running)
        #expect(bench.killed().count == 1)
        #expect(bench.killed() != [lost])
    }

    @Test("unreachable instances of an app that says so are waited for without end")
    mutating func disabled() throws {
        try deploy(["unreachableStrategy": "disabled"])
        bench.update(bench.tasks[0].info.id, .unreachable)
        bench.wait(.seconds(1_000_000))
        bench.offer()
        #expect(bench.tasks.count == 1)
    }

    @Test("a task that nobody remembers is killed")
    mutating func unknownTask() {
        bench.calls = []
        bench.handle(
            .update(TaskStatus(taskID: "stranger", state: .running, agentID: "agent-1")))
        #expect(bench.calls.first == .kill("stranger", agent: "agent-1", policy: nil))
    }

    @Test("a task that the master does not know is replaced")
    mutating func forgottenTask() throws {
        try deploy()
        let id = bench.tasks[0].info.id
        bench.handle(.update(TaskStatus(taskID: id, state: .unknown, reason: .reconciliation)))
        bench.offer()
        #expect(bench.tasks.count == 2)
    }

    @Test("the master is told once that no offers are wanted, and once that they are")
    mutating func demand() throws {
        #expect(bench.calls == [.suppress(roles: [])])
        try deploy()
        #expect(bench.calls.count { $0 == .suppress(roles: []) } == 2)
        #expect(bench.calls.count { $0 == .revive(roles: []) } == 1)
        bench.wantsOffers = true
        bench.calls = []
        bench.offer([bench.agents[0].id])
        guard case .decline(_, let filters) = bench.calls.first else { throw TestFailure() }
        #expect(filters?.refuse == .seconds(3600))
        #expect(bench.calls.count == 1)
    }
}
