import ProfferModel
import Testing

@testable import ProfferExecutor

@Suite("Secrets and ports in an executor")
struct NeedsTests {
    private static let password = SecretReference(name: "db", key: "password")
    private static let key = SecretReference(name: "key")

    private static func task() -> TaskInfo {
        var info = Stage.task("a")
        info.command?.environment = [
            EnvironmentVariable(name: "PASSWORD", value: "", secret: .reference(password))
        ]
        info.container = ContainerInfo(volumes: [
            Volume(containerPath: "/data", hostPath: "/d"),
            Volume(containerPath: "keys/tls", secret: .reference(key)),
        ])
        return info
    }

    private static func values(_ password: [UInt8]) -> [SecretValue] {
        [
            SecretValue(reference: Self.password, bytes: password),
            SecretValue(reference: key, bytes: [0, 0xFF]),
            SecretValue(reference: SecretReference(name: "of another task"), bytes: [1]),
        ]
    }

    @Test("a task finds its secrets in its environment and as files")
    func places() throws {
        var stage = Stage()
        stage.tell(
            .launch(Self.task(), sandbox: "/s", secrets: Self.values(Array("hunter2".utf8))))
        let launch = try #require(stage.launches.first)
        #expect(launch.environment.first { $0.name == "PASSWORD" }?.value == "hunter2")
        #expect(launch.hasSecretEnvironment)
        #expect(launch.secretFiles.map(\.path) == ["keys/tls"])
        #expect(launch.secretFiles.first?.value.bytes == [0, 0xFF])
        #expect(launch.container?.volumes.map(\.containerPath) == ["/data"])
    }

    @Test("nothing that is told to the agent or logged has the value of a secret")
    func silence() {
        var stage = Stage()
        let marker = "hunter2"
        stage.tell(
            .launch(Self.task(), sandbox: "/s", secrets: Self.values(Array(marker.utf8))))
        stage.send(.agentClosed(Stage.peer))
        stage.send(.agentOpened(Stage.peer))
        #expect(stage.subscriptions.last?.tasks == [Self.task()])
        for effect in stage.effects {
            if case .start = effect { continue }
            #expect(!"\(effect)".contains(marker))
        }
        let value = SecretValue(reference: Self.key, bytes: Array(marker.utf8))
        var dumped = ""
        dump(value, to: &dumped)
        #expect(!"\(value) \(String(reflecting: [value])) \(dumped)".contains("104"))
        #expect(!dumped.contains(marker))
    }

    @Test("a task whose secrets were not handed over has failed")
    func missing() {
        var stage = Stage()
        stage.launch(Self.task(), runs: false)
        #expect(stage.states == [.failed])
        #expect(stage.updates.last?.reason == .containerLaunchFailed)
        #expect(stage.launches.isEmpty)
    }

    @Test("a secret that is no text cannot be in an environment", arguments: [[0xFF], [0x61, 0]])
    func bytes(_ value: [UInt8]) {
        var stage = Stage()
        stage.tell(.launch(Self.task(), sandbox: "/s", secrets: Self.values(value)))
        #expect(stage.states == [.failed])
        #expect(stage.updates.last?.message?.contains("ask for it as a file") == true)
    }

    @Test("a task finds its ports by number and by name")
    func ports() throws {
        var stage = Stage()
        var info = Stage.task("a")
        info.resources = Resources([
            Resource("ports", .ranges(IntervalSet([31005...31006, 31010...31010])))
        ])
        info.discovery = DiscoveryInfo(ports: [
            DiscoveryPort(number: 31005, name: "http"),
            DiscoveryPort(number: 31010, name: "admin-api.v2"), DiscoveryPort(number: 31006),
        ])
        info.command?.environment = [EnvironmentVariable(name: "PORT1", value: "own")]
        stage.launch(info)
        let environment = try #require(stage.launches.first).environment
        let table = Dictionary(uniqueKeysWithValues: environment.map { ($0.name, $0.value) })
        let ports = table.filter { $0.key.hasPrefix("PORT") }
        #expect(
            ports == [
                "PORT": "31005", "PORT0": "31005", "PORT1": "own", "PORT2": "31010",
                "PORTS": "31005,31006,31010", "PORT_HTTP": "31005", "PORT_ADMIN_API_V2": "31010",
            ])
    }
}
