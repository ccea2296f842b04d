import ProfferAllocation
import ProfferKernel
import ProfferModel

/// The fair share allocator, except that it says that it cannot serve what the test says.
struct LackingAllocator: Allocator {
    final class Lack: @unchecked Sendable {
        var shortfalls: [Shortfall] = []
    }

    var inner = HierarchicalAllocator()
    let lack: Lack

    var nextDeadline: Instant? { inner.nextDeadline }
    var needsAllocation: Bool { inner.needsAllocation }

    mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {
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
        inner.setActive(agent: id, isActive)
    }
    mutating func hold(_ allocation: Allocation) { inner.hold(allocation) }
    mutating func use(_ allocation: Allocation) { inner.use(allocation) }
    mutating func convert(_ allocation: Allocation, into resources: Resources) {
        inner.convert(allocation, into: resources)
    }
    mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        inner.recover(allocation, wasOffered: wasOffered, refuse: refuse, at: now)
    }
    mutating func revive(_ id: FrameworkID, roles: [String]) { inner.revive(id, roles: roles) }
    mutating func suppress(_ id: FrameworkID, roles: [String]) {
        inner.suppress(id, roles: roles)
    }
    mutating func setWeight(role: String, thousandths: Int64) {
        inner.setWeight(role: role, thousandths: thousandths)
    }
    mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        inner.allocate(at: now, into: &grants)
    }
    func shortfalls(at now: Instant) -> [Shortfall] { lack.shortfalls }
    func shareMillionths(framework id: FrameworkID) -> Int64 {
        inner.shareMillionths(framework: id)
    }
    func shareMillionths(role: String) -> Int64 { inner.shareMillionths(role: role) }
}
