internal import OrderedCollections
public import ProfferKernel
public import ProfferModel

/// Weighted dominant resource fairness, first over roles and then over the frameworks of a role,
/// with reservations and refusals.
///
/// Only agents at which something has changed are looked at, and only frameworks that are active
/// and not suppressed. What is free at an agent goes to the first framework in order whole.
///
/// - SeeAlso: Ghodsi et al., Dominant Resource Fairness, NSDI 2011.
public struct FairShareAllocator: Allocator {
    /// What it can be told to do otherwise.
    public struct Options: Hashable, Sendable {
        /// The least that is worth an offer: any one of these.
        public var minimums: [ResourceQuantities]
        /// The share of the cluster, in thousandths of a resource, that one framework may hold in
        /// offers while another one waits.
        ///
        /// 1000 is no limit.
        public var offeredLimitThousandths: UInt64 = 500
        /// Whether agents with GPUs are kept for frameworks that can use them.
        public var keepsGPUs = true
        /// The longest pause before a framework that gives the same agent back whole, again and
        /// again and without a refusal, is offered it anew.
        ///
        /// The first times there is none.
        public var returnPauseLimit = Duration.seconds(1)

        /// The defaults: 0.01 cores or 32 MiB, half of the cluster.
        public init() {
            var cpus = ResourceQuantities()
            cpus.add(Milli(thousandths: 10), to: "cpus")
            var mem = ResourceQuantities()
            mem.add(Milli(32), to: "mem")
            minimums = [cpus, mem]
        }
    }

    struct RoleOfFramework: Sendable {
        var isSuppressed: Bool
        /// Which agents it wants to hear of; all without.
        var filter: AgentFilter?
        var held = ResourceQuantities()
        var grants = 0
    }

    struct FrameworkRow: Sendable {
        var description: AllocatorFramework
        var isActive: Bool
        var roles: OrderedDictionary<String, RoleOfFramework> = [:]
        var offered = ResourceQuantities()
        var held = ResourceQuantities()
    }

    struct Refusal: Sendable {
        var framework: FrameworkID
        var role: String
        var resources: Resources
        var serial: UInt64
        var end: Instant
    }

    /// What a framework holds of an agent in a role; some of it may be offered and not yet used.
    struct Holding: Sendable {
        var framework: FrameworkID
        var role: String
        var resources = Resources()
        var offered = ResourceQuantities()
        /// How many more hold a shared resource than the first, which alone is counted.
        var copies: OrderedDictionary<Resource, Int> = [:]
    }

    /// How often in a row a framework has returned an agent whole without a refusal.
    struct Returns: Sendable {
        var framework: FrameworkID
        var role: String
        var count = 0
    }

    struct AgentRow: Sendable {
        var info: AgentInfo
        var isActive: Bool
        var held: [Holding] = []
        var free: Resources
        var refusals: [Refusal] = []
        var returns: [Returns] = []
    }

    struct RoleRow: Sendable {
        var weight: UInt64 = 1000
        var held = ResourceQuantities()
        var grants = 0
        var frameworks: OrderedSet<FrameworkID> = []
    }

    struct RefusalKey: Hashable, Sendable {
        var agent: AgentID
        var serial: UInt64
    }

    let options: Options
    var frameworks: OrderedDictionary<FrameworkID, FrameworkRow> = [:]
    var agents: OrderedDictionary<AgentID, AgentRow> = [:]
    var roles: OrderedDictionary<String, RoleRow> = [:]
    var total = ResourceQuantities()
    var dirty: OrderedSet<AgentID> = []
    /// Agents that were not offered only because of the limit of what one framework may sit on.
    var withheld: OrderedSet<AgentID> = []
    var expiries = DeadlineQueue<RefusalKey>()
    var nextSerial: UInt64 = 0

    /// Makes an allocator that knows nobody.
    public init(options: Options = Options()) { self.options = options }

    /// When the next refusal ends.
    public var nextDeadline: Instant? { expiries.next }

    /// Whether an agent has to be looked at.
    public var needsAllocation: Bool { !dirty.isEmpty }

    /// A framework's dominant share of the cluster, unweighted.
    public func shareMillionths(framework id: FrameworkID) -> Int64 {
        Share(frameworks[id]?.held ?? ResourceQuantities(), of: total).millionths
    }

    /// A role's dominant share of the cluster, unweighted.
    public func shareMillionths(role: String) -> Int64 {
        Share(roles[role]?.held ?? ResourceQuantities(), of: total).millionths
    }

    /// Takes a framework in, or replaces what was known of it.
    public mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {
        var row =
            frameworks[framework.id]
            ?? FrameworkRow(description: framework, isActive: isActive)
        for role in row.roles.keys where !framework.roles.contains(role) {
            roles[role]?.frameworks.remove(framework.id)
            forgetRefusals(framework.id, role)
        }
        row.description = framework
        row.isActive = isActive
        for role in framework.roles {
            let isSuppressed = framework.suppressedRoles.contains(role)
            if row.roles[role]?.isSuppressed == true, !isSuppressed {
                forgetRefusals(framework.id, role)
            }
            row.roles[role, default: RoleOfFramework(isSuppressed: isSuppressed)].isSuppressed =
                isSuppressed
            row.roles[role]?.filter = framework.constraints.first { $0.role == role }
                .map(AgentFilter.init)
            roles[role, default: RoleRow()].frameworks.append(framework.id)
        }
        frameworks[framework.id] = row
        if isActive { markAll() }
        markWithheld()
    }

    /// Forgets a framework and its refusals.
    public mutating func removeFramework(_ id: FrameworkID) {
        guard let row = frameworks.removeValue(forKey: id) else { return }
        for role in row.roles.keys {
            roles[role]?.frameworks.remove(id)
            forgetRefusals(id, role)
        }
        markWithheld()
    }

    /// Stops or resumes grants to a framework; a stop also forgets its refusals.
    public mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {
        guard let row = frameworks[id] else { return }
        frameworks[id]?.isActive = isActive
        if isActive {
            markAll()
        } else {
            for role in row.roles.keys { forgetRefusals(id, role) }
            markWithheld()
        }
    }

    /// Takes an agent in, or replaces what was known of it.
    public mutating func setAgent(_ info: AgentInfo, isActive: Bool) {
        guard let id = info.id else { return }
        if let old = agents[id] {
            total -= old.info.resources.quantities
            agents[id]?.info = info
            agents[id]?.isActive = isActive
            // Whoever refused this agent has refused another one.
            if old.info.attributes != info.attributes { forgetRefusals(at: id) }
            refreshFree(id)
        } else {
            agents[id] = AgentRow(info: info, isActive: isActive, free: info.resources)
        }
        total += info.resources.quantities
        mark(id)
    }

    /// Forgets an agent and what was held there.
    public mutating func removeAgent(_ id: AgentID) {
        guard let row = agents[id] else { return }
        for holding in row.held {
            uncount(holding.framework, holding.role, holding.resources.quantities)
            frameworks[holding.framework]?.offered -= holding.offered
        }
        forgetRefusals(at: id)
        agents.removeValue(forKey: id)
        total -= row.info.resources.quantities
        dirty.remove(id)
        withheld.remove(id)
    }

    /// Stops or resumes grants of an agent.
    public mutating func setActive(agent id: AgentID, _ isActive: Bool) {
        agents[id]?.isActive = isActive
        if isActive { mark(id) }
    }

    /// Notes that resources are held which were not granted here.
    public mutating func hold(_ allocation: Allocation) {
        guard agents[allocation.agent] != nil, frameworks[allocation.framework] != nil,
            !allocation.resources.isEmpty
        else { return }
        add(allocation, offered: false)
        refreshFree(allocation.agent)
    }

    /// Notes that offered resources have been put to use.
    public mutating func use(_ allocation: Allocation) {
        guard let index = holding(allocation) else { return }
        let amounts = allocation.resources.quantities
        agents[allocation.agent]?.held[index].offered -= amounts
        frameworks[allocation.framework]?.offered -= amounts
        forgetReturns(allocation.framework, allocation.role, at: allocation.agent)
        markWithheld()
    }

    /// Replaces held resources by what an operation has made of them.
    public mutating func convert(_ allocation: Allocation, into resources: Resources) {
        guard let row = agents[allocation.agent], let index = holding(allocation) else { return }
        let after = row.info.resources - allocation.resources + resources
        total -= row.info.resources.quantities
        total += after.quantities
        agents[allocation.agent]?.info.resources = after
        agents[allocation.agent]?.held[index].resources -= allocation.resources
        agents[allocation.agent]?.held[index].resources += resources
        refreshFree(allocation.agent)
    }

    /// Takes held resources back; what is not held is not given back either.
    public mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        guard let index = holding(allocation), !allocation.resources.isEmpty else { return }
        let returned = withoutCopies(allocation, index)
        let amounts = returned.quantities
        agents[allocation.agent]?.held[index].resources -= returned
        uncount(allocation.framework, allocation.role, amounts)
        if wasOffered {
            agents[allocation.agent]?.held[index].offered -= amounts
            frameworks[allocation.framework]?.offered -= amounts
            noteReturn(allocation, refuse, at: now)
            markWithheld()
        }
        if agents[allocation.agent]?.held[index].resources.isEmpty == true {
            agents[allocation.agent]?.held.remove(at: index)
        }
        refreshFree(allocation.agent)
        mark(allocation.agent)
    }

    /// Ends suppression and forgets refusals, in the given roles.
    public mutating func revive(_ id: FrameworkID, roles: [String]) {
        guard frameworks[id] != nil else { return }
        for role in roles {
            frameworks[id]?.roles[role]?.isSuppressed = false
            forgetRefusals(id, role)
        }
        markAll()
    }

    /// Stops grants in the given roles.
    public mutating func suppress(_ id: FrameworkID, roles: [String]) {
        for role in roles { frameworks[id]?.roles[role]?.isSuppressed = true }
        markWithheld()
    }

    /// Sets a role's weight, in thousandths.
    public mutating func setWeight(role: String, thousandths: Int64) {
        roles[role, default: RoleRow()].weight = UInt64(max(1, min(thousandths, 1 << 20)))
        markAll()
    }

    mutating func mark(_ id: AgentID) { dirty.append(id) }

    mutating func markAll() {
        for id in agents.keys { dirty.append(id) }
    }

    /// What one framework sits on, or whether another one waits, has changed.
    private mutating func markWithheld() {
        for id in withheld { dirty.append(id) }
        withheld = []
    }

    private mutating func refreshFree(_ id: AgentID) {
        guard let row = agents[id] else { return }
        var free = row.info.resources
        for holding in row.held { free -= holding.resources }
        agents[id]?.free = free
    }

    /// Where all of an allocation is held, or `nil` when it is not.
    private func holding(_ allocation: Allocation) -> Int? {
        guard let held = agents[allocation.agent]?.held else { return nil }
        return held.firstIndex {
            $0.framework == allocation.framework && $0.role == allocation.role
                && $0.resources.contains(allocation.resources)
        }
    }

    private mutating func add(_ allocation: Allocation, offered: Bool) {
        guard var held = agents[allocation.agent]?.held else { return }
        let index = held.firstIndex {
            $0.framework == allocation.framework && $0.role == allocation.role
        }
        var holding =
            index.map { held[$0] }
            ?? Holding(framework: allocation.framework, role: allocation.role)
        let known = holding.resources.items
        let copies = allocation.resources.filter { $0.isShared && known.contains($0) }
        for item in copies.items { holding.copies[item, default: 0] += 1 }
        let amounts = (allocation.resources - copies).quantities
        holding.resources += allocation.resources
        if offered {
            holding.offered += amounts
            frameworks[allocation.framework]?.offered += amounts
        }
        if let index { held[index] = holding } else { held.append(holding) }
        agents[allocation.agent]?.held = held
        frameworks[allocation.framework]?.held += amounts
        frameworks[allocation.framework]?.roles[allocation.role]?.held += amounts
        roles[allocation.role, default: RoleRow()].held += amounts
    }

    /// What is given back of an allocation once nobody else holds the same shared resources.
    private mutating func withoutCopies(_ allocation: Allocation, _ index: Int) -> Resources {
        allocation.resources.filter { item in
            guard item.isShared,
                let count = agents[allocation.agent]?.held[index].copies[item]
            else { return true }
            agents[allocation.agent]?.held[index].copies[item] = count > 1 ? count - 1 : nil
            return false
        }
    }

    private mutating func uncount(
        _ framework: FrameworkID, _ role: String, _ amounts: ResourceQuantities
    ) {
        frameworks[framework]?.held -= amounts
        frameworks[framework]?.roles[role]?.held -= amounts
        roles[role]?.held -= amounts
    }

    mutating func grant(_ allocation: Allocation) {
        add(allocation, offered: true)
        roles[allocation.role]?.grants += 1
        frameworks[allocation.framework]?.roles[allocation.role]?.grants += 1
        agents[allocation.agent]?.free -= allocation.resources
    }
}
