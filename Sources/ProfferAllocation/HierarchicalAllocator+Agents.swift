internal import ProfferKernel
public import ProfferModel

extension HierarchicalAllocator {
    /// Takes an agent in, or replaces what was known of it.
    ///
    /// O(resources); O(frameworks) when attributes change.
    public mutating func setAgent(_ info: AgentInfo, isActive: Bool) {
        guard let id = info.id else { return }
        learn(info.resources)
        let parcel = columns.parcel(info.resources)
        let index: Int
        if let known = agentIndex[id] {
            index = known
            settle(known)
            let old = agents[known].info
            if old.attributes != info.attributes || old.domain != info.domain
                || old.hostname != info.hostname
            {
                // Whoever refused this agent has refused another one.
                forgetRefusals(agent: known)
                forgetVerdicts(agent: known)
            }
            reserve(agents[known].total, isThere: false)
            total -= allScalars(agents[known].total)
            let wasActive = agents[known].isActive
            setActive(at: known, false)
            agents[known].info = info
            agents[known].total = parcel
            agents[known].inactiveBecause = .agentActive
            refreshFree(known)
            setActive(at: known, isActive)
            if wasActive, !isActive { changedAgents.insert(known) }
        } else {
            compactAgents()
            index = agents.count
            agentIndex[id] = index
            agents.append(
                AgentRow(isActive: false, free: parcel, id: id, total: parcel, info: info))
            setActive(at: index, isActive)
            noteFree(index)
        }
        describe(index)
        reserve(parcel, isThere: true)
        total += allScalars(parcel)
        dirtyAgents.insert(index)
        if !cappedSlots.isEmpty, hasGrownMuch(since: cappedTotal) { markCapped() }
    }

    /// Whether there is more of something by an eighth: a limit on offers moves with every agent,
    /// but to look at all of them for each would make the admission of a cluster quadratic.
    private func hasGrownMuch(since before: Amounts) -> Bool {
        (0..<total.width).contains { total[$0] - before[$0] > before[$0] / 8 }
    }

    private mutating func describe(_ index: Int) {
        let parcel = agents[index].total
        agents[index].copesWithAll = agents[index].info.capabilities.contains(.all)
        agents[index].hasGPUs =
            parcel.plain[ScalarColumns.gpus] > 0
            || parcel.extras.items.contains { $0.name == "gpus" && !$0.value.isEmpty }
        agents[index].hasPublicExtras = parcel.extras.items.allSatisfy {
            $0.reservations.isEmpty && !$0.isRevocable && !$0.isShared
        }
    }

    /// Forgets an agent and everything held there.
    public mutating func removeAgent(_ id: AgentID) {
        guard let index = agentIndex[id] else { return }
        settle(index)
        let holders = agents[index].holdings.map(\.slot)
        while let holding = agents[index].holdings.popLast() { uncount(holding, index) }
        forgetRefusals(agent: index)
        setActive(at: index, false)
        reserve(agents[index].total, isThere: false)
        total -= allScalars(agents[index].total)
        agentIndex.remove(id)
        agents[index].isUsed = false
        agents[index].info.resources = Resources()
        agents[index].free = Parcel()
        agents[index].total = Parcel()
        freeAgents.remove(index)
        dirtyAgents.remove(index)
        changedAgents.remove(index)
        deadAgents += 1
        for slot in holders { dropIfUnused(slot: slot) }
        gangs.needsLook = gangs.needsLook || gangs.hasDemands
    }

    /// Stops or resumes grants of an agent.
    public mutating func setActive(agent id: AgentID, _ isActive: Bool) {
        guard let index = agentIndex[id] else { return }
        settle(index)
        setActive(at: index, isActive)
        agents[index].inactiveBecause = .agentActive
        changedAgents.insert(index)
        if isActive { dirtyAgents.insert(index) }
    }

    /// Stops grants of an agent, and says by which check it is not to be had.
    public mutating func deactivate(agent id: AgentID, because check: PlacementCheck) {
        setActive(agent: id, false)
        if let index = agentIndex[id] { agents[index].inactiveBecause = check }
    }

    private mutating func setActive(at index: Int, _ isActive: Bool) {
        guard agents[index].isActive != isActive else { return }
        agents[index].isActive = isActive
        activeAgents += isActive ? 1 : -1
        let free = agents[index].free.plain.raisedToZero
        if isActive { available += free } else { available -= free }
    }

    /// The scalars of a parcel, whoever may have them; shared ones left out.
    func scalars(_ parcel: Parcel) -> Amounts {
        if !parcel.hasScalarExtras { return parcel.plain }
        return parcel.plain + columns.amounts(parcel.extras) { !$0.isShared }
    }

    /// The scalars of a parcel, shared ones too.
    func allScalars(_ parcel: Parcel) -> Amounts {
        if !parcel.hasScalarExtras { return parcel.plain }
        return parcel.plain + columns.amounts(parcel.extras)
    }

    /// The scalars of a parcel; of shared ones those that a framework in a role does not hold, or
    /// is not offered, in another way at the agent: they count once.
    func scalars(_ parcel: Parcel, _ agent: Int, _ slot: Int, offeredOnly: Bool) -> Amounts {
        if !parcel.hasScalarExtras { return parcel.plain }
        guard parcel.extras.items.contains(where: \.isShared) else { return scalars(parcel) }
        var known: [Resource] = []
        for holding in agents[agent].holdings where holding.slot == slot {
            known += holding.offered.extras.items
            if !offeredOnly { known += holding.used.extras.items }
        }
        return parcel.plain
            + columns.amounts(parcel.extras) { !$0.isShared || !known.contains($0) }
    }

    // MARK: What is free

    /// Counts what is free anew from what there is and what is held.
    mutating func refreshFree(_ index: Int) {
        var free = agents[index].total
        agents[index].whole = nil
        for holding in agents[index].holdings {
            free.plain -= holding.used.plain
            free.plain -= holding.offered.plain
            Self.take(holding.used.extras, from: &free.extras)
            Self.take(holding.offered.extras, from: &free.extras)
        }
        // Extras cannot say themselves that too much is taken.
        agents[index].isOvercommitted =
            free.plain.raisedToZero != free.plain || holdsTooManyExtras(index)
        setFree(index, free)
    }

    private func holdsTooManyExtras(_ index: Int) -> Bool {
        if agents[index].holdings.allSatisfy({
            $0.used.extras.isEmpty && $0.offered.extras.isEmpty
        }) {
            return false
        }
        var held = Resources()
        for holding in agents[index].holdings {
            held += holding.used.extras.nonShared
            held += holding.offered.extras.nonShared
        }
        return !agents[index].total.extras.contains(held)
    }

    /// A shared volume stays free however many hold it.
    private static func take(_ extras: Resources, from free: inout Resources) {
        guard !extras.isEmpty else { return }
        free -= extras.items.contains(where: \.isShared) ? extras.filter { !$0.isShared } : extras
    }

    private mutating func setFree(_ index: Int, _ free: Parcel) {
        if agents[index].isActive {
            available -= agents[index].free.plain.raisedToZero
            available += free.plain.raisedToZero
        }
        agents[index].free = free
        noteFree(index)
    }

    mutating func noteFree(_ index: Int) {
        agents[index].refused.isStale = true
        agents[index].declines = 0
        if agents[index].free.plain.isZero, agents[index].free.extras.isEmpty {
            freeAgents.remove(index)
        } else {
            freeAgents.insert(index)
        }
        changedAgents.insert(index)
    }

    /// Takes a part of what is free away.
    mutating func takeFree(_ index: Int, _ parcel: Parcel) {
        agents[index].whole = nil
        if agents[index].isActive {
            let before = agents[index].free.plain.raisedToZero
            agents[index].free.plain -= parcel.plain
            available -= before - agents[index].free.plain.raisedToZero
        } else {
            agents[index].free.plain -= parcel.plain
        }
        if agents[index].hasPublicExtras, agents[index].free.extras == parcel.extras {
            // Nearly always everything is taken.
            agents[index].free.extras = Resources()
        } else if !parcel.extras.isEmpty {
            Self.take(parcel.extras, from: &agents[index].free.extras)
        }
        noteFree(index)
    }

    /// Gives a part back; what was held beyond what there is does not become free.
    ///
    /// - Parameters:
    ///   - index: The agent.
    ///   - parcel: What is given back.
    ///   - whole: The same, put together, for the next offer of it.
    mutating func returnFree(_ index: Int, _ parcel: Parcel, whole: Resources? = nil) {
        if agents[index].isOvercommitted {
            refreshFree(index)
            return
        }
        if !freeAgents.contains(index) {
            agents[index].free = parcel
            agents[index].whole = whole
            if agents[index].isActive { available += parcel.plain }
            noteFree(index)
            return
        }
        agents[index].whole = nil
        if !parcel.extras.isEmpty {
            refreshFree(index)
            return
        }
        if agents[index].isActive {
            let before = agents[index].free.plain.raisedToZero
            agents[index].free.plain += parcel.plain
            available += agents[index].free.plain.raisedToZero - before
        } else {
            agents[index].free.plain += parcel.plain
        }
        noteFree(index)
    }

    // MARK: Rows of agents that are gone

    /// Drops the rows of removed agents when they are the most; keeps the order of the others.
    ///
    /// O(agents + refusals), so O(1) for each agent removed.
    private mutating func compactAgents() {
        guard deadAgents > 1024, deadAgents > agents.count / 2 else { return }
        var places = [Int](repeating: -1, count: agents.count)
        var kept: ContiguousArray<AgentRow> = []
        for index in agents.indices where agents[index].isUsed {
            places[index] = kept.count
            kept.append(agents[index])
            agentIndex[agents[index].id] = places[index]
        }
        refusals.move(places, slots: slots.map(\.refusedAgents))
        for slot in slots.indices {
            slots[slot].refusedAgents = slots[slot].refusedAgents.moved(places)
            slots[slot].pausedAgents = slots[slot].pausedAgents.moved(places)
            slots[slot].verdicts = slots[slot].verdicts.moved(places)
            for demand in slots[slot].demands.indices {
                slots[slot].demands[demand].verdicts =
                    slots[slot].demands[demand].verdicts.moved(places)
            }
        }
        freeAgents = freeAgents.moved(places)
        dirtyAgents = dirtyAgents.moved(places)
        changedAgents = changedAgents.moved(places)
        returnPauses.move(places)
        gangs.forgetPlaces()
        agents = kept
        deadAgents = 0
    }
}

extension Bits {
    /// The same members under new numbers; those without one are left out.
    func moved(_ places: [Int]) -> Bits {
        var moved = Bits()
        for member in members where member < places.count && places[member] >= 0 {
            moved.insert(places[member])
        }
        return moved
    }
}
