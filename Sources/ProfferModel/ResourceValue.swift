/// How much of a resource, by its type.
public enum ResourceValue: Hashable, Sendable {
    /// A number of units.
    case scalar(Milli)
    /// Numbered instances, such as ports.
    case ranges(IntervalSet)
    /// Named instances, sorted by their bytes and without repetition.
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

extension ResourceValue: CustomStringConvertible {
    /// In Mesos' text form: `1.5`, `[31000-31001]` or `{a, b}`.
    public var description: String {
        switch self {
        case .scalar(let amount): "\(amount)"
        case .ranges(let ranges): "\(ranges)"
        case .set(let names): "{" + names.joined(separator: ", ") + "}"
        }
    }
}

extension ResourceValue {
    /// Whether amounts of both can be added.
    func isSameType(as other: ResourceValue) -> Bool {
        switch (self, other) {
        case (.scalar, .scalar), (.ranges, .ranges), (.set, .set): true
        case (.scalar, _), (.ranges, _), (.set, _): false
        }
    }

    /// A set as its merges need it, whoever wrote it.
    var normalized: ResourceValue {
        guard case .set(let names) = self else { return self }
        let isNormal = zip(names, names.dropFirst()).allSatisfy { precedes($0, $1) }
        return isNormal ? self : .set(NameList.normalized(names))
    }

    /// Adds `other`, which must be of the same type.
    mutating func add(_ other: ResourceValue) {
        switch (self, other) {
        case (.scalar(let amount), .scalar(let more)):
            self = .scalar(amount + more)
        case (.ranges(var intervals), .ranges(let more)):
            // The set must be the only owner of its storage, or it would be copied.
            self = .scalar(.zero)
            intervals.formUnion(more)
            self = .ranges(intervals)
        case (.set(let names), .set(let more)):
            self = .set(NameList.union(names, more))
        case (.scalar, _), (.ranges, _), (.set, _): break
        }
    }

    /// Takes away what there is of `other`, which must be of the same type.
    ///
    /// A scalar can be negative then; whoever calls this removes it.
    mutating func subtract(_ other: ResourceValue) {
        switch (self, other) {
        case (.scalar(let amount), .scalar(let less)):
            self = .scalar(amount - less)
        case (.ranges(var intervals), .ranges(let less)):
            self = .scalar(.zero)
            intervals.subtract(less)
            self = .ranges(intervals)
        case (.set(let names), .set(let less)):
            self = .set(NameList.difference(names, less))
        case (.scalar, _), (.ranges, _), (.set, _): break
        }
    }

    /// Whether `other` is of the same type and within this.
    func covers(_ other: ResourceValue) -> Bool {
        switch (self, other) {
        case (.scalar(let left), .scalar(let right)): right <= left
        case (.ranges(let left), .ranges(let right)): left.isSuperset(of: right)
        case (.set(let left), .set(let right)): NameList.isSuperset(left, of: right)
        case (.scalar, _), (.ranges, _), (.set, _): false
        }
    }
}

private func precedes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}

/// Sets of names as lists that are sorted by bytes; all of it in one pass over both.
enum NameList {
    static func normalized(_ names: [String]) -> [String] {
        names.sorted(by: precedes).reduce(into: []) { kept, name in
            if kept.last != name { kept.append(name) }
        }
    }

    static func union(_ left: [String], _ right: [String]) -> [String] {
        var all: [String] = []
        all.reserveCapacity(left.count + right.count)
        var (first, second) = (0, 0)
        while first < left.count, second < right.count {
            if left[first] == right[second] {
                all.append(left[first])
                first += 1
                second += 1
            } else if precedes(left[first], right[second]) {
                all.append(left[first])
                first += 1
            } else {
                all.append(right[second])
                second += 1
            }
        }
        all += left[first...]
        all += right[second...]
        return all
    }

    static func difference(_ left: [String], _ right: [String]) -> [String] {
        var rest: [String] = []
        var second = 0
        for name in left {
            while second < right.count, right[second] != name, precedes(right[second], name) {
                second += 1
            }
            if second == right.count || right[second] != name { rest.append(name) }
        }
        return rest
    }

    static func isSuperset(_ left: [String], of right: [String]) -> Bool {
        var first = 0
        for name in right {
            while first < left.count, left[first] != name, precedes(left[first], name) {
                first += 1
            }
            guard first < left.count, left[first] == name else { return false }
        }
        return true
    }
}
