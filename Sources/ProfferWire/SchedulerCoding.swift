internal import ProfferKernel
public import ProfferModel
internal import ProfferSchema

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Bytes of the protocols, for messages of the model.
///
/// Decoders refuse, they never trap.
public enum WireCodec {}

extension WireCodec {
    /// The bytes of what a framework says.
    public static func encode(_ call: FrameworkCall) -> [UInt8] {
        QuickWriter.bytes(of: call) ?? encodeGenerally(call)
    }

    static func encodeGenerally(_ call: FrameworkCall) -> [UInt8] {
        var coded = PBSchedulerCall()
        if let id = call.frameworkID { coded.frameworkID = PBFrameworkID(id) }
        fill(&coded, call.call)
        return bytes(coded)
    }

    private static func fill(_ coded: inout PBSchedulerCall, _ call: SchedulerCall) {
        switch call {
        case .subscribe(let subscription):
            coded.type = .subscribe
            coded.subscribe.frameworkInfo = PBFrameworkInfo(subscription.framework)
            coded.subscribe.suppressedRoles = subscription.suppressedRoles
            if !subscription.constraints.isEmpty {
                coded.subscribe.offerConstraints = .init(subscription.constraints)
            }
            if let demands = subscription.demands {
                coded.subscribe.demand = .init()
                coded.subscribe.demand.demands = demands.map { PBSchedulerDemand($0) }
            }
            if subscription.takesBatches { coded.subscribe.takesBatches = true }
        case .updateFramework(let subscription):
            coded.type = .updateFramework
            coded.updateFramework.frameworkInfo = PBFrameworkInfo(subscription.framework)
            coded.updateFramework.suppressedRoles = subscription.suppressedRoles
            if !subscription.constraints.isEmpty {
                coded.updateFramework.offerConstraints = .init(subscription.constraints)
            }
        case .teardown: coded.type = .teardown
        case .accept(let offers, let operations, let filters):
            coded.type = .accept
            coded.accept.offerIds = offers.map { PBOfferID($0) }
            coded.accept.operations = operations.map { PBOffer.Operation($0) }
            if let filters { coded.accept.filters = PBFilters(filters) }
        case .decline(let offers, let filters):
            coded.type = .decline
            coded.decline.offerIds = offers.map { PBOfferID($0) }
            if let filters { coded.decline.filters = PBFilters(filters) }
        case .acceptInverseOffers(let offers, let filters):
            coded.type = .acceptInverseOffers
            coded.acceptInverseOffers.inverseOfferIds = offers.map { PBOfferID($0) }
            if let filters { coded.acceptInverseOffers.filters = PBFilters(filters) }
        case .declineInverseOffers(let offers, let filters):
            coded.type = .declineInverseOffers
            coded.declineInverseOffers.inverseOfferIds = offers.map { PBOfferID($0) }
            if let filters { coded.declineInverseOffers.filters = PBFilters(filters) }
        case .revive, .suppress, .kill, .shutdown, .acknowledge, .reconcile, .message, .request,
            .acknowledgeOperation, .reconcileOperations:
            fillRest(&coded, call)
        case .demand, .acceptTogether, .claim, .watchCluster: _ = coded.setOwn(call)
        }
    }

    private static func fillRest(_ coded: inout PBSchedulerCall, _ call: SchedulerCall) {
        switch call {
        case .revive(let roles):
            coded.type = .revive
            coded.revive.roles = roles
        case .suppress(let roles):
            coded.type = .suppress
            coded.suppress.roles = roles
        case .kill(let task, let agent, let policy):
            coded.type = .kill
            coded.kill.taskID = PBTaskID(task)
            if let agent { coded.kill.agentID = PBAgentID(agent) }
            if let policy { coded.kill.killPolicy = PBKillPolicy(policy) }
        case .shutdown(let executor, let agent):
            coded.type = .shutdown
            coded.shutdown.executorID = PBExecutorID(executor)
            coded.shutdown.agentID = PBAgentID(agent)
        case .acknowledge(let task, let agent, let uuid):
            coded.type = .acknowledge
            coded.acknowledge.taskID = PBTaskID(task)
            coded.acknowledge.agentID = PBAgentID(agent)
            coded.acknowledge.uuid = Data(uuid.bytes)
        case .reconcile(let tasks):
            coded.type = .reconcile
            coded.reconcile.tasks = tasks.map { task in
                var one = PBSchedulerCall.Reconcile.Task()
                one.taskID = PBTaskID(task.taskID)
                if let agent = task.agentID { one.agentID = PBAgentID(agent) }
                return one
            }
        case .message(let agent, let executor, let data):
            coded.type = .message
            coded.message.agentID = PBAgentID(agent)
            coded.message.executorID = PBExecutorID(executor)
            coded.message.data = Data(data)
        case .request(let requests):
            coded.type = .request
            coded.request.requests = requests.map { request in
                var one = PBRequest()
                if let agent = request.agentID { one.agentID = PBAgentID(agent) }
                one.resources = ProfferWire.coded(request.resources)
                return one
            }
        case .acknowledgeOperation(let operation, let agent, let uuid):
            coded.type = .acknowledgeOperationStatus
            coded.acknowledgeOperationStatus.operationID.value = operation.value
            if let agent { coded.acknowledgeOperationStatus.agentID = PBAgentID(agent) }
            coded.acknowledgeOperationStatus.uuid = Data(uuid.bytes)
        case .reconcileOperations(let operations):
            coded.type = .reconcileOperations
            coded.reconcileOperations.operations = operations.map { operation in
                var one = PBSchedulerCall.ReconcileOperations.Operation()
                one.operationID.value = operation.operationID.value
                if let agent = operation.agentID { one.agentID = PBAgentID(agent) }
                return one
            }
        case .subscribe, .teardown, .accept, .decline, .acceptInverseOffers,
            .declineInverseOffers, .updateFramework, .demand, .acceptTogether, .claim,
            .watchCluster:
            break
        }
    }

    /// What a framework says in these bytes.
    public static func decodeFrameworkCall(_ data: [UInt8]) throws(WireError) -> FrameworkCall {
        if let known = QuickReader.frameworkCall(data) { return known }
        return try decodeFrameworkCallGenerally(data)
    }

    static func decodeFrameworkCallGenerally(
        _ data: [UInt8]
    ) throws(WireError) -> FrameworkCall {
        let coded = try parse(PBSchedulerCall.self, data, "scheduler call")
        return FrameworkCall(
            frameworkID: coded.hasFrameworkID ? FrameworkID(coded.frameworkID.value) : nil,
            call: try call(coded))
    }

    private static func call(_ coded: PBSchedulerCall) throws(WireError) -> SchedulerCall {
        switch coded.type {
        case .subscribe:
            guard coded.hasSubscribe else { throw .missing("subscribe") }
            return .subscribe(
                Subscription(
                    framework: try coded.subscribe.frameworkInfo.model(),
                    suppressedRoles: coded.subscribe.suppressedRoles,
                    constraints: try coded.subscribe.offerConstraints.model(),
                    demands: coded.subscribe.hasDemand
                        ? try coded.subscribe.demand.model() : nil,
                    takesBatches: coded.subscribe.takesBatches))
        case .updateFramework:
            guard coded.hasUpdateFramework else { throw .missing("update_framework") }
            return .updateFramework(
                Subscription(
                    framework: try coded.updateFramework.frameworkInfo.model(),
                    suppressedRoles: coded.updateFramework.suppressedRoles,
                    constraints: try coded.updateFramework.offerConstraints.model()))
        case .teardown: return .teardown
        case .accept:
            guard coded.hasAccept else { throw .missing("accept") }
            return .accept(
                offers: offers(coded.accept.offerIds),
                operations: try coded.accept.operations.tryMap { one throws(WireError) in
                    try one.model()
                },
                filters: coded.accept.hasFilters ? coded.accept.filters.model : nil)
        case .decline:
            guard coded.hasDecline else { throw .missing("decline") }
            return .decline(
                offers: offers(coded.decline.offerIds),
                filters: coded.decline.hasFilters ? coded.decline.filters.model : nil)
        case .acceptInverseOffers:
            return .acceptInverseOffers(
                offers(coded.acceptInverseOffers.inverseOfferIds),
                filters: coded.acceptInverseOffers.hasFilters
                    ? coded.acceptInverseOffers.filters.model : nil)
        case .declineInverseOffers:
            return .declineInverseOffers(
                offers(coded.declineInverseOffers.inverseOfferIds),
                filters: coded.declineInverseOffers.hasFilters
                    ? coded.declineInverseOffers.filters.model : nil)
        case .revive: return .revive(roles: coded.revive.roles)
        case .suppress: return .suppress(roles: coded.suppress.roles)
        case .kill, .shutdown, .acknowledge, .reconcile, .message, .request,
            .acknowledgeOperationStatus, .reconcileOperations, .demand, .acceptTogether, .claim,
            .watchCluster, .unknown:
            return try restOfCall(coded)
        }
    }

    private static func restOfCall(_ coded: PBSchedulerCall) throws(WireError) -> SchedulerCall {
        switch coded.type {
        case .kill:
            guard coded.hasKill else { throw .missing("kill") }
            return .kill(
                TaskID(coded.kill.taskID.value),
                agent: coded.kill.hasAgentID ? AgentID(coded.kill.agentID.value) : nil,
                policy: coded.kill.hasKillPolicy ? coded.kill.killPolicy.model : nil)
        case .shutdown:
            guard coded.hasShutdown else { throw .missing("shutdown") }
            return .shutdown(
                ExecutorID(coded.shutdown.executorID.value),
                agent: AgentID(coded.shutdown.agentID.value))
        case .acknowledge:
            guard coded.hasAcknowledge else { throw .missing("acknowledge") }
            return .acknowledge(
                TaskID(coded.acknowledge.taskID.value),
                agent: AgentID(coded.acknowledge.agentID.value),
                uuid: try updateID(coded.acknowledge.uuid, "acknowledge.uuid"))
        case .reconcile:
            return .reconcile(
                coded.reconcile.tasks.map {
                    ReconcileTask(
                        taskID: TaskID($0.taskID.value),
                        agentID: $0.hasAgentID ? AgentID($0.agentID.value) : nil)
                })
        case .message:
            guard coded.hasMessage else { throw .missing("message") }
            return .message(
                agent: AgentID(coded.message.agentID.value),
                executor: ExecutorID(coded.message.executorID.value),
                data: [UInt8](coded.message.data))
        case .request:
            return .request(
                try coded.request.requests.tryMap { one throws(WireError) in
                    ResourceRequest(
                        agentID: one.hasAgentID ? AgentID(one.agentID.value) : nil,
                        resources: try model(one.resources))
                })
        case .acknowledgeOperationStatus:
            let body = coded.acknowledgeOperationStatus
            return .acknowledgeOperation(
                OperationID(body.operationID.value),
                agent: body.hasAgentID ? AgentID(body.agentID.value) : nil,
                uuid: try updateID(body.uuid, "acknowledge_operation_status.uuid"))
        case .reconcileOperations:
            return .reconcileOperations(
                coded.reconcileOperations.operations.map {
                    ReconcileOperation(
                        operationID: OperationID($0.operationID.value),
                        agentID: $0.hasAgentID ? AgentID($0.agentID.value) : nil)
                })
        case .demand, .acceptTogether, .claim, .watchCluster:
            guard let call = try coded.ownModel() else { throw .missing("type") }
            return call
        case .unknown, .subscribe, .teardown, .accept, .decline, .acceptInverseOffers,
            .declineInverseOffers, .revive, .suppress, .updateFramework:
            throw .missing("type")
        }
    }

    private static func offers(_ ids: [PBOfferID]) -> [OfferID] { ids.map { OfferID($0.value) } }

    /// The bytes of what the master says to a framework.
    public static func encode(_ event: SchedulerEvent) -> [UInt8] {
        QuickWriter.bytes(of: event) ?? encodeGenerally(event)
    }

    static func encodeGenerally(_ event: SchedulerEvent) -> [UInt8] {
        var coded = PBSchedulerEvent()
        switch event {
        case .subscribed(let id, let interval, let master):
            coded.type = .subscribed
            coded.subscribed.frameworkID = PBFrameworkID(id)
            coded.subscribed.heartbeatIntervalSeconds = secondsValue(interval)
            coded.subscribed.masterInfo = PBMasterInfo(master)
        case .offers(let offers):
            coded.type = .offers
            coded.offers.offers = offers.map { PBOffer($0) }
        case .inverseOffers(let offers):
            coded.type = .inverseOffers
            coded.inverseOffers.inverseOffers = offers.map { PBInverseOffer($0) }
        case .rescind(let id):
            coded.type = .rescind
            coded.rescind.offerID = PBOfferID(id)
        case .rescindInverseOffer(let id):
            coded.type = .rescindInverseOffer
            coded.rescindInverseOffer.inverseOfferID = PBOfferID(id)
        case .update(let status):
            coded.type = .update
            coded.update.status = PBTaskStatus(status)
        case .updateOperation(let status):
            coded.type = .updateOperationStatus
            coded.updateOperationStatus.status = PBOperationStatus(status)
        case .message(let agent, let executor, let data):
            coded.type = .message
            coded.message.agentID = PBAgentID(agent)
            coded.message.executorID = PBExecutorID(executor)
            coded.message.data = Data(data)
        case .failure(let agent, let executor, let status):
            coded.type = .failure
            coded.failure = PBSchedulerEvent.Failure()
            if let agent { coded.failure.agentID = PBAgentID(agent) }
            if let executor { coded.failure.executorID = PBExecutorID(executor) }
            if let status { coded.failure.status = Int32(clamping: status) }
        case .error(let message):
            coded.type = .error
            coded.error.message = message
        case .heartbeat: coded.type = .heartbeat
        case .updateFrameworkAnswer, .claimAnswer, .cluster, .backedOff, .demandRefused,
            .updates:
            _ = coded.setOwn(event)
        }
        return bytes(coded)
    }

    /// What the master says to a framework in these bytes; `nil` for a kind that is not known
    /// here, which clients must ignore.
    public static func decodeSchedulerEvent(
        _ data: [UInt8]
    ) throws(WireError) -> SchedulerEvent? {
        if let known = QuickReader.schedulerEvent(data) { return known }
        return try decodeSchedulerEventGenerally(data)
    }

    static func decodeSchedulerEventGenerally(
        _ data: [UInt8]
    ) throws(WireError) -> SchedulerEvent? {
        let coded = try parse(
            PBSchedulerEvent.self, data, limit: WireLimits.state, "scheduler event")
        switch coded.type {
        case .subscribed:
            let subscribed = try body(coded.subscribed, coded.hasSubscribed, "subscribed")
            return .subscribed(
                FrameworkID(subscribed.frameworkID.value),
                heartbeatInterval: try duration(
                    seconds: subscribed.heartbeatIntervalSeconds, "heartbeat"),
                master: subscribed.masterInfo.model)
        case .offers:
            return .offers(
                try coded.offers.offers.tryMap { one throws(WireError) in try one.model() })
        case .inverseOffers:
            return .inverseOffers(
                try coded.inverseOffers.inverseOffers.tryMap { one throws(WireError) in
                    try one.model()
                })
        case .rescind:
            let rescind = try body(coded.rescind, coded.hasRescind, "rescind")
            return .rescind(OfferID(rescind.offerID.value))
        case .rescindInverseOffer:
            let rescind = try body(
                coded.rescindInverseOffer, coded.hasRescindInverseOffer, "rescind_inverse_offer")
            return .rescindInverseOffer(OfferID(rescind.inverseOfferID.value))
        case .update:
            return .update(try body(coded.update, coded.hasUpdate, "update").status.model())
        case .updateOperationStatus:
            let update = try body(
                coded.updateOperationStatus, coded.hasUpdateOperationStatus,
                "update_operation_status")
            return .updateOperation(try update.status.model())
        case .message:
            let message = try body(coded.message, coded.hasMessage, "message")
            return .message(
                agent: AgentID(message.agentID.value),
                executor: ExecutorID(message.executorID.value), data: [UInt8](message.data))
        case .failure:
            let body = coded.failure
            return .failure(
                agent: body.hasAgentID ? AgentID(body.agentID.value) : nil,
                executor: body.hasExecutorID ? ExecutorID(body.executorID.value) : nil,
                status: body.hasStatus ? Int(body.status) : nil)
        case .updateFrameworkAnswer, .claimAnswer, .clusterState, .backedOff,
            .demandRefused, .updates:
            return try coded.ownModel()
        case .error: return .error(coded.error.message)
        case .heartbeat: return .heartbeat
        case .unknown: return nil
        }
    }
}
