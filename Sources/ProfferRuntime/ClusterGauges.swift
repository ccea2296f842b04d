internal import CoreMetrics
internal import Metrics
internal import ProfferHTTP
internal import ProfferModel
internal import ProfferTransport
internal import Synchronization

/// A counter of what somebody else counts.
private final class Total: Sendable {
    private let counter: Counter
    private let shown = Mutex<UInt64>(0)

    init(_ counter: Counter) {
        self.counter = counter
        // There from the start, with zero.
        counter.increment(by: 0)
    }

    /// Brings it up to `count`; it never falls.
    func raise(to count: UInt64) {
        let more = shown.withLock { shown in
            defer { shown = max(shown, count) }
            return count > shown ? count - shown : 0
        }
        if more > 0 { counter.increment(by: Int64(clamping: more)) }
    }
}

/// Figures of a master that are states, and totals of its transport; set when somebody looks.
struct ClusterGauges: Sendable {
    private let agents: [AgentState: Gauge]
    private let tasks: [Gauge]
    private let connected: Gauge
    private let disconnected: Gauge
    private let offers: Gauge
    private let leads: Gauge
    private let isDegraded: Gauge
    private let totals: [(any KeyPath<TransportCounters, UInt64> & Sendable, Total)]
    private let refusedKeys: Total
    private let resources: [(String, [(String, Gauge)])]

    private static let states = [
        "total", "allocated", "offered", "oversubscribed", "revocable_allocated", "used",
    ]

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
        leads = gauge("proffer_master_leads")
        isDegraded = gauge("proffer_registry_degraded")
        func total(_ name: String, _ dimensions: [(String, String)] = []) -> Total {
            Total(Counter(label: name, dimensions: dimensions, factory: metrics))
        }
        totals = [
            (\.received, total("proffer_messages_total", [("direction", "received")])),
            (\.sent, total("proffer_messages_total", [("direction", "sent")])),
            (\.malformed, total("proffer_messages_malformed_total")),
            (\.refused, total("proffer_messages_refused_total")),
            (\.failedHandshakes, total("proffer_handshakes_failed_total")),
            (\.disconnections, total("proffer_disconnections_total")),
            (\.unopened, total("proffer_sessions_refused_total")),
            (\.postponed, total("proffer_sessions_postponed_total")),
        ]
        refusedKeys = total("proffer_handshakes_refused_total")
        resources = ["cpus", "mem", "disk", "gpus"].map { kind in
            (
                kind,
                Self.states.map { state in
                    (state, gauge("proffer_resources", [("kind", kind), ("state", state)]))
                }
            )
        }
    }

    func set(_ standing: MasterStanding) {
        leads.record(standing.leads ? 1 : 0)
        isDegraded.record(standing.problem == nil ? 0 : 1)
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
                    case "allocated": summary.allocated.nonRevocable
                    case "revocable_allocated": summary.allocated.revocable
                    case "oversubscribed": summary.oversubscribed
                    case "used": summary.used
                    default: summary.offered
                    }
                gauge.record(amounts.scalar(kind).doubleValue)
            }
        }
    }

    func set(_ counters: TransportCounters, _ refused: UInt64) {
        for (path, total) in totals { total.raise(to: counters[keyPath: path]) }
        refusedKeys.raise(to: refused)
    }
}
