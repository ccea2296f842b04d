import ProfferKernel
import ProfferModel

/// Resources as a naive bag, written without regard for the product: what can be counted is counted
/// one by one, in a dictionary.
struct ResourceModel: Equatable {
    /// Everything that keeps two amounts apart, as text.
    struct Key: Hashable {
        var kind: String
        /// A port, a name, or for whole things their size; empty for divisible scalars.
        var unit: String
    }

    /// Thousandths of scalars, 1 for members of ranges and sets, copies or holders of whole things.
    var counts: [Key: Int64] = [:]

    init() {}

    init(_ resources: Resources) {
        for item in resources.items {
            for _ in 0..<(item.isShared ? resources.holders(of: item) : 1) { add(item) }
        }
    }

    static func kind(_ item: Resource) -> String {
        let type =
            switch item.value {
            case .scalar: "scalar"
            case .ranges: "ranges"
            case .set: "set"
            }
        return "\(item.name)|\(type)|\(item.reservations)|\(String(describing: item.disk))"
            + "|\(item.isRevocable)|\(item.isShared)"
    }

    private static func units(_ item: Resource) -> [Key: Int64] {
        let kind = kind(item)
        switch item.value {
        case .scalar(let amount):
            if item.isIndivisible { return [Key(kind: kind, unit: "\(amount)"): 1] }
            return [Key(kind: kind, unit: ""): amount.thousandths]
        case .ranges(let set):
            let ports = set.intervals.flatMap { Array($0) }
            return Dictionary(
                uniqueKeysWithValues: ports.map { (Key(kind: kind, unit: "\($0)"), 1) })
        case .set(let names):
            return Dictionary(uniqueKeysWithValues: names.map { (Key(kind: kind, unit: $0), 1) })
        }
    }

    /// A member can be in a set once; everything else adds up.
    mutating func add(_ item: Resource) {
        var isScalar = false
        if case .scalar = item.value { isScalar = true }
        for (key, count) in Self.units(item) {
            counts[key, default: 0] = isScalar ? counts[key, default: 0] + count : 1
        }
    }

    func union(_ other: Resources) -> ResourceModel {
        var sum = self
        for item in other.items {
            for _ in 0..<(item.isShared ? other.holders(of: item) : 1) { sum.add(item) }
        }
        return sum
    }

    func subtracting(_ other: ResourceModel) -> ResourceModel {
        var rest = ResourceModel()
        for (key, count) in counts where count > other.counts[key, default: 0] {
            rest.counts[key] = count - other.counts[key, default: 0]
        }
        return rest
    }

    func contains(_ other: ResourceModel) -> Bool {
        other.counts.allSatisfy { counts[$0.key, default: 0] >= $0.value }
    }
}

/// Resources drawn at random, from few kinds so that they meet often.
struct ResourceBag {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    static let stacks: [[Reservation]] = [
        [], [], [Reservation(role: "eng")],
        [Reservation(kind: .static, role: "eng"), Reservation(role: "eng/dev")],
        [Reservation(role: "eng", principal: "p", labels: [Label("k", "v")])],
    ]

    mutating func resources(upTo count: Int = 10) -> Resources {
        Resources((0..<Int.random(in: 0...count, using: &random)).map { _ in resource() })
    }

    mutating func resource() -> Resource {
        let stack = Self.stacks.randomElement(using: &random) ?? []
        let amount = Milli(thousandths: Int64.random(in: 1...3000, using: &random))
        let isRevocable = Int.random(in: 0..<4, using: &random) == 0
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1, 2:
            let name = ["cpus", "mem", "gpus"].randomElement(using: &random) ?? "cpus"
            return Resource(name, .scalar(amount), reservations: stack, isRevocable: isRevocable)
        case 3:
            return Resource("ports", .ranges(intervals()), reservations: stack)
        case 4:
            let names = (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                "z\(Int.random(in: 0..<6, using: &random))"
            }
            return Resource("zones", .set(names), reservations: stack)
        case 5:
            let size = Milli(Int.random(in: 1...2, using: &random))
            let root = "/m\(Int.random(in: 0..<2, using: &random))"
            return Resource(
                "disk", .scalar(size), reservations: stack,
                disk: DiskInfo(source: .mount(root: root)))
        case 6:
            return Resource(
                "disk", .scalar(amount), disk: DiskInfo(source: .path(root: "/p")))
        default:
            let id = "v\(Int.random(in: 0..<2, using: &random))"
            return Resource(
                "disk", .scalar(Milli(64)), reservations: [Reservation(role: "eng")],
                disk: DiskInfo(persistenceID: id, containerPath: "data"),
                isShared: Bool.random(using: &random))
        }
    }

    private mutating func intervals() -> IntervalSet {
        IntervalSet(
            (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                let low = UInt64.random(in: 0..<40, using: &random)
                return low...(low + UInt64.random(in: 0..<6, using: &random))
            })
    }
}
