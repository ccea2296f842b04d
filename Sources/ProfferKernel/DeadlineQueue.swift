public import HeapModule

/// At most one deadline per key; the earliest is found in O(1).
///
/// Changing a deadline leaves the old entry in the heap, where it is skipped later; the heap is
/// rebuilt when stale entries outnumber live ones, so memory stays proportional to the keys.
public struct DeadlineQueue<Key: Hashable & Sendable>: Sendable {
    @usableFromInline
    struct Entry: Comparable, Sendable {
        @usableFromInline
        let instant: Instant
        @usableFromInline
        let serial: UInt64
        @usableFromInline
        let key: Key

        @inlinable
        init(instant: Instant, serial: UInt64, key: Key) {
            self.instant = instant
            self.serial = serial
            self.key = key
        }

        @inlinable
        static func == (left: Entry, right: Entry) -> Bool { left.serial == right.serial }
        @inlinable
        static func < (left: Entry, right: Entry) -> Bool {
            left.instant != right.instant
                ? left.instant < right.instant : left.serial < right.serial
        }
    }

    @usableFromInline
    var heap = Heap<Entry>()
    @usableFromInline
    var live: [Key: (instant: Instant, serial: UInt64)] = [:]
    @usableFromInline
    var nextSerial: UInt64 = 0

    /// Makes an empty queue.
    @inlinable
    public init() {}

    /// How many keys have a deadline.
    @inlinable
    public var count: Int { live.count }

    /// The earliest deadline.
    @inlinable
    public var next: Instant? { heap.min?.instant }

    /// The deadline of `key`, if it has one.
    @inlinable
    public func deadline(of key: Key) -> Instant? { live[key]?.instant }

    /// Sets or, with `nil`, clears the deadline of `key`.
    ///
    /// Amortised O(log n).
    @inlinable
    public mutating func set(_ key: Key, to instant: Instant?) {
        guard let instant else {
            if live.removeValue(forKey: key) != nil { discardStale() }
            return
        }
        nextSerial += 1
        live[key] = (instant, nextSerial)
        heap.insert(Entry(instant: instant, serial: nextSerial, key: key))
        discardStale()
    }

    /// Takes out one key whose deadline is not after `now`; the earliest first, ties in the order
    /// in which they were set.
    @inlinable
    public mutating func popDue(at now: Instant) -> Key? {
        guard let first = heap.min, first.instant <= now else { return nil }
        heap.removeMin()
        live.removeValue(forKey: first.key)
        discardStale()
        return first.key
    }

    @inlinable
    func isLive(_ entry: Entry) -> Bool { live[entry.key]?.serial == entry.serial }

    @inlinable
    mutating func discardStale() {
        while let first = heap.min, !isLive(first) { heap.removeMin() }
        if heap.count > 64, heap.count > live.count * 2 {
            heap = Heap(heap.unordered.filter(isLive))
        }
    }
}
