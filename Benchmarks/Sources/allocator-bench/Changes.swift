import ProfferAllocation
import ProfferKernel
import ProfferModel

extension Workload {
    static let addAndUpdate = Workload(
        name: "AddAndUpdateSlave",
        about: "agents come, and every one of them reports 10 revocable cpus",
        cells: [
            ["agents": 1000, "frameworks": 50], ["agents": 10_000, "frameworks": 100],
            ["agents": 50_000, "frameworks": 100],
        ],
        quick: [["agents": 1000, "frameworks": 50]]
    ) { cell in
        let (agents, frameworks) = (cell["agents"], cell["frameworks"])
        let more =
            Shape.update.total
            + Resources([Resource("cpus", .scalar(Milli(10)), isRevocable: true)])
        let kinds = cell.repetitions.laps(kinds: 2) {
            var driver = Driver()
            driver.addFrameworks(0..<frameworks, capabilities: [.multiRole, .revocableResources])
            let adding = time {
                driver.addAgents(agents, .update, owners: frameworks, allocatingAfterEach: true)
            }
            let updating = time {
                for index in 0..<agents {
                    driver.allocator.setAgent(
                        AgentInfo(
                            hostname: "node-\(index)", resources: more, id: Driver.agent(index)),
                        isActive: true)
                    driver.cycle()
                }
            }
            return [adding, updating]
        }
        return [
            .time("AddAndUpdateSlave", "add", cell.parameters, kinds[0]),
            .time("AddAndUpdateSlave", "update", cell.parameters, kinds[1]),
        ]
    }

    static let resourceLabels = Workload(
        name: "ResourceLabels",
        about: "two reservations with 12 labels each on every agent; every agent is declined",
        cells: [["agents": 1000, "frameworks": 50], ["agents": 5000, "frameworks": 100]],
        quick: [["agents": 1000, "frameworks": 50]]
    ) { cell in
        var shape = Shape.decline
        for last in ["a", "b"] {
            let labels =
                (0..<11).map { Label("key-\($0)", "value-\($0)") } + [Label("last", last)]
            for name in ["cpus", "mem", "disk"] {
                shape.total += Resource(
                    name, .scalar(Milli(name == "cpus" ? 2 : 256)),
                    reservations: [Reservation(role: "role1", labels: labels)])
            }
        }
        var driver = Driver()
        driver.addFrameworks(0..<cell["frameworks"], role: { _ in "role1" })
        driver.addAgents(cell["agents"], shape, owners: cell["frameworks"]) { _ in "role1" }
        let laps = cell.repetitions.laps {
            driver.giveBackAll(refuse: Driver.forever)
            return driver.cycle()
        }
        return [.time("ResourceLabels", "cycle", cell.parameters, laps)]
    }

    static let suppress = Workload(
        name: "SuppressOffers",
        about: "everything is given back and another fifth of the frameworks suppressed, 5 times",
        cells: [["agents": 10_000, "frameworks": 1000]],
        quick: [["agents": 1000, "frameworks": 50]]
    ) { cell in
        let frameworks = cell["frameworks"]
        var driver = Driver()
        driver.addFrameworks(0..<frameworks)
        driver.addAgents(cell["agents"], .suppress, owners: frameworks)
        return (0..<5).map { round in
            driver.giveBackAll()
            for index in (round * frameworks / 5)..<((round + 1) * frameworks / 5) {
                driver.allocator.suppress(Driver.framework(index), roles: ["*"])
            }
            let lap = driver.cycle()
            let wrong = round == 4 && !driver.offers.isEmpty
            return .time(
                "SuppressOffers", "\(20 * (round + 1)) % suppressed", cell.parameters, [lap],
                problem: wrong ? "a suppressed framework was offered something" : nil)
        }
    }

    static let extremeSuppress = Workload(
        name: "ExtremeSuppressOffers",
        about: "99 % of the frameworks are suppressed from the start",
        cells: [["agents": 10_000, "frameworks": 1000]],
        quick: [["agents": 1000, "frameworks": 100]]
    ) { cell in
        let frameworks = cell["frameworks"]
        var driver = Driver()
        driver.addFrameworks(0..<frameworks, isSuppressed: { $0 % 100 != 0 })
        driver.addAgents(cell["agents"], .suppress, owners: frameworks)
        let laps = (0..<5).map { _ in
            driver.giveBackAll()
            return driver.cycle()
        }
        return [.time("ExtremeSuppressOffers", "cycle", cell.parameters, laps)]
    }

    static let backlog = Workload(
        name: "AllocatorBacklog",
        about: "every framework revives, back to back, after everything was declined once",
        cells: [["agents": 10_000, "frameworks": 1000]],
        quick: [["agents": 1000, "frameworks": 50]]
    ) { cell in
        let shape = Shape("cpus:24;mem:4096;disk:4096;ports:[31000-32000]")
        var driver = Driver()
        driver.addFrameworks(0..<cell["frameworks"])
        driver.addAgents(cell["agents"], shape, owners: 1)
        let kinds = cell.repetitions.laps(kinds: 2) {
            driver.giveBackAll(refuse: Driver.forever)
            let revive = time {
                for index in 0..<cell["frameworks"] {
                    driver.allocator.revive(Driver.framework(index), roles: ["*"])
                }
            }
            return [revive, driver.cycle()]
        }
        return [
            .time("AllocatorBacklog", "all REVIVE calls", cell.parameters, kinds[0]),
            .time("AllocatorBacklog", "the one cycle after them", cell.parameters, kinds[1]),
        ]
    }

    static let persistentVolumes = Workload(
        name: "PersistentVolumes",
        about: "a persistent volume on every agent; everything is given back and offered again",
        cells: [0, 1, 2].map { ["agents": 10_000, "frameworks": 100, "kind": $0] },
        quick: [["agents": 1000, "frameworks": 50, "kind": 1]]
    ) { cell in
        let reserved = "cpus(test):24;mem(test):4096;disk(test):3072"
        let used = "cpus(test):16;mem(test):2014;disk(test):1024;"
        var shape = Shape(
            reserved + ";ports:[31000-32000]", used: used + Shape.ports(16))
        let names = ["REGULAR", "SHARED", "MIXED"]
        func volume(_ id: String, isShared: Bool) -> Resource {
            Resource(
                "disk", .scalar(Milli(1024)),
                reservations: [Reservation(kind: .static, role: "test")],
                disk: DiskInfo(persistenceID: id, containerPath: "data"), isShared: isShared)
        }
        if cell["kind"] != 1 { shape.total += volume("own", isShared: false) }
        if cell["kind"] != 0 {
            shape.total += volume("shared", isShared: true)
            shape.used += volume("shared", isShared: true)
        }
        var driver = Driver()
        driver.addFrameworks(
            0..<cell["frameworks"],
            capabilities: [.multiRole, .sharedResources, .reservationRefinement],
            role: { _ in "test" })
        driver.addAgents(cell["agents"], shape, owners: cell["frameworks"]) { _ in "test" }
        let laps = (0..<6).map { _ in
            driver.giveBackAll()
            return driver.cycle()
        }
        let size = ["agents": cell["agents"], "frameworks": cell["frameworks"]]
        return [.time("PersistentVolumes", names[cell["kind"]], size, laps)]
    }

    static let updateAllocation = Workload(
        name: "UpdateAllocation",
        about: "every role's part of one agent is reserved with a label and unreserved again",
        cells: [50, 100, 200].map { ["roles": $0] },
        quick: [["roles": 50]]
    ) { cell in
        let roles = cell["roles"]
        func part(_ role: Int, _ reservations: [Reservation]) -> Resources {
            let scalars = ["cpus", "mem", "disk"].map {
                Resource($0, .scalar(Milli(100)), reservations: reservations)
            }
            let first = UInt64(10_000 + role * 100)
            let ports = Resource(
                "ports", .ranges(IntervalSet([first...(first + 98)])), reservations: reservations)
            return Resources(scalars + [ports])
        }
        let plain = (0..<roles).map { part($0, []) }
        let reserved = (0..<roles).map { role in
            part(
                role,
                [Reservation(role: "role-\(role)", labels: [Label("key", "\(role * 7919)")])])
        }
        var driver = Driver()
        driver.addFrameworks(0..<1, capabilities: [.multiRole, .reservationRefinement])
        var shape = Shape("")
        shape.total = plain.reduce(into: Resources()) { $0 += $1 }
        shape.used = shape.total
        driver.addAgent(0, shape, owner: 0)
        func convert(_ old: [Resources], _ new: [Resources]) {
            for role in 0..<roles {
                driver.allocator.convert(
                    Allocation(
                        framework: Driver.framework(0), role: "*", agent: Driver.agent(0),
                        resources: old[role]), into: new[role])
            }
        }
        let laps = (0..<(cell.isQuick ? 3 : 20)).map { _ in
            time {
                convert(plain, reserved)
                convert(reserved, plain)
            }
        }
        return [.time("UpdateAllocation", "reserve and unreserve", cell.parameters, laps)]
    }
}
