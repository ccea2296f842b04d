internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// The most that all instances of one demand may ask for of one resource, in thousandths: a
    /// thousand demands can still be added up.
    private static let totalLimit = Milli.wireLimit * 1000

    /// Takes over what a framework wants from now on; a problem changes nothing.
    mutating func state(
        _ demands: [Demand], _ id: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[id] else { return }
        if let problem = problemOfDemands(demands, row) {
            refuse(demand: problem, row, into: &outbox)
            return
        }
        frameworks[id]?.launched = LookupTable()
        set(demands, id, at: now)
        guard row.awaitsDemand, var row = frameworks[id] else { return }
        row.awaitsDemand = false
        frameworks[id] = row
        tellAllocator(row, isActive: row.isConnected)
    }

    private func refuse(
        demand problem: String, _ row: FrameworkRow, into outbox: inout Outbox<MasterEffect>
    ) {
        outbox.append(.observe(.invalidCall(row.id, call: "DEMAND", problem: problem)))
        guard let peer = row.peer else { return }
        outbox.append(.tellFramework(.demandRefused(problem: problem), peer))
    }

    /// Takes over what a framework wants from the beginning of its subscription.
    ///
    /// One that cannot be served is told why, and waits until it has stated another demand: as a
    /// classic framework it would be offered what it never wanted. What a framework that comes back
    /// states above the limit of a role was accepted before the limit was lowered.
    mutating func begin(
        with demands: [Demand]?, _ id: FrameworkID, isKnown: Bool, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let demands, !demands.isEmpty, var row = frameworks[id] else { return }
        if let problem = problemOfDemands(demands, row, isLimited: !isKnown) {
            refuse(demand: problem, row, into: &outbox)
            return
        }
        row.awaitsDemand = false
        frameworks[id] = row
        set(demands, id, at: now)
        tellAllocator(row, isActive: true)
    }

    private mutating func set(_ demands: [Demand], _ id: FrameworkID, at now: Instant) {
        frameworks[id]?.demands = demands
        allocator.setDemands(id, frameworks[id].map(served) ?? demands, at: now)
        if demands.isEmpty { demanding.remove(id) } else { demanding.append(id) }
        watchForShortfalls(at: now)
    }

    private func problemOfDemands(
        _ demands: [Demand], _ row: FrameworkRow, isLimited: Bool = true
    ) -> String? {
        if demands.count > Demand.countLimit {
            return "\(demands.count) demands are stated; \(Demand.countLimit) are possible"
        }
        var seen: Set<String> = []
        for demand in demands {
            if let problem = problemOfDemand(demand) { return problem }
            if !seen.insert(demand.id).inserted {
                return "two demands are called '\(demand.id)'; give each an id of its own"
            }
            if !row.info.roles.contains(demand.role) {
                return "the demand '\(demand.id)' is in the role '\(demand.role)', which is not "
                    + "one of the framework's"
            }
            if isLimited, let problem = problemOfPriority(demand.priority, in: demand.role) {
                return "the demand '\(demand.id)': \(problem)"
            }
        }
        return ProfferAllocation.problem(
            in: demands.map { OfferConstraint(role: $0.role, groups: $0.constraints) })
    }

    /// What is wrong with a demand, whoever states it.
    func problemOfDemand(_ demand: Demand) -> String? {
        if let problem = demand.problem { return problem }
        for entry in demand.resources.entries {
            if entry.name.isEmpty {
                return "the demand '\(demand.id)' names a resource without a name"
            }
            let (total, isTooMuch) = entry.amount.thousandths
                .multipliedReportingOverflow(by: Int64(demand.count))
            if isTooMuch || total > Self.totalLimit || entry.amount.thousandths > Milli.wireLimit {
                return "the demand '\(demand.id)' asks for more \(entry.name) than there can be"
            }
            if entry.name == "gpus", entry.amount.thousandths % 1000 != 0 {
                return "the demand '\(demand.id)' asks for a part of a GPU; only whole ones can "
                    + "be had"
            }
        }
        return nil
    }

    /// What a framework wanted ends with its subscription: it says it anew.
    mutating func forgetWishes(_ id: FrameworkID, at now: Instant) {
        watchers.remove(id)
        if watchers.isEmpty { unseenAgents.removeAll() }
        frameworks[id]?.watchSerial = nil
        guard demanding.contains(id) else { return }
        set([], id, at: now)
    }

    /// Demands of roles that a framework gives up end.
    mutating func keepDemands(of id: FrameworkID, in roles: [String], at now: Instant) {
        guard let demands = frameworks[id]?.demands else { return }
        let kept = demands.filter { roles.contains($0.role) }
        guard kept.count != demands.count else { return }
        set(kept, id, at: now)
        guard kept.isEmpty, var row = frameworks[id] else { return }
        // It has not said that it wants to be a classic framework.
        row.awaitsDemand = true
        frameworks[id] = row
        tellAllocator(row, isActive: row.isConnected)
    }

    /// Tells frameworks that they are offered less often, since they take nothing.
    mutating func tellBackOffs(into outbox: inout Outbox<MasterEffect>) {
        for one in allocator.takeBackOffs() {
            guard let peer = frameworks[one.framework]?.peer else { continue }
            outbox.append(
                .tellFramework(
                    .backedOff(role: one.role, declines: one.declines, pause: one.pause), peer))
        }
    }
}
