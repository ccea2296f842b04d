internal import ProfferKernel
internal import ProfferModel

/// What can be given to a framework at an agent.
struct Plan: Sendable {
    var slot: Int
    var parcel: Parcel
    /// The place of the demand it is for.
    var demand: Int?
    var instances = 0
    /// Whether everything free but plain scalars belongs to it, though the parcel leaves it out.
    var hasAllExtras = false
}

/// Whether a framework can have something of an agent.
enum Verdict: Sendable {
    case fits(Plan)
    /// The first check that fails.
    case fails(PlacementCheck)
}

extension HierarchicalAllocator {
    /// Every check, in the order of ``/ProfferModel/PlacementCheck``; the one way to a grant, and
    /// to an explanation.
    ///
    /// - Parameters:
    ///   - slot: The framework in a role.
    ///   - agent: The agent.
    ///   - demand: The place of one of its demands; `nil` is a classic offer.
    ///   - most: So many instances at most, for a gang, which may hold more in offers than others.
    /// - Returns: What can be given, or the first check that fails.
    mutating func verdict(
        _ slot: Int, _ agent: Int, demand: Int?, most: Int? = nil
    ) -> Verdict {
        if !agents[agent].isActive { return .fails(agents[agent].inactiveBecause) }
        if !isAdmitted(slot, agent, demand) { return .fails(.constraints) }
        let framework = slots[slot].framework
        if !copes(agent, framework, slot) { return .fails(.capabilities) }
        if isFar(agent, framework) { return .fails(.region) }
        if isKeptForGPUs(agent, framework) { return .fails(.gpus) }
        if let demand { return verdict(slot, agent, of: demand, most: most) }

        var parcel: Parcel
        // The usual case: whoever gets the scalars gets the rest, so that need not be touched.
        let hasAllExtras =
            agents[agent].hasPublicExtras && !agents[agent].free.hasScalarExtras
        if hasAllExtras, !agents[agent].free.plain.isZero {
            parcel = Parcel(plain: agents[agent].free.plain.raisedToZero)
        } else {
            parcel = offerable(slot, agent)
        }
        if parcel.isEmpty {
            return .fails(agents[agent].free.isEmpty ? .resources : .reservations)
        }
        if !isWorthwhile(parcel, slot) { return .fails(.resources) }
        if gangs.keeps(agent, against: slot) {
            parcel.plain = (parcel.plain - gangs.kept(agent)).raisedToZero
            if !isWorthwhile(parcel, slot) { return .fails(.gang) }
        }
        if let check = restrict(slot, &parcel), !isWorthwhile(parcel, slot) {
            return .fails(check)
        }
        if isRefused(slot, agent, parcel, withAllExtras: hasAllExtras) { return .fails(.refusal) }
        if holdsTooMuch(slot, with: parcel) { return .fails(.offeredLimit) }
        return .fits(Plan(slot: slot, parcel: parcel, hasAllExtras: hasAllExtras))
    }

    private mutating func verdict(
        _ slot: Int, _ agent: Int, of demand: Int, most: Int?
    ) -> Verdict {
        let row = slots[slot].demands[demand]
        if !row.unknown.isEmpty { return .fails(.resources) }
        var free = Parcel()
        free.plain = agents[agent].free.plain.raisedToZero
        var limit = min(row.missing, most ?? row.demand.perOffer ?? row.missing)
        if most == nil { limit = min(limit, fairCount(row)) }
        limit = max(1, limit)
        if agents[agent].hasPublicExtras, row.demand.ports == 0 {
            // The usual case: nothing but plain scalars matters.
            if free.plain.count(of: row.shape, upTo: 1) == 0 { return .fails(.resources) }
        } else {
            free.extras = offerableExtras(slot, agent)
            free.hasScalarExtras = agents[agent].free.hasScalarExtras
        }
        var count = fitting(row, limit, free)
        if count == 0 {
            let isReserved = offerable(slot, agent).isEmpty && !agents[agent].free.isEmpty
            return .fails(isReserved ? .reservations : .resources)
        }
        if gangs.keeps(agent, against: slot) {
            free.plain = (free.plain - gangs.kept(agent)).raisedToZero
            count = fitting(row, limit, free)
            if count == 0 { return .fails(.gang) }
        }
        if let check = restrict(slot, &free) {
            count = fitting(row, limit, free)
            if count == 0 { return .fails(check) }
        }
        if let bound = row.demand.perAgent {
            count = min(count, max(0, bound - present(slot, agent, row)))
            if count == 0 { return .fails(.perAgent) }
        }
        let parcel = portion(row, count, of: free)
        if isRefused(slot, agent, parcel) { return .fails(.refusal) }
        if most == nil, holdsTooMuch(slot, with: parcel) {
            return .fails(.offeredLimit)
        }
        return .fits(Plan(slot: slot, parcel: parcel, demand: demand, instances: count))
    }

    // MARK: Single checks

    mutating func isAdmitted(_ slot: Int, _ agent: Int, _ demand: Int?) -> Bool {
        if let filter = slots[slot].filter {
            let info = agents[agent].info
            guard slots[slot].verdicts.holds(agent, { filter.admits(info) }) else { return false }
        }
        guard let demand, let filter = slots[slot].demands[demand].filter else { return true }
        let info = agents[agent].info
        return slots[slot].demands[demand].verdicts.holds(agent) { filter.admits(info) }
    }

    func copes(_ agent: Int, _ framework: Int, _ slot: Int) -> Bool {
        if agents[agent].copesWithAll { return true }
        let can = agents[agent].info.capabilities
        if !can.contains(.multiRole), frameworks[framework].isMultiRole { return false }
        return can.contains(.hierarchicalRole) || !slots[slot].role.utf8.contains(0x2f)
    }

    func isFar(_ agent: Int, _ framework: Int) -> Bool {
        guard let own = options.region, let there = agents[agent].info.domain?.region else {
            return false
        }
        return own != there
            && !frameworks[framework].description.capabilities.contains(.regionAware)
    }

    func isKeptForGPUs(_ agent: Int, _ framework: Int) -> Bool {
        agents[agent].hasGPUs && options.keepsGPUs
            && !frameworks[framework].description.capabilities.contains(.gpuResources)
    }

    /// What is free at an agent that a framework in a role may be offered at all.
    func offerable(_ slot: Int, _ agent: Int) -> Parcel {
        var parcel = Parcel()
        parcel.plain = agents[agent].free.plain.raisedToZero
        parcel.extras = offerableExtras(slot, agent)
        parcel.hasScalarExtras = agents[agent].free.hasScalarExtras
        return parcel
    }

    func offerableExtras(_ slot: Int, _ agent: Int) -> Resources {
        let extras = agents[agent].free.extras
        if agents[agent].hasPublicExtras || extras.isEmpty { return extras }
        let role = slots[slot].role
        let can = frameworks[slots[slot].framework].description.capabilities
        let sharesAgain = agents[agent].sharedRound != round || round == 0
        let refines =
            can.contains(.reservationRefinement)
            && agents[agent].info.capabilities.contains(.reservationRefinement)
        return extras.filter { item in
            item.isAllocatable(to: role)
                && (!item.isRevocable || can.contains(.revocableResources))
                && (!item.isShared || can.contains(.sharedResources) && sharesAgain)
                && (item.reservations.count < 2 || refines)
        }
    }

    func isWorthwhile(_ parcel: Parcel, _ slot: Int) -> Bool {
        if parcel.isEmpty || slots[slot].isInsatiable { return false }
        let least = slots[slot].minimums ?? minimums
        if least.isEmpty || least.contains(where: parcel.plain.covers) { return true }
        guard parcel.hasScalarExtras else { return false }
        let has = parcel.plain + columns.amounts(parcel.extras)
        return least.contains { has.covers($0) }
    }

    /// How many instances fit, up to a limit.
    func fitting(_ row: DemandRow, _ limit: Int, _ free: Parcel) -> Int {
        var has = free.plain
        if !free.extras.isEmpty {
            let role = row.demand.role
            has += columns.amounts(free.extras) { Self.isReservedScalar($0, for: role) }
        }
        var count = has.count(of: row.shape, upTo: limit)
        if row.demand.ports > 0, count > 0 {
            count = min(count, Self.ports(free.extras).memberCount / row.demand.ports)
        }
        return count
    }

    /// Instances of a demand at an agent, as far as they are known to be of it.
    func present(_ slot: Int, _ agent: Int, _ row: DemandRow) -> Int {
        agents[agent].holdings.reduce(0) { sum, holding in
            guard holding.slot == slot, holding.demand == row.demand.id else { return sum }
            return sum + instances(row, holding.offered) + instances(row, holding.used)
        }
    }

    /// The part of the cluster that one framework may hold in offers, in millionths.
    ///
    /// Who waits is counted in powers of two, so that the limit seldom moves: beyond four it is
    /// more than one equal part, and two at most.
    var offeredLimit: UInt64 {
        let most = options.offeredLimitThousandths
        if most >= 1000 { return most * 1000 }
        var waiting: UInt64 = 4
        while waiting < waitingFrameworks { waiting *= 2 }
        return max(1, min(most * 1000, 2_000_000 / waiting))
    }

    /// Whether an offer would let a framework sit on more than its part of the cluster while
    /// another one waits.
    ///
    /// A framework without any offer always gets one; while many wait, so that a part may be less
    /// than an agent, whoever holds less than its part does too. One whose role lacks some of its
    /// guarantee gets that: a guarantee is not shared with those who wait.
    func holdsTooMuch(_ slot: Int, with parcel: Parcel) -> Bool {
        let held = frameworks[slots[slot].framework].offered
        guard options.offeredLimitThousandths < 1000, waitingFrameworks > 1, !held.isZero
        else { return false }
        let plain = scalars(parcel)
        let counted = waitingFrameworks > 4 ? held : held + plain
        let limit = offeredLimit
        for column in 0..<counted.width where plain[column] > 0 && total[column] > 0 {
            let part = UInt64(max(0, counted[column])).multipliedFullWidth(by: 1_000_000)
            let most = UInt64(total[column]).multipliedFullWidth(by: limit)
            guard part > most || part == most && waitingFrameworks > 4 else { continue }
            let unmet = tree.nodes[markedRole(slot)].unmet
            return unmet.lowered(to: plain).raisedToZero.isZero
        }
        return false
    }
}
