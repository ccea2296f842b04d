internal import Proffer

extension ServicePolicy {
    /// A task as Marathon shows it.
    ///
    /// Once it is to end it has no health any more: whoever balances load turns away from it
    /// before it is killed.
    func taskJSON(_ instance: Instance) -> JSON {
        let app = apps[instance.app]
        let servicePorts = app?.goal.requirePorts ?? true ? [] : app?.goal.ports.map(\.port) ?? []
        let health = instance.isDying ? nil : instance.health
        return .compact([
            ("appId", .string(instance.app.description)),
            ("healthCheckResults", .array(health.map { [healthJSON($0, instance)] } ?? [])),
            ("host", .string(instance.place.host)),
            ("id", .string(instance.id.value)),
            ("ipAddresses", []),
            ("localVolumes", []),
            ("ports", .array(instance.ports.map { .int($0) })),
            ("servicePorts", .array(servicePorts.map { .int($0) })),
            ("slaveId", .string(instance.agent.value)),
            ("stagedAt", .string(timeText(instance.stagedAt))),
            ("startedAt", instance.startedAt.map { .string(timeText($0)) }),
            ("state", .string(instance.shownState.name)),
            ("version", .string(instance.version)),
            ("region", instance.place.region.map { .string($0) }),
            ("zone", instance.place.zone.map { .string($0) }),
        ])
    }

    private func healthJSON(_ health: Instance.Health, _ instance: Instance) -> JSON {
        let time = { (value: Int64?) -> JSON in value.map { .string(timeText($0)) } ?? .null }
        return [
            "alive": .bool(health.isAlive),
            "consecutiveFailures": .int(health.failuresInRow),
            "firstSuccess": time(health.firstSuccess),
            "lastSuccess": time(health.lastSuccess),
            "lastFailure": time(health.lastFailure),
            "lastFailureCause": health.lastFailureCause.map { .string($0) } ?? .null,
            "instanceId": .string(instance.id.value),
        ]
    }

    // MARK: The tasks of an app

    mutating func routeAppTasks(
        _ request: ServiceRequest, _ path: AppPath, task: String?, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let isGroup = path.segments.last == "*"
        let below = goals.filter { $0.id.isWithin(path.parent) }.map(\.id)
        let paths = isGroup ? below : [path]
        if !isGroup, goal(path) == nil { throw .noApp(path) }
        var chosen = paths.flatMap { members(of: $0) }
        if let task {
            chosen = chosen.filter { $0.id.value == task }
            if chosen.isEmpty { throw .message(404, "Task '\(task)' does not exist") }
        }
        switch request.method {
        case .get:
            if request.prefersText { return ServiceAnswer(200, .text(table(of: paths))) }
            if task != nil { return .ok(["task": chosen.first.map(taskJSON) ?? .null]) }
            return .ok(["tasks": .array(chosen.map(taskJSON))])
        case .delete:
            if let host = request.value("host") {
                chosen = chosen.filter { $0.place.host == host }
            }
            return try kill(chosen, request, isSingle: task != nil, at: now)
        case .post, .put, .patch: throw refuseMethod(request)
        }
    }

    // MARK: All tasks

    mutating func routeTasks(
        _ request: ServiceRequest, _ rest: [String], at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        switch (request.method, rest) {
        case (.get, []):
            if request.prefersText {
                return ServiceAnswer(200, .text(table(of: goals.map(\.id))))
            }
            let wanted = request.values("status", "status[]")
            let shown = goals.flatMap { members(of: $0.id) }.filter { instance in
                let isStaging = instance.state == .staging || instance.state == .starting
                return wanted.isEmpty || wanted.contains(isStaging ? "staging" : "running")
            }
            return .ok(["tasks": .array(shown.map(taskJSON))])
        case (.post, ["delete"]):
            let body = try body(of: request)
            var reader = FieldReader()
            reader.checkNames(of: body, at: "", known: ["ids"])
            let ids = reader.texts(body, "ids", at: "")
            if ids == nil, reader.isClean { reader.refuse("/ids", "is missing") }
            guard reader.isClean, let ids else { throw .refusing(reader) }
            let chosen = ids.compactMap { instances[TaskID($0)] }
            return try kill(chosen, request, isSingle: false, at: now)
        default: throw refuseMethod(request)
        }
    }

    /// Kills instances; with `scale` the apps become so many smaller.
    private mutating func kill(
        _ chosen: [Instance], _ request: ServiceRequest, isSingle: Bool, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let isScaling = request.flag("scale")
        let isWiping = request.flag("wipe")
        if isScaling, isWiping {
            throw .message(400, "You cannot use scale and wipe at the same time.")
        }
        let living = chosen.filter { !$0.isDying }
        if isScaling {
            let deployment = try scaleDown(living, request, at: now)
            return ServiceAnswer(200, .json(deployment.receipt), headers: [deployment.header])
        }
        let shown = JSON.array(chosen.map(taskJSON))
        for instance in living { kill(instance.id, after: .zero, at: now) }
        if isSingle { return .ok(["task": shown.elements.first ?? .null]) }
        return .ok(["tasks": shown])
    }

    private mutating func scaleDown(
        _ chosen: [Instance], _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> Deployment {
        var losses: SortedMap<AppPath, Int> = SortedMap()
        for instance in chosen { losses[instance.app] = (losses[instance.app] ?? 0) + 1 }
        let version = newVersion(at: now)
        var changes: [AppChange] = []
        for (path, loss) in zip(losses.keys, losses.values) {
            guard var app = goal(path) else { continue }
            app.instances = max(0, app.instances - loss)
            changes.append(AppChange(path: path, app: prepare(app, version: version)))
        }
        // The chosen ones go first, so that the deployment finds nothing more to kill.
        let blocking = deployments.filter { deployment in
            changes.contains { deployment.affects($0.path) }
        }
        if !blocking.isEmpty, !request.flag("force") { throw .locked(by: blocking) }
        for instance in chosen { kill(instance.id, after: .zero, at: now) }
        return try deploy(changes, version: version, force: true, at: now)
    }

    /// One line for each port of each app: its id, the port, and where the instances listen.
    private func table(of paths: [AppPath]) -> String {
        var text = ""
        for path in paths {
            guard let app = goal(path) else { continue }
            let members = members(of: path).filter {
                $0.isHealthy
            }
            let name = path.segments.joined(separator: "_")
            if app.ports.isEmpty {
                let hosts = members.map(\.place.host)
                text += ([name, " "] + hosts).joined(separator: "\t") + "\n"
            }
            for (index, port) in app.ports.enumerated() {
                let targets = members.compactMap { instance in
                    instance.ports.indices.contains(index)
                        ? "\(instance.place.host):\(instance.ports[index])" : nil
                }
                text += ([name, String(port.port)] + targets).joined(separator: "\t") + "\n"
            }
        }
        return text
    }
}
