import BenchSupport
import ProfferAllocation
import ProfferKernel
import ProfferModel

extension Workload {
    /// Proposed in addition to Mesos' own; its pathology is described in the paper on Omega.
    static let slowFramework = Workload(
        name: "SlowFramework",
        about: "one framework sits on every offer for 60 s, beside 50 that want to run tasks",
        cells: [0, 1].flatMap { demand in
            [0, 1].map { ["slow": $0, "demand": demand] }
        },
        quick: [["slow": 1, "demand": 1]]
    ) { cell in
        var cluster = SharedCluster(
            hasSlow: cell["slow"] == 1, isStated: cell["demand"] == 1,
            ticks: cell.isQuick ? 1200 : 6000)
        let lap = time { cluster.run() }
        let variant =
            (cell["slow"] == 1 ? "with it, " : "without it, ")
            + (cell["demand"] == 1 ? "stated demand" : "whole agents")
        let waits = cluster.waits
        func figure(_ label: String, _ value: Double, _ unit: String) -> Measurement {
            .figure("SlowFramework", variant + ", " + label, [:], [value], unit: unit)
        }
        return [
            figure("utilisation", cluster.utilisation, "%"),
            figure("wait for a slot, p50", percentile(waits, 50), "virtual ms"),
            figure("wait for a slot, p99", percentile(waits, 99), "virtual ms"),
            figure("tasks", Double(waits.count), "tasks"),
            .time("SlowFramework", variant + ", CPU of all calls", [:], [lap]),
        ]
    }
}

/// Fifty frameworks that use three quarters of all slots, in bursts.
///
/// Jobs of 16 tasks of 5 to 15 s come to each of them, every 6.7 s on average. A tick is 100 ms of
/// virtual time.
private struct SharedCluster {
    static let agents = 200
    static let slots = 8
    static let frameworks = 50
    static let tasksOfJob = 16
    /// Until then the cluster is only filled.
    static let warmUp = 600
    private static let slot = Shape("cpus:1;mem:1024").total

    let hasSlow: Bool
    let isStated: Bool
    let ticks: Int
    private var driver = Driver()
    /// Per framework, the ticks at which it began to want the tasks it has not started.
    private var wanted: [[Int]]
    /// By the tick at which they end.
    private var ending: [[Allocation]]
    private var returning: [[Allocation]]
    /// By tick, the frameworks to which a job comes.
    private var arriving: [[Int]]
    private var random = Xorshift()
    private var running = 0
    private var usedTicks = 0
    /// In virtual milliseconds, after the warm-up.
    private(set) var waits: [Double] = []
    private let numbers: [FrameworkID: Int]

    init(hasSlow: Bool, isStated: Bool, ticks: Int) {
        self.hasSlow = hasSlow
        self.isStated = isStated
        self.ticks = ticks
        wanted = Array(repeating: [], count: Self.frameworks)
        ending = Array(repeating: [], count: ticks + 1000)
        returning = ending
        arriving = Array(repeating: [], count: ticks + 1000)
        for index in 0..<Self.frameworks {
            var tick = Int.random(in: 0..<134, using: &random)
            while tick < ticks {
                arriving[tick].append(index)
                tick += Int.random(in: 1..<134, using: &random)
            }
        }
        numbers = Dictionary(
            uniqueKeysWithValues: (0...Self.frameworks).map { (Driver.framework($0), $0) })
        driver.addFrameworks(0..<(Self.frameworks + (hasSlow ? 1 : 0)))
        let shape = Shape("cpus:\(Self.slots);mem:\(1024 * Self.slots)")
        for index in 0..<Self.agents { driver.addAgent(index, shape) }
    }

    /// In per cent of all slots.
    var utilisation: Double {
        let all = Self.agents * Self.slots * (ticks - Self.warmUp)
        return 100 * Double(usedTicks) / Double(max(1, all))
    }

    mutating func run() {
        for index in 0..<Self.frameworks { state(index) }
        for tick in 0..<ticks {
            driver.now = Instant.zero + .milliseconds(100 * tick)
            for task in ending[tick] {
                driver.allocator.recover(task, wasOffered: false, refuse: nil, at: driver.now)
            }
            running -= ending[tick].count
            for index in arriving[tick] {
                wanted[index] += Array(repeating: tick, count: Self.tasksOfJob)
                state(index)
            }
            for held in returning[tick] {
                driver.allocator.recover(
                    held, wasOffered: true, refuse: .seconds(5), at: driver.now)
            }
            driver.cycle()
            let offers = driver.offers
            driver.offers.removeAll(keepingCapacity: true)
            var changed: Set<Int> = []
            for offer in offers { answer(offer, tick, &changed) }
            for index in changed.sorted() { state(index) }
            if tick >= Self.warmUp { usedTicks += running }
        }
        // Those who still wait have waited at least so long.
        for since in wanted.joined() where since >= Self.warmUp {
            waits.append(Double(100 * (ticks - since)))
        }
    }

    /// Tells the allocator what a framework wants now, in one way or the other.
    private mutating func state(_ index: Int) {
        let id = Driver.framework(index)
        let count = wanted[index].count
        if isStated {
            driver.allocator.setDemands(
                id, [Demand(id: "tasks", resources: Self.slot.quantities, count: count)],
                at: driver.now)
        } else if count > 0 {
            driver.allocator.revive(id, roles: ["*"])
        } else {
            driver.allocator.suppress(id, roles: ["*"])
        }
    }

    private mutating func answer(_ offer: Grant, _ tick: Int, _ changed: inout Set<Int>) {
        var part = offer.allocation
        guard let index = numbers[part.framework] else { return }
        guard index < Self.frameworks else {
            returning[tick + 600].append(part)
            return
        }
        var rest = part.resources
        let count = min(Int(rest.cpus.thousandths / 1000), wanted[index].count)
        for since in wanted[index].prefix(count) {
            part.resources = Self.slot
            driver.allocator.use(part)
            rest -= Self.slot
            ending[tick + Int.random(in: 50...150, using: &random)].append(part)
            if since >= Self.warmUp { waits.append(Double(100 * (tick - since))) }
        }
        wanted[index].removeFirst(count)
        running += count
        changed.insert(index)
        if rest.isEmpty { return }
        part.resources = rest
        driver.allocator.recover(
            part, wasOffered: true, refuse: isStated ? nil : .seconds(5), at: driver.now)
    }
}
