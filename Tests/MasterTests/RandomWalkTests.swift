import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferMaster

/// A random but reproducible life of a small cluster: frameworks and agents come, go, err and
/// repeat themselves.
///
/// The stage checks its invariants after every step.
struct RandomWalk {
    var stage: Stage
    var generator: SeededGenerator
    let lack = LackingAllocator.Lack()
    private var serial = 0
    private var uuids: [(TaskKey, AgentID, UpdateID)] = []

    init(seed: UInt64) {
        var configuration = MasterConfiguration()
        configuration.completedTasks = 4
        configuration.completedFrameworks = 2
        configuration.unreachableTasks = 3
        stage = Stage(configuration, allocator: LackingAllocator(lack: lack), seed: seed)
        generator = SeededGenerator(seed: seed)
    }

    private mutating func pick<Item>(_ items: [Item]) -> Item? {
        items.randomElement(using: &generator)
    }

    private mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &generator) < percent
    }

    mutating func run(steps: Int) {
        for _ in 0..<steps {
            switch Int.random(in: 0..<20, using: &generator) {
            case 0: subscribe()
            case 1: addAgent()
            case 2...5: answerOffer()
            case 6...8: report()
            case 9: acknowledge()
            case 10: disturbFramework()
            case 11: disturbAgent()
            case 12: kill()
            case 13: reconcile()
            case 14: wish()
            case 15: lackSomething()
            case 16: acceptTogether()
            case 18: order()
            case 17: stage.pass(.milliseconds(Int.random(in: 0..<9000, using: &generator)))
            default: restore()
            }
            stage.forget()
        }
    }

    private mutating func subscribe() {
        guard stage.master.frameworks.count < 4 else { return }
        serial += 1
        stage.subscribe(
            Stage.info(
                "f\(serial)", roles: chance(50) ? ["r"] : ["r", "q"],
                failover: chance(20) ? .zero : .seconds(20), checkpoint: chance(70),
                isAware: chance(50)))
    }

    private mutating func addAgent() {
        guard stage.master.agents.count < 5 else { return }
        serial += 1
        var resources = Resources(cpus: Milli(4), mem: Milli(4096), disk: Milli(100))
        if chance(30) {
            resources += Resource(
                "cpus", .scalar(Milli(2)), reservations: [Reservation(kind: .static, role: "q")])
        }
        stage.addAgent(resources, host: "n\(serial)")
    }

    private mutating func answerOffer() {
        let all = stage.offers.values.flatMap { $0 }.filter {
            stage.master.frameworks[$0.frameworkID]?.isConnected == true
        }
        guard let offer = pick(all) else { return }
        let refuse: Duration? = pick([nil, .zero, .seconds(3), .seconds(100)]) ?? nil
        if chance(25) {
            stage.decline(offer, refuse: refuse, by: offer.frameworkID)
            return
        }
        var actions: [ProfferModel.Operation.Action] = []
        if chance(20) {
            let kept = [Reservation(role: offer.role)]
            let disk = Resource("disk", .scalar(Milli(5)), reservations: kept)
            actions.append(.reserve(Resources([disk])))
            serial += 1
            var volume = disk
            volume.disk = DiskInfo(persistenceID: "v\(serial)", containerPath: "data")
            if chance(50) { actions.append(.create(Resources([volume]))) }
        }
        if chance(30) {
            let executor = ExecutorInfo(id: "group", kind: .default, resources: Stage.small)
            actions.append(
                .launchGroup(executor: executor, tasks: [task(offer), task(offer)]))
        } else {
            actions.append(.launch([task(offer), task(offer)]))
        }
        stage.accept(offer, actions, refuse: refuse)
    }

    private mutating func task(_ offer: Offer) -> TaskInfo {
        if !chance(10) { serial += 1 }
        var info = Stage.task(TaskID("t\(serial)"), offer.agentID)
        if chance(10) { info.resources = Resources(cpus: Milli(100)) }
        if chance(20) {
            info.command = nil
            info.executor = ExecutorInfo(
                id: "own", command: CommandInfo(value: "run"), resources: Stage.small)
        }
        return info
    }

    private mutating func report() {
        let live = stage.master.tasks.filter {
            stage.agentPeers[$0.value.info.agentID] != nil
        }
        guard let (key, row) = pick(live) else { return }
        if chance(10), let executor = row.executorID {
            stage.tell(
                .executorExited(ExecutorKey(key.framework, executor), status: 1),
                by: row.info.agentID)
            return
        }
        let state = pick([TaskState.starting, .running, .running, .finished, .failed]) ?? .running
        let end = UpdateID(high: 1, low: UInt64(serial))
        let isEnding = chance(10)
        let uuid = stage.report(
            key.task, state, of: key.framework, on: row.info.agentID,
            latest: isEnding ? UpdatePosition(latestState: .finished, latestUUID: end) : nil)
        uuids.append((key, row.info.agentID, uuid))
        if isEnding { uuids.append((key, row.info.agentID, end)) }
    }

    private mutating func acknowledge() {
        guard let (key, agent, uuid) = pick(uuids),
            stage.master.frameworks[key.framework]?.isConnected == true
        else { return }
        stage.acknowledge(key.task, uuid, of: key.framework, on: agent)
    }

    /// The operator does something to an agent, a machine or a key.
    private mutating func order() {
        guard let row = pick(Array(stage.master.agents.values)) else { return }
        let machine = MachineID(hostname: row.info.hostname)
        let window = MaintenanceWindow(
            machines: [machine], unavailability: Unavailability(start: Stage.epoch))
        let orders: [OperatorCall] = [
            .deactivateAgent(row.id), .reactivateAgent(row.id), .reactivateAgent(row.id),
            .drainAgent(row.id, maxGrace: nil, marksGone: chance(20)),
            .setMaintenanceSchedule([window]), .setMaintenanceSchedule([]),
            .startMaintenance([machine]), .stopMaintenance(stage.master.maintenance.down),
            .maintenanceStatus, .rebindAgent(row.id, publicKey: nil),
        ]
        guard let call = chance(5) ? .markAgentGone(row.id) : pick(orders) else { return }
        stage.give(.operation(call, QueryID(value: 1)))
    }

    private mutating func wish() {
        guard let id = pick(Array(stage.frameworkPeers.keys)),
            let row = stage.master.frameworks[id], row.isConnected
        else { return }
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: stage.call(.watchCluster(chance(70)), by: id)
        case 1:
            let quota = Quota(
                role: "q", guarantees: ResourceQuantities(cpus: chance(50) ? 3 : 0),
                limits: chance(50) ? [QuotaLimit(name: "cpus", amount: Milli(4))] : [])
            stage.give(.operation(.setQuotas([quota], isForced: chance(50)), QueryID(value: 1)))
        case 2:
            guard let agent = stage.master.agents.keys.first else { return }
            let part = ClaimPart(
                agentID: agent, role: "r", resources: Stage.small,
                operations: [Operation(action: .launch([Stage.task("claimed", agent)]))])
            stage.call(.claim(Claim(id: "c", parts: [part])), by: id)
        case 3:
            stage.call(
                .acceptInverseOffers(Array(stage.master.inverseOffers.keys), filters: nil), by: id)
        case 4:
            stage.give(.operation(.whyFramework(id), QueryID(value: 1)))
            stage.give(.operation(.quotas, QueryID(value: 1)))
        default: stage.call(.demand([]), by: id)
        }
    }

    /// Somebody waits, or nobody does any more.
    private mutating func lackSomething() {
        guard chance(70), let id = pick(Array(stage.frameworkPeers.keys)),
            let row = stage.master.frameworks[id], row.isConnected
        else {
            lack.shortfalls = []
            return
        }
        let demand = Demand(
            id: "d", role: row.info.roles[0],
            resources: ResourceQuantities(cpus: chance(50) ? 1 : 3),
            count: Int.random(in: 1...4, using: &generator), priority: 1,
            gang: 1)
        lack.shortfalls = [
            Shortfall(
                framework: id, demand: demand, isGuaranteed: chance(20), since: stage.now)
        ]
        stage.call(.demand([demand]), by: id)
    }

    private mutating func acceptTogether() {
        guard let id = pick(Array(stage.frameworkPeers.keys)),
            stage.master.frameworks[id]?.isConnected == true
        else { return }
        let parts = (stage.offers[id] ?? []).prefix(2).map { offer in
            OfferAcceptance(
                offers: [offer.id], operations: [Operation(action: .launch([task(offer)]))])
        }
        stage.call(.acceptTogether(parts, filters: nil), by: id)
    }

    private mutating func disturbFramework() {
        guard let id = pick(Array(stage.frameworkPeers.keys)),
            let row = stage.master.frameworks[id], row.isConnected
        else { return }
        let info = row.info
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: stage.disconnect(id)
        case 1: stage.subscribe(info)
        case 2: stage.call(.suppress(roles: chance(50) ? [] : ["r"]), by: id)
        case 3: stage.call(.revive(roles: []), by: id)
        case 4:
            var changed = info
            changed.roles = info.roles == ["r"] ? ["r", "q"] : ["r"]
            stage.call(.updateFramework(Subscription(framework: changed)), by: id)
        default: if chance(30) { stage.call(.teardown, by: id) }
        }
    }

    private mutating func disturbAgent() {
        guard let id = pick(Array(stage.agentPeers.keys)) else { return }
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: stage.disconnect(agent: id)
        case 1: stage.silent.insert(id)
        case 2: stage.pass(.seconds(40))
        case 3:
            guard var info = stage.master.agents[id]?.info, stage.master.agents[id]?.peer != nil
            else { return }
            info.attributes = [Attribute(name: "serial", value: .text("\(serial)"))]
            stage.tell(.updateAgent(info), by: id)
        default:
            guard chance(20), stage.master.agents[id]?.peer != nil else { return }
            stage.tell(.unregister, by: id)
            stage.agentPeers[id] = nil
        }
    }

    private mutating func kill() {
        guard let key = pick(Array(stage.master.tasks.keys)),
            stage.master.frameworks[key.framework]?.isConnected == true
        else { return }
        stage.call(.kill(key.task, agent: nil, policy: nil), by: key.framework)
    }

    private mutating func reconcile() {
        guard let id = pick(Array(stage.frameworkPeers.keys)),
            stage.master.frameworks[id]?.isConnected == true
        else { return }
        stage.call(.reconcile(chance(50) ? [] : [ReconcileTask(taskID: "t1")]), by: id)
    }

    /// Something that was away comes back, an agent with a part of what it had.
    private mutating func restore() {
        if chance(50), let row = pick(Array(stage.master.frameworks.values)), row.peer == nil {
            stage.subscribe(row.info)
            return
        }
        guard let row = pick(Array(stage.master.agents.values)) else { return }
        stage.silent.remove(row.id)
        var tasks: [AgentTask] = []
        for key in row.tasks where chance(80) {
            guard let task = stage.master.tasks[key] else { continue }
            let state = pick([TaskState.running, .finished]) ?? .running
            tasks.append(
                AgentTask(
                    info: task.info, frameworkID: key.framework, role: task.role,
                    executorID: "own",
                    state: task.state.isTerminal ? task.state : state,
                    lastForwarded: task.lastStatus))
        }
        let executors = row.executors.values.filter { _ in chance(80) }
        stage.comeBack(row.id, tasks: tasks, executors: Array(executors))
    }
}

@Suite("Random walks over the master")
struct RandomWalkTests {
    @Test("the books of master and allocator agree whatever happens", arguments: 0..<200)
    func walk(seed: Int) {
        var walk = RandomWalk(seed: UInt64(seed))
        walk.run(steps: 60)
    }

    @Test("walks make room for somebody now and then")
    func preempts() {
        let count = (0..<40).reduce(0) { sum, seed in
            var walk = RandomWalk(seed: UInt64(seed))
            walk.run(steps: 60)
            return sum + Int(walk.stage.master.nextPreemption)
        }
        #expect(count > 0)
    }

    @Test("one seed gives one conversation")
    func deterministic() {
        func transcript() -> [String] {
            var walk = RandomWalk(seed: 42)
            var lines: [String] = []
            for _ in 0..<100 {
                walk.run(steps: 1)
                lines.append(
                    "\(Array(walk.stage.master.offers.keys)) \(Array(walk.stage.master.tasks.keys))"
                )
            }
            return lines
        }
        #expect(transcript() == transcript())
        #expect(transcript().contains { $0.contains("t") })
    }
}
