/// A dense index into a ``SlotTable``, valid until its row is removed.
public struct Slot<Row>: Hashable, Comparable, Sendable {
    /// The row's position.
    public let index: Int32
    /// Counts the reuses of that position, so that a stale slot is recognised.
    public let generation: UInt32

    @inlinable
    init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// Whether `left` comes first in its table; of two in one position, the older one.
    @inlinable
    public static func < (left: Slot, right: Slot) -> Bool {
        left.index != right.index
            ? left.index < right.index : left.generation < right.generation
    }
}

/// Rows in dense storage, addressed by ``Slot``; walked in slot order, which is deterministic.
public struct SlotTable<Row> {
    @usableFromInline
    var rows: ContiguousArray<Row?> = []
    @usableFromInline
    var generations: ContiguousArray<UInt32> = []
    @usableFromInline
    var free: ContiguousArray<Int32> = []
    @usableFromInline
    var rowCount = 0

    /// How many rows there are.
    @inlinable
    public var count: Int { rowCount }

    /// Makes an empty table.
    @inlinable
    public init() {}

    /// Adds a row.
    ///
    /// Amortised O(1).
    @inlinable
    public mutating func insert(_ row: Row) -> Slot<Row> {
        rowCount += 1
        if let index = free.popLast() {
            rows[Int(index)] = row
            return Slot(index: index, generation: generations[Int(index)])
        }
        rows.append(row)
        generations.append(0)
        return Slot(index: Int32(rows.count - 1), generation: 0)
    }

    /// Removes and returns the row at `slot`; `nil` when the slot is stale.
    @discardableResult
    @inlinable
    public mutating func remove(_ slot: Slot<Row>) -> Row? {
        guard contains(slot), let row = rows[Int(slot.index)] else { return nil }
        rows[Int(slot.index)] = nil
        release(slot.index)
        return row
    }

    @inlinable
    mutating func release(_ index: Int32) {
        generations[Int(index)] &+= 1
        free.append(index)
        rowCount -= 1
    }

    /// Whether `slot` names a row.
    @inlinable
    public func contains(_ slot: Slot<Row>) -> Bool {
        rows.indices.contains(Int(slot.index)) && generations[Int(slot.index)] == slot.generation
            && rows[Int(slot.index)] != nil
    }

    /// The row at `slot`; `nil` when the slot is stale.
    ///
    /// Changes happen in place. Setting `nil` removes the row; a stale slot takes nothing.
    @inlinable
    public subscript(slot: Slot<Row>) -> Row? {
        get { contains(slot) ? rows[Int(slot.index)] : nil }
        _modify {
            if contains(slot) {
                yield &rows[Int(slot.index)]
                if rows[Int(slot.index)] == nil { release(slot.index) }
            } else {
                var absent: Row?
                yield &absent
            }
        }
    }

    /// The slots in use, in slot order.
    ///
    /// O(capacity).
    @inlinable
    public var slots: [Slot<Row>] {
        rows.indices.compactMap { index in
            rows[index] == nil
                ? nil : Slot(index: Int32(index), generation: generations[index])
        }
    }
}

extension SlotTable: Sendable where Row: Sendable {}

/// A dictionary that can be asked but not walked.
///
/// Dictionary order differs between two runs of one binary; a table without `Sequence` makes it
/// impossible to let that order into a decision.
public struct LookupTable<Key: Hashable, Value> {
    @usableFromInline
    var storage: [Key: Value] = [:]

    /// Makes an empty table.
    @inlinable
    public init() {}

    /// How many keys have a value.
    @inlinable
    public var count: Int { storage.count }

    /// Whether there is no key.
    @inlinable
    public var isEmpty: Bool { storage.isEmpty }

    /// The value of `key`; changes happen in place.
    @inlinable
    public subscript(key: Key) -> Value? {
        get { storage[key] }
        _modify { yield &storage[key] }
    }

    /// The value of `key`, or `value` when there is none; changes happen in place.
    @inlinable
    public subscript(key: Key, default value: @autoclosure () -> Value) -> Value {
        get { storage[key] ?? value() }
        _modify { yield &storage[key, default: value()] }
    }

    /// Removes the value of `key` and returns it.
    @discardableResult
    @inlinable
    public mutating func remove(_ key: Key) -> Value? { storage.removeValue(forKey: key) }

    /// Removes everything.
    @inlinable
    public mutating func removeAll() { storage.removeAll() }
}

extension LookupTable: Sendable where Key: Sendable, Value: Sendable {}
