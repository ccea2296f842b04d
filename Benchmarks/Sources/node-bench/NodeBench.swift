import ArgumentParser
import ClusterSupport
import Foundation
import Proffer

@main
struct NodeBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node-bench",
        abstract: "Measure what a node does for its tasks, beside what the kernel takes for it.",
        discussion: """
            Every figure is the median of the runs. Containers and cgroups need root; without them \
            their figures are left out, which is said.
            """)

    @Option(help: "The directory of the release binaries of the package.")
    var binaries = ".build/release"

    @Option(help: "How many runs.")
    var runs = 3

    @Option(help: "Tasks per run for the rates.")
    var tasks = 2000

    @Option(help: "Tasks that run together.")
    var running = 500

    @Option(help: "Seconds for which the node is left alone with them.")
    var idle = 20

    @Option(help: "One of process, cgroup, oci, running; all when left out.")
    var only: String?

    func run() async throws {
        var figures = Figures()
        for isolation in ["process", "cgroup"] where wants(isolation) {
            if isolation == "cgroup", let gap = Raw.cgroupGap {
                figures.leave("launches in cgroups", because: gap)
                continue
            }
            try await measureLaunches(isolation, &figures)
        }
        if wants("oci") {
            if let gap = Raw.containerGap {
                figures.leave("containers", because: gap)
            } else {
                try await measureContainers(&figures)
            }
        }
        if wants("running") { try await measureRunning(&figures) }
        print(figures.table, terminator: "")
    }

    private func wants(_ part: String) -> Bool { only == nil || only == part }

    // MARK: Launches

    private func measureLaunches(_ isolation: String, _ figures: inout Figures) async throws {
        let cluster = try Cluster(
            binaries: binaries, agents: 1, resources: "cpus:2;mem:8192;disk:1024",
            isolation: isolation)
        defer { cluster.stop() }
        let driver = try await Driver(cluster.connection)
        _ = try await driver.run(total: 100, atOnce: 20)
        for _ in 0..<max(1, runs) {
            let spawns = RawRates.spawns(threads: 1, seconds: 1)
            figures.add("raw posix_spawn and wait, 1 thread (\(isolation))", "per second", spawns)
            if isolation == "cgroup" {
                let groups = Raw.cgroups(seconds: 1)
                figures.add(
                    "raw cgroup in \(Raw.trees.count) trees, made and removed",
                    "per second", groups)
            }
            let before = cluster.processorTime
            let round = try await driver.run(total: tasks, atOnce: 100)
            let used = (cluster.processorTime - before) / Double(tasks)
            let rate = Double(round.tasks) / round.elapsed
            figures.add("launches, \(isolation)", "per second", rate)
            figures.add("launches, \(isolation), of raw", "ratio", rate / spawns, bar: ">= 0.5")
            figures.add("its processor time, \(isolation), in all", "ms", used.sum * 1000)
            figures.add("its processor time, \(isolation), task", "ms", used.tasks * 1000)
            figures.add("its processor time, \(isolation), executor", "ms", used.executors * 1000)
            figures.add("its processor time, \(isolation), agent", "ms", used.agents * 1000)
            figures.add(
                "tasks that did not finish, \(isolation)", "tasks", Double(round.failures),
                bar: "0")
        }
        try await driver.stop()
    }

    // MARK: Containers

    private func measureContainers(_ figures: inout Figures) async throws {
        let image = try Raw.Image()
        defer { image.remove() }
        let cluster = try Cluster(
            binaries: binaries, agents: 1, resources: "cpus:2;mem:8192;disk:1024",
            isolation: "oci", more: ["--allowed-host-paths", image.root])
        defer { cluster.stop() }
        let driver = try await Driver(cluster.connection)
        let container = ContainerInfo(image: image.root, network: .none)
        _ = try await driver.run(total: 3, atOnce: 1, in: container)
        // The same container for both: what the agent writes for it, read while one runs.
        let reader = Task { try await image.adopt(after: "sleep") }
        let sleep = CommandInfo(value: "/bin/sleep", shell: false, arguments: ["sleep", "2"])
        _ = try await driver.run(total: 1, atOnce: 1, in: container, sleep)
        try await reader.value
        for _ in 0..<max(1, runs) {
            let raw = try image.runs(20)
            let round = try await driver.run(total: 20, atOnce: 1, in: container)
            figures.add("raw \(image.runtimeName) run to its end", "ms", raw * 1000)
            let start = percentile(round.starts, 50)
            let end = percentile(round.ends, 50)
            figures.add("ACCEPT to TASK_RUNNING, oci", "ms", start * 1000)
            figures.add("ACCEPT to TASK_FINISHED, oci", "ms", end * 1000)
            figures.add("the latter beyond raw", "ms", (end - raw) * 1000, bar: "<= 20")
            figures.add(
                "tasks that did not finish, oci", "tasks", Double(round.failures), bar: "0")
        }
        try await driver.stop()
    }
}
