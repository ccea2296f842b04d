internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

/// Planned maintenance of machines, as in Mesos: a plan of windows that is replaced as a whole,
/// machines of it that are taken down and up by the operator, and requests to frameworks to leave.
///
/// Nothing happens by the clock: windows tell frameworks when, the operator does it.
extension Master {
    /// So many machines at most are in the plan.
    private static let machineLimit = 10_000

    /// Takes a plan over.
    mutating func plan(_ record: MaintenanceRecord) {
        maintenance = record
        unavailable = LookupTable()
        for window in record.windows {
            for machine in window.machines { unavailable[machine.key] = window.unavailability }
        }
        downMachines = OrderedKeys(record.down.map(\.key))
    }

    /// When an agent will not be available, if that is planned.
    func unavailability(of info: AgentInfo) -> Unavailability? {
        unavailable.isEmpty ? nil : unavailable[MachineID(hostname: info.hostname).key]
    }

    private func record(_ record: MaintenanceRecord) -> MasterRecord {
        .maintenance(record.windows.isEmpty && record.down.isEmpty ? nil : record)
    }

    // MARK: Plan

    mutating func schedule(
        _ windows: [MaintenanceWindow], at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        if let problem = problem(of: windows) { return .refused(problem) }
        let next = MaintenanceRecord(
            windows: windows.filter { !$0.machines.isEmpty }, down: maintenance.down)
        guard next != maintenance else { return .done }
        outbox.append(.commit([record(next)]))
        change(to: next, at: now, into: &outbox)
        return .done
    }

    private func problem(of windows: [MaintenanceWindow]) -> String? {
        var planned: Set<String> = []
        for window in windows {
            if let span = window.unavailability.duration, span < .zero {
                return "a window lasts for less than no time"
            }
            for machine in window.machines {
                if machine.hostname.isEmpty { return "a machine has no host name" }
                guard planned.insert(machine.key).inserted else {
                    return "the machine '\(machine.hostname)' is planned twice"
                }
            }
        }
        guard planned.count <= Self.machineLimit else {
            return "\(planned.count) machines are planned; \(Self.machineLimit) are allowed"
        }
        for machine in maintenance.down where !planned.contains(machine.key) {
            return "the machine '\(machine.hostname)' is down and has to stay in the plan; "
                + "take it up first"
        }
        return nil
    }

    /// Tells what a new plan changes: offers carry it, and frameworks are asked to leave.
    private mutating func change(
        to record: MaintenanceRecord, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        let before = unavailable
        plan(record)
        for (id, row) in agents {
            let key = MachineID(hostname: row.info.hostname).key
            guard before[key] != unavailable[key], row.isRegistered else { continue }
            for offer in row.offers { end(offer: offer, .rescinded, at: now, into: &outbox) }
            endLeaveRequests(at: id, into: &outbox)
            askToLeave(id, at: now, into: &outbox)
        }
    }

    // MARK: Down and up

    mutating func takeDown(
        _ machines: [MachineID], at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        if machines.isEmpty { return .refused("no machine is named") }
        var next = maintenance
        var named: Set<String> = []
        for machine in machines {
            guard unavailable[machine.key] != nil else {
                return .refused(
                    "the machine '\(machine.hostname)' is not in the plan; schedule its "
                        + "maintenance first")
            }
            if downMachines.contains(machine.key) {
                return .refused("the machine '\(machine.hostname)' is down already")
            }
            if named.insert(machine.key).inserted { next.down.append(machine) }
        }
        let gone = agents.values.filter { row in
            row.state != .gone
                && named.contains(MachineID(hostname: row.info.hostname).key)
        }
        outbox.append(.commit([record(next)] + gone.map { .agent($0.id, nil) }))
        plan(next)
        for row in gone {
            let message = "the machine '\(row.info.hostname)' went down for maintenance"
            if let peer = row.peer { outbox.append(.tellAgent(.shutdown(message), peer)) }
            lose(row.id, .agentRemoved, taskState: .lost, message, at: now, into: &outbox)
            drop(row.id, reason: message, at: now, into: &outbox)
        }
        return .done
    }

    mutating func takeUp(
        _ machines: [MachineID], at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        if machines.isEmpty { return .refused("no machine is named") }
        for machine in machines where !downMachines.contains(machine.key) {
            return .refused("the machine '\(machine.hostname)' is not down")
        }
        let named = Set(machines.map(\.key))
        var next = maintenance
        next.down.removeAll { named.contains($0.key) }
        for index in next.windows.indices {
            next.windows[index].machines.removeAll { named.contains($0.key) }
        }
        next.windows.removeAll { $0.machines.isEmpty }
        outbox.append(.commit([record(next)]))
        change(to: next, at: now, into: &outbox)
        return .done
    }

    func maintenanceStatus(at now: Instant) -> MaintenanceStatus {
        var requests: OrderedDictionary<String, [InverseOfferSummary]> = [:]
        for summary in inverseOfferSummaries(at: now) {
            guard inverseOffers[summary.inverseOffer.id]?.preemption == nil,
                let host = summary.inverseOffer.agentID.flatMap({ agents[$0] })?.info.hostname
            else { continue }
            requests[MachineID(hostname: host).key, default: []].append(summary)
        }
        var status = MaintenanceStatus(down: maintenance.down)
        for window in maintenance.windows {
            for machine in window.machines where !downMachines.contains(machine.key) {
                status.draining.append(
                    DrainingMachine(
                        id: machine, unavailability: window.unavailability,
                        requests: requests[machine.key] ?? []))
            }
        }
        return status
    }

    // MARK: Requests to leave

    /// Asks every framework at an agent to leave it, if that is planned.
    mutating func askToLeave(
        _ id: AgentID, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = agents[id], row.isRegistered, unavailability(of: row.info) != nil else {
            return
        }
        var present: OrderedSet<FrameworkID> = []
        for key in row.tasks { present.append(key.framework) }
        for key in row.executors.keys { present.append(key.framework) }
        for framework in present { askToLeave(id, framework, at: now, into: &outbox) }
    }

    /// Asks one framework, unless that was done.
    mutating func askToLeave(
        _ id: AgentID, _ framework: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        let place = PlacedFramework(agent: id, framework: framework)
        guard let info = agents[id]?.info, let away = unavailability(of: info),
            !leaveRequests.contains(place)
        else { return }
        let offer = InverseOffer(
            id: makeOfferID(), frameworkID: framework, agentID: id, unavailability: away)
        leaveRequests[place] = offer.id
        request(offer, nil, at: now, into: &outbox)
    }

    /// Takes back what was asked of everybody at an agent.
    mutating func endLeaveRequests(at id: AgentID, into outbox: inout Outbox<MasterEffect>) {
        if leaveRequests.isEmpty { return }
        let places = leaveRequests.keys.filter { $0.agent == id }
        for place in places { endLeaveRequest(place, into: &outbox) }
    }

    private mutating func endLeaveRequest(
        _ place: PlacedFramework, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let offer = leaveRequests.remove(place) else { return }
        rescind(inverseOffer: offer, into: &outbox)
    }

    /// Notes that a framework has one task or executor less at an agent.
    mutating func noteVacated(_ agent: AgentID, _ framework: FrameworkID) {
        if leaveRequests.isEmpty { return }
        let place = PlacedFramework(agent: agent, framework: framework)
        if leaveRequests.contains(place) { vacated.append(place) }
    }

    /// Takes back what was asked of frameworks that have nothing at the agent any more.
    mutating func endVacated(into outbox: inout Outbox<MasterEffect>) {
        guard !vacated.isEmpty else { return }
        let places = vacated
        vacated = []
        for place in places {
            let row = agents[place.agent]
            let isThere =
                row?.tasks.contains { $0.framework == place.framework } == true
                || row?.executors.keys.contains { $0.framework == place.framework } == true
            if !isThere { endLeaveRequest(place, into: &outbox) }
        }
    }
}
