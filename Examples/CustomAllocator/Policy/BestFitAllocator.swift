import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel

/// Packs tasks onto few agents, so that the others stay empty.
///
/// Every framework has one offer at a time: all that is free at the fullest agent that will do.
/// Whoever holds least comes first. It knows no weights, quotas, demand, gangs or claims, and
/// offers nothing shared or revocable. O(frameworks · agents · holdings), for small clusters.
struct BestFitAllocator: Allocator {
    private struct Place: Hashable {
        var part: Allocation
        var isOffered: Bool
        init(_ part: Allocation, _ isOffered: Bool) {
            (self.part, self.isOffered) = (part, isOffered)
            (self.part.resources, self.part.demandID) = (Resources(), nil)
        }
    }

    private var agents: OrderedDictionary<AgentID, (info: AgentInfo, isActive: Bool)> = [:]
    private var frameworks: OrderedDictionary<FrameworkID, AllocatorFramework> = [:]
    private var active: Set<FrameworkID> = []
    private var held: OrderedDictionary<Place, Resources> = [:] {
        didSet { needsAllocation = true }
    }
    private var refused: [(part: Allocation, end: Instant)] = [] {
        didSet { needsAllocation = true }
    }
    private let least = Resources(cpus: Milli(thousandths: 10), mem: Milli(32)).quantities
    private(set) var needsAllocation = false
    var nextDeadline: Instant? { refused.map(\.end).min() }

    /// Makes an allocator that knows nobody.
    init() {}

    mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {
        frameworks[framework.id] = framework
        setActive(framework: framework.id, isActive)
    }

    mutating func removeFramework(_ id: FrameworkID) {
        setActive(framework: id, false)
        frameworks.removeValue(forKey: id)
        held.removeAll { $0.key.part.framework == id }
    }

    mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {
        if isActive { active.insert(id) } else { active.remove(id) }
        refused.removeAll { $0.part.framework == id && !isActive }
    }

    mutating func revive(_ id: FrameworkID, roles: [String]) {
        frameworks[id]?.suppressedRoles.removeAll(where: roles.contains)
        refused.removeAll { $0.part.framework == id && roles.contains($0.part.role) }
    }

    mutating func suppress(_ id: FrameworkID, roles: [String]) {
        frameworks[id]?.suppressedRoles += roles
    }

    mutating func setAgent(_ info: AgentInfo, isActive: Bool) {
        if let id = info.id { agents[id] = (info, isActive) }
        needsAllocation = true
    }

    mutating func removeAgent(_ id: AgentID) {
        agents.removeValue(forKey: id)
        held.removeAll { $0.key.part.agent == id }
        refused.removeAll { $0.part.agent == id }
    }

    mutating func setActive(agent id: AgentID, _ isActive: Bool) {
        agents[id]?.isActive = isActive
        needsAllocation = true
    }

    mutating func setWeight(role: String, thousandths: Int64) {}

    mutating func hold(_ part: Allocation) {
        guard frameworks[part.framework] != nil, agents[part.agent] != nil else { return }
        held[Place(part, false), default: Resources()] += part.resources
    }
    mutating func use(_ part: Allocation) { if take(part, true) { hold(part) } }

    mutating func convert(_ part: Allocation, into resources: Resources) {
        guard let place = [true, false].first(where: { take(part, $0) }) else { return }
        held[Place(part, place), default: Resources()] += resources
        agents[part.agent]?.info.resources -= part.resources
        agents[part.agent]?.info.resources += resources
    }

    mutating func recover(
        _ part: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        if take(part, wasOffered), let refuse { refused.append((part, now + refuse)) }
    }

    private mutating func take(_ part: Allocation, _ isOffered: Bool) -> Bool {
        let place = Place(part, isOffered)
        guard let rest = held[place]?.subtracting(exactly: part.resources) else { return false }
        held[place] = rest.isEmpty ? nil : rest
        return true
    }

    mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        refused.removeAll { $0.end <= now }
        let shares = frameworks.keys.map { shareMillionths(framework: $0) }
        for index in shares.indices.sorted(by: { (shares[$0], $0) < (shares[$1], $1) }) {
            guard let grant = bestFit(frameworks.elements[index].value) else { continue }
            held[Place(grant, true)] = grant.resources
            grants.append(Grant(allocation: grant))
        }
        needsAllocation = false
    }

    private func bestFit(_ own: AllocatorFramework) -> Allocation? {
        let hasOffer = held.keys.contains { $0.isOffered && $0.part.framework == own.id }
        if !active.contains(own.id) || hasOffer { return nil }
        let fits = own.roles.filter { !own.suppressedRoles.contains($0) }
            .flatMap { role in agents.keys.compactMap { offer($0, own, role) } }
            .map { (cpus: $0.resources.cpus, mem: $0.resources.mem, part: $0) }
        return fits.min { ($0.cpus, $0.mem) < ($1.cpus, $1.mem) }?.part
    }

    private func offer(_ id: AgentID, _ own: AllocatorFramework, _ role: String) -> Allocation? {
        guard let agent = agents[id], agent.isActive else { return nil }
        let taken = held.filter { $0.key.part.agent == id }.values.reduce(Resources(), +).nonShared
        let free = (agent.info.resources.nonShared - taken).nonRevocable.allocatable(to: role)
        let part = Allocation(framework: own.id, role: role, agent: id, resources: free)
        let isRefused = refused.contains {
            Place($0.part, true) == Place(part, true) && $0.part.resources.contains(free)
        }
        let minimums = own.minimums.first { $0.role == role }?.quantities ?? [least]
        return !isRefused && minimums.contains(where: free.quantities.contains) ? part : nil
    }

    func shareMillionths(framework id: FrameworkID) -> Int64 { share { $0.framework == id } }
    func shareMillionths(role: String) -> Int64 { share { $0.role == role } }

    private func share(_ isMeant: (Allocation) -> Bool) -> Int64 {
        let own = held.filter { isMeant($0.key.part) }.values.reduce(Resources(), +)
        let all = agents.values.map(\.info.resources).reduce(Resources(), +)
        let shares = [(own.cpus, all.cpus), (own.mem, all.mem)].map { own, all in
            Int128(own.thousandths) * 1_000_000 / max(1, Int128(all.thousandths))
        }
        return Int64(clamping: shares.max() ?? 0)
    }
}
