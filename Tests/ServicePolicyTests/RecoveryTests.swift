import Proffer
import Testing

@testable import ServicePolicy

@Suite("Restart of the scheduler")
struct RecoveryTests {
    private var bench: ServiceBench

    init() throws { bench = try ServiceBench() }

    @Test("tasks, apps, groups and versions are found again")
    mutating func everything() throws {
        try bench.ask(
            .post, "/v2/groups",
            ["id": "/g", "dependencies": ["/x"], "apps": [app("web")]])
        bench.converge()
        bench.wait(.seconds(1))
        try bench.ask(.put, "/v2/apps/g/web", ["instances": 2])
        bench.converge()
        let before = try ["/v2/apps?embed=tasks", "/v2/groups", "/v2/apps/g/web/versions"].map {
            try bench.ask(.get, $0)
        }
        try bench.restart()
        let after = try ["/v2/apps?embed=tasks", "/v2/groups", "/v2/apps/g/web/versions"].map {
            try bench.ask(.get, $0)
        }
        #expect(before == after)
        #expect(Set(bench.policy.knownTasks.map(\.taskID)) == Set(bench.tasks.map(\.info.id)))
        bench.converge()
        #expect(bench.tasks.count == 2)
    }

    @Test("a deployment goes on where it was, in each of its moments", arguments: 0..<12)
    mutating func deployment(_ moment: Int) throws {
        let strategy: JSON = ["minimumHealthCapacity": 1, "maximumOverCapacity": 0]
        try bench.ask(
            .post, "/v2/apps",
            app(
                "/web",
                [
                    "cmd": "one", "instances": 2, "healthChecks": quickCheck,
                    "upgradeStrategy": strategy,
                ]))
        bench.converge()
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        var step = 0
        var failure: (any Error)?
        bench.converge { bench in
            if step == moment {
                do { try bench.restart() } catch { failure = error }
            }
            step += 1
            let healthy = bench.policy.members(of: AppPath("/web")).count(where: \.isHealthy)
            #expect(healthy >= 2)
            #expect(bench.tasks.count <= 3)
        }
        #expect(failure == nil)
        #expect(bench.tasks.map(\.info.command?.value) == ["two", "two"])
        #expect(try bench.ask(.get, "/v2/deployments").json == [])
    }

    @Test("a group that was being deployed keeps the order of its dependencies")
    mutating func group() throws {
        try bench.ask(
            .post, "/v2/groups",
            [
                "id": "/g",
                "apps": [
                    app("db", ["healthChecks": quickCheck]), app("web", ["dependencies": ["db"]]),
                ],
            ])
        bench.offer()
        try bench.restart()
        bench.offer()
        #expect(bench.tasks.map(\.info.name) == ["db.g"])
        bench.runAll()
        bench.offer()
        #expect(bench.tasks.map(\.info.name) == ["db.g", "web.g"])
    }

    @Test("a kill that was decided is carried out by the next run")
    mutating func kills() throws {
        bench.configuration.drain = .seconds(5)
        bench.policy = try ServicePolicy(bench.configuration)
        bench.subscribe()
        try bench.ask(.post, "/v2/apps", app("/web"))
        bench.converge()
        try bench.ask(.put, "/v2/apps/web", ["instances": 0])
        #expect(bench.killed().isEmpty)
        try bench.restart()
        bench.wait(.seconds(5))
        #expect(bench.killed().count == 1)
        bench.tasks[0].isKillWanted = false
        try bench.restart()
        #expect(bench.killed().count == 1)
    }

    @Test("a removed app stays removed")
    mutating func removal() throws {
        try bench.ask(.post, "/v2/apps", app("/web"))
        bench.converge()
        try bench.ask(.delete, "/v2/apps/web")
        try bench.restart()
        #expect(try bench.ask(.get, "/v2/apps/web").status == 404)
        bench.converge()
        #expect(bench.tasks.isEmpty)
        #expect(bench.store.isEmpty)
    }

    @Test("when the master has forgotten the framework, every instance is started anew")
    mutating func newFramework() throws {
        try bench.ask(.post, "/v2/apps", app("/web", ["instances": 2]))
        bench.converge()
        bench.tasks = []
        bench.handle(
            .subscribed("another", master: MasterInfo(id: "m", hostname: "h", version: "1")))
        bench.converge()
        #expect(bench.tasks.count == 2)
    }

    @Test("a version is never given twice, even when the clock was set back")
    mutating func clockSetBack() throws {
        try bench.ask(.post, "/v2/apps", app("/web", ["cmd": "one"]))
        bench.converge()
        bench.configuration.wallTime = WallTime(nanosecondsSince1970: 0)
        bench.configuration.instant = bench.now
        bench.policy = try ServicePolicy(bench.configuration, stored: bench.store)
        bench.subscribe()
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        let versions = try bench.ask(.get, "/v2/apps/web/versions").json["versions"]?.elements
        let texts = (versions ?? []).compactMap(\.text)
        #expect(texts.count == 2)
        #expect(texts == texts.sorted(by: >))
    }

    @Test("a record that is no record stops the start")
    mutating func damage() {
        #expect(throws: StoreProblem.self) {
            try ServicePolicy(
                ServiceConfiguration(),
                stored: [StoreChange(kind: "app", key: "/web", value: "{\"goal\":")])
        }
        #expect(throws: StoreProblem.self) {
            try ServicePolicy(
                ServiceConfiguration(), stored: [StoreChange(kind: "what", key: "x", value: "{}")])
        }
    }
}
