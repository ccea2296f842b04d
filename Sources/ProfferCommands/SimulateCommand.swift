internal import ArgumentParser
internal import Foundation
internal import ProfferSimulation
internal import Synchronization

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Let whole clusters run in virtual time while things go wrong.",
        discussion: """
            EXAMPLES:
              proffer simulate                        a hundred clusters
              proffer simulate --seeds 2000 --from 1  two thousand
              proffer simulate --seed 42 --replay     one of them, line by line
              proffer simulate --soak                 until Ctrl-C

            The masters, agents, executors and framework drivers are those of the daemons; \
            network, disks, processes and clocks are modelled. A seed decides what goes wrong, \
            and the same seed gives the same run on every machine. When something happens that \
            must never be, the run is made small and printed as one command, and the exit code \
            is 1.
            """)

    @Option(help: "How many seeds.")
    var seeds = 100

    @Option(help: "The first seed.")
    var from: UInt64 = 1

    @Option(help: "This seed only.")
    var seed: UInt64?

    @Flag(help: "Print what happens, line by line.")
    var replay = false

    @Flag(help: "Go on until stopped.")
    var soak = false

    @Option(help: "How many masters there are; the seed decides.")
    var masters: Int?

    @Option(help: "How many agents there are; the seed decides.")
    var agents: Int?

    @Option(help: "How many frameworks there are; the seed decides.")
    var frameworks: Int?

    @Option(help: "For how many virtual seconds things go wrong.")
    var seconds = 90

    @Option(help: "The numbers of the planned faults that happen, or 'none'; all if not given.")
    var only: String?

    @Flag(help: "Print the number of events and the hash of each run, and nothing else.")
    var hashes = false

    @Option(help: "How many runs go on at a time; as many as there are processors.")
    var parallel: Int?

    @Flag(inversion: .prefixedNo, help: "Make a failing run small.")
    var shrink = true

    func validate() throws {
        guard seeds > 0 else { throw ValidationError("--seeds must be 1 or more") }
        guard (parallel ?? 1) > 0 else { throw ValidationError("--parallel must be 1 or more") }
        guard (1...86_400).contains(seconds) else {
            throw ValidationError("--seconds must lie between 1 and 86400")
        }
        for (name, number, limit) in [
            ("masters", masters, 7), ("agents", agents, 1000), ("frameworks", frameworks, 100),
        ] {
            if let number, !(1...limit).contains(number) {
                throw ValidationError("--\(name) must lie between 1 and \(limit)")
            }
        }
        if let only, only != "none", only.split(separator: ",").contains(where: { Int($0) == nil })
        {
            throw ValidationError("--only takes numbers with commas between them, or 'none'")
        }
    }

    private func simulation() -> SimulationConfiguration {
        var configuration = SimulationConfiguration()
        if let masters { configuration.masters = masters...masters }
        if let agents { configuration.agents = agents...agents }
        if let frameworks { configuration.frameworks = frameworks...frameworks }
        configuration.faultPhase = .seconds(seconds)
        configuration.keepsTranscript = replay
        if let only {
            configuration.onlyFaults = Set(
                only == "none" ? [] : only.split(separator: ",").compactMap { Int($0) })
        }
        return configuration
    }

    func run() async throws {
        let configuration = simulation()
        let sweep = SeedSweep(
            configuration, from: seed ?? from, count: soak ? nil : seed == nil ? seeds : 1)
        let interrupts = Interrupts.install { kind in
            if kind == .stop { sweep.stop() }
        }
        defer { interrupts.remove() }
        await withTaskGroup { group in
            for _ in 0..<(parallel ?? ProcessInfo.processInfo.activeProcessorCount) {
                group.addTask { sweep.work() }
            }
        }
        let (summary, failure) = sweep.result
        if hashes { sweep.hashes.forEach(say) } else { say(summary.text) }
        if let failure { throw problem(failure.violation, configuration, seed: failure.seed) }
        // A few runs cannot meet everything that can go wrong.
        if only == nil, summary.runs >= 1000, !summary.faults.missing.isEmpty {
            let names = summary.faults.missing.map(\.name).joined(separator: ", ")
            throw CommandProblem(
                .failed, "some faults never happened in \(summary.runs) runs",
                because: "nothing led to \(names)",
                try: "look at how Swarm chooses and World+Faults carries out these faults")
        }
    }

    private func problem(
        _ violation: Violation, _ configuration: SimulationConfiguration, seed: UInt64
    ) -> CommandProblem {
        var command = "proffer simulate --seed \(seed) --replay"
        if shrink, let smallest = Shrinker(configuration).shrink(seed: seed) {
            command = smallest.command
        }
        return CommandProblem(
            .failed, "seed \(seed) broke the invariant \(violation.invariant)",
            because: violation.description, try: command)
    }
}

/// Runs of one seed after the other, by several threads.
///
/// Seeds are begun in order, and none after one has failed: the lowest that has failed is the
/// lowest there is, however many threads there are.
final class SeedSweep: Sendable {
    private struct State {
        var next: UInt64
        var left: Int?
        var summary = SimulationSummary()
        var failure: (seed: UInt64, violation: Violation)?
        var hashes: [UInt64: String] = [:]
    }

    private let configuration: SimulationConfiguration
    private let state: Mutex<State>

    /// Prepares runs; without a count they go on until they are stopped.
    init(_ configuration: SimulationConfiguration, from first: UInt64, count: Int?) {
        self.configuration = configuration
        state = Mutex(State(next: first, left: count))
    }

    var result: (summary: SimulationSummary, failure: (seed: UInt64, violation: Violation)?) {
        state.withLock { ($0.summary, $0.failure) }
    }

    /// One line for each seed, in order: the same in every process and build.
    var hashes: [String] {
        state.withLock(\.hashes).sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    }

    /// Begins no more runs.
    func stop() { state.withLock { $0.left = 0 } }

    /// Runs one seed after the other until none is left.
    func work() {
        while let seed = take() {
            let report = Simulation(configuration).run(seed: seed)
            state.withLock { state in
                for line in report.transcript.lines { say(line) }
                state.summary.add(report)
                state.hashes[seed] =
                    "\(report.events) \(String(report.transcript.hash, radix: 16))"
                if let violation = report.violation {
                    state.left = 0
                    if seed < state.failure?.seed ?? .max { state.failure = (seed, violation) }
                }
                if state.left == nil, state.summary.runs.isMultiple(of: 500) {
                    say(state.summary.text)
                }
            }
        }
    }

    private func take() -> UInt64? {
        state.withLock { state in
            if state.left == 0 { return nil }
            state.left = state.left.map { $0 - 1 }
            defer { state.next &+= 1 }
            return state.next
        }
    }
}

/// What some runs came to.
struct SimulationSummary {
    private(set) var runs = 0
    private(set) var faults = FaultTally()
    private var simulated = Duration.zero
    private var events: UInt64 = 0
    private let start = ContinuousClock.now

    mutating func add(_ report: SimulationReport) {
        runs += 1
        faults.add(report.faults)
        simulated += report.simulated
        events += report.events
    }

    /// Several lines for people.
    var text: String {
        let took = ContinuousClock.now - start
        let speed = simulated / max(took, .milliseconds(1))
        let years = simulated / .seconds(365 * 86_400)
        let met = FaultKind.allCases.filter { faults[$0] > 0 }
        var lines = [
            "\(runs) runs, \(events) events, \(simulated.components.seconds) s simulated in "
                + "\(took.components.seconds) s (\(Int(speed)) x real time, "
                + String(format: "%.4f", years) + " cluster-years)",
            "\(met.count) of \(FaultKind.allCases.count) kinds of faults happened:",
        ]
        let width = FaultKind.allCases.map(\.name.count).max() ?? 0
        for kind in met {
            lines.append(
                "  " + kind.name.padding(toLength: width, withPad: " ", startingAt: 0)
                    + "  \(faults[kind])")
        }
        return lines.joined(separator: "\n")
    }
}
