internal import OrderedCollections
public import ProfferKernel
public import ProfferModel

/// Weighted dominant resource fairness, first over roles and then over the frameworks of a role,
/// with reservations and refusals.
///
/// Only agents at which something has changed are looked at, and only frameworks that are active
/// and not suppressed. What is free at an agent goes to the first framework in order whole.
public struct FairShareAllocator: Allocator {
    /// What it can be told to do otherwise.
    public struct Options: Hashable, Sendable {
        /// The least that is worth an offer: any one of these.
        public var minimums: [ResourceQuantities]
        /// The share of the cluster, in thousandths of a resource, that one framework may hold in
        /// offers while another one waits. 1000 is no limit.
        public var offeredLimitThousandths: UInt64 = 500
        /// Whether agents with GPUs are kept for frameworks that can use them.
        public var keepsGPUs = true

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
    }

    struct AgentRow: Sendable {
        var info: AgentInfo
        var isActive: Bool
        var held: [Allocation] = []
        var free: Resources
        var refusals: [Refusal] = []
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
    var expiries = DeadlineQueue<RefusalKey>()
    var nextSerial: UInt64 = 0

    /// Makes an allocator that knows nobody.
    public init(options: Options = Options()) { self.options = options }

    /// When the next refusal ends.
    public var nextDeadline: Instant? { expiries.next }

    /// Whether an agent has to be looked at.
    public var needsAllocation: Bool { !dirty.isEmpty }

    public func shareMillionths(framework id: FrameworkID) -> Int64 {
        Share(frameworks[id]?.held ?? ResourceQuantities(), of: total).millionths
    }

    public func shareMillionths(role: String) -> Int64 {
        Share(roles[role]?.held ?? ResourceQuantities(), of: total).millionths
    }

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
            roles[role, default: RoleRow()].frameworks.append(framework.id)
        }
        frameworks[framework.id] = row
        if isActive { markAll() }
    }

    public mutating func removeFramework(_ id: FrameworkID) {
        guard let row = frameworks.removeValue(forKey: id) else { return }
        for role in row.roles.keys {
            roles[role]?.frameworks.remove(id)
            forgetRefusals(id, role)
        }
    }

    public mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {
        guard let row = frameworks[id] else { return }
        frameworks[id]?.isActive = isActive
        if isActive {
            markAll()
        } else {
            for role in row.roles.keys { forgetRefusals(id, role) }
        }
    }

    public mutating func setAgent(_ info: AgentInfo, isActive: Bool) {
        guard let id = info.id else { return }
        if let old = agents[id] {
            total -= old.info.resources.quantities
            agents[id]?.info = info
            agents[id]?.isActive = isActive
            // Whoever refused this agent has refused another one.
            if old.info.attributes != info.attributes { agents[id]?.refusals = [] }
            refreshFree(id)
        } else {
            agents[id] = AgentRow(info: info, isActive: isActive, free: info.resources)
        }
        total += info.resources.quantities
        mark(id)
    }

    public mutating func removeAgent(_ id: AgentID) {
        guard let row = agents[id] else { return }
        for allocation in row.held { count(allocation, sign: -1, offered: true) }
        agents.removeValue(forKey: id)
        total -= row.info.resources.quantities
        dirty.remove(id)
    }

    public mutating func setActive(agent id: AgentID, _ isActive: Bool) {
        agents[id]?.isActive = isActive
        if isActive { mark(id) }
    }

    public mutating func hold(_ allocation: Allocation) {
        guard agents[allocation.agent] != nil, !allocation.resources.isEmpty else { return }
        add(allocation)
        count(allocation, sign: 1, offered: false)
        refreshFree(allocation.agent)
    }

    public mutating func use(_ allocation: Allocation) {
        frameworks[allocation.framework]?.offered -= allocation.resources.quantities
    }

    public mutating func convert(_ allocation: Allocation, into resources: Resources) {
        guard let row = agents[allocation.agent] else { return }
        let before = row.info.resources
        agents[allocation.agent]?.info.resources = before - allocation.resources + resources
        total -= before.quantities
        total += agents[allocation.agent]?.info.resources.quantities ?? ResourceQuantities()
        subtract(allocation)
        var converted = allocation
        converted.resources = resources
        add(converted)
        refreshFree(allocation.agent)
    }

    public mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        guard agents[allocation.agent] != nil else { return }
        subtract(allocation)
        count(allocation, sign: -1, offered: wasOffered)
        refreshFree(allocation.agent)
        if let refuse, refuse > .zero, !allocation.resources.isEmpty {
            nextSerial += 1
            agents[allocation.agent]?.refusals.append(
                Refusal(
                    framework: allocation.framework, role: allocation.role,
                    resources: allocation.resources, serial: nextSerial))
            expiries.set(
                RefusalKey(agent: allocation.agent, serial: nextSerial), to: now + refuse)
        }
        mark(allocation.agent)
    }

    public mutating func revive(_ id: FrameworkID, roles: [String]) {
        for role in roles {
            frameworks[id]?.roles[role]?.isSuppressed = false
            forgetRefusals(id, role)
        }
        markAll()
    }

    public mutating func suppress(_ id: FrameworkID, roles: [String]) {
        for role in roles { frameworks[id]?.roles[role]?.isSuppressed = true }
    }

    public mutating func setWeight(role: String, thousandths: Int64) {
        roles[role, default: RoleRow()].weight = UInt64(max(1, min(thousandths, 1 << 20)))
        markAll()
    }

    mutating func mark(_ id: AgentID) { dirty.append(id) }

    mutating func markAll() {
        for id in agents.keys { dirty.append(id) }
    }

    private mutating func forgetRefusals(_ framework: FrameworkID, _ role: String) {
        for index in agents.values.indices {
            agents.values[index].refusals.removeAll {
                $0.framework == framework && $0.role == role
            }
        }
    }

    private mutating func refreshFree(_ id: AgentID) {
        guard let row = agents[id] else { return }
        var free = row.info.resources
        for allocation in row.held { free -= allocation.resources }
        agents[id]?.free = free
    }

    private mutating func add(_ allocation: Allocation) {
        let index = agents[allocation.agent]?.held.firstIndex {
            $0.framework == allocation.framework && $0.role == allocation.role
        }
        if let index {
            agents[allocation.agent]?.held[index].resources += allocation.resources
        } else {
            agents[allocation.agent]?.held.append(allocation)
        }
    }

    private mutating func subtract(_ allocation: Allocation) {
        let index = agents[allocation.agent]?.held.firstIndex {
            $0.framework == allocation.framework && $0.role == allocation.role
        }
        guard let index else { return }
        agents[allocation.agent]?.held[index].resources -= allocation.resources
        if agents[allocation.agent]?.held[index].resources.isEmpty == true {
            agents[allocation.agent]?.held.remove(at: index)
        }
    }

    private mutating func count(_ allocation: Allocation, sign: Int, offered: Bool) {
        let amounts = allocation.resources.quantities
        let framework = allocation.framework
        let role = allocation.role
        if sign > 0 {
            frameworks[framework]?.held += amounts
            if offered { frameworks[framework]?.offered += amounts }
            frameworks[framework]?.roles[role]?.held += amounts
            roles[role, default: RoleRow()].held += amounts
        } else {
            frameworks[framework]?.held -= amounts
            if offered { frameworks[framework]?.offered -= amounts }
            frameworks[framework]?.roles[role]?.held -= amounts
            roles[role, default: RoleRow()].held -= amounts
        }
    }

    mutating func grant(_ allocation: Allocation) {
        add(allocation)
        count(allocation, sign: 1, offered: true)
        roles[allocation.role]?.grants += 1
        frameworks[allocation.framework]?.roles[allocation.role]?.grants += 1
        agents[allocation.agent]?.free -= allocation.resources
    }
}
