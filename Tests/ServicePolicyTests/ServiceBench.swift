import Proffer
@_spi(Driver) import ProfferKernel
import Testing

@testable import ServicePolicy

/// A policy with a small cluster around it: agents that offer what is free, tasks that do what the
/// test says, a store that keeps what was persisted.
struct ServiceBench {
    struct Agent {
        var id: AgentID
        var host: String
        var attributes: [Attribute]
        var free: Resources
    }

    struct Running: Equatable {
        var info: TaskInfo
        var state = TaskState.staging
        var isKillWanted = false
        var killPolicy: KillPolicy?
    }

    var configuration: ServiceConfiguration
    var policy: ServicePolicy
    var now = Instant(nanoseconds: 1_000_000_000)
    var agents: [Agent]
    /// In the order of their launches.
    var tasks: [Running] = []
    var store: [StoreChange] = []
    /// Everything that was said to the master.
    var calls: [SchedulerCall] = []
    var answers: [RequestID: ServiceAnswer] = [:]
    var events: [ServiceEvent] = []
    /// Whether the master would send offers.
    var wantsOffers = true
    private var nextRequest: UInt64 = 0
    private var nextOffer = 0

    init(racks: [String] = ["r1", "r2", "r3"], cpus: Int = 8) throws {
        configuration = ServiceConfiguration()
        configuration.instant = now
        configuration.wallTime = WallTime(nanosecondsSince1970: 1_700_000_000_000_000_000)
        configuration.drain = .zero
        policy = try ServicePolicy(configuration)
        agents = racks.enumerated().map { index, rack in
            Agent(
                id: AgentID("agent-\(index + 1)"), host: "node-\(index + 1)",
                attributes: [Attribute(name: "rack", value: .text(rack))],
                free: Resources([
                    Resource("cpus", .scalar(Milli(cpus))),
                    Resource("mem", .scalar(Milli(8192))),
                    Resource("disk", .scalar(Milli(8192))),
                    Resource("ports", .ranges(IntervalSet([31_000...31_099]))),
                ]))
        }
        subscribe()
    }

    // MARK: The outside world

    mutating func subscribe() {
        handle(
            .subscribed("framework", master: MasterInfo(id: "m", hostname: "h", version: "1")))
    }

    mutating func handle(_ happening: Happening<ServicePolicy.Command>) {
        var outbox = Outbox<FrameworkAction<ServiceOutput>>()
        policy.handle(happening, at: now, into: &outbox)
        carryOut(&outbox)
    }

    mutating func wait(_ span: Duration) {
        let end = now + span
        while let due = policy.nextDeadline, due <= end {
            now = max(now, due)
            var outbox = Outbox<FrameworkAction<ServiceOutput>>()
            policy.wake(at: now, into: &outbox)
            carryOut(&outbox)
            if policy.nextDeadline == due { break }
        }
        now = end
    }

    private mutating func carryOut(_ outbox: inout Outbox<FrameworkAction<ServiceOutput>>) {
        for action in outbox.takeAll() {
            switch action {
            case .output(.persist(let changes)): for change in changes { keep(change) }
            case .output(.answer(let id, let answer)): answers[id] = answer
            case .output(.event(let event)): events.append(event)
            case .call(let call):
                calls.append(call)
                carryOut(call)
            }
        }
    }

    private mutating func keep(_ change: StoreChange) {
        store.removeAll { $0.kind == change.kind && $0.key == change.key }
        if change.value != nil { store.append(change) }
    }

    private mutating func carryOut(_ call: SchedulerCall) {
        switch call {
        case .suppress: wantsOffers = false
        case .revive: wantsOffers = true
        case .accept(_, let operations, _):
            for case .launch(let list) in operations.map(\.action) {
                for info in list { launch(info) }
            }
        case .kill(let id, _, let policy):
            guard let index = tasks.firstIndex(where: { $0.info.id == id }) else { return }
            tasks[index].isKillWanted = true
            tasks[index].killPolicy = policy
        default: break
        }
    }

    private mutating func launch(_ info: TaskInfo) {
        let isStored = store.contains { $0.kind == "instance" && $0.key == info.id.value }
        #expect(isStored, "a task may only be launched after its record is durable")
        guard let index = agents.firstIndex(where: { $0.id == info.agentID }) else { return }
        #expect(agents[index].free.contains(info.resources))
        agents[index].free -= info.resources
        tasks.append(Running(info: info))
    }

    // MARK: The cluster

    /// Offers everything that is free, when offers are wanted.
    mutating func offer(_ wanted: [AgentID]? = nil) {
        guard wantsOffers else { return }
        var offers: [Offer] = []
        for agent in agents where wanted?.contains(agent.id) ?? true {
            nextOffer += 1
            offers.append(
                Offer(
                    id: OfferID("offer-\(nextOffer)"), frameworkID: "framework",
                    agentID: agent.id, hostname: agent.host, resources: agent.free,
                    attributes: agent.attributes, role: "*"))
        }
        handle(.offers(offers))
    }

    mutating func update(
        _ task: TaskID, _ state: TaskState, healthy: Bool? = nil, reason: StatusReason? = nil,
        message: String? = nil
    ) {
        guard let index = tasks.firstIndex(where: { $0.info.id == task }) else { return }
        let info = tasks[index].info
        tasks[index].state = state
        if state.isTerminal {
            tasks.remove(at: index)
            if let agent = agents.firstIndex(where: { $0.id == info.agentID }) {
                agents[agent].free += info.resources
            }
        }
        handle(
            .update(
                TaskStatus(
                    taskID: task, state: state, message: message, reason: reason,
                    agentID: info.agentID, healthy: healthy)))
    }

    /// Lets staged tasks run, and be healthy when they have a check.
    mutating func runAll(healthy: Bool = true) {
        for task in tasks where task.state == .staging {
            update(task.info.id, .running)
            if task.info.healthCheck != nil, healthy { becomeHealthy(task.info.id) }
        }
    }

    mutating func becomeHealthy(_ task: TaskID, _ isHealthy: Bool = true) {
        update(task, .running, healthy: isHealthy, reason: .taskHealthCheckStatusUpdated)
    }

    mutating func endKilled() {
        for task in tasks where task.isKillWanted { update(task.info.id, .killed) }
    }

    /// Lets everything happen that a willing cluster does, until nothing changes any more.
    mutating func converge(_ check: (inout ServiceBench) -> Void = { _ in }) {
        for _ in 0..<200 {
            let before = tasks
            check(&self)
            offer()
            check(&self)
            runAll()
            check(&self)
            endKilled()
            check(&self)
            if before == tasks { return }
        }
        Issue.record("the cluster does not come to rest")
    }

    /// A new policy with what the old one stored, as after a restart of the scheduler.
    mutating func restart() throws {
        configuration.seed += 1
        configuration.wallTime = WallTime(
            nanosecondsSince1970: 1_700_000_000_000_000_000 + now.nanoseconds - 1_000_000_000)
        configuration.instant = now
        policy = try ServicePolicy(configuration, stored: store)
        subscribe()
    }

    // MARK: The user

    @discardableResult
    mutating func ask(
        _ method: ServiceRequest.Method, _ target: String, _ body: JSON? = nil,
        prefersText: Bool = false
    ) throws -> ServiceAnswer {
        let halves = target.split(separator: "?", maxSplits: 1)
        let query = (halves.count == 2 ? halves[1] : "").split(separator: "&").map { item in
            let pair = item.split(separator: "=", maxSplits: 1).map(String.init)
            return ServiceRequest.QueryItem(pair[0], pair.count == 2 ? pair[1] : "")
        }
        nextRequest += 1
        let id = RequestID(nextRequest)
        handle(
            .command(
                .init(
                    id,
                    ServiceRequest(
                        method, path: halves[0].split(separator: "/").map(String.init),
                        query: query, body: body, prefersText: prefersText))))
        return try #require(answers[id])
    }

    func tasks(of app: String) -> [TaskInfo] {
        tasks.map(\.info).filter { $0.id.value.hasPrefix(AppPath(app).flatName + ".") }
    }

    func killed() -> [TaskID] { tasks.filter(\.isKillWanted).map(\.info.id) }
}

extension ServiceAnswer {
    var json: JSON {
        if case .json(let json) = body { return json }
        return .null
    }

    /// The paths of the fields that were refused.
    var refusedPaths: [String] {
        (json["details"]?.elements ?? []).compactMap { $0["path"]?.text }
    }

    /// What was said about a field.
    func errors(at path: String) -> [String] {
        (json["details"]?.elements ?? []).filter { $0["path"]?.text == path }
            .flatMap { ($0["errors"]?.elements ?? []).compactMap(\.text) }
    }
}

/// A small app; more fields can be given.
func app(_ id: String, _ fields: JSON = [:]) -> JSON {
    let small: JSON = ["id": .string(id), "cmd": "serve", "cpus": .number("0.1"), "mem": 16]
    return small.overlaid(with: fields)
}

/// An HTTP check that is quick.
let quickCheck: JSON = [
    ["protocol": "HTTP", "path": "/health", "intervalSeconds": 1, "gracePeriodSeconds": 5]
]
