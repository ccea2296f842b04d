public import ProfferKernel
public import ProfferModel

extension HierarchicalAllocator {
    /// What a framework in a role wants, and how much of it is on its way.
    struct DemandRow: Sendable {
        var demand: Demand
        /// The scalars of one instance.
        var shape: Amounts
        /// Names of resources that have no column, so that no agent can have them.
        var unknown: [String]
        /// Which agents will do; all without.
        var filter: AgentFilter?
        var verdicts = AgentVerdicts()
        /// Instances that are neither launched nor given up.
        var remaining: Int
        /// Instances in offers that are not answered.
        var outstanding = 0
        var waitingSince: Instant
        /// Of a gang that has had its turn for nothing.
        var pausedUntil: Instant?
        var pauses = 0

        var missing: Int { max(0, remaining - outstanding) }
        var isMet: Bool { missing == 0 }

        /// Whether the same agents would do for both.
        func isAlike(_ other: Demand) -> Bool {
            demand.resources == other.resources && demand.ports == other.ports
                && demand.constraints == other.constraints && demand.priority == other.priority
                && demand.gang == other.gang && demand.perOffer == other.perOffer
                && demand.perAgent == other.perAgent
        }
    }

    /// Replaces what a framework wants.
    ///
    /// O(demands), and O(agents) where the shape of a demand changes that is in offers.
    public mutating func setDemands(_ id: FrameworkID, _ demands: [Demand], at now: Instant) {
        guard let index = frameworkIndex[id] else { return }
        let hadDemands = frameworks[index].hasDemands
        frameworks[index].hasDemands = !demands.isEmpty
        for slot in frameworks[index].slots where slots[slot].isSubscribed {
            let wanted = demands.filter { $0.role == slots[slot].role && $0.problem == nil }
            setDemands(slot, wanted, wasClassic: !hadDemands, at: now)
        }
    }

    private mutating func setDemands(
        _ slot: Int, _ wanted: [Demand], wasClassic: Bool, at now: Instant
    ) {
        let before = slots[slot].demands
        var isNew = wasClassic != wanted.isEmpty
        var rows: [DemandRow] = []
        for demand in wanted where !rows.contains(where: { $0.demand.id == demand.id }) {
            if var known = before.first(where: { $0.demand.id == demand.id }),
                known.isAlike(demand)
            {
                if known.isMet { isNew = true }
                if known.isMet || known.remaining == 0 { known.waitingSince = now }
                known.demand = demand
                known.remaining = demand.count
                rows.append(known)
                continue
            }
            isNew = true
            var row = row(for: demand, at: now)
            if before.contains(where: { $0.demand.id == demand.id && $0.outstanding > 0 }) {
                row.outstanding = outstanding(slot, row)
            }
            rows.append(row)
        }
        slots[slot].demands = rows
        noteNeeds(rows.map(\.shape))
        endPause(slot)
        refreshWaiting(slot)
        if isNew, tree.clients[slot].isWaiting { dirtySlots.insert(slot) }
        gangs.note(slot, hasGangs: rows.contains { $0.demand.gang > 1 })
    }

    /// Gives the scalars of an agent columns, and whoever asked for one of them another look.
    ///
    /// O(frameworks and their demands), for each new name once.
    mutating func learn(_ resources: Resources) {
        guard columns.learn(resources) else { return }
        for slot in slots.indices where slots[slot].isUsed {
            readMinimums(slot)
            var isNew = false
            for row in slots[slot].demands.indices {
                let wanted = slots[slot].demands[row].demand.resources
                guard !slots[slot].demands[row].unknown.isEmpty else { continue }
                slots[slot].demands[row].unknown = columns.unknown(wanted)
                slots[slot].demands[row].shape = columns.amounts(wanted)
                isNew = true
            }
            guard isNew else { continue }
            refreshWaiting(slot)
            if tree.clients[slot].isWaiting { dirtySlots.insert(slot) }
            if gangs.hasDemands { gangs.needsLook = true }
        }
    }

    func row(for demand: Demand, at now: Instant) -> DemandRow {
        DemandRow(
            demand: demand, shape: columns.amounts(demand.resources),
            unknown: columns.unknown(demand.resources),
            filter: demand.constraints.isEmpty
                ? nil
                : AgentFilter(OfferConstraint(role: demand.role, groups: demand.constraints)),
            remaining: demand.count, waitingSince: now)
    }

    /// Instances in offers; O(agents).
    private func outstanding(_ slot: Int, _ row: DemandRow) -> Int {
        agents.reduce(0) { sum, agent in
            agent.holdings.reduce(sum) { sum, holding in
                guard holding.slot == slot, holding.demand == row.demand.id else { return sum }
                return sum + instances(row, holding.offered)
            }
        }
    }

    /// How many instances a parcel is enough for.
    func instances(_ row: DemandRow, _ parcel: Parcel) -> Int {
        if parcel.isEmpty { return 0 }
        if !row.shape.isZero {
            return scalars(parcel).count(of: row.shape, upTo: Demand.instanceLimit)
        }
        guard row.demand.ports > 0 else { return 0 }
        return Self.ports(parcel.extras).memberCount / row.demand.ports
    }

    /// Unreserved ports.
    static func ports(_ extras: Resources) -> IntervalSet {
        for item in extras.items where item.name == "ports" && item.isPlain {
            if case .ranges(let intervals) = item.value { return intervals }
        }
        return IntervalSet()
    }

    /// The parts of extras that are scalars reserved for a role and nothing more particular.
    static func isReservedScalar(_ item: Resource, for role: String) -> Bool {
        guard case .scalar = item.value else { return false }
        return !item.reservations.isEmpty && item.disk == nil && !item.isRevocable
            && !item.isShared && item.isAllocatable(to: role)
    }

    /// So many instances of a demand out of what is free, reserved resources first; ports from the
    /// lowest.
    func portion(_ row: DemandRow, _ count: Int, of free: Parcel) -> Parcel {
        var need = row.shape.times(count)
        var parcel = Parcel()
        if !free.extras.isEmpty {
            var taken: [Resource] = []
            for item in free.extras.items
            where Self.isReservedScalar(item, for: row.demand.role) {
                guard case .scalar(let amount) = item.value, let column = columns.find(item.name),
                    need[column] > 0
                else { continue }
                let part = min(need[column], amount.thousandths)
                need[column] -= part
                var piece = item
                piece.value = .scalar(Milli(thousandths: part))
                taken.append(piece)
            }
            if row.demand.ports > 0 {
                let ports = Self.ports(free.extras).first(row.demand.ports * count)
                taken.append(Resource("ports", .ranges(ports)))
            }
            parcel.extras = Resources(distinct: taken)
            parcel.hasScalarExtras = free.hasScalarExtras
        }
        parcel.plain = need
        return parcel
    }

    /// The most instances that one grant may carry, so that many who wait get their part.
    func fairCount(_ row: DemandRow) -> Int {
        guard waitingFrameworks > 1 else { return Demand.instanceLimit }
        var count = Int64(Demand.instanceLimit)
        for column in 0..<row.shape.width where row.shape[column] > 0 && total[column] > 0 {
            count = min(count, total[column] / Int64(waitingFrameworks) / row.shape[column])
        }
        return max(1, Int(count))
    }
}

extension IntervalSet {
    /// How many members it has, as far as that can be counted.
    var memberCount: Int { Int(clamping: count) }

    /// The lowest members.
    func first(_ wanted: Int) -> IntervalSet {
        var left = UInt64(max(0, wanted))
        var kept: [ClosedRange<UInt64>] = []
        for interval in intervals where left > 0 {
            let size = interval.upperBound - interval.lowerBound
            if size >= left {
                kept.append(interval.lowerBound...(interval.lowerBound + left - 1))
                left = 0
            } else {
                kept.append(interval)
                left -= size + 1
            }
        }
        return IntervalSet(kept)
    }
}
