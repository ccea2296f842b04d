internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// Why something gets nothing, or what it would get.
    func answer(why question: PlacementQuestion, at now: Instant) -> OperatorAnswer {
        if let id = question.framework, frameworks[id] == nil {
            return .notFound("there is no framework '\(id)'")
        }
        if let problem = problemOfRole(question.demand.role) { return .refused(problem) }
        var demand = question.demand
        if demand.id.isEmpty { demand.id = "asked" }
        if !demand.resources.entries.isEmpty || demand.ports != 0,
            let problem = problemOfDemand(demand)
        {
            return .refused(problem)
        }
        let constraint = OfferConstraint(role: demand.role, groups: demand.constraints)
        if let problem = ProfferAllocation.problem(in: [constraint])
            ?? problemOfPriority(demand.priority, in: demand.role)
        {
            return .refused(problem)
        }
        return .why(explain(question, at: now))
    }

    private func explain(_ question: PlacementQuestion, at now: Instant) -> PlacementExplanation {
        var explanation = allocator.explain(question, at: now)
        if let id = question.framework, let row = frameworks[id], row.isConnected,
            row.awaitsDemand
        {
            explanation.obstacle =
                "the framework has announced that it states what it wants, and has not done so yet"
        }
        return explanation
    }

    /// Why what a framework demands waits; for one that demands nothing, why it is offered nothing.
    func answer(whyFramework id: FrameworkID, at now: Instant) -> OperatorAnswer {
        guard let row = frameworks[id] else {
            return .notFound("there is no framework '\(id)'")
        }
        guard !row.demands.isEmpty else {
            return .demands(
                row.info.roles.map { role in
                    let demand = Demand(id: "", role: role, resources: ResourceQuantities())
                    return DemandSummary(
                        demand: demand, waitingSince: nil,
                        explanation: explain(
                            PlacementQuestion(framework: id, demand: demand), at: now))
                })
        }
        let lacking = allocator.shortfalls(at: now).filter { $0.framework == id }
        return .demands(
            served(row).map { stated in
                let shortfall = lacking.first {
                    $0.demand.id == stated.id && $0.demand.role == stated.role
                }
                var demand = stated
                demand.count =
                    shortfall?.demand.count ?? max(0, stated.count - (row.launched[stated.id] ?? 0))
                return DemandSummary(
                    demand: demand, waitingSince: shortfall.map { wallClock.time(at: $0.since) },
                    explanation: explain(
                        PlacementQuestion(framework: id, demand: stated), at: now))
            })
    }
}
