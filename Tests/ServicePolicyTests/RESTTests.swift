import Proffer
import Testing

@testable import ServicePolicy

@Suite("REST interface")
struct RESTTests {
    private var bench: ServiceBench

    init() throws { bench = try ServiceBench() }

    private mutating func create(_ json: JSON) throws { try bench.ask(.post, "/v2/apps", json) }

    @Test("creating an app answers 201 with its address, its deployment and the app")
    mutating func createApp() throws {
        let answer = try bench.ask(.post, "/v2/apps", app("/web"))
        #expect(answer.status == 201)
        #expect(answer.headers.contains(.init("Location", "/v2/apps/web")))
        #expect(answer.headers.contains { $0.name == "Marathon-Deployment-Id" })
        #expect(answer.json["id"] == "/web")
        #expect(answer.json["deployments"]?.elements.count == 1)
        #expect(answer.json["version"]?.text == "2023-11-14T22:13:20.000Z")
    }

    @Test("an id that exists is refused with 409")
    mutating func existing() throws {
        try create(app("/web"))
        let answer = try bench.ask(.post, "/v2/apps", app("/web"))
        #expect(answer.status == 409)
        #expect(answer.json["message"] == "An app with id [/web] already exists.")
    }

    @Test("what does not exist is 404 with a message that names it")
    mutating func missing() throws {
        let answer = try bench.ask(.get, "/v2/apps/nothing")
        #expect(answer.status == 404)
        #expect(answer.json["message"] == "App '/nothing' does not exist")
        for path in ["/v2/apps/x/tasks", "/v2/apps/x/versions", "/v2/groups/x", "/v2/nonsense"] {
            #expect(try bench.ask(.get, path).status == 404)
        }
        for path in ["/v2/apps/x", "/v2/deployments/x", "/v2/queue/x/delay", "/v2/groups/x"] {
            #expect(try bench.ask(.delete, path).status == 404)
        }
        #expect(try bench.ask(.patch, "/v2/apps/x", ["instances": 1]).status == 404)
        #expect(try bench.ask(.post, "/v2/apps/x/restart").status == 404)
    }

    @Test("what may not be is 422 with the path and the reason")
    mutating func invalid() throws {
        let answer = try bench.ask(.post, "/v2/apps", app("/web", ["instances": -1]))
        #expect(answer.status == 422)
        #expect(answer.json["message"] == "Object is not valid")
        #expect(answer.errors(at: "/instances") == ["may not be negative"])
        #expect(bench.store.isEmpty)
    }

    @Test("a wrong type and a missing body are 400")
    mutating func malformed() throws {
        #expect(try bench.ask(.post, "/v2/apps", app("/web", ["cpus": "one"])).status == 400)
        #expect(try bench.ask(.post, "/v2/apps").status == 400)
        #expect(try bench.ask(.post, "/v2/apps", []).status == 400)
    }

    @Test("an app in a deployment is locked, and force overrides that")
    mutating func locked() throws {
        try create(app("/web"))
        let deployment = try bench.ask(.get, "/v2/deployments").json.elements.first
        let answer = try bench.ask(.put, "/v2/apps/web", ["instances": 2])
        #expect(answer.status == 409)
        #expect(answer.json["message"]?.text?.contains("force=true") == true)
        #expect(answer.json["deployments"]?.elements.first?["id"] == deployment?["id"])
        #expect(try bench.ask(.put, "/v2/apps/web?force=true", ["instances": 2]).status == 200)
        #expect(try bench.ask(.get, "/v2/deployments").json.elements.count == 1)
    }

    @Test("PUT changes what it names, and creates what is missing")
    mutating func put() throws {
        let created = try bench.ask(.put, "/v2/apps/web", ["cmd": "serve", "cpus": 1])
        #expect(created.status == 201)
        bench.converge()
        let changed = try bench.ask(.put, "/v2/apps/web", ["cmd": "other"])
        #expect(changed.status == 200)
        #expect(changed.json["deploymentId"]?.text != nil)
        let shown = try bench.ask(.get, "/v2/apps/web").json["app"]
        #expect(shown?["cmd"] == "other")
        #expect(shown?["cpus"] == 1)
    }

    @Test("PUT without partialUpdate sets everything else to its default")
    mutating func fullPut() throws {
        try create(app("/web", ["env": ["A": "1"]]))
        bench.converge()
        try bench.ask(.put, "/v2/apps/web?partialUpdate=false", ["cmd": "serve"])
        let shown = try bench.ask(.get, "/v2/apps/web").json["app"]
        #expect(shown?["env"] == [:])
        #expect(shown?["mem"] == 128)
    }

    @Test("args take the place of cmd")
    mutating func commandKinds() throws {
        try create(app("/web"))
        bench.converge()
        try bench.ask(.patch, "/v2/apps/web", ["args": ["serve", "-x"]])
        let shown = try bench.ask(.get, "/v2/apps/web").json["app"]
        #expect(shown?["args"] == ["serve", "-x"])
        #expect(shown?["cmd"] == nil)
    }

    @Test("the id of the address cannot be changed by the body")
    mutating func changedID() throws {
        try create(app("/web"))
        bench.converge()
        let answer = try bench.ask(.put, "/v2/apps/web", ["id": "/other", "cmd": "x"])
        #expect(answer.status == 422)
        #expect(answer.refusedPaths == ["/id"])
    }

    @Test("what a client was shown it can send back")
    mutating func sendBack() throws {
        try create(app("/web"))
        bench.converge()
        let shown = try #require(try bench.ask(.get, "/v2/apps/web").json["app"])
        #expect(try bench.ask(.put, "/v2/apps/web", shown).status == 200)
        #expect(bench.tasks.count == 1)
        #expect(bench.killed().isEmpty)
    }

    @Test("several apps change in one deployment")
    mutating func severalApps() throws {
        let answer = try bench.ask(.put, "/v2/apps", [app("/a"), app("/b")])
        #expect(answer.status == 200)
        let deployments = try bench.ask(.get, "/v2/deployments").json
        #expect(deployments.elements.count == 1)
        #expect(deployments.elements.first?["affectedApps"] == ["/a", "/b"])
    }

    @Test("each change is a version, and a version alone is a roll-back to it")
    mutating func versions() throws {
        try create(app("/web", ["cmd": "one"]))
        bench.converge()
        try bench.ask(.put, "/v2/apps/web", ["cmd": "two"])
        bench.converge()
        let versions = try bench.ask(.get, "/v2/apps/web/versions").json["versions"]?.elements
        #expect(versions?.count == 2)
        let first = try #require(versions?.last)
        let old = try bench.ask(.get, "/v2/apps/web/versions/\(first.text ?? "")").json
        #expect(old["cmd"] == "one")
        #expect(try bench.ask(.put, "/v2/apps/web", ["version": first]).status == 200)
        bench.converge()
        #expect(bench.tasks(of: "/web").map(\.command?.value) == ["one"])
        #expect(try bench.ask(.put, "/v2/apps/web", ["version": "never"]).status == 404)
    }

    @Test("apps are found by id, command and label")
    mutating func filters() throws {
        try create(app("/shop/web", ["labels": ["tier": "front"]]))
        try create(app("/shop/db", ["cmd": "Database", "labels": ["tier": "back"]]))
        let found = { (bench: inout ServiceBench, query: String) in
            try bench.ask(.get, "/v2/apps?" + query).json["apps"]?.elements.compactMap {
                $0["id"]?.text
            }
        }
        #expect(try found(&bench, "id=WEB") == ["/shop/web"])
        #expect(try found(&bench, "cmd=data") == ["/shop/db"])
        #expect(try found(&bench, "label=tier") == ["/shop/db", "/shop/web"])
        #expect(try found(&bench, "label=tier==front") == ["/shop/web"])
        #expect(try found(&bench, "label=tier!=front") == ["/shop/db"])
        #expect(try found(&bench, "label=tier in (front, back),tier notin (back)") == ["/shop/web"])
        #expect(try bench.ask(.get, "/v2/apps?label===").status == 400)
    }

    @Test("tasks are embedded on request, counts always")
    mutating func embed() throws {
        try create(app("/web", ["instances": 2, "healthChecks": quickCheck]))
        bench.offer()
        bench.update(bench.tasks[0].info.id, .running, healthy: true)
        let plain = try bench.ask(.get, "/v2/apps").json["apps"]?.elements.first
        #expect(plain?["tasks"] == nil)
        #expect(plain?["tasksRunning"] == 1)
        #expect(plain?["tasksStaged"] == 1)
        #expect(plain?["tasksHealthy"] == 1)
        let full = try bench.ask(.get, "/v2/apps?embed=apps.tasks").json["apps"]?.elements.first
        #expect(full?["tasks"]?.elements.count == 2)
    }

    @Test("an app of a group can be asked for with all of the group")
    mutating func wildcard() throws {
        try bench.ask(.put, "/v2/apps", [app("/g/a"), app("/g/h/b"), app("/other")])
        let answer = try bench.ask(.get, "/v2/apps/g/*").json
        #expect(answer["*"]?.elements.map { $0["id"] } == ["/g/a", "/g/h/b"])
    }

    @Test("service ports are chosen once and kept")
    mutating func servicePorts() throws {
        try create(app("/a"))
        try create(app("/b"))
        bench.converge()
        let port = { (bench: inout ServiceBench, id: String) in
            try bench.ask(.get, "/v2/apps\(id)").json["app"]?["portDefinitions"]?.elements
                .first?["port"]
        }
        #expect(try port(&bench, "/a") == 10_000)
        #expect(try port(&bench, "/b") == 10_001)
        try bench.ask(.put, "/v2/apps/b?partialUpdate=false", app("/b", ["mem": 32]))
        #expect(try port(&bench, "/b") == 10_001)
    }

    @Test("the server tells about itself")
    mutating func info() throws {
        #expect(try bench.ask(.get, "/ping").body == .text("pong"))
        #expect(try bench.ask(.get, "/v2/leader").json["leader"] == "127.0.0.1:8080")
        #expect(try bench.ask(.get, "/v2/info").json["frameworkId"] == "framework")
        #expect(try bench.ask(.post, "/v2/info", [:]).status == 404)
        #expect(try bench.ask(.delete, "/v2/deployments").status == 405)
    }

    @Test("an id names an app or a group, not both")
    mutating func clashes() throws {
        try create(app("/a/b"))
        #expect(try bench.ask(.post, "/v2/apps", app("/a")).status == 422)
        #expect(try bench.ask(.post, "/v2/apps", app("/a/b/c")).status == 422)
    }
}
