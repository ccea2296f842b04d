import ProfferKernel
import ProfferModel

@testable import ProfferAllocation

/// An allocator with named agents and frameworks, a clock, and shorter calls.
struct Cluster {
    var allocator: any Allocator
    var now = Instant.zero

    init(_ subject: Subject, _ change: (inout Knobs) -> Void = { _ in }) {
        var knobs = Knobs()
        change(&knobs)
        allocator = subject.make(knobs)
    }

    /// Whoever has several roles can cope with that, unless capabilities are given.
    mutating func framework(
        _ id: FrameworkID, _ roles: [String] = ["*"], suppressed: [String] = [],
        capabilities: FrameworkCapabilities? = nil, minimums: [MinimumOffer] = [],
        constraints: [OfferConstraint] = [], isActive: Bool = true
    ) {
        allocator.setFramework(
            AllocatorFramework(
                id: id, roles: roles, suppressedRoles: suppressed,
                capabilities: capabilities ?? (roles.count > 1 ? .multiRole : []),
                minimums: minimums, constraints: constraints),
            isActive: isActive)
    }

    mutating func agent(
        _ id: AgentID, _ resources: Resources, _ attributes: [Attribute] = [],
        domain: FaultDomain? = nil, capabilities: AgentCapabilities = .all, isActive: Bool = true
    ) {
        allocator.setAgent(
            AgentInfo(
                hostname: "\(id).host", resources: resources, attributes: attributes, id: id,
                domain: domain, capabilities: capabilities),
            isActive: isActive)
    }

    /// Agents n00, n01 and so on, all alike.
    mutating func agents(_ count: Int, _ resources: Resources) {
        for number in 0..<count {
            agent(AgentID("n" + (number < 10 ? "0" : "") + "\(number)"), resources)
        }
    }

    mutating func round() -> [Grant] {
        var grants: [Grant] = []
        allocator.allocate(at: now, into: &grants)
        return grants
    }

    mutating func wait(_ span: Duration) { now = now + span }

    mutating func decline(_ grant: Grant, _ refuse: Duration? = nil) {
        allocator.recover(grant.allocation, wasOffered: true, refuse: refuse, at: now)
    }

    /// Uses a part of a grant, all of it if not said, and returns the rest.
    mutating func accept(_ grant: Grant, _ part: Resources? = nil, refuse: Duration? = nil) {
        var used = grant
        if let part { used.allocation.resources = part }
        allocator.use(used.allocation)
        var rest = grant
        rest.allocation.resources -= used.allocation.resources
        if !rest.allocation.resources.isEmpty { decline(rest, refuse) }
    }

    /// Ends tasks that hold so much of a grant, all of it if not said.
    mutating func finish(_ grant: Grant, _ part: Resources? = nil) {
        var used = grant.allocation
        if let part { used.resources = part }
        allocator.recover(used, wasOffered: false, refuse: nil, at: now)
    }

    mutating func declineAll(_ grants: [Grant], _ refuse: Duration? = nil) {
        for grant in grants { decline(grant, refuse) }
    }

    mutating func acceptAll(_ grants: [Grant]) {
        for grant in grants { accept(grant) }
    }

    mutating func finishAll(_ grants: [Grant]) {
        for grant in grants { finish(grant) }
    }

    mutating func hold(
        _ framework: FrameworkID, _ role: String, _ agent: AgentID, _ resources: Resources
    ) {
        allocator.hold(
            Allocation(framework: framework, role: role, agent: agent, resources: resources))
    }

    /// Launches one task of the given size for each offer until nobody can; returns who launched.
    mutating func fill(_ sizes: [FrameworkID: Resources]) -> [FrameworkID] {
        var order: [FrameworkID] = []
        while true {
            let grants = round()
            if grants.isEmpty { return order }
            for grant in grants {
                guard let size = sizes[grant.allocation.framework],
                    grant.allocation.resources.contains(size)
                else {
                    decline(grant, .seconds(1_000_000))
                    continue
                }
                order.append(grant.allocation.framework)
                accept(grant, size)
            }
        }
    }
}

extension [Grant] {
    var frameworks: [FrameworkID] { map(\.allocation.framework) }
    var agents: [AgentID] { map(\.allocation.agent) }
    var roles: [String] { map(\.allocation.role) }
    var resources: [Resources] { map(\.allocation.resources) }

    func total(_ framework: FrameworkID) -> Resources {
        filter { $0.allocation.framework == framework }
            .reduce(into: Resources()) { $0 += $1.allocation.resources }
    }

    func total(role: String) -> Resources {
        filter { $0.allocation.role == role }
            .reduce(into: Resources()) { $0 += $1.allocation.resources }
    }

    func count(_ framework: FrameworkID) -> Int {
        count { $0.allocation.framework == framework }
    }

    /// With what one framework gets of one agent in one role for one demand put together, at the
    /// place of the first part.
    var merged: [Grant] {
        var result: [Grant] = []
        for grant in self {
            let index = result.firstIndex {
                $0.allocation.framework == grant.allocation.framework
                    && $0.allocation.role == grant.allocation.role
                    && $0.allocation.agent == grant.allocation.agent
                    && $0.demandID == grant.demandID
            }
            if let index {
                result[index].allocation.resources += grant.allocation.resources
                result[index].instances += grant.instances
            } else {
                result.append(grant)
            }
        }
        return result
    }
}

extension Resources {
    /// The same resources, in whatever order.
    func isSame(as other: Resources) -> Bool { contains(other) && other.contains(self) }
}

/// Cores and mebibytes.
func size(_ cpus: Int, _ mem: Int = 0) -> Resources {
    Resources(cpus: Milli(cpus), mem: Milli(mem))
}

func amounts(_ entries: KeyValuePairs<String, Int>) -> ResourceQuantities {
    entries.reduce(into: ResourceQuantities()) { $0.add(Milli($1.value), to: $1.key) }
}

func scalar(
    _ name: String, _ units: Int, _ roles: [String] = [], kind: Reservation.Kind = .dynamic,
    disk: DiskInfo? = nil, isRevocable: Bool = false, isShared: Bool = false
) -> Resource {
    Resource(
        name, .scalar(Milli(units)), reservations: roles.map { Reservation(kind: kind, role: $0) },
        disk: disk, isRevocable: isRevocable, isShared: isShared)
}

func ports(_ range: ClosedRange<UInt64>) -> Resource {
    Resource("ports", .ranges(IntervalSet([range])))
}
