internal import ProfferKernel
internal import ProfferModel

/// Something that must never be, and was.
public struct Violation: Hashable, Sendable, CustomStringConvertible {
    /// The invariant, such as `S11`.
    public let invariant: String
    /// What was found.
    public let text: String
    /// When, in seconds and microseconds of virtual time.
    public let time: String

    /// One line.
    public var description: String { "\(invariant) at \(time) s: \(text)" }
}

/// Collects what the checkers find; the first finding ends the run.
final class Findings {
    private(set) var all: [Violation] = []
    var now: Int64 = 0

    func report(_ invariant: String, _ text: @autoclosure () -> String) {
        guard all.count < 10 else { return }
        all.append(
            Violation(invariant: invariant, text: text(), time: Transcript.time(now)))
    }

    /// Reports unless the condition holds.
    func expect(
        _ condition: @autoclosure () -> Bool, _ invariant: String, _ text: @autoclosure () -> String
    ) {
        if !condition() { report(invariant, text()) }
    }
}

/// Watches what crosses the boundaries, with a model of its own of what may.
protocol Checker: AnyObject {
    /// Looks at one occurrence.
    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings)
    /// Looks at the whole cluster from time to time.
    func inspect(_ world: World, _ findings: Findings)
    /// Looks at the end, long after the last fault.
    func conclude(_ world: World, _ findings: Findings)
}

extension Checker {
    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings) {}
    func inspect(_ world: World, _ findings: Findings) {}
    func conclude(_ world: World, _ findings: Findings) {}
}

/// Every checker of a run.
struct Judge {
    private let findings = Findings()
    private let checkers: [any Checker]

    init(plan: Plan, bug: PlantedBug?) {
        checkers = CheckerList.make(plan)
        if bug == .canary { report("M2", "the canary sings") }
    }

    /// The first thing that was found wrong.
    var first: Violation? { findings.all.first }

    func report(_ invariant: String, _ text: String) { findings.report(invariant, text) }

    func observe(_ occurrence: Occurrence, in world: World) {
        findings.now = world.now
        for checker in checkers { checker.observe(occurrence, in: world, findings) }
    }

    func inspect(_ world: World) {
        findings.now = world.now
        for checker in checkers { checker.inspect(world, findings) }
    }

    func conclude(_ world: World) {
        findings.now = world.now
        for checker in checkers where findings.all.isEmpty {
            checker.conclude(world, findings)
        }
    }
}
