import ProfferKernel
import ProfferModel

/// A cluster with one or two frameworks per role and a quota for each role.
private struct QuotaCluster {
    var agents: Int
    var frameworks: Int
    var roles: Int
    /// By role.
    var quota: (Int) -> ResourceQuantities?

    /// Whether cycle 1 gave a role less than it is promised, or more than it may hold.
    private func problem(_ driver: Driver) -> String? {
        var held: [String: ResourceQuantities] = [:]
        for offer in driver.offers {
            held[offer.allocation.role, default: ResourceQuantities()] +=
                offer.allocation.resources.quantities
        }
        var below = 0
        var above = 0
        for role in 0..<roles {
            guard let quota = quota(role) else { continue }
            let held = held["role-\(role)"] ?? ResourceQuantities()
            if !held.contains(quota) { below += 1 }
            if !quota.contains(held) { above += 1 }
        }
        if below + above == 0 { return nil }
        return "\(below) roles are below their guarantee, \(above) above their limit"
    }

    func measure(_ name: String, _ variant: String, _ cell: Cell) -> [Measurement] {
        var offers: [Double] = []
        var problems: [String] = []
        let kinds = cell.repetitions.laps(kinds: 6) {
            var driver = Driver()
            for index in 0..<agents { driver.addAgent(index, .quota) }
            let adding = time {
                driver.addFrameworks(0..<frameworks, role: { "role-\($0 % roles)" })
            }
            let setting = time {
                for role in 0..<roles {
                    guard let amounts = quota(role) else { continue }
                    driver.allocator.setQuota(
                        Quota(
                            role: "role-\(role)", guarantees: amounts,
                            limits: amounts.entries.map {
                                QuotaLimit(name: $0.name, amount: $0.amount)
                            }))
                }
            }
            let first = driver.cycle()
            offers.append(Double(driver.offers.count))
            if let problem = problem(driver) { problems.append(problem) }
            driver.now = driver.now + .seconds(1)
            let second = driver.cycle()
            let marking = driver.markAll(agents)
            let forced = driver.cycle()
            if Double(driver.offers.count) != offers.last {
                problems.append("the second cycle made offers")
            }
            return [adding, setting, first, second, marking, forced]
        }
        let labels = [
            "add frameworks", "set quotas", "cycle 1", "cycle 2", "mark every agent",
            "cycle 2, every agent marked",
        ]
        let figures = labels.indices.map { index in
            Measurement.time(
                name, variant + labels[index], cell.parameters, kinds[index],
                problem: index == 2 || index == 5 ? problems.first : nil)
        }
        return figures + [
            .figure(name, variant + "offers", cell.parameters, offers, unit: "offers")
        ]
    }
}

extension Workload {
    static let largeAndSmallQuota = Workload(
        name: "LargeAndSmallQuota",
        about: "many small and some large quotas, one framework per role",
        cells: [(25, 5), (250, 50), (2500, 500)].map { ["small": $0.0, "large": $0.1] },
        quick: [["small": 25, "large": 5]]
    ) { cell in
        let (small, large) = (cell["small"], cell["large"])
        return QuotaCluster(
            agents: small / 5 + 5 * large, frameworks: small + large, roles: small + large
        ) {
            quantities(
                $0 < small ? "cpus:1;mem:1024;disk:1024" : "cpus:4;mem:4096;disk:4096")
        }.measure("LargeAndSmallQuota", "", cell)
    }

    static let nonQuotaVsQuota = Workload(
        name: "NonQuotaVsQuota",
        about: "the same outcome without and with quota, two frameworks and agents per role",
        cells: [10, 100, 1000].flatMap { roles in
            [0, 1].map { ["roles": roles, "quota": $0] }
        },
        quick: [["roles": 10, "quota": 0], ["roles": 10, "quota": 1]]
    ) { cell in
        let roles = cell["roles"]
        let amounts = cell["quota"] == 1 ? quantities("cpus:4;mem:4096;disk:4096") : nil
        return QuotaCluster(agents: 2 * roles, frameworks: 2 * roles, roles: roles) { _ in
            amounts
        }.measure("NonQuotaVsQuota", "", cell)
    }

    /// Of Mesos' Metrics benchmark: agents come while every role has a quota.
    static let quotaAgents = Workload(
        name: "QuotaAgents",
        about: "agents come one by one while every framework's role has a quota",
        cells: [
            ["agents": 1000, "frameworks": 50], ["agents": 10_000, "frameworks": 100],
            ["agents": 50_000, "frameworks": 100],
        ],
        quick: [["agents": 1000, "frameworks": 50]]
    ) { cell in
        let shape = Shape("cpus:16;mem:2048;disk:1024")
        let amounts = quantities("cpus:1;mem:512;disk:256")
        let laps = cell.repetitions.laps {
            var driver = Driver()
            driver.addFrameworks(0..<cell["frameworks"], role: { "role-\($0)" })
            for role in 0..<cell["frameworks"] {
                driver.allocator.setQuota(Quota(role: "role-\(role)", guarantees: amounts))
            }
            return time {
                driver.addAgents(cell["agents"], shape, owners: 1, allocatingAfterEach: true)
            }
        }
        return [.time("adding agents", "quota on every role", cell.parameters, laps)]
    }
}
