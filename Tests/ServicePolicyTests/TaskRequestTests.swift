import Proffer
import Testing

@testable import ServicePolicy

@Suite("Requests about tasks")
struct TaskRequestTests {
    private var bench: ServiceBench

    init() throws {
        bench = try ServiceBench()
        try bench.ask(
            .post, "/v2/apps", app("/web", ["instances": 3, "healthChecks": quickCheck]))
        bench.converge()
    }

    private mutating func shown() throws -> [JSON] {
        try bench.ask(.get, "/v2/apps/web/tasks").json["tasks"]?.elements ?? []
    }

    @Test("a task is shown with its place, ports and health")
    mutating func fields() throws {
        let task = try #require(try shown().first)
        let info = try #require(bench.tasks.first?.info)
        #expect(task["id"]?.text == info.id.value)
        #expect(task["appId"] == "/web")
        #expect(task["state"] == "TASK_RUNNING")
        #expect(task["slaveId"]?.text == info.agentID.value)
        #expect(task["ports"]?.elements.count == 1)
        #expect(task["servicePorts"] == [10_000])
        #expect(task["healthCheckResults"]?.elements.first?["alive"] == true)
    }

    @Test("a task that is to end is at once neither running nor healthy for its clients")
    mutating func killing() throws {
        let id = bench.tasks[0].info.id
        try bench.ask(.delete, "/v2/apps/web/tasks/\(id)")
        let task = try #require(try shown().first { $0["id"]?.text == id.value })
        #expect(task["state"] == "TASK_KILLING")
        #expect(task["healthCheckResults"] == [])
        let table = try bench.ask(.get, "/v2/tasks", prefersText: true)
        guard case .text(let text) = table.body else { throw TestFailure() }
        #expect(text.split(separator: "\t").count == 2 + 2)
        #expect(try bench.ask(.get, "/v2/apps/web").json["app"]?["tasksRunning"] == 2)
    }

    @Test("killing one task answers with it, and it is replaced")
    mutating func killOne() throws {
        let id = bench.tasks[1].info.id
        let answer = try bench.ask(.delete, "/v2/apps/web/tasks/\(id)")
        #expect(answer.status == 200)
        #expect(answer.json["task"]?["id"]?.text == id.value)
        #expect(bench.killed() == [id])
        bench.converge()
        #expect(bench.tasks.count == 3)
        #expect(try bench.ask(.delete, "/v2/apps/web/tasks/never").status == 404)
    }

    @Test("killing with scale makes the app smaller by exactly those tasks")
    mutating func killAndScale() throws {
        let id = bench.tasks[1].info.id
        let answer = try bench.ask(.delete, "/v2/apps/web/tasks/\(id)?scale=true")
        #expect(answer.json["deploymentId"]?.text != nil)
        #expect(bench.killed() == [id])
        bench.converge()
        #expect(bench.tasks.count == 2)
        #expect(try bench.ask(.get, "/v2/apps/web").json["app"]?["instances"] == 2)
        #expect(try bench.ask(.get, "/v2/deployments").json == [])
    }

    @Test("scale and wipe exclude each other")
    mutating func scaleAndWipe() throws {
        let answer = try bench.ask(.delete, "/v2/apps/web/tasks?scale=true&wipe=true")
        #expect(answer.status == 400)
        #expect(bench.killed().isEmpty)
    }

    @Test("tasks can be killed by host")
    mutating func killByHost() throws {
        try bench.ask(.delete, "/v2/apps/web/tasks?host=node-2")
        #expect(bench.killed().count == 1)
        let agent = bench.tasks.first { $0.isKillWanted }?.info.agentID
        #expect(agent == "agent-2")
    }

    @Test("tasks of several apps can be killed by their ids")
    mutating func killByIDs() throws {
        let ids = bench.tasks.prefix(2).map { JSON.string($0.info.id.value) }
        let answer = try bench.ask(
            .post, "/v2/tasks/delete", ["ids": .array(ids + ["unknown"])])
        #expect(answer.json["tasks"]?.elements.count == 2)
        #expect(bench.killed().count == 2)
        #expect(try bench.ask(.post, "/v2/tasks/delete", ["idz": []]).status == 422)
    }

    @Test("tasks are chosen by status")
    mutating func status() throws {
        try bench.ask(.put, "/v2/apps/web", ["instances": 4])
        bench.offer()
        let count = { (bench: inout ServiceBench, query: String) in
            try bench.ask(.get, "/v2/tasks" + query).json["tasks"]?.elements.count
        }
        #expect(try count(&bench, "") == 4)
        #expect(try count(&bench, "?status=staging") == 1)
        #expect(try count(&bench, "?status=running") == 3)
    }

    @Test("the grace period of the app goes with the kill")
    mutating func gracePeriod() throws {
        try bench.ask(
            .post, "/v2/apps", app("/slow", ["taskKillGracePeriodSeconds": 42]))
        bench.converge()
        let id = try #require(bench.tasks(of: "/slow").first?.id)
        try bench.ask(.delete, "/v2/apps/slow/tasks/\(id)")
        let task = bench.tasks.first { $0.info.id == id }
        #expect(task?.killPolicy == KillPolicy(gracePeriod: .seconds(42)))
        #expect(task?.info.killPolicy == KillPolicy(gracePeriod: .seconds(42)))
    }
}

struct TestFailure: Error {}
