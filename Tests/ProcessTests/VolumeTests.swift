import ClusterProbe
import Foundation
import Glibc
import Proffer
import ProfferRuntime
import ProfferZeroMQ
import Testing

private let isRoot = geteuid() == 0

/// Volumes, executors of frameworks in cgroups and GPUs under a real master and agent.
@Suite("Processes with volumes and devices", .serialized, .timeLimit(.minutes(5)))
struct VolumeTests {
    private static let role = "db"
    private static let framework = FrameworkInfo(
        name: "stateful", roles: [role],
        capabilities: [
            .partitionAware, .taskKillingState, .multiRole, .reservationRefinement,
            .sharedResources, .gpuResources,
        ])

    private static var space: Resource {
        Resource("disk", .scalar(Milli(64)), reservations: [Reservation(role: role)])
    }

    private static func volume(isShared: Bool = false) -> Resource {
        var volume = space
        volume.disk = DiskInfo(persistenceID: "data", containerPath: "data")
        volume.isShared = isShared
        return volume
    }

    private static var plainSpace: Resource { Resource("disk", .scalar(Milli(64))) }

    /// Where an agent has its volumes.
    private func volumes(_ cluster: ProcessCluster, _ index: Int) -> String {
        [cluster.data("agent-\(index)"), "work", "volumes", "roles"].joined(separator: "/")
    }

    /// An offer with the volume, or without.
    private func offer(_ probe: Probe, hasVolume: Bool) async throws -> Offer {
        try await probe.offer("an offer with the volume: \(hasVolume)") { offer in
            // What a task has left of an offer may come apart from what it gives back.
            offer.resources.items.contains { $0.isPersistentVolume } == hasVolume
                && offer.resources.cpus >= Milli(thousandths: 100)
        }
    }

    private func task(
        _ id: TaskID, _ command: String, on offer: Offer, _ volume: Resource
    ) -> TaskInfo {
        var task = TaskInfo(id, command, on: offer)
        task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(32))
        task.resources += volume
        return task
    }

    private func makeVolume(
        _ probe: Probe, isShared: Bool = false, then tasks: (Offer) -> [TaskInfo]
    ) async throws {
        let offer = try await offer(probe, hasVolume: false)
        probe.call(
            .accept(
                offers: [offer.id],
                operations: [
                    Operation(action: .reserve(Resources([Self.space]))),
                    Operation(action: .create(Resources([Self.volume(isShared: isShared)]))),
                    Operation(action: .launch(tasks(offer))),
                ], filters: Filters(refuse: .zero)))
    }

    @Test("a volume outlives its tasks, agent and master, and DESTROY removes its data and no more")
    func life() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe(Self.framework)
            let outside = cluster.data("outside")
            try TextFile.write("precious", to: outside)
            try await makeVolume(probe) { offer in
                [
                    task(
                        "first", "echo kept >data/file; ln -s '\(outside)' data/link", on: offer,
                        Self.volume())
                ]
            }
            try await probe.update("first", .finished)
            let place = volumes(cluster, 0) + "/db/data"
            #expect(TextFile.read(place + "/file") == "kept\n")

            // The task returns to its data, over a crash of the agent.
            try await agent.crash()
            _ = try await cluster.startAgent()
            let again = try await offer(probe, hasVolume: true)
            probe.launch([task("second", "cat data/file", on: again, Self.volume())], on: again)
            let second = try await probe.update("second", .finished)
            #expect(second.state == .finished)

            let last = try await offer(probe, hasVolume: true)
            probe.call(
                .accept(
                    offers: [last.id],
                    operations: [Operation(action: .destroy(Resources([Self.volume()])))],
                    filters: Filters(refuse: .zero)))
            try await eventually("the data of the volume to be gone") {
                access(place, F_OK) != 0
            }
            try await eventually("nothing to be left of it") {
                let above = volumes(cluster, 0) + "/db"
                return try FileManager.default.contentsOfDirectory(atPath: above).isEmpty
            }
            #expect(TextFile.read(outside) == "precious")
            await probe.stop(teardown: true)
            let mounts = TextFile.read("/proc/self/mountinfo") ?? ""
            #expect(!mounts.contains(cluster.directory.path))
        }
    }

    @Test("several tasks have a shared volume at once, and one that is used is not destroyed")
    func shared() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent()
            let probe = try cluster.probe(Self.framework)
            let begin = "while [ ! -e data/a ]; do sleep 0.05; done"
            let wait = "; while [ ! -e data/go ]; do sleep 0.05; done"
            let volume = Self.volume(isShared: true)
            try await makeVolume(probe, isShared: true) { offer in
                [
                    task("a", "touch data/a" + wait, on: offer, volume),
                    task(
                        "b", begin + wait, on: offer, volume),
                ]
            }
            try await probe.update("a", .running)
            try await probe.update("b", .running)
            let used = try await offer(probe, hasVolume: true)
            var destroy = Operation(action: .destroy(Resources([volume])))
            destroy.id = "d1"
            probe.call(
                .accept(offers: [used.id], operations: [destroy], filters: Filters(refuse: .zero)))
            let next = try await offer(probe, hasVolume: true)
            probe.launch([task("c", "touch data/go", on: next, volume)], on: next)
            for id in ["a", "b", "c"] as [TaskID] { try await probe.update(id, .finished) }
            await probe.stop(teardown: true)
        }
    }

    @Test(
        "what agent and executor have mounted when both are killed, the next start unmounts",
        .enabled(if: isRoot, "needs root, to mount"))
    func crash() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe(Self.framework)
            try await makeVolume(probe) { offer in
                [task("t", "echo kept >data/file; exec sleep 600", on: offer, Self.volume())]
            }
            try await probe.update("t", .running)
            func isMounted() -> Bool {
                (TextFile.read("/proc/self/mountinfo") ?? "").contains(cluster.directory.path)
            }
            #expect(isMounted())
            try await agent.crash()
            for pid in cluster.executors() where !cluster.tasks().contains(pid) {
                ProcessTable.kill(pid)
            }
            _ = try await cluster.startAgent()
            try await eventually("nothing to be mounted") { !isMounted() }
            let place = volumes(cluster, 0) + "/db/data"
            #expect(TextFile.read(place + "/file") == "kept\n")
            await probe.stop(teardown: true)
        }
    }

    @Test("a framework that keeps its volume launches a task again where its data is")
    func returning() async throws {
        try await withProcesses(agents: 2) { cluster in
            _ = try await cluster.startMaster()
            let agents = [try await cluster.startAgent(0), try await cluster.startAgent(1)]
            let keyFile = cluster.directory.file("framework.key")
            try cluster.frameworkKeys.save(keyFile)
            let program = try cluster.start(
                "KeptState", [],
                environment: [
                    "PROFFER_MASTER": try cluster.master.frameworks.orThrow("no address"),
                    "PROFFER_MASTER_KEY": try cluster.master.publicKey.orThrow("no key"),
                    "PROFFER_KEY_FILE": keyFile, "KEPT_STATE_HOME": cluster.data("home"),
                    "KEPT_STATE_COMMAND": "echo once >>data/starts; exec sleep 0.2",
                ], log: "kept")
            func starts(_ index: Int) -> Int {
                let path = volumes(cluster, index) + "/kept-state/state/starts"
                let text = TextFile.read(path) ?? ""
                return text.split(separator: "\n").count
            }
            try await eventually("three starts; it wrote: \(program.output)") {
                starts(0) + starts(1) >= 3
            }
            #expect(min(starts(0), starts(1)) == 0)
            try await program.crash()
            // Agents that leave the cluster end their tasks, and undo what was made for them.
            for agent in agents {
                kill(Int32(agent.pid), SIGUSR1)
                #expect(try await agent.exitCode() == 0)
            }
        }
    }

    // MARK: Executors of frameworks

    private static let canLimit =
        isRoot
        && ["cpu", "memory", "pids"].allSatisfy { (name: String) in
            access("/sys/fs/cgroup/\(name)", W_OK) == 0
        }

    /// A number in a file of the cgroup of a custom executor.
    private func limit(_ file: String, _ root: String) -> Int? {
        let directory = "/sys/fs/cgroup/memory" + root
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        guard let name = names.first(where: { $0.hasSuffix(".0") }) else { return nil }
        let text = TextFile.read("\(directory)/\(name)/\(file)") ?? ""
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    @Test(
        "a custom executor has what it and its tasks have taken, and dies with its cgroup",
        .enabled(if: canLimit, "needs root and trees of cgroups of version 1"))
    func customExecutor() async throws {
        let root = "/proffer-custom-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        defer {
            for tree in (try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup"))
                ?? []
            {
                rmdir("/sys/fs/cgroup/\(tree)\(root)")
            }
        }
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let arguments = ["--isolation", "cgroup", "--cgroup-root", root]
            let agent = try await cluster.startAgent(0, arguments)
            let probe = try cluster.probe()
            let path = Program.folder.appendingPathComponent("scripted-executor").path
            let executor = ExecutorInfo(
                id: "scripted",
                command: CommandInfo(value: path, shell: false, arguments: [path]),
                resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(64)))
            func launch(_ id: TaskID, _ order: String) async throws {
                let offer = try await probe.offer { $0.resources.cpus >= Milli(1) }
                probe.launch(
                    [
                        TaskInfo(
                            name: id.value, id: id, agentID: offer.agentID,
                            resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(16)),
                            executor: executor, data: Array(order.utf8))
                    ], on: offer)
                try await probe.update(id, .running) { $0.message == "waiting" }
            }
            let gate = cluster.data("gate")
            let file = "memory.limit_in_bytes"
            try await launch("a", "wait \(gate)")
            #expect(limit(file, root) == 80 << 20)
            try await launch("b", "wait \(gate).never")
            #expect(limit(file, root) == 96 << 20)
            try TextFile.write("", to: gate)
            try await probe.update("a", .finished)
            try await eventually("the limit to shrink, not \(limit(file, root) ?? 0)") {
                limit(file, root) == 80 << 20
            }
            // A new agent knows of no limit, and sets it.
            try await agent.crash()
            _ = try await cluster.startAgent(0, arguments)
            try await eventually("the agent to be back") {
                try await get("\(cluster.master.http)/v1/agents").body
                    .contains(#""state":"active""#)
            }
            try await launch("c", "wait \(gate).never")
            #expect(limit(file, root) == 96 << 20)
            for pid in cluster.executors() { ProcessTable.kill(pid) }
            try await probe.update("b", .failed)
            try await eventually("the cgroup to be gone") { limit(file, root) == nil }
            await probe.stop(teardown: true)
        }
    }

    // MARK: GPUs

    @Test(
        "GPUs are found by the maker's tool and offered, and a task is told which it has",
        .enabled(
            if: isRoot && access("/dev/nvidia0", F_OK) != 0 && access("/dev", W_OK) == 0,
            "needs root, and a node without GPUs"))
    func gpus() async throws {
        try await withProcesses { cluster in
            let tools = cluster.data("tools")
            try FileManager.default.createDirectory(
                atPath: tools, withIntermediateDirectories: true)
            try TextFile.write(
                """
                #!/bin/sh
                echo 'GPU 0: Fake (UUID: GPU-0-a)'
                echo 'GPU 1: Fake (UUID: GPU-1-b)'

                """, to: tools + "/nvidia-smi")
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: tools + "/nvidia-smi")
            // As harmless as /dev/null and /dev/zero, which they are.
            for (name, minor) in [("nvidia0", 3), ("nvidia1", 5)] {
                #expect(mknod("/dev/" + name, S_IFCHR | 0o666, dev_t(1 << 8 | minor)) == 0)
            }
            defer { for name in ["nvidia0", "nvidia1"] { unlink("/dev/" + name) } }
            _ = try await cluster.startMaster()
            let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
            _ = try await cluster.startAgent(
                0, ["--resources", "cpus:2;mem:1024;disk:1024;gpus:2"],
                environment: ["PATH": "\(tools):\(path)"])
            let probe = try cluster.probe(Self.framework)
            let offer = try await probe.offer { $0.resources.scalar("gpus") == Milli(2) }
            let tasks = ["a", "b"].map { name in
                var task = TaskInfo(
                    TaskID(name), "echo $NVIDIA_VISIBLE_DEVICES; exit 7", on: offer)
                task.resources = Resources(cpus: Milli(thousandths: 100), mem: Milli(32))
                task.resources += Resource("gpus", .scalar(Milli(1)))
                task.command?.value = "echo $NVIDIA_VISIBLE_DEVICES >&2; exit 7"
                return task
            }
            probe.launch(tasks, on: offer)
            var seen: [String] = []
            for id in ["a", "b"] as [TaskID] {
                seen.append(try await probe.update(id, .failed).message ?? "")
            }
            #expect(seen.map { String($0.suffix(7)) }.sorted() == ["GPU-0-a", "GPU-1-b"])
            await probe.stop(teardown: true)
        }
    }
}
