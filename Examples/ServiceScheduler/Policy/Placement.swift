internal import Proffer

/// Decides whether an app's constraints allow another instance at a place.
struct Placement {
    let app: App
    /// Where the instances of the app's present configuration are.
    var peers: [Instance.Place]
    /// The places among which there is a choice now.
    let candidates: [Instance.Place]

    /// Whether every constraint allows `place`.
    ///
    /// O(constraints · (peers + candidates)).
    func accepts(_ place: Instance.Place) -> Bool {
        app.constraints.allSatisfy { accepts(place, $0) }
    }

    private func accepts(_ place: Instance.Place, _ constraint: PlacementConstraint) -> Bool {
        guard let value = Instance.value(of: constraint.field, in: place) else {
            return constraint.rule == .unlike
        }
        let used = peers.compactMap { Instance.value(of: constraint.field, in: $0) }
        let here = used.count { $0 == value }
        switch constraint.rule {
        case .unique: return here == 0
        case .maxPer: return here < (constraint.value.flatMap { Int($0) } ?? 0)
        case .cluster:
            if let wanted = constraint.value, !wanted.isEmpty { return value == wanted }
            return used.first.map { $0 == value } ?? true
        case .groupBy:
            return acceptsGroup(value, used: used, field: constraint.field, constraint.value)
        case .like: return matches(value, constraint.value)
        case .unlike: return !matches(value, constraint.value)
        case .isEqual: return value == normalized(constraint.value ?? "")
        }
    }

    private func acceptsGroup(
        _ value: String, used: [String], field: String, _ groups: String?
    ) -> Bool {
        let here = used.count { $0 == value }
        guard let groups = groups.flatMap({ Int($0) }), groups > 0 else {
            // The groups are those among which there is a choice: the emptiest takes the next.
            let choices = candidates.compactMap { Instance.value(of: field, in: $0) }
            let least = choices.map { choice in used.count { $0 == choice } }.min() ?? 0
            return here <= least
        }
        var sizes: SortedMap<String, Int> = SortedMap()
        for one in used { sizes[one] = (sizes[one] ?? 0) + 1 }
        if here == 0 { return sizes.count < groups }
        let target = app.instances / groups
        if here < target { return true }
        let largerOnes = sizes.values.count { $0 > target }
        return here == target && largerOnes < app.instances % groups
    }

    private func matches(_ text: String, _ pattern: String?) -> Bool {
        guard let pattern, let expression = try? TextPattern(pattern) else { return false }
        return expression.matches(text)
    }

    /// Numbers are compared as attributes are written: with three decimals at most.
    private func normalized(_ text: String) -> String {
        Decimal.scaled(text, decimals: 3).map { Milli(thousandths: $0).description } ?? text
    }
}

extension Instance.Place {
    init(_ offer: Offer) {
        self.init(
            host: offer.hostname, region: offer.domain?.region, zone: offer.domain?.zone,
            attributes: offer.attributes.map { Label($0.name, Self.text($0.value)) })
    }

    private static func text(_ value: AttributeValue) -> String {
        switch value {
        case .text(let text): text
        case .scalar(let number): number.description
        case .ranges(let ranges):
            "["
                + ranges.intervals.map { "\($0.lowerBound)-\($0.upperBound)" }
                .joined(separator: ",") + "]"
        case .set(let names):
            "{"
                + names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                .joined(separator: ",") + "}"
        }
    }
}

/// Chooses which instances go when there are too many.
enum KillOrder {
    /// The `count` instances to kill first: those whose end evens out a GROUP_BY, then those that
    /// do the least work, then by age.
    ///
    /// O(count · instances).
    static func choose(_ count: Int, of instances: [Instance], app: App) -> [Instance] {
        var left = instances
        var chosen: [Instance] = []
        while chosen.count < count, !left.isEmpty {
            let crowded = mostCrowded(left, app)
            let pool = crowded.isEmpty ? Array(left.indices) : crowded
            guard let first = pool.first else { break }
            let best = pool.dropFirst().reduce(first) { best, index in
                goesBefore(left[index], left[best], app.killSelection) ? index : best
            }
            chosen.append(left.remove(at: best))
        }
        return chosen
    }

    /// The instances in the largest groups of the first GROUP_BY; empty when the groups are even.
    private static func mostCrowded(_ instances: [Instance], _ app: App) -> [Int] {
        guard let constraint = app.constraints.first(where: { $0.rule == .groupBy }) else {
            return []
        }
        let values = instances.map {
            Instance.value(of: constraint.field, in: $0.place) ?? ""
        }
        let sizes = values.map { value in values.count { $0 == value } }
        guard let most = sizes.max(), let least = sizes.min(), most > least else { return [] }
        return sizes.indices.filter { sizes[$0] == most }
    }

    /// Whether `left` goes before `right`.
    static func goesBefore(
        _ left: Instance, _ right: Instance, _ selection: KillSelection
    ) -> Bool {
        let ranks = (rank(left), rank(right))
        if ranks.0 != ranks.1 { return ranks.0 < ranks.1 }
        let times = (left.startedAt ?? left.stagedAt, right.startedAt ?? right.stagedAt)
        if times.0 != times.1 {
            return selection == .youngestFirst ? times.0 > times.1 : times.0 < times.1
        }
        return left.id < right.id
    }

    private static func rank(_ instance: Instance) -> Int {
        switch instance.state {
        case .unreachable: 0
        case .staging: 1
        case .starting: 2
        case .running: instance.isHealthy ? 4 : 3
        case .finished, .failed, .killed, .lost, .error, .killing, .dropped, .gone,
            .goneByOperator, .unknown:
            5
        }
    }
}
