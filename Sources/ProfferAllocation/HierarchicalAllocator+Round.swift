public import ProfferKernel
internal import ProfferModel

extension HierarchicalAllocator {
    /// What a look at one agent has found out.
    private struct Visit {
        var walk = OrderWalk()
        /// Frameworks that cannot have anything there; what is free only becomes less.
        var failed = Bits()
    }

    /// Grants what can be granted now.
    ///
    /// O(changed agents · frameworks that want something they have not refused), and O(agents with
    /// something free) for frameworks that want something new. Each grant costs O(log frameworks)
    /// comparisons.
    public mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        endRefusals(at: now)
        if let hold = agentHold {
            if now < hold.until, isWaitingForAgents { return }
            agentHold = nil
            markWaitingSlots()
        }
        round += 1
        tree.follow(total)
        serveTurn(at: now, into: &grants)
        var visit = Visit()
        serveDirtyAgents(&visit, into: &grants)
        serveDirtySlots(&visit, into: &grants)
        serveGangs(at: now, into: &grants)
    }

    /// Agents at which something has changed, for everyone who waits.
    private mutating func serveDirtyAgents(_ visit: inout Visit, into grants: inout [Grant]) {
        let dirty = dirtyAgents
        dirtyAgents.removeAll()
        guard !priorities.isEmpty else { return }
        var next = dirty.next(from: 0)
        while let agent = next {
            look(at: agent, among: nil, &visit, into: &grants)
            if priorities.isEmpty { return }
            next = dirty.next(from: agent + 1)
        }
    }

    /// Frameworks that want something new, at every agent that has something.
    private mutating func serveDirtySlots(_ visit: inout Visit, into grants: inout [Grant]) {
        markKept()
        guard !dirtySlots.isEmpty else { return }
        let wanted = dirtySlots
        dirtySlots.removeAll()
        guard isWaiting(wanted) else { return }
        var next = freeAgents.next(from: 0)
        while let agent = next {
            let before = grants.count
            look(at: agent, among: wanted, &visit, into: &grants)
            if grants.count > before, !isWaiting(wanted) { return }
            next = freeAgents.next(from: agent + 1)
        }
    }

    private func isWaiting(_ wanted: Bits) -> Bool {
        priorities.contains { $0.slots.hasMember(in: wanted, notIn: Bits()) }
    }

    /// Whoever was kept from something by what others are guaranteed looks again when more is
    /// there beyond that.
    private mutating func markKept() {
        guard !keptSlots.isEmpty else { return }
        let headroom = available - quotas.required
        guard !keptHeadroom.covers(headroom) else { return }
        for slot in keptSlots.members where slots[slot].isUsed && tree.clients[slot].isWaiting {
            dirtySlots.insert(slot)
        }
        keptSlots.removeAll()
    }

    private mutating func look(
        at agent: Int, among wanted: Bits?, _ visit: inout Visit, into grants: inout [Grant]
    ) {
        guard agents[agent].isUsed, agents[agent].isActive, freeAgents.contains(agent) else {
            return
        }
        if agents[agent].refused.isStale { agents[agent].refused.refresh(agents[agent].free) }
        if !visit.failed.isEmpty { visit.failed.removeAll() }
        tree.drawLots()
        var bound = Int.max
        while let level = priorities.firstIndex(where: { $0.priority < bound }) {
            let priority = priorities[level].priority
            bound = priority
            guard wants(level, agent, among: wanted) else { continue }
            // First whoever has less than it is guaranteed, and then everyone.
            if quotas.unmetCount > 0 {
                serve(agent, priority, wanted, isGuaranteed: true, &visit, into: &grants)
            }
            serve(agent, priority, wanted, isGuaranteed: false, &visit, into: &grants)
            if !freeAgents.contains(agent) { return }
        }
    }

    /// Whether anybody who waits with a priority has not refused what is free at an agent.
    private func wants(_ level: Int, _ agent: Int, among wanted: Bits?) -> Bool {
        let waiting = priorities[level].slots
        let blocked = agents[agent].refused.blocked
        if wanted == nil, blocked.isEmpty { return true }
        return waiting.hasMember(in: wanted ?? waiting, notIn: blocked)
    }

    /// Gives what is free at an agent to those who come first, until nobody can have more.
    private mutating func serve(
        _ agent: Int, _ priority: Int, _ wanted: Bits?, isGuaranteed: Bool,
        _ visit: inout Visit, into grants: inout [Grant]
    ) {
        visit.walk.begin()
        while let slot = nextSlot(&visit.walk, agent, isGuaranteed) {
            guard isMeant(slot, agent, priority, wanted), !visit.failed.contains(slot) else {
                continue
            }
            switch bestVerdict(slot, agent, priority) {
            case .fails(let check):
                visit.failed.insert(slot)
                note(check, slot)
            case .fits(let plan):
                commit(plan, agent, gang: nil, into: &grants)
                guard freeAgents.contains(agent) else { return }
                visit.walk.begin()
            }
        }
    }

    private func nextSlot(_ walk: inout OrderWalk, _ agent: Int, _ isGuaranteed: Bool) -> Int? {
        let isPlain = agents[agent].hasPublicExtras
        return walk.next(tree) { top in
            isGuaranteed ? !tree.nodes[top].isUnmet : isPlain && tree.nodes[top].isAtLimit
        }
    }

    private func isMeant(_ slot: Int, _ agent: Int, _ priority: Int, _ wanted: Bits?) -> Bool {
        if let wanted, !wanted.contains(slot) { return false }
        if agents[agent].refused.blocked.contains(slot) { return false }
        let own = slots[slot].priorities
        return own.count == 1 ? own[0] == priority : own.contains(priority)
    }

    /// A classic offer, or the first demand of this priority that fits.
    private mutating func bestVerdict(_ slot: Int, _ agent: Int, _ priority: Int) -> Verdict {
        guard frameworks[slots[slot].framework].hasDemands else {
            return verdict(slot, agent, demand: nil)
        }
        var worst = PlacementCheck.resources
        for row in slots[slot].demands.indices {
            let demand = slots[slot].demands[row]
            guard demand.demand.priority == priority, demand.demand.gang == 1, !demand.isMet else {
                continue
            }
            let verdict = verdict(slot, agent, demand: row)
            if case .fits = verdict { return verdict }
            // What a change elsewhere may mend has to be remembered.
            if case .fails(let check) = verdict, check.isOfCluster { worst = check }
        }
        return .fails(worst)
    }

    /// Remembers who is to look again when something changes that is not at the agent.
    private mutating func note(_ check: PlacementCheck, _ slot: Int) {
        switch check {
        case .quotaLimit: limitedSlots.insert(slot)
        case .headroom:
            if keptSlots.isEmpty { keptHeadroom = available - quotas.required }
            keptSlots.insert(slot)
        case .offeredLimit: cappedSlots.insert(slot)
        case .gang: gangs.noteHeldBack(slot)
        case .agentActive, .constraints, .capabilities, .region, .gpus, .reservations, .resources,
            .perAgent, .refusal:
            break
        }
    }

    /// Carries a plan out.
    mutating func commit(_ plan: Plan, _ agent: Int, gang: GangID?, into grants: inout [Grant]) {
        let demand = plan.demand.map { slots[plan.slot].demands[$0].demand.id }
        guard let id = agents[agent].info.id else { return }
        grants.append(
            Grant(
                allocation: Allocation(
                    framework: frameworks[slots[plan.slot].framework].description.id,
                    role: slots[plan.slot].role, agent: id,
                    resources: resources(of: agent, plan.parcel), demandID: demand),
                demandID: demand, instances: plan.instances, gang: gang))
        add(plan.parcel, agent, plan.slot, demand, isOffered: true)
        takeFree(agent, plan.parcel)
        if plan.demand != nil { refreshWaiting(plan.slot) }
    }

    /// Puts a parcel together, or takes the agent's own resources when it is all of them.
    private func resources(of agent: Int, _ parcel: Parcel) -> Resources {
        let all = agents[agent].total
        if all.plain == parcel.plain, all.extras == parcel.extras {
            return agents[agent].info.resources
        }
        return columns.resources(parcel)
    }
}

extension PlacementCheck {
    /// Whether something else than a change at the agent can make it hold.
    fileprivate var isOfCluster: Bool {
        switch self {
        case .quotaLimit, .headroom, .offeredLimit, .gang: true
        case .agentActive, .constraints, .capabilities, .region, .gpus, .reservations, .resources,
            .perAgent, .refusal:
            false
        }
    }
}
