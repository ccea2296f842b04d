import ClusterSupport
import Foundation

/// What was measured.
struct Results {
    struct Run {
        var spawn1: Double
        var spawn2: Double
        var roundTrips: Double
        var start50: Double
        var start99: Double
        var offer50: Double
        var offer99: Double
        var throughput: Double
        /// Of one no-op task.
        var processorTime: ProcessorTime
        var failures: Int
    }

    struct Figure: Encodable {
        var name: String
        var unit: String
        var median: Double
        var lowest: Double
        var highest: Double
        var bar: String
    }

    var runs: [Run] = []
    var masterIdle: Int64 = 0
    var agentIdle: Int64 = 0
    var executorIdle: Int64 = 0
    var masterAfter: Int64 = 0
    var agentAfter: Int64 = 0
    var executorAfter: Int64 = 0

    var json: [Figure] {
        let megabyte = 1_000_000.0
        return [
            figure("calibration: spawn /bin/true, 1 thread", "per second") { $0.spawn1 },
            figure("calibration: spawn /bin/true, 2 threads", "per second") { $0.spawn2 },
            figure("calibration: ZeroMQ round trips over TCP", "per second") { $0.roundTrips },
            figure("ACCEPT to TASK_RUNNING, p50", "ms", "<= 3") { $0.start50 * 1000 },
            figure("ACCEPT to TASK_RUNNING, p99", "ms", "<= 15") { $0.start99 * 1000 },
            figure("freed to offered, p50", "ms") { $0.offer50 * 1000 },
            figure("freed to offered, p99", "ms", "<= 10") { $0.offer99 * 1000 },
            figure("no-op tasks through the whole stack", "per second") { $0.throughput },
            figure("the same, of the rate of 2 threads", "ratio", ">= 0.40") {
                $0.throughput / $0.spawn2
            },
            cpu("in all") { $0.sum },
            cpu("its own process") { $0.tasks },
            cpu("executor") { $0.executors },
            cpu("agent") { $0.agents },
            cpu("master") { $0.master },
            cpu("framework") { $0.framework },
            figure("tasks that did not finish", "tasks", "0") { Double($0.failures) },
            constant("memory of the master, idle", Double(masterIdle) / megabyte, "<= 60"),
            constant("memory of the agent, idle", Double(agentIdle) / megabyte, "<= 40"),
            constant("memory of the executor, idle", Double(executorIdle) / megabyte, "<= 15"),
            constant("memory of the master, after all runs", Double(masterAfter) / megabyte),
            constant("memory of the agent, after all runs", Double(agentAfter) / megabyte),
            constant("memory of the executor, after all runs", Double(executorAfter) / megabyte),
        ]
    }

    private func cpu(_ part: String, _ value: (ProcessorTime) -> Double) -> Figure {
        figure("processor time of a no-op task, \(part)", "ms") { value($0.processorTime) * 1000 }
    }

    private func figure(
        _ name: String, _ unit: String, _ bar: String = "", _ value: (Run) -> Double
    ) -> Figure {
        let values = runs.map(value).sorted()
        return Figure(
            name: name, unit: unit, median: percentile(values, 50), lowest: values.first ?? .nan,
            highest: values.last ?? .nan, bar: bar)
    }

    private func constant(_ name: String, _ value: Double, _ bar: String = "") -> Figure {
        Figure(name: name, unit: "MB", median: value, lowest: value, highest: value, bar: bar)
    }

    var table: String {
        var text = "\n"
        func line(_ cells: [String]) {
            let widths = [50, 12, 12, 12, 12, 8]
            for (cell, width) in zip(cells, widths) {
                text += cell + String(repeating: " ", count: max(1, width - cell.count))
            }
            text += "\n"
        }
        line(["figure", "unit", "median", "lowest", "highest", "bar"])
        for figure in json {
            line(
                [figure.name, figure.unit]
                    + [figure.median, figure.lowest, figure.highest].map {
                        String(format: $0 < 10 ? "%.3f" : "%.1f", $0)
                    } + [figure.bar])
        }
        return text
    }
}
