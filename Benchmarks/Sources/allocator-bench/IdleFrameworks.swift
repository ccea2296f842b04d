import ProfferAllocation
import ProfferKernel
import ProfferModel

extension Workload {
    /// Proposed in addition to Mesos' own.
    static let idleFrameworks = Workload(
        name: "IdleFrameworks",
        about: "one busy framework, with and without 2,000 that want nothing",
        cells: [["declining": 0], ["declining": 1]],
        quick: [["declining": 0]]
    ) { cell in
        let isDeclining = cell["declining"] == 1
        let count = cell.isQuick ? 200 : 2000
        var alone = BusyCluster(idle: 0, isDeclining: isDeclining)
        var crowded = BusyCluster(idle: count, isDeclining: isDeclining)
        let variant = isDeclining ? "they decline for 5 s" : "they state no demand"
        var ratios: [Double] = []
        for _ in 0..<(cell.isQuick ? 2 : 5) {
            // In turn, so that whatever else the machine does hits both.
            var sums = [Lap.zero, Lap.zero]
            for _ in 0..<10 {
                sums[0] = sums[0] + alone.run(events: isDeclining ? 4 : 40)
                sums[1] = sums[1] + crowded.run(events: isDeclining ? 4 : 40)
            }
            ratios.append(sums[1].cpu / sums[0].cpu)
        }
        func figure(_ label: String, _ value: Double, _ unit: String) -> Measurement {
            .figure("IdleFrameworks", variant + ", " + label, [:], [value], unit: unit)
        }
        let missed = crowded.missed + alone.missed
        return [
            Measurement(
                name: "IdleFrameworks", variant: variant + ", CPU with / without",
                parameters: [:], unit: "×", samples: ratios,
                problem: missed > 0 ? "\(missed) slots were never granted" : nil),
            figure("p50 without", percentile(alone.times, 50), "µs"),
            figure("p50 with", percentile(crowded.times, 50), "µs"),
            figure("p99 without", percentile(alone.times, 99), "µs"),
            figure("p99 with", percentile(crowded.times, 99), "µs"),
            figure("cycles until granted, p99 without", percentile(alone.rounds, 99), "cycles"),
            figure("cycles until granted, p99 with", percentile(crowded.rounds, 99), "cycles"),
        ]
    }
}

/// A thousand full agents on which tasks of one framework end and are started again.
private struct BusyCluster {
    private static let agents = 1000
    private static let shape = Shape("cpus:8;mem:8192", used: "cpus:8;mem:8192")
    private static let slot = Shape("cpus:1;mem:1024").total

    private var driver = Driver()
    private var event = 0
    /// Microseconds of CPU until a freed slot is granted to the busy framework.
    private(set) var times: [Double] = []
    private(set) var rounds: [Double] = []
    private(set) var missed = 0

    init(idle: Int, isDeclining: Bool) {
        driver.addFrameworks(0..<(idle + 1))
        let wanted = Self.slot.quantities
        driver.allocator.setDemands(
            Driver.framework(0), [Demand(id: "tasks", resources: wanted, count: 100_000)],
            at: driver.now)
        if !isDeclining {
            for index in 1..<(idle + 1) {
                driver.allocator.setDemands(
                    Driver.framework(index), [Demand(id: "none", resources: wanted, count: 0)],
                    at: driver.now)
            }
        }
        for index in 0..<Self.agents { driver.addAgent(index, Self.shape, owner: 0) }
        driver.cycle()
    }

    /// Lets so many tasks end, 10 ms apart.
    mutating func run(events: Int) -> Lap {
        (0..<events).reduce(Lap.zero) { sum, _ in sum + endTask() }
    }

    /// How long the allocator's calls took until the slot was granted to the busy framework;
    /// everybody else declines for 5 s.
    private mutating func endTask() -> Lap {
        event += 1
        driver.now = driver.now + .milliseconds(10)
        let task = Allocation(
            framework: Driver.framework(0), role: "*",
            agent: Driver.agent(event * 619 % Self.agents), resources: Self.slot)
        var lap = time {
            driver.allocator.recover(task, wasOffered: false, refuse: nil, at: driver.now)
        }
        var isGranted = false
        var cycles = 0
        while !isGranted, cycles < 3000 {
            cycles += 1
            lap = lap + driver.cycle()
            let offers = driver.offers
            driver.offers.removeAll(keepingCapacity: true)
            lap =
                lap
                + time {
                    for offer in offers {
                        if offer.allocation.framework == task.framework {
                            driver.allocator.use(offer.allocation)
                            isGranted = true
                        } else {
                            driver.allocator.recover(
                                offer.allocation, wasOffered: true, refuse: .seconds(5),
                                at: driver.now)
                        }
                    }
                }
            if !isGranted { driver.now = driver.now + .milliseconds(5) }
        }
        if !isGranted { missed += 1 }
        times.append(lap.cpu * 1e6)
        rounds.append(Double(cycles))
        return lap
    }
}
