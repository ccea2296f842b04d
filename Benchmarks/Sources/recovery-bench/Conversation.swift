import BenchSupport
import ProfferFramework
@_spi(Driver) import ProfferKernel
import ProfferMaster
import ProfferModel
import ProfferWire

/// Takes note of updates and wants nothing.
struct CountingPolicy: FrameworkPolicy {
    var updates = 0

    mutating func handle(
        _ happening: Happening<Never>, at now: Instant,
        into actions: inout Outbox<FrameworkAction<Never>>
    ) {
        if case .update = happening { updates += 1 }
    }
}

/// A master, the driver of a framework, and agents that are played; what they say to each other
/// goes through the codec.
struct Conversation {
    var master: Master
    var driver: FrameworkDriver<CountingPolicy>
    var now = Instant.zero
    /// What agents are told, in bytes.
    var toAgents = 0
    var acknowledged = 0
    private var toDriver: [[UInt8]] = []
    private var batch: [TaskStatus] = []
    let agents: [AgentID]
    let framework: FrameworkID

    static let peer = PeerID(1)

    /// A subscribed framework and agents with so many running tasks each.
    init(agents count: Int, tasks: Int, known: [ReconcileTask] = []) {
        framework = "framework0"
        let info = FrameworkInfo(name: "f", id: framework, failoverTimeout: .seconds(3600))
        var options = FrameworkOptions(info: info)
        options.knownTasks = known
        driver = FrameworkDriver(policy: CountingPolicy(), options: options, seed: 1)
        master = Master(
            configuration: MasterConfiguration(),
            wallClock: WallClock(
                .zero, is: WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000)),
            seed: 1, at: .zero)
        agents = (0..<count).map { AgentID("bench-S\($0)") }
        drive(.opened(Self.peer))
        for (number, id) in agents.enumerated() { register(number, id, tasks: tasks) }
    }

    private mutating func register(_ number: Int, _ id: AgentID, tasks: Int) {
        var body = Reregistration(
            info: AgentInfo(
                hostname: "node-\(number)",
                resources: Resources(cpus: Milli(1000), mem: Milli(100_000)), id: id))
        body.frameworks = [FrameworkInfo(name: "f", id: framework)]
        for place in 0..<tasks {
            body.tasks.append(
                AgentTask(
                    info: TaskInfo(
                        name: "task", id: Self.task(number, place), agentID: id,
                        resources: Resources(cpus: Milli(thousandths: 100), mem: Milli(5))),
                    frameworkID: framework, role: "*", executorID: "proffer-executor",
                    state: .running, grouping: .single))
        }
        give(.agent(.reregister(body, version: "1", bootID: "b"), from: Self.peer(of: number)))
    }

    static func task(_ agent: Int, _ place: Int) -> TaskID { TaskID("task-\(agent)-\(place)") }
    static func peer(of agent: Int) -> PeerID { PeerID(UInt64(agent + 2)) }

    /// Gives the master something and lets everything happen that follows at once.
    mutating func give(_ input: MasterInput) {
        var outbox = Outbox<MasterEffect>()
        master.handle(input, at: now, into: &outbox)
        take(&outbox)
    }

    /// What an agent says, in bytes.
    mutating func hear(_ bytes: [UInt8], from agent: Int) {
        guard let message = try? WireCodec.decodeAgentToMaster(bytes) else { return }
        give(.agent(message, from: Self.peer(of: agent)))
    }

    /// Lets the master's timers pass until `span` from now.
    mutating func pass(_ span: Duration) {
        let end = now + span
        while let deadline = master.nextDeadline, deadline <= end {
            now = max(now, deadline)
            var outbox = Outbox<MasterEffect>()
            master.wake(at: now, into: &outbox)
            take(&outbox)
            endTurn()
        }
        now = max(now, end)
    }

    private mutating func take(_ outbox: inout Outbox<MasterEffect>) {
        for effect in outbox.takeAll() {
            switch effect {
            case .tellFramework(.update(let status), _):
                batch.append(status)
                if batch.count >= 1000 { flush() }
            case .tellFramework(let event, _):
                flush()
                toDriver.append(WireCodec.encode(event))
            case .tellAgent(let message, _):
                toAgents += WireCodec.encode(message).count
                if case .acknowledge = message { acknowledged += 1 }
            case .commit, .closePeer, .answer, .observe: break
            }
        }
    }

    private mutating func flush() {
        guard !batch.isEmpty else { return }
        toDriver.append(WireCodec.encode(.updates(batch)))
        batch.removeAll(keepingCapacity: true)
    }

    /// What the shell does at the end of a turn: the framework gets what is for it, and what it
    /// says goes back.
    mutating func endTurn() {
        flush()
        while !toDriver.isEmpty {
            let events = toDriver
            toDriver = []
            for bytes in events {
                guard let event = try? WireCodec.decodeSchedulerEvent(bytes) else { continue }
                drive(.event(event, from: Self.peer))
            }
            flush()
        }
    }

    private mutating func drive(_ input: FrameworkDriver<CountingPolicy>.Input) {
        var outbox = Outbox<FrameworkDriver<CountingPolicy>.Effect>()
        driver.handle(input, at: now, into: &outbox)
        for effect in outbox.takeAll() {
            guard case .send(let call, _) = effect,
                let heard = try? WireCodec.decodeFrameworkCall(WireCodec.encode(call))
            else { continue }
            give(.framework(heard, from: Self.peer))
        }
    }
}
