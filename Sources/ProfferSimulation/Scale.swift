internal import ProfferAgent
internal import ProfferFramework
internal import ProfferKernel
internal import ProfferModel

/// A large cluster at work, in which nothing goes wrong: the test of scale of the Mesos paper.
public struct ScaleConfiguration: Sendable {
    /// How many agents there are; each has room for two tasks.
    public var agents = 50_000
    /// How many frameworks share them; each launches one task on each agent that it is offered, and
    /// tasks run for 30 s with a standard deviation of 10 s.
    public var frameworks = 200
    /// How long the cluster fills before anything is measured.
    public var warmUp = Duration.seconds(30)
    /// So many frameworks with a single task of 10 s come one after the other then.
    public var probes = 5
    /// From one of them to the next.
    public var probeInterval = Duration.seconds(3)
    /// Where everything random comes from.
    public var seed: UInt64 = 1
    /// The processor time of the calling thread in nanoseconds.
    ///
    /// With it the master's turns take as long in virtual time as they take on this machine;
    /// without it they take none, and the same configuration gives the same run.
    public var stopwatch: (@Sendable () -> Int64)?
    package var keepsTranscript = false

    /// The sizes of the paper.
    public init() {}
}

/// What a large cluster came to.
public struct ScaleReport: Sendable {
    /// For each single task: from the start of its framework's process until the framework knew of
    /// its end, without the 10 s that it ran.
    public var probes: [Duration]
    /// For each task launched after the warm-up: from the acceptance of the offer until the
    /// framework knew of its end, without the time that it ran; the shortest first.
    public var tasks: [Duration]
    /// Tasks that did not finish for whatever reason.
    public var failures: Int
    /// The same by state and reason, such as `TASK_LOST REASON_INVALID_OFFERS`.
    public var failureReasons: [String: Int]
    /// Tasks that ran at the end.
    public var running: Int
    /// The processor time of the master's turns after the warm-up; zero without a stopwatch.
    public var masterBusy: Duration
    /// The virtual time after the warm-up.
    public var measured: Duration
    /// How many events there were.
    public var events: UInt64
    package var lines: [String] = []
}

extension Simulation {
    /// Runs a large cluster.
    ///
    /// Network, disks and processes are modelled as for small ones: half a millisecond from node to
    /// node, two for a write, 20 to 100 until an executor runs. Nothing is checked meanwhile.
    public static func run(_ scale: ScaleConfiguration) -> ScaleReport {
        var plan = Plan(seed: scale.seed)
        plan.agents = scale.agents
        plan.frameworks = scale.frameworks + scale.probes
        plan.usageInterval = .seconds(15)
        let world = World(
            plan: plan, workloads: [], bug: nil,
            transcript: Transcript(keepsLines: scale.keepsTranscript))
        defer { world.dismantle() }
        world.isWatched = scale.keepsTranscript
        world.arena.memory = 10 * Span.second
        world.stopwatch = scale.stopwatch
        let probes = world.build(scale)
        let start = scale.warmUp.inNanoseconds
        for (number, probe) in probes.enumerated() {
            world.after(start + Int64(number) * scale.probeInterval.inNanoseconds) {
                probe.begin()
            }
        }
        world.run(until: start)
        let busyBefore = world.busy
        // The last single task has ten seconds of its own, and a few for everything else.
        let end = start + Int64(scale.probes) * scale.probeInterval.inNanoseconds
        world.run(until: end + 14 * Span.second)
        return world.report(from: start, probes, busy: world.busy - busyBefore)
    }
}

extension World {
    /// Makes a large cluster and starts all of it but the frameworks with single tasks.
    fileprivate func build(_ scale: ScaleConfiguration) -> [FrameworkShell] {
        for index in 0..<plan.nodeCount {
            nodes.append(Node(self, index: index, name: "node\(index)"))
        }
        let still = SkewedClock(partsPerMillion: 0, origin: 0)
        let master = MasterProcess(self, "master0", node: 0, key: "km0", clock: still)
        masters.append(master)
        add(master)
        for index in 0..<plan.agents {
            let node = nodes[1 + index]
            let info = AgentInfo(
                hostname: node.name, resources: Resources(cpus: Milli(2), mem: Milli(1024)))
            let agent = AgentProcess(
                self, "agent\(index)", node: node, info: info, key: "ka\(index)", clock: still)
            agents.append(agent)
            add(agent)
        }
        for index in 0..<plan.frameworks {
            let isProbe = index >= scale.frameworks
            let framework = Self.framework(index, isProbe: isProbe)
            let process = framework.make(
                self, framework.name, 1 + plan.agents + index, "kf\(index)", still)
            process.behavior = framework.behavior
            frameworks.append(process)
            add(process)
        }
        for process in processes.dropLast(scale.probes) { process.begin() }
        return Array(frameworks.suffix(scale.probes))
    }

    private static func framework(_ index: Int, isProbe: Bool) -> SimulatedFramework {
        SimulatedFramework(
            name: "framework\(index)",
            behavior: { id, _ in ScaleWorkload.behavior(of: id) },
            start: { (_: [ScaleWorkload.Output], circumstances) in
                let policy = ScaleWorkload(
                    "f\(index)", probe: isProbe ? .seconds(10) : nil, seed: circumstances.seed,
                    at: circumstances.now)
                let options = FrameworkOptions(
                    info: FrameworkInfo(name: "framework\(index)", failoverTimeout: .seconds(60)))
                return SimulatedFramework.Start(policy: policy, options: options)
            })
    }

    fileprivate func report(
        from start: Int64, _ probes: [FrameworkShell], busy: Int64
    ) -> ScaleReport {
        func policy(_ shell: FrameworkShell) -> ScaleWorkload? {
            (shell as? FrameworkProcess<ScaleWorkload>)?.policy
        }
        let all = frameworks.compactMap(policy)
        let begin = Instant.zero + .nanoseconds(start)
        var spans: [Duration] = []
        for workload in all {
            for overhead in workload.overheads where overhead.launchedAt >= begin {
                spans.append(overhead.span)
            }
        }
        var failures = 0
        var reasons: [String: Int] = [:]
        for workload in all {
            for (reason, count) in workload.failures {
                failures += count
                reasons[reason, default: 0] += count
            }
        }
        return ScaleReport(
            probes: probes.compactMap { policy($0)?.probeOverhead }, tasks: spans.sorted(),
            failures: failures, failureReasons: reasons,
            running: nodes.reduce(0) { $0 + $1.tasks.count }, masterBusy: .nanoseconds(busy),
            measured: .nanoseconds(now - start), events: eventCount,
            lines: transcript.lines)
    }
}
