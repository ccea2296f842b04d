import ClusterProbe
import Foundation
import Glibc
import Proffer
import ProfferRuntime
import Testing

/// Whether this machine lets an agent limit its tasks.
private let canLimit: Bool = {
    let unified = TextFile.read("/sys/fs/cgroup/cgroup.controllers") ?? ""
    return geteuid() == 0
        && ["cpu", "memory", "pids"].allSatisfy { name in
            access("/sys/fs/cgroup/\(name)", W_OK) == 0 || unified.contains(name)
        }
}()

/// Whether this process has `CAP_SYS_RESOURCE`.
private let canProtect: Bool = {
    let status = TextFile.read("/proc/self/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    let bits = line.flatMap { UInt64($0.split(separator: "\t").last ?? "", radix: 16) } ?? 0
    return bits & 1 << 24 != 0
}()

@Suite("An agent survives its tasks", .serialized, .timeLimit(.minutes(5)))
struct HostileTests {
    private struct Place {
        let root = "/proffer-hostile-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

        /// The cgroups of tasks.
        var groups: [String] {
            directories(root).flatMap { directory in
                let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
                return names.map { directory + "/" + $0 }.filter {
                    access($0 + "/cgroup.procs", F_OK) == 0
                }
            }
        }

        func directories(_ path: String) -> [String] {
            let base = "/sys/fs/cgroup"
            let trees = (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? []
            return (trees.map { "\(base)/\($0)\(path)" } + [base + path]).filter {
                access($0, F_OK) == 0
            }
        }

        func discard() {
            for directory in directories(root) + directories(root + ".agent") { rmdir(directory) }
        }
    }

    /// The text of a file of a process.
    private func proc(_ pid: Int, _ file: String) -> String {
        (TextFile.read("/proc/\(pid)/\(file)") ?? "").filter { $0 != "\0" }
    }

    @Test(
        """
        bombs, hogs and floods leave the agent within a fifteenth of its time to answer, their \
        neighbour running, and nothing behind
        """,
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func together() async throws {
        let place = Place()
        defer { place.discard() }
        try await withProcesses { cluster in
            // An agent has 75 seconds to answer unless told otherwise; here it has five.
            let master = try await cluster.startMaster([
                "--ping-interval", "1s", "--pings-missed", "5",
            ])
            _ = try await cluster.startAgent(
                0,
                [
                    "--isolation", "cgroup", "--cgroup-root", place.root, "--task-processes", "60",
                    "--task-output", "1", "--usage-interval", "100ms", "--resources",
                    "cpus:4;mem:1024;disk:1024",
                ])
            let probe = try cluster.probe()
            try await probe.run("neighbour", "exec sleep 600")
            let cores = ProcessInfo.processInfo.activeProcessorCount
            let commands: [(TaskID, String)] =
                [
                    ("bomb", "(f() { f & f & sleep 1000; }; f) 2>/dev/null & exec sleep 1000"),
                    ("memory", "exec tail /dev/zero"),
                    ("cache", "head -c 100000000 /dev/zero >big; rm big; exec sleep 600"),
                    ("flood", "exec yes 'all work and no play'"),
                    ("stubborn", "trap '' TERM; setsid sleep 600 & while :; do sleep 600; done"),
                ] + (0..<cores + 1).map { (TaskID("cpu-\($0)"), "while :; do :; done") }
            for (id, command) in commands { try await launch(id, command, on: probe) }
            let memory = try await probe.update("memory", .failed)
            #expect(memory.reason == .containerLimitationMemory)
            let http = try cluster.master.http
            try await eventually("a bomb of many processes") {
                let body = try await get(http + "/v1/usage").body
                let counts = body.components(separatedBy: #""processes":"#).dropFirst().map {
                    Int($0.prefix { $0.isNumber }) ?? 0
                }
                return (counts.max() ?? 0) > 30
            }
            try await eventually("a flood that was led off") {
                let path = cluster.directory.path
                return FileManager.default.enumerator(atPath: path)?.contains {
                    ($0 as? String)?.hasSuffix("flood/stdout.1") == true
                } == true
            }
            for (id, _) in commands where id != "memory" {
                probe.call(
                    .kill(id, agent: nil, policy: KillPolicy(gracePeriod: .milliseconds(100))))
            }
            for (id, _) in commands where id != "memory" { try await probe.update(id, .killed) }
            #expect(probe.history.states(of: "neighbour") == [.running])
            #expect(!master.output.contains("unreachable"), "\(master.output)")
            #expect(probe.history.failures.isEmpty)
            await probe.stop(teardown: true)
            try await eventually("no cgroups; left are \(place.groups)") { place.groups.isEmpty }
        }
    }

    private func launch(
        _ id: TaskID, _ command: String, on probe: Probe, disk: Int = 0
    ) async throws {
        let offer = try await probe.offer("an offer for \(id)") {
            $0.resources.cpus >= Milli(thousandths: 100)
        }
        var task = TaskInfo(id, command, on: offer)
        task.resources = Resources(
            cpus: Milli(thousandths: 100), mem: Milli(32), disk: Milli(disk))
        probe.launch([task], on: offer)
    }

    @Test(
        "the agent and its executors weigh more than all tasks, and die last for want of memory",
        .enabled(if: canLimit, "needs root and writable cgroups"))
    func weight() async throws {
        let place = Place()
        defer { place.discard() }
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent(
                0, ["--isolation", "cgroup", "--cgroup-root", place.root])
            let probe = try cluster.probe()
            let task = try #require(
                try await probe.run("t", "exec sleep 600").containerStatus?.pid)
            let executor = try #require(cluster.executors().first { $0 != task })
            let own = place.root + ".agent"
            // A root of a container may lack CAP_SYS_RESOURCE; then the agent says so.
            let mayProtect = !agent.output.contains("the kernel can take the agent's memory")
            #expect(mayProtect == canProtect)
            for pid in [agent.pid, executor] {
                #expect(proc(pid, "cgroup").contains(":\(own)\n"))
                #expect(proc(pid, "oom_score_adj").hasPrefix(mayProtect ? "-900\n" : "0\n"))
            }
            #expect(!proc(task, "cgroup").contains(own))
            #expect(proc(task, "oom_score_adj").hasPrefix("300"))
            let weights = place.directories(own).compactMap { directory in
                TextFile.read(directory + "/cpu.shares") ?? TextFile.read(directory + "/cpu.weight")
            }
            #expect(weights == ["10240\n"] || weights == ["1000\n"])
            await probe.stop(teardown: true)
            try await eventually("no executor") { cluster.executors().isEmpty }
            agent.signal(SIGTERM)
            #expect(try await agent.exitCode() == 0)
            #expect(place.directories(own).isEmpty)
        }
    }

    @Test(
        "a task of another user reaches neither its executor, nor the agent, nor their files",
        .enabled(if: geteuid() == 0, "needs root"))
    func reach() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent()
            let probe = try cluster.probe()
            let data = cluster.data("agent-0")
            let offer = try await probe.offer()
            var task = TaskInfo(
                "probe",
                """
                kill -9 $PPID 2>/dev/null && exit 11
                kill -9 \(agent.pid) 2>/dev/null && exit 12
                for name in agent.sock agent.sqlite agent.key; do
                    test -e "\(data)/$name" && exit 13
                done
                for file in /proc/self/fd/*; do
                    case "${file##*/}" in 0|1|2|3|10|255) ;; *) test -e "$file" && exit 14 ;; esac
                done
                env | grep -q TOKEN && exit 15
                cat /proc/$PPID/environ 2>/dev/null && exit 16
                exit 0
                """, on: offer)
            task.command?.user = "nobody"
            probe.launch([task], on: offer)
            let end = try await eventually("the end of the task") {
                probe.history.updates.first { $0.taskID == "probe" && $0.state.isTerminal }
            }
            #expect(end.exit?.code == 0, "\(end)")
            #expect(agent.isRunning)
            await probe.stop(teardown: true)
        }
    }

    // MARK: Disk

    @Test("a task that takes more of the disk than it has is killed, and told why")
    func diskLimit() async throws {
        try await withProcesses { cluster in
            _ = try await cluster.startMaster()
            _ = try await cluster.startAgent(
                0, ["--disk-limit", "true", "--disk-interval", "100ms"])
            let probe = try cluster.probe()
            try await launch(
                "small", "head -c 1000000 /dev/zero >f; exec sleep 600", on: probe, disk: 4)
            try await launch(
                "large", "head -c 8000000 /dev/zero >f; exec sleep 600", on: probe, disk: 4)
            let end = try await probe.update("large", .failed)
            #expect(end.reason == .containerLimitationDisk)
            #expect(end.message?.contains("of its sandbox, and has taken 4") == true)
            #expect(probe.history.states(of: "small") == [.running])
            await probe.stop(teardown: true)
        }
    }

    @Test(
        "an agent whose disk was filled lives on what it has reserved, and reserves it anew",
        .enabled(if: SmallDisk.isPossible, "only root can mount a small file system"))
    func reserve() async throws {
        try await withProcesses { cluster in
            let disk = try cluster.moveToSmallDisk("agent-0", kibibytes: 8192)
            _ = try await cluster.startMaster()
            let agent = try await cluster.startAgent(
                0, ["--reserved-disk", "2", "--disk-watch-interval", "100ms"])
            let reserve = cluster.data("agent-0") + "/reserve"
            func isReserved() -> Bool {
                var status = stat()
                return stat(reserve, &status) == 0 && status.st_blocks * 512 >= 2 << 20
            }
            try await eventually("a reserve") { isReserved() }
            let probe = try cluster.probe()
            try await probe.run("t", "exec sleep 600")
            try disk.fill()
            var number = 0
            try await eventually("a reserve that is given up") {
                number += 1
                if let offer = probe.openOffer() {
                    probe.launch([TaskInfo(TaskID("more-\(number)"), "true", on: offer)], on: offer)
                }
                return !isReserved()
            }
            #expect(agent.isRunning)
            try disk.resize(kibibytes: 32_768)
            try await eventually("a reserve again") { isReserved() }
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
            #expect(agent.isRunning)
            await probe.stop(teardown: true)
            await cluster.end()
            withExtendedLifetime(disk) {}
        }
    }
}
