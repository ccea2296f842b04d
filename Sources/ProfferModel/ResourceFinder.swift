/// Finds resources in a list of resources while one list is worked into another.
///
/// Lists that belong together mostly have their kinds in the same order, so the place after the
/// last find is tried first. Where that fails in a long list, a hash table with linear probing is
/// made.
struct ResourceFinder {
    /// The list length from which a table can pay.
    static let longList = 24
    /// How many searches of a long list are made before a table is.
    private static let patience = 4

    /// The place after the last find.
    var next = 0
    private var searches = 0
    /// Indices into the list by the hash of their kinds, -1 where there is none; a power of two.
    private var table: [Int32] = []
    private var entryCount = 0

    /// Where the kind of `wanted` is in `list`, and for what is indivisible, the very thing.
    mutating func position(of wanted: Resource, in list: [Resource]) -> Int? {
        if next < list.count, Self.matches(wanted, list, next) {
            next += 1
            return next - 1
        }
        let found: Int?
        if list.count < Self.longList {
            found = Self.search(for: wanted, in: list)
        } else if searches < Self.patience {
            searches += 1
            found = Self.search(for: wanted, in: list)
        } else {
            found = lookUp(wanted, in: list)
        }
        if let found { next = found + 1 }
        return found
    }

    /// Notes that a resource was appended to `list`.
    mutating func noteAppended(to list: [Resource]) {
        guard !table.isEmpty else { return }
        enter(list.count - 1, in: list)
    }

    /// Compares part by part, so that the item of the list is not copied.
    @inline(__always)
    private static func matches(_ wanted: Resource, _ list: [Resource], _ index: Int) -> Bool {
        guard list[index].name == wanted.name,
            ResourceDetail.areEqual(list[index].detail, wanted.detail)
        else { return false }
        return wanted.isIndivisible
            ? list[index].holders > 0 && list[index].value == wanted.value
            : list[index].value.isSameType(as: wanted.value)
    }

    private static func search(for wanted: Resource, in list: [Resource]) -> Int? {
        for index in list.indices where matches(wanted, list, index) { return index }
        return nil
    }

    private mutating func lookUp(_ wanted: Resource, in list: [Resource]) -> Int? {
        if table.isEmpty { makeTable(of: list) }
        let mask = table.count - 1
        var slot = Self.hash(wanted) & mask
        while table[slot] >= 0 {
            let index = Int(table[slot])
            if Self.matches(wanted, list, index) { return index }
            slot = (slot + 1) & mask
        }
        return nil
    }

    private mutating func makeTable(of list: [Resource]) {
        var size = 64
        while size < list.count * 3 { size *= 2 }
        table = [Int32](repeating: -1, count: size)
        entryCount = 0
        for index in list.indices { enter(index, in: list) }
    }

    private mutating func enter(_ index: Int, in list: [Resource]) {
        if entryCount * 2 >= table.count {
            makeTable(of: list)
            return
        }
        let mask = table.count - 1
        var slot = Self.hash(list[index]) & mask
        while table[slot] >= 0 { slot = (slot + 1) & mask }
        table[slot] = Int32(truncatingIfNeeded: index)
        entryCount += 1
    }

    /// FNV-1a over the name, mixed with the hash of the detail; it decides about time only.
    private static func hash(_ resource: Resource) -> Int {
        var hash: UInt64 = 14_695_981_039_346_656_037
        var isASCII = true
        for byte in resource.name.utf8 {
            hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211
            if byte >= 0x80 { isASCII = false }
        }
        // Texts can be equal without having the same bytes.
        if !isASCII { hash = UInt64(bitPattern: Int64(resource.name.hashValue)) }
        if let detail = resource.detail {
            hash = (hash ^ UInt64(bitPattern: Int64(detail.hash))) &* 1_099_511_628_211
            // Things of one kind that do not merge differ in their amounts alone.
            if detail.isIndivisible { hash ^= UInt64(bitPattern: Int64(resource.value.hashValue)) }
        }
        return Int(truncatingIfNeeded: hash ^ hash >> 32)
    }
}
