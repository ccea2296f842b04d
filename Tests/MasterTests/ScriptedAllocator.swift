import OrderedCollections
import ProfferAllocation
import ProfferKernel
import ProfferModel

@testable import ProfferMaster

/// What an allocator was told, in the words of its protocol.
enum AllocatorCall: Hashable {
    case setDemands(FrameworkID, [Demand])
    case setQuota(Quota)
    case setWeight(String, Int64)
    case awaitAgents(Int, Instant)
    case claim([Allocation])
    case allocate
    case recover(Allocation, wasOffered: Bool, refuse: Duration?)
    case use(Allocation)
    case hold(Allocation)
}

/// An allocator that grants, refuses and explains what the test has prepared, and remembers what
/// it was told.
struct ScriptedAllocator: Allocator {
    /// What is prepared and what was told; the master holds the allocator by value.
    final class Script: @unchecked Sendable {
        var calls: [AllocatorCall] = []
        var grants: [Grant] = []
        var conflicts: [ClaimConflict] = []
        var shortfalls: [Shortfall] = []
        var backOffs: [BackOff] = []
        var changed: [AgentID] = []
        var free: OrderedDictionary<AgentID, Resources> = [:]
        var explanation = PlacementExplanation()
        var questions: [PlacementQuestion] = []
        var isStale = false

        /// Prepares what the next allocation grants.
        func grant(
            _ framework: FrameworkID, _ agent: AgentID, role: String = "*",
            _ resources: Resources = Stage.small, demand: String? = nil, instances: Int = 0,
            gang: GangID? = nil
        ) {
            grants.append(
                Grant(
                    allocation: Allocation(
                        framework: framework, role: role, agent: agent, resources: resources),
                    demandID: demand, instances: instances, gang: gang))
            isStale = true
        }

        func recovered(_ agent: AgentID) -> [Resources] {
            calls.compactMap { call in
                if case .recover(let allocation, _, _) = call, allocation.agent == agent {
                    allocation.resources
                } else {
                    nil
                }
            }
        }
    }

    let script: Script

    var nextDeadline: Instant? { nil }
    var needsAllocation: Bool { script.isStale }

    mutating func setFramework(_ framework: AllocatorFramework, isActive: Bool) {}
    mutating func removeFramework(_ id: FrameworkID) {}
    mutating func setActive(framework id: FrameworkID, _ isActive: Bool) {}
    mutating func setAgent(_ info: AgentInfo, isActive: Bool) { note(info.id) }
    mutating func removeAgent(_ id: AgentID) { note(id) }
    mutating func setActive(agent id: AgentID, _ isActive: Bool) { note(id) }
    mutating func revive(_ id: FrameworkID, roles: [String]) {}
    mutating func suppress(_ id: FrameworkID, roles: [String]) {}
    mutating func convert(_ allocation: Allocation, into resources: Resources) {}

    private func note(_ id: AgentID?) {
        if let id { script.changed.append(id) }
    }

    mutating func hold(_ allocation: Allocation) { script.calls.append(.hold(allocation)) }

    mutating func use(_ allocation: Allocation) { script.calls.append(.use(allocation)) }

    mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?, at now: Instant
    ) {
        script.calls.append(.recover(allocation, wasOffered: wasOffered, refuse: refuse))
        note(allocation.agent)
        script.isStale = true
    }

    mutating func setWeight(role: String, thousandths: Int64) {
        script.calls.append(.setWeight(role, thousandths))
    }

    mutating func setQuota(_ quota: Quota) { script.calls.append(.setQuota(quota)) }

    mutating func setDemands(_ id: FrameworkID, _ demands: [Demand], at now: Instant) {
        script.calls.append(.setDemands(id, demands))
    }

    mutating func awaitAgents(_ count: Int, until limit: Instant) {
        script.calls.append(.awaitAgents(count, limit))
    }

    mutating func claim(_ parts: [Allocation], at now: Instant) -> [ClaimConflict] {
        script.calls.append(.claim(parts))
        return script.conflicts
    }

    mutating func allocate(at now: Instant, into grants: inout [Grant]) {
        script.calls.append(.allocate)
        script.isStale = false
        grants += script.grants
        script.grants = []
    }

    func free(_ id: AgentID, roles: [String]) -> Resources { script.free[id] ?? Resources() }

    mutating func takeChangedAgents() -> [AgentID] {
        defer { script.changed = [] }
        return script.changed
    }

    mutating func takeBackOffs() -> [BackOff] {
        defer { script.backOffs = [] }
        return script.backOffs
    }

    func shortfalls(at now: Instant) -> [Shortfall] { script.shortfalls }

    func explain(_ question: PlacementQuestion, at now: Instant) -> PlacementExplanation {
        script.questions.append(question)
        return script.explanation
    }

    func shareMillionths(framework id: FrameworkID) -> Int64 { 0 }
    func shareMillionths(role: String) -> Int64 { 0 }
}

extension Stage {
    /// A master over an allocator that does as it is told.
    static func scripted(
        _ configuration: MasterConfiguration = MasterConfiguration(),
        replaying records: [MasterRecord] = []
    ) -> (Stage, ScriptedAllocator.Script) {
        let script = ScriptedAllocator.Script()
        let stage = Stage(
            configuration, replaying: records, allocator: ScriptedAllocator(script: script))
        return (stage, script)
    }

    func claimAnswers(_ id: FrameworkID) -> [ClaimOutcome] {
        events(id).compactMap { event in
            if case .claimAnswer(_, let outcome) = event { outcome } else { nil }
        }
    }

    func clusterSteps(_ id: FrameworkID) -> [ClusterState] {
        events(id).compactMap { event in
            if case .cluster(let state) = event { state } else { nil }
        }
    }

    func inverseOffers(_ id: FrameworkID) -> [InverseOffer] {
        events(id).flatMap { event -> [InverseOffer] in
            if case .inverseOffers(let list) = event { list } else { [] }
        }
    }

    func rescindedInverse(_ id: FrameworkID) -> [OfferID] {
        events(id).compactMap { event in
            if case .rescindInverseOffer(let offer) = event { offer } else { nil }
        }
    }

    func kills(_ id: AgentID) -> [TaskID] {
        messages(id).compactMap { message in
            if case .kill(let key, _) = message { key.task } else { nil }
        }
    }
}

extension ResourceQuantities {
    init(cpus: Int = 0, mem: Int = 0) {
        self.init()
        add(Milli(cpus), to: "cpus")
        add(Milli(mem), to: "mem")
    }
}
