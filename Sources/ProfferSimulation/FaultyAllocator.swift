internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

/// An allocator that passes everything on to another one, but for a planted mistake.
struct FaultyAllocator: Allocator {
    private var inner: any Allocator
    private let bug: PlantedBug

    init(_ inner: any Allocator, _ bug: PlantedBug) {
        self.inner = inner
        self.bug = bug
    }

    var nextDeadline: Instant? { inner.nextDeadline }
    var needsAllocation: Bool { inner.needsAllocation }

    mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {
        var framework = framework
        if bug == .constraintsIgnored { framework.constraints = [] }
        inner.setFramework(framework, isActive: isActive)
    }

    mutating func removeFramework(_ id: FrameworkID) { inner.removeFramework(id) }

    mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {
        inner.setActive(framework: id, isActive)
    }

    mutating func setAgent(_ info: AgentInfo, isActive: Bool) {
        inner.setAgent(info, isActive: isActive)
    }

    mutating func removeAgent(_ id: AgentID) { inner.removeAgent(id) }

    mutating func setActive(agent id: AgentID, _ isActive: Bool) {
        inner.setActive(agent: id, isActive || bug == .lostAgentsOffered)
    }

    mutating func deactivate(agent id: AgentID, because check: PlacementCheck) {
        if bug == .lostAgentsOffered {
            inner.setActive(agent: id, true)
        } else {
            inner.deactivate(agent: id, because: check)
        }
    }

    func hasRefused(_ allocation: Allocation) -> Bool { inner.hasRefused(allocation) }

    mutating func hold(_ allocation: Allocation) { inner.hold(allocation) }
    mutating func use(_ allocation: Allocation) { inner.use(allocation) }

    mutating func convert(_ allocation: Allocation, into resources: Resources) {
        inner.convert(allocation, into: resources)
    }

    mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        if bug == .resourcesLeak, !wasOffered { return }
        inner.recover(allocation, wasOffered: wasOffered, refuse: refuse, at: now)
    }

    mutating func revive(_ id: FrameworkID, roles: [String]) { inner.revive(id, roles: roles) }
    mutating func suppress(_ id: FrameworkID, roles: [String]) { inner.suppress(id, roles: roles) }

    mutating func setWeight(role: String, thousandths: Int64) {
        inner.setWeight(role: role, thousandths: thousandths)
    }

    mutating func setQuota(_ quota: Quota) {
        if bug != .quotaIgnored { inner.setQuota(quota) }
    }

    mutating func setDemands(_ id: FrameworkID, _ demands: [Demand], at now: Instant) {
        inner.setDemands(id, demands, at: now)
    }

    mutating func awaitAgents(_ count: Int, until limit: Instant) {
        inner.awaitAgents(count, until: limit)
    }

    mutating func claim(_ parts: [Allocation], at now: Instant) -> [ClaimConflict] {
        inner.claim(parts, at: now)
    }

    mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        inner.allocate(at: now, into: &grants)
    }

    func free(_ id: AgentID, roles: [String]) -> Resources { inner.free(id, roles: roles) }
    mutating func takeBackOffs() -> [BackOff] { inner.takeBackOffs() }
    mutating func takeChangedAgents() -> [AgentID] { inner.takeChangedAgents() }
    func shortfalls(at now: Instant) -> [Shortfall] { inner.shortfalls(at: now) }

    func explain(_ question: PlacementQuestion, at now: Instant) -> PlacementExplanation {
        inner.explain(question, at: now)
    }

    func shareMillionths(framework id: FrameworkID) -> Int64 {
        inner.shareMillionths(framework: id)
    }

    func shareMillionths(role: String) -> Int64 { inner.shareMillionths(role: role) }
}
