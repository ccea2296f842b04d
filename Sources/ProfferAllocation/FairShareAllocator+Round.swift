internal import OrderedCollections
public import ProfferKernel
internal import ProfferModel

extension FairShareAllocator {
    /// A role with the frameworks that want offers in it, both in the order of fairness.
    private struct WaitingRole {
        var role: String
        var frameworks: [FrameworkID]
    }

    /// Grants what can be granted now.
    ///
    /// O(changed agents · frameworks that want offers), with a sort of these after every grant.
    public mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        endRefusals(at: now)
        guard !dirty.isEmpty else { return }
        let candidates = dirty
        dirty = []
        var waiting = waitingRoles()
        guard !waiting.isEmpty else { return }
        for agent in candidates {
            let first = grants.count
            allocate(agent, among: waiting, into: &grants)
            guard grants.count > first else { continue }
            for grant in grants[first...] {
                guard
                    let index = waiting.firstIndex(where: { $0.role == grant.allocation.role })
                else {
                    continue
                }
                waiting[index].frameworks = inOrder(
                    waiting[index].frameworks, grant.allocation.role)
            }
            waiting = inOrder(waiting)
        }
    }

    private mutating func allocate(
        _ agent: AgentID, among waiting: [WaitingRole], into grants: inout [Grant]
    ) {
        guard let row = agents[agent], row.isActive, !row.free.isEmpty else { return }
        for entry in waiting {
            for framework in entry.frameworks {
                guard let resources = offerable(agent, to: framework, in: entry.role) else {
                    continue
                }
                let allocation = Allocation(
                    framework: framework, role: entry.role, agent: agent, resources: resources)
                grant(allocation)
                grants.append(Grant(allocation: allocation))
                if agents[agent]?.free.isEmpty == true { return }
            }
        }
    }

    private func wantsOffers(_ id: FrameworkID, in role: String) -> Bool {
        guard let row = frameworks[id], row.isActive else { return false }
        return row.roles[role]?.isSuppressed == false && row.description.roles.contains(role)
    }

    private func waitingRoles() -> [WaitingRole] {
        let waiting = roles.elements.compactMap { role, row -> WaitingRole? in
            let members = row.frameworks.filter { wantsOffers($0, in: role) }
            if members.isEmpty { return nil }
            return WaitingRole(role: role, frameworks: inOrder(Array(members), role))
        }
        return inOrder(waiting)
    }

    /// By weighted share, then by the number of grants so far, then by name.
    private func inOrder(_ waiting: [WaitingRole]) -> [WaitingRole] {
        if waiting.count < 2 { return waiting }
        let entries = waiting.map { entry in
            let row = roles[entry.role] ?? RoleRow()
            return (entry: entry, row: row, share: Share(row.held, of: total))
        }
        return entries.sorted { left, right in
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
            return left.entry.role.utf8.lexicographicallyPrecedes(right.entry.role.utf8)
        }.map(\.entry)
    }

    /// By share within the role, then by the number of grants so far, then by id.
    private func inOrder(_ members: [FrameworkID], _ role: String) -> [FrameworkID] {
        if members.count < 2 { return members }
        let entries = members.map { id in
            let row = frameworks[id]?.roles[role] ?? RoleOfFramework(isSuppressed: false)
            return (id: id, grants: row.grants, share: Share(row.held, of: total))
        }
        return entries.sorted { left, right in
            if left.share.isLess(right.share, weight: 1, otherWeight: 1) { return true }
            if right.share.isLess(left.share, weight: 1, otherWeight: 1) { return false }
            return left.grants != right.grants ? left.grants < right.grants : left.id < right.id
        }.map(\.id)
    }

    /// What a framework can be offered of an agent, or `nil`: every check, in order.
    private mutating func offerable(
        _ agent: AgentID, to framework: FrameworkID, in role: String
    ) -> Resources? {
        guard let agentRow = agents[agent], let row = frameworks[framework] else { return nil }
        let description = row.description
        if let filter = row.roles[role]?.filter, !filter.admits(agentRow.info) { return nil }
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
        if isRefused(offered, framework, role, at: agentRow) { return nil }
        if holdsTooMuch(row, with: offered) {
            withheld.append(agent)
            return nil
        }
        return offered
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
    /// another one waits.
    ///
    /// A framework without any offer always gets one.
    private func holdsTooMuch(_ row: FrameworkRow, with offered: Resources) -> Bool {
        guard options.offeredLimitThousandths < 1000, !row.offered.entries.isEmpty else {
            return false
        }
        var after = row.offered
        after += offered.quantities
        let limit = Int64(options.offeredLimitThousandths) * 1000
        guard Share(after, of: total).millionths > limit else { return false }
        return frameworks.contains { id, other in
            id != row.description.id
                && other.description.roles.contains { wantsOffers(id, in: $0) }
        }
    }
}
