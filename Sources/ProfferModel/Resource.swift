/// A quantity in thousandths of its unit: the resolution of every scalar resource.
///
/// `cpus` count cores, `mem` and `disk` mebibytes, `gpus` whole devices. Sums are checked: a wire
/// decoder admits at most ±9,000,000,000,000 thousandths, so a sum over a cluster cannot overflow.
public struct Milli: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Thousandths.
    public var thousandths: Int64

    /// The largest magnitude that a message may carry, in thousandths.
    public static let wireLimit: Int64 = 9_000_000_000_000

    /// Nothing.
    public static let zero = Milli(thousandths: 0)

    /// Makes a quantity from thousandths.
    public init(thousandths: Int64) { self.thousandths = thousandths }

    /// Makes a quantity from whole units.
    public init(_ units: Int) { thousandths = Int64(units) * 1000 }

    /// Rounds a wire value half away from zero; `nil` when it is not finite or too large.
    public init?(rounding value: Double) {
        let scaled = (value * 1000).rounded(.toNearestOrAwayFromZero)
        guard scaled.isFinite, abs(scaled) <= Double(Self.wireLimit) else { return nil }
        thousandths = Int64(scaled)
    }

    /// The value for the wire and for display.
    public var doubleValue: Double { Double(thousandths) / 1000 }

    /// Whether `left` is less.
    public static func < (left: Milli, right: Milli) -> Bool {
        left.thousandths < right.thousandths
    }

    /// The sum.
    public static func + (left: Milli, right: Milli) -> Milli {
        Milli(thousandths: left.thousandths + right.thousandths)
    }

    /// The difference, which may be negative.
    public static func - (left: Milli, right: Milli) -> Milli {
        Milli(thousandths: left.thousandths - right.thousandths)
    }

    /// Adds in place.
    public static func += (left: inout Milli, right: Milli) { left = left + right }

    /// Subtracts in place.
    public static func -= (left: inout Milli, right: Milli) { left = left - right }

    /// At most three decimals, without trailing zeros: `0.5`, `12`.
    public var description: String {
        let magnitude = thousandths.magnitude
        var text = (thousandths < 0 ? "-" : "") + String(magnitude / 1000)
        var fraction = magnitude % 1000
        guard fraction != 0 else { return text }
        var digits = 3
        while fraction % 10 == 0 {
            fraction /= 10
            digits -= 1
        }
        let tail = String(fraction)
        text += "." + String(repeating: "0", count: digits - tail.count) + tail
        return text
    }
}

/// A set of unsigned integers as sorted, disjoint, non-adjacent inclusive intervals (ports).
public struct IntervalSet: Hashable, Sendable, CustomStringConvertible {
    /// The intervals in rising order.
    public private(set) var intervals: [ClosedRange<UInt64>]

    /// Makes a set; overlapping and adjacent intervals are merged.
    public init(_ intervals: [ClosedRange<UInt64>] = []) {
        self.intervals = Self.normalized(intervals)
    }

    private static func normalized(_ list: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>] {
        merged(
            list.sorted {
                $0.lowerBound != $1.lowerBound
                    ? $0.lowerBound < $1.lowerBound : $0.upperBound < $1.upperBound
            })
    }

    /// Merges what overlaps or touches in a list that is sorted by lower bounds.
    private static func merged(_ list: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>] {
        var merged: [ClosedRange<UInt64>] = []
        for next in list {
            if let last = merged.last,
                last.upperBound == .max || next.lowerBound <= last.upperBound + 1
            {
                merged[merged.count - 1] =
                    last.lowerBound...max(last.upperBound, next.upperBound)
            } else {
                merged.append(next)
            }
        }
        return merged
    }

    /// Whether it has no member.
    public var isEmpty: Bool { intervals.isEmpty }

    /// How many members it has; saturates.
    public var count: UInt64 {
        intervals.reduce(0) { sum, interval in
            let size = (interval.upperBound - interval.lowerBound).addingReportingOverflow(1)
            let (total, overflow) = sum.addingReportingOverflow(
                size.overflow ? .max : size.partialValue)
            return overflow ? .max : total
        }
    }

    /// The union.
    ///
    /// O(intervals of both).
    public func union(_ other: IntervalSet) -> IntervalSet {
        if other.isEmpty { return self }
        if isEmpty { return other }
        var both: [ClosedRange<UInt64>] = []
        both.reserveCapacity(intervals.count + other.intervals.count)
        var (left, right) = (intervals[...], other.intervals[...])
        while let first = left.first, let second = right.first {
            both.append(first.lowerBound <= second.lowerBound ? first : second)
            if first.lowerBound <= second.lowerBound {
                left.removeFirst()
            } else {
                right.removeFirst()
            }
        }
        var result = IntervalSet()
        result.intervals = Self.merged(both + left + right)
        return result
    }

    /// The members that are not in `other`.
    public func subtracting(_ other: IntervalSet) -> IntervalSet {
        var left: [ClosedRange<UInt64>] = []
        var index = 0
        for interval in intervals {
            var low = interval.lowerBound
            var isUsedUp = false
            while index < other.intervals.count, other.intervals[index].upperBound < low {
                index += 1
            }
            var probe = index
            while probe < other.intervals.count,
                other.intervals[probe].lowerBound <= interval.upperBound
            {
                let hole = other.intervals[probe]
                if hole.lowerBound > low { left.append(low...(hole.lowerBound - 1)) }
                if hole.upperBound >= interval.upperBound {
                    isUsedUp = true
                    break
                }
                low = hole.upperBound + 1
                probe += 1
            }
            if !isUsedUp { left.append(low...interval.upperBound) }
        }
        var result = IntervalSet()
        result.intervals = left
        return result
    }

    /// Whether every member of `other` is a member.
    public func isSuperset(of other: IntervalSet) -> Bool { other.subtracting(self).isEmpty }

    /// Whether `member` is in the set.
    public func contains(_ member: UInt64) -> Bool {
        intervals.contains { $0.contains(member) }
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
            if members.count == count { break }
        }
        return members
    }

    /// In Mesos' notation: `[31000-32000, 33000-33000]`.
    public var description: String {
        "[" + intervals.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ") + "]"
    }
}

/// How much of a resource, by its type.
public enum ResourceValue: Hashable, Sendable {
    /// A number of units.
    case scalar(Milli)
    /// Numbered instances, such as ports.
    case ranges(IntervalSet)
    /// Named instances, sorted and without repetition.
    case set([String])

    /// Whether it is exactly nothing: a negative amount is something, namely wrong.
    var isNothing: Bool {
        if case .scalar(let amount) = self { return amount == .zero }
        return isEmpty
    }

    /// Whether there is nothing of it (a scalar below one thousandth is nothing).
    public var isEmpty: Bool {
        switch self {
        case .scalar(let amount): amount <= .zero
        case .ranges(let intervals): intervals.isEmpty
        case .set(let items): items.isEmpty
        }
    }
}

/// One entry of a reservation stack; the last one says to which role the resource belongs.
public struct Reservation: Hashable, Sendable {
    /// Who may undo the reservation.
    public enum Kind: Hashable, Sendable {
        /// Set by the agent's operator in its resources; cannot be undone.
        case `static`
        /// Made by an operation.
        case dynamic
    }

    /// Static or dynamic.
    public var kind: Kind
    /// The role it is reserved for.
    public var role: String
    /// Who reserved it.
    public var principal: String?
    /// Free text for people and tools; part of the reservation's identity.
    public var labels: [Label]

    /// Makes a reservation.
    public init(
        kind: Kind = .dynamic, role: String, principal: String? = nil, labels: [Label] = []
    ) {
        self.kind = kind
        self.role = role
        self.principal = principal
        self.labels = labels
    }
}

/// What makes a disk resource more than plain space.
public struct DiskInfo: Hashable, Sendable {
    /// Where the space comes from.
    public enum Source: Hashable, Sendable {
        /// A directory on a file system, carved freely.
        case path(root: String?)
        /// A whole mounted file system.
        case mount(root: String?)
    }

    /// The persistent volume's id, unique per role and agent.
    public var persistenceID: String?
    /// Who created the volume.
    public var principal: String?
    /// Where a task sees the volume, relative to its sandbox.
    public var containerPath: String?
    /// The source; `nil` is the agent's root disk.
    public var source: Source?

    /// Describes a disk.
    public init(
        persistenceID: String? = nil, principal: String? = nil, containerPath: String? = nil,
        source: Source? = nil
    ) {
        self.persistenceID = persistenceID
        self.principal = principal
        self.containerPath = containerPath
        self.source = source
    }
}

/// An amount of one named resource of an agent.
public struct Resource: Hashable, Sendable {
    /// `cpus`, `mem`, `disk`, `gpus`, `ports` or a custom name.
    public var name: String
    /// How much.
    public var value: ResourceValue
    /// For whom it is reserved, outermost first; empty when it is not.
    public var reservations: [Reservation]
    /// What makes it a volume or a particular disk.
    public var disk: DiskInfo?
    /// Whether it can be taken away at any time.
    public var isRevocable: Bool
    /// Whether several tasks may hold it at once (persistent volumes only).
    public var isShared: Bool

    /// Describes a resource.
    public init(
        _ name: String, _ value: ResourceValue, reservations: [Reservation] = [],
        disk: DiskInfo? = nil, isRevocable: Bool = false, isShared: Bool = false
    ) {
        self.name = name
        self.value = value
        self.reservations = reservations
        self.disk = disk
        self.isRevocable = isRevocable
        self.isShared = isShared
    }

    /// The role it is reserved for, or `nil`.
    public var reservedRole: String? { reservations.last?.role }

    /// Whether this is a persistent volume.
    public var isPersistentVolume: Bool { disk?.persistenceID != nil }

    /// Whether it is used whole or not at all.
    public var isIndivisible: Bool {
        if isPersistentVolume { return true }
        if case .mount = disk?.source { return true }
        return false
    }

    /// Whether amounts of `self` and `other` are the same kind of thing.
    public func isSameKind(as other: Resource) -> Bool {
        guard name == other.name, isRevocable == other.isRevocable, isShared == other.isShared,
            disk == other.disk, reservations == other.reservations
        else { return false }
        switch (value, other.value) {
        case (.scalar, .scalar), (.ranges, .ranges), (.set, .set): return true
        case (.scalar, _), (.ranges, _), (.set, _): return false
        }
    }

    /// Whether a framework in `role` may be offered it: unreserved, or reserved for `role` or an
    /// ancestor of it.
    public func isAllocatable(to role: String) -> Bool {
        guard let reserved = reservedRole else { return true }
        return role == reserved || role.hasPrefix(reserved + "/")
    }
}
