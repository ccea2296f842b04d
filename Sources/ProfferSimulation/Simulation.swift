public import ProfferAllocation
internal import ProfferKernel

/// What is simulated and for how long; what is not said here, the seed chooses.
public struct SimulationConfiguration: Sendable {
    /// How many masters there are.
    public var masters: ClosedRange<Int> = 1...3
    /// How many agents there are.
    public var agents: ClosedRange<Int> = 1...8
    /// How many frameworks there are, when none are given.
    public var frameworks: ClosedRange<Int> = 1...3
    /// The frameworks; when there are none, the simulator's own ones keep services running and work
    /// through jobs.
    public var workloads: [SimulatedFramework] = []
    /// How long things go wrong.
    public var faultPhase = Duration.seconds(90)
    /// How long the cluster has then to come to rest.
    public var quietPhase = Duration.seconds(180)
    /// The kinds of faults that may happen; `nil` is all.
    public var faults: Set<FaultKind>?
    /// The numbers of the faults of the plan that are carried out; `nil` is all.
    ///
    /// The shrinker leaves some out.
    public var onlyFaults: Set<Int>?
    /// Who decides what is offered to whom.
    public var makeAllocator: @Sendable () -> any Allocator = { HierarchicalAllocator() }
    /// Whether the lines of the transcript are kept.
    public var keepsTranscript = false
    package var bug: PlantedBug?

    /// The defaults: small clusters in which everything can go wrong.
    public init() {}

    func allows(_ kind: FaultKind) -> Bool { faults?.contains(kind) ?? true }
}

/// What a run came to.
public struct SimulationReport: Sendable {
    /// The seed it followed from.
    public var seed: UInt64
    /// The first thing that must never be, if there was one.
    public var violation: Violation?
    /// How often each kind of fault happened.
    public var faults: FaultTally
    /// The numbers of the planned faults.
    public var plannedFaults: [Int]
    /// The virtual time that passed.
    public var simulated: Duration
    /// How many events there were.
    public var events: UInt64
    /// Its hash, and its lines when they were kept.
    public var transcript: Transcript
    /// How many masters, agents and frameworks there were.
    public var size: (masters: Int, agents: Int, frameworks: Int)
}

/// A whole cluster in virtual time: the machines of the daemons over a modelled network, disks,
/// processes and clocks, in which things go wrong as a seed decides.
///
/// The same configuration and seed give the same run, in every process and build.
public struct Simulation: Sendable {
    private let configuration: SimulationConfiguration

    /// Prepares runs.
    public init(_ configuration: SimulationConfiguration = SimulationConfiguration()) {
        self.configuration = configuration
    }

    /// Runs a cluster from its start to its rest, or to the first thing that must never be.
    public func run(seed: UInt64) -> SimulationReport {
        let plan = Swarm.plan(configuration, seed: seed)
        let world = World(
            plan: plan, workloads: configuration.workloads, bug: configuration.bug,
            transcript: Transcript(keepsLines: configuration.keepsTranscript))
        world.build()
        world.scheduleFaults()
        inspectRepeatedly(world)
        world.run(until: plan.faultPhase)
        if world.judge.first == nil {
            world.calmDown()
            world.run(until: plan.faultPhase + plan.quietPhase)
        }
        if world.judge.first == nil { world.judge.conclude(world) }
        defer { world.dismantle() }
        return SimulationReport(
            seed: seed, violation: world.judge.first, faults: world.tally,
            plannedFaults: plan.faults.map(\.number), simulated: .nanoseconds(world.now),
            events: world.eventCount, transcript: world.transcript,
            size: (plan.masters, plan.agents, plan.frameworks))
    }

    private func inspectRepeatedly(_ world: World) {
        world.after(Span.second) {
            world.judge.inspect(world)
            inspectRepeatedly(world)
        }
    }
}
