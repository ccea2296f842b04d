internal import Proffer

extension ServicePolicy {
    mutating func routeGroups(
        _ request: ServiceRequest, _ rest: [String], at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        if rest.last == "versions", request.method == .get {
            let path = AppPath(segments: rest.dropLast())
            guard isGroup(path) else { throw noGroup(path) }
            return .ok([.string(groupVersion(path))])
        }
        let path = AppPath(segments: rest)
        switch request.method {
        case .get:
            guard isGroup(path) else { throw noGroup(path) }
            let embed = request.values("embed", "embed[]").map { text in
                String(text.split(separator: ".").last ?? "")
            }
            return .ok(groupJSON(path, embed: embed))
        case .post: return try createGroup(path, request, at: now)
        case .put: return try changeGroup(path, request, at: now)
        case .delete: return try removeGroup(path, request, at: now)
        case .patch: throw refuseMethod(request)
        }
    }

    private func noGroup(_ path: AppPath) -> ServiceAnswer {
        .message(404, "Group '\(path)' does not exist")
    }

    /// Whether the group was created, or something lies in it.
    private func isGroup(_ path: AppPath) -> Bool {
        path.isRoot || groups.keys.contains { $0.isWithin(path) }
            || goals.contains { $0.id != path && $0.id.isWithin(path) }
    }

    private func groupVersion(_ path: AppPath) -> String {
        let below = groups.values.filter { $0.path.isWithin(path) }.map(\.version)
        let apps = goals.filter { $0.id.isWithin(path) }.map(\.version)
        return (below + apps).max() ?? timeText(0)
    }

    /// The groups directly in a group.
    private func subgroups(of path: AppPath) -> [AppPath] {
        var found: SortedMap<AppPath, Bool> = SortedMap()
        let depth = path.segments.count
        for group in groups.keys where group != path && group.isWithin(path) {
            found[AppPath(segments: Array(group.segments.prefix(depth + 1)))] = true
        }
        for app in goals where app.id.isWithin(path) && app.id.segments.count > depth + 1 {
            found[AppPath(segments: Array(app.id.segments.prefix(depth + 1)))] = true
        }
        return found.keys
    }

    private func groupJSON(_ path: AppPath, embed: [String]) -> JSON {
        let apps = goals.filter { !$0.id.isRoot && $0.id.parent == path }
        return [
            "id": .string(path.description),
            "apps": .array(apps.map { describe($0, embed: embed) }),
            "groups": .array(subgroups(of: path).map { groupJSON($0, embed: embed) }),
            "pods": [],
            "dependencies": .texts((groups[path]?.dependencies ?? []).map(\.description)),
            "version": .string(groupVersion(path)),
        ]
    }

    // MARK: Changing

    private mutating func createGroup(
        _ base: AppPath, _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let body = try body(of: request)
        var reader = GroupReader(role: configuration.role)
        let isBodyNamed = body["id"]?.text != nil
        let update = reader.read(body, id: isBodyNamed || base.isRoot ? nil : base, in: .root)
        guard let update else { throw .refusing(reader.fields) }
        if isGroup(update.path) {
            throw .message(
                409, "Group \(update.path) is already created. Use PUT to change this group.")
        }
        return try apply(update, request, status: 201, at: now)
    }

    private mutating func changeGroup(
        _ path: AppPath, _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let body = try body(of: request)
        let given = body.members.filter { !$0.value.isNull && $0.name != "id" }
        if given.count == 1, body["version"] != nil {
            throw .message(
                422, "Earlier versions of groups are not kept; roll back each app instead")
        }
        if body["scaleBy"]?.isNull == false { return try scale(path, body, request, at: now) }
        var reader = GroupReader(role: configuration.role)
        guard let update = reader.read(body, id: path, in: .root) else {
            throw .refusing(reader.fields)
        }
        return try apply(update, request, status: isGroup(path) ? 200 : 201, at: now)
    }

    /// Multiplies every instance count, and rounds up.
    private mutating func scale(
        _ path: AppPath, _ body: JSON, _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        guard isGroup(path) else { throw noGroup(path) }
        var reader = FieldReader()
        let factor = reader.number(body, "scaleBy", at: "", decimals: 6, in: 0...1000)
        guard let factor else { throw .refusing(reader) }
        let version = newVersion(at: now)
        var changes: [AppChange] = []
        for var app in goals where app.id.isWithin(path) {
            let count = (Int64(app.instances) * factor + 999_999) / 1_000_000
            app.instances = min(Int(count), AppReader.Limit.instances)
            changes.append(AppChange(path: app.id, app: prepare(app, version: version)))
        }
        let deployment = try deploy(
            changes, version: version, force: request.flag("force"), at: now)
        return ServiceAnswer(200, .json(deployment.receipt), headers: [deployment.header])
    }

    private mutating func apply(
        _ update: GroupUpdate, _ request: ServiceRequest, status: Int, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let version = newVersion(at: now)
        var newGroups = groups
        var changes: [AppChange] = []
        collect(update, version, &newGroups, &changes)
        try refuseClashes(newGroups, changes)
        if request.flag("dryRun") {
            var copy = self
            let plan = try copy.deploy(
                changes, groups: newGroups, version: version, force: true, at: now)
            return .ok(["steps": plan.json["steps"] ?? []])
        }
        let deployment = try deploy(
            changes, groups: newGroups, version: version, force: request.flag("force"), at: now)
        return ServiceAnswer(
            status, .json(deployment.receipt),
            headers: [deployment.header, .init("Location", "/v2/groups\(update.path)")])
    }

    /// Turns a description into changes of apps and groups.
    private func collect(
        _ update: GroupUpdate, _ version: String,
        _ newGroups: inout SortedMap<AppPath, GroupRecord>, _ changes: inout [AppChange]
    ) {
        newGroups[update.path] = GroupRecord(
            path: update.path,
            dependencies: update.dependencies ?? newGroups[update.path]?.dependencies ?? [],
            version: version)
        if let apps = update.apps {
            for old in goals where !old.id.isRoot && old.id.parent == update.path {
                guard !apps.contains(where: { $0.id == old.id }) else { continue }
                changes.append(AppChange(path: old.id, app: nil))
            }
            for app in apps { add(app, version, to: &changes) }
        }
        guard let groups = update.groups else { return }
        for old in subgroups(of: update.path)
        where !groups.contains(where: { $0.path.isWithin(old) }) {
            for app in goals where app.id.isWithin(old) && app.id != old {
                changes.append(AppChange(path: app.id, app: nil))
            }
            for group in newGroups.keys where group.isWithin(old) { newGroups[group] = nil }
        }
        for group in groups { collect(group, version, &newGroups, &changes) }
    }

    private func add(_ app: App, _ version: String, to changes: inout [AppChange]) {
        let other = changes.flatMap { $0.app?.ports.map(\.port) ?? [] }
        changes.append(
            AppChange(path: app.id, app: prepare(app, version: version, taken: other)))
    }

    /// An id names an app or a group, not both.
    private func refuseClashes(
        _ newGroups: SortedMap<AppPath, GroupRecord>, _ changes: [AppChange]
    ) throws(ServiceAnswer) {
        var ids = goals.map(\.id).filter { id in !changes.contains { $0.path == id } }
        ids += changes.compactMap { $0.app?.id }
        for id in ids {
            let isAbove = ids.contains { $0 != id && $0.isWithin(id) }
            if newGroups[id] != nil || isAbove {
                throw .invalid([
                    FieldProblem(path: "/id", message: "'\(id)' would be an app and a group")
                ])
            }
        }
    }

    private mutating func removeGroup(
        _ path: AppPath, _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        guard isGroup(path) else { throw noGroup(path) }
        var newGroups = groups
        for group in groups.keys where group.isWithin(path) { newGroups[group] = nil }
        let changes = goals.filter { $0.id.isWithin(path) }.map {
            AppChange(path: $0.id, app: nil)
        }
        let deployment = try deploy(
            changes, groups: newGroups, version: newVersion(at: now),
            force: request.flag("force"), at: now)
        return ServiceAnswer(200, .json(deployment.receipt), headers: [deployment.header])
    }
}
