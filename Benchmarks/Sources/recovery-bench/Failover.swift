import BenchSupport
@_spi(Driver) import ProfferKernel
import ProfferMaster
import ProfferModel
import ProfferWire

/// A master takes over, and every agent comes back with its tasks at once: the workloads of Mesos'
/// `AgentReregistrationDelay`, and a sweep over the number of agents.
///
/// Agents of Mesos also bring what has ended; ours do not keep it, so nothing stands for its
/// completed frameworks and tasks.
struct Failover {
    var agents: Int
    var frameworks: Int
    var tasks: Int
    /// Whether the registry knows the agents and frameworks, as it does in our failover; Mesos'
    /// benchmark begins with an empty one.
    var isKnown = true

    static func cells(quick: Bool) -> [Cell] {
        if quick {
            return [Failover(agents: 500, frameworks: 5, tasks: 2).cell("")]
        }
        return [
            Failover(agents: 2000, frameworks: 5, tasks: 10, isKnown: false).cell(""),
            Failover(agents: 2000, frameworks: 5, tasks: 20, isKnown: false).cell(""),
            Failover(agents: 20_000, frameworks: 1, tasks: 5, isKnown: false).cell(""),
            Failover(agents: 5000, frameworks: 5, tasks: 2).cell(""),
            Failover(agents: 10_000, frameworks: 5, tasks: 2).cell(""),
            Failover(agents: 20_000, frameworks: 5, tasks: 2).cell("<= 2 s"),
            Failover(agents: 40_000, frameworks: 5, tasks: 2).cell("<= 4 s"),
        ]
    }

    private func cell(_ bar: String) -> Cell {
        Cell(
            name: "failover of \(agents) agents with \(agents * frameworks * tasks) tasks"
                + (isKnown ? "" : ", unknown to the registry"),
            unit: "s", bar: bar, measure: measure)
    }

    private static let clock = WallClock(
        .zero, is: WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000))

    private func framework(_ number: Int) -> FrameworkInfo {
        FrameworkInfo(
            name: "framework\(number)", id: FrameworkID("framework\(number)"),
            failoverTimeout: .seconds(3600))
    }

    private func agent(_ number: Int) -> AgentInfo {
        AgentInfo(
            hostname: "node-\(number)", resources: Resources(cpus: Milli(20), mem: Milli(10_240)),
            id: AgentID("bench-S\(number)"))
    }

    private func message(_ number: Int) -> [UInt8] {
        let info = agent(number)
        let id = AgentID("bench-S\(number)")
        let labels = (0..<10).map { Label("key\($0)", "value\($0)") }
        var body = Reregistration(info: info)
        for index in 0..<frameworks {
            let framework = FrameworkID("framework\(index)")
            body.frameworks.append(self.framework(index))
            for place in 0..<tasks {
                let task = TaskID("task-\(number)-\(index)-\(place)")
                body.tasks.append(
                    AgentTask(
                        info: TaskInfo(
                            name: "task", id: task, agentID: id,
                            resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(5)),
                            labels: labels),
                        frameworkID: framework, role: "*", executorID: "proffer-executor",
                        state: .running, grouping: .single))
            }
            body.executors.append(
                AgentExecutor(
                    info: ExecutorInfo(
                        id: "proffer-executor", kind: .default, frameworkID: framework,
                        name: "Proffer executor"), frameworkID: framework, role: "*"))
        }
        return WireCodec.encode(.reregister(body, version: "0.1.0", bootID: "boot"))
    }

    /// Seconds from the start of the new master until the last agent has its answer.
    private func measure() -> Double {
        let messages = (0..<agents).map(message)
        var records: [MasterRecord] = []
        if isKnown {
            records = (0..<frameworks).map { number in
                .framework(
                    FrameworkID("framework\(number)"),
                    FrameworkEntry(info: framework(number), publicKey: nil))
            }
            records += (0..<agents).map {
                .agent(AgentID("bench-S\($0)"), AgentEntry(info: agent($0)))
            }
        }
        let begin = Usage.threadSeconds()
        var master = Master(
            configuration: MasterConfiguration(), replaying: records, wallClock: Self.clock,
            seed: 1, at: .zero)
        var answered = 0
        var now = Instant.zero
        for (number, bytes) in messages.enumerated() {
            now = now + .microseconds(10)
            let peer = PeerID(UInt64(number + 1))
            var outbox = Outbox<MasterEffect>()
            master.handle(.peerOpened(peer, publicKey: nil), at: now, into: &outbox)
            guard let message = try? WireCodec.decodeAgentToMaster(bytes) else { continue }
            master.handle(.agent(message, from: peer), at: now, into: &outbox)
            for effect in outbox.takeAll() { answered += Self.carryOut(effect) }
        }
        let seconds = Usage.threadSeconds() - begin
        precondition(answered == agents, "\(answered) of \(agents) agents were answered")
        Calibration.keep(master)
        return seconds
    }

    private static func carryOut(_ effect: MasterEffect) -> Int {
        switch effect {
        case .tellAgent(let message, _):
            Calibration.keep(WireCodec.encode(message))
            if case .reregistered = message { return 1 }
        case .tellFramework(let event, _): Calibration.keep(WireCodec.encode(event))
        case .commit(let records):
            for record in records { Calibration.keep(WireCodec.encode(record)) }
        case .closePeer, .answer, .observe: break
        }
        return 0
    }
}
