internal import ProfferAgent
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel
internal import ProfferSession

/// One fault that a run will try: its numbers choose victims among those that are there then.
struct PlannedFault: Sendable {
    var number: Int
    var at: Int64
    var kind: FaultKind
    var first: Int
    var second: Int
    var span: Int64
}

/// Everything that a seed decides before a run begins.
struct Plan: Sendable {
    var seed: UInt64
    var masters = 1
    var agents = 3
    var frameworks = 1
    var faultPhase = 90 * Span.second
    var quietPhase = 240 * Span.second
    var latency = Span.millisecond / 2
    var agentDiskLatency = 2 * Span.millisecond
    var reportsStarting = false
    var usageInterval = Duration.seconds(5)
    var session = SessionLimits()
    var master = MasterConfiguration()
    var agent = AgentConfiguration(workDirectory: "/sim")
    var makeAllocator: @Sendable () -> any Allocator = { HierarchicalAllocator() }
    var faults: [PlannedFault] = []
    /// In how many of a thousand cases a thing that can go wrong by itself does.
    private var rates = [Int](repeating: 0, count: FaultKind.allCases.count)
    /// How clocks differ at first, in parts per million.
    var clockSpread: Int64 = 0

    init(seed: UInt64) { self.seed = seed }

    var nodeCount: Int { masters + agents + frameworks + 1 }

    func rate(_ kind: FaultKind) -> Int { rates[kind.rawValue] }

    mutating func setRate(_ kind: FaultKind, _ permille: Int) { rates[kind.rawValue] = permille }
}
