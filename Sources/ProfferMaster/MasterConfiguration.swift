internal import ProfferKernel
public import ProfferModel

/// How a master behaves; every default that Mesos has is Mesos'.
public struct MasterConfiguration: Hashable, Sendable {
    /// The name of the cluster, for people.
    public var clusterName = "proffer"
    /// The master's host name.
    public var hostname = "localhost"
    /// The port of its HTTP server.
    public var httpPort = 5050
    /// Where it is; agents of other regions are for frameworks that are aware of regions, which
    /// the allocator has to be told too.
    public var domain: FaultDomain?
    /// The file that says which hosts' agents may be offered, if one does: then no operator's call
    /// changes that.
    public var whitelistFile: String?
    /// What the file says at the start; `nil` is every host.
    public var whitelist: [String]?
    /// Its version.
    public var version = "0.1.0"
    /// Pause between two signs of life to a framework.
    public var heartbeatInterval = Duration.seconds(15)
    /// Pause between two pings of an agent.
    public var agentPingInterval = Duration.seconds(15)
    /// So many pings in a row without an answer make an agent unreachable.
    public var agentPingsMissed = 5
    /// How long an agent that is known only from the registry may take to come back; one whose
    /// connection broke has no longer than its pings may be missed either.
    public var agentReturnWindow = Duration.seconds(600)
    /// How often agents may be declared unreachable; `nil` is as often as they are, as in Mesos.
    public var agentRemovalRateLimit: RateLimit?
    /// The share of missing agents, in percent, above which removals are slow; `nil` is never.
    ///
    /// When so many are missing, and at least three, it is likely the master that is cut off:
    /// removals then are one for each ``agentLossPause``.
    public var agentLossThreshold: Int? = 50
    /// The pause before each removal while so many are missing.
    public var agentLossPause = Duration.seconds(120)
    /// How often unreachable and gone agents that were kept for long enough are forgotten.
    public var registryGCInterval = Duration.seconds(900)
    /// How long an unreachable or gone agent is remembered.
    public var registryMaxAgentAge = Duration.seconds(14 * 24 * 3600)
    /// How many unreachable and gone agents are remembered.
    public var registryMaxAgentCount = 102_400
    /// How long a framework may hold an offer; `nil` is for ever, as in Mesos.
    public var offerTimeout: Duration? = .seconds(60)
    /// Changes within this time lead to one allocation.
    public var allocationWindow = Duration.milliseconds(2)
    /// What a refusal without a time lasts.
    public var defaultRefusal = Duration.seconds(5)
    /// The longest refusal.
    public var longestRefusal = Duration.seconds(365 * 24 * 3600)
    /// How often a kill is repeated until the agent reports the end of the task.
    public var killRepeat = Duration.seconds(5)
    /// How many ended frameworks are remembered.
    public var completedFrameworks = 50
    /// How many ended tasks of a framework are remembered.
    public var completedTasks = 1000
    /// How many tasks of a framework on agents that do not answer are remembered.
    public var unreachableTasks = 1000
    /// How many unacknowledged updates of one task may be under way to a native framework.
    public var updateWindow = 64
    /// How long a demand or guarantee cannot be met before tasks have to make room; `nil` is for
    /// ever.
    public var preemptionDelay: Duration? = .seconds(10)
    /// How long a framework knows of it before a task is killed to make room.
    public var preemptionNotice = Duration.seconds(30)

    /// The defaults.
    public init() {}

    /// Everything that is wrong with these values, in words for the operator.
    public var problems: [String] {
        var found: [String] = []
        func positive(_ value: Duration, _ name: String) {
            if value <= .zero { found.append("\(name) must be longer than nothing") }
        }
        positive(heartbeatInterval, "the heartbeat interval")
        positive(agentPingInterval, "the agent ping interval")
        positive(agentReturnWindow, "the agent return window")
        positive(killRepeat, "the pause between kills")
        positive(longestRefusal, "the longest refusal")
        positive(agentLossPause, "the pause before removals while agents are missing")
        positive(registryGCInterval, "the interval at which lost agents are forgotten")
        positive(registryMaxAgentAge, "the age at which lost agents are forgotten")
        if registryMaxAgentCount < 0 {
            found.append("the number of remembered agents may not be negative")
        }
        if let limit = agentRemovalRateLimit, limit.count < 1 || limit.span <= .zero {
            found.append("the removal rate limit must be at least one in more than no time")
        }
        if let share = agentLossThreshold, !(0...100).contains(share) {
            found.append("the share of missing agents must lie between 0 and 100 percent")
        }
        if let offerTimeout { positive(offerTimeout, "the offer timeout") }
        if let preemptionDelay { positive(preemptionDelay, "the preemption delay") }
        if preemptionNotice < .zero { found.append("the preemption notice may not be negative") }
        if allocationWindow < .zero { found.append("the allocation window may not be negative") }
        if agentPingsMissed < 1 { found.append("an agent must be allowed to miss a ping") }
        if completedFrameworks < 0 || completedTasks < 0 || unreachableTasks < 0 {
            found.append("the number of remembered tasks and frameworks may not be negative")
        }
        if updateWindow < 1 { found.append("the update window must be at least 1") }
        return found
    }
}

/// So many in so long a time, evenly spread: `2/1m` is one every 30 seconds.
public struct RateLimit: Hashable, Sendable {
    /// How many.
    public var count: Int
    /// In how long.
    public var span: Duration

    /// Sets both.
    public init(count: Int, span: Duration) {
        self.count = count
        self.span = span
    }

    /// From one to the next.
    public var pause: Duration { .nanoseconds(span.inNanoseconds / Int64(max(1, count))) }
}

extension RateLimit {
    /// The rate that a text such as `1/10m` names; `nil` when it is none.
    public init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Int(parts[0]), (1...1_000_000).contains(count),
            let span = Duration(text: String(parts[1])), span > .zero
        else { return nil }
        self.init(count: count, span: span)
    }
}
