internal import ProfferKernel

/// How the order of roles, or of the frameworks in a role, is decided.
public enum ShareOrder: Hashable, Sendable {
    /// Whoever has the least weighted dominant share comes first (Ghodsi et al., NSDI 2011); among
    /// equals who has had fewer grants, and then by name in byte order.
    case dominantShare
    /// By lot, drawn anew for each agent: a role of twice the weight is twice as likely to come
    /// first.
    case weightedRandom
}

/// The roles of a cluster with their frameworks, and in what order they come to offers.
///
/// Hierarchical dominant resource fairness as in Mesos' allocator: at each level siblings are
/// compared, and the frameworks of a role that has roles below it form a sibling of these, its
/// virtual leaf. Whoever waits for offers stands in sorted lists, in which a grant moves one entry
/// at each level: O(log n) comparisons and the move of an array's tail.
///
/// Shares refer to a recorded cluster total. Sorting anew whenever an agent joins would make the
/// admission of a large cluster quadratic, so the record follows when the proportion of its
/// resources is off by more than a thousandth; their common growth changes no order.
struct RoleTree: Sendable {
    struct Node: Sendable {
        /// The whole path; of a virtual leaf that of its role with `/.`.
        var path: String
        var parent: Int
        /// The top-level role it belongs to.
        var top: Int
        var isLeaf = false
        var isUsed = true
        var weight: UInt64 = 1000
        var held = Amounts()
        var share = DominantShare()
        var grants = 0
        var children = LookupTable<String, Int>()
        var virtualLeaf: Int?
        /// Children, or frameworks of a virtual leaf, that wait for offers; in order.
        var order = Line()
        /// Children, or frameworks of a virtual leaf, by name.
        var names = NameOrder()
        /// Its place among its siblings by name.
        var rank: UInt64 = 0
        /// Of frameworks that wait, here and below.
        var waiting = 0
        /// Of frameworks, waiting or not, here, and of roles right below.
        var members = 0
        /// A role with a quota is kept though nobody is in it.
        var isPinned = false
        /// Of a top-level role: what agents have reserved for it and those below it.
        var reserved = Amounts()
        /// Of a top-level role: what it and those below it hold of plain scalars.
        var unreservedHeld = Amounts()
        var isUnmet: Bool { !unmet.isZero }
        /// Of a top-level role: what it lacks to what it is guaranteed.
        var unmet = Amounts()
        /// Of a top-level role: whether its limit leaves neither cpus nor mem to it, so that it can
        /// have nothing but what is reserved for it.
        var isAtLimit = false
    }

    struct Client: Sendable {
        var name: String
        var leaf: Int
        var isUsed = true
        var isWaiting = false
        var held = Amounts()
        var share = DominantShare()
        var grants = 0
        /// Its place among the frameworks of the role by name.
        var rank: UInt64 = 0
    }

    static let root = 0

    /// Top-level roles that wait and have less than they are guaranteed; in order.
    private(set) var unmet = Line()
    /// Top-level roles that wait and are not at their limit; in order.
    private(set) var open = Line()

    let roleOrder: ShareOrder
    let clientOrder: ShareOrder
    /// The columns that count for fairness, one bit each.
    private(set) var counted: UInt64
    private(set) var nodes: ContiguousArray<Node>
    private(set) var clients: ContiguousArray<Client> = []
    private var freeNodes: [Int] = []
    private var freeClients: [Int] = []
    /// The total that the cached shares refer to.
    private(set) var total = Amounts()
    private(set) var generator: SeededGenerator

    init(roles: ShareOrder, clients: ShareOrder, seed: UInt64) {
        roleOrder = roles
        clientOrder = clients
        counted = ~0
        generator = SeededGenerator(seed: seed)
        nodes = [Node(path: "", parent: -1, top: 0)]
    }

    // MARK: Roles

    func find(_ path: String) -> Int? {
        var node = Self.root
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            guard let child = nodes[node].children[String(part)] else { return nil }
            node = child
        }
        return node
    }

    /// The node of a role, made now if there is none; O(depth).
    mutating func makeRole(_ path: String) -> Int {
        var node = Self.root
        var end = path.startIndex
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            end = part.endIndex
            if let child = nodes[node].children[String(part)] {
                node = child
                continue
            }
            let child = insert(Node(path: String(path[..<end]), parent: node, top: 0))
            nodes[child].top = node == Self.root ? child : nodes[node].top
            nodes[node].children[String(part)] = child
            nodes[node].members += 1
            rank(node: child)
            node = child
        }
        return node
    }

    private mutating func insert(_ node: Node) -> Int {
        if let index = freeNodes.popLast() {
            nodes[index] = node
            return index
        }
        nodes.append(node)
        return nodes.count - 1
    }

    /// Forgets a role in which nothing is left, and those above it that are empty then.
    ///
    /// The grants of a role that nobody is in or holds anything in are forgotten.
    mutating func removeIfEmpty(_ index: Int) {
        if nodes[index].members == 0, nodes[index].held.isZero { forgetGrants(index) }
        var node = index
        while node != Self.root, nodes[node].members == 0, !nodes[node].isPinned,
            nodes[node].weight == 1000 || nodes[node].isLeaf, nodes[node].held.isZero,
            nodes[node].reserved.isZero
        {
            let parent = nodes[node].parent
            if nodes[node].isLeaf {
                nodes[parent].virtualLeaf = nil
            } else {
                let name = nodes[node].path.split(
                    separator: "/", omittingEmptySubsequences: false
                ).last.map(String.init)
                nodes[parent].children.remove(name ?? "")
            }
            nodes[parent].members -= 1
            let (path, members) = (nodes[node].path, nodes[parent].names.members)
            let place = partition(members.count) { nodes[members[$0]].path < path }
            nodes[parent].names.remove(node, near: place)
            nodes[node] = Node(path: "", parent: -1, top: 0)
            nodes[node].isUsed = false
            freeNodes.append(node)
            node = parent
            if nodes[node].members == 0, nodes[node].held.isZero { forgetGrants(node) }
        }
    }

    private mutating func forgetGrants(_ index: Int) {
        let grants = nodes[index].grants
        guard grants != 0 else { return }
        var node = index
        while node != Self.root {
            let stands = takeOut(node: node)
            nodes[node].grants -= grants
            if stands { putIn(node: node) }
            node = nodes[node].parent
        }
    }

    mutating func pin(_ node: Int, _ isPinned: Bool) {
        nodes[node].isPinned = isPinned
        removeIfEmpty(node)
    }

    mutating func changeConsumption(
        _ top: Int, unreserved: Amounts = Amounts(), reserved: Amounts = Amounts()
    ) {
        nodes[top].unreservedHeld += unreserved
        nodes[top].reserved += reserved
    }

    mutating func setQuotaState(_ top: Int, unmet: Amounts, isAtLimit: Bool) {
        let isSame =
            nodes[top].unmet.isZero == unmet.isZero && nodes[top].isAtLimit == isAtLimit
        let stands = nodes[top].waiting > 0 && !isSame
        if stands { takeOut(top: top) }
        nodes[top].unmet = unmet
        nodes[top].isAtLimit = isAtLimit
        if stands { putIn(top: top) }
    }

    mutating func setWeight(_ path: String, _ weight: UInt64) {
        let node = makeRole(path)
        let stands = takeOut(node: node)
        nodes[node].weight = weight
        if stands { putIn(node: node) }
        removeIfEmpty(node)
    }

    // MARK: Frameworks

    mutating func makeClient(_ name: String, role path: String) -> Int {
        let role = makeRole(path)
        let leaf: Int
        if let known = nodes[role].virtualLeaf {
            leaf = known
        } else {
            leaf = insert(Node(path: path + "/.", parent: role, top: nodes[role].top))
            nodes[leaf].isLeaf = true
            nodes[role].virtualLeaf = leaf
            nodes[role].members += 1
            rank(node: leaf)
        }
        nodes[leaf].members += 1
        let client = Client(name: name, leaf: leaf)
        let index = freeClients.popLast() ?? clients.count
        if index == clients.count { clients.append(client) } else { clients[index] = client }
        rank(client: index)
        return index
    }

    private mutating func rank(client: Int) {
        let leaf = clients[client].leaf
        let name = clients[client].name
        let members = nodes[leaf].names.members
        let place = partition(members.count) { clients[members[$0]].name < name }
        let (before, after) = nodes[leaf].names.neighbours(place)
        let low = before.map { clients[$0].rank } ?? 0
        let high = after.map { clients[$0].rank } ?? .max
        nodes[leaf].names.insert(client, at: place)
        if let middle = NameOrder.middle(low, high) {
            clients[client].rank = middle
        } else {
            let members = nodes[leaf].names.members
            for (offset, member) in members.enumerated() {
                clients[member].rank = NameOrder.rank(offset, of: members.count)
            }
        }
    }

    private mutating func rank(node: Int) {
        let parent = nodes[node].parent
        let path = nodes[node].path
        let members = nodes[parent].names.members
        let place = partition(members.count) { nodes[members[$0]].path < path }
        let (before, after) = nodes[parent].names.neighbours(place)
        let low = before.map { nodes[$0].rank } ?? 0
        let high = after.map { nodes[$0].rank } ?? .max
        nodes[parent].names.insert(node, at: place)
        if let middle = NameOrder.middle(low, high) {
            nodes[node].rank = middle
        } else {
            let members = nodes[parent].names.members
            for (offset, member) in members.enumerated() {
                nodes[member].rank = NameOrder.rank(offset, of: members.count)
            }
        }
    }

    /// Forgets a framework in a role; it must hold nothing there.
    mutating func removeClient(_ index: Int) {
        setWaiting(index, false)
        let leaf = clients[index].leaf
        let (name, members) = (clients[index].name, nodes[leaf].names.members)
        let place = partition(members.count) { clients[members[$0]].name < name }
        nodes[leaf].names.remove(index, near: place)
        clients[index] = Client(name: "", leaf: Self.root)
        clients[index].isUsed = false
        freeClients.append(index)
        nodes[leaf].members -= 1
        removeIfEmpty(leaf)
    }

    mutating func setWaiting(_ index: Int, _ isWaiting: Bool) {
        guard clients[index].isWaiting != isWaiting else { return }
        if !isWaiting { takeOut(client: index) }
        clients[index].isWaiting = isWaiting
        if isWaiting { putIn(client: index) }
        var node = clients[index].leaf
        while true {
            let before = nodes[node].waiting
            if before == 1, !isWaiting, node != Self.root { takeOut(node: node) }
            nodes[node].waiting = before + (isWaiting ? 1 : -1)
            if before == 0, isWaiting, node != Self.root { putIn(node: node) }
            if node == Self.root { return }
            node = nodes[node].parent
        }
    }

    /// Notes that a framework has got or given back something.
    ///
    /// O(depth · (log n + a move of the tail)).
    mutating func charge(
        _ index: Int, plus: Amounts = Amounts(), minus: Amounts = Amounts(), grants: Int = 0
    ) {
        let isWaiting = clients[index].isWaiting
        if isWaiting { takeOut(client: index) }
        clients[index].held += plus
        clients[index].held -= minus
        clients[index].grants += grants
        clients[index].share = share(clients[index].held)
        if isWaiting { putIn(client: index) }
        var node = clients[index].leaf
        while node != Self.root {
            let stands = !isAlone(node) && takeOut(node: node)
            nodes[node].held += plus
            nodes[node].held -= minus
            nodes[node].grants += grants
            nodes[node].share = share(nodes[node].held)
            if stands { putIn(node: node) }
            node = nodes[node].parent
        }
    }

    private func share(_ held: Amounts) -> DominantShare {
        DominantShare(held, of: total, counted: counted)
    }

    // MARK: Order

    /// Follows the cluster's total; sorts everything anew when that matters.
    mutating func follow(_ total: Amounts) {
        guard isFar(total) else { return }
        self.total = total
        sortAll()
    }

    /// Whether the columns stand in another proportion than in the recorded total, by more than a
    /// thousandth: where all have grown alike, every share has become smaller alike.
    private func isFar(_ other: Amounts) -> Bool {
        let width = max(total.width, other.width)
        guard let base = (0..<width).first(where: { total[$0] > 0 && other[$0] > 0 }) else {
            return total != other
        }
        let (own, new) = (UInt64(total[base]), UInt64(other[base]))
        for column in 0..<width where total[column] != 0 || other[column] != 0 {
            guard total[column] > 0, other[column] > 0 else { return true }
            let left = UInt128(UInt64(total[column])) * UInt128(new)
            let right = UInt128(UInt64(other[column])) * UInt128(own)
            let difference = left > right ? left - right : right - left
            if difference > left / 1000 { return true }
        }
        return false
    }

    /// Leaves columns out of fairness.
    mutating func exclude(_ columns: [Int]) {
        var kept: UInt64 = ~0
        for column in columns { kept &= ~(1 << UInt64(column)) }
        guard kept != counted else { return }
        counted = kept
        sortAll()
    }

    private mutating func sortAll() {
        for index in clients.indices where clients[index].isUsed {
            clients[index].share = share(clients[index].held)
        }
        for index in nodes.indices where nodes[index].isUsed {
            nodes[index].share = share(nodes[index].held)
        }
        for index in nodes.indices where nodes[index].isUsed && nodes[index].order.count > 1 {
            var order = nodes[index].order.members
            nodes[index].order = Line()
            if nodes[index].isLeaf {
                if clientOrder == .dominantShare { order.sort { precedes(client: $0, $1) } }
            } else if roleOrder == .dominantShare {
                order.sort { precedes(node: $0, $1) }
            }
            nodes[index].order = Line(order)
        }
        sortTops()
    }

    private mutating func sortTops() {
        let order = nodes[Self.root].order.members
        unmet = Line(order.filter { !nodes[$0].unmet.isZero })
        open = Line(order.filter { !nodes[$0].isAtLimit })
    }

    func precedes(client first: Int, _ second: Int) -> Bool {
        if let isLess = clients[first].share.precedes(
            clients[second].share, weight: 1, otherWeight: 1)
        {
            return isLess
        }
        if clients[first].grants != clients[second].grants {
            return clients[first].grants < clients[second].grants
        }
        return clients[first].rank < clients[second].rank
    }

    func precedes(node first: Int, _ second: Int) -> Bool {
        if let isLess = nodes[first].share.precedes(
            nodes[second].share, weight: nodes[first].weight, otherWeight: nodes[second].weight)
        {
            return isLess
        }
        if nodes[first].grants != nodes[second].grants {
            return nodes[first].grants < nodes[second].grants
        }
        return nodes[first].rank < nodes[second].rank
    }

    /// Some of those who wait, in the order in which a walk would find them; O(n log n · depth).
    func ordered(_ slots: [Int]) -> [Int] {
        guard slots.count > 1 else { return slots }
        return slots.sorted { precedes($0, $1) }
    }

    /// Whether a walk finds one framework before another one.
    private func precedes(_ first: Int, _ second: Int) -> Bool {
        var (left, right) = (clients[first].leaf, clients[second].leaf)
        if left == right {
            if clientOrder == .dominantShare { return precedes(client: first, second) }
            let order = nodes[left].order
            return order.firstIndex(of: first) ?? 0 < order.firstIndex(of: second) ?? 0
        }
        while depth(left) > depth(right) { left = nodes[left].parent }
        while depth(right) > depth(left) { right = nodes[right].parent }
        while nodes[left].parent != nodes[right].parent {
            left = nodes[left].parent
            right = nodes[right].parent
        }
        if roleOrder == .dominantShare { return precedes(node: left, right) }
        let order = nodes[nodes[left].parent].order
        return order.firstIndex(of: left) ?? 0 < order.firstIndex(of: right) ?? 0
    }

    private func depth(_ node: Int) -> Int {
        var (node, depth) = (node, 0)
        while node != Self.root {
            node = nodes[node].parent
            depth += 1
        }
        return depth
    }

    private func place(client: Int, in order: Line) -> Int {
        if clientOrder == .weightedRandom { return order.firstIndex(of: client) ?? order.count }
        return partition(order.count) { precedes(client: order[$0], client) }
    }

    private func place(node: Int, in order: Line) -> Int {
        if roleOrder == .weightedRandom { return order.firstIndex(of: node) ?? order.count }
        return partition(order.count) { precedes(node: order[$0], node) }
    }

    /// The first position for which `isBefore` does not hold, by halving.
    private func partition(_ count: Int, _ isBefore: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBefore(middle) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func takeOut(client: Int) {
        let leaf = clients[client].leaf
        let place = place(client: client, in: nodes[leaf].order)
        invariant(nodes[leaf].order[place] == client, "a framework stands where its share says")
        nodes[leaf].order.remove(at: place)
    }

    /// Whether a role stands alone among those who wait, so that its place does not depend on what
    /// it holds.
    private func isAlone(_ node: Int) -> Bool {
        nodes[nodes[node].parent].order.count == 1
    }

    private mutating func putIn(client: Int) {
        let leaf = clients[client].leaf
        let place = place(client: client, in: nodes[leaf].order)
        nodes[leaf].order.insert(client, at: place)
    }

    @discardableResult
    private mutating func takeOut(node: Int) -> Bool {
        guard nodes[node].waiting > 0, node != Self.root else { return false }
        let parent = nodes[node].parent
        let place = place(node: node, in: nodes[parent].order)
        invariant(nodes[parent].order[place] == node, "a role stands where its share says")
        nodes[parent].order.remove(at: place)
        if parent == Self.root { takeOut(top: node) }
        return true
    }

    private mutating func takeOut(top: Int) {
        if !nodes[top].unmet.isZero { unmet.remove(at: self.place(node: top, in: unmet)) }
        if !nodes[top].isAtLimit { open.remove(at: self.place(node: top, in: open)) }
    }

    private mutating func putIn(top: Int) {
        if !nodes[top].unmet.isZero { unmet.insert(top, at: self.place(node: top, in: unmet)) }
        if !nodes[top].isAtLimit { open.insert(top, at: self.place(node: top, in: open)) }
    }

    private mutating func putIn(node: Int) {
        let parent = nodes[node].parent
        let place = place(node: node, in: nodes[parent].order)
        nodes[parent].order.insert(node, at: place)
        if parent == Self.root { putIn(top: node) }
    }

    // MARK: Lots

    /// Draws the order of everything that is decided by lot; O(waiting frameworks and roles).
    mutating func drawLots() {
        guard roleOrder == .weightedRandom || clientOrder == .weightedRandom else { return }
        for index in nodes.indices where nodes[index].order.count > 1 {
            var order = nodes[index].order.members
            nodes[index].order = Line()
            if !nodes[index].isLeaf, roleOrder == .weightedRandom {
                order.sort { nodes[$0].path < nodes[$1].path }
                order = drawn(order)
            } else if nodes[index].isLeaf, clientOrder == .weightedRandom {
                order.sort { clients[$0].name < clients[$1].name }
                order.shuffle(using: &generator)
            }
            nodes[index].order = Line(order)
        }
        sortTops()
    }

    /// Draws one after the other, each by its weight among those left; a binary indexed tree of
    /// the weights makes each draw O(log n).
    private mutating func drawn(_ candidates: [Int]) -> [Int] {
        let count = candidates.count
        var sums = [UInt64](repeating: 0, count: count + 1)
        for (offset, node) in candidates.enumerated() {
            sums[offset + 1] &+= nodes[node].weight
            let above = (offset + 1) + ((offset + 1) & -(offset + 1))
            if above <= count { sums[above] &+= sums[offset + 1] }
        }
        var left = candidates.reduce(0) { $0 + nodes[$1].weight }
        var order: [Int] = []
        order.reserveCapacity(count)
        var step = 1
        while step * 2 <= count { step *= 2 }
        for _ in 0..<count {
            var rest = UInt64.random(in: 0..<left, using: &generator)
            var position = 0
            var stride = step
            while stride > 0 {
                if position + stride <= count, sums[position + stride] <= rest {
                    position += stride
                    rest -= sums[position]
                }
                stride /= 2
            }
            let weight = nodes[candidates[position]].weight
            order.append(candidates[position])
            left -= weight
            var index = position + 1
            while index <= count {
                sums[index] -= weight
                index += index & -index
            }
        }
        return order
    }
}

/// Numbers in the order in which they come to offers; small, for it is moved with every grant.
struct Line: Sendable {
    private var numbers: [Int32] = []

    init() {}
    init(_ members: [Int]) { numbers = members.map { Int32(truncatingIfNeeded: $0) } }

    var count: Int { numbers.count }
    var members: [Int] { numbers.map { Int($0) } }

    subscript(place: Int) -> Int { Int(numbers[place]) }

    func firstIndex(of member: Int) -> Int? {
        numbers.firstIndex(of: Int32(truncatingIfNeeded: member))
    }

    mutating func insert(_ member: Int, at place: Int) {
        numbers.insert(Int32(truncatingIfNeeded: member), at: place)
    }

    mutating func remove(at place: Int) { numbers.remove(at: place) }
}

/// Siblings by name, with ranks that leave gaps: comparing two of them needs no comparison of
/// strings.
struct NameOrder: Sendable {
    private(set) var members: [Int] = []

    init() {}

    func neighbours(_ place: Int) -> (before: Int?, after: Int?) {
        (place > 0 ? members[place - 1] : nil, place < members.count ? members[place] : nil)
    }

    mutating func insert(_ member: Int, at place: Int) { members.insert(member, at: place) }

    /// Removes a member that stands at a place or, where names are equal, after it.
    mutating func remove(_ member: Int, near place: Int) {
        if let found = members[place...].firstIndex(of: member) { members.remove(at: found) }
    }

    /// A rank between two others, if there is room.
    static func middle(_ low: UInt64, _ high: UInt64) -> UInt64? {
        high - low > 1 ? low + (high - low) / 2 : nil
    }

    /// The rank of one of so many when all are spread anew.
    static func rank(_ place: Int, of count: Int) -> UInt64 {
        UInt64.max / UInt64(count + 1) * UInt64(place + 1)
    }
}

/// A walk over the waiting frameworks of a tree in order, without recursion: roles may be deep.
struct OrderWalk {
    /// Which top-level roles are visited.
    enum Tops {
        /// All that wait.
        case all
        /// Those that have less than they are guaranteed.
        case unmet
        /// Those that are not at their limit.
        case open
    }

    private var tops = Tops.all
    private var top = 0
    private var stack: [(node: Int, next: Int)] = []
    /// The only ones that are visited, in order, if there are but few.
    private var few: [Int]?

    mutating func begin(_ tops: Tops = .all) {
        self.tops = tops
        top = 0
        few = nil
        stack.removeAll(keepingCapacity: true)
    }

    /// Visits only these, which are in order.
    mutating func begin(_ few: [Int]) {
        self.few = few
        top = 0
    }

    /// Begins anew after the order has changed.
    mutating func begin(again tree: RoleTree) {
        if let few { begin(tree.ordered(few)) } else { begin(tops) }
    }

    /// The next framework; `isSkipped` says of a top-level role that it is left out.
    mutating func next(_ tree: RoleTree, skipping isSkipped: (Int) -> Bool) -> Int? {
        if let few {
            defer { top += 1 }
            return top < few.count ? few[top] : nil
        }
        while true {
            guard let (node, position) = stack.last else {
                guard let next = nextTop(tree) else { return nil }
                if !isSkipped(next) { stack.append((next, 0)) }
                continue
            }
            guard position < tree.nodes[node].order.count else {
                stack.removeLast()
                continue
            }
            let entry = tree.nodes[node].order[position]
            stack[stack.count - 1].next = position + 1
            if tree.nodes[node].isLeaf { return entry }
            stack.append((entry, 0))
        }
    }

    private mutating func nextTop(_ tree: RoleTree) -> Int? {
        defer { top += 1 }
        switch tops {
        case .all:
            let order = tree.nodes[RoleTree.root].order
            return top < order.count ? order[top] : nil
        case .unmet: return top < tree.unmet.count ? tree.unmet[top] : nil
        case .open: return top < tree.open.count ? tree.open[top] : nil
        }
    }
}
