internal import Proffer

extension ServicePolicy {
    mutating func answer(_ command: Command, at now: Int64) {
        let answer: ServiceAnswer
        do {
            answer = try route(command.request, at: now)
        } catch {
            answer = error
        }
        turn.answers.append(.answer(command.id, answer))
    }

    private mutating func route(
        _ request: ServiceRequest, at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        let rest = Array(request.path.dropFirst(2))
        switch (request.path.first, request.path.dropFirst().first) {
        case ("ping", nil): return ServiceAnswer(200, .text("pong"))
        case ("v2", "apps"): return try routeApps(request, rest, at: now)
        case ("v2", "groups"): return try routeGroups(request, rest, at: now)
        case ("v2", "deployments"): return try routeDeployments(request, rest, at: now)
        case ("v2", "tasks"): return try routeTasks(request, rest, at: now)
        case ("v2", "queue"): return try routeQueue(request, rest, at: now)
        case ("v2", "info") where request.method == .get: return .ok(info)
        case ("v2", "leader") where request.method == .get:
            return .ok(["leader": .string(configuration.address)])
        default: throw .message(404, "There is nothing at /" + request.path.joined(separator: "/"))
        }
    }

    func refuseMethod(_ request: ServiceRequest) -> ServiceAnswer {
        .message(
            405,
            "\(request.method.rawValue) is not possible at /"
                + request.path.joined(separator: "/"))
    }

    func body(of request: ServiceRequest) throws(ServiceAnswer) -> JSON {
        guard let body = request.body else {
            throw .malformed(JSONProblem(path: "/", message: "the request needs a JSON body"))
        }
        return body
    }

    private var info: JSON {
        .compact([
            ("name", .string(configuration.frameworkName)), ("version", "1.11.0"),
            ("buildref", "proffer"), ("elected", true),
            ("leader", .string(configuration.address)),
            ("frameworkId", frameworkID.map { .string($0.value) } ?? .null),
            ("marathon_config", ["mesos_role": .string(configuration.role)]),
            ("zookeeper_config", [:]), ("http_config", [:]),
        ])
    }

    // MARK: Deployments

    private mutating func routeDeployments(
        _ request: ServiceRequest, _ rest: [String], at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        switch (request.method, rest.count) {
        case (.get, 0): return .ok(.array(deployments.map(\.json)))
        case (.get, 1): return .ok(try deployment(rest[0]).json)
        case (.delete, 1):
            let deployment = try deployment(rest[0])
            if request.flag("force") {
                drop(deployment)
                return ServiceAnswer(202)
            }
            let version = newVersion(at: now)
            let reverse = try deploy(
                deployment.originals.map { AppChange(path: $0.path, app: $0.app) },
                version: version, force: true, at: now)
            return .ok(reverse.receipt)
        default: throw refuseMethod(request)
        }
    }

    private func deployment(_ id: String) throws(ServiceAnswer) -> Deployment {
        guard let deployment = deployments.first(where: { $0.id == id }) else {
            throw .message(404, "Deployment \(id) does not exist")
        }
        return deployment
    }

    // MARK: Queue

    private mutating func routeQueue(
        _ request: ServiceRequest, _ rest: [String], at now: Int64
    ) throws(ServiceAnswer) -> ServiceAnswer {
        if request.method == .get, rest.isEmpty {
            let waiting = apps.values.filter { $0.need > 0 && !$0.isRemoved }
            return .ok(["queue": .array(waiting.map { queueItem($0, at: now) })])
        }
        guard request.method == .delete, rest.last == "delay" else { throw refuseMethod(request) }
        let path = AppPath(segments: Array(rest.dropLast()))
        guard let record = apps[path], !record.isRemoved, record.need > 0 else {
            throw .message(404, "App '\(path)' is not in the queue")
        }
        apps.change(path) { $0.delay = nil }
        wantsRevive = true
        return ServiceAnswer(204)
    }

    private func queueItem(_ record: AppRecord, at now: Int64) -> JSON {
        let left = max(0, (record.delay?.until ?? 0) - now)
        let offers = record.offers
        return [
            "count": .int(record.need),
            "delay": [
                "timeLeftSeconds": .int(Int((left + 999) / 1000)), "overdue": .bool(left == 0),
            ],
            "since": .string(timeText(record.needSince ?? now)),
            "app": record.active.json,
            "processedOffersSummary": .compact([
                ("processedOffersCount", .int(offers.processed)),
                ("unusedOffersCount", .int(offers.unused)),
                ("lastUnusedOfferAt", offers.lastUnusedAt.map { .string(timeText($0)) }),
                ("lastUsedOfferAt", offers.lastUsedAt.map { .string(timeText($0)) }),
                ("rejectSummaryLastOffers", offers.lastRound.json),
                ("rejectSummaryLaunchAttempt", offers.attempt.json),
            ]),
        ]
    }
}

extension Deployment {
    /// What a change answers with.
    var receipt: JSON { ["version": .string(version), "deploymentId": .string(id)] }

    /// Tells clients which deployment a change has begun.
    var header: ServiceRequest.QueryItem { .init("Marathon-Deployment-Id", id) }
}
