import ProfferIsolation
import ProfferModel
import Testing

@Suite("Secrets, planned")
struct SecretPlanTests {
    private static let owner = ContainerUser(id: 1000, group: 1000)
    private static let files = [
        SecretFile(path: "keys/tls", contents: SecretContents("hunter2")),
        SecretFile(path: "token", contents: SecretContents([0])),
    ]

    @Test("files of a task without an image are in memory, with links in the sandbox")
    func links() throws {
        let steps = try SecretPlanner(memory: "/run/p").steps(
            "ex.1", Self.files, sandbox: "/s", owner: Self.owner)
        #expect(
            steps == [
                .makeDirectory("/run/p/secrets-ex.1", mode: 0o711),
                .makeSecret(
                    "/run/p/secrets-ex.1/0", Self.files[0].contents, owner: Self.owner),
                .makeLink(
                    "/s/keys/tls", below: "/s", to: "/run/p/secrets-ex.1/0", owner: Self.owner),
                .makeSecret(
                    "/run/p/secrets-ex.1/1", Self.files[1].contents, owner: Self.owner),
                .makeLink(
                    "/s/token", below: "/s", to: "/run/p/secrets-ex.1/1", owner: Self.owner),
            ])
        let text = UndoStep.text(of: IsolationPlan(name: "ex.1", steps: steps).undoing)
        #expect(!text.contains("hunter2"))
        #expect(text.contains("directory\t/run/p/secrets-ex.1\n"))
        #expect(!"\(steps)".contains("hunter2"))
    }

    @Test(
        "without an image, a file can be below the sandbox only",
        arguments: ["/etc/key", "../key", "a/../../b", "", "a//b"])
    func paths(_ path: String) {
        #expect(throws: ContainerProblem.self) {
            try SecretPlanner(memory: "/run/p").steps(
                "ex.1", [SecretFile(path: path, contents: SecretContents("x"))], sandbox: "/s",
                owner: Self.owner)
        }
    }

    @Test("without a directory in memory there are no files")
    func noMemory() throws {
        let planner = SecretPlanner(memory: "")
        #expect(throws: ContainerProblem.self) {
            try planner.steps("ex.1", Self.files, sandbox: "/s", owner: Self.owner)
        }
        #expect(try planner.steps("ex.1", [], sandbox: "/s", owner: Self.owner).isEmpty)
    }

    private static func subject(_ container: ContainerInfo) -> BundleSubject {
        BundleSubject(
            name: "ex.1", root: "/images/a", image: ImageDefaults(),
            command: CommandInfo(value: "run"),
            environment: [EnvironmentVariable(name: "DB", value: "hunter2")], sandbox: "/s",
            groupSandbox: "/s", user: .root, container: container, limits: [], cgroup: "/p/ex.1",
            oomScore: 300)
    }

    @Test("a container sees its secrets as files that it can only read, owned by its user")
    func contained() throws {
        var subject = Self.subject(ContainerInfo(network: .none))
        subject.secrets = [
            SecretFile(path: "/run/secrets/tls", contents: SecretContents("a")),
            SecretFile(path: "token", contents: SecretContents("b")),
        ]
        let steps = try ContainerPlanner(directory: "/run/p").steps(subject)
        let first = ContainerPlanner.firstMappedUser
        let owner = ContainerUser(id: first, group: first)
        #expect(
            steps.contains(
                .makeSecret("/run/p/ex.1/secret-1", SecretContents("b"), owner: owner)))
        var config: JSON?
        for case .makeFile(_, let contents, _) in steps { config = try JSON(text: contents) }
        let mounts = config?["mounts"]?.elements.filter { $0["options"]?.elements.first == "bind" }
        #expect(
            mounts?.compactMap { $0["destination"]?.text }
                == ["/run/secrets/tls", "/mnt/mesos/sandbox/token"])
        #expect(mounts?.first?["options"]?.elements.contains("ro") == true)
    }

    @Test("the bundle of a container with a secret in its environment must be in memory")
    func environment() throws {
        var subject = Self.subject(ContainerInfo(network: .none))
        subject.hasSecretEnvironment = true
        let steps = try ContainerPlanner(directory: "/run/p").steps(subject)
        let isOpen = steps.contains { step in
            if case .makeFile(_, let contents, _) = step {
                contents.contains("hunter2")
            } else {
                false
            }
        }
        #expect(!isOpen)
        let isKept = steps.contains { step in
            if case .makeSecret("/run/p/ex.1/config.json", _, .root) = step { true } else { false }
        }
        #expect(isKept)
    }

    @Test("what a task without an image cannot have is told, not ignored")
    func withoutImage() {
        let refused = [
            ContainerInfo(volumes: [Volume(containerPath: "/data", hostPath: "/d")]),
            ContainerInfo(volumes: [Volume(containerPath: "t", temporaryBytes: 1)]),
            ContainerInfo(network: .bridge), ContainerInfo(network: .none),
            ContainerInfo(portMappings: [PortMapping(hostPort: 31000, containerPort: 80)]),
        ]
        for container in refused {
            #expect(TaskPlanner.problem(withoutImage: container) != nil)
        }
        let secret = Volume(
            containerPath: "key", secret: .reference(SecretReference(name: "key")))
        #expect(TaskPlanner.problem(withoutImage: ContainerInfo(volumes: [secret])) == nil)
        #expect(TaskPlanner.problem(withoutImage: nil) == nil)
    }
}
