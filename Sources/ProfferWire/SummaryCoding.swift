internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

/// A number of things, which cannot be negative.
func count(_ value: Int64, _ field: String) throws(WireError) -> Int {
    guard let count = Int(exactly: value), count >= 0 else { throw .outOfRange(field) }
    return count
}

extension PBAgentState {
    init(_ state: ProfferModel.AgentState) {
        self =
            switch state {
            case .active: .agentActive
            case .deactivated: .agentDeactivated
            case .disconnected: .agentDisconnected
            case .recovered: .agentRecovered
            case .unreachable: .agentUnreachable
            case .gone: .agentGone
            }
    }

    /// Nothing for a state that is not known here.
    var model: ProfferModel.AgentState? {
        switch self {
        case .agentUnknown: nil
        case .agentActive: .active
        case .agentDeactivated: .deactivated
        case .agentDisconnected: .disconnected
        case .agentRecovered: .recovered
        case .agentUnreachable: .unreachable
        case .agentGone: .gone
        }
    }
}

extension PBOperatorResponse.GetAgents.Agent {
    init(_ summary: AgentSummary) {
        self.init()
        agentInfo = PBAgentInfo(summary.info)
        set(summary.state)
        version = summary.version
        if let time = summary.registeredAt { registeredTime = PBTimeInfo(time) }
        totalResources = coded(summary.total)
        allocatedResources = coded(summary.allocated)
        offeredResources = coded(summary.offered)
        tasks = Int64(summary.tasks)
        if let usage = summary.usage { self.usage = PBAgentUsage(usage) }
        if let drain = summary.drain { drainInfo = PBDrainInfo(drain) }
        if let away = summary.unavailability { unavailability = PBUnavailability(away) }
        oversubscribedResources = coded(summary.oversubscribed)
    }

    /// The state in our words and in those of Mesos.
    mutating func set(_ state: ProfferModel.AgentState) {
        self.state = PBAgentState(state)
        active = state == .active
        if state == .deactivated { deactivated = true }
    }

    /// A peer that says nothing of ours means what Mesos' two flags say.
    var stateModel: ProfferModel.AgentState {
        state.model ?? (deactivated ? .deactivated : active ? .active : .disconnected)
    }

    func model() throws(WireError) -> AgentSummary {
        AgentSummary(
            info: try agentInfo.model(), state: stateModel,
            total: try ProfferWire.model(totalResources),
            allocated: try ProfferWire.model(allocatedResources),
            offered: try ProfferWire.model(offeredResources),
            oversubscribed: try ProfferWire.model(oversubscribedResources), version: version,
            registeredAt: hasRegisteredTime ? registeredTime.model : nil,
            tasks: try count(tasks, "agent.tasks"), usage: hasUsage ? usage.model : nil,
            drain: hasDrainInfo ? drainInfo.model : nil,
            unavailability: hasUnavailability ? unavailability.model : nil)
    }
}

extension PBOperatorResponse.GetAgents {
    func model() throws(WireError) -> [AgentSummary] {
        let known = try agents.tryMap { one throws(WireError) in try one.model() }
        let recovered = try recoveredAgents.tryMap { one throws(WireError) in
            AgentSummary(info: try one.model(), state: .recovered)
        }
        return known + recovered
    }
}

extension PBOperatorResponse.GetFrameworks.Framework {
    init(_ summary: FrameworkSummary) {
        self.init()
        frameworkInfo = PBFrameworkInfo(summary.info)
        active = summary.isActive
        connected = summary.isConnected
        recovered = !summary.isConnected && !summary.isRemoved && summary.subscribedAt == nil
        if let time = summary.subscribedAt { registeredTime = PBTimeInfo(time) }
        allocatedResources = coded(summary.allocated)
        offeredResources = coded(summary.offered)
        suppressedRoles = summary.suppressedRoles
        tasks = Int64(summary.tasks)
        offersOutstanding = Int64(summary.offers)
        shareMillionths = summary.shareMillionths
    }

    /// Mesos keeps the first time and the newest one apart.
    private var newestTime: WallTime? {
        if hasReregisteredTime { return reregisteredTime.model }
        return hasRegisteredTime ? registeredTime.model : nil
    }

    func model(isRemoved: Bool) throws(WireError) -> FrameworkSummary {
        FrameworkSummary(
            info: try frameworkInfo.model(), isConnected: connected, isActive: active,
            isRemoved: isRemoved,
            subscribedAt: newestTime,
            suppressedRoles: suppressedRoles,
            allocated: try ProfferWire.model(allocatedResources),
            offered: try ProfferWire.model(offeredResources),
            tasks: try count(tasks, "framework.tasks"),
            offers: try count(offersOutstanding, "framework.offers_outstanding"),
            shareMillionths: shareMillionths)
    }
}

extension PBOperatorResponse.GetFrameworks {
    init(_ summaries: [FrameworkSummary]) {
        self.init()
        frameworks = summaries.filter { !$0.isRemoved }.map { Framework($0) }
        completedFrameworks = summaries.filter(\.isRemoved).map { Framework($0) }
    }

    func model() throws(WireError) -> [FrameworkSummary] {
        let live = try frameworks.tryMap { one throws(WireError) in
            try one.model(isRemoved: false)
        }
        let removed = try completedFrameworks.tryMap { one throws(WireError) in
            try one.model(isRemoved: true)
        }
        return live + removed
    }
}

extension PBRole {
    init(_ summary: RoleSummary) {
        self.init()
        name = summary.name
        weight = Milli(thousandths: summary.weightThousandths).doubleValue
        frameworks = summary.frameworks.map { PBFrameworkID($0) }
        resources = coded(summary.allocated)
        shareMillionths = summary.shareMillionths
        if let limit = summary.priorityLimit { priorityLimit = clamped(limit) }
    }

    func model() throws(WireError) -> RoleSummary {
        RoleSummary(
            name: name,
            weightThousandths: try milli(weight, "weight of \(shown(name))").thousandths,
            frameworks: frameworks.map { FrameworkID($0.value) },
            allocated: try ProfferWire.model(resources), shareMillionths: shareMillionths,
            priorityLimit: hasPriorityLimit ? try small(priorityLimit, "priority_limit") : nil)
    }
}

extension PBTask {
    init(_ summary: TaskSummary) {
        self.init()
        name = summary.name
        taskID = PBTaskID(summary.key.task)
        frameworkID = PBFrameworkID(summary.key.framework)
        if let id = summary.executorID { executorID = PBExecutorID(id) }
        agentID = PBAgentID(summary.agentID ?? "")
        state = coded(summary.state)
        resources = coded(summary.resources, allocatedTo: summary.role)
        if let status = summary.lastStatus { statuses = [PBTaskStatus(status)] }
        if !summary.labels.isEmpty { labels = PBLabels(summary.labels) }
        if let discovery = summary.discovery { self.discovery = PBDiscoveryInfo(discovery) }
        role = summary.role
        if let hostname = summary.hostname { self.hostname = hostname }
        if let time = summary.startedAt { startTime = PBTimeInfo(time) }
    }

    var key: TaskKey { TaskKey(FrameworkID(frameworkID.value), TaskID(taskID.value)) }

    var agentModel: AgentID? { agentID.value.isEmpty ? nil : AgentID(agentID.value) }

    func model() throws(WireError) -> TaskSummary {
        TaskSummary(
            key: key, name: name,
            role: hasRole ? role : resources.first?.allocationInfo.role ?? "*",
            agentID: agentModel, hostname: hasHostname ? hostname : nil,
            executorID: hasExecutorID ? ExecutorID(executorID.value) : nil,
            state: ProfferWire.model(state), resources: try ProfferWire.model(resources),
            labels: labels.model, discovery: hasDiscovery ? discovery.model : nil,
            lastStatus: try statuses.last.map { status throws(WireError) in try status.model() },
            startedAt: hasStartTime ? startTime.model : nil)
    }
}

extension PBOperatorResponse.GetTasks {
    init(_ summaries: [TaskSummary]) {
        self.init()
        for summary in summaries {
            if summary.state == .unreachable {
                unreachableTasks.append(PBTask(summary))
            } else if summary.state.isTerminal {
                completedTasks.append(PBTask(summary))
            } else {
                tasks.append(PBTask(summary))
            }
        }
    }

    func model() throws(WireError) -> [TaskSummary] {
        try (tasks + unreachableTasks + completedTasks).tryMap { one throws(WireError) in
            try one.model()
        }
    }
}

extension PBOperatorResponse.GetOffers.Outstanding {
    init(_ summary: OfferSummary) {
        self.init()
        offer = PBOffer(summary.offer)
        age = PBDurationInfo(summary.age)
    }

    func model() throws(WireError) -> OfferSummary {
        OfferSummary(offer: try offer.model(), age: age.model)
    }
}

extension PBOperatorResponse.GetInverseOffers.Outstanding {
    init(_ summary: InverseOfferSummary) {
        self.init()
        inverseOffer = PBInverseOffer(summary.inverseOffer)
        age = PBDurationInfo(summary.age)
        reason = summary.reason
        switch summary.response {
        case .accepted(let time):
            accepted = true
            answered = PBTimeInfo(time)
        case .declined(let time):
            accepted = false
            answered = PBTimeInfo(time)
        case nil: break
        }
    }

    func model() throws(WireError) -> InverseOfferSummary {
        var response: InverseOfferResponse?
        if hasAccepted {
            response =
                accepted ? .accepted(at: answered.model) : .declined(at: answered.model)
        }
        return InverseOfferSummary(
            inverseOffer: try inverseOffer.model(), age: age.model, reason: reason,
            response: response)
    }
}

extension PBWhitelist {
    init(_ hosts: [String]) {
        self.init()
        hostnames = hosts
    }
}

extension PBOperatorResponse.GetSummary {
    init(_ summary: ClusterSummary) {
        self.init()
        masterInfo = PBMasterInfo(summary.master)
        startTime = PBTimeInfo(summary.startedAt)
        agents = summary.agents.map { PBAgentState($0) }
        frameworksConnected = Int64(summary.frameworksConnected)
        frameworksDisconnected = Int64(summary.frameworksDisconnected)
        offersOutstanding = Int64(summary.offersOutstanding)
        tasks = summary.tasks.map { coded($0) }
        totalResources = coded(summary.total)
        allocatedResources = coded(summary.allocated)
        offeredResources = coded(summary.offered)
        oversubscribedResources = coded(summary.oversubscribed)
        usedResources = coded(summary.used)
    }

    func model() throws(WireError) -> ClusterSummary {
        ClusterSummary(
            master: masterInfo.model, startedAt: startTime.model,
            agents: try agents.tryMap { one throws(WireError) in
                guard let state = one.model else { throw .outOfRange("summary.agents") }
                return state
            },
            frameworksConnected: try count(frameworksConnected, "frameworks_connected"),
            frameworksDisconnected: try count(frameworksDisconnected, "frameworks_disconnected"),
            offersOutstanding: try count(offersOutstanding, "offers_outstanding"),
            tasks: tasks.map { ProfferWire.model($0) },
            total: try ProfferWire.model(totalResources),
            allocated: try ProfferWire.model(allocatedResources),
            offered: try ProfferWire.model(offeredResources),
            oversubscribed: try ProfferWire.model(oversubscribedResources),
            used: try ProfferWire.model(usedResources))
    }
}
