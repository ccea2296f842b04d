import ClusterProbe
import Foundation
import Glibc
import Proffer
import ProfferRuntime
import Testing

/// Secrets that are planted in a cluster of processes and looked for everywhere.
@Suite("Planted secrets", .serialized, .timeLimit(.minutes(5)))
struct SecretTests {
    /// Two secrets that nobody else has, in a directory for an agent.
    struct Plant {
        let directory: String
        let markers: [String]

        init(_ cluster: ProcessCluster) throws {
            directory = cluster.data("secrets")
            markers = ["in-environment", "in-file"].map { "\($0)-\(UUID().uuidString)" }
            for path in [directory, directory + "/*"] {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: false,
                    attributes: [.posixPermissions: 0o700])
            }
            for (name, marker) in zip(["password", "key"], markers) {
                let made = FileManager.default.createFile(
                    atPath: "\(directory)/*/\(name)", contents: Data(marker.utf8),
                    attributes: [.posixPermissions: 0o600])
                #expect(made)
            }
        }

        /// A task that shows by digests that it has both, and waits.
        func task(_ id: TaskID, file: String, on offer: Offer) -> TaskInfo {
            var task = TaskInfo(
                id,
                "printf %s \"$PASSWORD\" | sha256sum >got; sha256sum <\(file) >>got; "
                    + "mv got digests; exec sleep 600", on: offer)
            task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(48))
            task.command?.environment = [
                EnvironmentVariable(
                    name: "PASSWORD", value: "",
                    secret: .reference(SecretReference(name: "password")))
            ]
            let key = Secret.reference(SecretReference(name: "key"))
            task.container = ContainerInfo(volumes: [
                Volume(containerPath: file, isReadOnly: true, secret: key)
            ])
            return task
        }

        /// The digests that such a task writes.
        func digests() throws -> String {
            try markers.map { marker in
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "/bin/sh")
                process.arguments = ["-c", "printf %s \"$0\" | sha256sum", marker]
                let pipe = Pipe()
                process.standardOutput = pipe
                try process.run()
                let text = pipe.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                return String(decoding: text, as: UTF8.self)
            }.joined()
        }

        /// Whether a text shows a secret, as it is or encoded.
        func isShown(in data: Data) -> Bool {
            markers.contains { marker in
                let forms = [marker, Data(marker.utf8).base64EncodedString()]
                return forms.contains { data.range(of: Data($0.utf8)) != nil }
            }
        }

        func isShown(in text: String) -> Bool { isShown(in: Data(text.utf8)) }

        /// The files of a cluster that show a secret, other than its own.
        func files(of cluster: ProcessCluster) throws -> [String] {
            let top = cluster.directory.path
            let all = try #require(FileManager.default.enumerator(atPath: top))
            var found: [String] = []
            var count = 0
            for case let name as String in all where !name.hasPrefix("secrets") {
                let path = top + "/" + name
                var status = stat()
                // Where a link leads to is not a file of the cluster.
                guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
                    let data = FileManager.default.contents(atPath: path)
                else { continue }
                count += 1
                if isShown(in: data) { found.append(name) }
            }
            #expect(count > 5)
            return found
        }
    }

    private func answers(_ cluster: ProcessCluster, _ task: String) async throws -> [String] {
        let master = try cluster.master.http
        let file = URL(fileURLWithPath: cluster.data("agent-0") + "/endpoints.json")
        let agent = try JSONDecoder().decode(Endpoints.self, from: Data(contentsOf: file)).http
        var bodies: [String] = []
        for path in ["summary", "agents", "frameworks", "roles", "offers", "tasks", "quotas"] {
            let answer = try await get("\(master)/v1/\(path)")
            #expect(answer.status == 200)
            bodies.append(answer.body)
        }
        bodies.append(try await get(master + "/metrics").body)
        bodies.append(try await get(agent + "/metrics").body)
        for words in [
            ["ps"], ["ps", "-o", "json"], ["task", task], ["task", task, "-o", "json"],
            ["agents", "-o", "json"], ["frameworks", "-o", "json"], ["why", "task", task],
            ["files", task], ["logs", task], ["logs", task, "--stderr"],
        ] {
            let program = try cluster.start(
                "proffer", words, environment: ["PROFFER_CONTEXT": cluster.data("context.json")],
                log: "proffer-\(UUID().uuidString.prefix(8))")
            try await program.exitCode()
            bodies.append(program.output)
        }
        return bodies
    }

    private func withSecrets(
        _ body: (ProcessCluster, Plant, _ arguments: [String]) async throws -> Void
    ) async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster(["--log-level", "trace"])
            try cluster.writeContext()
            let plant = try Plant(cluster)
            try await body(
                cluster, plant,
                ["--secrets-directory", plant.directory, "--log-level", "trace"])
        }
    }

    @Test("a planted secret reaches its task, and nothing that is kept, told or logged has it")
    func planted() async throws {
        try await withSecrets { cluster, plant, arguments in
            let agent = try await cluster.startAgent(0, arguments)
            let probe = try cluster.probe()
            let offer = try await probe.offer()
            probe.launch([plant.task("t", file: "keys/tls", on: offer)], on: offer)
            try await probe.update("t", .running)
            let framework = try await probe.subscribed()
            let sandbox = cluster.data("agent-0/work") + "/sandboxes/\(framework)/t"
            let expected = try plant.digests()
            try await eventually("the task's digests") {
                TextFile.read(sandbox + "/digests") == expected
            }
            let shown = try await answers(cluster, "t").filter { plant.isShown(in: $0) }
            #expect(shown.isEmpty)
            let copied = try await cluster.proffer("cp", "t:keys/tls", cluster.data("copied"))
            #expect(copied.code != 0)
            #expect(try plant.files(of: cluster).isEmpty)
            #expect(agent.output.contains("secrets are looked up"))
            // What the agent has written down is enough to find the task again, not its secrets.
            try await agent.crash()
            _ = try await cluster.startAgent(0, arguments)
            let link = try FileManager.default.destinationOfSymbolicLink(
                atPath: sandbox + "/keys/tls")
            #expect(TextFile.read(link) == plant.markers[1])
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            #expect(!FileManager.default.fileExists(atPath: link))
            #expect(try plant.files(of: cluster).isEmpty)
            await probe.stop(teardown: true)
        }
    }

    @Test("a task whose secret is not there, or may be read by others, fails and says why")
    func missing() async throws {
        try await withSecrets { cluster, plant, arguments in
            _ = try await cluster.startAgent(0, arguments)
            let probe = try cluster.probe()
            for (id, name, word) in [
                ("missing", "no-such", "No such file"), ("open", "password", "chmod 0600"),
                ("outside", "../password", "not a dot first"),
            ] {
                chmod("\(plant.directory)/*/password", 0o644)
                let offer = try await probe.offer("an offer for \(id)") { _ in true }
                var task = plant.task(TaskID(id), file: "key", on: offer)
                task.command?.environment[0].secret = .reference(SecretReference(name: name))
                probe.launch([task], on: offer)
                let end = try await probe.update(TaskID(id), .failed)
                #expect(end.message?.contains(word) == true, "\(end.message ?? "")")
                #expect(end.reason == .containerLaunchFailed)
            }
            await probe.stop(teardown: true)
        }
    }

    @Test("an agent without secrets says so, and so does one whose directory others can write to")
    func none() async throws {
        try await withSecrets { cluster, plant, arguments in
            chmod(plant.directory, 0o777)
            let refused = try cluster.start(
                "proffer-agent", try cluster.agentArguments(0) + arguments, log: "refused")
            #expect(try await refused.exitCode() == 78)
            #expect(refused.output.contains("--secrets-directory"))
            chmod(plant.directory, 0o700)
            _ = try await cluster.startAgent()
            let probe = try cluster.probe()
            let offer = try await probe.offer()
            probe.launch([plant.task("t", file: "key", on: offer)], on: offer)
            let end = try await probe.update("t", .failed)
            #expect(end.message?.contains("the agent has no secrets") == true)
            await probe.stop(teardown: true)
        }
    }

    @Test("a task that does not run in time has failed, and what was done for it is ended")
    func launchTimeout() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let silent = try SilentServer()
            _ = try await cluster.startAgent(
                0, ["--launch-timeout", "2s", "--fetch-networks", "127.0.0.0/8"])
            let probe = try cluster.probe()
            let offer = try await probe.offer()
            var task = TaskInfo("t", "true", on: offer)
            task.command?.uris = [FetchURI(value: "http://127.0.0.1:\(silent.port)/file")]
            probe.launch([task], on: offer)
            let end = try await probe.update("t", .failed)
            #expect(end.message?.contains("did not run within 2.0 seconds") == true)
            #expect(end.reason == .containerLaunchFailed)

            #expect(cluster.tasks().isEmpty)
            await probe.stop(teardown: true)
        }
    }
}

/// A server that takes connections and never says a word.
private struct SilentServer: ~Copyable {
    let port: Int
    private let descriptor: Int32

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptor = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, size) == 0 && listen(listener, 8) == 0
                    && getsockname(listener, address, &size) == 0
            }
        }
        guard bound else { throw NeverHappened(description: "no port") }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }
}
