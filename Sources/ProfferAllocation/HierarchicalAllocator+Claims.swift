public import ProfferKernel
public import ProfferModel

extension HierarchicalAllocator {
    /// Takes resources without an offer, all or none.
    ///
    /// The checks are those of a grant but for refusals: who names an agent wants it.
    /// O(parts · holdings of an agent).
    public mutating func claim(_ parts: [Allocation], at now: Instant) -> [ClaimConflict] {
        var conflicts: [ClaimConflict] = []
        var done: [(allocation: Allocation, agent: Int)] = []
        for part in parts {
            let free = free(part.agent, roles: [part.role])
            guard let agent = agentIndex[part.agent],
                let framework = frameworkIndex[part.framework],
                let slot = slot(framework, part.role), slots[slot].isSubscribed,
                frameworks[framework].isActive
            else {
                conflicts.append(
                    ClaimConflict(
                        agentID: part.agent, check: .agentActive,
                        message: agentIndex[part.agent] == nil
                            ? "there is no such agent"
                            : "the framework is not connected, or not in that role"))
                continue
            }
            settle(agent)
            let parcel = columns.parcel(part.resources)
            if let check = problem(slot, agent, parcel) {
                conflicts.append(
                    ClaimConflict(
                        agentID: part.agent, check: check,
                        message: message(check, part, free), available: free))
                continue
            }
            add(parcel, agent, slot, part.demandID, isOffered: true)
            takeFree(agent, parcel)
            done.append((part, agent))
        }
        if !conflicts.isEmpty {
            for one in done.reversed() { undo(one.allocation, one.agent) }
        }
        return conflicts
    }

    /// The first check that a claim fails.
    private mutating func problem(
        _ slot: Int, _ agent: Int, _ parcel: Parcel
    ) -> PlacementCheck? {
        if !agents[agent].isActive { return agents[agent].inactiveBecause }
        if !isAdmitted(slot, agent, nil) { return .constraints }
        let framework = slots[slot].framework
        if !copes(agent, framework, slot) { return .capabilities }
        if isFar(agent, framework) { return .region }
        if isKeptForGPUs(agent, framework) { return .gpus }
        var offered = offerable(slot, agent)
        if parcel.isEmpty || parcel.isNegative { return .resources }
        if !offered.covers(parcel) {
            var all = agents[agent].free
            all.plain = all.plain.raisedToZero
            return all.covers(parcel) ? .reservations : .resources
        }
        if gangs.keeps(agent, against: slot) {
            offered.plain = (offered.plain - gangs.kept(agent)).raisedToZero
            if !offered.plain.covers(parcel.plain) { return .gang }
        }
        if let check = restrict(slot, &offered), !offered.covers(parcel) { return check }
        if holdsTooMuch(slot, with: parcel) { return .offeredLimit }
        return nil
    }

    private func message(
        _ check: PlacementCheck, _ part: Allocation, _ free: Resources
    ) -> String {
        switch check {
        case .resources:
            "\(part.resources) is not free any more; \(free.isEmpty ? "nothing" : "\(free)") is"
        case .agentActive: "the agent is not active"
        case .whitelist: "the agent's host is not on the whitelist"
        case .capabilities: "the agent's software does not cope with the role"
        case .region: "the agent is in another region"
        case .gpus: "the agent is kept for frameworks that use GPUs"
        case .reservations: "a part is reserved for another role"
        case .quotaLimit: "the quota limit of role '\(part.role)' leaves less than that"
        case .headroom: "what other roles are guaranteed would not stay available"
        case .offeredLimit: "the framework holds its part of the cluster in offers already"
        case .gang: "it is kept for a gang whose turn it is"
        case .constraints: "the framework's own constraints exclude the agent"
        case .perAgent, .refusal: check.title
        }
    }

    /// Takes a grant back as if it had never been.
    mutating func undo(_ allocation: Allocation, _ agent: Int) {
        guard let framework = frameworkIndex[allocation.framework],
            let slot = slot(framework, allocation.role)
        else { return }
        settle(agent)
        let parcel = columns.parcel(allocation.resources)
        guard remove(parcel, agent, slot, allocation.demandID, isOffered: true, grants: -1) else {
            return
        }
        returnFree(agent, parcel)
        dirtyAgents.insert(agent)
        refreshWaiting(slot)
    }

    /// Demands that what is free cannot meet, the most urgent first; O(demands).
    public func shortfalls(at now: Instant) -> [Shortfall] {
        var found: [Shortfall] = []
        for slot in slots.indices where slots[slot].isUsed && !slots[slot].demands.isEmpty {
            guard slots[slot].isSubscribed, !slots[slot].isSuppressed,
                frameworks[slots[slot].framework].isActive
            else { continue }
            for row in slots[slot].demands where !row.isMet {
                var demand = row.demand
                demand.count = row.missing
                demand.gang = min(demand.gang, max(1, demand.count))
                found.append(
                    Shortfall(
                        framework: frameworks[slots[slot].framework].description.id,
                        demand: demand, isGuaranteed: tree.nodes[markedRole(slot)].isUnmet,
                        since: row.waitingSince))
            }
        }
        return found.sorted { left, right in
            if left.isGuaranteed != right.isGuaranteed { return left.isGuaranteed }
            if left.demand.priority != right.demand.priority {
                return left.demand.priority > right.demand.priority
            }
            if left.since != right.since { return left.since < right.since }
            return left.framework != right.framework
                ? left.framework < right.framework : left.demand.id < right.demand.id
        }
    }
}
