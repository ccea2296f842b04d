import BenchSupport
import ProfferKernel

extension Workload {
    /// Every framework has declined every agent for ever.
    static let steady = Workload(
        name: "Steady",
        about: "every framework has declined every agent for ever; nothing can be offered",
        cells: Cell.grid([1000], [1, 50, 100, 200, 500, 1000])
            + Cell.grid([5000], [1, 50, 100, 200]) + Cell.grid([10_000], [1, 50, 100])
            + Cell.grid([30_000], [1, 50]),
        quick: Cell.grid([1000], [1, 50])
    ) { cell in
        let (agents, frameworks) = (cell["agents"], cell["frameworks"])
        let pairs = agents * frameworks
        var driver = Driver()
        driver.addFrameworks(0..<frameworks)
        driver.addAgents(agents, .decline, owners: frameworks)
        var declined = 0
        var last = Lap.zero
        let reaching = time { (declined, last) = driver.declineEverything(pairs: pairs) }
        var problem =
            declined >= pairs ? nil : "\(declined) of \(pairs) pairs were offered and declined"
        let resident = Double(Usage.residentBytes()) / 1e6
        let peak = Double(Usage.peakResidentBytes()) / 1e6
        // One framework wants to hear of everything again, and declines it again.
        var natural = [last]
        while natural.count < cell.repetitions.count(last.wall) {
            driver.allocator.revive(Driver.framework(0), roles: ["*"])
            natural.append(driver.declineEverything(pairs: agents).1)
        }
        let idle = cell.repetitions.laps { driver.cycle() }
        let kinds = cell.repetitions.laps(kinds: 2) {
            [driver.markAll(agents), driver.cycle()]
        }
        if !driver.offers.isEmpty { problem = "\(driver.offers.count) offers were made" }
        return [
            .time(
                "declining everything", "per pair", cell.parameters, [reaching], per: pairs,
                unit: .microseconds, problem: problem),
            .time("steady cycle", "after the last decline", cell.parameters, natural),
            .time("steady cycle", "nothing has changed", cell.parameters, idle),
            .time(
                "steady cycle", "every agent marked", cell.parameters, kinds[1], problem: problem),
            .time("marking every agent", "", cell.parameters, kinds[0]),
            .figure("steady memory", "resident", cell.parameters, [resident], unit: "MB"),
            .figure("steady memory", "peak", cell.parameters, [peak], unit: "MB", problem: problem),
        ]
    }

    /// Memory of a large cluster whose agents are all offered, and of many filters.
    static let memory = Workload(
        name: "Memory",
        about: "memory with every agent offered, and after filters of 50 frameworks per agent",
        cells: [
            ["agents": 50_000, "frameworks": 1000, "filters": 0],
            ["agents": 50_000, "frameworks": 1000, "filters": 50],
        ],
        quick: [["agents": 5000, "frameworks": 50, "filters": 5]]
    ) { cell in
        let (agents, frameworks) = (cell["agents"], cell["frameworks"])
        let before = Usage.heapBytes()
        var driver = Driver()
        driver.addFrameworks(0..<frameworks)
        driver.addAgents(agents, .decline, owners: frameworks)
        if cell["filters"] > 0 {
            let wanted = agents * cell["filters"]
            var declined = 0
            while declined < wanted {
                if driver.offers.isEmpty { driver.cycle() }
                if driver.offers.isEmpty { break }
                declined += driver.offers.count
                driver.giveBackAll(refuse: Driver.forever)
            }
            driver.cycle()
        } else {
            for _ in 0..<5 {
                driver.giveBackAll()
                driver.cycle()
            }
        }
        let heap = Usage.heapBytes() - before
        func megabytes(_ variant: String, _ bytes: Int) -> Measurement {
            .figure("memory", variant, cell.parameters, [Double(bytes) / 1e6], unit: "MB")
        }
        return [
            megabytes("live heap", heap), megabytes("resident", Usage.residentBytes()),
            megabytes("peak", Usage.peakResidentBytes()),
        ]
    }
}
