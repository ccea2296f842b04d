public import ProfferKernel
public import ProfferModel

extension HierarchicalAllocator {
    /// Notes that resources are held which were not granted here.
    public mutating func hold(_ allocation: Allocation) {
        guard let agent = agentIndex[allocation.agent],
            let framework = frameworkIndex[allocation.framework], !allocation.resources.isEmpty
        else { return }
        settle(agent)
        learn(allocation.resources)
        let parcel = columns.parcel(allocation.resources)
        if parcel.isNegative { return }
        let slot = makeSlot(framework, allocation.role)
        add(parcel, agent, slot, allocation.demandID, isOffered: false)
        if !agents[agent].free.covers(parcel) { agents[agent].isOvercommitted = true }
        takeFree(agent, parcel)
    }

    /// Notes that offered resources have been put to use.
    public mutating func use(_ allocation: Allocation) {
        guard let agent = agentIndex[allocation.agent],
            let slot = knownSlot(allocation), !allocation.resources.isEmpty
        else { return }
        settle(agent)
        let parcel = columns.parcel(allocation.resources)
        guard holds(agent, slot, parcel, isOffered: true) else { return }
        agents[agent].declines = 0
        endPause(slot)
        if usingSlots.insert(slot), !demandSlots.contains(slot) { vainOffers = 0 }
        forgetReturns(slot, agent)
        shift(parcel, agent, slot, allocation.demandID, isOffered: true) { holding, part in
            holding.offered -= part
            holding.used += part
        } noting: { demand, instances in
            demand.outstanding -= instances
            demand.remaining = max(0, demand.remaining - instances)
        }
        frameworks[slots[slot].framework].offered -= scalars(
            parcel, agent, slot, offeredOnly: true)
        refreshWaiting(slot)
        markCapped()
    }

    /// Replaces held resources by what an operation has made of them.
    public mutating func convert(_ allocation: Allocation, into resources: Resources) {
        guard let agent = agentIndex[allocation.agent], let slot = knownSlot(allocation) else {
            return
        }
        settle(agent)
        learn(resources)
        let from = columns.parcel(allocation.resources)
        let into = columns.parcel(resources)
        let isOffered = holds(agent, slot, from, isOffered: true)
        guard isOffered || holds(agent, slot, from, isOffered: false) else { return }
        _ = remove(from, agent, slot, allocation.demandID, isOffered: isOffered)
        reserve(from, isThere: false)
        total -= allScalars(from)
        total += allScalars(into)
        agents[agent].total -= from
        agents[agent].total += into
        reserve(into, isThere: true)
        let rest = agents[agent].total.extras.items
        agents[agent].hasPublicExtras = rest.allSatisfy {
            $0.reservations.isEmpty && !$0.isRevocable && !$0.isShared
        }
        agents[agent].info.resources -= allocation.resources
        agents[agent].info.resources += resources
        add(into, agent, slot, allocation.demandID, isOffered: isOffered, grants: 0)
        refreshFree(agent)
    }

    /// Takes held resources back; what is not held is not given back either.
    public mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        guard let agent = agentIndex[allocation.agent], let slot = knownSlot(allocation),
            !allocation.resources.isEmpty
        else { return }
        if wasOffered, takeBack(allocation, agent, slot) {
            noteUnused(slot, agent, refuse)
            noteReturn(slot, agent, agents[agent].free, refuse, at: now)
            refreshWaiting(slot)
            markCapped()
            dropIfUnused(slot: slot)
            return
        }
        settle(agent)
        let parcel = columns.parcel(allocation.resources)
        let wasMet = slots[slot].demands.map(\.isMet)
        guard remove(parcel, agent, slot, allocation.demandID, isOffered: wasOffered) else {
            return
        }
        noteUncovered(slot, wasMet)
        let isWhole = wasOffered && !parcel.hasScalarExtras
        returnFree(agent, parcel, whole: isWhole ? allocation.resources : nil)
        dirtyAgents.insert(agent)
        if wasOffered {
            noteReturn(slot, agent, parcel, refuse, at: now)
            refreshWaiting(slot)
            markCapped()
        }
        dropIfUnused(slot: slot)
    }

    /// Somebody wants nothing of what is free at an agent.
    private mutating func noteUnused(_ slot: Int, _ agent: Int, _ refuse: Duration?) {
        // Without a refusal it was perhaps taken back, and says nothing of what is wanted.
        guard let refuse, refuse > .zero else { return }
        let wasKnown = usingSlots.remove(slot) || demandSlots.contains(slot)
        if agents[agent].declines < .max { agents[agent].declines += 1 }
        if !wasKnown { vainOffers += 1 }
    }

    /// A demand that was covered by what has gone has to look at every agent again.
    private mutating func noteUncovered(_ slot: Int, _ wasMet: [Bool]) {
        for (row, wasMet) in zip(slots[slot].demands, wasMet) where wasMet && !row.isMet {
            dirtySlots.insert(slot)
            if row.demand.gang > 1 { gangs.needsLook = true }
        }
    }

    private func knownSlot(_ allocation: Allocation) -> Int? {
        frameworkIndex[allocation.framework].flatMap { slot($0, allocation.role) }
    }

    /// Whether all of a parcel is offered to, or used by, a framework in a role at an agent.
    private func holds(_ agent: Int, _ slot: Int, _ parcel: Parcel, isOffered: Bool) -> Bool {
        if parcel.isNegative { return false }
        var held = Parcel()
        var count = 0
        for holding in agents[agent].holdings where holding.slot == slot {
            let part = isOffered ? holding.offered : holding.used
            if part.covers(parcel) { return true }
            held += part
            count += 1
        }
        return count > 1 && held.covers(parcel)
    }

    // MARK: Adding and taking away

    /// Adds to what a framework in a role holds of an agent; what is free there is not changed.
    mutating func add(
        _ parcel: Parcel, _ agent: Int, _ slot: Int, _ demand: String?, isOffered: Bool,
        grants: Int? = nil
    ) {
        let amounts = scalars(parcel, agent, slot, offeredOnly: false)
        let offered = isOffered ? scalars(parcel, agent, slot, offeredOnly: true) : Amounts()
        let place = holding(agent, slot, demand)
        if isOffered {
            let row = demand.flatMap { id in
                slots[slot].demands.firstIndex { $0.demand.id == id }
            }
            let before = row.map {
                instances(slots[slot].demands[$0], agents[agent].holdings[place].offered)
            }
            agents[agent].holdings[place].offered += parcel
            if let row, let before {
                slots[slot].demands[row].outstanding +=
                    instances(slots[slot].demands[row], agents[agent].holdings[place].offered)
                    - before
            }
        } else {
            agents[agent].holdings[place].used += parcel
        }
        let framework = slots[slot].framework
        frameworks[framework].held += amounts
        frameworks[framework].offered += offered
        tree.charge(slot, plus: amounts, grants: grants ?? (isOffered ? 1 : 0))
        consume(slot, plus: unreserved(parcel))
    }

    mutating func holding(_ agent: Int, _ slot: Int, _ demand: String?) -> Int {
        if let place = agents[agent].holdings.firstIndex(where: {
            $0.slot == slot && $0.demand == demand
        }) {
            return place
        }
        agents[agent].holdings.append(Holding(slot: slot, demand: demand))
        slots[slot].holdings += 1
        return agents[agent].holdings.count - 1
    }

    /// Takes from what is offered to, or used by, a framework in a role at an agent.
    ///
    /// - Returns: Whether it was there; otherwise nothing is changed.
    mutating func remove(
        _ parcel: Parcel, _ agent: Int, _ slot: Int, _ demand: String?, isOffered: Bool,
        grants: Int = 0
    ) -> Bool {
        guard holds(agent, slot, parcel, isOffered: isOffered) else { return false }
        shift(parcel, agent, slot, demand, isOffered: isOffered) { holding, part in
            if isOffered { holding.offered -= part } else { holding.used -= part }
        } noting: { row, instances in
            if isOffered { row.outstanding -= instances }
        }
        let amounts = scalars(parcel, agent, slot, offeredOnly: false)
        let framework = slots[slot].framework
        frameworks[framework].held -= amounts
        if isOffered {
            frameworks[framework].offered -= scalars(parcel, agent, slot, offeredOnly: true)
        }
        tree.charge(slot, minus: amounts, grants: grants)
        consume(slot, minus: unreserved(parcel))
        return true
    }

    /// Takes a parcel out of the holdings of a framework in a role, first out of those for the
    /// demand that is named.
    private mutating func shift(
        _ parcel: Parcel, _ agent: Int, _ slot: Int, _ demand: String?, isOffered: Bool,
        _ change: (inout Holding, Parcel) -> Void,
        noting note: (inout DemandRow, Int) -> Void
    ) {
        var rest = parcel
        let places = agents[agent].holdings.indices.filter {
            agents[agent].holdings[$0].slot == slot
        }
        let meant = places.filter { agents[agent].holdings[$0].demand == demand }
        for place in meant + places.filter({ !meant.contains($0) }) where !rest.isEmpty {
            let holding = agents[agent].holdings[place]
            let part = common(rest, isOffered ? holding.offered : holding.used)
            guard !part.isEmpty else { continue }
            let row = holding.demand.flatMap { id in
                slots[slot].demands.firstIndex { $0.demand.id == id }
            }
            let before = row.map { instances(slots[slot].demands[$0], holding.offered) } ?? 0
            change(&agents[agent].holdings[place], part)
            rest -= part
            guard let row else { continue }
            let after = instances(
                slots[slot].demands[row], agents[agent].holdings[place].offered)
            if before != after { note(&slots[slot].demands[row], before - after) }
        }
        agents[agent].holdings.removeAll { holding in
            guard holding.slot == slot, holding.isEmpty else { return false }
            slots[slot].holdings -= 1
            return true
        }
    }

    /// What two parcels have in common, as far as one of them has it.
    private func common(_ wanted: Parcel, _ held: Parcel) -> Parcel {
        if held.covers(wanted) { return wanted }
        var part = Parcel()
        part.plain = wanted.plain.lowered(to: held.plain)
        if !wanted.extras.isEmpty, !held.extras.isEmpty {
            part.extras = wanted.extras - (wanted.extras - held.extras)
            part.hasScalarExtras = wanted.hasScalarExtras
        }
        return part
    }

    /// Takes what an agent's holding counted for off its framework and its role.
    mutating func uncount(_ holding: Holding, _ agent: Int) {
        let offered = scalars(holding.offered, agent, holding.slot, offeredOnly: true)
        var both = holding.used
        both += holding.offered
        let amounts = scalars(both, agent, holding.slot, offeredOnly: false)
        let framework = slots[holding.slot].framework
        frameworks[framework].held -= amounts
        frameworks[framework].offered -= offered
        tree.charge(holding.slot, minus: amounts)
        consume(holding.slot, minus: unreserved(holding.used) + unreserved(holding.offered))
        slots[holding.slot].holdings -= 1
        if let id = holding.demand,
            let row = slots[holding.slot].demands.firstIndex(where: { $0.demand.id == id })
        {
            let wasMet = slots[holding.slot].demands.map(\.isMet)
            slots[holding.slot].demands[row].outstanding -= instances(
                slots[holding.slot].demands[row], holding.offered)
            noteUncovered(holding.slot, wasMet)
            refreshWaiting(holding.slot)
        }
    }
}
