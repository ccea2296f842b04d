internal import DequeModule
internal import ProfferAgent
internal import ProfferKernel
internal import ProfferModel

extension World {
    func scheduleFaults() {
        for fault in plan.faults { after(fault.at) { [self] in perform(fault) } }
    }

    private func perform(_ fault: PlannedFault) {
        guard !isQuiet, carryOut(fault) else { return }
        hit(fault.kind)
    }

    private var leader: MasterProcess? { masters.first { $0.isUp && $0.isLeading } }

    private func pick<Value>(_ list: [Value], _ number: Int) -> Value? {
        list.isEmpty ? nil : list[number % list.count]
    }

    private func agent(_ fault: PlannedFault) -> AgentProcess? {
        pick(agents.filter(\.isUp), fault.first)
    }

    /// Does what a fault means to those that are there; `false` when there is nobody to do it to.
    private func carryOut(_ fault: PlannedFault) -> Bool {
        switch fault.kind {
        case .leaderKilled, .standbyKilled, .leaderPaused, .leaderSuspended, .agentKilled,
            .agentPaused,
            .agentCrashLoop, .agentDiskWiped, .frameworkKilled, .frameworkPaused,
            .executorKilled, .executorPaused, .taskKilled, .nodeRebooted, .masterAndAgentKilled,
            .everythingKilled, .everythingPaused, .processSlow, .crashArmed:
            return injureProcess(fault)
        case .partition, .partitionOneWay, .nodeIsolated, .frameworkPartitioned, .linkFlapping,
            .linkClogged, .swizzle, .linkSlow, .queueSmall, .connectionBroken,
            .connectionHalfBroken, .frameRepeated:
            return injureNetwork(fault)
        case .agentDiskSlow, .agentDiskFull, .agentDiskFails, .registrySlow, .registryFails,
            .registryAnswerLost, .coordinatorOutage, .leaderCutOff, .leaseRevoked, .renewalLie,
            .readStale, .clockRate, .wallClockJump:
            return injureStorageOrTime(fault)
        case .operatorKills, .operatorWeighs, .operatorSetsQuota, .operatorTearsDown, .impostor:
            return operate(fault)
        case .operatorDrains, .operatorDeactivates: return withdraw(fault)
        default: return false
        }
    }

    // MARK: Processes

    private func injureProcess(_ fault: PlannedFault) -> Bool {
        switch fault.kind {
        case .leaderKilled: return kill(leader)
        case .standbyKilled: return kill(masters.first { $0.isUp && !$0.isLeading })
        case .leaderPaused: return pause(leader, fault.span + Coordinator.lease)
        case .leaderSuspended: return suspend(leader, fault.span + Coordinator.lease)
        case .agentKilled: return kill(agent(fault))
        case .agentPaused: return pause(agent(fault), fault.span)
        case .agentCrashLoop: return crashLoop(agent(fault), fault)
        case .agentDiskWiped: return wipe(agent(fault))
        case .frameworkKilled: return kill(pick(frameworks.filter(\.isUp), fault.first))
        case .frameworkPaused:
            return pause(pick(frameworks.filter(\.isUp), fault.first), fault.span)
        case .executorKilled:
            guard let executor = pick(nodes.flatMap(\.executors), fault.first) else {
                return false
            }
            nodes[executor.node].killExecutor(executor.pid, status: 9)
            return true
        case .executorPaused:
            return pause(pick(nodes.flatMap(\.executors).filter(\.isUp), fault.first), fault.span)
        case .taskKilled: return killTask(fault)
        case .nodeRebooted: return reboot(agent(fault), fault)
        case .masterAndAgentKilled:
            let isKilled = kill(leader)
            return kill(agent(fault)) && isKilled
        case .everythingKilled:
            for process in masters + agents as [SimulatedProcess] { _ = kill(process) }
            return true
        case .everythingPaused:
            for process in processes where process.isUp { _ = pause(process, fault.span) }
            return true
        case .processSlow:
            let all = masters + agents + frameworks as [SimulatedProcess]
            guard let process = pick(all.filter(\.isUp), fault.first) else { return false }
            process.turnPause = 50 * Span.millisecond + Int64(fault.second % 400) * Span.millisecond
            after(fault.span) { process.turnPause = 0 }
            return true
        case .crashArmed:
            let all =
                masters + agents + frameworks + nodes.flatMap(\.executors) as [SimulatedProcess]
            guard let process = pick(all.filter(\.isUp), fault.first) else { return false }
            process.effectsLeft = fault.second % 6
            return true
        default: return false
        }
    }

    private func kill(_ process: SimulatedProcess?) -> Bool {
        guard let process, process.isUp else { return false }
        crash(process)
        return true
    }

    private func pause(_ process: SimulatedProcess?, _ span: Int64) -> Bool {
        guard let process, process.isUp, !process.isPaused else { return false }
        process.pause()
        let incarnation = process.incarnation
        after(span) { if process.incarnation == incarnation { process.resume() } }
        return true
    }

    private func suspend(_ process: SimulatedProcess?, _ span: Int64) -> Bool {
        guard let process, process.isUp, !process.isPaused else { return false }
        process.suspend()
        deceive(until: now + span + 2 * Coordinator.lease)
        let incarnation = process.incarnation
        after(span) { if process.incarnation == incarnation { process.resume() } }
        return true
    }

    private func crashLoop(_ agent: AgentProcess?, _ fault: PlannedFault) -> Bool {
        guard let agent else { return false }
        for round in 0..<5 {
            after(Int64(round) * Span.second) { [self] in
                crash(
                    agent,
                    restartAfter: 100 * Span.millisecond
                        + Int64(fault.second % 300) * Span.millisecond)
            }
        }
        return true
    }

    private func wipe(_ agent: AgentProcess?) -> Bool {
        guard let agent else { return false }
        crash(agent, restartAfter: 2 * Span.second)
        agent.facts.wipe()
        note(.agentWiped(agent.index))
        return true
    }

    private func killTask(_ fault: PlannedFault) -> Bool {
        let all = nodes.flatMap { node in node.tasks.map { (node, $0.pid) } }
        guard let (node, pid) = pick(all, fault.first) else { return false }
        node.signal(pid, 9)
        return true
    }

    private func reboot(_ agent: AgentProcess?, _ fault: PlannedFault) -> Bool {
        guard let agent else { return false }
        crash(
            agent, isPowerLoss: true,
            restartAfter: 3 * Span.second + Int64(fault.second % 20) * Span.second)
        agent.home.losePower()
        return true
    }

    // MARK: Network

    private func injureNetwork(_ fault: PlannedFault) -> Bool {
        guard let agent = pick(agents, fault.first) else { return false }
        guard let master = pick(masters, fault.second) else { return false }
        let pair = (agent.node, master.node)
        switch fault.kind {
        case .partition: cut([pair, (pair.1, pair.0)], fault.span)
        case .partitionOneWay:
            cut([fault.first % 2 == 0 ? pair : (pair.1, pair.0)], fault.span)
        case .nodeIsolated:
            let node = pick(masters + agents as [SimulatedProcess], fault.first)?.node ?? 0
            let others = nodes.indices.filter { $0 != node }
            cut(others.flatMap { [(node, $0), ($0, node)] }, fault.span)
        case .frameworkPartitioned:
            guard let framework = pick(frameworks, fault.first) else { return false }
            cut(
                [(framework.node, master.node), (master.node, framework.node)], fault.span)
        case .linkFlapping:
            for round in 0..<20 {
                after(Int64(round) * Span.second) { [self] in
                    if !isQuiet { cut([pair, (pair.1, pair.0)], Span.second / 2) }
                }
            }
        case .linkClogged: clog(pair, until: now + fault.span)
        case .swizzle:
            for (place, other) in agents.enumerated() {
                let start = Int64(place) * Span.second / 2
                let end = now + start + fault.span * Int64(1 + (fault.first + place) % 3) / 2
                after(start) { [self] in clog((other.node, master.node), until: end) }
            }
        case .linkSlow: slow(pair, fault)
        case .queueSmall: shortenQueues(pair, fault)
        case .connectionBroken, .connectionHalfBroken: return breakOne(fault)
        case .frameRepeated: return repeatFrames(fault)
        default: return false
        }
        return true
    }

    private func cut(_ pairs: [(Int, Int)], _ span: Int64) {
        for (from, to) in pairs { block(from: from, to: to) }
        after(span) { [self] in for (from, to) in pairs { unblock(from: from, to: to) } }
    }

    private func clog(_ pair: (Int, Int), until: Int64) {
        network[pair.0, pair.1].clogUntil = max(network[pair.0, pair.1].clogUntil, until)
        network[pair.1, pair.0].clogUntil = max(network[pair.1, pair.0].clogUntil, until)
    }

    private func slow(_ pair: (Int, Int), _ fault: PlannedFault) {
        let span = Span.second / 4 + Int64(fault.second % 3000) * Span.millisecond
        network[pair.0, pair.1].latency = span
        network[pair.1, pair.0].latency = span
        after(fault.span) { [self] in
            network[pair.0, pair.1].latency = plan.latency
            network[pair.1, pair.0].latency = plan.latency
        }
    }

    private func shortenQueues(_ pair: (Int, Int), _ fault: PlannedFault) {
        network[pair.0, pair.1].highWater = 2
        network[pair.1, pair.0].highWater = 2
        after(fault.span) { [self] in
            network[pair.0, pair.1].highWater = 10_000
            network[pair.1, pair.0].highWater = 10_000
        }
    }

    private func breakOne(_ fault: PlannedFault) -> Bool {
        let open = network.connections.indices.filter { network.connections[$0].isConnected }
        guard let index = pick(open, fault.first) else { return false }
        breakConnection(
            index, forRouter: fault.kind == .connectionBroken, keepsSome: fault.second % 2 == 0)
        return true
    }

    /// Lets what is under way to a ROUTER arrive twice, the second time late and over a connection
    /// that is gone.
    private func repeatFrames(_ fault: PlannedFault) -> Bool {
        let busy = network.connections.indices.filter {
            network.connections[$0].isConnected && !network.connections[$0].up.frames.isEmpty
        }
        guard let index = pick(busy, fault.first) else {
            // Nothing is under way now; soon something will be.
            after(100 * Span.millisecond) { [self] in
                if !isQuiet, fault.span > 0 {
                    var later = fault
                    later.span -= 100 * Span.millisecond
                    if repeatFrames(later) { hit(.frameRepeated) }
                }
            }
            return false
        }
        let row = network.connections[index]
        let router = processes[row.address.process]
        let key = processes[row.dealer].key
        let incarnation = router.incarnation
        for envelope in row.up.frames {
            after(chance.network.below(fault.span)) {
                guard router.isUp, router.incarnation == incarnation else { return }
                router.arrive(.up(row.address.port, route: row.route, key: key, envelope))
            }
        }
        return true
    }

    // MARK: Storage and time

    private func injureStorageOrTime(_ fault: PlannedFault) -> Bool {
        switch fault.kind {
        case .agentDiskSlow: agent(fault)?.writes?.weather.slowUntil = now + fault.span
        case .agentDiskFull: agent(fault)?.writes?.weather.fullUntil = now + fault.span
        case .agentDiskFails: agent(fault)?.writes?.weather.failsOnce = true
        case .registrySlow, .registryFails, .registryAnswerLost, .coordinatorOutage,
            .leaderCutOff, .leaseRevoked, .renewalLie, .readStale:
            return injureRegistry(fault)
        case .clockRate:
            let all = masters + agents + frameworks as [SimulatedProcess]
            guard let process = pick(all, fault.first) else { return false }
            process.clock.setRate(Int64(fault.second % 60_000) - 30_000, at: now)
        case .wallClockJump:
            let all = masters + agents + frameworks as [SimulatedProcess]
            guard let process = pick(all, fault.first) else { return false }
            let jumps: [Int64] = [-3600, 3600, 30 * 86_400, -86_400]
            process.clock.wallOffset = (pick(jumps, fault.second) ?? 0) * Span.second
            crash(process)
        default: return false
        }
        return true
    }

    private func injureRegistry(_ fault: PlannedFault) -> Bool {
        let end = now + fault.span
        let disk = leader?.writes
        switch fault.kind {
        case .registrySlow:
            coordinator.weather.slowUntil = end
            disk?.weather.slowUntil = end
        case .registryFails:
            coordinator.weather.failsOnce = true
            disk?.weather.failsOnce = true
        case .registryAnswerLost:
            coordinator.weather.losesAnswer = true
            disk?.weather.losesAnswer = true
        case .coordinatorOutage:
            coordinator.weather.downUntil = end
            disk?.weather.fullUntil = end
        case .leaderCutOff:
            guard let leader else { return false }
            leader.isCutOff = true
            after(fault.span) { leader.isCutOff = false }
        case .leaseRevoked: revokeLease()
        case .renewalLie:
            coordinator.weather.renewsFalsely = true
            revokeLease()
        case .readStale: coordinator.weather.staleUntil = end
        default: return false
        }
        return true
    }

    // MARK: Operators and strangers

    private func operate(_ fault: PlannedFault) -> Bool {
        guard let leader else { return false }
        switch fault.kind {
        case .operatorKills:
            let all = nodes.flatMap { $0.tasks.map(\.task.key) }
            guard let key = pick(all, fault.first) else { return false }
            leader.order(.kill(key))
        case .operatorWeighs:
            leader.order(
                .setWeight(
                    role: pick(["prod", "dev", "*"], fault.first) ?? "*",
                    thousandths: Int64(500 + fault.second % 4000)))
        case .operatorSetsQuota:
            let limit = Milli(thousandths: Int64(fault.second % 8) * 500)
            let quota = Quota(
                role: fault.first % 2 == 0 ? "prod" : "dev",
                limits: fault.second % 5 == 0 ? [] : [QuotaLimit(name: "cpus", amount: limit)])
            leader.order(.setQuotas([quota], isForced: fault.first % 3 != 0))
        case .operatorTearsDown:
            guard let id = pick(frameworks.compactMap(\.keptID), fault.first),
                fault.second % 3 == 0
            else { return false }
            leader.order(.teardown(id))
        case .impostor: return sendImpostor(fault)
        default: return false
        }
        return true
    }

    /// Takes an agent out of use, and into use again after a while, unless that is forgotten.
    private func withdraw(_ fault: PlannedFault) -> Bool {
        guard let leader, let id = pick(agents.compactMap { $0.report?.info.id }, fault.first)
        else { return false }
        if fault.kind == .operatorDrains {
            let grace: Duration? = fault.second % 2 == 0 ? nil : .seconds(1)
            leader.order(.drainAgent(id, maxGrace: grace, marksGone: false))
        } else {
            leader.order(.deactivateAgent(id))
        }
        if fault.second % 3 != 0 {
            after(fault.span) { [self] in self.leader?.order(.reactivateAgent(id)) }
        }
        return true
    }

    private func sendImpostor(_ fault: PlannedFault) -> Bool {
        let node = plan.nodeCount - 1
        let victim: Impostor.Victim
        if fault.first % 2 == 0, let id = pick(frameworks.compactMap(\.keptID), fault.second) {
            victim = .framework(id)
        } else if let info = pick(agents.compactMap { $0.report?.info }, fault.second),
            info.id != nil
        {
            victim = .agent(info)
        } else {
            return false
        }
        let impostor = Impostor(self, victim, node: node)
        add(impostor)
        impostor.begin()
        after(fault.span + 5 * Span.second) { impostor.die() }
        return true
    }

    // MARK: The end of all faults

    /// Heals everything: from now on nothing goes wrong any more.
    func calmDown() {
        isQuiet = true
        for from in nodes.indices {
            for to in nodes.indices {
                network[from, to].clogUntil = 0
                network[from, to].highWater = 10_000
                if from != to { network[from, to].latency = plan.latency }
                unblock(from: from, to: to)
            }
        }
        coordinator.weather = CoordinatorWeather()
        deceive(until: now + 2 * Coordinator.lease)
        for master in masters {
            master.isCutOff = false
            master.writes?.weather = DiskWeather()
        }
        for agent in agents { agent.writes?.weather = DiskWeather() }
        for process in processes {
            process.turnPause = 0
            process.effectsLeft = nil
            process.resume()
            if process is Impostor { process.die() }
        }
        // What operators have forbidden would hold up the work for ever.
        after(30 * Span.second) { [self] in
            let open = ["prod", "dev"].map { Quota(role: $0) }
            leader?.order(.setQuotas(open, isForced: true))
        }
        // What is drained has had its time by then.
        after(DrainChecker.patience + 2 * Span.second) { [self] in
            guard let leader, case .agents(let list)? = leader.ask(.agents) else { return }
            for agent in list where agent.state != .gone {
                if let id = agent.info.id { leader.order(.reactivateAgent(id)) }
            }
        }
    }
}
