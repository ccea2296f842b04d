/// A set of small numbers, one bit each.
struct Bits: Hashable, Sendable {
    private(set) var words: [UInt64] = []
    private(set) var count = 0

    init() {}

    var isEmpty: Bool { count == 0 }

    func contains(_ index: Int) -> Bool {
        let word = index >> 6
        return word < words.count && words[word] & (1 << UInt64(index & 63)) != 0
    }

    /// Whether it was not there before.
    @discardableResult
    mutating func insert(_ index: Int) -> Bool {
        let word = index >> 6
        while words.count <= word { words.append(0) }
        let bit: UInt64 = 1 << UInt64(index & 63)
        guard words[word] & bit == 0 else { return false }
        words[word] |= bit
        count += 1
        return true
    }

    /// Whether it was there.
    @discardableResult
    mutating func remove(_ index: Int) -> Bool {
        let word = index >> 6
        guard word < words.count else { return false }
        let bit: UInt64 = 1 << UInt64(index & 63)
        guard words[word] & bit != 0 else { return false }
        words[word] &= ~bit
        count -= 1
        return true
    }

    mutating func removeAll() {
        words.removeAll()
        count = 0
    }

    /// Adds every member of `other`; O(words).
    mutating func formUnion(_ other: Bits) {
        while words.count < other.words.count { words.append(0) }
        for word in other.words.indices { words[word] |= other.words[word] }
        recount()
    }

    /// Keeps what is in `other` too; O(words).
    mutating func formIntersection(_ other: Bits) {
        for word in words.indices {
            words[word] &= word < other.words.count ? other.words[word] : 0
        }
        recount()
    }

    /// Whether a member of this set is in `allowed` and not in `blocked`; O(words).
    func hasMember(in allowed: Bits, notIn blocked: Bits) -> Bool {
        for word in 0..<min(words.count, allowed.words.count) {
            var rest = words[word] & allowed.words[word]
            if word < blocked.words.count { rest &= ~blocked.words[word] }
            if rest != 0 { return true }
        }
        return false
    }

    /// Members that are in neither of two sets, in rising order, until `visit` says that it has
    /// seen enough; O(words + members seen).
    func forEach(
        notIn first: Bits, _ second: Bits, until visit: (Int) -> Bool
    ) {
        for word in words.indices {
            var rest = words[word]
            if word < first.words.count { rest &= ~first.words[word] }
            if word < second.words.count { rest &= ~second.words[word] }
            while rest != 0 {
                if visit(word << 6 | rest.trailingZeroBitCount) { return }
                rest &= rest &- 1
            }
        }
    }

    private mutating func recount() {
        count = words.reduce(0) { $0 + $1.nonzeroBitCount }
    }

    /// The least member that is at least `start`.
    func next(from start: Int) -> Int? {
        var word = start >> 6
        guard word < words.count else { return nil }
        var rest = words[word] & (~0 << UInt64(start & 63))
        while rest == 0 {
            word += 1
            guard word < words.count else { return nil }
            rest = words[word]
        }
        return word << 6 | rest.trailingZeroBitCount
    }

    /// The members in rising order.
    var members: [Int] {
        var list: [Int] = []
        list.reserveCapacity(count)
        var next = next(from: 0)
        while let member = next {
            list.append(member)
            next = self.next(from: member + 1)
        }
        return list
    }
}
