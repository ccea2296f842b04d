/// Makes a failing run small: fewer faults, a smaller cluster, a shorter time.
///
/// Faults are left out in halves, quarters and so on (Zeller and Hildebrandt, "Simplifying and
/// Isolating Failure-Inducing Input", 2002); sizes and times are tried from small to large.
public struct Shrinker: Sendable {
    /// A run that fails, and how.
    public struct Result: Sendable {
        /// What to simulate.
        public var configuration: SimulationConfiguration
        /// The seed.
        public var seed: UInt64
        /// What it ends with.
        public var violation: Violation
        /// How many runs it took to find it.
        public var runs: Int

        /// The words of a command that repeats the run.
        public var command: String {
            var words = "proffer simulate --seed \(seed)"
            words += Self.option("masters", configuration.masters)
            words += Self.option("agents", configuration.agents)
            words += Self.option("frameworks", configuration.frameworks)
            let seconds = configuration.faultPhase.components.seconds
            words += " --seconds \(seconds)"
            if let only = configuration.onlyFaults {
                let list = only.sorted().map(String.init).joined(separator: ",")
                words += " --only \(list.isEmpty ? "none" : list)"
            }
            return words + " --replay"
        }

        private static func option(_ name: String, _ range: ClosedRange<Int>) -> String {
            range.lowerBound == range.upperBound ? " --\(name) \(range.lowerBound)" : ""
        }
    }

    private let original: SimulationConfiguration
    private let limit: Int

    /// Prepares a search that makes so many runs at most.
    public init(_ configuration: SimulationConfiguration, runLimit: Int = 200) {
        original = configuration
        limit = runLimit
    }

    /// The smallest run found that breaks the same invariant; `nil` when the seed does not fail.
    public func shrink(seed: UInt64) -> Result? {
        var configuration = original
        configuration.keepsTranscript = false
        let first = Simulation(configuration).run(seed: seed)
        guard let violation = first.violation else { return nil }
        var best = Result(
            configuration: configuration, seed: seed, violation: violation, runs: 1)
        // From now on the plan is that of the sizes it had; other sizes make other plans.
        best.configuration.masters = first.size.masters...first.size.masters
        best.configuration.agents = first.size.agents...first.size.agents
        best.configuration.frameworks = first.size.frameworks...first.size.frameworks
        shrinkSizes(&best)
        shrinkTime(&best)
        shrinkFaults(&best)
        return best
    }

    /// Takes a candidate over when it breaks the same invariant.
    private func attempt(_ candidate: SimulationConfiguration, _ best: inout Result) -> Bool {
        guard best.runs < limit else { return false }
        best.runs += 1
        let report = Simulation(candidate).run(seed: best.seed)
        guard let violation = report.violation, violation.invariant == best.violation.invariant
        else { return false }
        best.configuration = candidate
        best.violation = violation
        return true
    }

    private func shrinkSizes(_ best: inout Result) {
        let parts: [WritableKeyPath<SimulationConfiguration, ClosedRange<Int>>] = [
            \.masters, \.agents, \.frameworks,
        ]
        for part in parts {
            for size in 1..<max(2, best.configuration[keyPath: part].upperBound) {
                var candidate = best.configuration
                candidate[keyPath: part] = size...size
                if attempt(candidate, &best) { break }
            }
        }
    }

    private func shrinkTime(_ best: inout Result) {
        for seconds in [5, 10, 20, 40, 60] {
            let span = Duration.seconds(seconds)
            guard span < best.configuration.faultPhase else { return }
            var candidate = best.configuration
            candidate.faultPhase = span
            if attempt(candidate, &best) { return }
        }
    }

    private func shrinkFaults(_ best: inout Result) {
        let plan = Swarm.plan(best.configuration, seed: best.seed)
        var numbers = plan.faults.map(\.number)
        var none = best.configuration
        none.onlyFaults = []
        if attempt(none, &best) { return }
        var size = max(1, numbers.count / 2)
        while best.runs < limit {
            var isSmaller = false
            var start = 0
            while start < numbers.count {
                var fewer = numbers
                fewer.removeSubrange(start..<min(start + size, numbers.count))
                var candidate = best.configuration
                candidate.onlyFaults = Set(fewer)
                if attempt(candidate, &best) {
                    numbers = fewer
                    isSmaller = true
                } else {
                    start += size
                }
            }
            if size == 1, !isSmaller { return }
            size = max(1, size / 2)
        }
    }
}
