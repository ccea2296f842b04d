/// Rows by key, walked in the order in which their keys came, with removal in O(1).
///
/// An `OrderedDictionary` moves everything behind a removed key, which a table of many thousand
/// rows that come and go cannot afford. Here a removed row leaves a gap, and gaps are closed when
/// they outnumber the rows, so that memory stays proportional to the rows.
public struct OrderedTable<Key: Hashable, Value> {
    private var keysOrGaps: ContiguousArray<Key?> = []
    private var valuesOrGaps: ContiguousArray<Value?> = []
    private var places: [Key: Int] = [:]
    /// No row lies before this place.
    private var start = 0

    /// Makes an empty table.
    public init() {}

    /// How many rows there are.
    public var count: Int { places.count }

    /// Whether there is no row.
    public var isEmpty: Bool { places.isEmpty }

    /// The key that came first.
    public var firstKey: Key? { start < keysOrGaps.count ? keysOrGaps[start] : nil }

    /// Whether there is a row for `key`.
    public func contains(_ key: Key) -> Bool { places[key] != nil }

    /// The row of `key`; changes happen in place.
    ///
    /// Setting `nil` removes the row. A key that is new, or comes again after its removal, is the
    /// last one. Amortised O(1).
    public subscript(key: Key) -> Value? {
        get { places[key].flatMap { valuesOrGaps[$0] } }
        _modify {
            if let place = places[key] {
                yield &valuesOrGaps[place]
                if valuesOrGaps[place] == nil { close(place, of: key) }
            } else {
                var absent: Value?
                yield &absent
                if let absent { append(absent, for: key) }
            }
        }
    }

    /// Removes the row of `key` and returns it.
    ///
    /// Amortised O(1).
    @discardableResult
    public mutating func remove(_ key: Key) -> Value? {
        guard let place = places[key], let value = valuesOrGaps[place] else { return nil }
        close(place, of: key)
        return value
    }

    /// Removes everything.
    public mutating func removeAll() { self = OrderedTable() }

    private mutating func append(_ value: Value, for key: Key) {
        places[key] = keysOrGaps.count
        keysOrGaps.append(key)
        valuesOrGaps.append(value)
    }

    private mutating func close(_ place: Int, of key: Key) {
        places.removeValue(forKey: key)
        keysOrGaps[place] = nil
        valuesOrGaps[place] = nil
        while start < keysOrGaps.count, keysOrGaps[start] == nil { start += 1 }
        let gaps = keysOrGaps.count - places.count
        if gaps > 32, gaps > places.count { closeGaps() }
    }

    private mutating func closeGaps() {
        var keys: ContiguousArray<Key?> = []
        var values: ContiguousArray<Value?> = []
        keys.reserveCapacity(places.count)
        values.reserveCapacity(places.count)
        for (place, key) in keysOrGaps.enumerated() {
            guard let key else { continue }
            places[key] = keys.count
            keys.append(key)
            values.append(valuesOrGaps[place])
        }
        (keysOrGaps, valuesOrGaps, start) = (keys, values, 0)
    }
}

extension OrderedTable: Sequence {
    /// Walks the rows in the order of their keys.
    public struct Iterator: IteratorProtocol {
        private let table: OrderedTable
        private var place: Int

        fileprivate init(_ table: OrderedTable) {
            self.table = table
            place = table.start
        }

        /// The next row.
        public mutating func next() -> (key: Key, value: Value)? {
            while place < table.keysOrGaps.count {
                defer { place += 1 }
                if let key = table.keysOrGaps[place], let value = table.valuesOrGaps[place] {
                    return (key, value)
                }
            }
            return nil
        }
    }

    /// Begins with the row whose key came first.
    public func makeIterator() -> Iterator { Iterator(self) }

    /// At least, and in fact exactly, so many rows will come.
    public var underestimatedCount: Int { count }

    /// The keys, in the order in which they came.
    public var keys: some Sequence<Key> { keysOrGaps[start...].lazy.compactMap { $0 } }

    /// The rows, in the order of their keys.
    public var values: some Sequence<Value> { valuesOrGaps[start...].lazy.compactMap { $0 } }
}

extension OrderedTable: ExpressibleByDictionaryLiteral {
    /// A table of some rows; of two with one key the later one stays, in the place of the earlier.
    public init(dictionaryLiteral elements: (Key, Value)...) {
        for (key, value) in elements { self[key] = value }
    }
}

extension OrderedTable: Sendable where Key: Sendable, Value: Sendable {}

/// Keys in the order in which they came, with removal in O(1).
public struct OrderedKeys<Key: Hashable> {
    private var table = OrderedTable<Key, Void>()

    /// Makes an empty set.
    public init() {}

    /// The keys of a sequence, each once.
    public init(_ keys: some Sequence<Key>) {
        for key in keys { append(key) }
    }

    /// How many keys there are.
    public var count: Int { table.count }

    /// Whether there is no key.
    public var isEmpty: Bool { table.isEmpty }

    /// The key that came first.
    public var first: Key? { table.firstKey }

    /// Whether `key` is there.
    public func contains(_ key: Key) -> Bool { table.contains(key) }

    /// Adds `key` as the last one, unless it is there.
    public mutating func append(_ key: Key) {
        if !table.contains(key) { table[key] = () }
    }

    /// Removes `key` if it is there.
    ///
    /// Amortised O(1).
    public mutating func remove(_ key: Key) { table.remove(key) }

    /// Removes everything.
    public mutating func removeAll() { table.removeAll() }
}

extension OrderedKeys: Sequence {
    /// Walks the keys in their order.
    public struct Iterator: IteratorProtocol {
        private var rows: OrderedTable<Key, Void>.Iterator

        fileprivate init(_ rows: OrderedTable<Key, Void>.Iterator) { self.rows = rows }

        /// The next key.
        public mutating func next() -> Key? { rows.next()?.key }
    }

    /// Begins with the key that came first.
    public func makeIterator() -> Iterator { Iterator(table.makeIterator()) }

    /// At least, and in fact exactly, so many keys will come.
    public var underestimatedCount: Int { count }
}

extension OrderedKeys: Equatable {
    /// Whether both have the same keys in the same order.
    public static func == (left: OrderedKeys, right: OrderedKeys) -> Bool {
        left.elementsEqual(right)
    }
}

extension OrderedKeys: ExpressibleByArrayLiteral {
    /// A set of some keys.
    public init(arrayLiteral elements: Key...) { self.init(elements) }
}

extension OrderedKeys: Sendable where Key: Sendable {}
