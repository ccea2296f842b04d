import Proffer
import Testing

@testable import ServicePolicy

@Suite("App descriptions")
struct AppReadingTests {
    private func read(_ json: JSON) -> (app: App?, fields: FieldReader) {
        var reader = AppReader()
        return (reader.read(json), reader.fields)
    }

    private func refusedPaths(_ fields: JSON) -> [String] {
        let result = read(app("/web", fields)).fields
        return (result.invalid + result.mistyped).map(\.path)
    }

    @Test("what is left out has Marathon's defaults")
    func defaults() throws {
        let app = try #require(read(["id": "web", "cmd": "x"]).app)
        #expect(app.id.description == "/web")
        #expect(app.cpus == Milli(1))
        #expect(app.mem == Milli(128))
        #expect(app.disk == .zero)
        #expect(app.instances == 1)
        #expect(app.ports == [PortDefinition(port: 0, name: "default", protocolName: "tcp")])
        #expect(
            app.backoff
                == BackoffStrategy(first: .seconds(1), factor: 1_150_000, longest: .seconds(300)))
        #expect(app.upgrade == UpgradeStrategy(minimumHealth: 1_000_000, maximumOver: 1_000_000))
        #expect(app.killSelection == .youngestFirst)
        #expect(app.unreachable == UnreachableStrategy(inactiveAfter: .zero, expungeAfter: .zero))
        #expect(app.healthCheck == nil)
    }

    @Test("an app that is written reads back the same")
    func roundTrip() throws {
        let json = app(
            "/prod/web",
            [
                "gpus": 1, "disk": .number("12.5"), "env": ["A": "1"], "labels": ["L": "x"],
                "constraints": [["rack", "UNIQUE"], ["hostname", "MAX_PER", "2"]],
                "healthChecks": [
                    ["protocol": "COMMAND", "command": ["value": "true"], "timeoutSeconds": 3]
                ],
                "portDefinitions": [
                    ["port": 8080, "name": "http", "labels": ["VIP": "1"]],
                    ["port": 0, "protocol": "udp"],
                ],
                "requirePorts": true, "dependencies": ["../db"], "user": "nobody",
                "fetch": [["uri": "http://x/y", "executable": true]],
                "backoffFactor": .number("1.5"), "backoffSeconds": .number("0.25"),
                "upgradeStrategy": ["minimumHealthCapacity": .number("0.5")],
                "unreachableStrategy": "disabled", "killSelection": "OLDEST_FIRST",
                "taskKillGracePeriodSeconds": 7, "acceptedResourceRoles": ["*"],
            ])
        let app = try #require(read(json).app)
        #expect(read(app.json).app == app)
        #expect(app.dependencies == [AppPath("/db")])
        #expect(app.backoff.first == .milliseconds(250))
        #expect(app.upgrade.minimumHealth == 500_000)
        #expect(app.unreachable == nil)
    }

    @Test("obsolete ports and uris are understood")
    func obsolete() throws {
        let app = try #require(
            read(app("/web", ["ports": [9000, 0], "uris": ["http://x/y"]])).app)
        #expect(app.ports.map(\.port) == [9000, 0])
        #expect(app.fetch == [FetchURI(value: "http://x/y")])
    }

    @Test("null means not given")
    func null() throws {
        let fields: JSON = ["args": .null, "ports": .null, "dependencies": .null]
        #expect(read(app("/web", fields)).app != nil)
    }

    @Test(
        "each field has its bounds",
        arguments: [
            ("/cpus", ["cpus": -1]), ("/cpus", ["cpus": 100_000]), ("/mem", ["mem": -1]),
            ("/mem", ["mem": .number("1e30")]), ("/disk", ["disk": -1]), ("/gpus", ["gpus": -1]),
            ("/gpus", ["gpus": .number("0.5")]), ("/instances", ["instances": -1]),
            ("/instances", ["instances": .number("1.5")]),
            ("/instances", ["instances": 1_000_000]), ("/cmd", ["cmd": ""]),
            ("/cmd", ["args": ["x"]]), ("/backoffFactor", ["backoffFactor": .number("0.5")]),
            ("/backoffSeconds", ["backoffSeconds": -1]),
            ("/maxLaunchDelaySeconds", ["maxLaunchDelaySeconds": -1]),
            ("/taskKillGracePeriodSeconds", ["taskKillGracePeriodSeconds": -1]),
            ("/killSelection", ["killSelection": "RANDOM"]),
            (
                "/upgradeStrategy/minimumHealthCapacity",
                ["upgradeStrategy": ["minimumHealthCapacity": 2]]
            ),
            (
                "/unreachableStrategy/expungeAfterSeconds",
                ["unreachableStrategy": ["inactiveAfterSeconds": 9, "expungeAfterSeconds": 1]]
            ),
            ("/portDefinitions/0/port", ["portDefinitions": [["port": 70_000]]]),
            ("/portDefinitions/0/protocol", ["portDefinitions": [["protocol": "sctp"]]]),
            ("/portDefinitions/0/name", ["portDefinitions": [["name": "a b"]]]),
            ("/portDefinitions", ["portDefinitions": [["port": 80], ["port": 80]]]),
            ("/env", ["env": ["A=B": "x"]]), ("/role", ["role": "other"]),
            ("/acceptedResourceRoles", ["acceptedResourceRoles": ["other"]]),
            ("/networks/0/mode", ["networks": [["mode": "container"]]]),
        ] as [(String, JSON)])
    func bounds(_ path: String, _ fields: JSON) {
        #expect(refusedPaths(fields) == [path])
    }

    @Test(
        "a constraint is judged before it is needed",
        arguments: [
            ["rack"], ["rack", "NEAR"], ["rack", "UNIQUE", "x"], ["rack", "LIKE"],
            ["rack", "LIKE", "("], ["rack", "MAX_PER"], ["rack", "MAX_PER", "x"],
            ["rack", "GROUP_BY", "0"], ["rack", "IS", "[1-2]"], ["", "UNIQUE"],
        ] as [JSON])
    func constraints(_ constraint: JSON) {
        #expect(refusedPaths(["constraints": [constraint]]) == ["/constraints/0"])
    }

    @Test(
        "a health check is judged before it is needed",
        arguments: [
            ("/portIndex", ["portIndex": 3]), ("/path", ["path": "health"]),
            ("/protocol", ["protocol": "HTTPS"]), ("/protocol", ["protocol": "GRPC"]),
            ("/command", ["protocol": "COMMAND"]), ("/intervalSeconds", ["intervalSeconds": 0]),
            ("/timeoutSeconds", ["timeoutSeconds": 0]), ("/port", ["port": 0]),
            ("/intervall", ["intervall": 1]),
        ] as [(String, JSON)])
    func healthChecks(_ path: String, _ check: JSON) {
        #expect(refusedPaths(["healthChecks": [check]]) == ["/healthChecks/0" + path])
    }

    @Test("a second health check is refused, for the executor runs only one")
    func twoHealthChecks() {
        #expect(
            refusedPaths(["healthChecks": [["path": "/a"], ["path": "/b"]]]) == ["/healthChecks"])
    }

    @Test(
        "what this scheduler cannot do is refused by name",
        arguments: ["container", "secrets", "readinessChecks", "residency", "ipAddress"])
    func absent(_ name: String) {
        #expect(refusedPaths(.object([.init(name, ["x": "y"])])) == ["/" + name])
    }

    @Test("an unknown field is refused with the nearest known one")
    func unknown() {
        let invalid = read(app("/web", ["instnces": 2])).fields.invalid
        #expect(invalid.map(\.path) == ["/instnces"])
        #expect(invalid.first?.message.contains("'instances'") == true)
    }

    @Test("of many problems of a sort the first hundred are told")
    func manyProblems() {
        let unknown = JSON.object((0..<1000).map { .init("x\($0)", 1) })
        #expect(refusedPaths(unknown) == (0..<100).map { "/x\($0)" })
        let numbers = JSON.array((0..<1000).map { _ in 1 })
        let mistyped = read(app("/web", ["args": numbers])).fields.mistyped
        #expect(mistyped.map(\.path) == (0..<100).map { "/args/\($0)" })
    }

    @Test("fields that the server makes itself are not refused")
    func serverFields() {
        let fields: JSON = ["version": "x", "tasksRunning": 3, "deployments": [], "tasks": []]
        #expect(read(app("/web", fields)).app != nil)
    }

    @Test("a value of the wrong type is told apart from a forbidden one")
    func types() {
        let fields = read(app("/web", ["instances": "three"])).fields
        #expect(fields.mistyped.map(\.path) == ["/instances"])
        #expect(fields.invalid.isEmpty)
    }

    @Test("everything that is wrong is told at once")
    func severalProblems() {
        #expect(refusedPaths(["cpus": -1, "instances": -1, "nonsense": 1]).count == 3)
    }

    @Test(
        "ids are made of lower-case names",
        arguments: ["/Web", "/web_1", "/-web", "/web/tasks", "/", "/a b", "/web/"])
    func ids(_ id: String) {
        let isAllowed = id == "/web/"
        #expect((read(["id": .string(id), "cmd": "x"]).app != nil) == isAllowed)
    }

    @Test("a service of which two must never run is replaced only after its end")
    func singleInstance() throws {
        let label: JSON = ["labels": ["MARATHON_SINGLE_INSTANCE_APP": "true"]]
        let app = try #require(read(app("/web", label)).app)
        #expect(app.upgrade.floor(of: 1) == 0)
        #expect(app.upgrade.ceiling(of: 1) == 1)
        #expect(refusedPaths(label.appending([("instances", 2)])) == ["/instances"])
    }
}
