import ProfferKernel
import ProfferModel

@testable import ProfferAllocation

/// The rules of classic offers in the plainest form that could be found: dictionaries that are
/// sorted at use, shares as fractions, and every agent looked at in every round.
///
/// What it grants is what the rules say; it is a measure for allocators that are clever.
struct ReferenceAllocator: Allocator {
    struct Framework {
        var description: AllocatorFramework
        var isActive: Bool
        var suppressed: Set<String>
        var filters: [String: OfferConstraint] = [:]
    }

    struct Agent {
        var info: AgentInfo
        var isActive: Bool
        var number: Int
    }

    struct Key: Hashable {
        var framework: FrameworkID
        var role: String
        var agent: AgentID
    }

    struct Member: Hashable {
        var framework: FrameworkID
        var role: String
    }

    /// What is held under one key; shared volumes as often as they were given.
    struct Holding {
        var plain = Resources()
        var shared: [Resource] = []

        var isEmpty: Bool { plain.isEmpty && shared.isEmpty }
        /// Each shared volume once.
        var resources: Resources { plain + Resources(shared) }

        func contains(_ other: Resources) -> Bool {
            plain.contains(other.filter { !$0.isShared })
                && other.items.allSatisfy { !$0.isShared || shared.contains($0) }
        }

        mutating func add(_ other: Resources) {
            plain += other.filter { !$0.isShared }
            shared += other.items.filter(\.isShared)
        }

        mutating func remove(_ other: Resources) {
            plain -= other.filter { !$0.isShared }
            for item in other.items where item.isShared {
                if let index = shared.firstIndex(of: item) { shared.remove(at: index) }
            }
        }
    }

    struct Refusal {
        var key: Key
        var resources: Resources
        var end: Instant
    }

    let knobs: Knobs
    var frameworks: [FrameworkID: Framework] = [:]
    var agents: [AgentID: Agent] = [:]
    var held: [Key: Holding] = [:]
    var grantCounts: [Member: Int] = [:]
    var roleGrantCounts: [String: Int] = [:]
    var weights: [String: UInt64] = [:]
    var quotas: [String: Quota] = [:]
    var refusals: [Refusal] = []
    var hold: (count: Int, limit: Instant)?
    var nextNumber = 0
    var needsAllocation = false

    init(_ knobs: Knobs) { self.knobs = knobs }

    var nextDeadline: Instant? {
        earliest(refusals.map(\.end).min(), hold?.limit)
    }

    mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {
        let old = frameworks[framework.id]
        for role in old?.description.roles ?? [] {
            let isDropped = !framework.roles.contains(role)
            let isRevived =
                old?.suppressed.contains(role) == true
                && !framework.suppressedRoles.contains(role)
            if isDropped || isRevived { forgetRefusals(framework.id, [role]) }
        }
        var row = Framework(
            description: framework, isActive: isActive, suppressed: Set(framework.suppressedRoles))
        for constraint in framework.constraints {
            row.filters[constraint.role] = constraint
        }
        frameworks[framework.id] = row
        if !isActive { forgetRefusals(framework.id, framework.roles) }
        forgetGrants()
        needsAllocation = true
    }

    mutating func removeFramework(_ id: FrameworkID) {
        guard frameworks.removeValue(forKey: id) != nil else { return }
        refusals.removeAll { $0.key.framework == id }
        forgetGrants()
        needsAllocation = true
    }

    mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {
        guard frameworks[id] != nil else { return }
        frameworks[id]?.isActive = isActive
        if !isActive { refusals.removeAll { $0.key.framework == id } }
        needsAllocation = true
    }

    mutating func setAgent(_ info: AgentInfo, isActive: Bool) {
        guard let id = info.id else { return }
        if let old = agents[id], old.info.attributes != info.attributes {
            refusals.removeAll { $0.key.agent == id }
        }
        if agents[id] == nil { nextNumber += 1 }
        agents[id] = Agent(
            info: info, isActive: isActive, number: agents[id]?.number ?? nextNumber)
        needsAllocation = true
    }

    mutating func removeAgent(_ id: AgentID) {
        guard agents.removeValue(forKey: id) != nil else { return }
        refusals.removeAll { $0.key.agent == id }
        for key in held.keys where key.agent == id { held[key] = nil }
        forgetGrants()
        needsAllocation = true
    }

    mutating func setActive(agent id: AgentID, _ isActive: Bool) {
        agents[id]?.isActive = isActive
        needsAllocation = true
    }

    mutating func hold(_ allocation: Allocation) {
        guard agents[allocation.agent] != nil, frameworks[allocation.framework] != nil else {
            return
        }
        held[key(allocation), default: Holding()].add(allocation.resources)
        needsAllocation = true
    }

    mutating func use(_ allocation: Allocation) {}

    mutating func convert(_ allocation: Allocation, into resources: Resources) {
        guard var rest = held[key(allocation)], rest.contains(allocation.resources),
            var total = agents[allocation.agent]?.info.resources
        else { return }
        rest.remove(allocation.resources)
        rest.add(resources)
        total -= allocation.resources
        total += resources
        held[key(allocation)] = rest
        if knobs.fault != .keepsConverted { agents[allocation.agent]?.info.resources = total }
        needsAllocation = true
    }

    mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        guard var rest = held[key(allocation)], rest.contains(allocation.resources) else { return }
        rest.remove(allocation.resources)
        held[key(allocation)] = rest.isEmpty ? nil : rest
        forgetGrants()
        if knobs.fault == .losesWhatIsReturned, wasOffered { held[key(allocation)] = nil }
        if wasOffered, let refuse, refuse > .zero, knobs.fault != .forgetsRefusals {
            refusals.append(
                Refusal(
                    key: key(allocation), resources: allocation.resources, end: now + refuse))
        }
        needsAllocation = true
    }

    mutating func revive(_ id: FrameworkID, roles: [String]) {
        guard let row = frameworks[id] else { return }
        for role in roles where row.description.roles.contains(role) {
            frameworks[id]?.suppressed.remove(role)
        }
        forgetRefusals(id, roles)
        needsAllocation = true
    }

    mutating func suppress(_ id: FrameworkID, roles: [String]) {
        for role in roles where frameworks[id]?.description.roles.contains(role) == true {
            frameworks[id]?.suppressed.insert(role)
        }
    }

    mutating func setWeight(role: String, thousandths: Int64) {
        weights[role] = knobs.fault == .ignoresWeights ? nil : UInt64(max(1, thousandths))
        needsAllocation = true
    }

    mutating func setQuota(_ quota: Quota) {
        var quota = quota
        if knobs.fault == .ignoresLimits { quota.limits = [] }
        if knobs.fault == .ignoresGuarantees { quota.guarantees = ResourceQuantities() }
        quotas[quota.role] = quota.isDefault ? nil : quota
        needsAllocation = true
    }

    mutating func awaitAgents(_ count: Int, until limit: Instant) {
        hold = (count, limit)
        needsAllocation = true
    }

    func shareMillionths(framework id: FrameworkID) -> Int64 {
        millionths(amountHeld { $0.framework == id })
    }

    func shareMillionths(role: String) -> Int64 {
        millionths(amountHeld { $0.role == role || $0.role.hasPrefix(role + "/") })
    }

    func free(_ id: AgentID, roles: [String]) -> Resources {
        guard let agent = agents[id], agent.isActive else { return Resources() }
        return free(id).filter { item in roles.contains { item.isAllocatable(to: $0) } }
    }

    // MARK: What follows from the above

    func key(_ allocation: Allocation) -> Key {
        Key(framework: allocation.framework, role: allocation.role, agent: allocation.agent)
    }

    /// Whoever leaves a role with nothing in its hands is new when it comes back, and so is a role
    /// that everyone has left.
    private mutating func forgetGrants() {
        var members = Set(
            frameworks.flatMap { id, row in
                row.description.roles.map { Member(framework: id, role: $0) }
            })
        for key in held.keys { members.insert(Member(framework: key.framework, role: key.role)) }
        let roles = Set(members.map(\.role))
        grantCounts = grantCounts.filter { members.contains($0.key) }
        roleGrantCounts = roleGrantCounts.filter { roles.contains($0.key) }
    }

    private mutating func forgetRefusals(_ id: FrameworkID, _ roles: [String]) {
        refusals.removeAll { $0.key.framework == id && roles.contains($0.key.role) }
    }

    /// What nobody holds; a shared volume is free however many hold it.
    func free(_ id: AgentID) -> Resources {
        var rest = agents[id]?.info.resources ?? Resources()
        for (key, holding) in held where key.agent == id {
            rest -= holding.plain
        }
        return rest
    }

    func amountHeld(where isMeant: (Key) -> Bool) -> ResourceQuantities {
        var sum = ResourceQuantities()
        for (key, holding) in held where isMeant(key) { sum += holding.resources.quantities }
        return sum
    }

    var total: ResourceQuantities {
        agents.values.reduce(into: ResourceQuantities()) { $0 += $1.info.resources.quantities }
    }

    private func millionths(_ amount: ResourceQuantities) -> Int64 {
        let total = total
        return amount.entries.map { entry -> Int64 in
            let all = total[entry.name].thousandths
            guard all > 0, entry.amount > .zero, !knobs.excludedNames.contains(entry.name) else {
                return 0
            }
            return Int64(
                clamping: Int128(entry.amount.thousandths) * 1_000_000 / Int128(all))
        }.max() ?? 0
    }

    /// The dominant share, divided by a weight in thousandths.
    func share(
        _ amount: ResourceQuantities, of total: ResourceQuantities, weight: UInt64
    ) -> Fraction {
        amount.entries.map { entry -> Fraction in
            let all = total[entry.name].thousandths
            guard all > 0, entry.amount > .zero, !knobs.excludedNames.contains(entry.name) else {
                return .zero
            }
            return Fraction(
                numerator: BigNatural(UInt64(entry.amount.thousandths)),
                denominator: BigNatural(UInt64(all)) * BigNatural(weight))
        }.max() ?? .zero
    }
}
