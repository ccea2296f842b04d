internal import ProfferKernel
internal import ProfferModel

/// Gangs: demands of which so many instances have to be there at once.
///
/// One gang at a time has its turn: while it lasts, what is free and would do for it is kept. As
/// nobody else keeps anything then, two gangs cannot wait for what the other one has. A turn that
/// was for nothing is followed by a pause, longer each time, in which others have theirs.
struct GangState: Sendable {
    struct Turn: Sendable {
        var slot: Int
        var demand: String
        var until: Instant
        var shape: Amounts
    }

    /// The longest pause after a turn for nothing.
    static let longestPause = Duration.seconds(600)

    private(set) var slots = Bits()
    var turn: Turn?
    /// How many instances' worth is kept at an agent for the turn.
    private var counts = LookupTable<Int, Int>()
    private var heldBack = Bits()
    /// Whether something has changed for a gang alone.
    var needsLook = false
    /// When the next pause ends.
    var pauseEnd: Instant?
    private var nextID: UInt64 = 0

    init() {}

    var hasDemands: Bool { !slots.isEmpty }
    var nextDeadline: Instant? { earliest(turn?.until, pauseEnd) }

    mutating func note(_ slot: Int, hasGangs: Bool) {
        if hasGangs {
            slots.insert(slot)
            needsLook = true
        } else if slots.remove(slot) {
            needsLook = true
        }
    }

    mutating func forget(slot: Int) {
        slots.remove(slot)
        heldBack.remove(slot)
        if turn?.slot == slot { needsLook = true }
    }

    mutating func forgetPlaces() { counts.removeAll() }

    mutating func keep(_ count: Int, at agent: Int) { counts[agent] = count }

    mutating func makeID() -> GangID {
        nextID += 1
        return GangID(nextID)
    }

    /// Whether something at an agent is kept, and for another than `slot`.
    func keeps(_ agent: Int, against slot: Int) -> Bool {
        guard let turn, turn.slot != slot, !counts.isEmpty else { return false }
        return counts[agent] != nil
    }

    func kept(_ agent: Int) -> Amounts {
        guard let turn, let count = counts[agent] else { return Amounts() }
        return turn.shape.times(count)
    }

    mutating func noteHeldBack(_ slot: Int) { heldBack.insert(slot) }

    /// Ends what is kept; who was held back by it is to look again.
    mutating func release() -> [Int] {
        let waiting = heldBack.members
        heldBack.removeAll()
        counts.removeAll()
        turn = nil
        return waiting
    }
}

extension HierarchicalAllocator {
    /// The gang that has its turn comes before everyone else.
    mutating func serveTurn(at now: Instant, into grants: inout [Grant]) {
        guard let turn = gangs.turn else { return }
        guard let row = openGang(turn.slot, turn.demand) else {
            endTurn()
            return
        }
        gangs.forgetPlaces()
        if grantGang(turn.slot, row, into: &grants) {
            endTurn()
        } else if turn.until <= now {
            pause(turn.slot, row, at: now)
            endTurn()
        } else {
            keepForTurn(turn.slot, row)
        }
    }

    /// Gangs get what is left; the first that could be served in an empty cluster has its turn.
    mutating func serveGangs(at now: Instant, into grants: inout [Grant]) {
        gangs.needsLook = false
        gangs.pauseEnd = nil
        guard gangs.hasDemands else { return }
        for (slot, id) in waitingGangs() {
            guard let row = openGang(slot, id) else { continue }
            if let end = slots[slot].demands[row].pausedUntil, end > now {
                gangs.pauseEnd = earliest(gangs.pauseEnd, end)
            }
            if gangs.turn?.slot == slot, gangs.turn?.demand == id { continue }
            if grantGang(slot, row, into: &grants) {
                gangs.needsLook = true
                continue
            }
            guard gangs.turn == nil, slots[slot].demands[row].pausedUntil ?? now <= now,
                couldFit(slot, row)
            else { continue }
            gangs.turn = GangState.Turn(
                slot: slot, demand: id, until: now + options.gangTurn,
                shape: slots[slot].demands[row].shape)
            keepForTurn(slot, row)
        }
    }

    /// By priority, then by share, then by age.
    private func waitingGangs() -> [(slot: Int, id: String)] {
        var waiting: [(slot: Int, row: DemandRow)] = []
        for slot in gangs.slots.members {
            for row in slots[slot].demands where row.demand.gang > 1 && !row.isMet {
                waiting.append((slot, row))
            }
        }
        waiting.sort { left, right in
            if left.row.demand.priority != right.row.demand.priority {
                return left.row.demand.priority > right.row.demand.priority
            }
            if left.slot != right.slot {
                if tree.precedes(client: left.slot, right.slot) { return true }
                if tree.precedes(client: right.slot, left.slot) { return false }
            }
            return left.row.waitingSince < right.row.waitingSince
        }
        return waiting.map { ($0.slot, $0.row.demand.id) }
    }

    /// The place of a gang's demand that waits and may be served.
    private func openGang(_ slot: Int, _ id: String) -> Int? {
        guard slots[slot].isUsed, slots[slot].isSubscribed, !slots[slot].isSuppressed,
            frameworks[slots[slot].framework].isActive
        else { return nil }
        return slots[slot].demands.firstIndex {
            $0.demand.id == id && $0.demand.gang > 1 && $0.missing >= $0.demand.gang
        }
    }

    /// Grants a whole gang, or nothing.
    private mutating func grantGang(
        _ slot: Int, _ row: Int, into grants: inout [Grant]
    ) -> Bool {
        let wanted = slots[slot].demands[row].demand.gang
        guard roughCount(slot, row, wanted) >= wanted else { return false }
        let id = gangs.makeID()
        let first = grants.count
        var places: [Int] = []
        var count = 0
        var next = freeAgents.next(from: 0)
        while let agent = next, count < wanted {
            next = freeAgents.next(from: agent + 1)
            guard agents[agent].isActive,
                case .fits(let plan) = verdict(slot, agent, demand: row, most: wanted - count)
            else { continue }
            count += plan.instances
            places.append(agent)
            commit(plan, agent, gang: id, into: &grants)
        }
        if count == wanted {
            slots[slot].demands[row].pauses = 0
            slots[slot].demands[row].pausedUntil = nil
            return true
        }
        for (offset, agent) in places.enumerated() {
            undo(grants[first + offset].allocation, agent)
        }
        grants.removeSubrange(first...)
        return false
    }

    /// An upper bound of the instances that fit now; O(agents with something free).
    private func roughCount(_ slot: Int, _ row: Int, _ enough: Int) -> Int {
        let demand = slots[slot].demands[row]
        var count = 0
        var next = freeAgents.next(from: 0)
        while let agent = next, count < enough {
            next = freeAgents.next(from: agent + 1)
            guard agents[agent].isActive else { continue }
            let free =
                agents[agent].hasPublicExtras
                ? Parcel(plain: agents[agent].free.plain.raisedToZero) : offerable(slot, agent)
            var part = demand
            part.demand.ports = 0
            count += fitting(part, enough - count, free)
        }
        return count
    }

    /// Whether it would fit if nothing were held; O(agents).
    private func couldFit(_ slot: Int, _ row: Int) -> Bool {
        let demand = slots[slot].demands[row]
        var count = 0
        for agent in agents.indices where agents[agent].isUsed && agents[agent].isActive {
            let all = agents[agent].total.plain.count(of: demand.shape, upTo: demand.demand.gang)
            count += min(all, demand.demand.perAgent ?? all)
            if count >= demand.demand.gang { return true }
        }
        return false
    }

    private mutating func keepForTurn(_ slot: Int, _ row: Int) {
        let wanted = slots[slot].demands[row].demand.gang
        var count = 0
        var next = freeAgents.next(from: 0)
        while let agent = next, count < wanted {
            next = freeAgents.next(from: agent + 1)
            guard case .fits(let plan) = verdict(slot, agent, demand: row, most: wanted - count)
            else { continue }
            count += plan.instances
            gangs.keep(plan.instances, at: agent)
        }
    }

    private mutating func pause(_ slot: Int, _ row: Int, at now: Instant) {
        let pauses = slots[slot].demands[row].pauses
        slots[slot].demands[row].pauses += 1
        slots[slot].demands[row].pausedUntil =
            now + min(options.gangTurn * (1 << min(pauses, 16)), GangState.longestPause)
    }

    private mutating func endTurn() {
        for slot in gangs.release() where slots[slot].isUsed && tree.clients[slot].isWaiting {
            dirtySlots.insert(slot)
        }
    }
}
