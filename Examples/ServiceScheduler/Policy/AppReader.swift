internal import Proffer

/// Reads and judges the description of an app.
struct AppReader {
    /// What a single instance may ask for at most; beyond lies a slip of the pen.
    enum Limit {
        static let cpus = 10_000
        static let mebibytes = 100_000_000
        static let gpus = 1000
        static let instances = 100_000
        static let ports = 100
    }

    var fields = FieldReader()
    let path: String
    /// The scheduler's role.
    let role: String

    init(path: String = "", role: String = "*") {
        self.path = path
        self.role = role
    }

    static let fieldNames = [
        "id", "cmd", "args", "cpus", "mem", "disk", "gpus", "instances", "env", "ports",
        "portDefinitions", "requirePorts", "constraints", "healthChecks", "upgradeStrategy",
        "backoffSeconds", "backoffFactor", "maxLaunchDelaySeconds", "killSelection",
        "unreachableStrategy", "taskKillGracePeriodSeconds", "labels", "dependencies", "fetch",
        "uris", "user", "acceptedResourceRoles", "role", "networks",
    ]

    /// Made by the server; whoever sends back what it was given is not refused.
    static let serverFieldNames = [
        "version", "versionInfo", "tasksStaged", "tasksRunning", "tasksHealthy",
        "tasksUnhealthy", "deployments", "tasks", "lastTaskFailure", "readinessCheckResults",
        "taskStats",
    ]

    /// Part of Marathon's app that this scheduler does not have, and what to use instead.
    private static let absentFields = [
        ("container", "containers are not supported; run a program of the agent with 'cmd'"),
        ("secrets", "secrets are not supported; use 'env' or a file of the agent"),
        ("readinessChecks", "readiness checks are not supported; use a health check"),
        ("check", "plain checks are not supported; use a health check"),
        ("executor", "custom executors are not supported; leave it out"),
        ("executorResources", "custom executors are not supported; leave it out"),
        ("resourceLimits", "resource limits are not supported; leave it out"),
        ("residency", "resident tasks are not supported; leave it out"),
        ("tty", "terminals are not supported; leave it out"),
        ("ipAddress", "only the host's network is supported; leave it out"),
        ("storeUrls", "this is obsolete; use 'fetch'"),
        ("taskRateLimit", "this is obsolete; use 'backoffSeconds'"),
    ]

    /// The app, or `nil` when something is wrong with it, see ``fields``.
    ///
    /// `id` is what the request's address says; `base` is the group to which a relative id belongs.
    mutating func read(_ json: JSON, id: AppPath? = nil, in base: AppPath = .root) -> App? {
        fields.checkNames(
            of: json, at: path,
            known: Self.fieldNames + Self.serverFieldNames + Self.absentFields.map(\.0))
        guard case .object = json else { return nil }
        refuseAbsent(json)
        var app = App(id: readID(json, id, base), command: readCommand(json))
        readResources(json, into: &app)
        readPorts(json, into: &app)
        readTimes(json, into: &app)
        app.environment = readEnvironment(json)
        app.labels = fields.texts(byName: json, "labels", at: path) ?? []
        app.constraints = readConstraints(json)
        app.healthCheck = readHealthCheck(json, ports: app.ports.count)
        app.fetch = readFetch(json)
        app.user = fields.text(json, "user", at: path)
        app.acceptedRoles = readRoles(json)
        app.killSelection =
            fields.word(json, "killSelection", at: path, of: KillSelection.self)
            ?? .youngestFirst
        app.dependencies = (fields.texts(json, "dependencies", at: path) ?? [])
            .map { AppPath($0, in: app.id.parent) }.sorted()
        readNetworks(json)
        if app.label("MARATHON_SINGLE_INSTANCE_APP") == "true" { restrictToOne(&app) }
        return fields.isClean ? app : nil
    }

    private mutating func refuseAbsent(_ json: JSON) {
        for (name, message) in Self.absentFields {
            guard let value = json[name] else { continue }
            let isEmpty =
                value.isNull || value == .bool(false) || value == .string("")
                || value == .array([]) || value == .object([])
            if !isEmpty { fields.refuse("\(path)/\(name)", message) }
        }
    }

    private mutating func readID(_ json: JSON, _ id: AppPath?, _ base: AppPath) -> AppPath {
        let text = fields.text(json, "id", at: path)
        if text == nil, id == nil {
            fields.refuse("\(path)/id", "is missing")
            return .root
        }
        let stated = text.map { AppPath($0, in: id?.parent ?? base) }
        if let stated, let id, stated != id {
            fields.refuse("\(path)/id", "is not the id of the address, '\(id)'; it cannot change")
        }
        let result = id ?? stated ?? .root
        if let problem = result.problemAsApp { fields.refuse("\(path)/id", problem) }
        return result
    }

    private mutating func readCommand(_ json: JSON) -> AppCommand {
        let shell = fields.text(json, "cmd", at: path)
        let arguments = fields.texts(json, "args", at: path)
        switch (shell, arguments) {
        case (.some, .some):
            fields.refuse("\(path)/cmd", "only one of 'cmd' and 'args' may be given")
        case (.none, .none):
            fields.refuse("\(path)/cmd", "one of 'cmd' and 'args' must be given")
        case (.some(let text), .none):
            if text.isEmpty { fields.refuse("\(path)/cmd", "may not be empty") }
            if text.utf8.contains(0) { fields.refuse("\(path)/cmd", "may not contain NUL") }
            return .shell(text)
        case (.none, .some(let list)):
            if list.first?.isEmpty ?? true {
                fields.refuse("\(path)/args", "must begin with a program")
            }
            return .arguments(list)
        }
        return .shell("")
    }

    private mutating func readResources(_ json: JSON, into app: inout App) {
        app.cpus = fields.quantity(json, "cpus", at: path, upTo: Limit.cpus) ?? app.cpus
        app.mem = fields.quantity(json, "mem", at: path, upTo: Limit.mebibytes) ?? app.mem
        app.disk = fields.quantity(json, "disk", at: path, upTo: Limit.mebibytes) ?? app.disk
        app.gpus = fields.count(json, "gpus", at: path, in: 0...Limit.gpus) ?? 0
        app.instances = fields.count(json, "instances", at: path, in: 0...Limit.instances) ?? 1
        if app.cpus == .zero, app.mem == .zero {
            fields.refuse("\(path)/cpus", "an instance must ask for some cpus or some mem")
        }
    }

    private mutating func readEnvironment(_ json: JSON) -> [Label] {
        let variables = fields.texts(byName: json, "env", at: path) ?? []
        for variable in variables {
            if variable.key.isEmpty || variable.key.utf8.contains(0x3D)
                || variable.key.utf8.contains(0)
            {
                fields.refuse("\(path)/env", "'\(variable.key)' is no name of a variable")
            }
            if variable.value?.utf8.contains(0) ?? false {
                fields.refuse("\(path)/env/\(variable.key)", "may not contain NUL")
            }
        }
        return variables
    }

    private mutating func readRoles(_ json: JSON) -> [String] {
        let roles = fields.texts(json, "acceptedResourceRoles", at: path) ?? []
        for one in roles where one != "*" && one != role && role != App.anyRole {
            fields.refuse(
                "\(path)/acceptedResourceRoles",
                "'\(one)' is neither '*' nor this scheduler's role, '\(role)'")
        }
        if let own = fields.text(json, "role", at: path), own != role {
            fields.refuse("\(path)/role", "this scheduler's role is '\(role)'; leave it out")
        }
        return roles
    }

    private mutating func readNetworks(_ json: JSON) {
        for (index, network) in (fields.list(json, "networks", at: path) ?? []).enumerated() {
            let field = "\(path)/networks/\(index)"
            fields.checkNames(of: network, at: field, known: ["mode", "name", "labels"])
            if let mode = fields.text(network, "mode", at: field), mode != "host" {
                fields.refuse("\(field)/mode", "only the network mode 'host' is supported")
            }
        }
    }

    /// Marathon's label for services of which two must never run.
    private mutating func restrictToOne(_ app: inout App) {
        if app.instances > 1 {
            fields.refuse(
                "\(path)/instances", "may be 1 at most with MARATHON_SINGLE_INSTANCE_APP")
        }
        app.upgrade = UpgradeStrategy(minimumHealth: 0, maximumOver: 0)
    }
}
