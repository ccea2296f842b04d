internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// The highest priorities that may be used in roles.
///
/// What is stated above a limit is refused. What was accepted before the limit was lowered is
/// served as if it had stated the limit, so that nobody's subscription ends for it.
extension Master {
    /// The highest priority in a role: the lowest limit of the role and those above it.
    ///
    /// O(depth of the role).
    func priorityLimit(of role: String) -> Int? {
        if priorityLimits.isEmpty { return nil }
        var lowest = priorityLimits[role]
        for end in role.indices where role[end] == "/" {
            guard let limit = priorityLimits[String(role[..<end])] else { continue }
            lowest = min(lowest ?? limit, limit)
        }
        return lowest
    }

    /// A priority as it counts in a role.
    func priority(_ stated: Int, in role: String) -> Int {
        priorityLimit(of: role).map { min($0, stated) } ?? stated
    }

    /// The priority of a framework as it counts, which is the same in all of its roles.
    func priority(of info: FrameworkInfo) -> Int {
        info.roles.reduce(info.priority) { min($0, priority($0, in: $1)) }
    }

    /// What forbids a priority in a role, or `nil`.
    func problemOfPriority(_ priority: Int, in role: String) -> String? {
        if let problem = problemOfPriority(priority) { return problem }
        guard let limit = priorityLimit(of: role), priority > limit else { return nil }
        return "the priority \(priority) is above \(limit), the highest of the role '\(role)'"
    }

    /// The demands of a framework as the allocator has to serve them.
    func served(_ row: FrameworkRow) -> [Demand] {
        if priorityLimits.isEmpty { return row.demands }
        return row.demands.map { stated in
            var demand = stated
            demand.priority = priority(stated.priority, in: stated.role)
            return demand
        }
    }

    /// Sets or takes away the limit of a role.
    ///
    /// O(frameworks · their roles and demands).
    mutating func setPriorityLimit(
        _ role: String, _ limit: Int?, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        if let problem = problemOfRole(role) { return .refused(problem) }
        if let limit, let problem = problemOfPriority(limit) { return .refused(problem) }
        guard priorityLimits[role] != limit else { return .done }
        let before = frameworks.mapValues { (priority(of: $0.info), served($0)) }
        priorityLimits[role] = limit
        outbox.append(.commit([.priorityLimit(role: role, limit)]))
        for (id, (framework, demands)) in before {
            guard let row = frameworks[id] else { continue }
            if priority(of: row.info) != framework { tellAllocator(row, isActive: row.isConnected) }
            if served(row) != demands { tellRest(of: row, at: now) }
        }
        return .done
    }

    /// Tells the allocator what is left of a framework's demands.
    private mutating func tellRest(of row: FrameworkRow, at now: Instant) {
        let rest = served(row).map { stated in
            var demand = stated
            demand.count = max(0, stated.count - (row.launched[stated.id] ?? 0))
            demand.gang = min(demand.gang, max(1, demand.count))
            return demand
        }
        allocator.setDemands(row.id, rest, at: now)
    }
}
