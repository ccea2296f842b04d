/// Which app has to wait for which.
///
/// Apps are nodes, and so is every group as "all apps in it": an app that waits for a group has one
/// edge, however many apps are in the group. Searches keep their own stack, because what users may
/// chain is longer than a thread's stack.
struct DependencyGraph {
    private struct Node {
        /// The app; `nil` for a group.
        var app: AppPath?
        var edges: [Int] = []
    }

    private let apps: [AppPath]
    /// The apps first, in the same order.
    private var nodes: [Node]
    private var groupNodes: [AppPath: Int] = [:]

    /// Resolves the dependencies of apps, and of the groups they lie in, to apps.
    ///
    /// What names nothing that exists is nothing to wait for.
    ///
    /// O(apps · (depth of their paths + dependencies) · log apps).
    init(apps: [App], groups: [GroupRecord]) {
        self.apps = apps.map(\.id)
        nodes = apps.map { Node(app: $0.id) }
        for index in apps.indices { addToGroups(index) }
        var dependencies: [AppPath: [AppPath]] = [:]
        for group in groups { dependencies[group.path] = group.dependencies }
        var ownGroups: [AppPath: Int] = [:]
        for (index, app) in apps.enumerated() {
            var names = app.dependencies
            for group in app.id.ancestors { names += dependencies[group] ?? [] }
            for name in names { connect(index, to: name, &ownGroups) }
        }
    }

    /// Hangs an app below "all apps in it" of its own path and of every group above.
    private mutating func addToGroups(_ index: Int) {
        var child = index
        for path in [apps[index]] + apps[index].ancestors.reversed() {
            let known = groupNodes[path]
            let group = known ?? nodes.count
            if known == nil {
                nodes.append(Node())
                groupNodes[path] = group
            }
            nodes[group].edges.append(child)
            // The groups above have it already.
            if known != nil { return }
            child = group
        }
    }

    private mutating func connect(
        _ index: Int, to name: AppPath, _ ownGroups: inout [AppPath: Int]
    ) {
        let app = apps[index]
        guard app != name, app.isWithin(name) else {
            if app == name { nodes[index].edges.append(index) }
            if let group = groupNodes[name], app != name { nodes[index].edges.append(group) }
            return
        }
        // It waits for all others of a group in which it is itself. Two such wait for each other;
        // one needs an edge to each, so that it does not wait for itself.
        if let other = ownGroups[name], other != index {
            nodes[index].edges.append(other)
            nodes[other].edges.append(index)
            return
        }
        ownGroups[name] = index
        for other in apps.indices where other != index && apps[other].isWithin(name) {
            nodes[index].edges.append(other)
        }
    }

    /// How many edges there are, those of groups included.
    var edgeCount: Int { nodes.reduce(0) { $0 + $1.edges.count } }

    private enum Outcome {
        /// Every node, after those it waits for.
        case order([Int])
        case cycle([Int])
    }

    /// O(nodes + edges).
    private func search() -> Outcome {
        var order: [Int] = []
        var isDone = [Bool](repeating: false, count: nodes.count)
        var place = [Int?](repeating: nil, count: nodes.count)
        var path: [(node: Int, next: Int)] = []
        for start in nodes.indices where !isDone[start] {
            path.append((start, 0))
            place[start] = 0
            while let top = path.last {
                guard top.next < nodes[top.node].edges.count else {
                    path.removeLast()
                    place[top.node] = nil
                    isDone[top.node] = true
                    order.append(top.node)
                    continue
                }
                path[path.count - 1].next += 1
                let target = nodes[top.node].edges[top.next]
                if let first = place[target] { return .cycle(path[first...].map(\.node)) }
                if isDone[target] { continue }
                place[target] = path.count
                path.append((target, 0))
            }
        }
        return .order(order)
    }

    /// A way round in a circle, or `nil` when there is none.
    var cycle: [AppPath]? {
        guard case .cycle(let circle) = search() else { return nil }
        let path = circle.compactMap { nodes[$0].app }
        return path + path.prefix(1)
    }

    /// The length of the longest way from each app to one that waits for nothing; empty when there
    /// is a ``cycle``.
    func depths() -> SortedMap<AppPath, Int> {
        var depths: SortedMap<AppPath, Int> = SortedMap()
        guard case .order(let order) = search() else { return depths }
        // Of a group: that of its deepest app; -1 when there is nothing to wait for.
        var found = [Int](repeating: -1, count: nodes.count)
        for index in order {
            let deepest = nodes[index].edges.map { found[$0] }.max() ?? -1
            found[index] = nodes[index].app == nil ? deepest : deepest + 1
            if let app = nodes[index].app { depths[app] = found[index] }
        }
        return depths
    }
}
