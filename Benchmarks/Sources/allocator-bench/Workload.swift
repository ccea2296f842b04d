/// One benchmark, in cells that each run in a process of their own.
struct Workload: Sendable {
    var name: String
    var about: String
    var cells: [[String: Int]]
    /// The cells of a quick run.
    var quick: [[String: Int]]
    var run: @Sendable (Cell) -> [Measurement]

    static let all: [Workload] = [
        .grid, .steady, .memory, .largeAndSmallQuota, .nonQuotaVsQuota, .quotaAgents,
        .multiFramework, .addAndUpdate, .resourceLabels, .suppress, .extremeSuppress, .backlog,
        .persistentVolumes, .updateAllocation, .fullSort, .hierarchyFullSort, .latency,
        .slowFramework, .idleFrameworks,
    ]
}

/// What a cell is to do.
struct Cell: Sendable {
    var parameters: [String: Int]
    var isQuick: Bool

    subscript(name: String) -> Int { parameters[name] ?? 0 }
    var repetitions: Repetitions { Repetitions(isQuick: isQuick) }

    /// As text that a command line can carry.
    static func text(_ parameters: [String: Int]) -> String {
        parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            .joined(separator: ",")
    }

    static func parameters(_ text: String) -> [String: Int] {
        var parameters: [String: Int] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=")
            if pair.count == 2 { parameters[String(pair[0])] = Int(pair[1]) }
        }
        return parameters
    }

    /// Every agent count with every framework count.
    static func grid(_ agents: [Int], _ frameworks: [Int]) -> [[String: Int]] {
        agents.flatMap { agents in
            frameworks.map { ["agents": agents, "frameworks": $0] }
        }
    }
}
