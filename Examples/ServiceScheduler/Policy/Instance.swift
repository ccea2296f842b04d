internal import Proffer

/// One running copy of an app: a task, from its launch to the news of its end.
struct Instance: Hashable, Sendable {
    /// Where it was put, for constraints.
    struct Place: Hashable, Sendable {
        var host: String
        var region: String?
        var zone: String?
        /// The agent's attributes, as text.
        var attributes: [Label]
    }

    /// What its health check has found.
    struct Health: Hashable, Sendable {
        var isAlive: Bool
        var failuresInRow = 0
        var firstSuccess: Int64?
        var lastSuccess: Int64?
        var lastFailure: Int64?
        var lastFailureCause: String?
    }

    var id: TaskID
    var app: AppPath
    /// The app's version when it was launched.
    var version: String
    /// The app's last change of configuration then.
    var configuration: String
    var agent: AgentID
    var place: Place
    var ports: [Int]
    var hasHealthCheck: Bool
    var state = TaskState.staging
    /// `nil` before the first result.
    var health: Health?
    /// Wall time, milliseconds.
    var stagedAt: Int64
    var startedAt: Int64?
    var unreachableSince: Int64?
    /// Whether it has been unreachable for so long that it is replaced.
    var isInactive = false
    /// Set once it is to end: the KILL leaves at this time, and has left when it is 0.
    var killAt: Int64?

    /// Whether it is on its way out: nobody should send it work any more.
    var isDying: Bool { killAt != nil || state == .killing }

    /// Whether it does its work, as far as its check can tell.
    var isHealthy: Bool {
        state == .running && !isDying && (!hasHealthCheck || health?.isAlive == true)
    }

    /// Whether it makes up the instance count.
    var isCounted: Bool { !isDying && !isInactive }

    /// The state for people and load balancers: a task is out of rotation before it is killed.
    var shownState: TaskState { isDying ? .killing : state }
}

extension Instance {
    /// The value of a constraint's field, or `nil` where there is none.
    static func value(of field: String, in place: Place) -> String? {
        switch field {
        case "hostname", "@hostname": place.host
        case "@region": place.region
        case "@zone": place.zone
        default: place.attributes.first { $0.key == field }?.value
        }
    }
}

extension Instance {
    /// As ``JSON``, for the store.
    var stored: JSON {
        .compact([
            ("id", .string(id.value)), ("app", .string(app.description)),
            ("version", .string(version)), ("configuration", .string(configuration)),
            ("agent", .string(agent.value)), ("host", .string(place.host)),
            ("region", place.region.map { .string($0) }),
            ("zone", place.zone.map { .string($0) }),
            ("attributes", .array(place.attributes.map { .texts([$0.key, $0.value ?? ""]) })),
            ("ports", .array(ports.map { .int($0) })),
            ("hasHealthCheck", .bool(hasHealthCheck)),
            ("state", .string(state.name)),
            ("stagedAt", .int(Int(stagedAt))),
            ("startedAt", startedAt.map { .int(Int($0)) }),
            ("unreachableSince", unreachableSince.map { .int(Int($0)) }),
            ("killAt", killAt.map { .int(Int($0)) }),
            ("health", health.map(\.stored)),
        ])
    }

    /// Reads what ``stored`` wrote; `nil` when it did not.
    init?(stored json: JSON) {
        guard let id = json["id"]?.text, let app = json["app"]?.text,
            let version = json["version"]?.text, let agent = json["agent"]?.text,
            let configuration = json["configuration"]?.text, let host = json["host"]?.text,
            let name = json["state"]?.text, let stagedAt = json["stagedAt"]?.integer,
            let state = TaskState.allCases.first(where: { $0.name == name })
        else { return nil }
        let attributes = (json["attributes"]?.elements ?? []).compactMap { pair -> Label? in
            let texts = pair.elements.compactMap(\.text)
            return texts.count == 2 ? Label(texts[0], texts[1]) : nil
        }
        self.init(
            id: TaskID(id), app: AppPath(app), version: version, configuration: configuration,
            agent: AgentID(agent),
            place: Place(
                host: host, region: json["region"]?.text, zone: json["zone"]?.text,
                attributes: attributes),
            ports: (json["ports"]?.elements ?? []).compactMap { $0.integer.map { Int($0) } },
            hasHealthCheck: json["hasHealthCheck"] == .bool(true), state: state,
            health: json["health"].flatMap(Health.init(stored:)), stagedAt: stagedAt,
            startedAt: json["startedAt"]?.integer,
            unreachableSince: json["unreachableSince"]?.integer, killAt: json["killAt"]?.integer)
    }
}

extension Instance.Health {
    fileprivate var stored: JSON {
        .compact([
            ("isAlive", .bool(isAlive)), ("failuresInRow", .int(failuresInRow)),
            ("firstSuccess", firstSuccess.map { .int(Int($0)) }),
            ("lastSuccess", lastSuccess.map { .int(Int($0)) }),
            ("lastFailure", lastFailure.map { .int(Int($0)) }),
            ("lastFailureCause", lastFailureCause.map { .string($0) }),
        ])
    }

    fileprivate init?(stored json: JSON) {
        guard case .bool(let isAlive) = json["isAlive"] else { return nil }
        self.init(
            isAlive: isAlive, failuresInRow: Int(json["failuresInRow"]?.integer ?? 0),
            firstSuccess: json["firstSuccess"]?.integer, lastSuccess: json["lastSuccess"]?.integer,
            lastFailure: json["lastFailure"]?.integer,
            lastFailureCause: json["lastFailureCause"]?.text)
    }
}

extension JSON {
    /// The number, when it is a whole one.
    var integer: Int64? {
        guard case .number(let digits) = self else { return nil }
        return Int64(digits)
    }
}
