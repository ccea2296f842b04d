internal import OrderedCollections
public import ProfferKernel
internal import ProfferModel

extension FairShareAllocator {
    /// Grants what can be granted now. O(changed agents · frameworks that want offers).
    public mutating func allocate(at now: Instant, into grants: inout [Allocation]) {
        endRefusals(at: now)
        let candidates = dirty
        dirty = []
        for agent in candidates { allocate(agent, into: &grants) }
    }

    private mutating func endRefusals(at now: Instant) {
        while let key = expiries.popDue(at: now) {
            agents[key.agent]?.refusals.removeAll { $0.serial == key.serial }
            if agents[key.agent] != nil { mark(key.agent) }
        }
    }

    private mutating func allocate(_ agent: AgentID, into grants: inout [Allocation]) {
        guard let row = agents[agent], row.isActive, !row.free.isEmpty else { return }
        for role in rolesInOrder() {
            for framework in frameworksInOrder(of: role) {
                guard let resources = offerable(agent, to: framework, in: role) else { continue }
                let allocation = Allocation(
                    framework: framework, role: role, agent: agent, resources: resources)
                grant(allocation)
                grants.append(allocation)
                if agents[agent]?.free.isEmpty == true { return }
            }
        }
    }

    private func wantsOffers(_ id: FrameworkID, in role: String) -> Bool {
        guard let row = frameworks[id], row.isActive else { return false }
        return row.roles[role]?.isSuppressed == false && row.description.roles.contains(role)
    }

    private func rolesInOrder() -> [String] {
        let waiting = roles.filter { role, row in
            row.frameworks.contains { wantsOffers($0, in: role) }
        }
        let shares = waiting.map { role, row in
            (role: role, row: row, share: Share(row.held, of: total))
        }
        return shares.sorted { left, right in
            if left.share.isLess(
                right.share, weight: left.row.weight, otherWeight: right.row.weight)
            {
                return true
            }
            if right.share.isLess(
                left.share, weight: right.row.weight, otherWeight: left.row.weight)
            {
                return false
            }
            if left.row.grants != right.row.grants { return left.row.grants < right.row.grants }
            return left.role.utf8.lexicographicallyPrecedes(right.role.utf8)
        }.map(\.role)
    }

    private func frameworksInOrder(of role: String) -> [FrameworkID] {
        let waiting = (roles[role]?.frameworks ?? []).filter { wantsOffers($0, in: role) }
        let shares = waiting.map { id in
            (
                id: id, grants: frameworks[id]?.roles[role]?.grants ?? 0,
                share: Share(
                    frameworks[id]?.roles[role]?.held ?? ResourceQuantities(), of: total)
            )
        }
        return shares.sorted { left, right in
            if left.share.isLess(right.share, weight: 1, otherWeight: 1) { return true }
            if right.share.isLess(left.share, weight: 1, otherWeight: 1) { return false }
            return left.grants != right.grants ? left.grants < right.grants : left.id < right.id
        }.map(\.id)
    }

    /// What a framework can be offered of an agent, or `nil`: every check, in order.
    private func offerable(
        _ agent: AgentID, to framework: FrameworkID, in role: String
    ) -> Resources? {
        guard let agentRow = agents[agent], let row = frameworks[framework] else { return nil }
        let description = row.description
        if let wanted = description.constraints.first(where: { $0.role == role }),
            !wanted.groups.contains(where: { group in
                group.allSatisfy { $0.holds(for: agentRow.info) }
            })
        {
            return nil
        }
        if options.keepsGPUs, agentRow.info.resources.scalar("gpus") > .zero,
            !description.capabilities.contains(.gpuResources)
        {
            return nil
        }
        let offered = agentRow.free.filter { resource in
            resource.isAllocatable(to: role)
                && (!resource.isRevocable
                    || description.capabilities.contains(.revocableResources))
                && (!resource.isShared || description.capabilities.contains(.sharedResources))
                && (resource.reservations.count < 2
                    || description.capabilities.contains(.reservationRefinement))
        }
        guard isWorthOffering(offered, description, role) else { return nil }
        for refusal in agentRow.refusals
        where refusal.framework == framework && refusal.role == role {
            if refusal.resources.contains(offered) { return nil }
        }
        return holdsTooMuch(row, with: offered) ? nil : offered
    }

    private func isWorthOffering(
        _ offered: Resources, _ framework: AllocatorFramework, _ role: String
    ) -> Bool {
        guard !offered.isEmpty else { return false }
        let quantities = offered.quantities
        let minimums =
            framework.minimums.first { $0.role == role }?.quantities ?? options.minimums
        return minimums.isEmpty || minimums.contains { quantities.contains($0) }
    }

    /// Whether an offer would let a framework sit on more than its part of the cluster while
    /// another one waits. A framework without any offer always gets one.
    private func holdsTooMuch(_ row: FrameworkRow, with offered: Resources) -> Bool {
        guard options.offeredLimitThousandths < 1000, !row.offered.entries.isEmpty else {
            return false
        }
        let others = frameworks.contains { id, other in
            id != row.description.id
                && other.description.roles.contains { wantsOffers(id, in: $0) }
        }
        guard others else { return false }
        var after = row.offered
        after += offered.quantities
        let share = Share(after, of: total)
        return share.millionths > Int64(options.offeredLimitThousandths) * 1000
    }
}
