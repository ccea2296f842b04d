internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

extension PBPlacementCheck {
    init(_ check: ProfferModel.PlacementCheck) {
        self =
            switch check {
            case .agentActive: .agentActive
            case .constraints: .constraints
            case .region: .region
            case .gpus: .gpus
            case .reservations: .reservations
            case .resources: .resources
            case .perAgent: .perAgent
            case .refusal: .refusal
            case .quotaLimit: .quotaLimit
            case .headroom: .headroom
            case .offeredLimit: .offeredLimit
            case .gang: .gang
            case .capabilities: .capabilities
            case .whitelist: .whitelist
            }
    }

    /// Nothing for a check that is not known here.
    var model: ProfferModel.PlacementCheck? {
        switch self {
        case .unknown: nil
        case .agentActive: .agentActive
        case .constraints: .constraints
        case .region: .region
        case .gpus: .gpus
        case .reservations: .reservations
        case .resources: .resources
        case .perAgent: .perAgent
        case .refusal: .refusal
        case .quotaLimit: .quotaLimit
        case .headroom: .headroom
        case .offeredLimit: .offeredLimit
        case .gang: .gang
        case .capabilities: .capabilities
        case .whitelist: .whitelist
        }
    }

    func known(_ field: String) throws(WireError) -> ProfferModel.PlacementCheck {
        guard let check = model else { throw .outOfRange(field) }
        return check
    }
}

private func scalars(_ quantities: ResourceQuantities) -> [String: PBValue.Scalar] {
    var result: [String: PBValue.Scalar] = [:]
    for entry in quantities.entries { result[entry.name] = PBValue.Scalar(entry.amount) }
    return result
}

/// Amounts by name, as many as a list of resources may have kinds.
func quantities(
    _ scalars: [String: PBValue.Scalar], _ field: String
) throws(WireError) -> ResourceQuantities {
    guard scalars.count <= WireLimits.quantities else { throw .outOfRange(field) }
    var result = ResourceQuantities()
    for name in scalars.keys.sorted() {
        result.add(try milli(scalars[name]?.value ?? 0, "\(field) \(shown(name))"), to: name)
    }
    return result
}

extension PBQuotaConfig {
    init(_ quota: Quota) {
        self.init()
        role = quota.role
        guarantees = scalars(quota.guarantees)
        for limit in quota.limits { limits[limit.name] = PBValue.Scalar(limit.amount) }
    }

    func model() throws(WireError) -> Quota {
        guard limits.count <= WireLimits.quantities else { throw .outOfRange("limits") }
        var bounds: [QuotaLimit] = []
        for name in limits.keys.sorted() {
            let amount = try milli(limits[name]?.value ?? 0, "limit \(shown(name))")
            bounds.append(QuotaLimit(name: name, amount: amount))
        }
        return Quota(
            role: role, guarantees: try quantities(guarantees, "guarantee"), limits: bounds)
    }
}

extension PBOperatorResponse.GetQuota {
    init(_ summaries: [QuotaSummary]) {
        self.init()
        status.configs = summaries.map { summary in
            var coded = PBQuotaConfig(summary.quota)
            coded.consumed = scalars(summary.consumed)
            return coded
        }
    }

    func model() throws(WireError) -> [QuotaSummary] {
        try status.configs.tryMap { one throws(WireError) in
            QuotaSummary(
                quota: try one.model(), consumed: try quantities(one.consumed, "consumed"))
        }
    }
}

extension PBPlacementExplanation {
    init(_ explanation: PlacementExplanation) {
        self.init()
        agents = clamped(explanation.agents)
        steps = explanation.steps.map { step in
            var coded = Step()
            coded.check = PBPlacementCheck(step.check)
            coded.removed = clamped(step.removed)
            coded.alone = clamped(step.alone)
            coded.examples = step.examples.map { PBAgentID($0) }
            return coded
        }
        fitting = clamped(explanation.fitting)
        if let obstacle = explanation.obstacle { self.obstacle = obstacle }
        nearest = explanation.nearest.map { miss in
            var coded = NearMiss()
            coded.agentID = PBAgentID(miss.agent)
            coded.hostname = miss.hostname
            coded.failed = miss.failed.map { PBPlacementCheck($0) }
            coded.missing = PBOfferFilters.ResourceQuantities(miss.missing)
            return coded
        }
        quota = explanation.quota.map { state in
            var coded = QuotaState()
            coded.name = state.name
            coded.consumed = PBValue.Scalar(state.consumed)
            coded.guarantee = PBValue.Scalar(state.guarantee)
            if let limit = state.limit { coded.limit = PBValue.Scalar(limit) }
            return coded
        }
        shareMillionths = explanation.shareMillionths
        roleShareMillionths = explanation.roleShareMillionths
        ahead = clamped(explanation.ahead)
        suggestions = explanation.suggestions
    }

    func model() throws(WireError) -> PlacementExplanation {
        PlacementExplanation(
            agents: try smallCount(agents, "explanation.agents"),
            steps: try steps.tryMap { step throws(WireError) in
                PlacementExplanation.Step(
                    check: try step.check.known("step.check"),
                    removed: try smallCount(step.removed, "step.removed"),
                    alone: try smallCount(step.alone, "step.alone"),
                    examples: step.examples.map { AgentID($0.value) })
            },
            fitting: try smallCount(fitting, "explanation.fitting"),
            obstacle: hasObstacle ? obstacle : nil,
            nearest: try nearest.tryMap { miss throws(WireError) in
                PlacementExplanation.NearMiss(
                    agent: AgentID(miss.agentID.value), hostname: miss.hostname,
                    failed: try miss.failed.tryMap { one throws(WireError) in
                        try one.known("near_miss.failed")
                    }, missing: try miss.missing.model())
            },
            quota: try quota.tryMap { state throws(WireError) in
                PlacementExplanation.QuotaState(
                    name: state.name, consumed: try milli(state.consumed.value, "consumed"),
                    guarantee: try milli(state.guarantee.value, "guarantee"),
                    limit: state.hasLimit ? try milli(state.limit.value, "limit") : nil)
            }, shareMillionths: shareMillionths, roleShareMillionths: roleShareMillionths,
            ahead: try smallCount(ahead, "explanation.ahead"), suggestions: suggestions)
    }
}

extension PBOperatorCall.Why {
    init(_ question: PlacementQuestion) {
        self.init()
        if let id = question.framework { frameworkID = PBFrameworkID(id) }
        demand = PBSchedulerDemand(question.demand)
    }

    func model() throws(WireError) -> PlacementQuestion {
        PlacementQuestion(
            framework: hasFrameworkID ? FrameworkID(frameworkID.value) : nil,
            demand: try demand.model())
    }
}

extension PBOperatorResponse.WhyFramework {
    init(_ summaries: [DemandSummary]) {
        self.init()
        demands = summaries.map { summary in
            var coded = Waiting()
            coded.demand = PBSchedulerDemand(summary.demand)
            if let time = summary.waitingSince { coded.since = PBTimeInfo(time) }
            coded.explanation = PBPlacementExplanation(summary.explanation)
            return coded
        }
    }

    func model() throws(WireError) -> [DemandSummary] {
        try demands.tryMap { one throws(WireError) in
            DemandSummary(
                demand: try one.demand.model(), waitingSince: one.hasSince ? one.since.model : nil,
                explanation: try one.explanation.model())
        }
    }
}
