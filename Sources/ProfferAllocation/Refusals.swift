internal import HeapModule
internal import ProfferKernel

/// What frameworks have refused at one agent: refusals of the same resources are one group.
struct RefusalGroups: Sendable {
    struct Group: Sendable {
        var parcel: Parcel
        var members = Bits()
    }

    /// Groups without members are used again.
    var groups: [Group] = []
    /// Those who have refused at least as much as is free now.
    var blocked = Bits()
    /// Whether what is free, or a group, has changed since `blocked` was found.
    var isStale = false

    mutating func group(of parcel: Parcel) -> Int {
        if let index = groups.firstIndex(where: { !$0.members.isEmpty && $0.parcel == parcel }) {
            return index
        }
        if let index = groups.firstIndex(where: { $0.members.isEmpty }) {
            groups[index].parcel = parcel
            return index
        }
        groups.append(Group(parcel: parcel))
        return groups.count - 1
    }

    /// O(groups · words of a set of frameworks).
    mutating func refresh(_ free: Parcel) {
        isStale = false
        blocked.removeAll()
        for group in groups where !group.members.isEmpty && group.parcel.covers(free) {
            if blocked.isEmpty {
                blocked = group.members
            } else {
                blocked.formUnion(group.members)
            }
        }
    }
}

/// When each refusal ends, by agent and framework in a role.
struct RefusalTable: Sendable {
    struct Entry: Hashable, Sendable {
        var end: Instant
        var group: Int
    }

    private struct Expiry: Comparable, Sendable {
        var end: Instant
        var key: UInt64

        static func < (left: Expiry, right: Expiry) -> Bool {
            left.end != right.end ? left.end < right.end : left.key < right.key
        }
    }

    /// So many refusals of one framework at one agent are kept; a further one ends the shortest.
    static let limit = 8

    private var entries = LookupTable<UInt64, Entry>()
    /// Second and further refusals of the same pair, which are rare.
    private var more = LookupTable<UInt64, [Entry]>()
    private var expiries = Heap<Expiry>()
    private(set) var count = 0

    init() {}

    private static func key(_ agent: Int, _ slot: Int) -> UInt64 {
        UInt64(agent) << 32 | UInt64(slot)
    }

    var nextEnd: Instant? { expiries.min?.end }

    func all(_ agent: Int, _ slot: Int) -> [Entry] {
        let key = Self.key(agent, slot)
        guard let first = entries[key] else { return [] }
        return [first] + (more[key] ?? [])
    }

    func first(_ agent: Int, _ slot: Int) -> Entry? { entries[Self.key(agent, slot)] }

    func hasMore(_ agent: Int, _ slot: Int) -> Bool {
        !more.isEmpty && more[Self.key(agent, slot)] != nil
    }

    /// Sets all refusals of a pair.
    mutating func set(_ agent: Int, _ slot: Int, _ list: [Entry]) {
        let key = Self.key(agent, slot)
        count -= entries[key] == nil ? 0 : 1 + (more[key]?.count ?? 0)
        count += list.count
        entries[key] = list.first
        more[key] = list.count > 1 ? Array(list[1...]) : nil
        for entry in list { expect(entry, key) }
        discardStale()
    }

    /// Sets the only refusal of a pair that had none.
    mutating func add(_ agent: Int, _ slot: Int, _ entry: Entry) {
        let key = Self.key(agent, slot)
        entries[key] = entry
        count += 1
        expect(entry, key)
    }

    private mutating func expect(_ entry: Entry, _ key: UInt64) {
        expiries.insert(Expiry(end: entry.end, key: key))
    }

    /// The next pair one of whose refusals has ended.
    mutating func popDue(at now: Instant) -> (agent: Int, slot: Int)? {
        while let first = expiries.min, first.end <= now {
            expiries.removeMin()
            if isLive(first) {
                return (Int(first.key >> 32), Int(first.key & 0xffff_ffff))
            }
        }
        return nil
    }

    private func isLive(_ expiry: Expiry) -> Bool {
        guard let first = entries[expiry.key] else { return false }
        return first.end == expiry.end
            || (more[expiry.key]?.contains { $0.end == expiry.end } ?? false)
    }

    /// Refusals that were taken back leave their ends behind, which may be a year away.
    private mutating func discardStale() {
        while let first = expiries.min, !isLive(first) { expiries.removeMin() }
        if expiries.count > 1024, expiries.count > count * 2 {
            expiries = Heap(expiries.unordered.filter(isLive))
        }
    }

    /// Gives agents new numbers.
    mutating func move(_ places: [Int], slots: [Bits]) {
        var moved = RefusalTable()
        for (slot, agents) in slots.enumerated() {
            for agent in agents.members where places[agent] >= 0 {
                moved.set(places[agent], slot, all(agent, slot))
            }
        }
        self = moved
    }
}

extension HierarchicalAllocator {
    /// Notes that a framework does not want these resources, or less, until then.
    mutating func refuse(_ slot: Int, _ agent: Int, _ parcel: Parcel, until end: Instant) {
        if refusals.first(agent, slot) == nil {
            let group = agents[agent].refused.group(of: parcel)
            agents[agent].refused.groups[group].members.insert(slot)
            refusals.add(agent, slot, RefusalTable.Entry(end: end, group: group))
            slots[slot].refusedAgents.insert(agent)
        } else {
            addRefusal(slot, agent, parcel, until: end)
        }
        agents[agent].refused.isStale = true
    }

    private mutating func addRefusal(
        _ slot: Int, _ agent: Int, _ parcel: Parcel, until end: Instant
    ) {
        // What the new refusal covers for longer needs no entry of its own.
        var kept = refusals.all(agent, slot).filter {
            $0.end > end || !parcel.covers(agents[agent].refused.groups[$0.group].parcel)
        }
        if kept.count >= RefusalTable.limit,
            let shortest = kept.indices.min(by: { kept[$0].end < kept[$1].end })
        {
            kept.remove(at: shortest)
        }
        setRefusals(slot, agent, kept)
        let group = agents[agent].refused.group(of: parcel)
        kept.removeAll { $0.group == group && $0.end <= end }
        kept.append(RefusalTable.Entry(end: end, group: group))
        setRefusals(slot, agent, kept)
    }

    private mutating func setRefusals(
        _ slot: Int, _ agent: Int, _ list: [RefusalTable.Entry]
    ) {
        for entry in refusals.all(agent, slot) {
            agents[agent].refused.groups[entry.group].members.remove(slot)
        }
        for entry in list { agents[agent].refused.groups[entry.group].members.insert(slot) }
        refusals.set(agent, slot, list)
        if list.isEmpty {
            slots[slot].refusedAgents.remove(agent)
        } else {
            slots[slot].refusedAgents.insert(agent)
        }
        agents[agent].refused.isStale = true
    }

    /// Forgets what a framework has refused in a role; O(its refusals).
    mutating func forgetRefusals(slot: Int) {
        nextEpoch &+= 1
        slots[slot].epoch = nextEpoch
        slots[slot].declines = 0
        for agent in slots[slot].refusedAgents.members { setRefusals(slot, agent, []) }
    }

    /// Forgets what was refused at an agent; O(its refusals).
    mutating func forgetRefusals(agent: Int) {
        var all = Bits()
        for group in agents[agent].refused.groups { all.formUnion(group.members) }
        for slot in all.members { setRefusals(slot, agent, []) }
    }

    /// Ends the refusals that are over.
    mutating func endRefusals(at now: Instant) {
        while let (agent, slot) = refusals.popDue(at: now) {
            setRefusals(slot, agent, refusals.all(agent, slot).filter { $0.end > now })
            dirtyAgents.insert(agent)
        }
    }

    /// Whether a framework has refused what it would be offered, or more than that.
    func isRefused(_ slot: Int, _ agent: Int, _ parcel: Parcel) -> Bool {
        guard !slots[slot].refusedAgents.isEmpty, let first = refusals.first(agent, slot) else {
            return false
        }
        if agents[agent].refused.groups[first.group].parcel.covers(parcel) { return true }
        guard refusals.hasMore(agent, slot) else { return false }
        return refusals.all(agent, slot).contains {
            agents[agent].refused.groups[$0.group].parcel.covers(parcel)
        }
    }

    /// A framework has given back what it was offered.
    mutating func noteReturn(
        _ slot: Int, _ agent: Int, _ parcel: Parcel, _ refuse: Duration?, at now: Instant
    ) {
        if let refuse, refuse > .zero {
            decline(slot, agent, parcel, refuse, at: now)
        } else if let pause = returnPause(slot, agent) {
            self.refuse(slot, agent, parcel, until: now + pause)
        }
    }

    /// After this many rounds in which all it did was to decline, a framework is offered less.
    private static let freeDeclines = 4

    private mutating func decline(
        _ slot: Int, _ agent: Int, _ parcel: Parcel, _ asked: Duration, at now: Instant
    ) {
        if slots[slot].declinedRound != round {
            slots[slot].declinedRound = round
            slots[slot].declines += 1
            noteBackOff(slot, asked)
        }
        refuse(slot, agent, parcel, until: now + max(asked, backOff(slot, asked)))
    }

    /// What a framework that only declines is refused for, whatever it asks.
    private func backOff(_ slot: Int, _ asked: Duration) -> Duration {
        let beyond = slots[slot].declines - Self.freeDeclines
        guard beyond > 0, options.backOffLimit > .zero else { return .zero }
        guard asked < options.backOffLimit else { return .zero }
        return min(asked * (1 << min(beyond, 16)), options.backOffLimit)
    }

    private mutating func noteBackOff(_ slot: Int, _ asked: Duration) {
        let pause = backOff(slot, asked)
        let before = slots[slot].declines - 1 - Self.freeDeclines
        // Said when it begins and when it grows, not with each decline.
        guard pause > .zero, before <= 0 || asked * (1 << min(before, 16)) < pause else { return }
        backOffs.append(
            NotedBackOff(
                framework: frameworks[slots[slot].framework].description.id,
                role: slots[slot].role, declines: slots[slot].declines, pause: pause))
    }

    /// So many returns in a row are answered at once.
    private static let freeReturns = 3
    /// The pause after the first return that is not; it doubles with each further one.
    private static let firstReturnPause = Duration.milliseconds(4)

    /// Without a pause, a framework that returns everything at once and refuses nothing would be
    /// offered the same again a few hundred times in a second.
    private mutating func returnPause(_ slot: Int, _ agent: Int) -> Duration? {
        guard options.returnPauseLimit > .zero else { return nil }
        let epoch = slots[slot].epoch
        let index =
            agents[agent].returns.firstIndex { $0.slot == slot } ?? agents[agent].returns.count
        if index == agents[agent].returns.count {
            agents[agent].returns.append(Returns(slot: slot, epoch: epoch))
        }
        if agents[agent].returns[index].epoch != epoch {
            agents[agent].returns[index] = Returns(slot: slot, epoch: epoch)
        }
        agents[agent].returns[index].count += 1
        let repetitions = agents[agent].returns[index].count - Self.freeReturns - 1
        guard repetitions >= 0 else { return nil }
        return min(Self.firstReturnPause * (1 << min(repetitions, 16)), options.returnPauseLimit)
    }

    mutating func forgetReturns(_ slot: Int, _ agent: Int) {
        guard !agents[agent].returns.isEmpty else { return }
        agents[agent].returns.removeAll { $0.slot == slot }
    }

    mutating func forgetVerdicts(agent: Int) {
        for slot in slots.indices {
            slots[slot].verdicts.forget(agent)
            for demand in slots[slot].demands.indices {
                slots[slot].demands[demand].verdicts.forget(agent)
            }
        }
    }
}
