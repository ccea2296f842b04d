internal import ProfferKernel
internal import ProfferModel

// Offers of all that is free at an agent, which most offers are: they change two numbers of a row
// instead of its holdings, which lie elsewhere in memory.
extension HierarchicalAllocator {
    /// Offers all that is free at an agent in one piece.
    mutating func lend(_ agent: Int, to slot: Int, into grants: inout [Grant]) {
        let amounts = agents[agent].free.plain
        let whole = agents[agent].whole ?? resources(of: agent, agents[agent].free)
        if agents[agent].whole == nil { agents[agent].whole = whole }
        agents[agent].lentTo = Int32(truncatingIfNeeded: slot)
        let framework = slots[slot].framework
        grants.append(
            Grant(
                allocation: Allocation(
                    framework: frameworks[framework].description.id, role: slots[slot].role,
                    agent: agents[agent].id, resources: whole)))
        slots[slot].holdings += 1
        frameworks[framework].held += amounts
        frameworks[framework].offered += amounts
        tree.charge(slot, plus: amounts, grants: 1)
        consume(slot, plus: amounts)
        available -= amounts
        freeAgents.remove(agent)
        changedAgents.insert(agent)
    }

    /// Takes back what was offered in one piece, if that is what comes back.
    mutating func takeBack(_ allocation: Allocation, _ agent: Int, _ slot: Int) -> Bool {
        guard agents[agent].lentTo == slot, allocation.demandID == nil,
            agents[agent].whole == allocation.resources
        else { return false }
        let amounts = agents[agent].free.plain
        agents[agent].lentTo = -1
        let framework = slots[slot].framework
        slots[slot].holdings -= 1
        frameworks[framework].held -= amounts
        frameworks[framework].offered -= amounts
        tree.charge(slot, minus: amounts)
        consume(slot, minus: amounts)
        if agents[agent].isActive { available += amounts }
        freeAgents.insert(agent)
        changedAgents.insert(agent)
        dirtyAgents.insert(agent)
        return true
    }

    /// Makes a holding of what is offered in one piece, as everything that looks at holdings, or
    /// at what is free, expects.
    mutating func settle(_ agent: Int) {
        let slot = Int(agents[agent].lentTo)
        guard slot >= 0 else { return }
        agents[agent].lentTo = -1
        let parcel = agents[agent].free
        agents[agent].free = Parcel()
        agents[agent].whole = nil
        agents[agent].refused.isStale = true
        slots[slot].holdings -= 1
        let place = holding(agent, slot, nil)
        agents[agent].holdings[place].offered += parcel
    }

    /// The same allocator, in which every offer is among the holdings; O(agents).
    func settled() -> HierarchicalAllocator {
        var copy = self
        for agent in agents.indices where agents[agent].lentTo >= 0 { copy.settle(agent) }
        return copy
    }
}
