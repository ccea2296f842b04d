public import CoreMetrics
internal import Synchronization

/// Collects the process's metrics and writes them in the Prometheus text format (version 0.0.4).
///
/// Bootstrapped once per process: `MetricsSystem.bootstrap(registry)`. Timers and recorders become
/// summaries of count and sum plus fixed histogram buckets; label sets come from code, never from
/// outside input, so the number of series is bounded.
public final class PrometheusRegistry: MetricsFactory, Sendable {
    fileprivate enum Kind: String {
        case counter, gauge, histogram
    }

    fileprivate final class Series: Sendable {
        let value = Mutex(0.0)
        let buckets: Mutex<[UInt64]>
        let count = Mutex(UInt64(0))

        init() { buckets = Mutex(Array(repeating: 0, count: PrometheusRegistry.bounds.count)) }
    }

    private struct Key: Hashable {
        let name: String
        let labels: String
    }

    private struct State {
        var kinds: [String: Kind] = [:]
        var series: [Key: Series] = [:]
    }

    /// Upper bounds of histogram buckets, in seconds for timers.
    fileprivate static let bounds: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60,
    ]

    private let state = Mutex(State())

    /// Makes an empty registry.
    public init() {}

    /// Everything collected so far, series in a stable order.
    public func render() -> String {
        let (kinds, series) = state.withLock { ($0.kinds, $0.series) }
        var text = ""
        let keys = series.keys.sorted { ($0.name, $0.labels) < ($1.name, $1.labels) }
        var lastName = ""
        for key in keys {
            guard let kind = kinds[key.name], let entry = series[key] else { continue }
            if key.name != lastName {
                text += "# TYPE \(key.name) \(kind.rawValue)\n"
                lastName = key.name
            }
            if kind == .histogram {
                appendHistogram(key, entry, to: &text)
            } else {
                text += line(key.name, key.labels, entry.value.withLock { $0 })
            }
        }
        return text
    }

    private func appendHistogram(_ key: Key, _ series: Series, to text: inout String) {
        let counts = series.buckets.withLock { $0 }
        let total = series.count.withLock { $0 }
        for (bound, count) in zip(Self.bounds, counts) {
            let labels = key.labels.isEmpty ? "" : key.labels + ","
            text += line(key.name + "_bucket", labels + "le=\"\(bound)\"", Double(count))
        }
        let labels = key.labels.isEmpty ? "" : key.labels + ","
        text += line(key.name + "_bucket", labels + "le=\"+Inf\"", Double(total))
        text += line(key.name + "_sum", key.labels, series.value.withLock { $0 })
        text += line(key.name + "_count", key.labels, Double(total))
    }

    private func line(_ name: String, _ labels: String, _ value: Double) -> String {
        let number =
            value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
        return labels.isEmpty ? "\(name) \(number)\n" : "\(name){\(labels)} \(number)\n"
    }

    private func series(
        _ label: String, _ dimensions: [(String, String)], _ kind: Kind
    ) -> Series {
        let name = String(
            label.map { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" ? $0 : "_" })
        let labels = dimensions.sorted { $0.0 < $1.0 }.map { key, value in
            let escaped = value.flatMap { character -> [Character] in
                switch character {
                case "\\": ["\\", "\\"]
                case "\"": ["\\", "\""]
                case "\n": ["\\", "n"]
                default: [character]
                }
            }
            return "\(key)=\"\(String(escaped))\""
        }.joined(separator: ",")
        let key = Key(name: name, labels: labels)
        return state.withLock { state in
            state.kinds[name] = state.kinds[name] ?? kind
            if let existing = state.series[key] { return existing }
            let fresh = Series()
            state.series[key] = fresh
            return fresh
        }
    }

    /// Makes or finds a counter.
    public func makeCounter(
        label: String, dimensions: [(String, String)]
    ) -> any CounterHandler {
        Handler(series: series(label, dimensions, .counter))
    }

    /// Makes or finds a gauge or, when `aggregate`, a histogram.
    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        let series = series(label, dimensions, aggregate ? .histogram : .gauge)
        return aggregate ? HistogramHandler(series: series) : Handler(series: series)
    }

    /// Makes or finds a gauge that can be moved.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        Handler(series: series(label, dimensions, .gauge))
    }

    /// Makes or finds a histogram of seconds.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        HistogramHandler(series: series(label, dimensions, .histogram))
    }

    /// Keeps the series: a counter must not fall back to zero.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// Keeps the series.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Keeps the series.
    public func destroyMeter(_ handler: any MeterHandler) {}
    /// Keeps the series.
    public func destroyTimer(_ handler: any TimerHandler) {}

    private final class Handler: CounterHandler, RecorderHandler, MeterHandler, Sendable {
        let series: Series

        init(series: Series) { self.series = series }

        func increment(by amount: Int64) { series.value.withLock { $0 += Double(amount) } }
        func reset() { series.value.withLock { $0 = 0 } }
        func record(_ value: Int64) { series.value.withLock { $0 = Double(value) } }
        func record(_ value: Double) { series.value.withLock { $0 = value } }
        func set(_ value: Int64) { series.value.withLock { $0 = Double(value) } }
        func set(_ value: Double) { series.value.withLock { $0 = value } }
        func increment(by amount: Double) { series.value.withLock { $0 += amount } }
        func decrement(by amount: Double) { series.value.withLock { $0 -= amount } }
    }

    private final class HistogramHandler: RecorderHandler, TimerHandler, Sendable {
        let series: Series

        init(series: Series) { self.series = series }

        func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
        func record(_ value: Int64) { record(Double(value)) }
        func record(_ value: Double) {
            series.value.withLock { $0 += value }
            series.count.withLock { $0 += 1 }
            series.buckets.withLock { counts in
                for (index, bound) in PrometheusRegistry.bounds.enumerated() where value <= bound {
                    counts[index] += 1
                }
            }
        }
    }
}
