/// What a figure has to reach.
struct Bar: Codable {
    enum Kind: String, Codable {
        /// So many times less than Mesos, scaled by calibration where it is time.
        case timesFaster
        case atMost
    }

    var kind: Kind
    var value: Double

    /// The bar of a measurement, or `nil` where there is none.
    static func bar(for row: Measurement) -> Bar? {
        let agents = row.parameters["agents"] ?? 0
        let frameworks = row.parameters["frameworks"] ?? 0
        let isLarge = agents == 50_000 && frameworks == 1000
        func times(_ value: Double) -> Bar { Bar(kind: .timesFaster, value: value) }
        func atMost(_ value: Double) -> Bar { Bar(kind: .atMost, value: value) }
        switch (row.name, row.variant) {
        case ("full cycle", _): return times(isLarge ? 50 : 20)
        case ("adding agents", "quota on every role"): return nil
        case ("adding agents", _): return agents == 50_000 ? times(10) : nil
        case ("steady cycle", "nothing has changed"): return nil
        case ("steady cycle", _): return isSteadyAnchor(agents, frameworks) ? times(500) : nil
        case ("steady memory", "peak"):
            return isSteadyAnchor(agents, frameworks) ? times(40) : nil
        case ("memory", "resident"):
            return isLarge && row.parameters["filters"] == 0 ? atMost(150) : nil
        case ("LargeAndSmallQuota", "add frameworks"), ("LargeAndSmallQuota", "cycle 1"),
            ("LargeAndSmallQuota", "cycle 2"),
            ("LargeAndSmallQuota", "cycle 2, every agent marked"):
            return times(row.parameters["small"] == 2500 ? 100 : 20)
        case ("MultiFrameworkAllocations", "stated demand"): return times(20)
        case ("MultiFrameworkAllocations", "rounds, stated demand / whole agents"):
            return atMost(0.999)
        case ("OfferLatency", "stated demand, p50"), ("OfferLatency", "stated demand, p99"):
            return isLarge ? atMost(200) : nil
        case ("IdleFrameworks", _): return row.unit == "×" ? atMost(1.15) : nil
        case ("growth of the full cycle", "with agents"): return atMost(1.15)
        case ("growth of the full cycle", "with frameworks"): return atMost(1.0)
        default: return nil
        }
    }

    private static func isSteadyAnchor(_ agents: Int, _ frameworks: Int) -> Bool {
        [[1000, 1000], [10_000, 100], [30_000, 50]].contains([agents, frameworks])
    }

    var text: String {
        switch kind {
        case .timesFaster: "≥ \(short(value))×"
        case .atMost: "≤ \(short(value))"
        }
    }
}
