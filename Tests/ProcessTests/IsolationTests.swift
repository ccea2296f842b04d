import ClusterProbe
import Foundation
import Glibc
import Proffer
import ProfferRuntime
import Testing

/// Whether this machine lets an agent limit its tasks: root, and the controllers in trees that
/// can be written to.
private let canLimit: Bool = {
    let names = ["cpu", "memory", "pids"]
    let unified = TextFile.read("/sys/fs/cgroup/cgroup.controllers") ?? ""
    return geteuid() == 0
        && names.allSatisfy { name in
            access("/sys/fs/cgroup/\(name)", W_OK) == 0 || unified.contains(name)
        }
}()

@Suite(
    "Processes with isolated tasks", .serialized, .timeLimit(.minutes(5)),
    .enabled(if: canLimit, "needs root and writable cgroups"))
struct IsolationTests {
    /// A root for the cgroups of one test.
    private struct Root {
        let path = "/proffer-cluster-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

        /// The directories of the root in all trees.
        private var directories: [String] {
            let base = "/sys/fs/cgroup"
            let trees = (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? []
            return (trees.map { "\(base)/\($0)\(path)" } + [base + path]).filter {
                access($0, F_OK) == 0
            }
        }

        /// The cgroups of tasks.
        var groups: [String] {
            directories.flatMap { directory in
                let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
                return names.map { directory + "/" + $0 }.filter {
                    access($0 + "/cgroup.procs", F_OK) == 0
                }
            }
        }

        func discard() { for directory in directories { rmdir(directory) } }

        /// Removes the empty directories of bundles of an agent that has ended.
        static func discardBundles(_ cluster: ProcessCluster) async throws {
            var digest: UInt64 = 0xCBF2_9CE4_8422_2325
            for byte in (cluster.data("agent-0") + "/work").utf8 {
                digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3
            }
            let name = "/proffer/" + String(digest, radix: 16)
            let path =
                ["/run", "/dev/shm"].map { $0 + name }.first { (path: String) in
                    access(path, F_OK) == 0
                } ?? name
            // What an executor has not undone at its end, its agent does.
            try await eventually("nothing to be left in \(path)") {
                rmdir(path + "/runtime")
                return rmdir(path) == 0
            }
        }
    }

    private func withAgent(
        _ body: (ProcessCluster, Program, Root, [String]) async throws -> Void
    ) async throws {
        let root = Root()
        defer { root.discard() }
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let arguments = ["--isolation", "cgroup", "--cgroup-root", root.path]
            let agent = try await cluster.startAgent(0, arguments)
            try await body(cluster, agent, root, arguments)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
        }
    }

    private func launch(_ id: TaskID, _ command: String, on probe: Probe) async throws {
        let offer = try await probe.offer("an offer for \(id)") { $0.resources.cpus >= Milli(1) }
        var task = TaskInfo(id, command, on: offer)
        task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(32))
        probe.launch([task], on: offer)
    }

    @Test("a framework hears that its task had no memory left, and finds agents that limit tasks")
    func outOfMemory() async throws {
        try await withAgent { cluster, _, _, _ in
            let probe = try cluster.probe()
            let offer = try await probe.offer("an offer") { _ in true }
            #expect(
                offer.attributes.contains(Attribute(name: "isolation", value: .text("cgroup"))))
            probe.call(.decline(offers: [offer.id], filters: Filters(refuse: .zero)))
            try await launch("hog", "exec tail /dev/zero", on: probe)
            let status = try await probe.update("hog", .failed)
            #expect(status.reason == .containerLimitationMemory)
            #expect(status.exit?.memoryLimitBytes == 32 << 20)
            #expect(status.exit?.isOutOfMemory == true)
            await probe.stop(teardown: true)
        }
    }

    @Test("nothing is left of the tasks of an executor that was killed")
    func executorCrash() async throws {
        try await withAgent { cluster, agent, root, _ in
            let probe = try cluster.probe()
            try await launch("t", "setsid env -i sleep 600 & exec sleep 600", on: probe)
            try await probe.update("t", .running)
            #expect(!root.groups.isEmpty)
            for pid in cluster.executors() where !cluster.tasks().contains(pid) {
                ProcessTable.kill(pid)
            }
            try await probe.update("t", .failed)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            #expect(agent.isRunning)
            await probe.stop(teardown: true)
        }
    }

    @Test("what an agent and its executor leave when both are killed, the next start removes")
    func bothCrash() async throws {
        try await withAgent { cluster, agent, root, arguments in
            let probe = try cluster.probe()
            try await launch("t", "setsid env -i sleep 600 & exec sleep 600", on: probe)
            try await probe.update("t", .running)
            try await agent.crash()
            for pid in cluster.executors() where !cluster.tasks().contains(pid) {
                ProcessTable.kill(pid)
            }
            #expect(!root.groups.isEmpty)
            _ = try await cluster.startAgent(0, arguments)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            await probe.stop(teardown: true)
        }
    }

    @Test("a task in a cgroup survives kill -9 of its agent, and is limited and killed as before")
    func agentCrash() async throws {
        try await withAgent { cluster, agent, root, arguments in
            let probe = try cluster.probe()
            try await launch("t", "exec sleep 600", on: probe)
            let pid = try #require(
                try await probe.update("t", .running).containerStatus?.pid)
            let groups = root.groups
            try await agent.crash()
            _ = try await cluster.startAgent(0, arguments)
            try await activeAgents(1, cluster)
            #expect(ProcessTable.isAlive(pid))
            #expect(root.groups.sorted() == groups.sorted())
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            #expect(!ProcessTable.isAlive(pid))
            await probe.stop(teardown: true)
        }
    }

    // MARK: Containers

    private static let busybox = ["/bin/busybox", "/usr/bin/busybox"].first { (path: String) in
        access(path, X_OK) == 0
    }
    private static let canContain =
        canLimit && busybox != nil
        && ["/usr/sbin/runc", "/usr/bin/runc", "/usr/bin/crun"].contains { (path: String) in
            access(path, X_OK) == 0
        }

    /// A root file system of one static program.
    private func makeImage(_ directory: TemporaryDirectory) throws -> String {
        let root = directory.file("image")
        let files = FileManager.default
        for name in ["bin", "proc", "dev", "sys", "run", "mnt", "tmp"] {
            try files.createDirectory(
                atPath: root + "/" + name, withIntermediateDirectories: true)
        }
        try files.setAttributes([.posixPermissions: 0o1777], ofItemAtPath: root + "/tmp")
        try files.copyItem(
            atPath: try Self.busybox.orThrow("no busybox"), toPath: root + "/bin/busybox")
        for name in ["sh", "sleep", "cat", "tail", "sha256sum", "mv"] {
            try files.createSymbolicLink(
                atPath: root + "/bin/" + name, withDestinationPath: "busybox")
        }
        return root
    }

    /// A master, and an agent that runs tasks in containers and may use an image.
    private func withImage(
        _ further: (ProcessCluster) throws -> [String] = { _ in [] },
        _ body: (ProcessCluster, Root, _ image: String) async throws -> Void
    ) async throws {
        let root = Root()
        defer { root.discard() }
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let image = try makeImage(cluster.directory)
            _ = try await cluster.startAgent(
                0, Self.contained(root, image) + further(cluster))
            try await body(cluster, root, image)
        }
    }

    private static func contained(_ root: Root, _ image: String) -> [String] {
        ["--isolation", "oci", "--cgroup-root", root.path, "--allowed-host-paths", image]
    }

    @Test(
        "a task in a container ends as it would outside, and leaves nothing",
        .enabled(if: canContain, "needs root, cgroups, busybox-static and runc or crun"))
    func container() async throws {
        try await withImage { cluster, root, image in
            let probe = try cluster.probe()
            func launch(_ id: TaskID, _ command: String) async throws {
                let offer = try await probe.offer("an offer for \(id)") {
                    $0.resources.cpus >= Milli(1)
                }
                var task = TaskInfo(id, command, on: offer)
                task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(48))
                task.container = ContainerInfo(image: image, network: .none)
                probe.launch([task], on: offer)
            }
            try await launch("code", "echo why >&2; exit 7")
            let failed = try await probe.update("code", .failed)
            #expect(failed.exit?.code == 7)
            #expect(failed.message?.hasSuffix("why") == true)
            try await launch("hog", "exec tail /dev/zero")
            let hungry = try await probe.update("hog", .failed)
            #expect(hungry.reason == .containerLimitationMemory)
            #expect(hungry.exit?.signal == 9)
            try await launch("long", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
            try await probe.update("long", .running)
            probe.call(.kill("long", agent: nil, policy: nil))
            #expect(try await probe.update("long", .killed).exit?.code == 3)
            try await launch("missing", "exec nothing")
            #expect(try await probe.update("missing", .failed).exit?.code == 127)
            await probe.stop(teardown: true)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            let mounts = TextFile.read("/proc/self/mountinfo") ?? ""
            #expect(!mounts.contains(cluster.directory.path))
            try await Root.discardBundles(cluster)
        }
    }

    @Test(
        "checks of a task in a container are made in it",
        .enabled(if: canContain, "needs root, cgroups, busybox-static and runc or crun"))
    func containedChecks() async throws {
        try await withImage { cluster, root, image in
            let probe = try cluster.probe()
            let offer = try await probe.offer("an offer") { $0.resources.cpus >= Milli(1) }
            var task = TaskInfo(
                "serves",
                "echo hello >/tmp/index.html; exec busybox httpd -f -p 127.0.0.1:8080 -h /tmp",
                on: offer)
            task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(48))
            task.container = ContainerInfo(image: image, network: .none)
            task.healthCheck = HealthCheck(
                kind: .http(scheme: "http", port: 8080, path: "/index.html"), delay: .zero,
                interval: .milliseconds(100), gracePeriod: .seconds(60))
            task.check = CheckInfo(
                kind: .command(
                    CommandInfo(value: "busybox grep -q hello /tmp/index.html && exit 42")),
                delay: .zero, interval: .milliseconds(100))
            probe.launch([task], on: offer)
            try await probe.update("serves", .running) {
                $0.healthy == true && $0.checkResult == .command(exitCode: 42)
            }
            let shown = try await get("\(cluster.master.http)/v1/tasks").body
            #expect(shown.contains("\"exit_code\":42"), "\(shown)")
            probe.call(.kill("serves", agent: nil, policy: nil))
            try await probe.update("serves", .killed)
            await probe.stop(teardown: true)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            try await Root.discardBundles(cluster)
        }
    }

    @Test(
        "the tasks of a group share a network and a directory, which go with the last of them",
        .enabled(if: canContain, "needs root, cgroups, busybox-static and runc or crun"))
    func group() async throws {
        try await withImage { cluster, root, image in
            let probe = try cluster.probe()
            let offer = try await probe.offer("an offer") { $0.resources.cpus >= Milli(1) }
            let tasks = ["a", "b"].map { name in
                let other = name == "a" ? "b" : "a"
                var task = TaskInfo(
                    TaskID(name),
                    """
                    busybox readlink /proc/self/ns/net >/tmp/own
                    busybox cp /tmp/own /mnt/mesos/sandbox/both/\(name).new
                    busybox mv /mnt/mesos/sandbox/both/\(name).new /mnt/mesos/sandbox/both/\(name)
                    while [ ! -e /mnt/mesos/sandbox/both/\(other) ]; do sleep 0.05; done
                    busybox cmp /tmp/own /mnt/mesos/sandbox/both/\(other)
                    """, on: offer)
                task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(48))
                task.container = ContainerInfo(
                    image: image,
                    volumes: [
                        Volume(
                            containerPath: "both", sandboxPath: .init("both", isShared: true))
                    ], network: .none)
                return task
            }
            let executor = ExecutorInfo(id: "pod", kind: .default)
            probe.call(
                .accept(
                    offers: [offer.id],
                    operations: [Operation(action: .launchGroup(executor: executor, tasks: tasks))],
                    filters: Filters(refuse: .zero)))
            #expect(try await probe.update("a", .finished).exit?.code == 0)
            #expect(try await probe.update("b", .finished).exit?.code == 0)
            await probe.stop(teardown: true)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            try await Root.discardBundles(cluster)
        }
    }

    @Test(
        "a planted secret reaches a task in a container, and nothing else",
        .enabled(if: canContain, "needs root, cgroups, busybox-static and runc or crun"))
    func containedSecrets() async throws {
        var plant: SecretTests.Plant?
        try await withImage { cluster in
            let made = try SecretTests.Plant(cluster)
            plant = made
            return ["--secrets-directory", made.directory, "--log-level", "trace"]
        } _: { cluster, root, image in
            let plant = try plant.orThrow("no secrets")
            let probe = try cluster.probe()
            let framework = try await probe.subscribed()
            for (id, file, user) in [
                ("root", "keys/tls", nil), ("nobody", "/run/secrets/tls", "nobody"),
            ] {
                let offer = try await probe.offer("an offer for \(id)") { _ in true }
                var task = plant.task(TaskID(id), file: file, on: offer)
                task.container?.image = image
                task.container?.network = .none
                task.command?.user = user
                probe.launch([task], on: offer)
                try await probe.update(TaskID(id), .running)
                let sandbox = cluster.data("agent-0/work") + "/sandboxes/\(framework)/\(id)"
                let expected = try plant.digests()
                try await eventually("the digests of \(id)") {
                    TextFile.read(sandbox + "/digests") == expected
                }
                #expect(try plant.files(of: cluster).isEmpty)
                probe.call(.kill(TaskID(id), agent: nil, policy: KillPolicy(gracePeriod: .zero)))
                try await probe.update(TaskID(id), .killed)
            }
            await probe.stop(teardown: true)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            #expect(try plant.files(of: cluster).isEmpty)
            try await Root.discardBundles(cluster)
        }
    }

    @Test(
        "a fetched file belongs to the user that a task in a container has",
        .enabled(
            if: canContain && access("/usr/bin/bsdtar", X_OK) == 0,
            "needs root, cgroups, busybox-static, libarchive-tools and runc or crun"))
    func containedFetch() async throws {
        try await withImage { cluster in
            try FileManager.default.createDirectory(
                atPath: cluster.data("files"), withIntermediateDirectories: true)
            try TextFile.write("fetched", to: cluster.data("files") + "/file")
            return ["--fetch-roots", cluster.data("files")]
        } _: { cluster, root, image in
            let probe = try cluster.probe()
            let offer = try await probe.offer()
            var task = TaskInfo(
                "t", "[ $(busybox stat -c %u file) = 0 ] && echo more >>file", on: offer)
            task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(48))
            task.container = ContainerInfo(image: image, network: .none)
            task.command?.uris = [FetchURI(value: "file://\(cluster.data("files"))/file")]
            probe.launch([task], on: offer)
            #expect(try await probe.update("t", .finished).exit?.code == 0)
            await probe.stop(teardown: true)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            try await Root.discardBundles(cluster)
        }
    }

    private static let canNetwork =
        canContain
        && [
            "/usr/lib/cni/portmap", "/usr/lib/cni/bridge", "/usr/bin/nsenter", "/usr/sbin/iptables",
        ]
        .allSatisfy { (path: String) in access(path, X_OK) == 0 }

    /// Describes a network whose node is a network namespace of its own: what is left of it is
    /// seen there, and gone with it.
    private func makeNetwork(_ cluster: ProcessCluster, _ node: String) throws -> [String] {
        let top = cluster.data("cni")
        let description = """
            {"cniVersion": "0.4.0", "name": "mapped", "plugins": [{
            "type": "bridge", "bridge": "pfrcrash0", "isGateway": true, "ipam": {
            "type": "host-local", "dataDir": "\(top)/leases",
            "ranges": [[{"subnet": "10.213.80.0/24"}]]}},
            {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
            """
        for name in ["networks", "plugins"] {
            try FileManager.default.createDirectory(
                atPath: "\(top)/\(name)", withIntermediateDirectories: true)
        }
        try TextFile.write(description, to: top + "/networks/10.conflist")
        for name in ["loopback", "bridge", "host-local", "portmap"] {
            let path = "\(top)/plugins/\(name)"
            try TextFile.write(
                "#!/bin/sh\nexec nsenter --net=/run/netns/\(node) /usr/lib/cni/\(name)\n", to: path)
            chmod(path, 0o755)
        }
        return [
            "--network-config-dir", top + "/networks", "--network-plugin-dir", top + "/plugins",
        ]
    }

    /// Runs `ip` to its end.
    private static func ip(_ words: String...) -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ip"] + words
        guard (try? process.run()) != nil else { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }

    private func shell(_ command: String, _ cluster: ProcessCluster) async throws -> String {
        let program = try cluster.start(
            "/bin/sh", ["-c", command],
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
            log: "shell-\(UUID().uuidString.prefix(8))")
        try await program.exitCode()
        return program.output
    }

    @Test(
        "links and rules of a container are removed after a crash of its agent and executor",
        .enabled(if: canNetwork, "needs iptables, nsenter and containernetworking-plugins too"))
    func networkCrash() async throws {
        let root = Root()
        defer { root.discard() }
        let node = "proffer-\(getpid())"
        #expect(Self.ip("netns", "add", node) == 0)
        defer { #expect(Self.ip("netns", "del", node) == 0) }
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let image = try makeImage(cluster.directory)
            let arguments = try Self.contained(root, image) + makeNetwork(cluster, node)
            let agent = try await cluster.startAgent(0, arguments)
            let probe = try cluster.probe()
            let offer = try await probe.offer()
            var task = TaskInfo("t", "exec sleep 600", on: offer)
            task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(48))
            task.container = ContainerInfo(
                image: image, network: .named("mapped"),
                portMappings: [PortMapping(hostPort: 31_050, containerPort: 80)])
            probe.launch([task], on: offer)
            let status = try await probe.update("t", .running)
            #expect(status.containerStatus?.addresses.first?.hasPrefix("10.213.80.") == true)
            let left = "iptables-save | grep -w 31050; ip -o link | grep veth; true"
            let look = "nsenter --net=/run/netns/\(node) /bin/sh -c '\(left)'"
            let before = try await shell(look, cluster)
            #expect(before.contains("31050") && before.contains("veth"), "\(before)")
            try await agent.crash()
            for pid in cluster.executors() { ProcessTable.kill(pid) }
            _ = try await cluster.startAgent(0, arguments)
            try await eventually("no rules and links") {
                try await shell(look, cluster).isEmpty
            }
            try await probe.update("t", .failed)
            await probe.stop(teardown: true)
            try await eventually("no cgroups; left are \(root.groups)") { root.groups.isEmpty }
            try await Root.discardBundles(cluster)
        }
    }

    private func activeAgents(_ count: Int, _ cluster: ProcessCluster) async throws {
        let http = try cluster.master.http
        try await eventually("\(count) active agents") {
            try await get(http + "/v1/agents").body.contains("\"active\"")
        }
    }
}
