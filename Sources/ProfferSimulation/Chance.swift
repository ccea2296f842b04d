internal import ProfferKernel

/// One stream of random numbers for each concern, so that drawing more for one does not reshuffle
/// the others.
struct Chance {
    var network: SeededGenerator
    var disk: SeededGenerator
    var processes: SeededGenerator
    var tasks: SeededGenerator
    var faults: SeededGenerator
    var coordinator: SeededGenerator
    /// For the seeds of machines.
    var seeds: SeededGenerator
    /// For the plan of a run: sizes, rates, mixes.
    var plan: SeededGenerator
    /// For what operators withdraw and give back.
    var withdrawals: SeededGenerator

    init(seed: UInt64) {
        var root = SeededGenerator(seed: seed)
        plan = root.split()
        network = root.split()
        disk = root.split()
        processes = root.split()
        tasks = root.split()
        faults = root.split()
        coordinator = root.split()
        seeds = root.split()
        withdrawals = root.split()
    }
}

/// Numbers by multiplication instead of the standard library's methods, so that a new version of
/// the standard library does not change what a seed means.
extension SeededGenerator {
    /// A number from zero to below `limit`; zero when there is none.
    mutating func below(_ limit: Int64) -> Int64 {
        guard limit > 0 else { return 0 }
        return Int64(next().multipliedFullWidth(by: UInt64(limit)).high)
    }

    mutating func below(_ limit: Int) -> Int { Int(below(Int64(limit))) }

    /// A number of a closed range.
    mutating func number(in range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    mutating func number(in range: ClosedRange<Int>) -> Int {
        Int(number(in: Int64(range.lowerBound)...Int64(range.upperBound)))
    }

    /// Whether something happens that happens so often in a thousand times.
    mutating func hits(_ permille: Int) -> Bool { below(1000) < permille }

    /// One of some values, or `nil` when there are none.
    mutating func pick<Value>(_ values: [Value]) -> Value? {
        values.isEmpty ? nil : values[below(values.count)]
    }

    /// A span around a mean whose long ones are rare: the sum of three even draws, and one in a
    /// hundred times ten times as much.
    mutating func span(around mean: Int64) -> Int64 {
        let part = max(1, mean * 2 / 3)
        let sum = below(part) + below(part) + below(part)
        return hits(10) ? sum * 10 : sum
    }
}

/// Spans of virtual time in nanoseconds.
enum Span {
    static let millisecond: Int64 = 1_000_000
    static let second: Int64 = 1_000_000_000
    static let minute: Int64 = 60 * second
}
