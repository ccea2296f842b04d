internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension PBUnavailability {
    init(_ unavailability: ProfferModel.Unavailability) {
        self.init()
        start = PBTimeInfo(unavailability.start)
        if let duration = unavailability.duration { self.duration = PBDurationInfo(duration) }
    }

    var model: ProfferModel.Unavailability {
        ProfferModel.Unavailability(
            start: start.model, duration: hasDuration ? duration.model : nil)
    }
}

extension PBOffer {
    init(_ offer: Offer) {
        self.init()
        id = PBOfferID(offer.id)
        frameworkID = PBFrameworkID(offer.frameworkID)
        agentID = PBAgentID(offer.agentID)
        hostname = offer.hostname
        url.scheme = "http"
        url.address.hostname = offer.hostname
        url.address.port = Int32(clamping: offer.agentPort)
        if let domain = offer.domain { self.domain = PBDomainInfo(domain) }
        resources = coded(offer.resources, allocatedTo: offer.role)
        attributes = offer.attributes.map { PBAttribute($0) }
        executorIds = offer.executorIDs.map { PBExecutorID($0) }
        if let away = offer.unavailability { unavailability = PBUnavailability(away) }
        allocationInfo.role = offer.role
        if let id = offer.demandID { demandID = id }
        if offer.instances != 0 { instances = clamped(offer.instances) }
        if let gang = offer.gang { gangID = gang.value }
    }

    func model() throws(WireError) -> Offer {
        Offer(
            id: OfferID(id.value), frameworkID: FrameworkID(frameworkID.value),
            agentID: AgentID(agentID.value), hostname: hostname,
            agentPort: hasURL ? Int(url.address.port) : 5051, domain: domain.model,
            resources: try ProfferWire.model(resources),
            attributes: try attributes.tryMap { one throws(WireError) in try one.model() },
            executorIDs: executorIds.map { ExecutorID($0.value) },
            unavailability: hasUnavailability ? unavailability.model : nil,
            role: allocationInfo.hasRole ? allocationInfo.role : "*",
            demandID: hasDemandID ? demandID : nil,
            instances: try smallCount(instances, "offer.instances"),
            gang: hasGangID ? GangID(gangID) : nil)
    }
}

extension PBInverseOffer {
    init(_ offer: InverseOffer) {
        self.init()
        id = PBOfferID(offer.id)
        frameworkID = PBFrameworkID(offer.frameworkID)
        if let id = offer.agentID { agentID = PBAgentID(id) }
        unavailability = PBUnavailability(offer.unavailability)
        resources = coded(offer.resources)
        taskIds = offer.tasks.map { PBTaskID($0) }
    }

    func model() throws(WireError) -> InverseOffer {
        InverseOffer(
            id: OfferID(id.value), frameworkID: FrameworkID(frameworkID.value),
            agentID: hasAgentID ? AgentID(agentID.value) : nil,
            unavailability: unavailability.model, resources: try ProfferWire.model(resources),
            tasks: taskIds.map { TaskID($0.value) })
    }
}

extension PBFilters {
    init(_ filters: Filters) {
        self.init()
        if let refuse = filters.refuse { refuseSeconds = secondsValue(refuse) }
    }

    /// What cannot be read as a time counts as absent, as in Mesos.
    var model: Filters {
        Filters(
            refuse: hasRefuseSeconds
                ? try? duration(seconds: refuseSeconds, "refuse_seconds") : nil)
    }
}

extension PBOffer.Operation {
    init(_ operation: ProfferModel.Operation) {
        self.init()
        if let id = operation.id { self.id.value = id.value }
        switch operation.action {
        case .launch(let tasks):
            type = .launch
            launch.taskInfos = tasks.map { PBTaskInfo($0) }
        case .launchGroup(let executor, let tasks):
            type = .launchGroup
            launchGroup.executor = PBExecutorInfo(executor)
            launchGroup.taskGroup.tasks = tasks.map { PBTaskInfo($0) }
        case .reserve(let resources, let source):
            type = .reserve
            reserve.source = coded(source)
            reserve.resources = coded(resources)
        case .unreserve(let resources):
            type = .unreserve
            unreserve.resources = coded(resources)
        case .create(let volumes):
            type = .create
            create.volumes = coded(volumes)
        case .destroy(let volumes):
            type = .destroy
            destroy.volumes = coded(volumes)
        case .grow(let volume, let addition):
            type = .growVolume
            growVolume.volume = PBResource(volume)
            growVolume.addition = PBResource(addition)
        case .shrink(let volume, let subtraction):
            type = .shrinkVolume
            shrinkVolume.volume = PBResource(volume)
            shrinkVolume.subtract = PBValue.Scalar(subtraction)
        }
    }

    func model() throws(WireError) -> ProfferModel.Operation {
        let action: ProfferModel.Operation.Action =
            switch type {
            case .launch:
                .launch(
                    try launch.taskInfos.tryMap { one throws(WireError) in try one.model() })
            case .launchGroup:
                .launchGroup(
                    executor: try launchGroup.executor.model(),
                    tasks: try launchGroup.taskGroup.tasks.tryMap { one throws(WireError) in
                        try one.model()
                    })
            case .reserve:
                .reserve(
                    try ProfferWire.model(reserve.resources),
                    source: try ProfferWire.model(reserve.source))
            case .unreserve: .unreserve(try ProfferWire.model(unreserve.resources))
            case .create: .create(try ProfferWire.model(create.volumes))
            case .destroy: .destroy(try ProfferWire.model(destroy.volumes))
            case .growVolume:
                .grow(
                    volume: try growVolume.volume.model(),
                    addition: try growVolume.addition.model())
            case .shrinkVolume:
                .shrink(
                    volume: try shrinkVolume.volume.model(),
                    subtraction: try milli(shrinkVolume.subtract.value, "subtract"))
            case .unknown, .createDisk, .destroyDisk: throw .outOfRange("operation.type")
            }
        return ProfferModel.Operation(id: hasID ? OperationID(id.value) : nil, action: action)
    }
}

extension PBSchedulerOfferConstraints {
    init(_ constraints: [OfferConstraint]) {
        self.init()
        for constraint in constraints {
            var role = RoleConstraints()
            role.groups = constraint.groups.map { group in
                var coded = RoleConstraints.Group()
                coded.attributeConstraints = group.map { PBSchedulerAttributeConstraint($0) }
                return coded
            }
            roleConstraints[constraint.role] = role
        }
    }

    func model() throws(WireError) -> [OfferConstraint] {
        var result: [OfferConstraint] = []
        for role in roleConstraints.keys.sorted() {
            let groups = roleConstraints[role]?.groups ?? []
            result.append(
                OfferConstraint(
                    role: role,
                    groups: try groups.tryMap { group throws(WireError) in
                        try group.attributeConstraints.tryMap { one throws(WireError) in
                            try one.model()
                        }
                    }))
        }
        return result
    }
}

extension PBSchedulerAttributeConstraint {
    init(_ constraint: AttributeConstraint) {
        self.init()
        switch constraint.selector {
        case .hostname: selector.selector = .pseudoattributeType(.hostname)
        case .region: selector.selector = .pseudoattributeType(.region)
        case .zone: selector.selector = .pseudoattributeType(.zone)
        case .attribute(let name): selector.selector = .attributeName(name)
        }
        switch constraint.predicate {
        case .exists: predicate.predicate = .exists(.init())
        case .notExists: predicate.predicate = .notExists(.init())
        case .textEquals(let text):
            predicate.predicate = .textEquals(.init())
            predicate.textEquals.value = text
        case .textNotEquals(let text):
            predicate.predicate = .textNotEquals(.init())
            predicate.textNotEquals.value = text
        case .textMatches(let regex):
            predicate.predicate = .textMatches(.init())
            predicate.textMatches.regex = regex
        case .textNotMatches(let regex):
            predicate.predicate = .textNotMatches(.init())
            predicate.textNotMatches.regex = regex
        }
    }

    func model() throws(WireError) -> AttributeConstraint {
        let chosen: AttributeConstraint.Selector
        switch selector.selector {
        case .pseudoattributeType(.hostname): chosen = .hostname
        case .pseudoattributeType(.region): chosen = .region
        case .pseudoattributeType(.zone): chosen = .zone
        case .attributeName(let name): chosen = .attribute(name)
        case .pseudoattributeType(.unknown), nil: throw .missing("selector")
        }
        let wanted: AttributeConstraint.Predicate
        switch predicate.predicate {
        case .exists: wanted = .exists
        case .notExists: wanted = .notExists
        case .textEquals(let value): wanted = .textEquals(value.value)
        case .textNotEquals(let value): wanted = .textNotEquals(value.value)
        case .textMatches(let value): wanted = .textMatches(value.regex)
        case .textNotMatches(let value): wanted = .textNotMatches(value.regex)
        case nil: throw .missing("predicate")
        }
        return AttributeConstraint(selector: chosen, predicate: wanted)
    }
}

extension PBOperationStatus {
    init(_ status: OperationStatus) {
        self.init()
        if let id = status.operationID { operationID.value = id.value }
        state = PBOperationState(rawValue: status.state.rawValue) ?? .operationUnknown
        if let message = status.message { self.message = message }
        convertedResources = coded(status.convertedResources)
        if let uuid = status.uuid { self.uuid.value = Data(uuid.bytes) }
        if let id = status.agentID { agentID = PBAgentID(id) }
    }

    func model() throws(WireError) -> OperationStatus {
        OperationStatus(
            operationID: hasOperationID ? OperationID(operationID.value) : nil,
            state: OperationState(rawValue: state.rawValue) ?? .unknown,
            message: hasMessage ? message : nil,
            convertedResources: try ProfferWire.model(convertedResources),
            uuid: hasUuid ? try updateID(uuid.value, "uuid") : nil,
            agentID: hasAgentID ? AgentID(agentID.value) : nil)
    }
}
