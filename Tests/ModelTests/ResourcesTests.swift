import ProfferKernel
import ProfferModel
import Testing

/// Resources drawn at random.
///
/// `part` keeps the members of ranges and sets apart: resources of
/// different parts never have a port or a name in common.
private struct ResourceDrawer {
    var random: SeededGenerator
    var isSharing = false

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func resources(part: Int = 0) -> Resources {
        var all = Resources()
        for _ in 0..<Int.random(in: 0...8, using: &random) { all += resource(part: part) }
        return all
    }

    private mutating func resource(part: Int) -> Resource {
        let reservations: [[Reservation]] = [
            [], [], [], [Reservation(role: "eng")],
            [Reservation(kind: .static, role: "eng"), Reservation(role: "eng/dev")],
            [Reservation(role: "eng", principal: "p", labels: [Label("k", "v")])],
        ]
        let stack = reservations.randomElement(using: &random) ?? []
        let isRevocable = Int.random(in: 0..<5, using: &random) == 0
        let amount = Milli(thousandths: Int64.random(in: 1...5000, using: &random))
        switch Int.random(in: 0..<7, using: &random) {
        case 0, 1:
            return Resource(
                "cpus", .scalar(amount), reservations: stack, isRevocable: isRevocable)
        case 2:
            return Resource("mem", .scalar(amount), reservations: stack)
        case 3:
            let low = UInt64(part) * 100 + UInt64.random(in: 0..<90, using: &random)
            let high = low + UInt64.random(in: 0..<9, using: &random)
            return Resource("ports", .ranges(IntervalSet([low...high])), reservations: stack)
        case 4:
            let names = Set(
                (0..<3).map { _ in "\(part)-\(Int.random(in: 0..<5, using: &random))" })
            return Resource("zones", .set(names.sorted()), reservations: stack)
        case 5:
            return Resource(
                "disk", .scalar(amount),
                disk: DiskInfo(source: .mount(root: "/m\(Int.random(in: 0..<3, using: &random))")))
        default:
            let isShared = isSharing && Bool.random(using: &random)
            return Resource(
                "disk", .scalar(Milli(64)), reservations: [Reservation(role: "eng")],
                disk: DiskInfo(
                    persistenceID: "v\(Int.random(in: 0..<3, using: &random))",
                    containerPath: "data"), isShared: isShared)
        }
    }
}

/// The same things in an order that does not depend on how they were collected.
private func content(_ resources: Resources) -> [String] {
    resources.items.map { "\($0)" }.sorted()
}

@Suite("Resources arithmetic")
struct ResourcesArithmeticTests {
    private static let seeds = UInt64(0)..<300

    @Test("sums do not depend on order or grouping", arguments: seeds)
    func sums(seed: UInt64) {
        var drawer = ResourceDrawer(seed: seed)
        drawer.isSharing = true
        let (a, b, c) = (drawer.resources(), drawer.resources(), drawer.resources())
        #expect(content(a + b) == content(b + a))
        #expect(content((a + b) + c) == content(a + (b + c)))
        #expect(content(a + Resources()) == content(a))
        #expect(content(Resources(a.items.reversed())) == content(a))
    }

    @Test("a sum contains its parts", arguments: seeds)
    func containment(seed: UInt64) {
        var drawer = ResourceDrawer(seed: seed)
        drawer.isSharing = true
        let (a, b) = (drawer.resources(), drawer.resources())
        #expect((a + b).contains(a))
        #expect((a + b).contains(b))
        #expect(a.contains(a))
        #expect(a.contains(Resources()))
        #expect(b.isEmpty || !Resources().contains(b))
        #expect((a - b).contains(a) == content(a - b).elementsEqual(content(a)))
    }

    @Test("what was added can be taken away again", arguments: seeds)
    func inverse(seed: UInt64) {
        var drawer = ResourceDrawer(seed: seed)
        let (a, b) = (drawer.resources(part: 0), drawer.resources(part: 1))
        #expect(content((a + b) - b) == content(a))
        #expect(content((a + b) - a) == content(b))
        #expect((a - a).isEmpty)
    }

    @Test("what is contained can be taken away and put back", arguments: seeds)
    func carving(seed: UInt64) {
        var drawer = ResourceDrawer(seed: seed)
        let (a, b) = (drawer.resources(), drawer.resources())
        let whole = a + b
        #expect(whole.contains(a))
        #expect(content((whole - a) + a) == content(whole))
    }

    @Test("containment is transitive", arguments: seeds)
    func transitive(seed: UInt64) {
        var drawer = ResourceDrawer(seed: seed)
        let a = drawer.resources()
        let ab = a + drawer.resources()
        let abc = ab + drawer.resources()
        #expect(abc.contains(ab) && ab.contains(a) && abc.contains(a))
    }

    @Test("scalar totals add up exactly", arguments: seeds)
    func totals(seed: UInt64) {
        var drawer = ResourceDrawer(seed: seed)
        let (a, b) = (drawer.resources(part: 0), drawer.resources(part: 1))
        for name in ["cpus", "mem", "disk", "absent"] {
            #expect((a + b).scalar(name) == a.scalar(name) + b.scalar(name))
            #expect(a.quantities[name] == a.scalar(name))
        }
        var sum = a.quantities
        sum += b.quantities
        #expect(sum == (a + b).quantities)
        sum -= b.quantities
        #expect(sum == a.quantities)
        #expect((a + b).quantities.contains(a.quantities))
        #expect((a + b).ports == a.ports.union(b.ports))
    }

    @Test("nothing empty is kept and no divisible kind appears twice", arguments: seeds)
    func normalForm(seed: UInt64) {
        var drawer = ResourceDrawer(seed: seed)
        drawer.isSharing = true
        let (a, b) = (drawer.resources(), drawer.resources())
        for result in [a, a + b, a - b] {
            #expect(result.items.allSatisfy { !$0.value.isEmpty })
            for (index, item) in result.items.enumerated() where !item.isIndivisible {
                #expect(!result.items.dropFirst(index + 1).contains { $0.isSameKind(as: item) })
            }
        }
    }
}

@Suite("Resources")
struct ResourcesTests {
    private let volume = Resource(
        "disk", .scalar(Milli(64)), reservations: [Reservation(role: "eng")],
        disk: DiskInfo(persistenceID: "v", containerPath: "data"))

    @Test("more than there is leaves nothing, never less than nothing")
    func saturation() {
        let rest = Resources(cpus: Milli(1), mem: Milli(10)) - Resources(cpus: Milli(2))
        #expect(rest == Resources(mem: Milli(10)))
    }

    @Test("a negative amount is kept for whoever validates it")
    func negative() {
        let wrong = Resources([Resource("cpus", .scalar(Milli(-1)))])
        #expect(!wrong.isEmpty)
        #expect(wrong.cpus == Milli(-1))
    }

    @Test("a volume is used whole or not at all")
    func volumes() {
        var half = volume
        half.value = .scalar(Milli(32))
        let one = Resources([volume])
        #expect(one.contains(one))
        #expect(!one.contains(Resources([half])))
        #expect((one - Resources([half])) == one)
        #expect((one - one).isEmpty)
        #expect(!one.contains(Resources([volume, volume])))
        #expect(Resources([volume, volume]).items.count == 2)
    }

    @Test("a mount disk neither merges nor splits, a path disk does both")
    func mounts() {
        func disk(_ size: Int, _ source: DiskInfo.Source) -> Resource {
            Resource("disk", .scalar(Milli(size)), disk: DiskInfo(source: source))
        }
        let mounts = Resources([disk(10, .mount(root: "/a")), disk(10, .mount(root: "/a"))])
        #expect(mounts.items.count == 2)
        #expect(!mounts.contains(Resources([disk(5, .mount(root: "/a"))])))
        let paths = Resources([disk(10, .path(root: "/a")), disk(10, .path(root: "/a"))])
        #expect(paths.items.count == 1)
        #expect(paths.contains(Resources([disk(15, .path(root: "/a"))])))
        #expect(!paths.contains(Resources([disk(15, .path(root: "/b"))])))
    }

    @Test("a shared volume is there once however often it is added, and as many can hold it")
    func shared() {
        var shared = volume
        shared.isShared = true
        let twice = Resources([shared, shared])
        #expect(twice.items.count == 1)
        #expect(twice.contains(Resources([shared]) + Resources([shared])))
        #expect(!twice.contains(Resources([volume])))
    }

    @Test("amounts that differ in name, role, revocability or type are different things")
    func kinds() {
        let variants = [
            Resource("cpus", .scalar(Milli(1))), Resource("gpus", .scalar(Milli(1))),
            Resource("cpus", .scalar(Milli(1)), isRevocable: true),
            Resource("cpus", .scalar(Milli(1)), reservations: [Reservation(role: "a")]),
            Resource("cpus", .scalar(Milli(1)), reservations: [Reservation(role: "b")]),
            Resource(
                "cpus", .scalar(Milli(1)), reservations: [Reservation(kind: .static, role: "a")]),
            Resource(
                "cpus", .scalar(Milli(1)),
                reservations: [Reservation(role: "a", labels: [Label("k")])]),
            Resource("cpus", .ranges(IntervalSet([1...1]))), Resource("cpus", .set(["1"])),
        ]
        let all = Resources(variants)
        #expect(all.items.count == variants.count)
        for variant in variants {
            let others = all - Resources([variant])
            #expect(others.items.count == variants.count - 1)
            #expect(!others.contains(Resources([variant])))
        }
    }

    @Test(
        "a reservation is for its role and the roles below it",
        arguments: [
            ("eng", "eng", true), ("eng", "eng/dev", true), ("eng", "engine", false),
            ("eng/dev", "eng", false), ("eng", "*", false), ("eng", "sales", false),
        ])
    func roles(reserved: String, role: String, isAllowed: Bool) {
        let resource = Resource(
            "cpus", .scalar(Milli(1)), reservations: [Reservation(role: reserved)])
        #expect(resource.isAllocatable(to: role) == isAllowed)
        #expect(Resources([resource]).allocatable(to: role).isEmpty != isAllowed)
        #expect(Resource("cpus", .scalar(Milli(1))).isAllocatable(to: role))
    }

    @Test("the last reservation of a stack says whose it is")
    func refinement() {
        let stack = [Reservation(kind: .static, role: "eng"), Reservation(role: "eng/dev")]
        let resource = Resource("cpus", .scalar(Milli(1)), reservations: stack)
        #expect(resource.reservedRole == "eng/dev")
        #expect(!resource.isAllocatable(to: "eng"))
        #expect(Resources([resource]).unreserved.isEmpty)
        #expect(Resources([resource]).flattened == Resources(cpus: Milli(1)))
    }

    @Test("quantities are sorted by name and keep no zero")
    func quantities() {
        var sums = ResourceQuantities()
        for name in ["mem", "cpus", "disk", "cpus"] { sums.add(Milli(1), to: name) }
        sums.add(.zero, to: "zero")
        #expect(sums.entries.map(\.name) == ["cpus", "disk", "mem"])
        #expect(sums["cpus"] == Milli(2))
        sums.add(Milli(-2), to: "cpus")
        #expect(sums.entries.map(\.name) == ["disk", "mem"])
    }
}

@Suite("Resource text")
struct ResourceTextTests {
    @Test("a text is read into the resources it names")
    func reading() throws {
        let read = try Resources(
            text: "cpus:1.5;mem(web):512; ports:[31000-31002,31003-31005] ;models:{b, a,b};cpus:1")
        #expect(read.cpus == Milli(thousandths: 2500))
        #expect(read.ports.intervals == [31_000...31_005])
        #expect(read.unreserved.mem == .zero)
        #expect(read.allocatable(to: "web").mem == Milli(512))
        #expect(read.items.first { $0.name == "models" }?.value == .set(["a", "b"]))
    }

    @Test("what is written can be read", arguments: UInt64(0)..<100)
    func roundTrip(seed: UInt64) throws {
        var drawer = ResourceDrawer(seed: seed)
        let drawn = drawer.resources().filter { $0.disk == nil && !$0.isRevocable }
        let plain = Resources(
            drawn.items.map { item in
                var plain = item
                plain.reservations =
                    item.reservedRole.map {
                        [Reservation(kind: .static, role: $0)]
                    } ?? []
                return plain
            })
        #expect(try Resources(text: plain.description) == plain)
    }

    @Test(
        "a text that is wrong is refused, and the wrong part is named",
        arguments: [
            "cpus", "cpus:", ":1", "cpus:-1", "cpus:1.2345", "cpus:nan", "ports:[1]",
            "ports:[5-1]", "ports:[1-2", "ports:[1-99999999999999999999]", "set:{a", "cpus():1",
            "(a):1", "cpus:1;mem", "cpus:9999999999999",
        ])
    func wrong(text: String) throws {
        let problem = #expect(throws: ResourceTextProblem.self) {
            _ = try Resources(text: text)
        }
        let part = try #require(problem?.part)
        #expect(text.split(separator: ";").contains { $0 == part })
        #expect(problem?.because.isEmpty == false)
    }

    @Test("attributes are numbers, ranges or text, as they look")
    func attributes() throws {
        let read = try Attribute.list(text: "rack:r1;weight:2.5;slots:[1-4];path:a:b")
        #expect(
            read == [
                Attribute(name: "rack", value: .text("r1")),
                Attribute(name: "weight", value: .scalar(Milli(thousandths: 2500))),
                Attribute(name: "slots", value: .ranges(IntervalSet([1...4]))),
                Attribute(name: "path", value: .text("a:b")),
            ])
        for text in ["rack", ":r1", "rack:"] {
            #expect(throws: ResourceTextProblem.self) { _ = try Attribute.list(text: text) }
        }
    }
}
