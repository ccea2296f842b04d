internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

/// A number of our own fields: within 32 bits, so that whoever computes with it cannot overflow.
func small(_ value: Int64, _ field: String) throws(WireError) -> Int {
    guard let number = Int32(exactly: value) else { throw .outOfRange(field) }
    return Int(number)
}

/// A number of things within 32 bits, which cannot be negative.
func smallCount(_ value: Int64, _ field: String) throws(WireError) -> Int {
    let number = try small(value, field)
    guard number >= 0 else { throw .outOfRange(field) }
    return number
}

/// A number as `small` takes it; what is beyond becomes the nearest that fits.
func clamped(_ number: Int) -> Int64 { Int64(Int32(clamping: number)) }

private typealias Group = PBSchedulerOfferConstraints.RoleConstraints.Group

extension PBSchedulerDemand {
    init(_ demand: Demand) {
        self.init()
        id = demand.id
        role = demand.role
        resources = PBOfferFilters.ResourceQuantities(demand.resources)
        if demand.ports != 0 { ports = clamped(demand.ports) }
        count = clamped(demand.count)
        constraints = demand.constraints.map { group in
            var coded = Group()
            coded.attributeConstraints = group.map { PBSchedulerAttributeConstraint($0) }
            return coded
        }
        if demand.priority != 0 { priority = clamped(demand.priority) }
        if demand.gang != 1 { gang = clamped(demand.gang) }
        if let most = demand.perOffer { perOffer = clamped(most) }
        if let most = demand.perAgent { perAgent = clamped(most) }
    }

    /// What is wrong with its numbers is the master's to say, in words; here they only have to fit.
    func model() throws(WireError) -> Demand {
        Demand(
            id: id, role: role, resources: try resources.model(),
            ports: try small(ports, "demand.ports"), count: try small(count, "demand.count"),
            constraints: try constraints.tryMap { group throws(WireError) in
                try group.attributeConstraints.tryMap { one throws(WireError) in
                    try one.model()
                }
            }, priority: try small(priority, "demand.priority"),
            gang: try small(gang, "demand.gang"),
            perOffer: hasPerOffer ? try small(perOffer, "demand.per_offer") : nil,
            perAgent: hasPerAgent ? try small(perAgent, "demand.per_agent") : nil)
    }
}

extension PBSchedulerCall.Demand {
    func model() throws(WireError) -> [ProfferModel.Demand] {
        try demands.tryMap { one throws(WireError) in try one.model() }
    }
}

extension PBSchedulerCall.AcceptTogether.Part {
    init(_ part: OfferAcceptance) {
        self.init()
        offerIds = part.offers.map { PBOfferID($0) }
        operations = part.operations.map { PBOffer.Operation($0) }
    }

    func model() throws(WireError) -> OfferAcceptance {
        OfferAcceptance(
            offers: offerIds.map { OfferID($0.value) },
            operations: try operations.tryMap { one throws(WireError) in try one.model() })
    }
}

extension PBSchedulerCall.Claim {
    init(_ claim: ProfferModel.Claim) {
        self.init()
        id = claim.id
        parts = claim.parts.map { part in
            var coded = Part()
            coded.agentID = PBAgentID(part.agentID)
            coded.role = part.role
            coded.resources = ProfferWire.coded(part.resources)
            coded.operations = part.operations.map { PBOffer.Operation($0) }
            return coded
        }
    }

    func model() throws(WireError) -> ProfferModel.Claim {
        ProfferModel.Claim(
            id: id,
            parts: try parts.tryMap { part throws(WireError) in
                ClaimPart(
                    agentID: AgentID(part.agentID.value), role: part.role,
                    resources: try ProfferWire.model(part.resources),
                    operations: try part.operations.tryMap { one throws(WireError) in
                        try one.model()
                    })
            })
    }
}

extension PBSchedulerCall {
    /// Sets one of the calls that Mesos does not have; `false` for another one.
    mutating func setOwn(_ call: SchedulerCall) -> Bool {
        switch call {
        case .demand(let demands):
            type = .demand
            demand.demands = demands.map { PBSchedulerDemand($0) }
        case .acceptTogether(let parts, let filters):
            type = .acceptTogether
            acceptTogether.parts = parts.map { .init($0) }
            if let filters { acceptTogether.filters = PBFilters(filters) }
        case .claim(let claim):
            type = .claim
            self.claim = .init(claim)
        case .watchCluster(let isWanted):
            type = .watchCluster
            watchCluster.enabled = isWanted
        default: return false
        }
        return true
    }

    /// One of the calls that Mesos does not have; `nil` for another one.
    func ownModel() throws(WireError) -> SchedulerCall? {
        switch type {
        case .demand:
            guard hasDemand else { throw .missing("demand") }
            return .demand(try demand.model())
        case .acceptTogether:
            guard hasAcceptTogether else { throw .missing("accept_together") }
            return .acceptTogether(
                try acceptTogether.parts.tryMap { one throws(WireError) in try one.model() },
                filters: acceptTogether.hasFilters ? acceptTogether.filters.model : nil)
        case .claim:
            guard hasClaim else { throw .missing("claim") }
            return .claim(try claim.model())
        case .watchCluster:
            guard hasWatchCluster else { throw .missing("watch_cluster") }
            return .watchCluster(watchCluster.enabled)
        default: return nil
        }
    }
}

extension PBSchedulerEvent.ClaimAnswer {
    init(_ id: String, _ outcome: ClaimOutcome) {
        self.init()
        self.id = id
        switch outcome {
        case .committed: committed = true
        case .conflict(let list):
            committed = false
            conflicts = list.map { conflict in
                var coded = Conflict()
                coded.agentID = PBAgentID(conflict.agentID)
                if let check = conflict.check { coded.check = PBPlacementCheck(check) }
                coded.message = conflict.message
                coded.available = ProfferWire.coded(conflict.available)
                return coded
            }
        }
    }

    func model() throws(WireError) -> ClaimOutcome {
        if committed { return .committed }
        return .conflict(
            try conflicts.tryMap { one throws(WireError) in
                ClaimConflict(
                    agentID: AgentID(one.agentID.value),
                    check: one.hasCheck ? one.check.model : nil, message: one.message,
                    available: try ProfferWire.model(one.available))
            })
    }
}

extension PBSchedulerEvent.ClusterState {
    init(_ state: ProfferModel.ClusterState) {
        self.init()
        serial = state.serial
        if state.isSnapshot { snapshot = true }
        if !state.isComplete { complete = false }
        agents = state.agents.map { agent in
            var coded = Agent()
            coded.agentID = PBAgentID(agent.id)
            coded.hostname = agent.hostname
            coded.attributes = agent.attributes.map { PBAttribute($0) }
            if let domain = agent.domain { coded.domain = PBDomainInfo(domain) }
            coded.free = ProfferWire.coded(agent.free)
            return coded
        }
        removed = state.removed.map { PBAgentID($0) }
    }

    func model() throws(WireError) -> ProfferModel.ClusterState {
        ProfferModel.ClusterState(
            serial: serial, isSnapshot: snapshot, isComplete: complete,
            agents: try agents.tryMap { one throws(WireError) in
                AgentView(
                    id: AgentID(one.agentID.value), hostname: one.hostname,
                    attributes: try one.attributes.tryMap { one throws(WireError) in
                        try one.model()
                    }, domain: one.domain.model, free: try ProfferWire.model(one.free))
            }, removed: removed.map { AgentID($0.value) })
    }
}

extension PBSchedulerEvent {
    /// Sets one of the events that Mesos does not have; `false` for another one.
    mutating func setOwn(_ event: SchedulerEvent) -> Bool {
        switch event {
        case .updateFrameworkAnswer(let problem):
            type = .updateFrameworkAnswer
            updateFrameworkAnswer = .init()
            if let problem { updateFrameworkAnswer.problem = problem }
        case .claimAnswer(let id, let outcome):
            type = .claimAnswer
            claimAnswer = .init(id, outcome)
        case .cluster(let state):
            type = .clusterState
            clusterState = .init(state)
        case .backedOff(let role, let declines, let pause):
            type = .backedOff
            backedOff.role = role
            backedOff.declines = clamped(declines)
            backedOff.pause = PBDurationInfo(pause)
        case .demandRefused(let problem):
            type = .demandRefused
            demandRefused.problem = problem
        case .updates(let statuses):
            type = .updates
            updates.statuses = statuses.map { PBTaskStatus($0) }
        default: return false
        }
        return true
    }

    /// One of the events that Mesos does not have; `nil` for another one.
    func ownModel() throws(WireError) -> SchedulerEvent? {
        switch type {
        case .updateFrameworkAnswer:
            return .updateFrameworkAnswer(
                problem: updateFrameworkAnswer.hasProblem ? updateFrameworkAnswer.problem : nil)
        case .claimAnswer:
            let answer = try body(claimAnswer, hasClaimAnswer, "claim_answer")
            return .claimAnswer(id: answer.id, try answer.model())
        case .clusterState:
            return .cluster(try body(clusterState, hasClusterState, "cluster_state").model())
        case .backedOff:
            let answer = try body(backedOff, hasBackedOff, "backed_off")
            return .backedOff(
                role: answer.role, declines: try smallCount(answer.declines, "backed_off.declines"),
                pause: answer.pause.model)
        case .demandRefused:
            return .demandRefused(
                problem: try body(demandRefused, hasDemandRefused, "demand_refused").problem)
        case .updates:
            return .updates(
                try body(updates, hasUpdates, "updates").statuses.tryMap {
                    one throws(WireError) in try one.model()
                })
        default: return nil
        }
    }
}
