import ProfferIsolation
import ProfferModel
import Testing

@Suite("Containers, planned")
struct ContainerPlanTests {
    private static func subject(
        user: ContainerUser = ContainerUser(id: 1000, group: 1000, groups: [5]),
        command: CommandInfo = CommandInfo(value: "run"), image: ImageDefaults = ImageDefaults(),
        _ container: ContainerInfo = ContainerInfo(network: .none)
    ) -> BundleSubject {
        BundleSubject(
            name: "ex.1", root: "/images/a/rootfs", image: image, command: command,
            environment: [
                EnvironmentVariable(name: "PATH", value: "/usr/bin"),
                EnvironmentVariable(name: "HOME", value: "/agent/s"),
            ], sandbox: "/agent/s", groupSandbox: "/agent/g", user: user, container: container,
            limits: [ProcessLimit(.descriptors, soft: 10, hard: nil)], cgroup: "/p/ex.1",
            oomScore: 300)
    }

    private static func config(
        _ subject: BundleSubject, hostPaths: [String] = []
    ) throws -> JSON {
        let planner = ContainerPlanner(directory: "/run/p/n", allowedHostPaths: hostPaths)
        for case .makeFile(let path, let contents, let mode) in try planner.steps(subject) {
            #expect(path == "/run/p/n/ex.1/config.json")
            #expect(mode == 0o600)
            return try JSON(text: contents)
        }
        throw Missing()
    }

    private struct Missing: Error {}

    private static func kinds(_ config: JSON) -> [String] {
        (config["linux"]?["namespaces"]?.elements ?? []).compactMap { $0["type"]?.text }
    }

    @Test("a container has no privileges, a filter, a read-only root and hidden files by default")
    func standard() throws {
        let config = try Self.config(Self.subject())
        let process = config["process"]
        #expect(process?["noNewPrivileges"] == true)
        for set in ["bounding", "permitted", "effective", "inheritable", "ambient"] {
            #expect(process?["capabilities"]?[set] == [])
        }
        #expect(config["root"]?["readonly"] == true)
        #expect(Self.kinds(config) == ["pid", "mount", "uts", "ipc", "network"])
        #expect(config["linux"]?["seccomp"]?["defaultAction"] == "SCMP_ACT_ERRNO")
        #expect(config["linux"]?["maskedPaths"]?.elements.contains("/proc/kcore") == true)
        #expect(config["linux"]?["cgroupsPath"] == "/p/ex.1")
        #expect(process?["user"]?["uid"] == 1000)
        #expect(process?["user"]?["additionalGids"] == [5])
        #expect(process?["rlimits"]?.elements.first?["soft"] == 10)
        #expect(process?["args"] == ["/bin/sh", "-c", "run"])
        #expect(process?["cwd"] == "/mnt/mesos/sandbox")
        #expect(
            process?["env"]
                == ["PATH=/usr/bin", "HOME=/mnt/mesos/sandbox"])
    }

    @Test("the filter lets nothing through that changes the node")
    func filter() throws {
        let rules =
            try Self.config(Self.subject())["linux"]?["seccomp"]?["syscalls"]?.elements ?? []
        let allowed = rules.filter { $0["action"] == "SCMP_ACT_ALLOW" }
            .flatMap { $0["names"]?.elements ?? [] }.compactMap(\.text)
        let forbidden: Set = [
            "mount", "umount2", "ptrace", "bpf", "kexec_load", "init_module", "reboot", "setns",
            "unshare", "keyctl", "add_key", "userfaultfd", "io_uring_setup", "perf_event_open",
            "pivot_root", "swapon", "settimeofday", "open_by_handle_at", "iopl", "ioperm",
            "quotactl",
        ]
        #expect(Set(allowed).isDisjoint(with: forbidden))
        #expect(Set(allowed).isSuperset(of: ["read", "execve", "openat", "futex", "clone"]))
        #expect(Set(allowed).count == allowed.count)
    }

    @Test("root becomes nobody on the node, unless it is to be privileged")
    func users() throws {
        let config = try Self.config(Self.subject(user: .root))
        #expect(Self.kinds(config).contains("user"))
        let first = ContainerPlanner.firstMappedUser
        #expect(config["linux"]?["uidMappings"]?.elements.first?["hostID"]?.integer == Int64(first))
        #expect(ContainerPlanner.owner(Self.subject(user: .root)).id == first)
        let privileged = Self.subject(
            user: .root, ContainerInfo(network: .none, isPrivileged: true))
        #expect(ContainerPlanner.owner(privileged).id == 0)
        let open = try Self.config(privileged)
        #expect(!Self.kinds(open).contains("user"))
        #expect(open["linux"]?["seccomp"] == nil)
    }

    @Test("a container on the node's network has no network of its own")
    func network() throws {
        #expect(!Self.kinds(try Self.config(Self.subject(ContainerInfo()))).contains("network"))
        var subject = Self.subject()
        subject.network = "/run/netns/x"
        let spaces = try Self.config(subject)["linux"]?["namespaces"]?.elements ?? []
        #expect(spaces.contains(["type": "network", "path": "/run/netns/x"]))
    }

    @Test("without a command, the image's own program runs, with the task's arguments")
    func imageProgram() throws {
        var image = ImageDefaults()
        image.arguments = ["/bin/server", "--port"]
        image.environment = [EnvironmentVariable(name: "PATH", value: "/opt/bin")]
        image.directory = "/srv"
        let command = CommandInfo(shell: false, arguments: ["80"])
        let process = try Self.config(Self.subject(command: command, image: image))["process"]
        #expect(process?["args"] == ["/bin/server", "--port", "80"])
        #expect(process?["env"] == ["PATH=/opt/bin", "HOME=/mnt/mesos/sandbox"])
        #expect(process?["cwd"] == "/srv")
    }

    @Test(
        "a volume that leads elsewhere is refused",
        arguments: [
            Volume(containerPath: "../x"), Volume(containerPath: "/a/../b"),
            Volume(containerPath: "/a//b"), Volume(containerPath: ""), Volume(containerPath: "/"),
            Volume(containerPath: "/a", hostPath: "/etc"),
            Volume(containerPath: "/a", hostPath: "/srv/../etc"),
            Volume(containerPath: "/a", hostPath: "/srvx"),
            Volume(containerPath: "/a", hostPath: "srv"),
            Volume(containerPath: "/a", sandboxPath: .init("../x")),
            Volume(containerPath: "/a", sandboxPath: .init("/etc")),
            Volume(containerPath: "/a", sandboxPath: .init("")),
        ])
    func badVolume(volume: Volume) {
        let subject = Self.subject(ContainerInfo(volumes: [volume], network: .none))
        #expect(throws: ContainerProblem.self) {
            try ContainerPlanner(directory: "/run/p", allowedHostPaths: ["/srv"]).steps(subject)
        }
    }

    @Test("a volume of the group lies in the sandbox of the group")
    func sharedVolume() throws {
        let volume = Volume(containerPath: "/a", sandboxPath: .init("d", isShared: true))
        let steps = try ContainerPlanner(directory: "/run/p").steps(
            Self.subject(ContainerInfo(volumes: [volume], network: .none)))
        #expect(
            steps.contains(
                .ensureDirectory("/agent/g/d", below: "/agent/g", owner: Self.subject().user)))
    }

    @Test("what a task asks for and was not granted is told")
    func granting() throws {
        let raw = try #require(Capability("NET_RAW"))
        let settings = ContainerSettings(capabilities: [raw])
        #expect(settings.problem(with: ContainerInfo(capabilities: [raw])) == nil)
        let admin = try #require(Capability("CAP_SYS_ADMIN"))
        #expect(
            settings.problem(with: ContainerInfo(capabilities: [raw, admin]))?
                .contains("SYS_ADMIN") == true)
        #expect(
            settings.problem(with: ContainerInfo(isPrivileged: true))?
                .contains("--allow-privileged") == true)
    }

    @Test(
        "names of images are told apart",
        arguments: [
            ("alpine:3", ImageName.registry("alpine:3")),
            ("docker://r:5000/a/b@sha256:0f", .registry("r:5000/a/b@sha256:0f")),
            ("oci:/a/b:c", .layout(directory: "/a/b", name: "c")),
            ("oci:/a/b", .layout(directory: "/a/b", name: "latest")),
            ("/a/b", .directory("/a/b")), ("dir:/a", .directory("/a")),
        ])
    func names(text: String, name: ImageName) { #expect(ImageName(text) == name) }

    @Test(
        "what is no name of an image is none",
        arguments: ["", "-x", "oci:a", "oci:/a/../b", "dir:b", "docker:///x", "a b", "a\n", "a//b"])
    func noName(text: String) { #expect(ImageName(text) == nil) }

    @Test("only a registry on this node is taken without a certificate")
    func localRegistry() {
        #expect(ImageName("127.0.0.1:5000/a")?.isLocal == true)
        #expect(ImageName("localhost/a")?.isLocal == true)
        #expect(ImageName("localhost.example.org/a")?.isLocal == false)
        #expect(ImageName("127.0.0.1.example.org/a")?.isLocal == false)
        #expect(ImageName("alpine")?.isLocal == false)
    }

    // MARK: JSON

    @Test(
        "a text is read and written as it was",
        arguments: [
            "{}", "[]", "null", "true", "-12", "1.5e3", "\"a\\\"b\\\\c\\u000a\"",
            "{\"a\":[1,{\"b\":\"\"}],\"c\":false}",
        ])
    func json(text: String) throws { #expect(try JSON(text: text).description == text) }

    @Test("escapes are read, those of two units as well")
    func escapes() throws {
        #expect(try JSON(text: #" "\u00e9\ud83d\ude00\/\n" "#) == .string("é😀/\n"))
    }

    @Test(
        "what is no JSON is refused",
        arguments: [
            "", "{", "[1,]", "{\"a\"}", "nul", "\"a", "\"\u{1}\"", "1 2", "+1", "\"\\ud800\"",
            "\"\\x\"", String(repeating: "[", count: 100), "{\"a\":1,}",
        ])
    func noJSON(text: String) { #expect(throws: JSONProblem.self) { try JSON(text: text) } }
}
