import ProfferKernel
import ProfferModel
import Testing

/// What holds for all resources, against a model that counts one by one.
@Suite("Resource laws")
struct ResourceLawTests {
    private static let seeds = UInt64(0)..<400

    @Test("sums are those of the model, whatever the order and the grouping", arguments: seeds)
    func sums(seed: UInt64) {
        var bag = ResourceBag(seed: seed)
        let (a, b, c) = (bag.resources(), bag.resources(), bag.resources())
        #expect(ResourceModel(a + b) == ResourceModel(a).union(b))
        #expect(ResourceModel(a + b) == ResourceModel(b + a))
        #expect(ResourceModel((a + b) + c) == ResourceModel(a + (b + c)))
        var one = a
        for item in b.items { one += item }
        #expect(ResourceModel(one).contains(ResourceModel(a)))
    }

    @Test("what is left is what the model leaves, and what was added goes again", arguments: seeds)
    func differences(seed: UInt64) {
        var bag = ResourceBag(seed: seed)
        let (a, b) = (bag.resources(), bag.resources())
        #expect(ResourceModel(a - b) == ResourceModel(a).subtracting(ResourceModel(b)))
        #expect(ResourceModel((a + b) - b) == ResourceModel(a).union(b).subtracting(.init(b)))
        // Ranges and sets of both overlap; everything else comes out as it was.
        let scalars = { (all: Resources) in
            all.filter {
                if case .scalar = $0.value { return true }
                return false
            }
        }
        #expect(ResourceModel(scalars((a + b) - b)) == ResourceModel(scalars(a)))
        #expect((a - a).isEmpty)
    }

    @Test("contains says whether anything is missing, exact subtraction too", arguments: seeds)
    func containment(seed: UInt64) {
        var bag = ResourceBag(seed: seed)
        let (a, b) = (bag.resources(), bag.resources(upTo: 3))
        #expect(a.contains(b) == ResourceModel(a).contains(ResourceModel(b)))
        #expect(a.contains(b) == (b - a).isEmpty)
        #expect((a.subtracting(exactly: b) == a - b) == a.contains(b))
        #expect((a.subtracting(exactly: b) == nil) == !a.contains(b))
        #expect((a + b).contains(a) && (a + b).contains(b))
        if let rest = a.subtracting(exactly: b) {
            #expect(ResourceModel(rest + b) == ResourceModel(a))
        }
    }

    @Test("every filter and its opposite part the resources", arguments: seeds)
    func filters(seed: UInt64) {
        var bag = ResourceBag(seed: seed)
        let all = bag.resources(upTo: 16)
        let pairs = [
            (all.revocable, all.nonRevocable), (all.shared, all.nonShared),
            (all.reserved, all.unreserved),
            (all.reserved(for: "eng"), all.filter { $0.reservedRole != "eng" }),
            (all.allocatable(to: "eng"), all.filter { !$0.isAllocatable(to: "eng") }),
            (all.persistentVolumes, all.filter { !$0.isPersistentVolume }),
        ]
        for (inside, outside) in pairs {
            #expect(ResourceModel(inside + outside) == ResourceModel(all))
            #expect(inside.items.count + outside.items.count == all.items.count)
        }
        #expect(all.revocable.items.allSatisfy { $0.isRevocable })
        #expect(all.shared.items.allSatisfy { $0.isShared })
        #expect(all.unreserved.items.allSatisfy { $0.reservations.isEmpty })
        #expect(all.reserved(for: "eng").items.allSatisfy { $0.reservedRole == "eng" })
        #expect(all.persistentVolumes.items.allSatisfy { $0.disk?.persistenceID != nil })
    }

    @Test("a reservation that was pushed can be popped, and nothing else changes", arguments: seeds)
    func reservations(seed: UInt64) throws {
        var bag = ResourceBag(seed: seed)
        let all = bag.resources()
        let pushed = all.pushReservation(Reservation(role: "eng/dev/x"))
        #expect(pushed.items.allSatisfy { $0.reservedRole == "eng/dev/x" })
        #expect(pushed.quantities == all.quantities)
        let popped = try #require(pushed.popReservation())
        #expect(ResourceModel(popped) == ResourceModel(all))
        #expect((all.popReservation() == nil) == !all.unreserved.isEmpty)
        let unreserved = all.toUnreserved()
        #expect(unreserved.items.allSatisfy { $0.reservations.isEmpty })
        #expect(unreserved.toUnreserved() == unreserved)
        #expect(unreserved.ports == all.ports)
        #expect(unreserved.cpus == all.cpus)
        #expect(unreserved.revocable.cpus == all.revocable.cpus)
    }

    @Test("shrunk resources are within the target and within what there is", arguments: seeds)
    func shrinking(seed: UInt64) {
        var bag = ResourceBag(seed: seed)
        let all = bag.resources(upTo: 16)
        var target = ResourceQuantities()
        for name in ["cpus", "mem", "disk"] {
            target.add(Milli(Int.random(in: 0...70, using: &bag.random)), to: name)
        }
        let part = all.shrunk(to: target)
        #expect(target.contains(part.quantities))
        #expect(all.contains(part))
        for item in part.items where item.isIndivisible { #expect(all.items.contains(item)) }
        for name in ["cpus", "mem", "gpus"] {
            #expect(part.scalar(name) == min(all.scalar(name), target[name]))
        }
        #expect(part.ports == all.ports)
        #expect(part.shrunk(to: target) == part)
        #expect(all.shrunk(to: all.quantities) == all)
        #expect(all.shrunk(to: ResourceQuantities(), limiting: { _ in false }) == all)
        #expect(all.shrunk(to: target, limiting: { $0 == "cpus" }).mem == all.mem)
    }

    @Test("many kinds in any order are found as few are", arguments: UInt64(0)..<20)
    func manyKinds(seed: UInt64) {
        var bag = ResourceBag(seed: seed)
        var list: [Resource] = []
        for index in 0..<Int.random(in: 20...200, using: &bag.random) {
            let stack = [Reservation(role: "r", labels: [Label("k\(index)")])]
            list.append(Resource("cpus", .scalar(Milli(index + 1)), reservations: stack))
            list.append(bag.resource())
        }
        let (a, b) = (Resources(list), Resources(list.shuffled(using: &bag.random)))
        let half = Resources(list.shuffled(using: &bag.random).prefix(list.count / 2))
        #expect(ResourceModel(a) == ResourceModel(b))
        #expect(a.contains(b) && b.contains(a))
        #expect((a - b).isEmpty)
        #expect(ResourceModel(a + half) == ResourceModel(a).union(half))
        #expect(ResourceModel(a - half) == ResourceModel(a).subtracting(ResourceModel(half)))
        #expect(a.contains(half) && !half.contains(a))
        var again = Resources()
        for item in list { again += item }
        #expect(again == a)
        for item in list where !item.isIndivisible { again -= item }
        #expect(again.items.allSatisfy { $0.isIndivisible })
    }

    @Test("quantities are those of a dictionary", arguments: seeds)
    func quantities(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func draw() -> (ResourceQuantities, [String: Int64]) {
            var (sums, model): (ResourceQuantities, [String: Int64]) = (.init(), [:])
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                let name = "n\(Int.random(in: 0..<12, using: &random))"
                let amount = Int64.random(in: -3...9, using: &random)
                sums.add(Milli(thousandths: amount), to: name)
                model[name, default: 0] += amount
            }
            return (sums, model)
        }
        func expect(_ sums: ResourceQuantities, _ model: [String: Int64]) {
            let left = model.filter { $0.value != 0 }.sorted { $0.key < $1.key }
            #expect(sums.entries.map(\.name) == left.map(\.key))
            #expect(sums.entries.map(\.amount.thousandths) == left.map(\.value))
        }
        let ((a, first), (b, second)) = (draw(), draw())
        expect(a, first)
        expect(a + b, first.merging(second, uniquingKeysWith: +))
        expect(a - b, first.merging(second.mapValues { -$0 }, uniquingKeysWith: +))
        let names = Set(first.keys).union(second.keys)
        #expect(
            a.contains(b)
                == names.allSatisfy {
                    second[$0, default: 0] == 0
                        || first[$0, default: 0] >= second[$0, default: 0]
                })
        for name in names {
            let (have, less) = (first[name, default: 0], second[name, default: 0])
            let left = have > 0 && less > 0 ? max(0, have - less) : have
            #expect(a.subtractingAvailable(b)[name].thousandths == left)
        }
    }
}

@Suite("Large interval sets")
struct LargeIntervalTests {
    @Test("they are those of a bitmap, also when one side is small", arguments: UInt64(0)..<100)
    func bitmap(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func draw(_ count: Int) -> (IntervalSet, [Bool]) {
            var list: [ClosedRange<UInt64>] = []
            var bits = [Bool](repeating: false, count: 600)
            for _ in 0..<count {
                let low = Int.random(in: 0..<595, using: &random)
                let high = low + Int.random(in: 0..<4, using: &random)
                list.append(UInt64(low)...UInt64(high))
                for bit in low...high { bits[bit] = true }
            }
            return (IntervalSet(list), bits)
        }
        func expect(_ set: IntervalSet, _ bits: [Bool]) {
            for bit in bits.indices { #expect(set.contains(UInt64(bit)) == bits[bit]) }
            for (one, next) in zip(set.intervals, set.intervals.dropFirst()) {
                #expect(one.upperBound + 1 < next.lowerBound)
            }
        }
        let (big, bigBits) = draw(100)
        let (small, smallBits) = draw(Int.random(in: 0...3, using: &random))
        let (other, otherBits) = draw(90)
        for (set, bits) in [(small, smallBits), (other, otherBits)] {
            expect(big.union(set), zip(bigBits, bits).map { $0 || $1 })
            expect(big.subtracting(set), zip(bigBits, bits).map { $0 && !$1 })
            expect(set.subtracting(big), zip(bigBits, bits).map { !$0 && $1 })
            expect(big.intersection(set), zip(bigBits, bits).map { $0 && $1 })
            #expect(big.isSuperset(of: set) == !zip(bigBits, bits).contains { !$0 && $1 })
            #expect(set.isSuperset(of: big) == !zip(bigBits, bits).contains { $0 && !$1 })
            #expect(big.union(set).isSuperset(of: set))
        }
    }
}
