import ProfferAllocation
import ProfferKernel
import ProfferModel

/// Frameworks that have so many tasks to launch, and no more.
private struct TaskFrameworks {
    struct Row {
        var role: String
        var cpus: Int64
        var mem: Int
        var left: Int
        var perOffer: Int
    }

    var rows: [Row] = []

    /// Those of Mesos' MultiFrameworkAllocations: 4 Marathon, 500 Jenkins, 50 Spark.
    init() {
        for index in 0..<4 {
            rows.append(Row(role: "roleA-\(index)", cpus: 70, mem: 400, left: 4000, perOffer: 100))
        }
        for _ in 0..<500 {
            rows.append(Row(role: "roleB", cpus: 100, mem: 4000, left: 5, perOffer: 1))
        }
        for index in 0..<50 {
            rows.append(Row(role: "roleC-\(index)", cpus: 1000, mem: 1000, left: 20, perOffer: 5))
        }
    }

    func resources(_ row: Row, _ count: Int) -> Resources {
        Resources(cpus: Milli(thousandths: row.cpus * Int64(count)), mem: Milli(row.mem * count))
    }

    func demand(_ row: Row) -> Demand {
        Demand(
            id: "tasks", role: row.role, resources: resources(row, 1).quantities,
            count: row.left, perOffer: row.perOffer)
    }

    func fitting(_ row: Row, _ offer: Resources) -> Int {
        let byCPUs = Int(offer.cpus.thousandths / row.cpus)
        let byMem = Int(offer.mem.thousandths / 1000) / row.mem
        return min(byCPUs, byMem, row.left, row.perOffer)
    }
}

extension Workload {
    static let multiFramework = Workload(
        name: "MultiFrameworkAllocations",
        about: "19,500 tasks of 554 frameworks on 80 agents, until all are launched",
        cells: [["demand": 0], ["demand": 1]],
        quick: [["demand": 1]]
    ) { cell in
        let isStated = cell["demand"] == 1
        let variant = isStated ? "stated demand" : "whole agents"
        var results: [MultiFrameworkResult] = []
        let laps = cell.repetitions.laps {
            let result = launchEverything(isStated)
            results.append(result)
            return result.lap
        }
        let name = "MultiFrameworkAllocations"
        func counts(_ label: String, _ value: (MultiFrameworkResult) -> Int) -> Measurement {
            .figure(
                name, variant + ", " + label, [:], results.map { Double(value($0)) },
                unit: label)
        }
        let launched = results.map(\.launched).min() ?? 0
        let problem = launched < 19_500 ? "only \(launched) of 19500 tasks were launched" : nil
        return [
            .time(name, variant, [:], laps, problem: problem),
            counts("tasks") { $0.launched }, counts("rounds") { $0.rounds },
            counts("offers") { $0.offers },
            counts("virtual ms") { Int($0.virtual.inNanoseconds / 1_000_000) },
        ]
    }
}

private struct MultiFrameworkResult {
    var lap = Lap.zero
    var rounds = 0
    var offers = 0
    var launched = 0
    var virtual = Duration.zero
}

/// Rounds until every task is launched or nothing more can happen; what the allocator does of it
/// is timed.
private func launchEverything(_ isStated: Bool) -> MultiFrameworkResult {
    var frameworks = TaskFrameworks()
    var driver = Driver()
    let shape = Shape("cpus:64;mem:488000")
    for index in 0..<80 { driver.addAgent(index, shape) }
    let rows = frameworks.rows
    driver.addFrameworks(0..<rows.count, role: { rows[$0].role })
    var result = MultiFrameworkResult()
    let numbers = Dictionary(
        uniqueKeysWithValues: rows.indices.map { (Driver.framework($0), $0) })
    if isStated {
        result.lap = time {
            for index in rows.indices {
                driver.allocator.setDemands(
                    Driver.framework(index), [frameworks.demand(rows[index])], at: driver.now)
            }
        }
    }
    while result.launched < 19_500, result.rounds < 5000 {
        let cycle = driver.cycle()
        result.lap = result.lap + cycle
        let granted = driver.offers
        driver.offers.removeAll()
        if granted.isEmpty {
            guard let next = driver.allocator.nextDeadline else { break }
            driver.now = max(next, driver.now)
            continue
        }
        result.rounds += 1
        result.offers += granted.count
        result.lap =
            result.lap
            + answer(granted, &frameworks, numbers, &driver, &result.launched, isStated)
        driver.now = driver.now + .milliseconds(10)
    }
    result.virtual = driver.now - Instant.zero
    return result
}

private func answer(
    _ granted: [Grant], _ frameworks: inout TaskFrameworks, _ numbers: [FrameworkID: Int],
    _ driver: inout Driver, _ launched: inout Int, _ isStated: Bool
) -> Lap {
    var lap = Lap.zero
    var changed: Set<Int> = []
    for grant in granted {
        var part = grant.allocation
        guard let number = numbers[part.framework] else { continue }
        let count = frameworks.fitting(frameworks.rows[number], part.resources)
        let used = frameworks.resources(frameworks.rows[number], count)
        let rest = part.resources - used
        frameworks.rows[number].left -= count
        launched += count
        if count > 0 { changed.insert(number) }
        lap =
            lap
            + time {
                if count > 0 {
                    part.resources = used
                    driver.allocator.use(part)
                }
                if !rest.isEmpty {
                    part.resources = rest
                    driver.allocator.recover(part, wasOffered: true, refuse: nil, at: driver.now)
                }
            }
    }
    guard isStated else { return lap }
    return lap
        + time {
            for number in changed.sorted() {
                driver.allocator.setDemands(
                    Driver.framework(number), [frameworks.demand(frameworks.rows[number])],
                    at: driver.now)
            }
        }
}
