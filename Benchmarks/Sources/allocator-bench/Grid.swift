import ProfferKernel

extension Workload {
    /// Frameworks and agents come; everything is offered, and given back, again and again.
    static let grid = Workload(
        name: "DeclineOffers",
        about: "all agents offered, with the agents and frameworks of Mesos' DeclineOffers",
        cells: Cell.grid([1000, 5000, 10_000, 30_000, 50_000], [1, 50, 100, 200, 500, 1000]),
        quick: Cell.grid([1000, 5000], [1, 50])
    ) { cell in
        additions(cell) + fullCycles(cell)
    }

    private static func additions(_ cell: Cell) -> [Measurement] {
        let (agents, frameworks) = (cell["agents"], cell["frameworks"])
        let adding = cell.repetitions.laps {
            var driver = Driver()
            return time { driver.addFrameworks(0..<frameworks) }
        }
        let kinds = cell.repetitions.laps(kinds: 2) {
            [true, false].map { isEach in
                var driver = Driver()
                driver.addFrameworks(0..<frameworks)
                return time {
                    driver.addAgents(
                        agents, .decline, owners: frameworks, allocatingAfterEach: isEach)
                }
            }
        }
        return [
            .time("adding frameworks", "", cell.parameters, adding),
            .time("adding agents", "a cycle after each", cell.parameters, kinds[0]),
            .time("adding agents", "one cycle after all", cell.parameters, kinds[1]),
        ]
    }

    private static func fullCycles(_ cell: Cell) -> [Measurement] {
        let (agents, frameworks) = (cell["agents"], cell["frameworks"])
        var driver = Driver()
        driver.addFrameworks(0..<frameworks)
        driver.addAgents(agents, .decline, owners: frameworks)
        var problem: String?
        func check(_ driver: Driver) {
            let offered = Set(driver.offers.map(\.allocation.agent)).count
            if offered != agents { problem = "\(offered) of \(agents) agents were offered" }
        }
        check(driver)
        let kinds = cell.repetitions.laps(kinds: 2) {
            let back = driver.giveBackAll()
            let cycle = driver.cycle()
            check(driver)
            return [back, cycle]
        }
        // With filters, agents that every framework has declined would not be offered any more.
        let filtered = cell.repetitions.laps(kinds: 2) {
            let back = driver.giveBackAll(refuse: Driver.forever)
            if frameworks < 10 {
                for index in 0..<frameworks {
                    driver.allocator.revive(Driver.framework(index), roles: ["*"])
                }
            }
            return [back, driver.cycle()]
        }
        var measurements: [Measurement] = [
            .time("full cycle", "", cell.parameters, kinds[1], problem: problem),
            .time("handing back", "without filter", cell.parameters, kinds[0]),
            .time("handing back", "with filter", cell.parameters, filtered[0]),
        ]
        if frameworks >= 10 {
            measurements.append(.time("early filter round", "", cell.parameters, filtered[1]))
        }
        return measurements
    }
}
