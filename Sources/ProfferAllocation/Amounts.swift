internal import ProfferKernel
internal import ProfferModel

/// Thousandths of scalar resources by column: the first four in place, the rest on the heap.
///
/// Nearly every cluster has cpus, mem, disk and perhaps gpus, so vectors of them cost no
/// allocation. Sums wrap instead of trapping; what the wire admits cannot reach that.
struct Amounts: Hashable, Sendable {
    private var first: Int64 = 0
    private var second: Int64 = 0
    private var third: Int64 = 0
    private var fourth: Int64 = 0
    private var more: [Int64]?

    init() {}

    subscript(column: Int) -> Int64 {
        get {
            switch column {
            case 0: return first
            case 1: return second
            case 2: return third
            case 3: return fourth
            default:
                guard let more, column - 4 < more.count else { return 0 }
                return more[column - 4]
            }
        }
        set {
            switch column {
            case 0: first = newValue
            case 1: second = newValue
            case 2: third = newValue
            case 3: fourth = newValue
            default:
                if more == nil, newValue == 0 { return }
                var rest = more ?? []
                more = nil
                while rest.count <= column - 4 { rest.append(0) }
                rest[column - 4] = newValue
                more = rest
            }
        }
    }

    /// So many columns may be other than zero.
    var width: Int { 4 + (more?.count ?? 0) }

    var isZero: Bool {
        first == 0 && second == 0 && third == 0 && fourth == 0
            && (more?.allSatisfy { $0 == 0 } ?? true)
    }

    /// Whether every amount is at least that of `other`.
    func covers(_ other: Amounts) -> Bool {
        guard first >= other.first, second >= other.second, third >= other.third,
            fourth >= other.fourth
        else { return false }
        if more == nil, other.more == nil { return true }
        for column in 4..<max(width, other.width) where self[column] < other[column] {
            return false
        }
        return true
    }

    static func += (left: inout Amounts, right: Amounts) {
        left.first &+= right.first
        left.second &+= right.second
        left.third &+= right.third
        left.fourth &+= right.fourth
        guard right.more != nil else { return }
        for column in 4..<right.width { left[column] &+= right[column] }
    }

    static func -= (left: inout Amounts, right: Amounts) {
        left.first &-= right.first
        left.second &-= right.second
        left.third &-= right.third
        left.fourth &-= right.fourth
        guard right.more != nil else { return }
        for column in 4..<right.width { left[column] &-= right[column] }
    }

    static func - (left: Amounts, right: Amounts) -> Amounts {
        var rest = left
        rest -= right
        return rest
    }

    static func + (left: Amounts, right: Amounts) -> Amounts {
        var sum = left
        sum += right
        return sum
    }

    /// Each amount at most that of `other`.
    func lowered(to other: Amounts) -> Amounts {
        var low = self
        low.first = min(first, other.first)
        low.second = min(second, other.second)
        low.third = min(third, other.third)
        low.fourth = min(fourth, other.fourth)
        if more != nil || other.more != nil {
            for column in 4..<max(width, other.width) {
                low[column] = min(self[column], other[column])
            }
        }
        return low
    }

    /// Zero in place of what is negative.
    var raisedToZero: Amounts {
        var high = self
        high.first = max(first, 0)
        high.second = max(second, 0)
        high.third = max(third, 0)
        high.fourth = max(fourth, 0)
        if more != nil { for column in 4..<width { high[column] = max(self[column], 0) } }
        return high
    }

    /// So many times as much, the result clamped to what fits.
    func times(_ factor: Int) -> Amounts {
        var product = Amounts()
        for column in 0..<width where self[column] != 0 {
            let (value, isTooLarge) = self[column].multipliedReportingOverflow(by: Int64(factor))
            product[column] = isTooLarge ? .max : value
        }
        return product
    }

    /// How often `shape` fits in, at most `limit` times.
    func count(of shape: Amounts, upTo limit: Int) -> Int {
        var count = Int64(limit)
        for column in 0..<shape.width where shape[column] > 0 {
            count = min(count, max(0, self[column]) / shape[column])
        }
        return Int(count)
    }

    static func == (left: Amounts, right: Amounts) -> Bool {
        left.first == right.first && left.second == right.second && left.third == right.third
            && left.fourth == right.fourth && left.hasSameRest(as: right)
    }

    private func hasSameRest(as other: Amounts) -> Bool {
        if more == nil, other.more == nil { return true }
        return (4..<max(width, other.width)).allSatisfy { self[$0] == other[$0] }
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(first)
        hasher.combine(second)
        hasher.combine(third)
        hasher.combine(fourth)
    }
}

/// The names of scalar resources, each with a column.
struct ScalarColumns: Sendable {
    /// So many names have columns; a cluster that has more still offers the others, but they count
    /// neither for fairness nor for quota, and no demand can name them.
    static let limit = 32

    private(set) var names: [String] = ["cpus", "mem", "disk", "gpus"]
    static let gpus = 3

    /// The column of a name, if it has one.
    func find(_ name: String) -> Int? { names.firstIndex(of: name) }

    /// The column of a name, given now if there is room.
    mutating func intern(_ name: String) -> Int? {
        if let column = names.firstIndex(of: name) { return column }
        guard names.count < Self.limit else { return nil }
        names.append(name)
        return names.count - 1
    }

    /// Amounts by name.
    func quantities(_ amounts: Amounts) -> ResourceQuantities {
        var quantities = ResourceQuantities()
        for column in names.indices where amounts[column] != 0 {
            quantities.add(Milli(thousandths: amounts[column]), to: names[column])
        }
        return quantities
    }

    /// Gives every scalar a column, whoever it is reserved for; whether one is new.
    ///
    /// Only what agents have and operators say is given one: a framework could use them all up.
    mutating func learn(_ resources: Resources) -> Bool {
        let before = names.count
        for item in resources.items {
            if case .scalar = item.value { _ = intern(item.name) }
        }
        return names.count > before
    }

    /// Amounts by column; names without a column are left out.
    func amounts(_ quantities: ResourceQuantities) -> Amounts {
        var amounts = Amounts()
        for entry in quantities.entries {
            if let column = find(entry.name) { amounts[column] &+= entry.amount.thousandths }
        }
        return amounts
    }

    /// The names without a column.
    func unknown(_ quantities: ResourceQuantities) -> [String] {
        quantities.entries.map(\.name).filter { find($0) == nil }
    }
}

/// Resources taken apart: plain scalars, which almost everything is, and the rest.
struct Parcel: Sendable {
    /// Scalars that are neither reserved, revocable, shared nor a particular disk.
    var plain = Amounts()
    /// Ranges, sets, reservations, volumes, revocable resources and nameless columns.
    var extras = Resources()
    /// Whether a scalar may be among the extras; without one nothing of them counts for shares.
    var hasScalarExtras = false

    var isEmpty: Bool { plain.isZero && extras.isEmpty }

    /// Whether some of it is less than nothing.
    var isNegative: Bool {
        if plain.raisedToZero != plain { return true }
        return extras.items.contains {
            if case .scalar(let amount) = $0.value { return amount < .zero }
            return false
        }
    }

    /// Whether both hold the same.
    func isSame(as other: Parcel) -> Bool { plain == other.plain && extras == other.extras }

    func covers(_ other: Parcel) -> Bool {
        plain.covers(other.plain) && (other.extras.isEmpty || extras.contains(other.extras))
    }

    static func += (left: inout Parcel, right: Parcel) {
        left.plain += right.plain
        if right.extras.isEmpty { return }
        left.extras += right.extras
        if right.hasScalarExtras { left.hasScalarExtras = true }
    }

    static func -= (left: inout Parcel, right: Parcel) {
        left.plain -= right.plain
        if !right.extras.isEmpty { left.extras -= right.extras }
    }
}

extension ScalarColumns {
    /// Takes resources apart.
    func parcel(_ resources: Resources) -> Parcel {
        var parcel = Parcel()
        for item in resources.items {
            if case .scalar(let amount) = item.value, item.isPlain, let column = find(item.name) {
                parcel.plain[column] &+= amount.thousandths
            } else {
                parcel.extras += item
                if case .scalar = item.value { parcel.hasScalarExtras = true }
            }
        }
        return parcel
    }

    /// Puts resources together again, scalars first.
    func resources(_ parcel: Parcel) -> Resources {
        var items: [Resource] = []
        items.reserveCapacity(names.count + parcel.extras.items.count)
        for column in names.indices where parcel.plain[column] != 0 {
            items.append(
                Resource(
                    names[column], .scalar(Milli(thousandths: parcel.plain[column]))))
        }
        items.append(contentsOf: parcel.extras.items)
        return Resources(distinct: items)
    }

    /// The scalars of extras by column, whoever they are reserved for.
    func amounts(
        _ extras: Resources, where isMeant: (Resource) -> Bool = { _ in true }
    ) -> Amounts {
        var amounts = Amounts()
        for item in extras.items where isMeant(item) {
            if case .scalar(let amount) = item.value, let column = find(item.name) {
                amounts[column] &+= amount.thousandths
            }
        }
        return amounts
    }
}

extension Resource {
    /// Whether nothing but its name tells it from others.
    var isPlain: Bool {
        reservations.isEmpty && disk == nil && !isRevocable && !isShared
    }
}
