import CoreMetrics
import Foundation
import HTTPTypes
import Metrics
import ProfferAPI
import Synchronization
import Testing

@testable import ProfferHTTP

@Suite("Metrics in the text format")
struct MetricsTests {
    @Test("series are sorted, typed once per name, and whole numbers have no decimals")
    func text() {
        let registry = PrometheusRegistry()
        Gauge(label: "b.gauge", dimensions: [("z", "1"), ("a", "x")], factory: registry).record(2)
        Gauge(label: "b.gauge", dimensions: [], factory: registry).record(0.5)
        Counter(label: "a_total", dimensions: [], factory: registry).increment(by: 3)
        #expect(
            registry.render() == """
                # TYPE a_total counter
                a_total 3
                # TYPE b_gauge gauge
                b_gauge 0.5
                b_gauge{a="x",z="1"} 2

                """)
    }

    @Test("what a label cannot hold is escaped")
    func escapes() {
        let registry = PrometheusRegistry()
        Counter(label: "c", dimensions: [("k", "a\"b\\c\nd")], factory: registry).increment()
        #expect(registry.render().contains(#"c{k="a\"b\\c\nd"} 1"#))
    }

    @Test("a timer is a histogram in seconds whose buckets count what is not longer")
    func histogram() {
        let registry = PrometheusRegistry()
        let timer = Metrics.Timer(label: "t_seconds", dimensions: [("k", "v")], factory: registry)
        timer.recordNanoseconds(1_000_000)
        timer.recordNanoseconds(250_000_000)
        timer.recordNanoseconds(90_000_000_000)
        let lines = registry.render().split(separator: "\n").map(String.init)
        #expect(lines.first == "# TYPE t_seconds histogram")
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="0.0005"} 0"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="0.001"} 1"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="0.1"} 1"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="0.25"} 2"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="60.0"} 2"#))
        #expect(lines.contains(#"t_seconds_bucket{k="v",le="+Inf"} 3"#))
        #expect(lines.contains(#"t_seconds_sum{k="v"} 90.251"#))
        #expect(lines.last == #"t_seconds_count{k="v"} 3"#)
        #expect(lines.count == 19)
    }

    @Test("a counter that is made again goes on where it was")
    func again() {
        let registry = PrometheusRegistry()
        let first = Counter(label: "c", dimensions: [], factory: registry)
        first.increment(by: 2)
        first.destroy()
        Counter(label: "c", dimensions: [], factory: registry).increment()
        #expect(registry.render().contains("c 3\n"))
    }

    @Test("a master brings its figures up to date before it shows them")
    func refreshed() async throws {
        let registry = PrometheusRegistry()
        let gauge = Gauge(label: "g", dimensions: [], factory: registry)
        let reply = try await request(
            FakeView(), .get, "/metrics", metrics: registry, refresh: { gauge.record(7) })
        #expect(reply.status == 200)
        #expect(reply.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(reply.body == "# TYPE g gauge\ng 7\n")
    }
}
