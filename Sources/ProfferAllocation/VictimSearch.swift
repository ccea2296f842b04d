internal import OrderedCollections
public import ProfferKernel
public import ProfferModel

/// Tasks that could be ended to make room: one, or several that live and die together.
public struct VictimCandidate: Hashable, Sendable {
    /// The tasks, at least one.
    public var tasks: [TaskKey]
    /// The role in which they hold what they hold.
    public var role: String
    /// What they hold together.
    public var resources: Resources
    /// The highest priority among them.
    public var priority: Int
    /// When the first of them began to run; `nil` is just now.
    public var startedAt: WallTime?
    /// Their executor, if it is one of the agent's ``EndingExecutor``s.
    public var executor: ExecutorKey?

    /// Sets every field; what is left out has the default shown.
    public init(
        tasks: [TaskKey], role: String, resources: Resources, priority: Int,
        startedAt: WallTime? = nil, executor: ExecutorKey? = nil
    ) {
        self.tasks = tasks
        self.role = role
        self.resources = resources
        self.priority = priority
        self.startedAt = startedAt
        self.executor = executor
    }
}

/// An executor that ends with the last of its tasks, and gives back what it holds itself.
public struct EndingExecutor: Hashable, Sendable {
    /// The executor.
    public var key: ExecutorKey
    /// The role in which it holds its resources.
    public var role: String
    /// What it holds besides its tasks.
    public var resources: Resources
    /// How many units of tasks live in it, candidates or not.
    public var units: Int

    /// Sets every field.
    public init(key: ExecutorKey, role: String, resources: Resources, units: Int) {
        self.key = key
        self.role = role
        self.resources = resources
        self.units = units
    }
}

/// An agent on which room could be made.
public struct VictimAgent: Hashable, Sendable {
    /// The agent, with its id and everything it has.
    public var info: AgentInfo
    /// What nobody holds.
    public var free: Resources
    /// How many instances of the demand it has already.
    public var instances: Int
    /// Tasks that may be ended if the rules allow it.
    public var candidates: [VictimCandidate]
    /// Executors that end with their last task.
    public var executors: [EndingExecutor]

    /// Sets every field; what is left out has the default shown.
    public init(
        info: AgentInfo, free: Resources, instances: Int = 0, candidates: [VictimCandidate] = [],
        executors: [EndingExecutor] = []
    ) {
        self.info = info
        self.free = free
        self.instances = instances
        self.candidates = candidates
        self.executors = executors
    }
}

/// What a top-level role and all below it hold or have reserved, and its quota.
public struct RoleUse: Hashable, Sendable {
    /// The quota, with the role; one that is ``/ProfferModel/Quota/isDefault`` binds nothing.
    public var quota: Quota
    /// What is held or reserved.
    public var consumed: ResourceQuantities

    /// Sets every field.
    public init(quota: Quota, consumed: ResourceQuantities) {
        self.quota = quota
        self.consumed = consumed
    }
}

/// The tasks to end on one agent.
public struct Victims: Hashable, Sendable {
    /// The agent.
    public var agent: AgentID
    /// The tasks.
    public var tasks: [TaskKey]
    /// How many instances of the demand there is room for afterwards.
    public var instances: Int
}

/// Chooses the tasks that make room for a demand which what is free cannot meet.
///
/// Only tasks of a priority strictly below the demand's are taken or, where the demand's role holds
/// less than it is guaranteed, tasks of other top-level roles whatever their priority; and never so
/// many that another top-level role falls below its own guarantee. What the demand's own top-level
/// role loses, it gets back. Agents are compared by the highest priority among the victims, then
/// by the number of victims, then by what is freed in vain; so are sets of victims of one agent.
/// Of few candidates the best set is found, of many a set from which none can be left out.
public struct VictimSearch: Sendable {
    /// So many candidates of an agent are tried in every combination.
    static let exhaustiveLimit = 12
    /// So many combinations are tried for one search; what is left is searched greedily.
    static let combinationLimit = 500_000

    let demand: Demand
    let isGuaranteed: Bool
    let tree: String
    var uses: OrderedDictionary<String, RoleUse>
    private var rows: [VictimRow] = []
    /// Rises when ``uses`` changes, which may forbid what was chosen before.
    private var version = 0
    var combinations = 0

    /// Looks at the agents that pass the constraints.
    ///
    /// O(agents · candidates).
    ///
    /// - Parameters:
    ///   - demand: What is wanted; only one instance of it is looked for at a time.
    ///   - isGuaranteed: Whether its role holds less than it is guaranteed.
    ///   - constraints: The framework's constraints for the role, if it has any.
    ///   - uses: What top-level roles with a quota hold.
    ///   - agents: Where to look.
    public init(
        for demand: Demand, isGuaranteed: Bool, constraints: OfferConstraint? = nil,
        uses: [RoleUse] = [], among agents: [VictimAgent]
    ) {
        self.demand = demand
        self.isGuaranteed = isGuaranteed
        tree = Self.topLevel(demand.role)
        self.uses = OrderedDictionary(
            uses.map { ($0.quota.role, $0) }, uniquingKeysWith: { first, _ in first })
        let own = constraints.map(AgentFilter.init)
        let filter =
            demand.constraints.isEmpty
            ? nil
            : AgentFilter(OfferConstraint(role: demand.role, groups: demand.constraints))
        for agent in agents {
            guard let id = agent.info.id, own?.admits(agent.info) ?? true,
                filter?.admits(agent.info) ?? true
            else { continue }
            rows.append(VictimRow(id, agent, for: demand, isGuaranteed: isGuaranteed))
        }
    }

    /// Takes up to so many instances from what is free, for a gang of which only the rest needs
    /// victims, and says how many there were.
    ///
    /// O(agents + instances).
    public mutating func takeFree(upTo count: Int) -> Int {
        var taken = 0
        for index in rows.indices {
            while taken < count, rows[index].fits(allowed: demand.perAgent) {
                rows[index].place()
                taken += 1
            }
        }
        return taken
    }

    /// The victims for one more instance, or `nil` when there are none; those that were named
    /// before count as ended, and their room as used.
    public mutating func next() -> Victims? {
        while !isGuaranteed || isBelowGuarantee {
            for index in rows.indices where !rows[index].isPlanned { plan(index) }
            let planned = rows.indices.filter { rows[$0].plan != nil }
            guard
                let best = planned.min(by: { left, right in
                    guard let one = rows[left].plan, let other = rows[right].plan else {
                        return false
                    }
                    return one.isBetter(than: other)
                }), let chosen = rows[best].plan
            else { return nil }
            guard rows[best].version == version else {
                plan(best)
                continue
            }
            return take(chosen, best)
        }
        return nil
    }

    /// Whether one more instance brings the demand's role nearer to what it is guaranteed.
    private var isBelowGuarantee: Bool {
        guard let use = uses[tree] else { return true }
        return demand.resources.entries.contains {
            use.consumed[$0.name] < use.quota.guarantees[$0.name]
        }
    }

    /// The top-level role above a role, or the role itself.
    static func topLevel(_ role: String) -> String { String(role.prefix { $0 != "/" }) }

    private mutating func plan(_ index: Int) {
        rows[index].plan = rows[index].fits(allowed: demand.perAgent) ? nil : search(rows[index])
        rows[index].isPlanned = true
        rows[index].version = version
    }

    private mutating func take(_ plan: VictimPlan, _ index: Int) -> Victims {
        let tasks = plan.chosen.flatMap { rows[index].candidates[$0].tasks }
        let lost = rows[index].end(plan.chosen)
        for (role, amounts) in lost { uses[role]?.consumed -= amounts }
        var instances = 0
        repeat {
            rows[index].place()
            uses[tree]?.consumed += demand.resources
            instances += 1
        } while rows[index].fits(allowed: demand.perAgent) && isWithinLimit(lost: .init())
        rows[index].isPlanned = false
        if !uses.isEmpty { version += 1 }
        return Victims(agent: rows[index].id, tasks: tasks, instances: instances)
    }

    /// Whether one more instance leaves the demand's role within its limit.
    func isWithinLimit(lost: ResourceQuantities) -> Bool {
        guard let use = uses[tree] else { return true }
        return use.quota.limits.allSatisfy { limit in
            let more = demand.resources[limit.name]
            return more == .zero
                || use.consumed[limit.name] - lost[limit.name] + more <= limit.amount
        }
    }
}

/// A set of candidates that makes room for one instance.
struct VictimPlan: Equatable, Sendable {
    /// Positions among the candidates, rising.
    var chosen: [Int]
    var highestPriority: Int
    var tasks: Int
    /// What is freed beyond the need, in millionths of what the agent has, added up.
    var excess: Int64
    /// The earliest start among the victims: the later, the less work is lost.
    var startedAt: Int64

    func isBetter(than other: VictimPlan) -> Bool {
        if highestPriority != other.highestPriority {
            return highestPriority < other.highestPriority
        }
        if tasks != other.tasks { return tasks < other.tasks }
        if excess != other.excess { return excess < other.excess }
        return startedAt > other.startedAt
    }
}

/// An agent with its amounts in dense rows: one place for each scalar it has, and one for ports.
struct VictimRow: Sendable {
    struct Candidate: Sendable {
        var tasks: [TaskKey]
        var tree: String
        var priority: Int
        var startedAt: Int64
        /// What the demand could use of what ends.
        var frees: [Int64]
        /// What its top-level role holds less afterwards.
        var loses: [Int64]
        var executor: Int?
    }

    struct Executor: Sendable {
        var key: ExecutorKey
        var tree: String
        var frees: [Int64]
        var loses: [Int64]
        var units: Int
    }

    let id: AgentID
    let names: [String]
    let total: [Int64]
    let need: [Int64]
    /// Whether the agent has all kinds of what is needed.
    let isPossible: Bool
    private(set) var free: [Int64]
    private(set) var instances: Int
    private(set) var candidates: [Candidate] = []
    private(set) var executors: [Executor] = []
    var plan: VictimPlan?
    var isPlanned = false
    var version = 0

    init(_ id: AgentID, _ agent: VictimAgent, for demand: Demand, isGuaranteed: Bool) {
        self.id = id
        instances = agent.instances
        let all = agent.info.resources.quantities
        let names = all.entries.map(\.name)
        self.names = names
        total = Self.dense(all, names) + [Int64(clamping: agent.info.resources.ports.count)]
        need = Self.dense(demand.resources, names) + [Int64(demand.ports)]
        isPossible = demand.resources.entries.allSatisfy { names.contains($0.name) }
        func usable(_ resources: Resources) -> [Int64] {
            let usable = resources.filter {
                !$0.isRevocable && !$0.isIndivisible && $0.isAllocatable(to: demand.role)
            }
            return Self.dense(usable.quantities, names)
                + [Int64(clamping: usable.ports.count)]
        }
        func counted(_ resources: Resources) -> [Int64] {
            let counted = resources.filter { !$0.isRevocable && $0.reservations.isEmpty }
            return Self.dense(counted.quantities, names) + [0]
        }
        free = usable(agent.free)
        executors = agent.executors.map {
            Executor(
                key: $0.key, tree: VictimSearch.topLevel($0.role), frees: usable($0.resources),
                loses: counted($0.resources), units: $0.units)
        }
        let own = VictimSearch.topLevel(demand.role)
        for candidate in agent.candidates {
            let tree = VictimSearch.topLevel(candidate.role)
            guard candidate.priority < demand.priority || (isGuaranteed && tree != own) else {
                continue
            }
            candidates.append(
                Candidate(
                    tasks: candidate.tasks, tree: tree, priority: candidate.priority,
                    startedAt: candidate.startedAt?.nanosecondsSince1970 ?? .max,
                    frees: usable(candidate.resources), loses: counted(candidate.resources),
                    executor: candidate.executor.flatMap { key in
                        executors.firstIndex { $0.key == key }
                    }))
        }
    }

    private static func dense(_ amounts: ResourceQuantities, _ names: [String]) -> [Int64] {
        names.map { amounts[$0].thousandths }
    }

    /// Whether an instance fits without any victim.
    func fits(allowed perAgent: Int?) -> Bool {
        isPossible && instances < perAgent ?? .max
            && need.indices.allSatisfy {
                need[$0] <= free[$0]
            }
    }

    /// Uses room for one instance.
    mutating func place() {
        instances += 1
        for index in need.indices { free[index] -= need[index] }
    }

    /// Which executors end together with these candidates.
    func ended(_ chosen: [Int]) -> [Int] {
        if executors.isEmpty { return [] }
        var left = executors.map(\.units)
        for index in chosen {
            if let executor = candidates[index].executor { left[executor] -= 1 }
        }
        return left.indices.filter { left[$0] == 0 && executors[$0].units > 0 }
    }

    /// Ends candidates, and says what each top-level role has lost.
    mutating func end(_ chosen: [Int]) -> OrderedDictionary<String, ResourceQuantities> {
        var lost: OrderedDictionary<String, ResourceQuantities> = [:]
        func lose(_ tree: String, _ amounts: [Int64]) {
            for (name, amount) in zip(names, amounts) {
                lost[tree, default: ResourceQuantities()].add(
                    Milli(thousandths: amount), to: name)
            }
        }
        for index in ended(chosen) {
            lose(executors[index].tree, executors[index].loses)
            for place in free.indices { free[place] += executors[index].frees[place] }
        }
        for index in chosen {
            let candidate = candidates[index]
            lose(candidate.tree, candidate.loses)
            for place in free.indices { free[place] += candidate.frees[place] }
            if let executor = candidate.executor { executors[executor].units -= 1 }
        }
        for index in chosen.reversed() { candidates.remove(at: index) }
        return lost
    }
}
