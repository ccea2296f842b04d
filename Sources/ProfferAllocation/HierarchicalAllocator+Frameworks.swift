internal import ProfferKernel
public import ProfferModel

extension HierarchicalAllocator {
    /// Takes a framework in, or replaces what was known of it.
    ///
    /// O(roles · (depth + log n)), and O(its refusals) in roles that it leaves or resumes.
    public mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {
        let index = frameworkRow(framework)
        frameworks[index].description = framework
        frameworks[index].isActive = isActive
        for slot in frameworks[index].slots where slots[slot].isSubscribed {
            guard !framework.roles.contains(slots[slot].role) else { continue }
            slots[slot].isSubscribed = false
            slots[slot].demands = []
            forgetRefusals(slot: slot)
            refreshWaiting(slot)
            dropIfUnused(slot: slot)
        }
        for role in framework.roles {
            let slot = makeSlot(index, role)
            let isSuppressed = framework.suppressedRoles.contains(role)
            if !isActive || slots[slot].isSuppressed && !isSuppressed {
                forgetRefusals(slot: slot)
            }
            slots[slot].isSubscribed = true
            slots[slot].isSuppressed = isSuppressed
            readMinimums(slot)
            slots[slot].filter = framework.constraints.first { $0.role == role }
                .map(AgentFilter.init)
            slots[slot].verdicts = AgentVerdicts()
            refreshWaiting(slot)
            dirtySlots.insert(slot)
        }
    }

    /// The least that an offer must hold, as far as there are columns for it: an alternative that
    /// no agent can meet is none.
    mutating func readMinimums(_ slot: Int) {
        let description = frameworks[slots[slot].framework].description
        let least = description.minimums.first { $0.role == slots[slot].role }?.quantities
        let known = least.map { $0.filter { columns.unknown($0).isEmpty } }
        slots[slot].minimums = known.map { $0.map { columns.amounts($0) } }
        slots[slot].isInsatiable = known?.isEmpty == true && least?.isEmpty == false
        noteNeeds(slots[slot].minimums ?? [])
    }

    private mutating func frameworkRow(_ framework: AllocatorFramework) -> Int {
        if let known = frameworkIndex[framework.id] { return known }
        let row = FrameworkRow(description: framework, isActive: false)
        let index: Int
        if let free = freeFrameworks.popLast() {
            index = free
            frameworks[free] = row
        } else {
            index = frameworks.count
            frameworks.append(row)
        }
        frameworkIndex[framework.id] = index
        return index
    }

    func slot(_ framework: Int, _ role: String) -> Int? {
        frameworks[framework].slots.first { slots[$0].role == role }
    }

    /// The row of a framework in a role, made now if there is none; then nobody is subscribed.
    mutating func makeSlot(_ framework: Int, _ role: String) -> Int {
        if let known = slot(framework, role) { return known }
        let slot = tree.makeClient(frameworks[framework].description.id.value, role: role)
        while slots.count <= slot {
            slots.append(SlotRow(framework: framework, role: role, isUsed: false))
            needs.append(Amounts())
        }
        slots[slot] = SlotRow(framework: framework, role: role)
        slots[slot].isSubscribed = false
        nextEpoch &+= 1
        slots[slot].epoch = nextEpoch
        frameworks[framework].slots.append(slot)
        return slot
    }

    /// Forgets a role of a framework when it neither wants nor holds anything there.
    mutating func dropIfUnused(slot: Int) {
        guard slots[slot].isUsed, !slots[slot].isSubscribed, slots[slot].holdings == 0 else {
            return
        }
        forgetRefusals(slot: slot)
        refreshWaiting(slot)
        pauses.set(slot, to: nil)
        dirtySlots.remove(slot)
        cappedSlots.remove(slot)
        usingSlots.remove(slot)
        keptSlots.remove(slot)
        limitedSlots.remove(slot)
        gangs.forget(slot: slot)
        let framework = slots[slot].framework
        frameworks[framework].slots.removeAll { $0 == slot }
        slots[slot].isUsed = false
        slots[slot].verdicts = AgentVerdicts()
        slots[slot].refusedAgents = Bits()
        slots[slot].pausedAgents = Bits()
        tree.removeClient(slot)
    }

    /// Forgets a framework and its refusals; what it should have given back before, too.
    public mutating func removeFramework(_ id: FrameworkID) {
        guard let index = frameworkIndex[id] else { return }
        for slot in frameworks[index].slots {
            slots[slot].isSubscribed = false
            slots[slot].demands = []
            if slots[slot].holdings > 0 { returnAll(slot) }
            dropIfUnused(slot: slot)
        }
        frameworkIndex.remove(id)
        frameworks[index] = FrameworkRow(
            description: AllocatorFramework(id: "removed", roles: []), isActive: false,
            isUsed: false)
        freeFrameworks.append(index)
        markCapped()
    }

    /// Gives back whatever is left of a framework in a role; O(agents), and not to be needed.
    private mutating func returnAll(_ slot: Int) {
        for agent in agents.indices {
            if agents[agent].lentTo == slot { settle(agent) }
            while let place = agents[agent].holdings.firstIndex(where: { $0.slot == slot }) {
                let holding = agents[agent].holdings.remove(at: place)
                uncount(holding, agent)
                refreshFree(agent)
                dirtyAgents.insert(agent)
            }
        }
    }

    /// Stops or resumes grants to a framework; a stop also forgets its refusals.
    public mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {
        guard let index = frameworkIndex[id] else { return }
        frameworks[index].isActive = isActive
        for slot in frameworks[index].slots {
            if !isActive { forgetRefusals(slot: slot) }
            refreshWaiting(slot)
            if isActive { dirtySlots.insert(slot) }
        }
        if !isActive { markCapped() }
    }

    /// Ends suppression and forgets refusals, in the given roles.
    public mutating func revive(_ id: FrameworkID, roles: [String]) {
        guard let index = frameworkIndex[id] else { return }
        for role in roles {
            guard let slot = slot(index, role) else { continue }
            slots[slot].isSuppressed = false
            forgetRefusals(slot: slot)
            refreshWaiting(slot)
            dirtySlots.insert(slot)
        }
    }

    /// Stops grants in the given roles.
    public mutating func suppress(_ id: FrameworkID, roles: [String]) {
        guard let index = frameworkIndex[id] else { return }
        for role in roles {
            guard let slot = slot(index, role) else { continue }
            slots[slot].isSuppressed = true
            refreshWaiting(slot)
        }
        markCapped()
    }

    // MARK: Who waits

    /// Brings the order of those who wait up to date with one of them.
    mutating func refreshWaiting(_ slot: Int) {
        let framework = slots[slot].framework
        let isOpen =
            slots[slot].isUsed && slots[slot].isSubscribed && !slots[slot].isSuppressed
            && frameworks[framework].isActive && slots[slot].pausedUntil == nil
        needs[slot] = leastNeed(slot)
        if isOpen, frameworks[framework].hasDemands {
            demandSlots.insert(slot)
        } else {
            demandSlots.remove(slot)
        }
        var wanted: [Int] = []
        if isOpen, frameworks[framework].hasDemands {
            for demand in slots[slot].demands where demand.demand.gang == 1 && !demand.isMet {
                if !wanted.contains(demand.demand.priority) {
                    wanted.append(demand.demand.priority)
                }
            }
        } else if isOpen {
            wanted = [frameworks[framework].description.priority]
        }
        if slots[slot].priorities != wanted { setPriorities(slot, wanted) }
        let isWaiting = !wanted.isEmpty
        guard tree.clients[slot].isWaiting != isWaiting else { return }
        tree.setWaiting(slot, isWaiting)
        let limit = offeredLimit
        let before = frameworks[framework].waitingSlots
        frameworks[framework].waitingSlots += isWaiting ? 1 : -1
        if before == 0 { waitingFrameworks += 1 }
        if frameworks[framework].waitingSlots == 0 { waitingFrameworks -= 1 }
        if !isWaiting {
            dirtySlots.remove(slot)
            if waitingFrameworks <= 1 || offeredLimit > limit { markCapped() }
        }
    }

    /// What every agent must have that is to be of use; nothing for a classic framework.
    private func leastNeed(_ slot: Int) -> Amounts {
        var least: Amounts?
        for row in slots[slot].demands where row.demand.gang == 1 && !row.isMet {
            least = least?.lowered(to: row.shape) ?? row.shape
        }
        return least ?? Amounts()
    }

    private mutating func setPriorities(_ slot: Int, _ wanted: [Int]) {
        for priority in slots[slot].priorities where !wanted.contains(priority) {
            guard let level = priorities.firstIndex(where: { $0.priority == priority }) else {
                continue
            }
            priorities[level].slots.remove(slot)
            if priorities[level].slots.isEmpty { priorities.remove(at: level) }
        }
        for priority in wanted where !slots[slot].priorities.contains(priority) {
            let level = priorities.firstIndex { $0.priority <= priority } ?? priorities.count
            if level == priorities.count || priorities[level].priority != priority {
                priorities.insert(PriorityLevel(priority: priority), at: level)
            }
            priorities[level].slots.insert(slot)
        }
        slots[slot].priorities = wanted
    }

    /// Whoever a limit on offers has held back may have something now.
    mutating func markCapped() {
        for slot in cappedSlots.members where tree.clients[slot].isWaiting {
            dirtySlots.insert(slot)
        }
        cappedSlots.removeAll()
    }

    mutating func markWaitingSlots() {
        for slot in slots.indices where slots[slot].isUsed && tree.clients[slot].isWaiting {
            dirtySlots.insert(slot)
        }
    }
}
