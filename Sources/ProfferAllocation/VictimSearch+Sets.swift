internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

extension VictimSearch {
    /// The best set of victims on one agent, or `nil`.
    ///
    /// Candidates of low priority first: those of a higher one are looked at only when all below
    /// do not make room.
    mutating func search(_ row: VictimRow) -> VictimPlan? {
        guard row.isPossible, row.instances < demand.perAgent ?? .max else { return nil }
        let order = row.candidates.indices.sorted {
            let (left, right) = (row.candidates[$0], row.candidates[$1])
            return left.priority != right.priority ? left.priority < right.priority : $0 < $1
        }
        var pool: [Int] = []
        for (place, index) in order.enumerated() {
            pool.append(index)
            let isLastOfPriority =
                place + 1 == order.count
                || row.candidates[order[place + 1]].priority != row.candidates[index].priority
            guard isLastOfPriority, covers(row, pool) else { continue }
            let isSmall =
                pool.count <= Self.exhaustiveLimit && combinations < Self.combinationLimit
            if let plan = isSmall ? smallest(row, pool) : greedy(row, pool) { return plan }
        }
        return nil
    }

    /// Whether what is free and all of these make room; whether they may go is another question.
    private func covers(_ row: VictimRow, _ pool: [Int]) -> Bool {
        let ended = row.ended(pool)
        return row.need.indices.allSatisfy { place in
            let freed = pool.reduce(row.free[place]) { $0 + row.candidates[$1].frees[place] }
            let rest = ended.reduce(freed) { $0 + row.executors[$1].frees[place] }
            return row.need[place] <= rest
        }
    }

    /// Whether every top-level role keeps what it is guaranteed, and the demand's stays within
    /// its limit.
    private func isAllowed(
        _ row: VictimRow, _ chosen: [Int], checksLimit: Bool = true
    ) -> Bool {
        if uses.isEmpty { return true }
        var lost: OrderedDictionary<String, ResourceQuantities> = [:]
        func lose(_ tree: String, _ amounts: [Int64]) {
            guard uses[tree] != nil else { return }
            for (name, amount) in zip(row.names, amounts) where amount > 0 {
                lost[tree, default: ResourceQuantities()].add(
                    Milli(thousandths: amount), to: name)
            }
        }
        for index in chosen { lose(row.candidates[index].tree, row.candidates[index].loses) }
        for index in row.ended(chosen) {
            lose(row.executors[index].tree, row.executors[index].loses)
        }
        for (role, amounts) in lost where role != tree {
            guard let use = uses[role] else { continue }
            for entry in amounts.entries {
                let promised = use.quota.guarantees[entry.name]
                if promised > .zero, use.consumed[entry.name] - entry.amount < promised {
                    return false
                }
            }
        }
        return !checksLimit || isWithinLimit(lost: lost[tree] ?? ResourceQuantities())
    }

    private func plan(_ row: VictimRow, _ chosen: [Int]) -> VictimPlan {
        let ended = row.ended(chosen)
        var excess: Int64 = 0
        for place in row.need.indices {
            let freed =
                chosen.reduce(0) { $0 + row.candidates[$1].frees[place] }
                + ended.reduce(0) { $0 + row.executors[$1].frees[place] }
            let missing = max(0, row.need[place] - row.free[place])
            let vain = Int128(max(0, freed - missing)) * 1_000_000
            excess += Int64(clamping: vain / Int128(max(1, row.total[place])))
        }
        return VictimPlan(
            chosen: chosen.sorted(),
            highestPriority: chosen.map { row.candidates[$0].priority }.max() ?? .min,
            tasks: chosen.reduce(0) { $0 + row.candidates[$1].tasks.count }, excess: excess,
            startedAt: chosen.map { row.candidates[$0].startedAt }.min() ?? .max)
    }

    /// The best of all sets of a few candidates.
    ///
    /// Sets of few come first: those that cannot be enough are passed over, and once a set was
    /// found none with more tasks is looked at. O(2^candidates) at worst.
    private mutating func smallest(_ row: VictimRow, _ pool: [Int]) -> VictimPlan? {
        var best: VictimPlan?
        let counts = pool.map { row.candidates[$0].tasks.count }.sorted()
        var fewest = 0
        for size in 1...pool.count {
            fewest += counts[size - 1]
            if let best, fewest > best.tasks { break }
            guard canCover(row, pool, size) else { continue }
            // Every mask with so many bits, rising.
            var mask = (1 << size) - 1
            while mask < 1 << pool.count {
                let chosen = pool.indices.filter { mask & (1 << $0) != 0 }.map { pool[$0] }
                let lowest = mask & -mask
                let next = mask + lowest
                mask = next | ((mask ^ next) / lowest) >> 2
                let tasks = chosen.reduce(0) { $0 + row.candidates[$1].tasks.count }
                if let best, tasks > best.tasks { continue }
                combinations += 1
                guard covers(row, chosen), isAllowed(row, chosen) else { continue }
                let plan = plan(row, chosen)
                if best.map({ plan.isBetter(than: $0) }) ?? true { best = plan }
            }
        }
        return best
    }

    /// Whether so many candidates could make room if each gave what the largest ones give.
    private func canCover(_ row: VictimRow, _ pool: [Int], _ size: Int) -> Bool {
        row.need.indices.allSatisfy { place in
            let largest = pool.map { row.candidates[$0].frees[place] }.sorted(by: >).prefix(size)
            let rest = row.executors.reduce(row.free[place]) { $0 + $1.frees[place] }
            return row.need[place] <= largest.reduce(rest, +)
        }
    }

    /// A set of which none can be left out.
    ///
    /// Of the lowest priority first what brings the most of what is missing, then every victim
    /// is left out again that the others make needless. O(candidates²).
    private func greedy(_ row: VictimRow, _ pool: [Int]) -> VictimPlan? {
        var chosen: [Int] = []
        var rest = pool
        while true {
            let isCovered = covers(row, chosen)
            if isCovered, isAllowed(row, chosen) { break }
            let missing = row.need.indices.map { place in
                row.need[place]
                    - chosen.reduce(row.free[place]) { $0 + row.candidates[$1].frees[place] }
            }
            let useful = rest.filter { index in
                let candidate = row.candidates[index]
                // Once there is room, only the limit of the demand's own role can be in the way.
                if isCovered { return candidate.tree == tree }
                return candidate.executor != nil || gain(candidate.frees, missing, row.need) > 0
            }
            let allowed = useful.filter { isAllowed(row, chosen + [$0], checksLimit: false) }
            guard
                let next = allowed.min(by: { left, right in
                    let (one, other) = (row.candidates[left], row.candidates[right])
                    if one.priority != other.priority { return one.priority < other.priority }
                    let (more, less) = (
                        gain(one.frees, missing, row.need), gain(other.frees, missing, row.need)
                    )
                    if more != less { return more > less }
                    return one.startedAt > other.startedAt
                })
            else { return nil }
            chosen.append(next)
            rest.removeAll { $0 == next }
        }
        return plan(row, withoutNeedless(row, chosen))
    }

    /// The most precious first: of the highest priority, then the longest at work.
    private func withoutNeedless(_ row: VictimRow, _ chosen: [Int]) -> [Int] {
        var kept = chosen
        for index in chosen.sorted(by: {
            let (one, other) = (row.candidates[$0], row.candidates[$1])
            if one.priority != other.priority { return one.priority > other.priority }
            return one.startedAt != other.startedAt ? one.startedAt < other.startedAt : $0 < $1
        }) {
            let without = kept.filter { $0 != index }
            if covers(row, without), isAllowed(row, without) { kept = without }
        }
        return kept
    }

    /// How much of what is missing this brings, in thousandths of the need, added up.
    private func gain(_ frees: [Int64], _ missing: [Int64], _ need: [Int64]) -> Int64 {
        need.indices.reduce(0) { sum, place in
            let useful = Int128(max(0, min(frees[place], missing[place]))) * 1000
            return sum + Int64(clamping: useful / Int128(max(1, need[place])))
        }
    }
}
