/// Scalar amounts by resource name, sorted by name; zero amounts are not kept.
public struct ResourceQuantities: Hashable, Sendable {
    /// One amount.
    public struct Entry: Hashable, Sendable {
        /// The resource's name.
        public var name: String
        /// How much, never zero.
        public var amount: Milli
    }

    /// The amounts, in the order of their names, which for ASCII is that of the bytes.
    public private(set) var entries: [Entry] = []

    /// Nothing.
    public init() {}

    /// Nothing yet, with room for `count` names.
    init(capacity count: Int) { entries.reserveCapacity(count) }

    /// The sum of `amounts`.
    public init(_ amounts: some Sequence<(name: String, amount: Milli)>) {
        for (name, amount) in amounts { add(amount, to: name) }
    }

    /// Whether there is no amount.
    public var isEmpty: Bool { entries.isEmpty }

    /// The amount of `name`, zero when absent.
    ///
    /// O(log names).
    public subscript(name: String) -> Milli {
        index(of: name).map { entries[$0].amount } ?? .zero
    }

    /// Adds `amount`, which may be negative, to `name`.
    ///
    /// O(names) when `name` is new or its amount becomes zero, O(log names) else.
    public mutating func add(_ amount: Milli, to name: String) {
        guard amount != .zero else { return }
        let place = place(of: name)
        guard place < entries.count, entries[place].name == name else {
            entries.insert(Entry(name: name, amount: amount), at: place)
            return
        }
        entries[place].amount += amount
        if entries[place].amount == .zero { entries.remove(at: place) }
    }

    /// Whether every amount of `other` is available here.
    ///
    /// O(names) when both have the same ones.
    public func contains(_ other: ResourceQuantities) -> Bool {
        var near = 0
        for entry in other.entries {
            guard let index = index(of: entry.name, near: near) else {
                if entry.amount > .zero { return false }
                continue
            }
            if entries[index].amount < entry.amount { return false }
            near = index + 1
        }
        return true
    }

    /// Adds every amount of `right`.
    public static func += (left: inout ResourceQuantities, right: ResourceQuantities) {
        if left.entries.isEmpty {
            left = right
        } else {
            left.combine(right) { $0 + $1 }
        }
    }

    /// Subtracts every amount of `right`; amounts may become negative.
    public static func -= (left: inout ResourceQuantities, right: ResourceQuantities) {
        left.combine(right) { $0 - $1 }
    }

    /// The sum.
    public static func + (
        left: ResourceQuantities, right: ResourceQuantities
    ) -> ResourceQuantities {
        var sum = left
        sum += right
        return sum
    }

    /// The difference, in which amounts may be negative.
    public static func - (
        left: ResourceQuantities, right: ResourceQuantities
    ) -> ResourceQuantities {
        var rest = left
        rest -= right
        return rest
    }

    /// What is left when as much of `other` as there is has been taken: nothing of it is negative
    /// that was not before.
    public func subtractingAvailable(_ other: ResourceQuantities) -> ResourceQuantities {
        var rest = self
        rest.combine(other) { have, less in
            have <= .zero || less <= .zero ? have : max(.zero, have - less)
        }
        return rest
    }
}

extension ResourceQuantities {
    /// Replaces every amount that `right` names by what `change` makes of both.
    private mutating func combine(
        _ right: ResourceQuantities, _ change: (Milli, Milli) -> Milli
    ) {
        var near = 0
        for entry in right.entries {
            if let index = index(of: entry.name, near: near) {
                let amount = change(entries[index].amount, entry.amount)
                if amount == .zero {
                    entries.remove(at: index)
                    near = index
                } else {
                    entries[index].amount = amount
                    near = index + 1
                }
            } else {
                let amount = change(.zero, entry.amount)
                guard amount != .zero else { continue }
                let index = place(of: entry.name)
                entries.insert(Entry(name: entry.name, amount: amount), at: index)
                near = index + 1
            }
        }
    }

    /// Where `name` is; `near` is looked at first.
    private func index(of name: String, near: Int = 0) -> Int? {
        if near < entries.count, entries[near].name == name { return near }
        let place = place(of: name)
        return place < entries.count && entries[place].name == name ? place : nil
    }

    /// The first entry whose name does not precede `name`.
    private func place(of name: String) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
