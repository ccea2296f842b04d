internal import ProfferKernel
public import ProfferModel
internal import ProfferSchema

extension WireCodec {
    /// The bytes of what an operator asks or orders.
    public static func encode(_ call: OperatorCall) -> [UInt8] {
        var coded = PBOperatorCall()
        switch call {
        case .agents: coded.type = .getAgents
        case .frameworks: coded.type = .getFrameworks
        case .roles: coded.type = .getRoles
        case .offers: coded.type = .getOffers
        case .tasks(let framework):
            coded.type = .getTasks
            if let framework { coded.getTasks.frameworkID = PBFrameworkID(framework) }
        case .summary: coded.type = .getSummary
        case .kill(let key):
            coded.type = .killTask
            coded.killTask = PBTaskKey(key)
        case .teardown(let id):
            coded.type = .teardown
            coded.teardown.frameworkID = PBFrameworkID(id)
        case .setWeight(let role, let thousandths):
            coded.type = .updateWeights
            var weight = PBWeightInfo()
            weight.role = role
            weight.weight = Milli(thousandths: thousandths).doubleValue
            coded.updateWeights.weightInfos = [weight]
        case .quotas: coded.type = .getQuota
        case .setQuotas(let quotas, let isForced):
            coded.type = .updateQuota
            coded.updateQuota.quotaConfigs = quotas.map { PBQuotaConfig($0) }
            if isForced { coded.updateQuota.force = true }
        case .why(let question):
            coded.type = .why
            coded.why = .init(question)
        case .whyFramework(let id):
            coded.type = .whyFramework
            coded.whyFramework.frameworkID = PBFrameworkID(id)
        case .inverseOffers: coded.type = .getInverseOffers
        case .reserve(let agent, let resources, let source):
            coded.type = .reserveResources
            coded.reserveResources.agentID = PBAgentID(agent)
            coded.reserveResources.resources = ProfferWire.coded(resources)
            coded.reserveResources.source = ProfferWire.coded(source)
        case .unreserve(let agent, let resources):
            coded.type = .unreserveResources
            coded.unreserveResources.agentID = PBAgentID(agent)
            coded.unreserveResources.resources = ProfferWire.coded(resources)
        case .whitelist: coded.type = .getWhitelist
        case .setWhitelist(let hosts):
            coded.type = .updateWhitelist
            coded.updateWhitelist = .init()
            if let hosts { coded.updateWhitelist.whitelist = PBWhitelist(hosts) }
        case .setPriorityLimit(let role, let limit):
            coded.type = .updatePriorityLimit
            coded.updatePriorityLimit.role = role
            if let limit { coded.updatePriorityLimit.priorityLimit = clamped(limit) }
        case .markAgentGone, .drainAgent, .deactivateAgent, .reactivateAgent,
            .maintenanceStatus, .maintenanceSchedule, .setMaintenanceSchedule,
            .startMaintenance, .stopMaintenance, .rebindAgent, .rebindFramework:
            _ = coded.setOrder(call)
        }
        return bytes(coded)
    }

    /// What an operator asks or orders in these bytes.
    ///
    /// Of the weights of several roles none is taken: they could not be set as one.
    public static func decodeOperatorCall(_ data: [UInt8]) throws(WireError) -> OperatorCall {
        let coded = try parse(PBOperatorCall.self, data, "operator call")
        if let order = try coded.order() { return order }
        switch coded.type {
        case .getAgents: return .agents
        case .getFrameworks: return .frameworks
        case .getRoles: return .roles
        case .getOffers: return .offers
        case .getTasks:
            return .tasks(
                coded.getTasks.hasFrameworkID
                    ? FrameworkID(coded.getTasks.frameworkID.value) : nil)
        case .getSummary: return .summary
        case .killTask: return .kill(try body(coded.killTask, coded.hasKillTask, "kill_task").model)
        case .teardown:
            let teardown = try body(coded.teardown, coded.hasTeardown, "teardown")
            return .teardown(FrameworkID(teardown.frameworkID.value))
        case .updateWeights:
            let weights = coded.updateWeights.weightInfos
            guard let weight = weights.first else { throw .missing("weight_infos") }
            guard weights.count == 1 else { throw .outOfRange("weight_infos") }
            guard weight.hasRole else { throw .missing("weight_infos.role") }
            return .setWeight(
                role: weight.role, thousandths: try milli(weight.weight, "weight").thousandths)
        case .getQuota: return .quotas
        case .updateQuota:
            let update = try body(coded.updateQuota, coded.hasUpdateQuota, "update_quota")
            return .setQuotas(
                try update.quotaConfigs.tryMap { one throws(WireError) in try one.model() },
                isForced: update.force)
        case .why: return .why(try body(coded.why, coded.hasWhy, "why").model())
        case .whyFramework:
            let why = try body(coded.whyFramework, coded.hasWhyFramework, "why_framework")
            return .whyFramework(FrameworkID(why.frameworkID.value))
        case .reserveResources:
            let reserve = try body(
                coded.reserveResources, coded.hasReserveResources, "reserve_resources")
            return .reserve(
                AgentID(reserve.agentID.value), try model(reserve.resources),
                source: try model(reserve.source))
        case .unreserveResources:
            let unreserve = try body(
                coded.unreserveResources, coded.hasUnreserveResources, "unreserve_resources")
            return .unreserve(
                AgentID(unreserve.agentID.value), try model(unreserve.resources))
        case .getInverseOffers: return .inverseOffers
        case .getWhitelist: return .whitelist
        case .updateWhitelist:
            let update = try body(
                coded.updateWhitelist, coded.hasUpdateWhitelist, "update_whitelist")
            return .setWhitelist(update.hasWhitelist ? update.whitelist.hostnames : nil)
        case .updatePriorityLimit:
            let update = try body(
                coded.updatePriorityLimit, coded.hasUpdatePriorityLimit, "update_priority_limit")
            return .setPriorityLimit(
                role: update.role,
                update.hasPriorityLimit
                    ? try small(update.priorityLimit, "priority_limit") : nil)
        case .unknown, .markAgentGone, .drainAgent, .deactivateAgent, .reactivateAgent,
            .getMaintenanceStatus, .getMaintenanceSchedule, .updateMaintenanceSchedule,
            .startMaintenance, .stopMaintenance, .rebindAgent, .rebindFramework:
            throw .outOfRange("type")
        }
    }

    /// The bytes of what the master answers to an operator.
    ///
    /// Frameworks that have ended come after the others; tasks that are unreachable after those
    /// that live, and tasks that have ended last.
    public static func encode(_ answer: OperatorAnswer) -> [UInt8] {
        var coded = PBOperatorResponse()
        switch answer {
        case .agents(let list):
            coded.type = .getAgents
            coded.getAgents.agents = list.map { .init($0) }
        case .frameworks(let list):
            coded.type = .getFrameworks
            coded.getFrameworks = .init(list)
        case .roles(let list):
            coded.type = .getRoles
            coded.getRoles.roles = list.map { PBRole($0) }
        case .offers(let list):
            coded.type = .getOffers
            coded.getOffers.offers = list.map { .init($0) }
        case .tasks(let list):
            coded.type = .getTasks
            coded.getTasks = .init(list)
        case .summary(let summary):
            coded.type = .getSummary
            coded.getSummary = .init(summary)
        case .done: coded.type = .done
        case .notFound(let what):
            coded.type = .notFound
            coded.reason = what
        case .refused(let why):
            coded.type = .refused
            coded.reason = why
        case .quotas(let list):
            coded.type = .getQuota
            coded.getQuota = .init(list)
        case .why(let explanation):
            coded.type = .why
            coded.why = PBPlacementExplanation(explanation)
        case .demands(let list):
            coded.type = .whyFramework
            coded.whyFramework = .init(list)
        case .inverseOffers(let list):
            coded.type = .getInverseOffers
            coded.getInverseOffers.inverseOffers = list.map { .init($0) }
        case .whitelist(let hosts):
            coded.type = .getWhitelist
            coded.getWhitelist = .init()
            if let hosts { coded.getWhitelist.whitelist = PBWhitelist(hosts) }
        case .maintenanceStatus(let status):
            coded.type = .getMaintenanceStatus
            coded.getMaintenanceStatus.status = .init(status)
        case .maintenanceSchedule(let windows):
            coded.type = .getMaintenanceSchedule
            coded.getMaintenanceSchedule.schedule = .init(windows)
        }
        return bytes(coded)
    }

    /// What the master answers to an operator in these bytes.
    public static func decodeOperatorAnswer(_ data: [UInt8]) throws(WireError) -> OperatorAnswer {
        let coded = try parse(
            PBOperatorResponse.self, data, limit: WireLimits.state, "operator answer")
        switch coded.type {
        case .getAgents:
            return .agents(try body(coded.getAgents, coded.hasGetAgents, "get_agents").model())
        case .getFrameworks:
            let list = try body(coded.getFrameworks, coded.hasGetFrameworks, "get_frameworks")
            return .frameworks(try list.model())
        case .getRoles:
            let list = try body(coded.getRoles, coded.hasGetRoles, "get_roles")
            return .roles(try list.roles.tryMap { one throws(WireError) in try one.model() })
        case .getOffers:
            let list = try body(coded.getOffers, coded.hasGetOffers, "get_offers")
            return .offers(try list.offers.tryMap { one throws(WireError) in try one.model() })
        case .getTasks:
            return .tasks(try body(coded.getTasks, coded.hasGetTasks, "get_tasks").model())
        case .getSummary:
            let summary = try body(coded.getSummary, coded.hasGetSummary, "get_summary")
            return .summary(try summary.model())
        case .getQuota:
            return .quotas(try body(coded.getQuota, coded.hasGetQuota, "get_quota").model())
        case .why: return .why(try body(coded.why, coded.hasWhy, "why").model())
        case .whyFramework:
            let list = try body(coded.whyFramework, coded.hasWhyFramework, "why_framework")
            return .demands(try list.model())
        case .getInverseOffers:
            let list = try body(
                coded.getInverseOffers, coded.hasGetInverseOffers, "get_inverse_offers")
            return .inverseOffers(
                try list.inverseOffers.tryMap { one throws(WireError) in try one.model() })
        case .getWhitelist:
            let answer = try body(coded.getWhitelist, coded.hasGetWhitelist, "get_whitelist")
            return .whitelist(answer.hasWhitelist ? answer.whitelist.hostnames : nil)
        case .getMaintenanceStatus:
            let answer = try body(
                coded.getMaintenanceStatus, coded.hasGetMaintenanceStatus,
                "get_maintenance_status")
            return .maintenanceStatus(try answer.status.model())
        case .getMaintenanceSchedule:
            let answer = try body(
                coded.getMaintenanceSchedule, coded.hasGetMaintenanceSchedule,
                "get_maintenance_schedule")
            return .maintenanceSchedule(try answer.schedule.model())
        case .done: return .done
        case .notFound: return .notFound(coded.reason)
        case .refused: return .refused(coded.reason)
        case .unknown: throw .outOfRange("type")
        }
    }
}
