import ProfferAllocation
import ProfferKernel
import ProfferModel

/// The order of clients by share, seen through the allocator: there is no sorter of its own.
private struct Sorting {
    var name: String
    var agents: Int
    /// The role of each client.
    var roles: [String]

    static let shape = Shape(
        "cpus:24;mem:4096;disk:4096;ports:[31000-32000]",
        used: "cpus:16;mem:2014;disk:1024;" + Shape.ports(100))

    /// All agents are inactive but one, so that a cycle has the clients to order and little else.
    func measure(_ cell: Cell) -> [Measurement] {
        let clients = roles.count
        var changed: [Lap] = []
        var unchanged: [Lap] = []
        var everybody: [Lap] = []
        var problem: String?
        let kinds = cell.repetitions.laps(kinds: 4) {
            var driver = Driver()
            let addClients = time { driver.addFrameworks(0..<clients, role: { roles[$0] }) }
            let addAgents = time {
                for index in 0..<agents {
                    driver.addAgent(index, Self.shape, isActive: index == 0)
                }
            }
            let allocate = time {
                for index in 0..<max(agents, clients) where index % agents != 0 {
                    hold(index, &driver)
                }
            }
            let first = driver.cycle()
            if driver.offers.isEmpty { problem = "the free agent was not offered" }
            let bigger = Self.shape.total + Resources(cpus: Milli(1))
            for round in 1...3 {
                driver.giveBackAll()
                driver.allocator.setAgent(
                    AgentInfo(
                        hostname: "node-1",
                        resources: round % 2 == 1 ? bigger : Self.shape.total,
                        id: Driver.agent(1)),
                    isActive: false)
                changed.append(driver.cycle())
                unchanged.append(driver.cycle())
            }
            driver.giveBackAll()
            for index in 1..<min(agents, clients) {
                driver.allocator.setActive(agent: Driver.agent(index), true)
            }
            everybody.append(driver.cycle())
            return [addClients, addAgents, allocate, first]
        }
        let size = ["agents": agents, "clients": clients]
        return [
            .time(name, "add clients", size, kinds[0]), .time(name, "add agents", size, kinds[1]),
            .time(name, "allocate", size, kinds[2]),
            .time(name, "first cycle, one agent free", size, kinds[3], problem: problem),
            .time(name, "cycle after the total changed", size, changed),
            .time(name, "nothing has changed", size, unchanged),
            .time(name, "an agent free for every client", size, everybody),
        ]
    }

    private func hold(_ index: Int, _ driver: inout Driver) {
        let client = index % roles.count
        driver.allocator.hold(
            Allocation(
                framework: Driver.framework(client), role: roles[client],
                agent: Driver.agent(index % agents), resources: Self.shape.used))
    }
}

extension Workload {
    static let fullSort = Workload(
        name: "FullSort",
        about: "the order of many frameworks of one role, through the allocator",
        cells: [(1000, 1000), (50_000, 1000), (50_000, 10_000), (50_000, 50_000)]
            .map { ["agents": $0.0, "clients": $0.1] },
        quick: [["agents": 1000, "clients": 1000]]
    ) { cell in
        Sorting(
            name: "FullSort", agents: cell["agents"],
            roles: [String](repeating: "*", count: cell["clients"])
        ).measure(cell)
    }

    static let hierarchyFullSort = Workload(
        name: "HierarchyFullSort",
        about: "the order of frameworks in a tree of roles, through the allocator",
        cells: [(3, 32), (7, 3), (10, 2)]
            .map { ["agents": 10_000, "height": $0.0, "branching": $0.1] },
        quick: [["agents": 1000, "height": 3, "branching": 32]]
    ) { cell in
        var roles: [String] = []
        var level = [""]
        for _ in 1..<cell["height"] {
            level = level.flatMap { parent in
                (0..<cell["branching"]).map { parent.isEmpty ? "r\($0)" : "\(parent)/r\($0)" }
            }
            roles += level
        }
        return Sorting(
            name: "HierarchyFullSort, height \(cell["height"])", agents: cell["agents"],
            roles: roles
        ).measure(cell)
    }
}
