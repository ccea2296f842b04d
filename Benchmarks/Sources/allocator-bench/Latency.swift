import ProfferAllocation
import ProfferKernel
import ProfferModel

extension Workload {
    /// Proposed in addition to Mesos' own: from a task's end to the grant of what it leaves.
    static let latency = Workload(
        name: "OfferLatency",
        about: "agents are full but for one slot; a task ends, and its slot is granted again",
        cells: [
            ["agents": 1000, "frameworks": 50], ["agents": 10_000, "frameworks": 100],
            ["agents": 50_000, "frameworks": 1000],
        ].flatMap { size in [0, 1].map { size.merging(["demand": $0]) { old, _ in old } } },
        quick: [["agents": 1000, "frameworks": 50, "demand": 1]]
    ) { cell in
        let isStated = cell["demand"] == 1
        var cluster = FullCluster(cell["agents"], cell["frameworks"], isStated)
        let settling = cluster.settle()
        var laps: [Lap] = []
        var missed = 0
        let count = cell.isQuick ? 200 : 2000
        for event in 0..<(count + 50) {
            let (lap, isGranted) = cluster.endTask(event * 7919 % cell["agents"])
            if !isGranted { missed += 1 }
            if event >= 50 { laps.append(lap) }
        }
        let problem =
            missed > 0 ? "\(missed) of \(laps.count + 50) slots were not granted at once" : nil
        let size = ["agents": cell["agents"], "frameworks": cell["frameworks"]]
        let variant = isStated ? "stated demand" : "whole agents"
        let times = laps.map { $0.cpu * 1e6 }
        return [
            .time("OfferLatency", variant + ", first cycle", size, [settling]),
            Measurement(
                name: "OfferLatency", variant: variant + ", p50", parameters: size, unit: "µs",
                samples: [percentile(times, 50)],
                wallSamples: [percentile(laps.map { $0.wall * 1e6 }, 50)], problem: problem),
            Measurement(
                name: "OfferLatency", variant: variant + ", p99", parameters: size, unit: "µs",
                samples: [percentile(times, 99)],
                wallSamples: [percentile(laps.map { $0.wall * 1e6 }, 99)], problem: problem),
        ]
    }
}

/// A cluster of agents with 24 slots of which 23 are taken, and frameworks that want more.
///
/// With stated demand each framework wants two slots at once, in one of 16 sizes, so that a free
/// slot alone is of no use to anybody. Without, the free slots are offered and not answered.
private struct FullCluster {
    private static let shape = Shape("cpus:24;mem:24576", used: "cpus:22;mem:22528")
    private static let slot = Shape("cpus:1;mem:1024").total

    private var driver = Driver()
    private let frameworks: Int
    private let isStated: Bool

    init(_ agents: Int, _ frameworks: Int, _ isStated: Bool) {
        self.frameworks = frameworks
        self.isStated = isStated
        driver.addFrameworks(0..<frameworks)
        for index in 0..<agents {
            driver.addAgent(index, Self.shape, owner: index % frameworks)
            driver.allocator.hold(task(index))
        }
    }

    private func task(_ agent: Int) -> Allocation {
        Allocation(
            framework: Driver.framework((agent + 1) % frameworks), role: "*",
            agent: Driver.agent(agent), resources: Self.slot)
    }

    mutating func settle() -> Lap {
        time {
            if isStated {
                for index in 0..<frameworks {
                    let wanted = quantities("cpus:2;mem:\(1024 + 64 * (index % 16))")
                    driver.allocator.setDemands(
                        Driver.framework(index),
                        [Demand(id: "tasks", resources: wanted, count: 100_000)], at: driver.now)
                }
            }
            driver.cycle()
        }
    }

    /// - Returns: How long the decision took, and whether it was a grant of that agent.
    mutating func endTask(_ agent: Int) -> (Lap, Bool) {
        driver.offers.removeAll(keepingCapacity: true)
        driver.now = driver.now + .seconds(1)
        let task = task(agent)
        let lap = time {
            driver.allocator.recover(task, wasOffered: false, refuse: nil, at: driver.now)
            driver.cycle()
        }
        let isGranted = driver.offers.contains { $0.allocation.agent == task.agent }
        // What is launched there ends before the next event, and the old task comes back.
        for offer in driver.offers {
            driver.allocator.use(offer.allocation)
            driver.allocator.recover(
                offer.allocation, wasOffered: false, refuse: nil, at: driver.now)
        }
        driver.allocator.hold(task)
        return (lap, isGranted)
    }
}
