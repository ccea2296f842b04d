import ProfferKernel
import Testing

@Suite("SlotTable")
struct SlotTableTests {
    @Test("a row is found at its slot until it is removed")
    func lifetime() {
        var table = SlotTable<String>()
        let slot = table.insert("a")
        #expect(table[slot] == "a")
        #expect(table.count == 1)
        #expect(table.remove(slot) == "a")
        #expect(table[slot] == nil)
        #expect(!table.contains(slot))
        #expect(table.remove(slot) == nil)
        #expect(table.count == 0)
    }

    @Test("a slot of a removed row does not find the row that took its place")
    func generations() {
        var table = SlotTable<String>()
        let old = table.insert("old")
        table.remove(old)
        let new = table.insert("new")
        #expect(new.index == old.index)
        #expect(new.generation != old.generation)
        #expect(old < new)
        #expect(table[old] == nil)
        #expect(table[new] == "new")
        table[old] = "ghost"
        #expect(table[new] == "new")
        #expect(table.remove(old) == nil)
        #expect(table.count == 1)
    }

    @Test("a row can be changed in place")
    func change() {
        var table = SlotTable<[Int]>()
        let slot = table.insert([1])
        table[slot]?.append(2)
        #expect(table[slot] == [1, 2])
        #expect(table.count == 1)
    }

    @Test("setting nil removes the row and frees its position")
    func settingNil() {
        var table = SlotTable<Int>()
        let slot = table.insert(1)
        table[slot] = nil
        #expect(table.count == 0)
        #expect(table.slots.isEmpty)
        let next = table.insert(2)
        #expect(next.index == slot.index)
        #expect(table[slot] == nil)
        #expect(table[next] == 2)
    }

    @Test("slots are listed in slot order")
    func order() {
        var table = SlotTable<Int>()
        let slots = (0..<5).map { table.insert($0) }
        table.remove(slots[1])
        table.remove(slots[3])
        _ = table.insert(10)
        #expect(table.slots.map(\.index) == table.slots.map(\.index).sorted())
        #expect(table.slots.count == 4)
        #expect(table.slots == table.slots.sorted())
    }

    @Test("a slot of another table's future is stale")
    func foreignSlot() {
        var big = SlotTable<Int>()
        let slots = (0..<3).map { big.insert($0) }
        let small = SlotTable<Int>()
        #expect(small[slots[2]] == nil)
        #expect(!small.contains(slots[0]))
    }

    @Test("random insertions and removals agree with a dictionary", arguments: UInt64(0)..<20)
    func againstModel(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = SlotTable<UInt64>()
        var model: [Slot<UInt64>: UInt64] = [:]
        var gone: [Slot<UInt64>] = []
        for _ in 0..<1000 {
            let known = model.keys.sorted()
            if let victim = known.randomElement(using: &random), Bool.random(using: &random) {
                #expect(table.remove(victim) == model.removeValue(forKey: victim))
                gone.append(victim)
            } else {
                let row = random.next()
                let slot = table.insert(row)
                #expect(model.updateValue(row, forKey: slot) == nil)
            }
        }
        #expect(table.count == model.count)
        #expect(table.slots == model.keys.sorted())
        for (slot, row) in model { #expect(table[slot] == row) }
        for slot in gone { #expect(table[slot] == nil) }
    }
}

@Suite("LookupTable")
struct LookupTableTests {
    @Test("a value is found under its key until it is removed")
    func lifetime() {
        var table = LookupTable<String, Int>()
        #expect(table.isEmpty)
        table["a"] = 1
        table["b"] = 2
        #expect(table["a"] == 1)
        #expect(table.count == 2)
        #expect(table.remove("a") == 1)
        #expect(table.remove("a") == nil)
        #expect(table["a"] == nil)
        table["b"] = nil
        #expect(table.isEmpty)
    }

    @Test("a missing value starts from the default and is changed in place")
    func defaults() {
        var table = LookupTable<String, [Int]>()
        #expect(table["a", default: [7]] == [7])
        #expect(table.isEmpty)
        table["a", default: []].append(1)
        table["a", default: []].append(2)
        table["a"]?.append(3)
        #expect(table["a"] == [1, 2, 3])
        table.removeAll()
        #expect(table.count == 0)
    }
}
