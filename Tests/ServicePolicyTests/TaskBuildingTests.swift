import Proffer
import Testing

@testable import ServicePolicy

@Suite("Tasks of instances")
struct TaskBuildingTests {
    private func launch(_ fields: JSON) throws -> TaskInfo {
        var bench = try ServiceBench(racks: ["r1"])
        try bench.ask(.post, "/v2/apps", app("/shop/web", fields))
        bench.offer()
        return try #require(bench.tasks.first?.info)
    }

    private func environment(_ task: TaskInfo) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: (task.command?.environment ?? []).map { ($0.name, $0.value) })
    }

    @Test("an instance knows its ports, its host and what it is")
    func injected() throws {
        let task = try launch([
            "portDefinitions": [["port": 8080, "name": "http-main"], ["port": 0]],
            "labels": ["tier": "front"], "cpus": .number("0.25"),
        ])
        let variables = environment(task)
        let ports = task.resources.ports.prefix(2).map(String.init)
        let first = try #require(variables["PORT0"])
        let second = try #require(variables["PORT1"])
        #expect(Set([first, second]) == Set(ports))
        #expect(variables["PORT"] == first)
        #expect(variables["PORTS"] == "\(first),\(second)")
        #expect(variables["PORT_HTTP_MAIN"] == first)
        #expect(variables["PORT_8080"] == first)
        #expect(variables["HOST"] == "node-1")
        #expect(variables["MESOS_TASK_ID"] == task.id.value)
        #expect(variables["MARATHON_APP_ID"] == "/shop/web")
        #expect(variables["MARATHON_APP_VERSION"] == "2023-11-14T22:13:20.000Z")
        #expect(variables["MARATHON_APP_RESOURCE_CPUS"] == "0.25")
        #expect(variables["MARATHON_APP_LABELS"] == "TIER")
        #expect(variables["MARATHON_APP_LABEL_TIER"] == "front")
    }

    @Test("what the app says itself wins over what is injected")
    func ownVariables() throws {
        let task = try launch(["env": ["PORT0": "1", "MINE": "x"]])
        #expect(environment(task)["PORT0"] == "1")
        #expect(environment(task)["MINE"] == "x")
    }

    @Test("with requirePorts the host's port is the one that was asked for, 0 is any")
    func requiredPorts() throws {
        let task = try launch(["requirePorts": true, "ports": [31_042, 0]])
        let variables = environment(task)
        #expect(variables["PORT0"] == "31042")
        #expect(variables["PORT1"] != "31042")
        #expect(task.resources.ports.contains(31_042))
        #expect(task.resources.ports.count == 2)
    }

    @Test("an app without ports gets none")
    func noPorts() throws {
        let task = try launch(["portDefinitions": []])
        #expect(task.resources.ports.isEmpty)
        #expect(environment(task)["PORT"] == nil)
    }

    @Test("names follow the path of the app")
    func names() throws {
        let task = try launch([:])
        #expect(task.name == "web.shop")
        #expect(task.discovery?.name == "web.shop")
        #expect(task.id.value.hasPrefix("shop_web.instance-"))
        #expect(task.id.problem == nil)
    }

    @Test("args are run without a shell")
    func arguments() throws {
        var bench = try ServiceBench(racks: ["r1"])
        try bench.ask(.post, "/v2/apps", ["id": "x", "args": ["prog", "-a b"], "user": "me"])
        bench.offer()
        let command = try #require(bench.tasks.first?.info.command)
        #expect(command.value == "prog")
        #expect(!command.shell)
        #expect(command.arguments == ["prog", "-a b"])
        #expect(command.user == "me")
    }

    @Test("an HTTP check asks the instance's own port with the app's times")
    func httpCheck() throws {
        let task = try launch([
            "portDefinitions": [["port": 0], ["port": 0]],
            "healthChecks": [
                [
                    "protocol": "MESOS_HTTP", "path": "/up", "portIndex": 1,
                    "intervalSeconds": 3, "timeoutSeconds": 2, "gracePeriodSeconds": 7,
                    "maxConsecutiveFailures": 0,
                ]
            ],
        ])
        let check = try #require(task.healthCheck)
        let port = try #require(environment(task)["PORT1"].flatMap { Int($0) })
        #expect(check.kind == .http(scheme: "http", port: port, path: "/up"))
        #expect(check.interval == .seconds(3))
        #expect(check.delay == .seconds(3))
        #expect(check.timeout == .seconds(2))
        #expect(check.gracePeriod == .seconds(7))
        #expect(check.consecutiveFailures == Int(Int32.max))
    }

    @Test("TCP and command checks are passed on")
    func otherChecks() throws {
        let tcp = try launch(["healthChecks": [["protocol": "TCP", "port": 99]]])
        #expect(tcp.healthCheck?.kind == .tcp(port: 99))
        let command = try launch([
            "healthChecks": [["protocol": "COMMAND", "command": ["value": "test -f up"]]]
        ])
        guard case .command(let info) = command.healthCheck?.kind else { throw TestFailure() }
        #expect(info.value == "test -f up")
    }

    @Test("only resources of accepted roles are used")
    func acceptedRoles() throws {
        var bench = try ServiceBench(racks: ["r1"])
        let reserved = Resource(
            "cpus", .scalar(Milli(4)), reservations: [Reservation(role: "services")])
        bench.agents[0].free = bench.agents[0].free.filter { $0.name != "cpus" }
        bench.agents[0].free += reserved
        try bench.ask(.post, "/v2/apps", app("/web", ["acceptedResourceRoles": ["*"]]))
        bench.offer()
        #expect(bench.tasks.isEmpty)
        try bench.ask(.post, "/v2/apps", app("/any"))
        bench.offer()
        #expect(bench.tasks.map(\.info.name) == ["any"])
    }

    @Test("ports of one offer are given out once")
    func distinctPorts() throws {
        var bench = try ServiceBench(racks: ["r1"])
        try bench.ask(.post, "/v2/apps", app("/web", ["instances": 40]))
        bench.offer()
        let ports = bench.tasks.map { $0.info.resources.ports }
        #expect(ports.count == 40)
        #expect(Set(ports).count == 40)
    }
}
