public import ProfferKernel
public import ProfferModel

/// What a node has and what its tasks hold and use, for whoever offers what is not used.
public struct NodeUsage: Hashable, Sendable {
    /// A task that lives.
    public struct Task: Hashable, Sendable {
        /// Which.
        public var key: TaskKey
        /// What it holds.
        public var resources: Resources
        /// What it has reported last; `nil` until it has.
        public var usage: TaskUsage?

        /// Describes a task.
        public init(key: TaskKey, resources: Resources, usage: TaskUsage? = nil) {
            self.key = key
            self.resources = resources
            self.usage = usage
        }

        /// Whether it holds anything that can be taken back.
        public var isRevocable: Bool { resources.items.contains(where: \.isRevocable) }
    }

    /// What the node has, nothing of it revocable.
    public var total: Resources
    /// What the node uses; its list of tasks is empty, see ``tasks``.
    public var usage: AgentUsage
    /// Its live tasks, those launched first in front.
    public var tasks: [Task]

    /// Describes a node.
    public init(total: Resources, usage: AgentUsage, tasks: [Task] = []) {
        self.total = total
        self.usage = usage
        self.tasks = tasks
    }
}

/// Says how much of what tasks hold but do not use may be offered to others, revocably.
///
/// A pure machine: values in, values out; it may keep what it has seen before. The agent asks it
/// after every measurement.
public protocol ResourceEstimator: Sendable {
    /// Everything that may be offered revocably, what revocable tasks hold already included.
    ///
    /// - Parameters:
    ///   - node: What is held and used.
    ///   - now: The present instant.
    /// - Returns: Scalars; the agent marks them revocable and leaves out everything else.
    mutating func estimate(_ node: NodeUsage, at now: Instant) -> Resources
}

/// What is to be done for the tasks whose resources are guaranteed.
///
/// As long as there is any correction, nothing is offered but what revocable tasks hold already.
public enum QoSCorrection: Hashable, Sendable {
    /// Offer no more for now.
    case withhold
    /// Kill a task that holds revocable resources; its framework is told why. Other tasks are never
    /// killed for this.
    case kill(TaskKey, reason: String)
}

/// Says which revocable tasks have to go so that the others get what they are entitled to.
///
/// A pure machine, like ``ResourceEstimator``.
public protocol QoSController: Sendable {
    /// What has to be done now; asked for after every measurement.
    ///
    /// - Parameters:
    ///   - node: What is held and used.
    ///   - now: The present instant.
    /// - Returns: What has to be done, in this order; empty for nothing.
    mutating func corrections(_ node: NodeUsage, at now: Instant) -> [QoSCorrection]
}

/// How an agent offers what its tasks hold but do not use.
public struct Oversubscription: Sendable {
    /// How much there is of it.
    public var estimator: any ResourceEstimator
    /// When it is taken back.
    public var controller: any QoSController
    /// From one rise of what is offered to the next, at least; a fall is told at once.
    public var interval: Duration

    /// Sets every field; what is left out has the default shown.
    public init(
        estimator: any ResourceEstimator, controller: any QoSController,
        interval: Duration = .seconds(15)
    ) {
        self.estimator = estimator
        self.controller = controller
        self.interval = interval
    }
}

/// Offers the same amounts always, whatever is used: for operators who know their load.
public struct FixedEstimator: ResourceEstimator {
    private let amounts: Resources

    /// Always says `amounts`.
    public init(_ amounts: Resources) { self.amounts = amounts }

    /// What it was made with.
    public mutating func estimate(_ node: NodeUsage, at now: Instant) -> Resources { amounts }
}

/// Takes nothing back.
public struct NoController: QoSController {
    /// Makes one.
    public init() {}

    /// Nothing.
    public mutating func corrections(_ node: NodeUsage, at now: Instant) -> [QoSCorrection] { [] }
}
