/// A ``SortedMap`` that remembers which of its keys have changed, so that what is derived from it
/// can follow without a look at everything.
struct ChangedMap<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    private var map: SortedMap<Key, Value> = SortedMap()
    private var changed: [Key] = []

    var keys: [Key] { map.keys }
    var values: [Value] { map.values }
    var isEmpty: Bool { map.isEmpty }
    var count: Int { map.count }

    subscript(key: Key) -> Value? {
        get { map[key] }
        set {
            changed.append(key)
            map[key] = newValue
        }
    }

    /// Changes the value of `key` in place, if there is one.
    @discardableResult
    mutating func change(_ key: Key, _ body: (inout Value) -> Void) -> Bool {
        changed.append(key)
        return map.change(key, body)
    }

    /// The keys that were written since the last call; some more than once.
    mutating func takeChanged() -> [Key] {
        defer { changed = [] }
        return changed
    }
}
