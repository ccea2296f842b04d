internal import ProfferKernel
public import ProfferModel
internal import ProfferSchema

extension PBOperatorEvent.OfferRemoved.End {
    init(_ end: OfferEnd) {
        self =
            switch end {
            case .accepted: .accepted
            case .declined: .declined
            case .rescinded: .rescinded
            case .timedOut: .timedOut
            case .discarded: .discarded
            }
    }

    func model() throws(WireError) -> OfferEnd {
        switch self {
        case .accepted: .accepted
        case .declined: .declined
        case .rescinded: .rescinded
        case .timedOut: .timedOut
        case .discarded: .discarded
        case .unknown: throw .outOfRange("offer_removed.end")
        }
    }
}

extension PBOperatorEvent {
    /// An agent out of reach is one that Mesos has removed; every other state is one it has.
    fileprivate mutating func set(
        agent id: AgentID, _ hostname: String, _ state: ProfferModel.AgentState
    ) {
        switch state {
        case .unreachable, .gone:
            type = .agentRemoved
            agentRemoved.agentID = PBAgentID(id)
            agentRemoved.hostname = hostname
            agentRemoved.state = PBAgentState(state)
        case .active, .deactivated, .disconnected, .recovered:
            type = .agentAdded
            var agent = PBOperatorResponse.GetAgents.Agent()
            agent.agentInfo.id = PBAgentID(id)
            agent.agentInfo.hostname = hostname
            agent.version = ""
            agent.set(state)
            agentAdded.agent = agent
        }
    }

    fileprivate mutating func set(
        framework id: FrameworkID, _ name: String, isConnected: Bool, isRemoved: Bool
    ) {
        var info = PBFrameworkInfo()
        info.id = PBFrameworkID(id)
        info.user = ""
        info.name = name
        if isRemoved {
            type = .frameworkRemoved
            frameworkRemoved.frameworkInfo = info
            frameworkRemoved.connected = isConnected
            return
        }
        var framework = PBOperatorResponse.GetFrameworks.Framework()
        framework.frameworkInfo = info
        framework.active = isConnected
        framework.connected = isConnected
        framework.recovered = false
        if isConnected {
            type = .frameworkAdded
            frameworkAdded.framework = framework
        } else {
            type = .frameworkUpdated
            frameworkUpdated.framework = framework
        }
    }

    fileprivate mutating func set(
        task key: TaskKey, _ name: String, _ agent: AgentID?, _ state: TaskState,
        _ message: String?
    ) {
        let status = TaskStatus(taskID: key.task, state: state, message: message, agentID: agent)
        guard state != .staging else {
            type = .taskAdded
            var task = PBTask()
            task.name = name
            task.taskID = PBTaskID(key.task)
            task.frameworkID = PBFrameworkID(key.framework)
            task.agentID = PBAgentID(agent ?? "")
            task.state = coded(state)
            if message != nil { task.statuses = [PBTaskStatus(status)] }
            taskAdded.task = task
            return
        }
        type = .taskUpdated
        taskUpdated.frameworkID = PBFrameworkID(key.framework)
        taskUpdated.status = PBTaskStatus(status)
        taskUpdated.state = coded(state)
        taskUpdated.name = name
    }
}

extension PBOperatorResponse.GetFrameworks.Framework {
    fileprivate var event: ClusterEvent {
        .framework(
            FrameworkID(frameworkInfo.id.value), name: frameworkInfo.name,
            isConnected: connected, isRemoved: false)
    }
}

extension WireCodec {
    /// The bytes of something that happened in the cluster.
    public static func encode(_ event: ClusterEvent) -> [UInt8] {
        var coded = PBOperatorEvent()
        switch event {
        case .agent(let id, let hostname, let state): coded.set(agent: id, hostname, state)
        case .framework(let id, let name, let isConnected, let isRemoved):
            coded.set(framework: id, name, isConnected: isConnected, isRemoved: isRemoved)
        case .task(let key, let name, let agent, let state, let message):
            coded.set(task: key, name, agent, state, message)
        case .offered(let offer, let framework, let agent, let resources):
            coded.type = .offerAdded
            coded.offerAdded.offerID = PBOfferID(offer)
            coded.offerAdded.frameworkID = PBFrameworkID(framework)
            coded.offerAdded.agentID = PBAgentID(agent)
            coded.offerAdded.resources = ProfferWire.coded(resources)
        case .offerEnded(let offer, let end):
            coded.type = .offerRemoved
            coded.offerRemoved.offerID = PBOfferID(offer)
            coded.offerRemoved.end = .init(end)
        }
        return bytes(coded)
    }

    /// Something that happened in the cluster; `nil` for a kind that is not known here, which
    /// clients must ignore.
    public static func decodeClusterEvent(_ data: [UInt8]) throws(WireError) -> ClusterEvent? {
        let coded = try parse(PBOperatorEvent.self, data, "operator event")
        switch coded.type {
        case .agentAdded:
            let agent = try body(coded.agentAdded, coded.hasAgentAdded, "agent_added").agent
            return .agent(
                AgentID(agent.agentInfo.id.value), hostname: agent.agentInfo.hostname,
                agent.stateModel)
        case .agentRemoved:
            let removed = try body(coded.agentRemoved, coded.hasAgentRemoved, "agent_removed")
            return .agent(
                AgentID(removed.agentID.value), hostname: removed.hostname,
                removed.state.model ?? .gone)
        case .frameworkAdded:
            return try body(
                coded.frameworkAdded, coded.hasFrameworkAdded, "framework_added"
            ).framework.event
        case .frameworkUpdated:
            return try body(
                coded.frameworkUpdated, coded.hasFrameworkUpdated, "framework_updated"
            ).framework.event
        case .frameworkRemoved:
            let removed = try body(
                coded.frameworkRemoved, coded.hasFrameworkRemoved, "framework_removed")
            return .framework(
                FrameworkID(removed.frameworkInfo.id.value), name: removed.frameworkInfo.name,
                isConnected: removed.connected, isRemoved: true)
        case .taskAdded:
            let task = try body(coded.taskAdded, coded.hasTaskAdded, "task_added").task
            let message = task.statuses.last.flatMap { $0.hasMessage ? $0.message : nil }
            return .task(
                task.key, name: task.name, agent: task.agentModel, model(task.state),
                message: message)
        case .taskUpdated:
            let update = try body(coded.taskUpdated, coded.hasTaskUpdated, "task_updated")
            let status = update.status
            return .task(
                TaskKey(FrameworkID(update.frameworkID.value), TaskID(status.taskID.value)),
                name: update.name, agent: status.hasAgentID ? AgentID(status.agentID.value) : nil,
                model(update.state), message: status.hasMessage ? status.message : nil)
        case .offerAdded:
            let added = try body(coded.offerAdded, coded.hasOfferAdded, "offer_added")
            return .offered(
                OfferID(added.offerID.value), FrameworkID(added.frameworkID.value),
                AgentID(added.agentID.value), try model(added.resources))
        case .offerRemoved:
            let removed = try body(coded.offerRemoved, coded.hasOfferRemoved, "offer_removed")
            return .offerEnded(OfferID(removed.offerID.value), try removed.end.model())
        case .unknown: return nil
        }
    }
}
