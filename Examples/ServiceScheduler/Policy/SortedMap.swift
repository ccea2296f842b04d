/// A map that is walked in the order of its keys, which is the same in every run.
///
/// Look-up O(log n), insertion and removal O(n).
struct SortedMap<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    private(set) var keys: [Key] = []
    private(set) var values: [Value] = []

    var isEmpty: Bool { keys.isEmpty }
    var count: Int { keys.count }

    subscript(key: Key) -> Value? {
        get {
            let index = position(of: key)
            return index < keys.count && keys[index] == key ? values[index] : nil
        }
        set {
            let index = position(of: key)
            let isThere = index < keys.count && keys[index] == key
            switch (isThere, newValue) {
            case (true, .some(let value)): values[index] = value
            case (true, .none):
                keys.remove(at: index)
                values.remove(at: index)
            case (false, .some(let value)):
                keys.insert(key, at: index)
                values.insert(value, at: index)
            case (false, .none): break
            }
        }
    }

    /// Changes the value of `key` in place, if there is one.
    @discardableResult
    mutating func change(_ key: Key, _ body: (inout Value) -> Void) -> Bool {
        let index = position(of: key)
        guard index < keys.count, keys[index] == key else { return false }
        body(&values[index])
        return true
    }

    private func position(of key: Key) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
