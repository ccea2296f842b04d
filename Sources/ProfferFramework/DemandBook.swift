public import ProfferKernel
public import ProfferModel

/// What a framework has told the master that it wants, as the master understands it now.
///
/// The master takes off what is launched from offers for a demand until the framework states its
/// demand anew. With the same account a policy knows when there is something to say, and says it
/// only then:
///
///     book.launched(tasks.count, on: offer)
///     if let call = book.state(whatIsWantedNow) { actions.append(.call(call)) }
public struct DemandBook: Sendable {
    /// What the master goes by; `nil` when nothing was ever said.
    public private(set) var stated: [Demand]?

    /// Begins with nothing said.
    public init() {}

    /// Takes `count` instances off the demand that an offer was made for; nothing happens for a
    /// classic offer.
    ///
    /// A demand of which nothing is left stays, with a count of 0: a framework without any demand
    /// would be a classic one, which is offered everything. O(demands).
    public mutating func launched(_ count: Int, on offer: Offer) {
        guard let id = offer.demandID else { return }
        launched(count, of: id)
    }

    mutating func launched(_ count: Int, of id: String) {
        guard count > 0, let index = stated?.firstIndex(where: { $0.id == id }),
            var demand = stated?[index]
        else { return }
        demand.count = max(0, demand.count - count)
        demand.gang = min(demand.gang, max(1, demand.count))
        stated?[index] = demand
    }

    /// Notes what is wanted now.
    ///
    /// O(demands).
    ///
    /// - Returns: The call that says so, or `nil` when the master knows it already.
    public mutating func state(_ wanted: [Demand]) -> SchedulerCall? {
        guard wanted != stated ?? [] else { return nil }
        stated = wanted
        return .demand(wanted)
    }

    mutating func said(_ demands: [Demand]) { stated = demands }
}

/// The cluster as a framework sees it that watches it, put together from the steps of the stream.
public struct WatchedCluster: Sendable {
    /// The agents, in the order in which they appeared.
    public private(set) var agents: OrderedTable<AgentID, AgentView> = [:]
    /// Whether the state is whole: between the first step of a large snapshot and its last one it
    /// is not.
    public private(set) var isComplete = false

    /// Knows of nothing.
    public init() {}

    /// Takes the next step of the stream.
    ///
    /// O(agents in the step).
    public mutating func take(_ step: ClusterState) {
        if step.isSnapshot { agents = [:] }
        for agent in step.agents { agents[agent.id] = agent }
        for id in step.removed { agents.remove(id) }
        isComplete = step.isComplete
    }
}
