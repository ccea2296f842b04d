internal import DequeModule
public import ProfferFramework
public import ProfferKernel
public import ProfferModel

/// A framework for the simulator: who it is, how it starts, what its users ask and what its tasks
/// do.
///
/// The policy is made anew at every start of its process: after a crash it gets back every output
/// that it had asked to keep before, in order, as its own store would give them back.
public struct SimulatedFramework: Sendable {
    /// How one process of the framework starts.
    public struct Start<Policy: FrameworkPolicy> {
        /// The decisions.
        public var policy: Policy
        /// Who it is; the id is filled in by the simulator.
        public var options: FrameworkOptions

        /// Sets both.
        public init(policy: Policy, options: FrameworkOptions) {
            self.policy = policy
            self.options = options
        }
    }

    /// What a process of the framework finds when it starts.
    public struct Circumstances: Sendable {
        /// The framework's id, once it has one.
        public var id: FrameworkID?
        /// The present instant.
        public var now: Instant
        /// The wall clock as the process reads it.
        public var wallClock: WallClock
        /// For whatever the policy decides by chance.
        public var seed: UInt64
    }

    /// What a user asks of the policy, and when.
    public struct TimedCommand<Command: Sendable>: Sendable {
        /// From the start of the run.
        public var at: Duration
        /// What is asked.
        public var command: Command

        /// Sets both.
        public init(at: Duration, _ command: Command) {
            self.at = at
            self.command = command
        }
    }

    struct Description<Policy: FrameworkPolicy>: Sendable {
        var start: @Sendable ([Policy.Output], Circumstances) -> Start<Policy>
        var commands: [TimedCommand<Policy.Command>]
    }

    let name: String
    let make: @Sendable (World, String, Int, String, SkewedClock) -> FrameworkShell
    let behavior: (@Sendable (TaskID, inout SeededGenerator) -> SimulatedTask)?
    /// What is not as it should be at the end of a run, or `nil`.
    var complaint: (@Sendable (FrameworkShell) -> String?)?
    /// Whether it gives back whatever it does not want and may be offered it again at once.
    var isEager = false

    /// Describes a framework.
    ///
    /// - Parameters:
    ///   - name: For transcripts.
    ///   - commands: What its users ask, and when; what is due while its process is down is lost.
    ///   - behavior: What each of its tasks does; by default a mix that the seed chooses.
    ///   - complaint: Looks at the policy at the end, long after the last fault, and says what is
    ///     not as it should be, or `nil`.
    ///   - start: Makes the policy of a process that starts, from the outputs that earlier ones
    ///     have kept.
    public init<Policy: FrameworkPolicy>(
        name: String,
        commands: [TimedCommand<Policy.Command>] = [],
        behavior: (@Sendable (TaskID, inout SeededGenerator) -> SimulatedTask)? = nil,
        complaint: (@Sendable (Policy) -> String?)? = nil,
        start:
            @escaping @Sendable (
                _ kept: [Policy.Output], _ circumstances: Circumstances
            ) -> Start<Policy>
    ) {
        self.name = name
        self.behavior = behavior
        if let complaint {
            self.complaint = { shell in
                (shell as? FrameworkProcess<Policy>)?.policy.flatMap(complaint)
            }
        }
        let description = Description(start: start, commands: commands)
        make = { world, name, node, key, clock in
            FrameworkProcess(
                world, description, name: name, node: node, key: key, clock: clock)
        }
    }
}
