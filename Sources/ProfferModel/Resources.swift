/// A collection of resources with Mesos' arithmetic: amounts of one kind are merged, nothing empty
/// is kept, and indivisible things (persistent volumes, mount disks) neither merge nor split.
///
/// A shared volume is there once, with the number of its holders: adding it again adds a holder,
/// taking it away takes one, and the volume is gone with the last.
public struct Resources: Sendable {
    /// The resources, each kind at most once save indivisible ones; in order of first appearance.
    public internal(set) var items: [Resource]

    /// Nothing.
    public init() { items = [] }

    /// Collects `list`, merging what is of one kind.
    ///
    /// O(n) expected.
    public init(_ list: some Sequence<Resource>) {
        items = []
        var finder = ResourceFinder()
        for resource in list where !resource.value.isNothing {
            add(resource, holders: 1, with: &finder)
        }
        removeEmptied()
    }

    /// Takes over a list in which every kind occurs once and nothing is empty, as it is.
    ///
    /// For those who keep amounts by kind themselves; a list that is not so breaks the arithmetic.
    public init(distinct items: [Resource]) { self.items = items }

    /// The usual scalars, in cores and mebibytes; zero amounts are left out.
    public init(cpus: Milli = .zero, mem: Milli = .zero, disk: Milli = .zero) {
        items = []
        for (name, amount) in [("cpus", cpus), ("mem", mem), ("disk", disk)]
        where amount != .zero {
            items.append(Resource(name, .scalar(amount)))
        }
    }

    /// Whether there is nothing.
    public var isEmpty: Bool { items.isEmpty }

    /// The sum of every scalar called `name`, reserved or not, revocable or not.
    ///
    /// O(items).
    public func scalar(_ name: String) -> Milli {
        items.reduce(into: .zero) { sum, item in
            if item.name == name, case .scalar(let amount) = item.value { sum += amount }
        }
    }

    /// Cores.
    public var cpus: Milli { scalar("cpus") }
    /// Memory in mebibytes.
    public var mem: Milli { scalar("mem") }
    /// Disk in mebibytes.
    public var disk: Milli { scalar("disk") }
    /// Every port, reserved or not.
    public var ports: IntervalSet {
        items.reduce(into: IntervalSet()) { all, item in
            if item.name == "ports", case .ranges(let ranges) = item.value {
                all.formUnion(ranges)
            }
        }
    }

    /// How many hold a shared volume: 0 when it is not here, 1 for what is here and not shared.
    ///
    /// O(items).
    public func holders(of volume: Resource) -> Int {
        items.first { $0 == volume }.map { Int($0.holders) } ?? 0
    }

    /// The scalar totals by name; a shared volume counts once.
    ///
    /// O(items · log names).
    public var quantities: ResourceQuantities {
        var sums = ResourceQuantities(capacity: min(items.count, 8))
        for item in items {
            if case .scalar(let amount) = item.value { sums.add(amount, to: item.name) }
        }
        return sums
    }
}

extension Resources: Hashable {
    /// Whether both have the same items in the same order, with as many holders.
    public static func == (left: Resources, right: Resources) -> Bool {
        guard left.items == right.items else { return false }
        for index in left.items.indices
        where left.items[index].holders != right.items[index].holders {
            return false
        }
        return true
    }

    /// Hashes the items.
    public func hash(into hasher: inout Hasher) { hasher.combine(items) }
}

extension Resources {
    /// Adds one resource.
    ///
    /// A negative amount is kept, so that whoever validates a message sees it. O(items).
    public static func += (left: inout Resources, right: Resource) {
        guard !right.value.isNothing else { return }
        var finder = ResourceFinder()
        if left.add(right, holders: 1, with: &finder) { left.removeEmptied() }
    }

    /// Adds every resource of `right`.
    ///
    /// O(items of both) expected.
    public static func += (left: inout Resources, right: Resources) {
        if left.items.isEmpty {
            left = right
            return
        }
        var finder = ResourceFinder()
        var hasEmptied = false
        for index in right.items.indices {
            if let place = left.placeOfScalar(right, at: index, near: &finder.next),
                let (have, more) = left.amounts(at: place, right, at: index), have + more != .zero
            {
                left.items[place].value = .scalar(have + more)
                continue
            }
            if left.add(right.items[index], holders: right.items[index].holders, with: &finder) {
                hasEmptied = true
            }
        }
        if hasEmptied { left.removeEmptied() }
    }

    /// The sum.
    ///
    /// O(items of both) expected.
    public static func + (left: Resources, right: Resources) -> Resources {
        var sum = left
        sum += right
        return sum
    }

    /// Takes one resource away; more than there is leaves nothing of it.
    ///
    /// O(items).
    public static func -= (left: inout Resources, right: Resource) {
        var finder = ResourceFinder()
        if left.subtract(right, holders: 1, with: &finder) { left.removeEmptied() }
    }

    /// Takes what there is of `right` away: more than there is of something leaves nothing of it,
    /// and an indivisible thing goes whole or stays.
    ///
    /// O(items of both) expected.
    public static func -= (left: inout Resources, right: Resources) {
        if left.items.isEmpty { return }
        var finder = ResourceFinder()
        var hasEmptied = false
        for index in right.items.indices {
            if let place = left.placeOfScalar(right, at: index, near: &finder.next),
                let (have, less) = left.amounts(at: place, right, at: index), less < have
            {
                left.items[place].value = .scalar(have - less)
                continue
            }
            let holders = right.items[index].holders
            if left.subtract(right.items[index], holders: holders, with: &finder) {
                hasEmptied = true
            }
        }
        if hasEmptied { left.removeEmptied() }
    }

    /// What is left when as much of `right` as there is has been taken away.
    ///
    /// O(items of both) expected.
    public static func - (left: Resources, right: Resources) -> Resources {
        var rest = left
        rest -= right
        return rest
    }

    /// What is left without `other`, or `nil` when not all of `other` is here.
    ///
    /// O(items of both) expected.
    public func subtracting(exactly other: Resources) -> Resources? {
        contains(other) ? self - other : nil
    }

    /// Whether all of `other` is within these resources, with as many holders of what is shared.
    ///
    /// O(items of both) expected.
    public func contains(_ other: Resources) -> Bool {
        var finder = ResourceFinder()
        var wholeCount = 0
        for index in other.items.indices {
            if let place = placeOfScalar(other, at: index, near: &finder.next),
                let (have, wanted) = amounts(at: place, other, at: index)
            {
                if have < wanted { return false }
                continue
            }
            // A short list has been searched to its end.
            if items.count < ResourceFinder.longList, other.isDivisibleScalar(at: index) {
                return false
            }
            guard let place = finder.position(of: other.items[index], in: items) else {
                return false
            }
            if !other.items[index].isIndivisible {
                guard items[place].value.covers(other.items[index].value) else { return false }
            } else if items[place].holders < other.items[index].holders {
                return false
            } else if !other.items[index].isShared {
                wholeCount += 1
            }
        }
        // Several things that are alike must be here as often.
        guard wholeCount > 1 else { return true }
        let isWhole = { (item: Resource) in item.isIndivisible && !item.isShared }
        return (other.filter(isWhole) - filter(isWhole)).isEmpty
    }

    /// The amounts of an item here and one of `other`, when both are divisible scalars of one kind.
    ///
    /// Nearly all are, and this way neither item is copied.
    @inline(__always)
    private func amounts(
        at place: Int, _ other: Resources, at index: Int
    ) -> (here: Milli, there: Milli)? {
        guard place < items.count, case .scalar(let here) = items[place].value,
            case .scalar(let there) = other.items[index].value,
            items[place].name == other.items[index].name
        else { return nil }
        if items[place].detail == nil, other.items[index].detail == nil { return (here, there) }
        guard ResourceDetail.areEqual(items[place].detail, other.items[index].detail),
            !items[place].isIndivisible
        else { return nil }
        return (here, there)
    }

    /// Where a divisible scalar of `other` is, if at `near` or the list short; `near` moves on.
    @inline(__always)
    private func placeOfScalar(
        _ other: Resources, at index: Int, near: inout Int
    ) -> Int? {
        if amounts(at: near, other, at: index) != nil {
            near += 1
            return near - 1
        }
        guard items.count < ResourceFinder.longList,
            let place = searchScalar(other, at: index)
        else { return nil }
        near = place + 1
        return place
    }

    private func isDivisibleScalar(at index: Int) -> Bool {
        if case .scalar = items[index].value { return !items[index].isIndivisible }
        return false
    }

    private func searchScalar(_ other: Resources, at index: Int) -> Int? {
        for place in items.indices where amounts(at: place, other, at: index) != nil {
            return place
        }
        return nil
    }

    /// Adds `resource`; whether something may have become nothing.
    @discardableResult
    mutating func add(
        _ resource: Resource, holders: UInt32, with finder: inout ResourceFinder
    ) -> Bool {
        if !resource.isIndivisible {
            if let index = finder.position(of: resource, in: items) {
                items[index].value.add(resource.value.normalized)
                items[index].holders = items[index].value.isNothing ? 0 : 1
                return items[index].holders == 0
            }
        } else if resource.isShared, let index = finder.position(of: resource, in: items) {
            let (sum, overflow) = items[index].holders.addingReportingOverflow(holders)
            items[index].holders = overflow ? .max : sum
            return false
        }
        var added = resource
        added.value = resource.value.normalized
        added.holders = holders
        if let last = items.last?.detail, ResourceDetail.areEqual(last, added.detail) {
            // One object for a run of resources with the same reservation.
            added.detail = last
        }
        items.append(added)
        finder.noteAppended(to: items)
        return false
    }

    private mutating func subtract(
        _ resource: Resource, holders: UInt32, with finder: inout ResourceFinder
    ) -> Bool {
        guard let index = finder.position(of: resource, in: items) else { return false }
        if resource.isIndivisible {
            items[index].holders -= min(items[index].holders, holders)
            return items[index].holders == 0
        }
        items[index].value.subtract(resource.value.normalized)
        guard items[index].value.isEmpty else { return false }
        items[index].holders = 0
        return true
    }

    private mutating func removeEmptied() {
        items.removeAll { $0.holders == 0 }
    }
}

extension Resources: CustomStringConvertible {
    /// In Mesos' text form: `cpus:1.5;mem:512;ports:[31000-31001]`.
    public var description: String {
        items.map { item in
            item.name + (item.reservedRole.map { "(\($0))" } ?? "") + ":\(item.value)"
        }.joined(separator: ";")
    }
}
