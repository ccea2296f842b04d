import ClusterSupport
import Foundation
import Logging
import Proffer

/// Launches tasks that do nothing for a long time, and counts them.
struct SleepPolicy: FrameworkPolicy {
    typealias Command = Int

    enum Output: Sendable {
        case subscribed
        /// All run.
        case running
        /// One has ended, which none should.
        case ended(String)
    }

    private var wanted = 0
    private var launched = 0
    private var running = 0

    mutating func handle(
        _ happening: Happening<Int>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Output>>
    ) {
        switch happening {
        case .subscribed: actions.append(.output(.subscribed))
        case .command(let count):
            wanted = count
            actions.revive()
        case .offers(let offers): for offer in offers { take(offer, &actions) }
        case .update(let status):
            if status.state == .running {
                running += 1
                if running == wanted { actions.append(.output(.running)) }
            } else if status.state.isTerminal {
                actions.append(.output(.ended("\(status.state): \(status.message ?? "")")))
            }
        default: break
        }
    }

    private mutating func take(
        _ offer: Offer, _ actions: inout Outbox<FrameworkAction<Output>>
    ) {
        var budget = OfferBudget(offer)
        var tasks: [TaskInfo] = []
        while launched < wanted,
            let resources = budget.take(cpus: Milli(thousandths: 10), mem: Milli(8))
        {
            launched += 1
            tasks.append(
                TaskInfo(
                    name: "sleep", id: TaskID("sleep-\(launched)"), agentID: offer.agentID,
                    resources: resources,
                    command: CommandInfo(
                        value: "/bin/sleep", shell: false, arguments: ["sleep", "86400"])))
        }
        if tasks.isEmpty {
            actions.decline(offer, refuse: .seconds(3600))
        } else {
            actions.accept(offer, launching: tasks, refuse: .zero)
        }
    }
}

extension NodeBench {
    func measureRunning(_ figures: inout Figures) async throws {
        let isolation = Raw.cgroupGap == nil ? "cgroup" : "process"
        let cluster = try Cluster(
            binaries: binaries, agents: 1, resources: "cpus:8;mem:16384;disk:1024",
            isolation: isolation)
        defer { cluster.stop() }
        let (stream, continuation) = AsyncStream.makeStream(of: SleepPolicy.Output.self)
        var logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let runner = try FrameworkRunner(
            policy: SleepPolicy(), options: FrameworkOptions(info: FrameworkInfo(name: "sleep")),
            connection: cluster.connection, logger: logger,
            outputs: { for output in $0 { continuation.yield(output) } })
        try runner.start()
        var outputs = stream.makeAsyncIterator()
        _ = await outputs.next()
        runner.post(running)
        guard case .running? = await outputs.next() else {
            throw BenchProblem("\(running) tasks cannot run together here")
        }
        try await measureRest(cluster, isolation, &figures)
        for _ in 0..<max(1, runs) { try await measureRestart(cluster, &figures) }
        runner.stop(teardown: true)
        try await runner.finished()
        continuation.finish()
        var ended = 0
        while let output = await outputs.next() {
            if case .ended = output { ended += 1 }
        }
        figures.add("tasks that ended over the restarts", "tasks", Double(ended), bar: "0")
    }

    private func measureRest(
        _ cluster: Cluster, _ isolation: String, _ figures: inout Figures
    ) async throws {
        // What launching has left to do, such as the last acknowledgements, is none of rest.
        try await Task.sleep(for: .seconds(3))
        let before = cluster.processorTime
        let begin = Clock.now()
        try await Task.sleep(for: .seconds(idle))
        let used = cluster.processorTime - before
        let elapsed = Clock.now() - begin
        let title = "\(running) running tasks (\(isolation))"
        let percent = (used.agents + used.executors) / elapsed * 100
        figures.add(
            "\(title): agent and executors when idle", "% of a core", percent, bar: "<= 3")
        let rounds = elapsed / 5
        figures.add(
            "\(title): executor's time per round of 5 s", "ms", used.executors / rounds * 1000,
            bar: "<= 20")
        let agent =
            Double(
                cluster.agents.map { Cluster.residentBytes($0.processIdentifier) }
                    .reduce(0, +)) / 1e6
        let executors = Double(cluster.executors.map(Cluster.residentBytes).reduce(0, +)) / 1e6
        figures.add("\(title): memory of the agent", "MB", agent)
        figures.add("\(title): memory of its executors", "MB", executors)
        figures.add("\(title): memory together", "MB", agent + executors, bar: "<= 150")
    }

    /// Kills the agent; from its next start until its executor is back and it is at the master.
    private func measureRestart(_ cluster: Cluster, _ figures: inout Figures) async throws {
        let executor = cluster.executors.first ?? 0
        let before = Self.children(of: executor)
        try cluster.restartAgent(0)
        let begin = Clock.now()
        let needed = ["an executor is ready", "back at the master"]
        var text = ""
        while !needed.allSatisfy(text.contains) {
            if Clock.now() > begin + 30 { throw BenchProblem("no recovery in 30 s:\n\(text)") }
            // As exact as the figure needs to be, which is counted in hundredths of a second.
            try await Task.sleep(for: .milliseconds(1))
            text = (try? String(contentsOfFile: cluster.agentLog(0), encoding: .utf8)) ?? ""
        }
        let elapsed = Clock.now() - begin
        figures.add(
            "agent killed and started again: recovered with \(running) tasks", "s", elapsed,
            bar: "< 1")
        let after = Self.children(of: executor)
        figures.add(
            "tasks whose process is another or gone", "tasks",
            Double(before.subtracting(after).count), bar: "0")
    }

    /// The processes that an executor has started, each by its number and when it began.
    private static func children(of parent: Int32) -> Set<String> {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        var found: Set<String> = []
        for pid in entries.compactMap({ Int32($0) }) {
            let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            guard fields.count > 19, fields[1] == "\(parent)" else { continue }
            found.insert("\(pid) \(fields[19])")
        }
        return found
    }
}
