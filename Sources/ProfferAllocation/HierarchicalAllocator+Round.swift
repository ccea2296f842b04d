public import ProfferKernel
internal import ProfferModel

extension HierarchicalAllocator {
    /// What a look at one agent has found out.
    private struct Visit {
        var walk = OrderWalk()
        /// Frameworks that cannot have anything there; what is free only becomes less.
        var failed = Bits()
    }

    /// Grants what can be granted now.
    ///
    /// O(changed agents · frameworks that want something they have not refused), and O(agents with
    /// something free) for frameworks that want something new. Each grant costs O(log frameworks)
    /// comparisons.
    public mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        self.now = now
        endRefusals(at: now)
        endPauses(at: now)
        if let hold = agentHold {
            if now < hold.until, isWaitingForAgents { return }
            agentHold = nil
            markWaitingSlots()
        }
        round += 1
        tree.follow(total)
        serveTurn(at: now, into: &grants)
        var visit = Visit()
        serveChanges(&visit, into: &grants)
        if markKept() { serveChanges(&visit, into: &grants) }
        serveGangs(at: now, into: &grants)
    }

    /// Agents at which something has changed, for everyone who waits, and all others that have
    /// something, for those who want something new; in the order of their admission.
    private mutating func serveChanges(_ visit: inout Visit, into grants: inout [Grant]) {
        let dirty = dirtyAgents
        let wanted = dirtySlots
        dirtyAgents.removeAll()
        dirtySlots.removeAll()
        // First whoever has less than it is guaranteed, everywhere, and then everyone.
        if quotas.unmetCount > 0 {
            serve(dirty, wanted, isGuaranteed: true, &visit, into: &grants)
        }
        serve(dirty, wanted, isGuaranteed: false, &visit, into: &grants)
    }

    private mutating func serve(
        _ dirty: Bits, _ wanted: Bits, isGuaranteed: Bool, _ visit: inout Visit,
        into grants: inout [Grant]
    ) {
        guard !priorities.isEmpty else { return }
        // Only for many: a list that is given again and again has to grow by its own measure.
        if dirty.count > grants.count { grants.reserveCapacity(grants.count + dirty.count) }
        var isAnyWanted = !wanted.isEmpty && isWaiting(wanted)
        var nextDirty = dirty.next(from: 0)
        var nextFree = isAnyWanted ? freeAgents.next(from: 0) : nil
        while nextDirty != nil || nextFree != nil {
            let agent = min(nextDirty ?? .max, nextFree ?? .max)
            let isDirty = agent == nextDirty
            let before = grants.count
            look(
                at: agent, among: isDirty ? nil : wanted, isGuaranteed: isGuaranteed, &visit,
                into: &grants)
            if grants.count > before {
                if priorities.isEmpty { return }
                isAnyWanted = isAnyWanted && isWaiting(wanted)
            }
            if isDirty { nextDirty = dirty.next(from: agent + 1) }
            nextFree = isAnyWanted ? freeAgents.next(from: agent + 1) : nil
        }
    }

    private func isWaiting(_ wanted: Bits) -> Bool {
        priorities.contains { $0.slots.hasMember(in: wanted, notIn: Bits()) }
    }

    /// Whoever was kept from something by what others are guaranteed looks again when more is
    /// there beyond that; whether anybody is to.
    private mutating func markKept() -> Bool {
        guard !keptSlots.isEmpty else { return false }
        let headroom = available - quotas.required
        guard !keptHeadroom.covers(headroom) else { return false }
        for slot in keptSlots.members where slots[slot].isUsed && tree.clients[slot].isWaiting {
            dirtySlots.insert(slot)
        }
        keptSlots.removeAll()
        return !dirtySlots.isEmpty
    }

    private mutating func look(
        at agent: Int, among wanted: Bits?, isGuaranteed: Bool, _ visit: inout Visit,
        into grants: inout [Grant]
    ) {
        guard agents[agent].isUsed, agents[agent].isActive, freeAgents.contains(agent) else {
            return
        }
        refreshBlocked(agent)
        tree.drawLots()
        var bound = Int.max
        while let level = priorities.firstIndex(where: { $0.priority < bound }) {
            let priority = priorities[level].priority
            bound = priority
            guard wants(level, agent, among: wanted) else { continue }
            if !visit.failed.isEmpty { visit.failed.removeAll() }
            if let known = known(agent, level, among: wanted) {
                serve(agent, priority, known, isGuaranteed: isGuaranteed, &visit, into: &grants)
                if !freeAgents.contains(agent) { return }
            }
            serve(agent, priority, wanted, isGuaranteed: isGuaranteed, &visit, into: &grants)
            if !freeAgents.contains(agent) { return }
        }
    }

    /// Whether anybody who waits with a priority has not refused what is free at an agent.
    private func wants(_ level: Int, _ agent: Int, among wanted: Bits?) -> Bool {
        let waiting = priorities[level].slots
        let blocked = agents[agent].refused.blocked
        if wanted == nil, blocked.isEmpty { return true }
        return waiting.hasMember(in: wanted ?? waiting, notIn: blocked)
    }

    /// Who is known to want something, when what is free at an agent has been declined so often
    /// that waiting for all others would take long.
    private mutating func known(_ agent: Int, _ level: Int, among wanted: Bits?) -> Bits? {
        let most = options.declinesBeforeKnown
        guard most > 0, !usingSlots.isEmpty || !demandSlots.isEmpty,
            Int(agents[agent].declines) >= most || vainOffers >= 10 * most
        else { return nil }
        if Int(agents[agent].declines) < most {
            detours &+= 1
            if detours & 31 == 0 { return nil }
        }
        var known = usingSlots
        known.formUnion(demandSlots)
        known.formIntersection(wanted ?? priorities[level].slots)
        return known.isEmpty ? nil : known
    }

    /// So many are put in order by themselves; more are found on a walk over all who wait.
    private static let fewCandidates = 16

    /// Gives what is free at an agent to those who come first, until nobody can have more.
    private mutating func serve(
        _ agent: Int, _ priority: Int, _ wanted: Bits?, isGuaranteed: Bool,
        _ visit: inout Visit, into grants: inout [Grant]
    ) {
        guard let members = priorities.first(where: { $0.priority == priority })?.slots else {
            return
        }
        // At an agent with nothing particular, a role at its limit can have nothing.
        let isPlain = agents[agent].hasPublicExtras
        let tops: OrderWalk.Tops = isGuaranteed ? .unmet : isPlain ? .open : .all
        if !isGuaranteed, let wanted, wanted.count <= Self.fewCandidates {
            visit.walk.begin(tree.ordered(wanted.members.filter { members.contains($0) }))
        } else {
            visit.walk.begin(tops)
        }
        var tooLarge = 0
        while let slot = nextSlot(&visit.walk, agent, isGuaranteed) {
            guard members.contains(slot), wanted?.contains(slot) ?? true,
                !agents[agent].refused.blocked.contains(slot), !visit.failed.contains(slot)
            else { continue }
            if isPlain, demandSlots.contains(slot),
                !agents[agent].free.plain.raisedToZero.covers(needs[slot])
            {
                visit.failed.insert(slot)
                tooLarge += 1
                if tooLarge == Self.fewCandidates, !isGuaranteed,
                    let rest = few(members, agent, notIn: visit.failed)
                {
                    visit.walk.begin(tree.ordered(rest))
                }
                continue
            }
            switch bestVerdict(slot, agent, priority) {
            case .fails(let check):
                visit.failed.insert(slot)
                note(check, slot)
            case .fits(let plan):
                commit(plan, agent, gang: nil, into: &grants)
                guard freeAgents.contains(agent) else { return }
                visit.walk.begin(again: tree)
                tooLarge = 0
            }
        }
    }

    /// Who may have something of what is free at an agent with nothing particular, if those are
    /// few; found many times faster than by a walk in order over all who want more than that.
    private func few(_ members: Bits, _ agent: Int, notIn failed: Bits) -> [Int]? {
        let free = agents[agent].free.plain.raisedToZero
        var few: [Int] = []
        members.forEach(notIn: failed, agents[agent].refused.blocked) { slot in
            if !demandSlots.contains(slot) || free.covers(needs[slot]) { few.append(slot) }
            return few.count > Self.fewCandidates
        }
        return few.count > Self.fewCandidates ? nil : few
    }

    private func nextSlot(_ walk: inout OrderWalk, _ agent: Int, _ isGuaranteed: Bool) -> Int? {
        if !isGuaranteed { return walk.next(tree) { _ in false } }
        let free = agents[agent].free.plain
        return walk.next(tree) { top in
            // Only what its guarantee lacks gives a role the first choice of an agent.
            tree.nodes[top].unmet.lowered(to: free).raisedToZero.isZero
        }
    }

    /// A classic offer, or the first demand of this priority that fits.
    private mutating func bestVerdict(_ slot: Int, _ agent: Int, _ priority: Int) -> Verdict {
        guard demandSlots.contains(slot) else { return verdict(slot, agent, demand: nil) }
        var worst = PlacementCheck.resources
        for row in slots[slot].demands.indices {
            guard slots[slot].demands[row].demand.priority == priority,
                slots[slot].demands[row].demand.gang == 1, !slots[slot].demands[row].isMet
            else { continue }
            let verdict = verdict(slot, agent, demand: row)
            if case .fits = verdict { return verdict }
            // What a change elsewhere may mend has to be remembered.
            if case .fails(let check) = verdict, check.isOfCluster { worst = check }
        }
        return .fails(worst)
    }

    /// Remembers who is to look again when something changes that is not at the agent.
    private mutating func note(_ check: PlacementCheck, _ slot: Int) {
        switch check {
        case .quotaLimit: limitedSlots.insert(slot)
        case .headroom:
            if keptSlots.isEmpty { keptHeadroom = available - quotas.required }
            keptSlots.insert(slot)
        case .offeredLimit:
            if cappedSlots.isEmpty { cappedTotal = total }
            cappedSlots.insert(slot)
        case .gang: gangs.noteHeldBack(slot)
        case .agentActive, .whitelist, .constraints, .capabilities, .region, .gpus, .reservations,
            .resources, .perAgent, .refusal:
            break
        }
    }

    /// Carries a plan out.
    mutating func commit(_ plan: Plan, _ agent: Int, gang: GangID?, into grants: inout [Grant]) {
        if plan.hasAllExtras, plan.parcel.plain == agents[agent].free.plain {
            lend(agent, to: plan.slot, into: &grants)
            return
        }
        let demand = plan.demand.map { slots[plan.slot].demands[$0].demand.id }
        var parcel = plan.parcel
        if plan.hasAllExtras { parcel.extras = agents[agent].free.extras }
        grants.append(
            Grant(
                allocation: Allocation(
                    framework: frameworks[slots[plan.slot].framework].description.id,
                    role: slots[plan.slot].role, agent: agents[agent].id,
                    resources: resources(of: agent, parcel), demandID: demand),
                demandID: demand, instances: plan.instances, gang: gang))
        add(parcel, agent, plan.slot, demand, isOffered: true)
        takeFree(agent, parcel)
        if !agents[agent].hasPublicExtras, parcel.extras.items.contains(where: \.isShared) {
            agents[agent].sharedRound = round
        }
        if plan.demand != nil { refreshWaiting(plan.slot) }
    }

    /// Puts a parcel together, or takes the agent's own resources when it is all of them.
    func resources(of agent: Int, _ parcel: Parcel) -> Resources {
        if let whole = agents[agent].whole, agents[agent].free.plain == parcel.plain,
            agents[agent].free.extras == parcel.extras
        {
            return whole
        }
        let all = agents[agent].total
        if all.plain == parcel.plain, all.extras == parcel.extras {
            return agents[agent].info.resources
        }
        return columns.resources(parcel)
    }
}

extension PlacementCheck {
    /// Whether something else than a change at the agent can make it hold.
    fileprivate var isOfCluster: Bool {
        switch self {
        case .quotaLimit, .headroom, .offeredLimit, .gang: true
        case .agentActive, .whitelist, .constraints, .capabilities, .region, .gpus, .reservations,
            .resources, .perAgent, .refusal:
            false
        }
    }
}
