import BenchSupport
import ProfferModel

/// The workloads with which Mesos measures its resources, under the same names.
enum Workloads {
    static func runAll(_ watch: inout Stopwatch) throws {
        let scalars = try Resources(text: "cpus:1;gpus:1;mem:128;disk:256")
        arithmetic("cpus, gpus, mem, disk", scalars, count: 50_000, &watch)
        arithmetic("cpus, mem, shared volume", withSharedVolume, count: 50_000, &watch)
        arithmetic("4,000 of 1,000 reservations", reserved(1000), count: 10, &watch)
        let backwards = Resources(reserved(1000).items.reversed())
        watch.time(
            "total += r, 4,000 in another order", operations: 10, on: reserved(1000)
        ) { total in
            for _ in 0..<10 { total += backwards }
        }
        filters(scalars, &watch)
        try contains(&watch)
        try parsing(&watch)
        try overlappingPorts(&watch)
        quantities(scalars, &watch)
    }

    private static var withSharedVolume: Resources {
        var all = Resources(cpus: Milli(1), mem: Milli(128))
        all += Resource(
            "disk", .scalar(Milli(256)), reservations: [Reservation(role: "role")],
            disk: DiskInfo(persistenceID: "volume", containerPath: "data"), isShared: true)
        return all
    }

    private static func reserved(_ count: Int) -> Resources {
        Resources(
            (0..<count).flatMap { index in
                let stack = [
                    Reservation(
                        role: "role", principal: "principal",
                        labels: [Label("key\(index)", "value\(index)")])
                ]
                return [("cpus", 1), ("gpus", 1), ("mem", 128), ("disk", 256)].map {
                    Resource($0.0, .scalar(Milli($0.1)), reservations: stack)
                }
            })
    }

    private static func arithmetic(
        _ name: String, _ unit: Resources, count: Int, _ watch: inout Stopwatch
    ) {
        func sum() -> Resources {
            (0..<count).reduce(into: Resources()) { total, _ in total += unit }
        }
        watch.time("total += r, \(name)", operations: count, on: Resources()) { total in
            for _ in 0..<count { total += unit }
        }
        watch.time("total -= r, \(name)", operations: count, on: sum()) { total in
            for _ in 0..<count { total -= unit }
        }
        watch.time("total = total + r, \(name)", operations: count, on: Resources()) { total in
            for _ in 0..<count { total = total + unit }
        }
        watch.time("total = total - r, \(name)", operations: count, on: sum()) { total in
            for _ in 0..<count { total = total - unit }
        }
    }

    private static func filters(_ scalars: Resources, _ watch: inout Stopwatch) {
        let count = 50_000
        var mixed = scalars
        mixed += Resource("cpus", .scalar(Milli(1)), reservations: [Reservation(role: "role")])
        mixed += Resource("cpus", .scalar(Milli(1)), isRevocable: true)
        for (name, all) in [("4 scalars", scalars), ("6 mixed", mixed)] {
            watch.time("filter non-revocable, \(name)", operations: count, on: 0) { kept in
                for _ in 0..<count { kept &+= all.nonRevocable.items.count }
            }
            watch.time("filter unreserved, \(name)", operations: count, on: 0) { kept in
                for _ in 0..<count { kept &+= all.unreserved.items.count }
            }
            watch.time("filter reserved for a role, \(name)", operations: count, on: 0) { kept in
                for _ in 0..<count { kept &+= all.reserved(for: "role").items.count }
            }
        }
    }

    private static func contains(_ watch: inout Stopwatch) throws {
        let two = try Resources(text: "cpus:1;mem:128")
        let four = try Resources(text: "cpus:1;gpus:1;mem:128;disk:256")
        func check(_ name: String, _ whole: Resources, _ part: Resources, count: Int) {
            watch.time("contains, \(name)", operations: count, on: 0) { hits in
                for _ in 0..<count where whole.contains(part) { hits += 1 }
            }
        }
        check("2 scalars in 4", four, two, count: 50_000)
        check("4 scalars in 2", two, four, count: 50_000)
        check("2 scalars in 2", two, two, count: 50_000)
        let one = try Resources(text: "ports:[1-16000]")
        let fragments = ports((0..<8000).map { UInt64($0 * 2 + 1) }.map { $0...$0 })
        check("8,000 fragments of ports in one range", one, fragments, count: 100)
        check("8,000 fragments of ports in themselves", fragments, fragments, count: 100)
    }

    private static func ports(_ list: [ClosedRange<UInt64>]) -> Resources {
        Resources([Resource("ports", .ranges(IntervalSet(list)))])
    }

    private static func parsing(_ watch: inout Stopwatch) throws {
        let text = (0..<100).map { "name\($0):\($0 + 1).5" }.joined(separator: ";")
        _ = try Resources(text: text)
        for count in [1000, 10_000, 50_000] {
            watch.time("parse 100 scalars, \(count) times", operations: count, on: 0) { sum in
                for _ in 0..<count {
                    guard let all = try? Resources(text: text) else { continue }
                    sum &+= all.items.count
                }
            }
        }
    }

    private static func overlappingPorts(_ watch: inout Stopwatch) throws {
        for count in [10, 100, 1000] {
            // Every range overlaps its neighbours in the other operand and none in its own.
            let even = ports((0..<UInt64(count)).map { ($0 * 20)...($0 * 20 + 11) })
            let odd = ports((0..<UInt64(count)).map { ($0 * 20 + 5)...($0 * 20 + 15) })
            watch.time("ports += / -= of \(count) ranges", operations: 2000, on: even) { total in
                for _ in 0..<1000 {
                    total += odd
                    total -= odd
                }
            }
            let port = ports([7...7])
            watch.time(
                "ports -= / += of one in \(count) ranges", operations: 2000, on: even
            ) { total in
                for _ in 0..<1000 {
                    total -= port
                    total += port
                }
            }
        }
    }

    private static func quantities(_ scalars: Resources, _ watch: inout Stopwatch) {
        watch.time("quantities of 4 scalars", operations: 50_000, on: 0) { sum in
            for _ in 0..<50_000 { sum &+= scalars.quantities.entries.count }
        }
        let unit = scalars.quantities
        watch.time("quantities += 4", operations: 50_000, on: ResourceQuantities()) { total in
            for _ in 0..<50_000 { total += unit }
        }
        var half = ResourceQuantities()
        half.add(Milli(64), to: "mem")
        half.add(Milli(1), to: "cpus")
        watch.time("shrink 4 scalars to 2", operations: 50_000, on: 0) { sum in
            for _ in 0..<50_000 { sum &+= scalars.shrunk(to: half).items.count }
        }
    }
}
