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
    /// When the first pause ends that has not ended when `blocked` was found; `nil` without one.
    var nextPauseEnd: Instant?
    /// Who has returned what is free without a refusal.
    var returns: [Returns] = []

    mutating func group(of parcel: Parcel) -> Int {
        if let index = groups.firstIndex(where: {
            !$0.members.isEmpty && $0.parcel.isSame(as: parcel)
        }) {
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
        if !blocked.isEmpty { blocked.removeAll() }
        for group in groups where !group.members.isEmpty && group.parcel.covers(free) {
            if blocked.isEmpty {
                blocked = group.members
            } else {
                blocked.formUnion(group.members)
            }
        }
    }
}

/// How often in a row a framework has returned an agent whole without a refusal.
struct Returns: Sendable {
    var slot: Int
    var epoch: UInt32
    var count = 0
    /// Until then it is not offered the same, or less, again.
    var pausedUntil: Instant?
    /// What that is.
    var parcel = Parcel()
}

/// When pauses after returns end, and at which agents; O(log instants) each.
struct ReturnPauses: Sendable {
    private struct End: Comparable, Sendable {
        var end: Instant
        var bucket: Int32

        static func < (left: End, right: End) -> Bool {
            left.end != right.end ? left.end < right.end : left.bucket < right.bucket
        }
    }

    /// Returns of one call have one end: their agents are kept together.
    private var buckets: [[Int32]] = []
    private var freeBuckets: [Int32] = []
    private var bucketsByEnd = LookupTable<Int64, Int32>()
    private var ends = Heap<End>()

    var nextEnd: Instant? { ends.min?.end }

    mutating func add(_ agent: Int, _ end: Instant) {
        let bucket: Int32
        if let known = bucketsByEnd[end.nanoseconds] {
            bucket = known
        } else {
            bucket = freeBuckets.popLast() ?? Int32(clamping: buckets.count)
            if Int(bucket) == buckets.count { buckets.append([]) }
            bucketsByEnd[end.nanoseconds] = bucket
            ends.insert(End(end: end, bucket: bucket))
        }
        buckets[Int(bucket)].append(Int32(truncatingIfNeeded: agent))
    }

    /// The agents at which a pause has ended.
    mutating func popDue(at now: Instant) -> [Int32]? {
        guard let first = ends.min, first.end <= now else { return nil }
        ends.removeMin()
        bucketsByEnd[first.end.nanoseconds] = nil
        freeBuckets.append(first.bucket)
        let agents = buckets[Int(first.bucket)]
        buckets[Int(first.bucket)] = []
        return agents
    }

    /// Gives agents new numbers; those without one are left out.
    mutating func move(_ places: [Int]) {
        for bucket in buckets.indices {
            buckets[bucket] = buckets[bucket].compactMap { agent in
                let place = places[Int(agent)]
                return place < 0 ? nil : Int32(truncatingIfNeeded: place)
            }
        }
    }
}

/// When each refusal ends, by agent and framework in a role.
///
/// Many refusals end at the same instant, for one call may decline a thousand offers: their ends
/// are kept once, and a refusal costs a few words.
struct RefusalTable: Sendable {
    struct Entry: Hashable, Sendable {
        var end: Instant
        var group: Int
    }

    private struct Packed: Hashable, Sendable {
        var bucket: Int32
        var group: Int32
    }

    /// All that ends at one instant; pairs whose refusal was taken back meanwhile are left in it.
    private struct Bucket: Sendable {
        var end: Instant
        var keys: [UInt64] = []
        /// How many refusals end then.
        var count = 0
    }

    private struct End: Comparable, Sendable {
        var end: Instant
        var bucket: Int32

        static func < (left: End, right: End) -> Bool {
            left.end != right.end ? left.end < right.end : left.bucket < right.bucket
        }
    }

    /// So many refusals of one framework at one agent are kept; a further one ends the shortest.
    static let limit = 8

    private var entries = LookupTable<UInt64, Packed>()
    /// Second and further refusals of the same pair, which are rare.
    private var more = LookupTable<UInt64, [Packed]>()
    private var buckets: ContiguousArray<Bucket> = []
    private var freeBuckets: [Int32] = []
    private var bucketsByEnd = LookupTable<Int64, Int32>()
    private var ends = Heap<End>()
    private(set) var count = 0
    /// Of all buckets together.
    private var keyCount = 0

    init() {}

    private static func key(_ agent: Int, _ slot: Int) -> UInt64 {
        UInt64(agent) << 32 | UInt64(slot)
    }

    var nextEnd: Instant? { ends.min?.end }

    private func entry(_ packed: Packed) -> Entry {
        Entry(end: buckets[Int(packed.bucket)].end, group: Int(packed.group))
    }

    func all(_ agent: Int, _ slot: Int) -> [Entry] {
        let key = Self.key(agent, slot)
        guard let first = entries[key] else { return [] }
        return [entry(first)] + (more[key] ?? []).map(entry)
    }

    /// The group of the first refusal of a pair.
    func firstGroup(_ agent: Int, _ slot: Int) -> Int? {
        entries[Self.key(agent, slot)].map { Int($0.group) }
    }

    func hasMore(_ agent: Int, _ slot: Int) -> Bool {
        !more.isEmpty && more[Self.key(agent, slot)] != nil
    }

    /// Sets all refusals of a pair.
    mutating func set(_ agent: Int, _ slot: Int, _ list: [Entry]) {
        let key = Self.key(agent, slot)
        var old = more[key] ?? []
        if let first = entries[key] { old.insert(first, at: 0) }
        count += list.count - old.count
        let packed = list.map { entry in
            Packed(bucket: bucket(entry.end), group: Int32(clamping: entry.group))
        }
        for one in old { buckets[Int(one.bucket)].count -= 1 }
        for one in packed { buckets[Int(one.bucket)].count += 1 }
        for one in packed where !old.contains(where: { $0.bucket == one.bucket }) {
            buckets[Int(one.bucket)].keys.append(key)
            keyCount += 1
        }
        entries[key] = packed.first
        more[key] = packed.count > 1 ? Array(packed[1...]) : nil
        discardStale()
    }

    /// Sets the only refusal of a pair that had none.
    mutating func add(_ agent: Int, _ slot: Int, _ entry: Entry) {
        let key = Self.key(agent, slot)
        let bucket = bucket(entry.end)
        entries[key] = Packed(bucket: bucket, group: Int32(clamping: entry.group))
        buckets[Int(bucket)].keys.append(key)
        buckets[Int(bucket)].count += 1
        keyCount += 1
        count += 1
    }

    private mutating func bucket(_ end: Instant) -> Int32 {
        if let known = bucketsByEnd[end.nanoseconds] { return known }
        let index = freeBuckets.popLast() ?? Int32(clamping: buckets.count)
        if Int(index) == buckets.count {
            buckets.append(Bucket(end: end))
        } else {
            buckets[Int(index)] = Bucket(end: end)
        }
        bucketsByEnd[end.nanoseconds] = index
        ends.insert(End(end: end, bucket: index))
        return index
    }

    /// The next pair one of whose refusals has ended.
    mutating func popDue(at now: Instant) -> (agent: Int, slot: Int)? {
        while let first = ends.min, first.end <= now {
            let bucket = Int(first.bucket)
            while let key = buckets[bucket].keys.popLast() {
                keyCount -= 1
                if isLive(key, first.bucket) { return (Int(key >> 32), Int(key & 0xffff_ffff)) }
            }
            ends.removeMin()
            forget(first.bucket)
        }
        return nil
    }

    private func isLive(_ key: UInt64, _ bucket: Int32) -> Bool {
        guard let first = entries[key] else { return false }
        return first.bucket == bucket || (more[key]?.contains { $0.bucket == bucket } ?? false)
    }

    private mutating func forget(_ bucket: Int32) {
        keyCount -= buckets[Int(bucket)].keys.count
        bucketsByEnd[buckets[Int(bucket)].end.nanoseconds] = nil
        buckets[Int(bucket)].keys = []
        freeBuckets.append(bucket)
    }

    /// Refusals that were taken back leave their pairs behind, and their ends may be a year away.
    private mutating func discardStale() {
        while let first = ends.min, buckets[Int(first.bucket)].count == 0 {
            ends.removeMin()
            forget(first.bucket)
        }
        guard keyCount > 1024, keyCount > count * 2 else { return }
        keyCount = 0
        var kept: [End] = []
        for end in ends.unordered {
            let bucket = Int(end.bucket)
            let live = buckets[bucket].keys.filter { isLive($0, end.bucket) }
            buckets[bucket].keys = live
            keyCount += live.count
            if live.isEmpty { forget(end.bucket) } else { kept.append(end) }
        }
        ends = Heap(kept)
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
        if refusals.firstGroup(agent, slot) == nil {
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
        endPause(slot)
        for agent in slots[slot].refusedAgents.members { setRefusals(slot, agent, []) }
        for agent in slots[slot].pausedAgents.members { agents[agent].refused.isStale = true }
        slots[slot].pausedAgents.removeAll()
    }

    /// Forgets what was refused at an agent; O(its refusals).
    mutating func forgetRefusals(agent: Int) {
        var all = Bits()
        for group in agents[agent].refused.groups { all.formUnion(group.members) }
        for slot in all.members { setRefusals(slot, agent, []) }
        agents[agent].refused.returns.removeAll()
        agents[agent].refused.isStale = true
    }

    /// Ends the refusals that are over.
    mutating func endRefusals(at now: Instant) {
        while let (agent, slot) = refusals.popDue(at: now) {
            setRefusals(slot, agent, refusals.all(agent, slot).filter { $0.end > now })
            dirtyAgents.insert(agent)
        }
        while let due = returnPauses.popDue(at: now) {
            for agent in due { dirtyAgents.insert(Int(agent)) }
        }
    }

    /// Finds out who wants nothing of what is free at an agent, if that is not known.
    mutating func refreshBlocked(_ agent: Int) {
        let isOver = agents[agent].refused.nextPauseEnd.map { $0 <= now } ?? false
        guard isOver || agents[agent].refused.isStale else { return }
        agents[agent].refused.refresh(agents[agent].free)
        agents[agent].refused.nextPauseEnd = nil
        for place in agents[agent].refused.returns.indices {
            guard let end = pauseEnd(agent, place) else { continue }
            agents[agent].refused.nextPauseEnd =
                earliest(agents[agent].refused.nextPauseEnd, end)
            if agents[agent].refused.returns[place].parcel.covers(agents[agent].free) {
                agents[agent].refused.blocked.insert(agents[agent].refused.returns[place].slot)
            }
        }
    }

    /// When a pause ends, unless it is over or void.
    private func pauseEnd(_ agent: Int, _ place: Int) -> Instant? {
        guard let end = agents[agent].refused.returns[place].pausedUntil, end > now else {
            return nil
        }
        let slot = agents[agent].refused.returns[place].slot
        return slots[slot].epoch == agents[agent].refused.returns[place].epoch ? end : nil
    }

    private func isPaused(_ slot: Int, _ agent: Int, _ parcel: Parcel) -> Bool {
        guard agents[agent].refused.nextPauseEnd != nil,
            let place = agents[agent].refused.returns.firstIndex(where: { $0.slot == slot }),
            pauseEnd(agent, place) != nil
        else { return false }
        return agents[agent].refused.returns[place].parcel.covers(parcel)
    }

    /// Whether a framework has refused what it would be offered, or more than that.
    ///
    /// - Parameters:
    ///   - slot: The framework in a role.
    ///   - agent: The agent.
    ///   - parcel: What it would be offered.
    ///   - hasAllExtras: Whether the parcel leaves out extras that are all meant.
    /// - Returns: Whether it is refused.
    func isRefused(
        _ slot: Int, _ agent: Int, _ parcel: Parcel, withAllExtras hasAllExtras: Bool = false
    ) -> Bool {
        if hasAllExtras {
            guard agents[agent].refused.nextPauseEnd != nil || !slots[slot].refusedAgents.isEmpty
            else { return false }
            var all = parcel
            all.extras = agents[agent].free.extras
            return isRefused(slot, agent, all)
        }
        if isPaused(slot, agent, parcel) { return true }
        guard !slots[slot].refusedAgents.isEmpty, let first = refusals.firstGroup(agent, slot)
        else { return false }
        if agents[agent].refused.groups[first].parcel.covers(parcel) { return true }
        guard refusals.hasMore(agent, slot) else { return false }
        return refusals.all(agent, slot).contains {
            agents[agent].refused.groups[$0.group].parcel.covers(parcel)
        }
    }

    /// Whether a framework has refused these resources, or more, of an agent in a role.
    public func hasRefused(_ allocation: Allocation) -> Bool {
        guard let agent = agentIndex[allocation.agent],
            let framework = frameworkIndex[allocation.framework],
            let slot = slot(framework, allocation.role)
        else { return false }
        return isRefused(slot, agent, columns.parcel(allocation.resources))
    }

    /// A framework has given back what it was offered.
    mutating func noteReturn(
        _ slot: Int, _ agent: Int, _ parcel: Parcel, _ refuse: Duration?, at now: Instant
    ) {
        if let refuse, refuse > .zero {
            decline(slot, agent, parcel, refuse, at: now)
        } else if options.returnPauseLimit > .zero {
            pauseReturns(slot, agent, parcel, at: now)
        }
    }

    /// After this many rounds in which all it did was to decline, a framework is offered less.
    private static let freeDeclines = 4

    private mutating func decline(
        _ slot: Int, _ agent: Int, _ parcel: Parcel, _ asked: Duration, at now: Instant
    ) {
        refuse(slot, agent, parcel, until: now + asked)
        guard slots[slot].declinedRound != round else { return }
        slots[slot].declinedRound = round
        slots[slot].declines += 1
        let beyond = slots[slot].declines - Self.freeDeclines
        guard beyond > 0, options.backOffLimit > .zero, asked < options.backOffLimit else { return }
        pause(
            slot, for: min(asked * (1 << min(beyond, 16)), options.backOffLimit), at: now)
    }

    /// A framework that only declines is offered nothing for a while: otherwise, having the least
    /// share of all, it would be offered everything first, for ever.
    private mutating func pause(_ slot: Int, for pause: Duration, at now: Instant) {
        slots[slot].pausedUntil = now + pause
        pauses.set(slot, to: now + pause)
        refreshWaiting(slot)
        backOffs.append(
            BackOff(
                framework: frameworks[slots[slot].framework].description.id,
                role: slots[slot].role, declines: slots[slot].declines, pause: pause))
    }

    /// It wants something, or has shown that it does.
    mutating func endPause(_ slot: Int) {
        slots[slot].declines = 0
        guard slots[slot].pausedUntil != nil else { return }
        slots[slot].pausedUntil = nil
        pauses.set(slot, to: nil)
        refreshWaiting(slot)
        dirtySlots.insert(slot)
    }

    /// Lets those try again whose pauses are over.
    mutating func endPauses(at now: Instant) {
        while let slot = pauses.popDue(at: now) {
            slots[slot].pausedUntil = nil
            refreshWaiting(slot)
            dirtySlots.insert(slot)
        }
    }

    /// So many returns in a row are answered at once.
    private static let freeReturns = 3
    /// The pause after the first return that is not; it doubles with each further one.
    private static let firstReturnPause = Duration.milliseconds(4)

    /// Without a pause, a framework that returns everything at once and refuses nothing would be
    /// offered the same again a few hundred times in a second.
    private mutating func pauseReturns(
        _ slot: Int, _ agent: Int, _ parcel: Parcel, at now: Instant
    ) {
        let epoch = slots[slot].epoch
        let known = agents[agent].refused.returns.firstIndex { $0.slot == slot }
        let place = known ?? agents[agent].refused.returns.count
        if known == nil {
            agents[agent].refused.returns.append(Returns(slot: slot, epoch: epoch))
        } else if agents[agent].refused.returns[place].epoch != epoch {
            agents[agent].refused.returns[place] = Returns(slot: slot, epoch: epoch)
        }
        agents[agent].refused.returns[place].count += 1
        let repetitions = agents[agent].refused.returns[place].count - Self.freeReturns - 1
        guard repetitions >= 0 else { return }
        let end =
            now + min(Self.firstReturnPause * (1 << min(repetitions, 16)), options.returnPauseLimit)
        agents[agent].refused.returns[place].pausedUntil = end
        agents[agent].refused.returns[place].parcel = parcel
        agents[agent].refused.nextPauseEnd = earliest(agents[agent].refused.nextPauseEnd, end)
        agents[agent].refused.isStale = true
        slots[slot].pausedAgents.insert(agent)
        returnPauses.add(agent, end)
    }

    mutating func forgetReturns(_ slot: Int, _ agent: Int) {
        guard !agents[agent].refused.returns.isEmpty else { return }
        agents[agent].refused.returns.removeAll { $0.slot == slot }
        agents[agent].refused.isStale = true
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
