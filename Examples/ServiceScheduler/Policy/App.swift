internal import Proffer

/// A service: what to run, how often, where, and how to change it.
struct App: Hashable, Sendable {
    var id: AppPath
    var command: AppCommand
    var cpus = Milli(1)
    var mem = Milli(128)
    var disk = Milli.zero
    var gpus = 0
    var instances = 1
    var environment: [Label] = []
    var ports = [PortDefinition()]
    /// Whether the ports of the definitions are wanted on the host, and not any.
    var requirePorts = false
    var constraints: [PlacementConstraint] = []
    var healthCheck: ServiceCheck?
    var upgrade = UpgradeStrategy()
    var backoff = BackoffStrategy()
    var killSelection = KillSelection.youngestFirst
    /// `nil`: unreachable tasks are waited for, without end.
    var unreachable: UnreachableStrategy? = UnreachableStrategy()
    /// From TERM to KILL; `nil` is the agent's default.
    var killGrace: Duration?
    var labels: [Label] = []
    var dependencies: [AppPath] = []
    var fetch: [FetchURI] = []
    var user: String?
    /// Empty: any resources that are offered.
    var acceptedRoles: [String] = []
    /// Names this state of the app; a time.
    var version = ""
    var lastScalingAt = ""
    /// Instances that carry another one are to be replaced.
    var lastConfigChangeAt = ""

    var hasHealthCheck: Bool { healthCheck != nil }

    func label(_ name: String) -> String? { labels.first { $0.key == name }?.value }

    /// Whether `other` differs in more than its instance count and its version.
    func isSameConfiguration(as other: App) -> Bool {
        var twin = other
        twin.instances = instances
        twin.version = version
        twin.lastScalingAt = lastScalingAt
        twin.lastConfigChangeAt = lastConfigChangeAt
        return twin == self
    }
}

/// How an app is started.
enum AppCommand: Hashable, Sendable {
    case shell(String)
    /// The program and its arguments.
    case arguments([String])
}

/// A port of every instance.
struct PortDefinition: Hashable, Sendable {
    /// With `requirePorts` the port on the host, 0 for any; otherwise the service port, a number
    /// for load balancers, which is chosen when it is 0.
    var port = 0
    var name: String? = "default"
    var protocolName = "tcp"
    var labels: [Label] = []
}

/// Where instances may run, relative to each other and by the agent's attributes.
struct PlacementConstraint: Hashable, Sendable {
    enum Operator: String, CaseIterable, Hashable, Sendable {
        case unique = "UNIQUE"
        case cluster = "CLUSTER"
        case groupBy = "GROUP_BY"
        case like = "LIKE"
        case unlike = "UNLIKE"
        case maxPer = "MAX_PER"
        case isEqual = "IS"
    }

    /// `hostname`, `@region`, `@zone`, or the name of an attribute.
    var field: String
    var rule: Operator
    var value: String?
}

/// When an instance is healthy; the executor finds out.
struct ServiceCheck: Hashable, Sendable {
    enum Kind: String, CaseIterable, Hashable, Sendable {
        case http = "HTTP"
        case nodeHTTP = "MESOS_HTTP"
        case tcp = "TCP"
        case nodeTCP = "MESOS_TCP"
        case command = "COMMAND"
    }

    var kind = Kind.http
    var path: String?
    var command: String?
    /// A fixed port; otherwise that of `portIndex`.
    var port: Int?
    var portIndex = 0
    var grace = Duration.seconds(300)
    var interval = Duration.seconds(60)
    var timeout = Duration.seconds(20)
    var delay = Duration.seconds(15)
    /// So many failures in a row kill the instance; 0 is never.
    var maxFailures = 3
}

/// How many instances there may be during a change, in millionths of the instance count.
struct UpgradeStrategy: Hashable, Sendable {
    static let one: Int64 = 1_000_000

    var minimumHealth = one
    var maximumOver = one

    /// So many healthy instances are kept.
    func floor(of instances: Int) -> Int {
        Int((Int64(instances) * minimumHealth + Self.one - 1) / Self.one)
    }

    /// So many instances at most exist at once.
    ///
    /// When the floor leaves no room for any progress, one more than the floor.
    func ceiling(of instances: Int) -> Int {
        let ceiling = Int(Int64(instances) * (Self.one + maximumOver) / Self.one)
        return max(ceiling, floor(of: instances) + (ceiling > floor(of: instances) ? 0 : 1))
    }
}

/// How launches slow down while instances fail soon after their start.
struct BackoffStrategy: Hashable, Sendable {
    var first = Duration.seconds(1)
    /// In millionths; at least one.
    var factor: Int64 = 1_150_000
    var longest = Duration.seconds(300)
}

/// What becomes of instances whose agent does not answer.
struct UnreachableStrategy: Hashable, Sendable {
    /// After so long a replacement is started.
    var inactiveAfter = Duration.zero
    /// After so long the instance is given up, and killed should it return.
    var expungeAfter = Duration.zero
}

/// Which instances go first when there are too many.
enum KillSelection: String, CaseIterable, Hashable, Sendable {
    case youngestFirst = "YOUNGEST_FIRST"
    case oldestFirst = "OLDEST_FIRST"
}
