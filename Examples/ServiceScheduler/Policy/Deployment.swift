/// A change of some apps on its way, step by step.
struct Deployment: Hashable, Sendable {
    /// What is done to an app in a step.
    enum Kind: String, CaseIterable, Hashable, Sendable {
        case start = "StartApplication"
        case scale = "ScaleApplication"
        case restart = "RestartApplication"
        case stop = "StopApplication"
    }

    struct Action: Hashable, Sendable {
        var kind: Kind
        var app: AppPath
    }

    /// An app before the change; `nil` when there was none.
    struct Original: Hashable, Sendable {
        var path: AppPath
        var app: App?
    }

    var id: String
    /// The time at which it was asked for.
    var version: String
    /// What is done together; each step waits for the one before.
    var steps: [[Action]]
    /// The index of the step under way.
    var current = 0
    /// Everything it changes, as it was before.
    var originals: [Original]

    var currentActions: [Action] { steps.indices.contains(current) ? steps[current] : [] }

    func affects(_ app: AppPath) -> Bool { originals.contains { $0.path == app } }
}

extension Deployment {
    /// As Marathon shows it.
    var json: JSON {
        [
            "id": .string(id),
            "version": .string(version),
            "affectedApps": .texts(originals.map(\.path.description)),
            "affectedPods": [],
            "steps": .array(steps.map { ["actions": .array($0.map(\.json))] }),
            "currentActions": .array(
                currentActions.map { $0.json.appending([("readinessCheckResults", [])]) }),
            "currentStep": .int(min(current + 1, steps.count)),
            "totalSteps": .int(steps.count),
        ]
    }

    var stored: JSON {
        [
            "id": .string(id), "version": .string(version), "current": .int(current),
            "steps": .array(steps.map { .array($0.map(\.json)) }),
            "originals": .array(
                originals.map { original in
                    [
                        "path": .string(original.path.description),
                        "app": original.app.map(\.json) ?? .null,
                    ]
                }),
        ]
    }

    /// Reads what ``stored`` wrote; `nil` when it did not.
    init?(stored json: JSON) {
        guard let id = json["id"]?.text, let version = json["version"]?.text,
            let current = json["current"]?.integer
        else { return nil }
        var originals: [Original] = []
        for entry in json["originals"]?.elements ?? [] {
            guard let path = entry["path"]?.text else { return nil }
            var original = Original(path: AppPath(path), app: nil)
            if let stored = entry["app"], !stored.isNull {
                guard let app = App(stored: stored) else { return nil }
                original.app = app
            }
            originals.append(original)
        }
        let steps = (json["steps"]?.elements ?? []).map { step in
            step.elements.compactMap(Action.init(stored:))
        }
        self.init(
            id: id, version: version, steps: steps, current: Int(current), originals: originals)
    }
}

extension Deployment.Action {
    fileprivate var json: JSON {
        ["action": .string(kind.rawValue), "app": .string(app.description)]
    }

    fileprivate init?(stored json: JSON) {
        guard let kind = json["action"]?.text.flatMap(Deployment.Kind.init(rawValue:)),
            let app = json["app"]?.text
        else { return nil }
        self.init(kind: kind, app: AppPath(app))
    }
}

extension App {
    /// Reads an app that this scheduler wrote itself; `nil` when it did not.
    init?(stored json: JSON) {
        var reader = AppReader(role: App.anyRole)
        guard var app = reader.read(json) else { return nil }
        app.takeVersions(from: json)
        self = app
    }

    /// Stands for the role in stored apps, whose roles were judged when they came in.
    static let anyRole = ""

    mutating func takeVersions(from json: JSON) {
        version = json["version"]?.text ?? ""
        lastScalingAt = json["versionInfo"]?["lastScalingAt"]?.text ?? version
        lastConfigChangeAt = json["versionInfo"]?["lastConfigChangeAt"]?.text ?? version
    }
}
