internal import CoreMetrics
internal import Metrics
internal import ProfferModel
internal import ProfferTransport

/// Figures of a master that are states and not events; set when somebody looks.
struct ClusterGauges: Sendable {
    private let agents: [AgentState: Gauge]
    private let tasks: [Gauge]
    private let connected: Gauge
    private let disconnected: Gauge
    private let offers: Gauge
    private let counters: [(any KeyPath<TransportCounters, UInt64> & Sendable, Gauge)]
    private let refusedKeys: Gauge
    private let resources: [(String, [(String, Gauge)])]

    init(_ metrics: any MetricsFactory) {
        func gauge(_ name: String, _ dimensions: [(String, String)] = []) -> Gauge {
            Gauge(label: name, dimensions: dimensions, factory: metrics)
        }
        agents = Dictionary(
            uniqueKeysWithValues: AgentState.allCases.map {
                ($0, gauge("proffer_agents", [("state", $0.rawValue)]))
            })
        tasks = TaskState.allCases.map { gauge("proffer_tasks", [("state", $0.name)]) }
        connected = gauge("proffer_frameworks", [("state", "connected")])
        disconnected = gauge("proffer_frameworks", [("state", "disconnected")])
        offers = gauge("proffer_offers_outstanding")
        counters = [
            (\.received, gauge("proffer_messages", [("direction", "received")])),
            (\.sent, gauge("proffer_messages", [("direction", "sent")])),
            (\.malformed, gauge("proffer_messages_malformed")),
            (\.refused, gauge("proffer_messages_refused")),
            (\.failedHandshakes, gauge("proffer_handshakes_failed")),
            (\.disconnections, gauge("proffer_disconnections")),
            (\.unopened, gauge("proffer_sessions_refused")),
        ]
        refusedKeys = gauge("proffer_handshakes_refused")
        resources = ["cpus", "mem", "disk", "gpus"].map { kind in
            (
                kind,
                ["total", "allocated", "offered"].map { state in
                    (state, gauge("proffer_resources", [("kind", kind), ("state", state)]))
                }
            )
        }
    }

    func set(_ summary: ClusterSummary) {
        for state in AgentState.allCases {
            let count = summary.agents.count { $0 == state }
            agents[state]?.record(count)
        }
        var counts = [Int](repeating: 0, count: tasks.count)
        for state in summary.tasks { counts[state.rawValue] += 1 }
        for (gauge, count) in zip(tasks, counts) { gauge.record(count) }
        connected.record(summary.frameworksConnected)
        disconnected.record(summary.frameworksDisconnected)
        offers.record(summary.offersOutstanding)
        for (kind, gauges) in resources {
            for (state, gauge) in gauges {
                let amounts =
                    switch state {
                    case "total": summary.total
                    case "allocated": summary.allocated
                    default: summary.offered
                    }
                gauge.record(amounts.scalar(kind).doubleValue)
            }
        }
    }

    func set(_ counters: TransportCounters, _ refused: UInt64) {
        for (path, gauge) in self.counters { gauge.record(Double(counters[keyPath: path])) }
        refusedKeys.record(Double(refused))
    }
}
