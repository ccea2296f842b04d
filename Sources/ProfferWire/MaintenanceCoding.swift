internal import ProfferKernel
internal import ProfferModel
internal import ProfferSchema

/// So many machines may be named in one message.
private let machineLimit = 100_000

extension PBMachineID {
    init(_ machine: ProfferModel.MachineID) {
        self.init()
        hostname = machine.hostname
        if let ip = machine.ip { self.ip = ip }
    }

    func model() throws(WireError) -> ProfferModel.MachineID {
        guard hasHostname, !hostname.isEmpty else { throw .missing("machine.hostname") }
        return ProfferModel.MachineID(hostname: hostname, ip: hasIp ? ip : nil)
    }
}

private func machines(_ list: [PBMachineID]) throws(WireError) -> [ProfferModel.MachineID] {
    guard list.count <= machineLimit else { throw .outOfRange("machines") }
    return try list.tryMap { one throws(WireError) in try one.model() }
}

extension PBMaintenanceWindow {
    init(_ window: ProfferModel.MaintenanceWindow) {
        self.init()
        machineIds = window.machines.map { PBMachineID($0) }
        unavailability = PBUnavailability(window.unavailability)
    }

    func model() throws(WireError) -> ProfferModel.MaintenanceWindow {
        ProfferModel.MaintenanceWindow(
            machines: try machines(machineIds), unavailability: unavailability.model)
    }
}

extension PBMaintenanceSchedule {
    init(_ windows: [ProfferModel.MaintenanceWindow]) {
        self.init()
        self.windows = windows.map { PBMaintenanceWindow($0) }
    }

    func model() throws(WireError) -> [ProfferModel.MaintenanceWindow] {
        try windows.tryMap { one throws(WireError) in try one.model() }
    }
}

extension PBInternalMaintenanceEntry {
    init(_ record: MaintenanceRecord) {
        self.init()
        windows = record.windows.map { PBMaintenanceWindow($0) }
        down = record.down.map { PBMachineID($0) }
    }

    func model() throws(WireError) -> MaintenanceRecord {
        MaintenanceRecord(
            windows: try windows.tryMap { one throws(WireError) in try one.model() },
            down: try machines(down))
    }
}

extension PBDrainInfo {
    init(_ order: DrainOrder) {
        self.init()
        state = order.isDrained ? .drained : .draining
        config = .init()
        if let grace = order.maxGrace { config.maxGracePeriod = PBDurationInfo(grace) }
        if order.marksGone { config.markGone = true }
    }

    var model: DrainOrder {
        DrainOrder(
            maxGrace: config.hasMaxGracePeriod ? config.maxGracePeriod.model : nil,
            marksGone: config.markGone, isDrained: state == .drained)
    }
}

extension PBMaintenanceStatus.InverseOfferStatus {
    init(_ summary: InverseOfferSummary) {
        self.init()
        frameworkID = PBFrameworkID(summary.inverseOffer.frameworkID)
        switch summary.response {
        case .accepted(let time):
            status = .accept
            timestamp = PBTimeInfo(time)
        case .declined(let time):
            status = .decline
            timestamp = PBTimeInfo(time)
        case nil:
            status = .unknown
            timestamp = PBTimeInfo(WallTime(nanosecondsSince1970: 0))
        }
        inverseOffer = PBInverseOffer(summary.inverseOffer)
        age = PBDurationInfo(summary.age)
        reason = summary.reason
    }

    func model() throws(WireError) -> InverseOfferSummary {
        let response: InverseOfferResponse? =
            switch status {
            case .accept: .accepted(at: timestamp.model)
            case .decline: .declined(at: timestamp.model)
            case .unknown: nil
            }
        return InverseOfferSummary(
            inverseOffer: try body(inverseOffer, hasInverseOffer, "inverse_offer").model(),
            age: age.model, reason: reason, response: response)
    }
}

extension PBMaintenanceStatus {
    init(_ status: ProfferModel.MaintenanceStatus) {
        self.init()
        drainingMachines = status.draining.map { machine in
            var coded = DrainingMachine()
            coded.id = PBMachineID(machine.id)
            coded.statuses = machine.requests.map { .init($0) }
            coded.unavailability = PBUnavailability(machine.unavailability)
            return coded
        }
        downMachines = status.down.map { PBMachineID($0) }
    }

    func model() throws(WireError) -> ProfferModel.MaintenanceStatus {
        ProfferModel.MaintenanceStatus(
            draining: try drainingMachines.tryMap { one throws(WireError) in
                ProfferModel.DrainingMachine(
                    id: try one.id.model(), unavailability: one.unavailability.model,
                    requests: try one.statuses.tryMap { one throws(WireError) in
                        try one.model()
                    })
            }, down: try machines(downMachines))
    }
}

// MARK: Orders about agents, machines and keys

extension PBOperatorCall {
    /// Sets an order about agents, machines or keys; `false` for another call.
    mutating func setOrder(_ call: OperatorCall) -> Bool {
        switch call {
        case .markAgentGone(let id):
            type = .markAgentGone
            markAgentGone.agentID = PBAgentID(id)
        case .drainAgent(let id, let grace, let marksGone):
            type = .drainAgent
            drainAgent.agentID = PBAgentID(id)
            if let grace { drainAgent.maxGracePeriod = .init(grace) }
            if marksGone { drainAgent.markGone = true }
        case .deactivateAgent(let id):
            type = .deactivateAgent
            deactivateAgent.agentID = PBAgentID(id)
        case .reactivateAgent(let id):
            type = .reactivateAgent
            reactivateAgent.agentID = PBAgentID(id)
        case .maintenanceStatus: type = .getMaintenanceStatus
        case .maintenanceSchedule: type = .getMaintenanceSchedule
        case .setMaintenanceSchedule(let windows):
            type = .updateMaintenanceSchedule
            updateMaintenanceSchedule.schedule = PBMaintenanceSchedule(windows)
        case .startMaintenance(let list):
            type = .startMaintenance
            startMaintenance.machines = list.map { PBMachineID($0) }
        case .stopMaintenance(let list):
            type = .stopMaintenance
            stopMaintenance.machines = list.map { PBMachineID($0) }
        case .rebindAgent(let id, let key):
            type = .rebindAgent
            rebindAgent.agentID = PBAgentID(id)
            if let key { rebindAgent.publicKey = key }
        case .rebindFramework(let id, let key):
            type = .rebindFramework
            rebindFramework.frameworkID = PBFrameworkID(id)
            if let key { rebindFramework.publicKey = key }
        default: return false
        }
        return true
    }

    /// An order about agents, machines or keys; `nil` for another call.
    func order() throws(WireError) -> OperatorCall? {
        switch type {
        case .markAgentGone:
            return .markAgentGone(
                try body(markAgentGone, hasMarkAgentGone, "mark_agent_gone").id)
        case .drainAgent:
            let order = try body(drainAgent, hasDrainAgent, "drain_agent")
            return .drainAgent(
                AgentID(order.agentID.value),
                maxGrace: order.hasMaxGracePeriod ? order.maxGracePeriod.model : nil,
                marksGone: order.markGone)
        case .deactivateAgent:
            return .deactivateAgent(
                try body(deactivateAgent, hasDeactivateAgent, "deactivate_agent").id)
        case .reactivateAgent:
            return .reactivateAgent(
                try body(reactivateAgent, hasReactivateAgent, "reactivate_agent").id)
        case .getMaintenanceStatus: return .maintenanceStatus
        case .getMaintenanceSchedule: return .maintenanceSchedule
        case .updateMaintenanceSchedule:
            let update = try body(
                updateMaintenanceSchedule, hasUpdateMaintenanceSchedule,
                "update_maintenance_schedule")
            return .setMaintenanceSchedule(try update.schedule.model())
        case .startMaintenance: return .startMaintenance(try machines(startMaintenance.machines))
        case .stopMaintenance: return .stopMaintenance(try machines(stopMaintenance.machines))
        case .rebindAgent:
            let order = try body(rebindAgent, hasRebindAgent, "rebind_agent")
            return .rebindAgent(
                AgentID(order.agentID.value),
                publicKey: order.hasPublicKey ? order.publicKey : nil)
        case .rebindFramework:
            let order = try body(rebindFramework, hasRebindFramework, "rebind_framework")
            return .rebindFramework(
                FrameworkID(order.frameworkID.value),
                publicKey: order.hasPublicKey ? order.publicKey : nil)
        default: return nil
        }
    }
}

extension PBOperatorCall.OneAgent {
    fileprivate var id: AgentID { AgentID(agentID.value) }
}

extension PBOperatorCall.DrainAgent.Span {
    fileprivate init(_ span: Duration) {
        self.init()
        let (whole, rest) = span.inNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        seconds = whole
        nanos = Int32(rest)
    }

    fileprivate var model: Duration { .seconds(seconds) + .nanoseconds(Int64(nanos)) }
}
