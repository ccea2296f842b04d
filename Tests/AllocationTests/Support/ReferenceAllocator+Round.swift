import ProfferKernel
import ProfferModel

@testable import ProfferAllocation

extension ReferenceAllocator {
    /// Whether a framework wants to be offered something in a role.
    func waits(_ id: FrameworkID, in role: String) -> Bool {
        guard let row = frameworks[id], row.isActive else { return false }
        let isSuppressed = row.suppressed.contains(role) && knobs.fault != .ignoresSuppression
        return row.description.roles.contains(role) && !isSuppressed
    }

    /// Whether everything waits for more agents to come back.
    func isOnHold(at now: Instant) -> Bool {
        guard let hold, now < hold.limit else { return false }
        guard quotas.values.contains(where: { !$0.guarantees.entries.isEmpty }) else {
            return false
        }
        return agents.values.count { $0.isActive } < hold.count
    }

    mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        refusals.removeAll { $0.end <= now }
        needsAllocation = false
        if isOnHold(at: now) { return }
        if let hold, now >= hold.limit || agents.values.count(where: \.isActive) >= hold.count {
            self.hold = nil
        }
        var shared: [AgentID: Resources] = [:]
        for isGuaranteeStage in [true, false] {
            for agent in agents.sorted(by: { $0.value.number < $1.value.number }).map(\.key) {
                // The order is made anew after every grant.
                while let grant = nextGrant(
                    of: agent, guaranteed: isGuaranteeStage,
                    without: shared[agent] ?? Resources())
                {
                    shared[agent, default: Resources()] +=
                        grant.allocation.resources.filter(\.isShared)
                    grants.append(grant)
                    if knobs.fault == .grantsTwice { break }
                    record(grant)
                }
            }
        }
    }

    private func nextGrant(
        of agent: AgentID, guaranteed: Bool, without shared: Resources
    ) -> Grant? {
        for role in waitingRoles() {
            for framework in waitingFrameworks(role) {
                let member = Member(framework: framework, role: role)
                if let resources = candidate(
                    agent, for: member, guaranteed: guaranteed, without: shared)
                {
                    return Grant(
                        allocation: Allocation(
                            framework: framework, role: role, agent: agent, resources: resources))
                }
            }
        }
        return nil
    }

    /// Books a grant.
    mutating func record(_ grant: Grant) {
        let allocation = grant.allocation
        held[key(allocation), default: Holding()].add(allocation.resources)
        grantCounts[
            Member(framework: allocation.framework, role: allocation.role), default: 0] += 1
        roleGrantCounts[allocation.role, default: 0] += 1
    }

    // MARK: The order

    func waitingRoles() -> [String] {
        var roles: Set<String> = []
        for (id, row) in frameworks {
            for role in row.description.roles where waits(id, in: role) { roles.insert(role) }
        }
        return inOrder(roles.sorted(), below: nil)
    }

    private struct Place: Hashable {
        var path: String
        /// Whether it stands for the frameworks of the parent itself.
        var isLeaf = false
    }

    private struct Node {
        var place: Place
        var roles: [String]
        var share: Fraction
        var grants: Int
    }

    /// Sorts the nodes of one level of the tree, each with everything below it.
    private func inOrder(_ roles: [String], below parent: String?) -> [String] {
        if roles.count < 2 { return roles }
        var groups: [Place: [String]] = [:]
        for role in roles {
            let rest = parent.map { String(role.dropFirst($0.count + 1)) } ?? role
            let path = (parent.map { $0 + "/" } ?? "") + rest.prefix { $0 != "/" }
            let place = role == parent ? Place(path: role + "/.", isLeaf: true) : Place(path: path)
            groups[place, default: []].append(role)
        }
        let total = total
        let nodes = groups.map { place, roles -> Node in
            let isWithin = { (role: String) in
                place.isLeaf
                    ? role == parent : role == place.path || role.hasPrefix(place.path + "/")
            }
            return Node(
                place: place, roles: roles,
                share: share(
                    amountHeld { isWithin($0.role) }, of: total,
                    weight: place.isLeaf ? 1000 : weights[place.path] ?? 1000),
                grants: roleGrantCounts.reduce(0) { $0 + (isWithin($1.key) ? $1.value : 0) })
        }
        let sorted = nodes.sorted { left, right in
            if knobs.fault == .ordersByName { return left.place.path < right.place.path }
            if left.share != right.share { return left.share < right.share }
            if left.grants != right.grants { return left.grants < right.grants }
            return left.place.path.utf8.lexicographicallyPrecedes(right.place.path.utf8)
        }
        return sorted.flatMap { inOrder($0.roles, below: $0.place.path) }
    }

    func waitingFrameworks(_ role: String) -> [FrameworkID] {
        let total = total
        let members = frameworks.keys.filter { waits($0, in: role) }.map { id in
            let held = amountHeld { $0.framework == id && $0.role == role }
            return (
                id: id, share: share(held, of: total, weight: 1),
                grants: grantCounts[Member(framework: id, role: role)] ?? 0
            )
        }
        return members.sorted { left, right in
            if left.share != right.share { return left.share < right.share }
            return left.grants != right.grants ? left.grants < right.grants : left.id < right.id
        }.map(\.id)
    }

    // MARK: The checks

    /// What a framework is given of an agent, or `nil`.
    func candidate(
        _ id: AgentID, for member: Member, guaranteed: Bool, without shared: Resources
    ) -> Resources? {
        let unmet = unmet(top(member.role))
        if guaranteed, unmet.entries.isEmpty { return nil }
        guard let agent = agents[id], admits(agent, member) else { return nil }
        let possible = visible(id, to: member) - shared
        let bounded =
            guaranteed
            ? withinGuarantee(possible, of: top(member.role), unmet)
            : withinQuota(possible, of: top(member.role))
        guard isWorthwhile(bounded, member) else { return nil }
        return isRefused(bounded, member, id) ? nil : bounded
    }

    /// Everything that is a matter of the agent and the framework only.
    func admits(_ agent: Agent, _ member: Member) -> Bool {
        guard agent.isActive || knobs.fault == .ignoresDeactivation,
            let row = frameworks[member.framework]
        else { return false }
        if let filter = row.filters[member.role], !filter.admits(agent.info) { return false }
        let capabilities = row.description.capabilities
        if let region = knobs.region, let domain = agent.info.domain, domain.region != region,
            !capabilities.contains(.regionAware)
        {
            return false
        }
        if knobs.keepsGPUs, agent.info.resources.scalar("gpus") > .zero,
            !capabilities.contains(.gpuResources)
        {
            return false
        }
        if capabilities.contains(.multiRole), !agent.info.capabilities.contains(.multiRole) {
            return false
        }
        return !member.role.contains("/") || agent.info.capabilities.contains(.hierarchicalRole)
    }

    /// What is free and may be seen in the role with the framework's capabilities.
    func visible(_ id: AgentID, to member: Member) -> Resources {
        var capabilities = frameworks[member.framework]?.description.capabilities ?? []
        if knobs.fault == .ignoresCapabilities { capabilities = .all }
        return free(id).filter { item in
            (item.isAllocatable(to: member.role) || knobs.fault == .ignoresReservations)
                && (!item.isRevocable || capabilities.contains(.revocableResources))
                && (!item.isShared || capabilities.contains(.sharedResources))
                && (item.reservations.count < 2 || capabilities.contains(.reservationRefinement))
        }
    }

    func isWorthwhile(_ resources: Resources, _ member: Member) -> Bool {
        if resources.isEmpty { return false }
        let own = frameworks[member.framework]?.description.minimums
            .first { $0.role == member.role }?.quantities
        var hundredth = ResourceQuantities()
        hundredth.add(Milli(thousandths: 10), to: "cpus")
        let minimums = own ?? knobs.minimums ?? [hundredth, amounts(["mem": 32])]
        return minimums.isEmpty || minimums.contains { resources.quantities.contains($0) }
    }

    func isRefused(_ resources: Resources, _ member: Member, _ agent: AgentID) -> Bool {
        refusals.contains {
            $0.key == Key(framework: member.framework, role: member.role, agent: agent)
                && $0.resources.contains(resources)
        }
    }

    // MARK: Quota

    func top(_ role: String) -> String { String(role.prefix { $0 != "/" }) }

    /// What quota is about: scalars that are nobody's and stay.
    static func isCommon(_ item: Resource) -> Bool {
        guard case .scalar = item.value else { return false }
        return item.reservations.isEmpty && !item.isRevocable
    }

    /// Reservations whether or not they are held, and what else is held.
    func consumed(_ top: String) -> ResourceQuantities {
        var sum = ResourceQuantities()
        for agent in agents.values {
            sum +=
                agent.info.resources.filter {
                    !$0.isRevocable && $0.reservedRole.map { self.top($0) } == top
                }.quantities
        }
        for (key, holding) in held where self.top(key.role) == top {
            sum += holding.plain.filter(Self.isCommon).quantities
        }
        return sum
    }

    func unmet(_ top: String) -> ResourceQuantities {
        guard let quota = quotas[top] else { return ResourceQuantities() }
        return positive(quota.guarantees, minus: consumed(top))
    }

    func unmetOthers(_ top: String) -> ResourceQuantities {
        quotas.keys.reduce(into: ResourceQuantities()) { if $1 != top { $0 += unmet($1) } }
    }

    /// What could still be given to those who are guaranteed something.
    var available: ResourceQuantities {
        agents.reduce(into: ResourceQuantities()) { sum, entry in
            guard entry.value.isActive else { return }
            sum += free(entry.key).filter(Self.isCommon).quantities
        }
    }

    private func positive(
        _ left: ResourceQuantities, minus right: ResourceQuantities
    ) -> ResourceQuantities {
        var result = ResourceQuantities()
        for entry in left.entries where entry.amount > right[entry.name] {
            result.add(entry.amount - right[entry.name], to: entry.name)
        }
        return result
    }

    /// Makes the common scalars small enough; what cannot be split is left out.
    private func shrink(_ resources: Resources, _ bound: (String) -> Milli?) -> Resources {
        var used = ResourceQuantities()
        var result = Resources()
        for item in resources.items {
            guard Self.isCommon(item), case .scalar(let amount) = item.value,
                let bound = bound(item.name)
            else {
                result += item
                continue
            }
            let part = min(amount, max(.zero, bound - used[item.name]))
            if item.isIndivisible, part < amount { continue }
            var piece = item
            piece.value = .scalar(part)
            result += piece
            used.add(part, to: item.name)
        }
        return result
    }

    /// Up to the limits, as far as nothing is taken that others are guaranteed.
    private func withinQuota(_ resources: Resources, of top: String) -> Resources {
        if quotas.isEmpty { return resources }
        let consumed = consumed(top)
        let limits = quotas[top]?.limits ?? []
        let limited = shrink(resources) { name in
            limits.first { $0.name == name }.map { $0.amount - consumed[name] }
        }
        let (available, needed) = (available, unmetOthers(top))
        return shrink(limited) { available[$0] - needed[$0] }
    }

    /// What is guaranteed, and beyond it as much as anybody could have.
    private func withinGuarantee(
        _ resources: Resources, of top: String, _ unmet: ResourceQuantities
    ) -> Resources {
        let common = resources.filter(Self.isCommon)
        let promised = shrink(common) { unmet[$0] }
        let consumed = consumed(top)
        let limits = quotas[top]?.limits ?? []
        var further = shrink(common - promised) { name in
            limits.first { $0.name == name }
                .map { $0.amount - consumed[name] - promised.scalar(name) }
        }
        let (available, needed) = (available, unmetOthers(top))
        further = shrink(further) { name in
            available[name] - needed[name] - max(unmet[name], promised.scalar(name))
        }
        return resources.filter { !Self.isCommon($0) } + promised + further
    }
}

extension FrameworkCapabilities {
    /// Those that open resources to a framework.
    fileprivate static let all: FrameworkCapabilities = [
        .revocableResources, .sharedResources, .reservationRefinement, .gpuResources,
    ]
}
