import BenchSupport

/// What one cell has to say about one thing, before it is compared with anything.
struct Measurement: Codable {
    var name: String
    var variant = ""
    var parameters: [String: Int]
    var unit: String
    /// CPU time of the thread where the unit is one of time.
    var samples: [Double]
    /// Elapsed time, beside CPU time.
    var wallSamples: [Double] = []
    /// Why the figure does not count.
    var problem: String?
}

/// How long something took.
struct Lap {
    var cpu: Double
    var wall: Double

    static func + (left: Lap, right: Lap) -> Lap {
        Lap(cpu: left.cpu + right.cpu, wall: left.wall + right.wall)
    }

    static let zero = Lap(cpu: 0, wall: 0)
}

/// Times something.
func time(_ work: () throws -> Void) rethrows -> Lap {
    let wall = Usage.wallSeconds()
    let cpu = Usage.threadSeconds()
    try work()
    return Lap(cpu: Usage.threadSeconds() - cpu, wall: Usage.wallSeconds() - wall)
}

/// How often things are done: a few times, and less often when they are slow.
struct Repetitions {
    var isQuick: Bool

    /// Enough for a median, of something that took `seconds` the first time.
    func count(_ seconds: Double) -> Int { isQuick ? 2 : seconds < 2 ? 5 : 3 }

    /// Repeats something that gives one lap.
    func laps(_ work: () throws -> Lap) rethrows -> [Lap] {
        let first = try work()
        var laps = [first]
        for _ in 1..<count(first.wall) { laps.append(try work()) }
        return laps
    }

    /// Repeats something that gives several laps at once; they are returned by kind.
    func laps(kinds: Int, _ work: () throws -> [Lap]) rethrows -> [[Lap]] {
        let first = try work()
        var laps = first.map { [$0] }
        for _ in 1..<count(first.reduce(0) { $0 + $1.wall }) {
            for (kind, lap) in try work().enumerated() { laps[kind].append(lap) }
        }
        return laps
    }
}

extension Measurement {
    /// A measurement of time, from seconds.
    static func time(
        _ name: String, _ variant: String = "", _ parameters: [String: Int], _ laps: [Lap],
        per count: Int = 1, unit: Unit = .ms, problem: String? = nil
    ) -> Measurement {
        let factor = unit.perSecond / Double(max(1, count))
        return Measurement(
            name: name, variant: variant, parameters: parameters, unit: unit.rawValue,
            samples: laps.map { $0.cpu * factor }, wallSamples: laps.map { $0.wall * factor },
            problem: problem)
    }

    /// A measurement of something else.
    static func figure(
        _ name: String, _ variant: String = "", _ parameters: [String: Int], _ samples: [Double],
        unit: String, problem: String? = nil
    ) -> Measurement {
        Measurement(
            name: name, variant: variant, parameters: parameters, unit: unit, samples: samples,
            problem: problem)
    }

    enum Unit: String {
        case ms
        case microseconds = "µs"

        var perSecond: Double { self == .ms ? 1e3 : 1e6 }
    }
}

/// The middle value, or the mean of the two in the middle.
func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    let half = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/// The value below which `percent` of a hundred lie (nearest rank).
func percentile(_ values: [Double], _ percent: Int) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
}
