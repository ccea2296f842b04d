import ClusterProbe
import Foundation
import ProcessProbe
import Proffer
import ProfferFailpoints
import ProfferRuntime
import ProfferZeroMQ
import Testing

/// One cluster in which one task runs while somebody is killed.
final class CrashBench {
    let cluster: ProcessCluster
    private let runs: String
    private let gate: String
    let journal: String
    private let keyFile: String
    private let marks: String
    private var frameworkStarts = 0
    /// The cgroups of tasks.
    var groups = TaskGroups(isLimited: true)
    /// Reads a page of a daemon's HTTP server.
    var fetch: (String) async throws -> String = { try await get($0).body }

    /// Prepares the cluster; nothing runs yet.
    init() throws {
        cluster = try ProcessCluster()
        let directory = cluster.directory
        runs = directory.file("runs")
        gate = directory.file("gate")
        journal = directory.file("journal")
        keyFile = directory.file("framework.key")
        marks = directory.file("marks")
        guard mkfifo(gate, 0o600) == 0 else {
            throw NeverHappened(description: "no fifo: \(errno)")
        }
        try FileManager.default.createDirectory(
            atPath: marks, withIntermediateDirectories: false)
        try TextFile.write("", to: runs)
        try cluster.frameworkKeys.save(keyFile)
    }

    // MARK: Programs

    /// What a program that is to be killed at a point finds in its environment.
    func armed(_ point: Failpoint, _ number: Int = 1, action: String = "kill") -> [String: String] {
        [
            "PROFFER_FAILPOINTS": "\(point.rawValue)=\(action)@\(number)",
            "PROFFER_FAILPOINTS_DIRECTORY": marks,
        ]
    }

    /// Whether a point was reached.
    func isReached(_ point: Failpoint) -> Bool {
        FileManager.default.fileExists(atPath: marks + "/" + point.rawValue)
    }

    /// Starts the agent, whose executors do not stay for long without tasks.
    func startAgent(
        through way: String? = nil, environment: [String: String] = [:]
    ) async throws -> Program {
        try await cluster.startAgent(
            0, agentSettings + (way.map { ["--master", $0] } ?? []), environment: environment)
    }

    /// What agents are told beyond what every cluster's are.
    var agentSettings: [String] { ["--executor-idle-timeout", "1s"] + groups.arguments }

    /// Starts the framework; its task writes down that it runs and waits for the gate.
    func startFramework(
        tasks: Int = 1, command: String? = nil, cpus: Int = 100, environment: [String: String] = [:]
    ) throws -> Program {
        let master = try cluster.master
        let own = [
            "CRASH_JOURNAL": journal,
            "CRASH_COMMAND": command ?? "echo $$ >> \(runs); read line < \(gate); exit 0",
            "CRASH_TASKS": "\(tasks)", "CRASH_CPUS": "\(cpus)",
            "PROFFER_MASTER": try master.frameworks.orThrow("no address"),
            "PROFFER_MASTER_KEY": try master.publicKey.orThrow("no key"),
            "PROFFER_KEY_FILE": keyFile,
        ]
        frameworkStarts += 1
        return try cluster.start(
            "crash-framework", [], environment: own.merging(environment) { $1 }, log: "framework")
    }

    /// Asks the framework to end, with all that belongs to it, and waits for that.
    func end(_ framework: Program) async throws {
        try await eventually("the framework to take signals") {
            entries().count { $0 == ["started"] } == frameworkStarts || !framework.isRunning
        }
        framework.signal(SIGTERM)
        #expect(try await framework.exitCode() == 0, "\(framework.output)")
    }

    // MARK: What happened

    /// The lines of the framework's file, each in words.
    func entries() -> [[String]] {
        (TextFile.read(journal) ?? "").split(separator: "\n").map {
            $0.split(separator: " ").map(String.init)
        }
    }

    /// The states of a task that the framework has kept, in order.
    func states(of task: String = "t-0") -> [String] {
        entries().filter { $0.count == 4 && $0[0] == "update" && $0[1] == task }.map { $0[3] }
    }

    /// How the task has ended; `nil` while it may run.
    func end() -> String? {
        states().last { !["TASK_RUNNING", "TASK_STARTING", "TASK_DROPPED"].contains($0) }
    }

    /// The processes that have run the task's command.
    func starts() -> [Int] {
        (TextFile.read(runs) ?? "").split(separator: "\n").compactMap { Int($0) }
    }

    /// Lets the task end if it waits for that.
    func openGate() {
        let file = open(gate, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        if file >= 0 { close(file) }
    }

    /// What tells a process from a later one with its pid.
    func birth(_ pid: Int) -> String? {
        guard let stat = TextFile.read("/proc/\(pid)/stat"), let name = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[name...].split(separator: " ")
        return fields.count > 20 ? String(fields[20]) : nil
    }

    /// Waits until nothing is held on any agent and the one agent is all that is known; with
    /// `mayBegin` agents it was before it had kept its id may still be expected back.
    func wholeAgain(mayBegin: Bool = false) async throws {
        try await eventually("all resources to be free") {
            let body = try await fetch("\(cluster.master.http)/v1/agents")
            let list = try JSONDecoder().decode(Agents.self, from: Data(body.utf8))
            return list.items.count { $0.state == "active" } == 1
                && (mayBegin || list.items.count == 1) && list.items.allSatisfy(\.isFree)
        }
    }

    private struct Agents: Decodable {
        var items: [Item]

        struct Item: Decodable {
            var state: String
            var allocated: [String: String]
            var offered: [String: String]
            var tasks: Int

            var isFree: Bool {
                tasks == 0
                    && (Array(allocated.values) + offered.values).allSatisfy {
                        $0 == "0" || $0.isEmpty
                    }
            }
        }
    }
}

/// The cgroups of one cluster's tasks, where this machine lets tests make any.
struct TaskGroups {
    private let root: String?

    init(isLimited: Bool) {
        let unified = TextFile.read("/sys/fs/cgroup/cgroup.controllers") ?? ""
        let isPossible =
            geteuid() == 0
            && ["cpu", "memory", "pids"].allSatisfy { name in
                access("/sys/fs/cgroup/\(name)", W_OK) == 0 || unified.contains(name)
            }
        root =
            isLimited && isPossible
            ? "/proffer-crash-\(getpid())-\(UInt32.random(in: 0...UInt32.max))" : nil
    }

    /// What an agent is told.
    var arguments: [String] {
        root.map { ["--isolation", "cgroup", "--cgroup-root", $0] } ?? ["--isolation", "process"]
    }

    private var directories: [String] {
        guard let root else { return [] }
        let base = "/sys/fs/cgroup"
        let trees = (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? []
        return (trees.map { "\(base)/\($0)\(root)" } + [base + root]).filter {
            access($0 + "/cgroup.procs", F_OK) == 0
        }
    }

    /// Those that tasks have.
    var all: [String] {
        directories.flatMap { directory in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
            return names.map { directory + "/" + $0 }.filter {
                access($0 + "/cgroup.procs", F_OK) == 0
            }
        }
    }

    /// Removes the root, and what killed agents have left in it once its processes are gone.
    func discard() async {
        _ = try? await eventually("the cgroups to be empty", within: .seconds(10)) {
            for directory in all + directories { rmdir(directory) }
            return directories.isEmpty
        }
    }
}

/// Lets only so many clusters live at the same time.
actor CrashSlots {
    static let shared = CrashSlots(6)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func take() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func give() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}

/// Runs `body` with a cluster of its own, which is ended afterwards whatever happens.
func withBench(_ body: (CrashBench) async throws -> Void) async throws {
    await CrashSlots.shared.take()
    do {
        let bench = try CrashBench()
        do {
            try await body(bench)
            await bench.cluster.end()
            await bench.groups.discard()
        } catch {
            await bench.cluster.end()
            await bench.groups.discard()
            throw error
        }
        await CrashSlots.shared.give()
    } catch {
        await CrashSlots.shared.give()
        throw error
    }
}
