internal import Proffer

extension ServicePolicy {
    mutating func routeApps(
        _ request: ServiceRequest, _ rest: [String], at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        if rest.isEmpty { return try routeAppList(request, at: now) }
        if let index = rest.lastIndex(of: "tasks"), index > 0, index >= rest.count - 2 {
            return try routeAppTasks(
                request, AppPath(segments: Array(rest[..<index])),
                task: rest.dropFirst(index + 1).first, at: now)
        }
        if let index = rest.lastIndex(of: "versions"), index > 0, index >= rest.count - 2 {
            return try versions(
                request, of: AppPath(segments: Array(rest[..<index])),
                version: rest.dropFirst(index + 1).first)
        }
        if rest.last == "restart", rest.count > 1 {
            guard request.method == .post else { throw refuseMethod(request) }
            return try restart(AppPath(segments: rest.dropLast()), request, at: now)
        }
        let path = AppPath(segments: rest)
        switch request.method {
        case .get: return try show(path, request)
        case .put, .patch: return try change(path, request, at: now)
        case .delete: return try remove(path, request, at: now)
        case .post: throw refuseMethod(request)
        }
    }

    private mutating func routeAppList(
        _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        switch request.method {
        case .get:
            let selector = try LabelSelector(request.value("label"))
            let wanted = goals.filter { isWanted($0, request) && selector.matches($0.labels) }
            let embed = request.values("embed", "embed[]")
            return .ok([
                "apps": .array(wanted.map { describe($0, embed: embed.map(Self.plainEmbed)) })
            ])
        case .post: return try create(request, at: now)
        case .put, .patch: return try changeSeveral(request, at: now)
        case .delete: throw refuseMethod(request)
        }
    }

    private static func plainEmbed(_ text: String) -> String {
        text.hasPrefix("apps.") || text.hasPrefix("app.")
            ? String(text.drop { $0 != "." }.dropFirst()) : text
    }

    private func isWanted(_ app: App, _ request: ServiceRequest) -> Bool {
        if let part = request.value("id"),
            !app.id.description.lowercased().contains(part.lowercased())
        {
            return false
        }
        guard let part = request.value("cmd") else { return true }
        guard case .shell(let text) = app.command else { return false }
        return text.lowercased().contains(part.lowercased())
    }

    // MARK: Reading

    /// An app with its counts and deployments and whatever is to be embedded.
    func describe(_ app: App, embed: [String]) -> JSON {
        let members = members(of: app.id).filter { !$0.isDying }
        let isRunning = { (instance: Instance) in instance.state == .running }
        let healthy = members.count { isRunning($0) && $0.health?.isAlive == true }
        let unhealthy = members.count { isRunning($0) && $0.health?.isAlive == false }
        let blocking = deployments.filter { $0.affects(app.id) }
        let areTasksWanted = embed.contains("tasks") || embed.contains("failures")
        let isFailureWanted = embed.contains("lastTaskFailure") || embed.contains("failures")
        return app.json.appending([
            ("tasksStaged", .int(members.count { $0.state == .staging || $0.state == .starting })),
            ("tasksRunning", .int(members.count(where: isRunning))),
            ("tasksHealthy", .int(healthy)),
            ("tasksUnhealthy", .int(unhealthy)),
            ("deployments", .array(blocking.map { ["id": .string($0.id)] })),
            ("tasks", areTasksWanted ? .array(self.members(of: app.id).map(taskJSON)) : nil),
            ("lastTaskFailure", isFailureWanted ? apps[app.id]?.lastFailure : nil),
        ])
    }

    private func show(
        _ path: AppPath, _ request: ServiceRequest
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let embed = ["tasks", "lastTaskFailure"]
        if path.segments.last == "*" {
            let group = path.parent
            let below = goals.filter { $0.id.isWithin(group) }
            return .ok(["*": .array(below.map { describe($0, embed: embed) })])
        }
        guard let app = goal(path) else { throw .noApp(path) }
        return .ok(["app": describe(app, embed: embed)])
    }

    private func versions(
        _ request: ServiceRequest, of path: AppPath, version: String?
    ) throws(ServiceAnswer) -> ServiceAnswer {
        guard request.method == .get else { throw refuseMethod(request) }
        guard goal(path) != nil, let record = apps[path] else { throw .noApp(path) }
        guard let version else {
            return .ok(["versions": .texts(record.versions.reversed().map(\.version))])
        }
        return .ok(try find(version, of: path).json)
    }

    private func find(_ version: String, of path: AppPath) throws(ServiceAnswer) -> App {
        guard let app = apps[path]?.versions.first(where: { $0.version == version }) else {
            throw .message(404, "App '\(path)' with version '\(version)' does not exist")
        }
        return app
    }

    // MARK: Changing

    private mutating func create(
        _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let body = try body(of: request)
        var reader = AppReader(role: configuration.role)
        guard let wanted = reader.read(body) else { throw .refusing(reader.fields) }
        if goal(wanted.id) != nil {
            throw .message(409, "An app with id [\(wanted.id)] already exists.")
        }
        try refuseGroup(wanted.id)
        let version = newVersion(at: now)
        let app = prepare(wanted, version: version)
        let deployment = try deploy(
            [AppChange(path: app.id, app: app)], version: version, force: request.flag("force"),
            at: now)
        let described = describe(app, embed: ["tasks"])
        return ServiceAnswer(
            201, .json(described),
            headers: [.init("Location", "/v2/apps\(app.id)"), deployment.header])
    }

    /// An id names an app or a group, not both.
    private func refuseGroup(_ path: AppPath) throws(ServiceAnswer) {
        let isGroup =
            groups[path] != nil || goals.contains { $0.id != path && $0.id.isWithin(path) }
        let isBelowApp = path.ancestors.contains { goal($0) != nil }
        if isGroup || isBelowApp {
            throw .invalid([
                FieldProblem(
                    path: "/id",
                    message: isGroup
                        ? "'\(path)' is the id of a group" : "an app cannot lie in another app")
            ])
        }
    }

    private mutating func change(
        _ path: AppPath, _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let body = try body(of: request)
        let isNew = goal(path) == nil
        if isNew, request.method == .patch { throw .noApp(path) }
        let isPartial =
            request.method == .patch || request.flag("partialUpdate", default: true)
        let wanted = try read(body, for: path, isPartial: isPartial, at: "")
        if isNew { try refuseGroup(path) }
        let version = newVersion(at: now)
        let app = prepare(wanted, version: version)
        let deployment = try deploy(
            [AppChange(path: path, app: app)], version: version, force: request.flag("force"),
            at: now)
        let headers = [deployment.header]
        guard isNew else {
            return ServiceAnswer(200, .json(deployment.receipt), headers: headers)
        }
        return ServiceAnswer(
            201, .json(deployment.receipt),
            headers: headers + [.init("Location", "/v2/apps\(path)")])
    }

    private mutating func changeSeveral(
        _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        guard case .array(let list) = try body(of: request) else {
            throw .malformed(JSONProblem(path: "/", message: "expected a list of apps"))
        }
        let isPartial =
            request.method == .patch || request.flag("partialUpdate", default: true)
        let version = newVersion(at: now)
        var changes: [AppChange] = []
        for (index, element) in list.enumerated() {
            guard let id = element["id"]?.text else {
                throw .invalid([FieldProblem(path: "/\(index)/id", message: "is missing")])
            }
            let path = AppPath(id)
            if request.method == .patch, goal(path) == nil { throw .noApp(path) }
            if changes.contains(where: { $0.path == path }) {
                throw .invalid([FieldProblem(path: "/\(index)/id", message: "is given twice")])
            }
            let wanted = try read(element, for: path, isPartial: isPartial, at: "/\(index)")
            if goal(path) == nil { try refuseGroup(path) }
            let others = changes.flatMap { $0.app?.ports.map(\.port) ?? [] }
            changes.append(
                AppChange(path: path, app: prepare(wanted, version: version, taken: others)))
        }
        let deployment = try deploy(
            changes, version: version, force: request.flag("force"), at: now)
        return ServiceAnswer(200, .json(deployment.receipt), headers: [deployment.header])
    }

    /// The app that a change asks for: with nothing but a version an earlier state, partially the
    /// present one with other fields.
    private func read(
        _ body: JSON, for path: AppPath, isPartial: Bool, at field: String
    ) throws(ServiceAnswer) -> App {
        let given = body.members.filter { !$0.value.isNull && $0.name != "id" }
        if given.count == 1, let version = body["version"]?.text {
            guard goal(path) != nil else { throw .noApp(path) }
            return try find(version, of: path)
        }
        var json = body
        if isPartial, let present = goal(path) { json = Self.overlay(present, with: body) }
        var reader = AppReader(path: field, role: configuration.role)
        guard let app = reader.read(json, id: path) else { throw .refusing(reader.fields) }
        return app
    }

    /// A field takes the place of those that say the same in another way.
    private static func overlay(_ present: App, with body: JSON) -> JSON {
        let rivals = [
            "cmd": ["args"], "args": ["cmd"], "ports": ["portDefinitions"], "uris": ["fetch"],
        ]
        let displaced = body.members.flatMap { member in
            member.value.isNull ? [] : rivals[member.name] ?? []
        }
        return present.json.removing(displaced + ["version", "versionInfo"]).overlaid(with: body)
    }

    /// Gives an app its versions and the service ports it left open.
    ///
    /// `taken` are ports of apps that are being changed together with this one.
    func prepare(
        _ wanted: App, version: String, restarts: Bool = false, taken: [Int] = []
    ) -> App {
        let old = goal(wanted.id)
        var app = wanted
        chooseServicePorts(of: &app, old: old, taken)
        app.version = version
        app.lastConfigChangeAt = version
        app.lastScalingAt = version
        guard let old, !restarts, old.isSameConfiguration(as: app) else { return app }
        if old.instances == app.instances { return old }
        app.lastConfigChangeAt = old.lastConfigChangeAt
        return app
    }

    private func chooseServicePorts(of app: inout App, old: App?, _ others: [Int]) {
        guard !app.requirePorts else { return }
        var taken = Set(goals.filter { $0.id != app.id }.flatMap { $0.ports.map(\.port) })
        taken.formUnion(others)
        taken.formUnion(app.ports.map(\.port))
        var next = configuration.servicePorts.lowerBound
        for index in app.ports.indices where app.ports[index].port == 0 {
            if let old, !old.requirePorts, old.ports.indices.contains(index),
                !taken.contains(old.ports[index].port)
            {
                app.ports[index].port = old.ports[index].port
            } else {
                while taken.contains(next) { next += 1 }
                // A range that is used up leaves the port open: instances do not depend on it.
                guard configuration.servicePorts.contains(next) else { return }
                app.ports[index].port = next
            }
            taken.insert(app.ports[index].port)
        }
    }

    private mutating func restart(
        _ path: AppPath, _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        guard let present = goal(path) else { throw .noApp(path) }
        let version = newVersion(at: now)
        let app = prepare(present, version: version, restarts: true)
        let deployment = try deploy(
            [AppChange(path: path, app: app)], version: version, force: request.flag("force"),
            at: now)
        return ServiceAnswer(200, .json(deployment.receipt), headers: [deployment.header])
    }

    private mutating func remove(
        _ path: AppPath, _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        guard goal(path) != nil else { throw .noApp(path) }
        let version = newVersion(at: now)
        let deployment = try deploy(
            [AppChange(path: path, app: nil)], version: version,
            force: request.flag("force", default: true), at: now)
        return ServiceAnswer(200, .json(deployment.receipt), headers: [deployment.header])
    }
}
