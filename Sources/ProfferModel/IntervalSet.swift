/// A set of unsigned integers as sorted, disjoint, non-adjacent inclusive intervals (ports).
public struct IntervalSet: Hashable, Sendable, CustomStringConvertible {
    /// The intervals in rising order.
    public private(set) var intervals: [ClosedRange<UInt64>]

    /// Makes a set; overlapping and adjacent intervals are merged.
    ///
    /// O(n log n), and O(n) when `intervals` are in rising order.
    public init(_ intervals: [ClosedRange<UInt64>] = []) {
        var isNormal = true
        var isSorted = true
        for index in intervals.indices.dropFirst() {
            let (before, after) = (intervals[index - 1], intervals[index])
            if after.lowerBound < before.lowerBound {
                isSorted = false
                break
            }
            if Self.touches(before, after) { isNormal = false }
        }
        if isSorted, isNormal {
            self.intervals = intervals
        } else if isSorted {
            self.intervals = Self.merged(intervals, [])
        } else {
            self.intervals = Self.merged(intervals.sorted { $0.lowerBound < $1.lowerBound }, [])
        }
    }

    /// Whether it has no member.
    public var isEmpty: Bool { intervals.isEmpty }

    /// How many members it has; saturates.
    ///
    /// O(intervals).
    public var count: UInt64 {
        intervals.reduce(0) { sum, interval in
            let size = (interval.upperBound - interval.lowerBound).addingReportingOverflow(1)
            let (total, overflow) = sum.addingReportingOverflow(
                size.overflow ? .max : size.partialValue)
            return overflow ? .max : total
        }
    }

    /// Whether `member` is in the set.
    ///
    /// O(log intervals).
    public func contains(_ member: UInt64) -> Bool {
        let index = firstIndex(endingAtOrAfter: member)
        return index < intervals.count && intervals[index].lowerBound <= member
    }

    /// Whether every member of `other` is a member.
    ///
    /// O(intervals of both), and O(m log n) when the m intervals of `other` are few.
    public func isSuperset(of other: IntervalSet) -> Bool {
        if Self.isFew(other.intervals.count, among: intervals.count) {
            return other.intervals.allSatisfy { part in
                let index = firstIndex(endingAtOrAfter: part.lowerBound)
                return index < intervals.count && Self.covers(intervals[index], part)
            }
        }
        var index = 0
        for part in other.intervals {
            while index < intervals.count, intervals[index].upperBound < part.lowerBound {
                index += 1
            }
            guard index < intervals.count, Self.covers(intervals[index], part) else {
                return false
            }
        }
        return true
    }

    /// The union.
    ///
    /// O(intervals of both).
    public func union(_ other: IntervalSet) -> IntervalSet {
        var result = self
        result.formUnion(other)
        return result
    }

    /// Adds the members of `other`.
    ///
    /// O(intervals of both).
    public mutating func formUnion(_ other: IntervalSet) {
        if other.isEmpty { return }
        if isEmpty {
            self = other
        } else if Self.isFew(other.intervals.count, among: intervals.count) {
            for interval in other.intervals { insert(interval) }
        } else {
            intervals = Self.merged(intervals, other.intervals)
        }
    }

    /// The members that are not in `other`.
    ///
    /// O(intervals of both).
    public func subtracting(_ other: IntervalSet) -> IntervalSet {
        var result = self
        result.subtract(other)
        return result
    }

    /// Removes the members of `other`.
    ///
    /// O(intervals of both).
    public mutating func subtract(_ other: IntervalSet) {
        if isEmpty || other.isEmpty { return }
        if Self.isFew(other.intervals.count, among: intervals.count) {
            for interval in other.intervals { remove(interval) }
        } else {
            intervals = Self.difference(intervals, other.intervals)
        }
    }

    /// The members that are in both.
    ///
    /// O(intervals of both).
    public func intersection(_ other: IntervalSet) -> IntervalSet {
        var both: [ClosedRange<UInt64>] = []
        var (left, right) = (0, 0)
        while left < intervals.count, right < other.intervals.count {
            let (one, two) = (intervals[left], other.intervals[right])
            let low = max(one.lowerBound, two.lowerBound)
            let high = min(one.upperBound, two.upperBound)
            if low <= high { both.append(low...high) }
            if one.upperBound < two.upperBound { left += 1 } else { right += 1 }
        }
        var result = IntervalSet()
        result.intervals = both
        return result
    }

    /// The smallest `count` members, or fewer when there are not so many.
    public func prefix(_ count: Int) -> [UInt64] {
        var members: [UInt64] = []
        for interval in intervals {
            var member = interval.lowerBound
            while members.count < count {
                members.append(member)
                if member == interval.upperBound { break }
                member += 1
            }
            if members.count >= count { break }
        }
        return members
    }

    /// In Mesos' notation: `[31000-32000, 33000-33000]`.
    public var description: String {
        "[" + intervals.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ") + "]"
    }
}

extension IntervalSet {
    /// Whether a search for each of `count` beats one pass over all of `total`.
    private static func isFew(_ count: Int, among total: Int) -> Bool { count < total >> 4 }

    /// Whether `next`, which begins no earlier, overlaps `interval` or follows without a gap.
    private static func touches(
        _ interval: ClosedRange<UInt64>, _ next: ClosedRange<UInt64>
    ) -> Bool {
        interval.upperBound == .max || next.lowerBound <= interval.upperBound + 1
    }

    private static func covers(_ whole: ClosedRange<UInt64>, _ part: ClosedRange<UInt64>) -> Bool {
        whole.lowerBound <= part.lowerBound && part.upperBound <= whole.upperBound
    }

    /// Merges two lists that are sorted by lower bounds into one normal list.
    private static func merged(
        _ left: [ClosedRange<UInt64>], _ right: [ClosedRange<UInt64>]
    ) -> [ClosedRange<UInt64>] {
        var result: [ClosedRange<UInt64>] = []
        let size = left.count + right.count
        result.reserveCapacity(size)
        var (first, second) = (0, 0)
        var current: ClosedRange<UInt64>?
        while first + second < size {
            let next: ClosedRange<UInt64>
            if second == right.count
                || first < left.count && left[first].lowerBound <= right[second].lowerBound
            {
                next = left[first]
                first += 1
            } else {
                next = right[second]
                second += 1
            }
            guard let open = current else {
                current = next
                continue
            }
            if touches(open, next) {
                current = open.lowerBound...max(open.upperBound, next.upperBound)
            } else {
                result.append(open)
                current = next
            }
        }
        if let current { result.append(current) }
        // What was reserved for fragments that are gone is not kept for the life of the set.
        return result.count < size / 2 ? result.map { $0 } : result
    }

    private static func difference(
        _ left: [ClosedRange<UInt64>], _ right: [ClosedRange<UInt64>]
    ) -> [ClosedRange<UInt64>] {
        var result: [ClosedRange<UInt64>] = []
        var index = 0
        for interval in left {
            var low = interval.lowerBound
            var isUsedUp = false
            while index < right.count, right[index].upperBound < low { index += 1 }
            while index < right.count, right[index].lowerBound <= interval.upperBound {
                let hole = right[index]
                if hole.lowerBound > low { result.append(low...(hole.lowerBound - 1)) }
                if hole.upperBound >= interval.upperBound {
                    isUsedUp = true
                    break
                }
                low = hole.upperBound + 1
                index += 1
            }
            if !isUsedUp { result.append(low...interval.upperBound) }
        }
        return result
    }

    /// The first interval that ends at `bound` or later, or the number of intervals.
    private func firstIndex(endingAtOrAfter bound: UInt64) -> Int {
        var (low, high) = (0, intervals.count)
        while low < high {
            let middle = (low + high) / 2
            if intervals[middle].upperBound < bound { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The first interval that begins after `bound`, or the number of intervals.
    private func firstIndex(beginningAfter bound: UInt64) -> Int {
        var (low, high) = (0, intervals.count)
        while low < high {
            let middle = (low + high) / 2
            if intervals[middle].lowerBound <= bound { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func insert(_ added: ClosedRange<UInt64>) {
        let (low, high) = (added.lowerBound, added.upperBound)
        let start = firstIndex(endingAtOrAfter: low == 0 ? 0 : low - 1)
        let end = firstIndex(beginningAfter: high == .max ? .max : high + 1)
        guard start < end else {
            intervals.insert(added, at: start)
            return
        }
        intervals[start] =
            min(low, intervals[start].lowerBound)...max(high, intervals[end - 1].upperBound)
        intervals.removeSubrange((start + 1)..<end)
    }

    private mutating func remove(_ hole: ClosedRange<UInt64>) {
        let start = firstIndex(endingAtOrAfter: hole.lowerBound)
        let end = firstIndex(beginningAfter: hole.upperBound)
        guard start < end else { return }
        let (first, last) = (intervals[start], intervals[end - 1])
        var rest: [ClosedRange<UInt64>] = []
        if first.lowerBound < hole.lowerBound {
            rest.append(first.lowerBound...(hole.lowerBound - 1))
        }
        if last.upperBound > hole.upperBound {
            rest.append((hole.upperBound + 1)...last.upperBound)
        }
        intervals.replaceSubrange(start..<end, with: rest)
    }
}
