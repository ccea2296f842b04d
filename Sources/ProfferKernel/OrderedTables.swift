/// Rows by key, walked in the order in which their keys came, with removal in O(1).
///
/// An `OrderedDictionary` moves everything behind a removed key, which a table of many thousand
/// rows that come and go cannot afford. Here a removed row leaves a gap, and gaps are closed when
/// they outnumber the rows, so that memory stays proportional to the rows.
public struct OrderedTable<Key: Hashable, Value> {
    @usableFromInline
    var keysOrGaps: ContiguousArray<Key?> = []
    @usableFromInline
    var valuesOrGaps: ContiguousArray<Value?> = []
    @usableFromInline
    var places: [Key: Int] = [:]
    /// No row lies before this place.
    @usableFromInline
    var start = 0

    /// Makes an empty table.
    @inlinable
    public init() {}

    /// How many rows there are.
    @inlinable
    public var count: Int { places.count }

    /// Whether there is no row.
    @inlinable
    public var isEmpty: Bool { places.isEmpty }

    /// The key that came first.
    @inlinable
    public var firstKey: Key? { start < keysOrGaps.count ? keysOrGaps[start] : nil }

    /// Whether there is a row for `key`.
    @inlinable
    public func contains(_ key: Key) -> Bool { places[key] != nil }

    /// The row of `key`; changes happen in place.
    ///
    /// Setting `nil` removes the row. A key that is new, or comes again after its removal, is the
    /// last one. Amortised O(1).
    @inlinable
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
    @inlinable
    public mutating func remove(_ key: Key) -> Value? {
        guard let place = places[key], let value = valuesOrGaps[place] else { return nil }
        close(place, of: key)
        return value
    }

    /// Removes everything.
    @inlinable
    public mutating func removeAll() { self = OrderedTable() }

    @inlinable
    mutating func append(_ value: Value, for key: Key) {
        places[key] = keysOrGaps.count
        keysOrGaps.append(key)
        valuesOrGaps.append(value)
    }

    @inlinable
    mutating func close(_ place: Int, of key: Key) {
        places.removeValue(forKey: key)
        keysOrGaps[place] = nil
        valuesOrGaps[place] = nil
        while start < keysOrGaps.count, keysOrGaps[start] == nil { start += 1 }
        let gaps = keysOrGaps.count - places.count
        if gaps > 32, gaps > places.count { closeGaps() }
    }

    @inlinable
    mutating func closeGaps() {
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
        @usableFromInline
        let table: OrderedTable
        @usableFromInline
        var place: Int

        @inlinable
        init(_ table: OrderedTable) {
            self.table = table
            place = table.start
        }

        /// The next row.
        @inlinable
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
    @inlinable
    public func makeIterator() -> Iterator { Iterator(self) }

    /// At least, and in fact exactly, so many rows will come.
    @inlinable
    public var underestimatedCount: Int { count }

    /// The keys, in the order in which they came.
    @inlinable
    public var keys: some Sequence<Key> { keysOrGaps[start...].lazy.compactMap { $0 } }

    /// The rows, in the order of their keys.
    @inlinable
    public var values: some Sequence<Value> { valuesOrGaps[start...].lazy.compactMap { $0 } }
}

extension OrderedTable: ExpressibleByDictionaryLiteral {
    /// A table of some rows; of two with one key the later one stays, in the place of the earlier.
    @inlinable
    public init(dictionaryLiteral elements: (Key, Value)...) {
        for (key, value) in elements { self[key] = value }
    }
}

extension OrderedTable: Sendable where Key: Sendable, Value: Sendable {}

/// Keys in the order in which they came, with removal in O(1).
public struct OrderedKeys<Key: Hashable> {
    @usableFromInline
    var table = OrderedTable<Key, Void>()

    /// Makes an empty set.
    @inlinable
    public init() {}

    /// The keys of a sequence, each once.
    @inlinable
    public init(_ keys: some Sequence<Key>) {
        for key in keys { append(key) }
    }

    /// How many keys there are.
    @inlinable
    public var count: Int { table.count }

    /// Whether there is no key.
    @inlinable
    public var isEmpty: Bool { table.isEmpty }

    /// The key that came first.
    @inlinable
    public var first: Key? { table.firstKey }

    /// Whether `key` is there.
    @inlinable
    public func contains(_ key: Key) -> Bool { table.contains(key) }

    /// Adds `key` as the last one, unless it is there.
    @inlinable
    public mutating func append(_ key: Key) {
        if !table.contains(key) { table[key] = () }
    }

    /// Removes `key` if it is there.
    ///
    /// Amortised O(1).
    @inlinable
    public mutating func remove(_ key: Key) { table.remove(key) }

    /// Removes everything.
    @inlinable
    public mutating func removeAll() { table.removeAll() }
}

extension OrderedKeys: Sequence {
    /// Walks the keys in their order.
    public struct Iterator: IteratorProtocol {
        @usableFromInline
        var rows: OrderedTable<Key, Void>.Iterator

        @inlinable
        init(_ rows: OrderedTable<Key, Void>.Iterator) { self.rows = rows }

        /// The next key.
        @inlinable
        public mutating func next() -> Key? { rows.next()?.key }
    }

    /// Begins with the key that came first.
    @inlinable
    public func makeIterator() -> Iterator { Iterator(table.makeIterator()) }

    /// At least, and in fact exactly, so many keys will come.
    @inlinable
    public var underestimatedCount: Int { count }
}

extension OrderedKeys: Equatable {
    /// Whether both have the same keys in the same order.
    @inlinable
    public static func == (left: OrderedKeys, right: OrderedKeys) -> Bool {
        left.elementsEqual(right)
    }
}

extension OrderedKeys: ExpressibleByArrayLiteral {
    /// A set of some keys.
    @inlinable
    public init(arrayLiteral elements: Key...) { self.init(elements) }
}

extension OrderedKeys: Sendable where Key: Sendable {}
