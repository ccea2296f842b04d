/// Which app has to wait for which.
struct DependencyGraph {
    private var edges: SortedMap<AppPath, [AppPath]> = SortedMap()

    /// Resolves the dependencies of apps, and of the groups they lie in, to apps.
    ///
    /// What names nothing that exists is nothing to wait for.
    ///
    /// O(apps² · dependencies).
    init(apps: [App], groups: [GroupRecord]) {
        for app in apps {
            var names = app.dependencies
            for group in groups where app.id != group.path && app.id.isWithin(group.path) {
                names += group.dependencies
            }
            var targets: [AppPath] = []
            for name in names {
                for other in apps where other.id != app.id && other.id.isWithin(name) {
                    targets.append(other.id)
                }
                if name == app.id { targets.append(name) }
            }
            edges[app.id] = targets
        }
    }

    /// A way round in a circle, or `nil` when there is none.
    var cycle: [AppPath]? {
        var done: Set<AppPath> = []
        for start in edges.keys {
            var path: [AppPath] = []
            if let cycle = findCycle(from: start, &path, &done) { return cycle }
        }
        return nil
    }

    private func findCycle(
        from app: AppPath, _ path: inout [AppPath], _ done: inout Set<AppPath>
    ) -> [AppPath]? {
        if let index = path.firstIndex(of: app) { return path[index...] + [app] }
        if done.contains(app) { return nil }
        path.append(app)
        for next in edges[app] ?? [] {
            if let cycle = findCycle(from: next, &path, &done) { return cycle }
        }
        path.removeLast()
        done.insert(app)
        return nil
    }

    /// The length of the longest way from each app to one that waits for nothing.
    ///
    /// There must be no ``cycle``.
    func depths() -> SortedMap<AppPath, Int> {
        var depths: SortedMap<AppPath, Int> = SortedMap()
        for app in edges.keys { _ = depth(of: app, &depths) }
        return depths
    }

    private func depth(of app: AppPath, _ depths: inout SortedMap<AppPath, Int>) -> Int {
        if let known = depths[app] { return known }
        var depth = 0
        for next in edges[app] ?? [] { depth = max(depth, self.depth(of: next, &depths) + 1) }
        depths[app] = depth
        return depth
    }
}
