import Proffer
import Testing

@testable import ServicePolicy

@Suite("Deployments")
struct DeploymentTests {
    private var bench: ServiceBench

    init() throws { bench = try ServiceBench() }

    private mutating func deployments() throws -> [JSON] {
        try bench.ask(.get, "/v2/deployments").json.elements
    }

    @Test("an app is deployed when all its instances are healthy, not before")
    mutating func deploy() throws {
        try bench.ask(
            .post, "/v2/apps", app("/web", ["instances": 2, "healthChecks": quickCheck]))
        bench.offer()
        bench.runAll(healthy: false)
        #expect(bench.tasks.count == 2)
        #expect(try deployments().count == 1)
        bench.becomeHealthy(bench.tasks[0].info.id)
        #expect(try deployments().count == 1)
        bench.becomeHealthy(bench.tasks[1].info.id)
        #expect(try deployments().isEmpty)
        #expect(bench.events.contains { $0.name == "deployment_success" })
    }

    @Test("one instance per rack, and no more than there are racks")
    mutating func onePerRack() throws {
        try bench.ask(
            .post, "/v2/apps",
            app("/web", ["instances": 4, "constraints": [["rack", "UNIQUE"]]]))
        bench.converge()
        #expect(Set(bench.tasks.map(\.info.agentID)).count == 3)
        #expect(bench.tasks.count == 3)
    }

    @Test("without constraints instances are spread over the agents")
    mutating func spread() throws {
        try bench.ask(.post, "/v2/apps", app("/web", ["instances": 6]))
        bench.offer()
        for agent in bench.agents {
            #expect(bench.tasks.count { $0.info.agentID == agent.id } == 2)
        }
    }

    struct Bounds: Sendable {
        var instances: Int
        var minimum: String
        var over: String
        var floor: Int
        var ceiling: Int
    }

    @Test(
        "an upgrade keeps the floor of healthy and the ceiling of all instances at every step",
        arguments: [
            Bounds(instances: 3, minimum: "1", over: "1", floor: 3, ceiling: 6),
            Bounds(instances: 3, minimum: "1", over: "0", floor: 3, ceiling: 4),
            Bounds(instances: 4, minimum: "0.5", over: "0", floor: 2, ceiling: 4),
            Bounds(instances: 5, minimum: "0.5", over: "0.2", floor: 3, ceiling: 6),
            Bounds(instances: 1, minimum: "1", over: "0", floor: 1, ceiling: 2),
            Bounds(instances: 2, minimum: "0", over: "0", floor: 0, ceiling: 2),
        ])
    mutating func bounds(_ bounds: Bounds) throws {
        let strategy: JSON = [
            "minimumHealthCapacity": .number(bounds.minimum),
            "maximumOverCapacity": .number(bounds.over),
        ]
        try bench.ask(
            .post, "/v2/apps",
            app(
                "/web",
                [
                    "cmd": "one", "instances": .int(bounds.instances),
                    "upgradeStrategy": strategy, "healthChecks": quickCheck,
                ]))
        bench.converge()
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        bench.converge { bench in
            let instances = bench.policy.members(of: AppPath("/web"))
            #expect(instances.count(where: \.isHealthy) >= bounds.floor)
            #expect(bench.tasks.count <= bounds.ceiling)
        }
        #expect(
            bench.tasks.map(\.info.command?.value)
                == Array(repeating: "two", count: bounds.instances))
        #expect(try deployments().isEmpty)
    }

    @Test("an old instance is killed only after a new one is healthy")
    mutating func order() throws {
        try bench.ask(
            .post, "/v2/apps", app("/web", ["cmd": "one", "healthChecks": quickCheck]))
        bench.converge()
        let old = bench.tasks[0].info.id
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        bench.offer()
        bench.runAll(healthy: false)
        #expect(bench.killed().isEmpty)
        bench.becomeHealthy(bench.tasks[1].info.id)
        #expect(bench.killed() == [old])
        #expect(try deployments().count == 1)
        bench.endKilled()
        #expect(try deployments().isEmpty)
    }

    @Test("a new version that never becomes healthy leaves the old one alone")
    mutating func brokenVersion() throws {
        try bench.ask(
            .post, "/v2/apps", app("/web", ["instances": 2, "healthChecks": quickCheck]))
        bench.converge()
        let old = bench.tasks.map(\.info.id)
        try bench.ask(.put, "/v2/apps/web", ["cmd": "broken"])
        for _ in 0..<5 {
            bench.offer()
            for task in bench.tasks where task.state == .staging {
                bench.update(task.info.id, .failed)
            }
            bench.wait(.seconds(300))
        }
        #expect(bench.killed().isEmpty)
        #expect(bench.tasks.map(\.info.id) == old)
        let last = try bench.ask(.get, "/v2/apps/web").json["app"]?["lastTaskFailure"]
        #expect(last?["state"] == "TASK_FAILED")
    }

    @Test("between leaving rotation and the kill of an old instance lies the drain time")
    mutating func drain() throws {
        bench.configuration.drain = .seconds(2)
        bench.policy = try ServicePolicy(bench.configuration)
        bench.subscribe()
        try bench.ask(.post, "/v2/apps", app("/web"))
        bench.converge()
        let old = bench.tasks[0].info.id
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        bench.offer()
        bench.runAll()
        let shown = try bench.ask(.get, "/v2/apps/web/tasks").json["tasks"]?.elements.first
        #expect(shown?["state"] == "TASK_KILLING")
        #expect(bench.killed().isEmpty)
        bench.wait(.seconds(2))
        #expect(bench.killed() == [old])
    }

    @Test("dependencies are healthy before what depends on them starts")
    mutating func dependencies() throws {
        let group: JSON = [
            "id": "/shop",
            "groups": [
                ["id": "db", "apps": [app("pg", ["healthChecks": quickCheck])]],
                ["id": "api", "apps": [app("api")], "dependencies": ["/shop/db"]],
                ["id": "web", "apps": [app("web", ["dependencies": ["/shop/api/api"]])]],
            ],
        ]
        #expect(try bench.ask(.post, "/v2/groups", group).status == 201)
        let names = { (bench: ServiceBench) in bench.tasks.map(\.info.name) }
        bench.offer()
        bench.runAll(healthy: false)
        #expect(names(bench) == ["pg.db.shop"])
        bench.becomeHealthy(bench.tasks[0].info.id)
        bench.offer()
        #expect(names(bench) == ["pg.db.shop", "api.api.shop"])
        bench.runAll()
        bench.offer()
        #expect(names(bench) == ["pg.db.shop", "api.api.shop", "web.web.shop"])
        bench.runAll()
        #expect(try deployments().isEmpty)
    }

    @Test("dependencies in a circle are refused, and nothing changes")
    mutating func cycle() throws {
        let group: JSON = [
            "id": "/g",
            "apps": [
                app("a", ["dependencies": ["b"]]), app("b", ["dependencies": ["c"]]),
                app("c", ["dependencies": ["a"]]),
            ],
        ]
        let answer = try bench.ask(.post, "/v2/groups", group)
        #expect(answer.status == 422)
        #expect(
            answer.errors(at: "/dependencies").first?.contains("/g/a → /g/b → /g/c → /g/a") == true)
        #expect(bench.store.isEmpty)
        #expect(try bench.ask(.post, "/v2/apps", app("/x", ["dependencies": ["/x"]])).status == 422)
    }

    @Test("a deployment that is undone brings back what was there")
    mutating func undo() throws {
        try bench.ask(.post, "/v2/apps", app("/web", ["cmd": "one", "instances": 2]))
        bench.converge()
        let old = bench.tasks.map(\.info.id)
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        bench.offer()
        let id = try #require(try deployments().first?["id"]?.text)
        let answer = try bench.ask(.delete, "/v2/deployments/\(id)")
        #expect(answer.status == 200)
        bench.converge()
        #expect(bench.tasks.map(\.info.id) == old)
        #expect(try bench.ask(.get, "/v2/apps/web").json["app"]?["cmd"] == "one")
    }

    @Test("undoing the creation of an app removes it")
    mutating func undoCreation() throws {
        try bench.ask(.post, "/v2/apps", app("/web"))
        let id = try #require(try deployments().first?["id"]?.text)
        try bench.ask(.delete, "/v2/deployments/\(id)")
        bench.converge()
        #expect(try bench.ask(.get, "/v2/apps/web").status == 404)
        #expect(bench.tasks.isEmpty)
    }

    @Test("a deployment that is dropped by force leaves everything as it is")
    mutating func dropped() throws {
        try bench.ask(.post, "/v2/apps", app("/web", ["cmd": "one", "healthChecks": quickCheck]))
        bench.converge()
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        let id = try #require(try deployments().first?["id"]?.text)
        #expect(try bench.ask(.delete, "/v2/deployments/\(id)?force=true").status == 202)
        #expect(try deployments().isEmpty)
        bench.converge()
        #expect(bench.tasks.map(\.info.command?.value) == ["one"])
    }

    @Test("a restart replaces every instance by one of the same kind")
    mutating func restartApp() throws {
        try bench.ask(.post, "/v2/apps", app("/web", ["instances": 2]))
        bench.converge()
        let old = Set(bench.tasks.map(\.info.id))
        #expect(try bench.ask(.post, "/v2/apps/web/restart").status == 200)
        bench.converge()
        #expect(bench.tasks.count == 2)
        #expect(old.isDisjoint(with: bench.tasks.map(\.info.id)))
    }

    @Test("a removed app is gone at once for users, and its tasks are killed")
    mutating func removeApp() throws {
        try bench.ask(.post, "/v2/apps", app("/web", ["instances": 2]))
        bench.converge()
        #expect(try bench.ask(.delete, "/v2/apps/web").status == 200)
        #expect(try bench.ask(.get, "/v2/apps/web").status == 404)
        #expect(bench.killed().count == 2)
        #expect(try deployments().count == 1)
        bench.endKilled()
        #expect(try deployments().isEmpty)
        #expect(bench.store.isEmpty)
    }

    @Test("a group that is replaced loses what its description leaves out")
    mutating func replaceGroup() throws {
        try bench.ask(.post, "/v2/groups", ["id": "/g", "apps": [app("a"), app("b")]])
        bench.converge()
        try bench.ask(.put, "/v2/groups/g", ["apps": [app("b"), app("c")]])
        bench.converge()
        let group = try bench.ask(.get, "/v2/groups/g").json
        #expect(group["apps"]?.elements.map { $0["id"] } == ["/g/b", "/g/c"])
        #expect(bench.tasks.map(\.info.name).sorted() == ["b.g", "c.g"])
    }

    @Test("a group can be scaled, planned and removed as a whole")
    mutating func wholeGroup() throws {
        try bench.ask(.post, "/v2/groups", ["id": "/g", "apps": [app("a", ["instances": 3])]])
        bench.converge()
        #expect(try bench.ask(.post, "/v2/groups", ["id": "/g"]).status == 409)
        try bench.ask(.put, "/v2/groups/g", ["scaleBy": .number("1.5")])
        bench.converge()
        #expect(bench.tasks.count == 5)
        let plan = try bench.ask(.put, "/v2/groups/g?dryRun=true", ["apps": []])
        #expect(plan.json["steps"]?.elements.count == 1)
        #expect(try deployments().isEmpty)
        #expect(try bench.ask(.delete, "/v2/groups/g").status == 200)
        bench.converge()
        #expect(bench.tasks.isEmpty)
        #expect(try bench.ask(.get, "/v2/groups/g").status == 404)
    }

    @Test("unknown fields of nested apps are refused with their whole path")
    mutating func nestedProblem() throws {
        let group: JSON = [
            "id": "/g", "groups": [["id": "h", "apps": [app("a", ["instnces": 1])]]],
        ]
        let answer = try bench.ask(.post, "/v2/groups", group)
        #expect(answer.refusedPaths == ["/groups/0/apps/0/instnces"])
    }
}
