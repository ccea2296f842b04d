internal import Proffer

/// What an app is to become; `nil` when it is to go.
struct AppChange: Hashable, Sendable {
    var path: AppPath
    var app: App?
}

extension ServicePolicy {
    /// So many deployments at most are under way at once.
    private static let deploymentLimit = 100

    /// The apps that users see.
    var goals: [App] { apps.values.filter { !$0.isRemoved }.map(\.goal) }

    func goal(_ path: AppPath) -> App? {
        guard let record = apps[path], !record.isRemoved else { return nil }
        return record.goal
    }

    /// Begins to change apps, in the order of their dependencies.
    ///
    /// `groups` are all groups as they are to be, `nil` when they stay as they are; with `force`
    /// deployments that are in the way are dropped, without undoing them.
    ///
    /// - Throws: The answer that refuses the change; nothing has changed then.
    mutating func deploy(
        _ changes: [AppChange], groups newGroups: SortedMap<AppPath, GroupRecord>? = nil,
        version: String, force: Bool, at now: Int64
    ) throws(ServiceAnswer) -> Deployment {
        let graph = try checkedGraph(changes, newGroups ?? groups)
        let blocking = deployments.filter { deployment in
            changes.contains { deployment.affects($0.path) }
        }
        if !blocking.isEmpty, !force { throw .locked(by: blocking) }
        guard deployments.count - blocking.count < Self.deploymentLimit else {
            throw .message(403, "there are \(Self.deploymentLimit) deployments under way already")
        }
        for deployment in blocking { drop(deployment) }
        if let newGroups { replaceGroups(newGroups) }
        let deployment = Deployment(
            id: generator.uuidText(), version: version,
            steps: steps(for: changes, graph.depths()),
            originals: changes.map { Deployment.Original(path: $0.path, app: goal($0.path)) })
        for change in changes { adopt(change) }
        deployments.append(deployment)
        store(deployment)
        tell(
            "deployment_info", at: now,
            [("plan", deployment.plan), ("currentStep", deployment.currentStepJSON)])
        beginStep(of: deployment, at: now)
        return deployment
    }

    private func checkedGraph(
        _ changes: [AppChange], _ groups: SortedMap<AppPath, GroupRecord>
    ) throws(ServiceAnswer) -> DependencyGraph {
        var world = goals.filter { goal in !changes.contains { $0.path == goal.id } }
        world += changes.compactMap(\.app)
        world.sort { $0.id < $1.id }
        let graph = DependencyGraph(apps: world, groups: groups.values)
        if let cycle = graph.cycle {
            let names = cycle.map(\.description).joined(separator: " → ")
            throw .invalid([
                FieldProblem(
                    path: "/dependencies",
                    message: "the dependencies form a circle: \(names); remove one of them")
            ])
        }
        return graph
    }

    /// Removed apps first, then new ones without instances, then one step for each layer of
    /// dependencies.
    private func steps(
        for changes: [AppChange], _ depths: SortedMap<AppPath, Int>
    ) -> [[Deployment.Action]] {
        var stops: [Deployment.Action] = []
        var starts: [Deployment.Action] = []
        var layers: SortedMap<Int, [Deployment.Action]> = SortedMap()
        for change in changes {
            guard let app = change.app else {
                if goal(change.path) != nil {
                    stops.append(Deployment.Action(kind: .stop, app: change.path))
                }
                continue
            }
            let depth = depths[change.path] ?? 0
            var kind = Deployment.Kind.scale
            if let old = goal(change.path) {
                let isMixed = members(of: change.path).contains {
                    $0.isCounted && $0.configuration != app.lastConfigChangeAt
                }
                if isMixed || !old.isSameConfiguration(as: app) { kind = .restart }
                if kind == .scale, old.instances == app.instances { continue }
            } else {
                starts.append(Deployment.Action(kind: .start, app: change.path))
            }
            layers[depth] = (layers[depth] ?? []) + [.init(kind: kind, app: change.path)]
        }
        return ([stops, starts] + layers.values).filter { !$0.isEmpty }
    }

    /// Makes the change what users see; instances follow step by step.
    private mutating func adopt(_ change: AppChange) {
        let path = change.path
        touchAndStore(path)
        guard let app = change.app else {
            apps.change(path) { $0.isRemoved = true }
            return
        }
        var empty = app
        empty.instances = 0
        if apps[path] == nil { apps[path] = AppRecord(goal: app, active: empty) }
        if apps[path]?.isRemoved ?? false {
            apps.change(path) {
                $0.isRemoved = false
                $0.active = empty
                $0.delay = nil
            }
        }
        apps.change(path) { $0.goal = app }
        guard !(apps[path]?.versions.contains { $0.version == app.version } ?? false) else {
            return
        }
        apps.change(path) { $0.versions.append(app) }
        turn.changes.append(
            StoreChange(
                kind: StoreKind.version, key: versionKey(path, app.version),
                value: app.json.description))
        while let first = apps[path]?.versions.first,
            (apps[path]?.versions.count ?? 0) > AppRecord.versionLimit
        {
            apps.change(path) { _ = $0.versions.removeFirst() }
            turn.changes.append(
                StoreChange(
                    kind: StoreKind.version, key: versionKey(path, first.version), value: nil))
        }
    }

    private mutating func replaceGroups(_ new: SortedMap<AppPath, GroupRecord>) {
        for path in groups.keys where new[path] == nil {
            turn.changes.append(
                StoreChange(kind: StoreKind.group, key: path.description, value: nil))
        }
        for group in new.values where groups[group.path] != group {
            turn.changes.append(
                StoreChange(
                    kind: StoreKind.group, key: group.path.description,
                    value: group.stored.description))
        }
        groups = new
    }

    private mutating func store(_ deployment: Deployment) {
        turn.changes.append(
            StoreChange(
                kind: StoreKind.deployment, key: deployment.id,
                value: deployment.stored.description))
    }

    private mutating func remove(_ deployment: Deployment) {
        deployments.removeAll { $0.id == deployment.id }
        turn.changes.append(
            StoreChange(kind: StoreKind.deployment, key: deployment.id, value: nil))
    }

    /// Stops work on a deployment: its apps stay as they are, new instances are of the new kind.
    mutating func drop(_ deployment: Deployment) {
        remove(deployment)
        for original in deployment.originals {
            apps.change(original.path) { $0.active = $0.goal }
            touchAndStore(original.path)
        }
    }

    private mutating func beginStep(of deployment: Deployment, at now: Int64) {
        for action in deployment.currentActions {
            switch action.kind {
            case .start, .stop: break
            case .scale, .restart:
                apps.change(action.app) {
                    if action.kind == .restart { $0.delay = nil }
                    $0.active = $0.goal
                }
                touchAndStore(action.app)
            }
            settle(action.app, at: now)
        }
    }

    /// Moves one deployment on whose step is done; `false` when there is none.
    mutating func advanceDeployments(at now: Int64) -> Bool {
        guard
            let index = deployments.firstIndex(where: {
                $0.currentActions.allSatisfy(isDone)
            })
        else { return false }
        var deployment = deployments[index]
        let step = deployment.currentStepJSON
        if deployment.current + 1 < deployment.steps.count {
            deployment.current += 1
            deployments[index] = deployment
            store(deployment)
            tell(
                "deployment_step_success", at: now,
                [("plan", deployment.plan), ("currentStep", step)])
            beginStep(of: deployment, at: now)
        } else {
            remove(deployment)
            tell(
                "deployment_success", at: now,
                [("id", .string(deployment.id)), ("plan", deployment.plan)])
        }
        return true
    }

    private func isDone(_ action: Deployment.Action) -> Bool {
        guard let record = apps[action.app] else { return true }
        switch action.kind {
        case .start: return true
        case .stop: return !record.isRemoved
        case .scale, .restart:
            if record.isRemoved { return true }
            let members = members(of: action.app)
            let counted = members.filter(\.isCounted)
            let isEnding = members.contains { $0.isDying && $0.state != .unreachable }
            let isOld =
                action.kind == .restart
                && counted.contains { $0.configuration != record.active.lastConfigChangeAt }
            return counted.count == record.active.instances && !isEnding && !isOld
                && counted.allSatisfy(\.isHealthy)
        }
    }
}

extension Deployment {
    /// As Marathon's events carry it.
    fileprivate var plan: JSON {
        [
            "id": .string(id), "version": .string(version), "original": [:], "target": [:],
            "steps": json["steps"] ?? [],
        ]
    }

    fileprivate var currentStepJSON: JSON { ["actions": json["currentActions"] ?? []] }
}
