internal import ProfferAgent
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferSession

/// Chooses sizes, kinds of faults and rates from a seed.
///
/// Each run leaves many kinds out, so that those that are left happen often enough to meet each
/// other (Groce et al., "Swarm Testing", 2012).
enum Swarm {
    static func plan(_ configuration: SimulationConfiguration, seed: UInt64) -> Plan {
        var chance = Chance(seed: seed)
        var plan = Plan(seed: seed)
        plan.masters = chance.plan.number(in: configuration.masters)
        plan.agents = chance.plan.number(in: configuration.agents)
        plan.frameworks =
            configuration.workloads.isEmpty
            ? chance.plan.number(in: configuration.frameworks) : configuration.workloads.count
        plan.faultPhase = configuration.faultPhase.inNanoseconds
        plan.quietPhase = configuration.quietPhase.inNanoseconds
        plan.makeAllocator = configuration.makeAllocator
        setTimes(&plan, &chance)
        chooseNetwork(&plan, &chance)
        chooseRates(&plan, configuration, &chance)
        plan.faults = chooseFaults(plan, configuration, &chance)
        plan.faults += chooseWithdrawals(plan, configuration, &chance)
        if let only = configuration.onlyFaults {
            plan.faults.removeAll { !only.contains($0.number) }
        }
        return plan
    }

    /// Times that a short run can wait for; they have the proportions of the defaults.
    private static func setTimes(_ plan: inout Plan, _ chance: inout Chance) {
        plan.master.heartbeatInterval = .seconds(5)
        plan.master.agentPingInterval = .seconds(chance.plan.number(in: Int64(3)...6))
        plan.master.agentPingsMissed = chance.plan.number(in: 3...5)
        plan.master.agentReturnWindow = .seconds(chance.plan.number(in: Int64(20)...60))
        plan.master.offerTimeout = .seconds(chance.plan.number(in: Int64(5)...40))
        plan.master.killRepeat = .seconds(4)
        plan.master.agentLossThreshold = chance.plan.pick([nil, 50, 80]) ?? nil
        plan.master.agentLossPause = .seconds(5)
        plan.master.agentRemovalRateLimit =
            chance.plan.hits(300) ? RateLimit(count: 1, span: .seconds(4)) : nil
        plan.master.preemptionDelay = chance.plan.hits(300) ? nil : .seconds(5)
        plan.master.preemptionNotice = .seconds(chance.plan.number(in: Int64(1)...10))
        plan.master.updateWindow = chance.plan.pick([1, 2, 64]) ?? 64
        plan.master.completedTasks = chance.plan.pick([3, 1000]) ?? 1000
        plan.agent.registrationBackoffLimit = .seconds(8)
        plan.agent.pingTimeout = .seconds(20)
        plan.agent.executorRegistrationTimeout = .seconds(30)
        plan.agent.executorReregistrationTimeout = .seconds(12)
        plan.agent.executorReconnectTimeout = .seconds(20)
        plan.agent.executorIdleTimeout = .seconds(chance.plan.number(in: Int64(5)...60))
        plan.agent.executorRecoveryTimeout = .seconds(60)
        plan.agent.updateRetry = .seconds(4)
        plan.agent.updateRetryLimit = .seconds(20)
        plan.agent.updateLimit = chance.plan.pick([2, 3, 128]) ?? 128
        plan.reportsStarting = chance.plan.hits(300)
    }

    private static func chooseNetwork(_ plan: inout Plan, _ chance: inout Chance) {
        plan.latency = chance.plan.pick([100_000, 500_000, 5_000_000, 100_000_000]) ?? 500_000
        plan.agentDiskLatency = chance.plan.pick([200_000, 2_000_000, 20_000_000]) ?? 2_000_000
        plan.session.windowMessages = chance.plan.pick([64, 1000, 16_384]) ?? 16_384
        plan.session.acknowledgeEvery = chance.plan.pick([1, 8, 64]) ?? 64
        plan.clockSpread = chance.plan.pick([0, 100, 20_000]) ?? 0
    }

    private static func chooseRates(
        _ plan: inout Plan, _ configuration: SimulationConfiguration, _ chance: inout Chance
    ) {
        func choose(_ kind: FaultKind, _ most: Int, _ chance: inout Chance) {
            let isOn = chance.plan.hits(500)
            let rate = 1 + chance.plan.below(most)
            if isOn, configuration.allows(kind) { plan.setRate(kind, rate) }
        }
        choose(.executorLaunchFails, 200, &chance)
        choose(.executorStartsSlowly, 150, &chance)
        choose(.taskDoesNotStart, 100, &chance)
        choose(.taskExitsAtOnce, 200, &chance)
        choose(.taskFails, 300, &chance)
        choose(.taskOutOfMemory, 100, &chance)
        choose(.taskIgnoresTerm, 400, &chance)
        choose(.taskLingers, 200, &chance)
        choose(.taskUnhealthy, 300, &chance)
    }

    /// In a third of the runs agents are taken out of use; what else goes wrong is the same with
    /// and without.
    private static func chooseWithdrawals(
        _ plan: Plan, _ configuration: SimulationConfiguration, _ chance: inout Chance
    ) -> [PlannedFault] {
        guard chance.withdrawals.hits(330) else { return [] }
        var faults: [PlannedFault] = []
        var at = 2 * Span.second
        while true {
            at += chance.withdrawals.below(30 * Span.second)
            guard at < plan.faultPhase else { return faults }
            let kind = FaultKind.withdrawals[chance.withdrawals.below(2)]
            let fault = PlannedFault(
                number: plan.faults.count + faults.count, at: at, kind: kind,
                first: chance.withdrawals.below(1 << 30),
                second: chance.withdrawals.below(1 << 30),
                span: Span.second + chance.withdrawals.below(60 * Span.second))
            if configuration.allows(kind) { faults.append(fault) }
        }
    }

    private static func chooseFaults(
        _ plan: Plan, _ configuration: SimulationConfiguration, _ chance: inout Chance
    ) -> [PlannedFault] {
        // About a third of the kinds, each from rarely to often.
        var kinds: [(kind: FaultKind, weight: Int)] = []
        for kind in FaultKind.planned where !FaultKind.withdrawals.contains(kind) {
            let isChosen = chance.faults.hits(330)
            let weight = 1 << chance.faults.below(4)
            if kind.needsStandby, plan.masters < 2 { continue }
            if isChosen, configuration.allows(kind) { kinds.append((kind, weight)) }
        }
        let pause = chance.faults.pick([2, 5, 10, 30]) ?? 5
        var faults: [PlannedFault] = []
        let total = kinds.reduce(0) { $0 + $1.weight }
        guard total > 0 else { return [] }
        var at = 2 * Span.second
        while true {
            at += chance.faults.below(Int64(pause) * 2 * Span.second)
            guard at < plan.faultPhase else { return faults }
            var place = chance.faults.below(total)
            var chosen = kinds[0].kind
            for entry in kinds {
                if place < entry.weight {
                    chosen = entry.kind
                    break
                }
                place -= entry.weight
            }
            let most = chance.faults.pick([1, 5, 20, 60]) ?? 5
            faults.append(
                PlannedFault(
                    number: faults.count, at: at, kind: chosen,
                    first: chance.faults.below(1 << 30), second: chance.faults.below(1 << 30),
                    span: Span.millisecond + chance.faults.below(Int64(most) * Span.second)))
        }
    }
}
