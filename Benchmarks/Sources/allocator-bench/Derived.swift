import Foundation

/// Figures that need several cells.
enum Derived {
    static func measurements(_ all: [Measurement]) -> [Measurement] {
        growth(all) + rounds(all)
    }

    /// The exponents with which the full cycle grows, by least squares over logarithms.
    private static func growth(_ all: [Measurement]) -> [Measurement] {
        let cycles = all.filter { $0.name == "full cycle" }
        func exponents(
            of variable: String, for other: String, _ variant: String
        ) -> [Measurement] {
            let fixed = Set(cycles.compactMap { $0.parameters[other] }).sorted()
            return fixed.compactMap { value in
                let points = cycles.filter { $0.parameters[other] == value }
                    .compactMap { row -> (Double, Double)? in
                        guard let x = row.parameters[variable] else { return nil }
                        return (log(Double(x)), log(max(median(row.samples), 1e-6)))
                    }
                guard points.count > 1 else { return nil }
                return .figure(
                    "growth of the full cycle", variant, [other: value], [slope(points)],
                    unit: "exponent")
            }
        }
        return exponents(of: "agents", for: "frameworks", "with agents")
            + exponents(of: "frameworks", for: "agents", "with frameworks")
    }

    private static func slope(_ points: [(Double, Double)]) -> Double {
        let count = Double(points.count)
        let meanX = points.reduce(0) { $0 + $1.0 } / count
        let meanY = points.reduce(0) { $0 + $1.1 } / count
        let products = points.reduce(0) { $0 + ($1.0 - meanX) * ($1.1 - meanY) }
        let squares = points.reduce(0) { $0 + ($1.0 - meanX) * ($1.0 - meanX) }
        return products / squares
    }

    private static func rounds(_ all: [Measurement]) -> [Measurement] {
        func rounds(_ variant: String) -> Double? {
            all.first {
                $0.name == "MultiFrameworkAllocations" && $0.variant == variant + ", rounds"
            }.map { median($0.samples) }
        }
        guard let stated = rounds("stated demand"), let whole = rounds("whole agents"), whole > 0
        else { return [] }
        return [
            .figure(
                "MultiFrameworkAllocations", "rounds, stated demand / whole agents", [:],
                [stated / whole], unit: "×")
        ]
    }
}
