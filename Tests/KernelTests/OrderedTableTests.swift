import OrderedCollections
import ProfferKernel
import Testing

@Suite("OrderedTable")
struct OrderedTableTests {
    @Test("rows are walked in the order in which their keys came")
    func order() {
        var table: OrderedTable<String, Int> = ["b": 1, "a": 2]
        table["c"] = 3
        table["b"] = 4
        #expect(Array(table.keys) == ["b", "a", "c"])
        #expect(Array(table.values) == [4, 2, 3])
        #expect(table.map(\.key) == ["b", "a", "c"])
        #expect(table.firstKey == "b")
    }

    @Test("a removed key that comes again is the last")
    func again() {
        var table: OrderedTable<String, Int> = ["a": 1, "b": 2]
        #expect(table.remove("a") == 1)
        #expect(table.remove("a") == nil)
        #expect(table.firstKey == "b")
        table["a"] = 3
        #expect(Array(table.keys) == ["b", "a"])
        table["b"] = nil
        #expect(table.count == 1 && !table.contains("b") && table["b"] == nil)
        table.removeAll()
        #expect(table.isEmpty && table.firstKey == nil)
    }

    @Test("rows are changed in place, and an absent row stays absent")
    func inPlace() {
        var table: OrderedTable<String, [Int]> = ["a": [1]]
        table["a"]?.append(2)
        table["b"]?.append(2)
        #expect(table["a"] == [1, 2])
        #expect(table["b"] == nil)
        #expect(table.count == 1)
    }

    @Test("a table that is walked while it changes is walked as it was")
    func walk() {
        var table = OrderedTable<Int, Int>()
        for key in 0..<200 { table[key] = key }
        var seen: [Int] = []
        for (key, _) in table {
            seen.append(key)
            table.remove(key)
        }
        #expect(seen == Array(0..<200))
        #expect(table.isEmpty)
    }

    @Test("whatever is done, it is what an ordered dictionary holds", arguments: 0..<20)
    func model(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var table = OrderedTable<Int, Int>()
        var model: OrderedDictionary<Int, Int> = [:]
        for step in 0..<2000 {
            let key = Int.random(in: 0..<150, using: &generator)
            if Int.random(in: 0..<100, using: &generator) < (step < 1000 ? 40 : 60) {
                #expect(table.remove(key) == model.removeValue(forKey: key))
            } else {
                table[key] = step
                model[key] = step
            }
            #expect(table.count == model.count)
            #expect(table.firstKey == model.keys.first)
            #expect(table[key] == model[key])
        }
        #expect(Array(table.keys) == Array(model.keys))
        #expect(Array(table.values) == Array(model.values))
    }
}

@Suite("OrderedKeys")
struct OrderedKeysTests {
    @Test("each key is there once, in the order of its first coming")
    func order() {
        var keys: OrderedKeys = ["b", "a", "b"]
        keys.append("c")
        keys.append("a")
        #expect(Array(keys) == ["b", "a", "c"])
        #expect(keys.count == 3 && keys.first == "b" && keys.contains("c"))
        keys.remove("b")
        keys.remove("x")
        #expect(keys == ["a", "c"])
        #expect(keys != ["c", "a"])
        keys.removeAll()
        #expect(keys.isEmpty && keys.first == nil)
    }
}
