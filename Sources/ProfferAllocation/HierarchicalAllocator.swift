internal import OrderedCollections
public import ProfferKernel
public import ProfferModel

/// Hierarchical weighted dominant resource fairness with quota, reservations, demand, gangs and
/// claims; event-driven and incremental.
///
/// Only what has changed is looked at: agents at which something became free, and frameworks that
/// want something new. A pair of both that was found not to go together is not looked at again
/// until one of the two changes, so a round costs in proportion to the changes and not to the
/// cluster. Rows are dense and named by small numbers; scalars are vectors without allocations.
///
/// - SeeAlso: Ghodsi et al., Dominant Resource Fairness, NSDI 2011.
public struct HierarchicalAllocator: Allocator {
    /// What it can be told to do otherwise.
    public struct Options: Hashable, Sendable {
        /// The least that is worth a classic offer: any one of these.
        public var minimums: [ResourceQuantities]
        /// The share of the cluster, in thousandths of a resource, that one framework may hold in
        /// offers while another one waits; 1000 is no limit.
        ///
        /// While more than four wait it is less: one to two times an equal part for each.
        public var offeredLimitThousandths: UInt64 = 500
        /// Whether agents with GPUs are kept for frameworks that can use them.
        public var keepsGPUs = true
        /// The longest pause before a framework that gives the same agent back whole, again and
        /// again and without a refusal, is offered it anew; the first times there is none.
        public var returnPauseLimit = Duration.seconds(1)
        /// The longest refusal that is put in place of a shorter one when a framework has declined
        /// whatever it was offered for several rounds; zero is never.
        public var backOffLimit = Duration.seconds(60)
        /// When so many frameworks in a row have declined all that is free at an agent, those known
        /// to want something, by a stated demand or by having used their last offer, come first
        /// there; zero is never.
        ///
        /// When ten times as many others in a row have declined whatever it was, at any agent,
        /// those known come first everywhere, but for one time in 32: so a crowd that wants
        /// nothing costs those who do next to nothing, and somebody new is still found out.
        public var declinesBeforeKnown = 3
        /// The order of sibling roles.
        public var roleSorter = ShareOrder.dominantShare
        /// The order of the frameworks in a role.
        public var frameworkSorter = ShareOrder.dominantShare
        /// Scalar resources that do not count for fairness.
        public var excludedNames: [String] = []
        /// The master's region: agents elsewhere are for frameworks that are aware of regions.
        public var region: String?
        /// How long what is free is kept for the gang whose turn it is.
        public var gangTurn = Duration.seconds(60)
        /// Where lots begin.
        public var seed: UInt64 = 0

        /// The defaults: 0.01 cores or 32 MiB, half of the cluster.
        public init() {
            var cpus = ResourceQuantities()
            cpus.add(Milli(thousandths: 10), to: "cpus")
            var mem = ResourceQuantities()
            mem.add(Milli(32), to: "mem")
            minimums = [cpus, mem]
        }
    }

    let options: Options
    var columns = ScalarColumns()
    var tree: RoleTree
    var agents: ContiguousArray<AgentRow> = []
    var agentIndex = LookupTable<AgentID, Int>()
    var deadAgents = 0
    var frameworks: ContiguousArray<FrameworkRow> = []
    var frameworkIndex = LookupTable<FrameworkID, Int>()
    var freeFrameworks: [Int] = []
    /// By the tree's number of a framework in a role.
    var slots: ContiguousArray<SlotRow> = []
    /// By slot: the least that any demand of it that is not met needs, column by column.
    var needs: ContiguousArray<Amounts> = []
    var minimums: [Amounts] = []
    var refusals = RefusalTable()
    var quotas = QuotaTable()
    var gangs = GangState()
    /// What all agents have.
    var total = Amounts()
    /// What is free of it on active agents, unreserved and not revocable.
    var available = Amounts()
    var activeAgents = 0
    /// Agents with something free.
    var freeAgents = Bits()
    /// Agents at which something has become free or possible.
    var dirtyAgents = Bits()
    /// Frameworks in roles that want something they did not want before.
    var dirtySlots = Bits()
    /// Frameworks that a limit on offers has kept from something.
    var cappedSlots = Bits()
    /// What all agents had when the first of them was kept from it.
    var cappedTotal = Amounts()
    /// Frameworks in roles that have used what they were offered last.
    var usingSlots = Bits()
    /// How many offers in a row were declined, of those made to frameworks not known to want any.
    var vainOffers = 0
    /// How often those known to want something have been put first since.
    var detours = 0
    /// Frameworks in roles that the limit of their role has kept from something.
    var limitedSlots = Bits()
    /// Frameworks that got nothing because of what is kept for guarantees, and what was there
    /// beyond that then.
    var keptSlots = Bits()
    var keptHeadroom = Amounts()
    /// Agents whose free resources have changed since somebody asked.
    var changedAgents = Bits()
    var waitingFrameworks = 0
    /// Frameworks in roles that state what they want.
    var demandSlots = Bits()
    var priorities: [PriorityLevel] = []
    /// When frameworks that only decline are offered something again.
    var pauses = DeadlineQueue<Int>()
    /// When an agent is looked at again that somebody had returned again and again.
    var returnPauses = ReturnPauses()
    /// The instant of the round, or of the question, that is being answered.
    var now = Instant.zero
    var agentHold: (count: Int, until: Instant)?
    var backOffs: [BackOff] = []
    var round: UInt64 = 0
    var nextEpoch: UInt32 = 0
    /// Whether somebody may want neither cpus nor mem.
    var hasUnusualNeeds = false

    /// Makes an allocator that knows nobody.
    public init(options: Options = Options()) {
        self.options = options
        tree = RoleTree(
            roles: options.roleSorter, clients: options.frameworkSorter, seed: options.seed)
        for name in options.minimums.flatMap({ $0.entries.map(\.name) }) {
            _ = columns.intern(name)
        }
        minimums = options.minimums.map { columns.amounts($0) }
        noteNeeds(minimums)
        if minimums.isEmpty { hasUnusualNeeds = true }
        tree.exclude(options.excludedNames.compactMap { columns.intern($0) })
    }

    // MARK: Rows

    struct AgentRow: Sendable {
        // What a round looks at stands first, so that it shares cache lines.

        /// False once it is removed; the row is dropped when many are.
        var isUsed = true
        var isActive: Bool
        var hasGPUs = false
        /// Whether everyone may have all of its extras.
        var hasPublicExtras = true
        /// Whether its software copes with every role.
        var copesWithAll = false
        /// Whether more is held than there is, as when an agent comes back smaller.
        var isOvercommitted = false
        /// So many frameworks in a row have declined all that is free.
        var declines: UInt8 = 0
        /// Who is offered all that is free in one piece, or -1.
        ///
        /// Then `free` says what that is, though none of it is free, and no holding counts it: most
        /// offers are of this kind, and coming and going costs them next to nothing. Everything
        /// else calls ``settle(_:)`` first.
        var lentTo: Int32 = -1
        /// What it fails by while it is not active.
        var inactiveBecause = PlacementCheck.agentActive
        var free: Parcel
        /// All that is free, put together, if it has been put together.
        var whole: Resources?
        var id: AgentID
        var refused = RefusalGroups()
        var holdings: [Holding] = []
        /// The round in which a shared volume was granted last: once is enough in one round.
        var sharedRound: UInt64 = 0
        var total: Parcel
        var info: AgentInfo
    }

    /// What a framework in a role holds of an agent, apart for each demand.
    struct Holding: Sendable {
        var slot: Int
        var demand: String?
        var used = Parcel()
        var offered = Parcel()

        var isEmpty: Bool { used.isEmpty && offered.isEmpty }
    }

    struct FrameworkRow: Sendable {
        var description: AllocatorFramework
        var isActive: Bool
        var isUsed = true
        var slots: [Int] = []
        var offered = Amounts()
        var held = Amounts()
        var hasDemands = false
        var waitingSlots = 0
        /// Of its roles together.
        var isMultiRole: Bool { description.roles.count > 1 }
    }

    /// A framework in a role.
    struct SlotRow: Sendable {
        var framework: Int
        var role: String
        var isUsed = true
        var isSubscribed = true
        var isSuppressed = false
        /// The least that an offer must hold, where the framework says so itself.
        var minimums: [Amounts]?
        /// Whether it asks for at least what no agent has.
        var isInsatiable = false
        /// Which agents it wants to hear of; all without.
        var filter: AgentFilter?
        var verdicts = AgentVerdicts()
        var demands: [DemandRow] = []
        /// Of its demands that are not met, or of the framework.
        var priorities: [Int] = []
        /// Of agents at which it has something or is offered it.
        var holdings = 0
        var refusedAgents = Bits()
        /// Agents at which a pause keeps it, or kept it, from what it had returned.
        var pausedAgents = Bits()
        /// So many rounds in a row in which all it did was to decline.
        var declines = 0
        var declinedRound: UInt64 = 0
        /// Changes with each revival, so that what was noted before is void.
        var epoch: UInt32 = 0
        /// It has only declined for so long that it is offered nothing until then.
        var pausedUntil: Instant?
    }

    /// Frameworks in roles that wait with one priority.
    struct PriorityLevel: Sendable {
        var priority: Int
        var slots = Bits()
    }

    // MARK: State

    /// When a refusal, a gang's turn or the wait for agents ends.
    public var nextDeadline: Instant? {
        earliest(
            earliest(refusals.nextEnd, earliest(pauses.next, returnPauses.nextEnd)),
            earliest(gangs.nextDeadline, agentHold?.until))
    }

    /// Whether something has changed that may lead to a grant.
    public var needsAllocation: Bool {
        if isWaitingForAgents { return false }
        return !dirtyAgents.isEmpty || !dirtySlots.isEmpty || gangs.needsLook
    }

    var isWaitingForAgents: Bool {
        guard let agentHold else { return false }
        return quotas.hasGuarantees && activeAgents < agentHold.count
    }

    /// A framework's dominant share of the cluster, unweighted.
    public func shareMillionths(framework id: FrameworkID) -> Int64 {
        guard let index = frameworkIndex[id] else { return 0 }
        return DominantShare(frameworks[index].held, of: total, counted: tree.counted).millionths
    }

    /// A role's dominant share of the cluster, unweighted.
    public func shareMillionths(role: String) -> Int64 {
        guard let node = tree.find(role) else { return 0 }
        return DominantShare(tree.nodes[node].held, of: total, counted: tree.counted).millionths
    }

    /// Sets a role's weight, in thousandths.
    public mutating func setWeight(role: String, thousandths: Int64) {
        tree.setWeight(role, UInt64(max(1, min(thousandths, 1 << 20))))
        // Nobody can have more than before, but whoever comes first may have changed.
        markWaitingSlots()
    }

    /// Waits for agents while anybody has a guarantee.
    public mutating func awaitAgents(_ count: Int, until limit: Instant) {
        agentHold = count > 0 ? (count, limit) : nil
    }

    /// Which agents' free resources have changed since the last call; O(agents changed).
    public mutating func takeChangedAgents() -> [AgentID] {
        let changed = changedAgents.members
        changedAgents.removeAll()
        return changed.compactMap { agents[$0].isUsed ? agents[$0].info.id : nil }
    }

    /// Which pauses have begun or grown since the last call.
    public mutating func takeBackOffs() -> [BackOff] {
        defer { backOffs.removeAll() }
        return backOffs
    }

    /// What a framework in one of these roles could claim of an agent now.
    public func free(_ id: AgentID, roles: [String]) -> Resources {
        guard let index = agentIndex[id], agents[index].isActive, agents[index].lentTo < 0
        else { return Resources() }
        var parcel = agents[index].free
        parcel.extras = parcel.extras.filter { item in
            roles.contains { item.isAllocatable(to: $0) }
        }
        return columns.resources(parcel)
    }

    /// Has every agent looked at anew in the next round, as if everything had changed; O(agents).
    ///
    /// Nothing needs it: it is there to measure a whole round.
    public mutating func markAllForReview() {
        for index in agents.indices where agents[index].isUsed { dirtyAgents.insert(index) }
    }

    func markedRole(_ slot: Int) -> Int { tree.nodes[tree.clients[slot].leaf].top }
}
