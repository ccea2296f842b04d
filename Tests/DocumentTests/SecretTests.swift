import Proffer
import Testing

/// The code about secrets that Docs/Operate/Secrets.md shows, so that it compiles.
@Suite("Code in the documents: secrets")
struct SecretTests {
    @Test("a task names its secrets, in its environment and as files")
    func names() {
        var command = CommandInfo(value: "serve")
        let container: ContainerInfo
        command.environment = [
            EnvironmentVariable(
                name: "DB", value: "", secret: .reference(SecretReference(name: "db-password")))
        ]
        container = ContainerInfo(volumes: [
            Volume(
                containerPath: "keys/tls.pem", isReadOnly: true,
                secret: .reference(SecretReference(name: "tls", key: "pem")))
        ])
        let task = TaskInfo(
            name: "t", id: "t", agentID: "a", command: command, container: container)
        #expect(
            task.secrets == [
                SecretReference(name: "db-password"), SecretReference(name: "tls", key: "pem"),
            ])
    }
}
