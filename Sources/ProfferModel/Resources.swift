/// A collection of resources with Mesos' arithmetic: amounts of one kind are merged, nothing empty
/// is kept, and indivisible things (persistent volumes, mount disks) neither merge nor split.
public struct Resources: Hashable, Sendable {
    /// The resources, each kind at most once save indivisible ones; in order of first appearance.
    public private(set) var items: [Resource]

    /// Nothing.
    public init() { items = [] }

    /// Collects `list`, merging what is of one kind.
    ///
    /// O(n · kinds).
    public init(_ list: some Sequence<Resource>) {
        items = []
        for resource in list { self += resource }
    }

    /// Takes over a list in which every kind occurs once and nothing is empty, as it is.
    ///
    /// For those who keep amounts by kind themselves; a list that is not so breaks the arithmetic.
    public init(distinct items: [Resource]) { self.items = items }

    /// The usual scalars, in cores and mebibytes; zero amounts are left out.
    public init(cpus: Milli = .zero, mem: Milli = .zero, disk: Milli = .zero) {
        self.init([
            Resource("cpus", .scalar(cpus)), Resource("mem", .scalar(mem)),
            Resource("disk", .scalar(disk)),
        ])
    }

    /// Whether there is nothing.
    public var isEmpty: Bool { items.isEmpty }

    /// The sum of every scalar called `name`, reserved or not, revocable or not.
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
                all = all.union(ranges)
            }
        }
    }

    /// The resources for which `isIncluded` holds.
    public func filter(_ isIncluded: (Resource) -> Bool) -> Resources {
        var kept = Resources()
        kept.items = items.filter(isIncluded)
        return kept
    }

    /// Adds one resource.
    ///
    /// A negative amount is kept, so that whoever validates a message sees it.
    public static func += (left: inout Resources, right: Resource) {
        guard !right.value.isNothing else { return }
        if !right.isIndivisible,
            let index = left.items.firstIndex(where: { $0.isSameKind(as: right) })
        {
            left.items[index].value = left.items[index].value.adding(right.value)
        } else if right.isShared, left.items.contains(right) {
            return
        } else {
            left.items.append(right)
        }
    }

    /// Adds every resource of `right`.
    public static func += (left: inout Resources, right: Resources) {
        for resource in right.items { left += resource }
    }

    /// The sum.
    public static func + (left: Resources, right: Resources) -> Resources {
        var sum = left
        sum += right
        return sum
    }

    /// Takes one resource away; more than there is leaves nothing of it.
    public static func -= (left: inout Resources, right: Resource) {
        if right.isIndivisible {
            if let index = left.items.firstIndex(of: right) { left.items.remove(at: index) }
            return
        }
        guard let index = left.items.firstIndex(where: { $0.isSameKind(as: right) }) else {
            return
        }
        left.items[index].value = left.items[index].value.subtracting(right.value)
        if left.items[index].value.isEmpty { left.items.remove(at: index) }
    }

    /// Takes every resource of `right` away.
    public static func -= (left: inout Resources, right: Resources) {
        for resource in right.items { left -= resource }
    }

    /// The difference.
    public static func - (left: Resources, right: Resources) -> Resources {
        var rest = left
        rest -= right
        return rest
    }

    /// Whether all of `other` is within these resources.
    public func contains(_ other: Resources) -> Bool {
        var rest = self
        for resource in other.items {
            guard rest.containsOne(resource) else { return false }
            if !resource.isShared { rest -= resource }
        }
        return true
    }

    private func containsOne(_ resource: Resource) -> Bool {
        if resource.isIndivisible { return items.contains(resource) }
        return items.contains {
            $0.isSameKind(as: resource) && $0.value.covers(resource.value)
        }
    }

    /// The scalar totals by name, names in byte order.
    public var quantities: ResourceQuantities {
        var sums = ResourceQuantities()
        for item in items {
            if case .scalar(let amount) = item.value { sums.add(amount, to: item.name) }
        }
        return sums
    }

    /// What a framework in `role` may be offered.
    public func allocatable(to role: String) -> Resources {
        filter { $0.isAllocatable(to: role) }
    }

    /// What belongs to nobody.
    public var unreserved: Resources { filter { $0.reservations.isEmpty } }

    /// The same amounts without reservations and disk identities: what a demand for them costs.
    public var flattened: Resources {
        Resources(
            items.map { item in
                Resource(item.name, item.value, isRevocable: item.isRevocable)
            })
    }
}

extension Resources: CustomStringConvertible {
    /// In Mesos' text form: `cpus:1.5;mem:512;ports:[31000-31001]`.
    public var description: String {
        items.map { item in
            let role = item.reservedRole.map { "(\($0))" } ?? ""
            switch item.value {
            case .scalar(let amount): return "\(item.name)\(role):\(amount)"
            case .ranges(let ranges): return "\(item.name)\(role):\(ranges)"
            case .set(let names):
                return "\(item.name)\(role):{" + names.joined(separator: ", ") + "}"
            }
        }.joined(separator: ";")
    }
}

extension ResourceValue {
    fileprivate func adding(_ other: ResourceValue) -> ResourceValue {
        switch (self, other) {
        case (.scalar(let left), .scalar(let right)): .scalar(left + right)
        case (.ranges(let left), .ranges(let right)): .ranges(left.union(right))
        case (.set(let left), .set(let right)): .set(combined(left, right).map(\.name))
        case (.scalar, _), (.ranges, _), (.set, _): self
        }
    }

    fileprivate func subtracting(_ other: ResourceValue) -> ResourceValue {
        switch (self, other) {
        case (.scalar(let left), .scalar(let right)): .scalar(left - right)
        case (.ranges(let left), .ranges(let right)): .ranges(left.subtracting(right))
        case (.set(let left), .set(let right)):
            .set(combined(left, right).compactMap { $0.isInLeft && !$0.isInRight ? $0.name : nil })
        case (.scalar, _), (.ranges, _), (.set, _): self
        }
    }

    fileprivate func covers(_ other: ResourceValue) -> Bool {
        switch (self, other) {
        case (.scalar(let left), .scalar(let right)): right <= left
        case (.ranges(let left), .ranges(let right)): left.isSuperset(of: right)
        case (.set(let left), .set(let right)): combined(left, right).allSatisfy(\.isInLeft)
        case (.scalar, _), (.ranges, _), (.set, _): false
        }
    }

    private struct Member {
        let name: String
        let isInLeft: Bool
        let isInRight: Bool
    }

    /// The members of two sorted lists, sorted, and where each of them is; O(names of both).
    private func combined(_ left: [String], _ right: [String]) -> [Member] {
        var members: [Member] = []
        members.reserveCapacity(left.count + right.count)
        var (left, right) = (left[...], right[...])
        while let name = [left.first, right.first].compactMap({ $0 }).min(by: {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }) {
            let (isInLeft, isInRight) = (left.first == name, right.first == name)
            if isInLeft { left.removeFirst() }
            if isInRight { right.removeFirst() }
            members.append(Member(name: name, isInLeft: isInLeft, isInRight: isInRight))
        }
        return members
    }
}

/// Scalar amounts by resource name, sorted by name; zero amounts are not kept.
public struct ResourceQuantities: Hashable, Sendable {
    /// One amount.
    public struct Entry: Hashable, Sendable {
        /// The resource's name.
        public var name: String
        /// How much, never zero.
        public var amount: Milli
    }

    /// The amounts, by name in byte order.
    public private(set) var entries: [Entry] = []

    /// Nothing.
    public init() {}

    /// The amount of `name`, zero when absent.
    ///
    /// O(names).
    public subscript(name: String) -> Milli {
        entries.first { $0.name == name }?.amount ?? .zero
    }

    /// Adds `amount`, which may be negative, to `name`.
    public mutating func add(_ amount: Milli, to name: String) {
        guard amount != .zero else { return }
        if let index = entries.firstIndex(where: { $0.name == name }) {
            entries[index].amount += amount
            if entries[index].amount == .zero { entries.remove(at: index) }
        } else {
            let index =
                entries.firstIndex { name.utf8.lexicographicallyPrecedes($0.name.utf8) }
                ?? entries.count
            entries.insert(Entry(name: name, amount: amount), at: index)
        }
    }

    /// Whether every amount of `other` is available here.
    public func contains(_ other: ResourceQuantities) -> Bool {
        other.entries.allSatisfy { self[$0.name] >= $0.amount }
    }

    /// Adds every amount of `right`.
    public static func += (left: inout ResourceQuantities, right: ResourceQuantities) {
        for entry in right.entries { left.add(entry.amount, to: entry.name) }
    }

    /// Subtracts every amount of `right`; amounts may become negative.
    public static func -= (left: inout ResourceQuantities, right: ResourceQuantities) {
        for entry in right.entries { left.add(.zero - entry.amount, to: entry.name) }
    }
}
