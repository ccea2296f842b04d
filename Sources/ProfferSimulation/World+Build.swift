internal import ProfferExecutor
internal import ProfferFramework
internal import ProfferKernel
internal import ProfferModel

extension World {
    /// Makes every node and process and lets them start.
    func build() {
        for index in 0..<plan.nodeCount {
            nodes.append(Node(self, index: index, name: "node\(index)"))
        }
        for index in 0..<plan.masters {
            let master = MasterProcess(
                self, "master\(index)", node: index, key: "km\(index)", clock: nextClock())
            masters.append(master)
            add(master)
        }
        for index in 0..<plan.agents { addAgent(index) }
        for index in 0..<plan.frameworks { addFramework(index) }
        for process in processes { process.begin() }
    }

    private func nextClock() -> SkewedClock {
        let spread = plan.clockSpread
        return SkewedClock(
            partsPerMillion: spread == 0
                ? 0 : chance.plan.number(in: -spread...spread),
            origin: chance.plan.below(1000) * Span.second)
    }

    /// The ports of an agent that has any.
    static let ports = IntervalSet([31000...(31099 as UInt64)])

    private func addAgent(_ index: Int) {
        let node = nodes[plan.masters + index]
        // The first has room for all services, in the rack that some insist on.
        let cpus = index == 0 ? 8 : chance.plan.pick([1, 2, 4, 8]) ?? 4
        var resources = Resources(
            cpus: Milli(cpus), mem: Milli(cpus * 512), disk: Milli(10_000))
        if chance.plan.hits(500) || index == 0 {
            resources += Resource("ports", .ranges(Self.ports))
        }
        if chance.plan.hits(200) {
            var item = Resource("cpus", .scalar(Milli(1)))
            item.reservations = [Reservation(kind: .static, role: "prod")]
            resources += item
        }
        let rack = chance.plan.hits(500) || index == 0 ? "a" : "b"
        let info = AgentInfo(
            hostname: node.name, resources: resources,
            attributes: [Attribute(name: "rack", value: .text(rack))])
        let agent = AgentProcess(
            self, "agent\(index)", node: node, info: info, key: "ka\(index)", clock: nextClock())
        agents.append(agent)
        add(agent)
    }

    private func addFramework(_ index: Int) {
        let node = plan.masters + plan.agents + index
        let framework =
            workloads.isEmpty
            ? Self.workload(index, restAt: plan.faultPhase + plan.quietPhase / 3, &chance.plan)
            : workloads[index]
        let process = framework.make(self, framework.name, node, "kf\(index)", nextClock())
        process.behavior = framework.behavior
        process.complaint = framework.complaint
        process.isEager = framework.isEager
        frameworks.append(process)
        add(process)
    }

    private static func workload(
        _ index: Int, restAt: Int64, _ chance: inout SeededGenerator
    ) -> SimulatedFramework {
        var shape = WorkloadShape()
        shape.services = chance.number(in: 0...4)
        shape.parallel = chance.number(in: 1...8)
        shape.jobs = shape.parallel * chance.number(in: 1...6)
        shape.cpus = Milli(thousandths: Int64(chance.pick([100, 250, 333]) ?? 250))
        shape.mem = Milli(chance.number(in: 16...64))
        shape.ports = chance.hits(200) ? chance.number(in: 1...2) : 0
        shape.killPermille = chance.pick([0, 30, 200]) ?? 30
        shape.statesDemand = chance.hits(400)
        shape.gang = chance.hits(300) ? 2 : 1
        shape.claims = chance.hits(150)
        shape.suppresses = chance.hits(700)
        shape.refusal = .seconds(chance.number(in: Int64(0)...10))
        shape.isPartitionAware = chance.hits(800)
        shape.hasHealthChecks = chance.hits(400)
        shape.replacesUnreachable = chance.hits(700)
        shape.role = chance.pick(["*", "prod", "dev", "prod/web"]) ?? "*"
        if chance.hits(150) { shape.rack = "a" }
        let failover = Duration.seconds(chance.pick([0, 40, 600, 600]) ?? 600)
        let checkpoint = !chance.hits(100)
        var framework = workload(
            shape, name: "framework\(index)", failover: failover, checkpoint: checkpoint,
            restAt: restAt, seed: chance.next())
        framework.isEager = !shape.suppresses && !shape.statesDemand && shape.refusal == .zero
        return framework
    }

    static func workload(
        _ shape: WorkloadShape, name: String, failover: Duration, checkpoint: Bool,
        restAt: Int64, seed: UInt64
    ) -> SimulatedFramework {
        SimulatedFramework(
            name: name, commands: [.init(at: .nanoseconds(restAt), Workload.Command.rest)],
            complaint: { (policy: Workload) in policy.complaint },
            start: { kept, _ in
                let policy = Workload(shape, seed: seed, prefix: "\(name.suffix(1))t", kept: kept)
                var capabilities: FrameworkCapabilities = [
                    .taskKillingState, .multiRole, .reservationRefinement,
                ]
                if shape.isPartitionAware { capabilities.insert(.partitionAware) }
                var options = FrameworkOptions(
                    info: FrameworkInfo(
                        name: name, failoverTimeout: failover, checkpoint: checkpoint,
                        roles: [shape.role], principal: name, capabilities: capabilities))
                options.knownTasks = policy.knownTasks
                options.startsAnewWhenRemoved = true
                options.reconcileInterval = .seconds(60)
                options.reconcileFirstPause = .seconds(2)
                options.reconcileLastPause = .seconds(10)
                options.killRepeat = .seconds(5)
                if let rack = shape.rack {
                    options.constraints = [
                        OfferConstraint(
                            role: shape.role,
                            groups: [
                                [
                                    AttributeConstraint(
                                        selector: .attribute("rack"), predicate: .textEquals(rack))
                                ]
                            ])
                    ]
                }
                return SimulatedFramework.Start(policy: policy, options: options)
            })
    }

    /// What a task does, by its framework or by the mix of the run.
    func behavior(of launch: TaskLaunch, _ key: TaskKey) -> SimulatedTask {
        let owner = frameworks.first { $0.keptID == key.framework }
        if let behavior = owner?.behavior { return behavior(launch.id, &chance.tasks) }
        var task = SimulatedTask()
        let isService = launch.command.value == "service"
        if !isService {
            task.duration = .milliseconds(300 + chance.tasks.below(isQuiet ? 4000 : 12_000))
        }
        if chance.tasks.hits(plan.rate(.taskDoesNotStart)) { task.failsToStart = true }
        if chance.tasks.hits(plan.rate(.taskExitsAtOnce)) { task.duration = .zero }
        if chance.tasks.hits(plan.rate(.taskFails)) {
            task.exitCode = 1
            task.duration = task.duration ?? .milliseconds(chance.tasks.below(30_000))
        }
        if chance.tasks.hits(plan.rate(.taskOutOfMemory)) {
            task.isOutOfMemory = true
            task.duration = task.duration ?? .milliseconds(chance.tasks.below(30_000))
        }
        if chance.tasks.hits(plan.rate(.taskIgnoresTerm)) { task.endsAfterTerm = nil }
        if chance.tasks.hits(plan.rate(.taskLingers)) {
            hit(.taskLingers)
            task.endsAfterKill = .milliseconds(chance.tasks.below(8000))
        }
        task.unhealthyPermille = plan.rate(.taskUnhealthy)
        if isQuiet {
            task.unhealthyPermille = 0
            task.failsToStart = false
            task.isOutOfMemory = false
            task.exitCode = 0
            if isService { task.duration = nil }
        }
        return task
    }

    // MARK: Coming back

    /// Kills a process that comes back by itself after a while, as under a supervisor.
    func crash(_ process: SimulatedProcess, isPowerLoss: Bool = false, restartAfter: Int64? = nil) {
        guard process.isUp else { return }
        process.die(isPowerLoss: isPowerLoss)
        let span =
            restartAfter
            ?? 200 * Span.millisecond
            + chance.processes.below(isQuiet ? Span.second : 5 * Span.second)
        after(span) {
            guard !process.isUp else { return }
            if let framework = process as? FrameworkShell, framework.hasEnded { return }
            process.begin()
        }
    }
}
