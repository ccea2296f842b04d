public import ProfferModel

/// A page of objects; `next` asks for the following page and is absent on the last.
public struct ObjectList<Item: Codable & Sendable>: Codable, Sendable {
    /// The objects, in a stable order.
    public var items: [Item]
    /// What to give as `after` for the next page.
    public var next: String?

    /// Makes a page.
    public init(_ items: [Item], next: String? = nil) {
        self.items = items
        self.next = next
    }
}

/// An agent.
public struct AgentObject: Codable, Sendable {
    /// Always `agent`.
    public var kind = "agent"
    /// The agent's id.
    public var id: String
    /// Its host name.
    public var name: String
    /// See `AgentState`.
    public var state: String
    /// The version it runs.
    public var version: String
    /// When it joined, RFC 3339.
    public var created: String?
    /// The port of its HTTP server.
    public var port: Int
    /// What it has, by resource; decimal text.
    public var total: [String: String]
    /// What tasks and executors hold.
    public var allocated: [String: String]
    /// What is offered.
    public var offered: [String: String]
    /// What it offers beyond its total because it is not used; all of it revocable.
    public var oversubscribed: [String: String]?
    /// What tells it from others.
    public var attributes: [String: String]
    /// Its live tasks.
    public var tasks: Int
    /// What it uses, once it has reported.
    public var usage: UsageObject?
    /// `draining` or `drained` when it is to be left.
    public var drain: String?
    /// When its machine is planned to be unavailable.
    public var maintenance: WindowObject?

    /// Describes an agent.
    public init(_ summary: AgentSummary) {
        id = summary.info.id?.value ?? ""
        name = summary.info.hostname
        state = summary.state.rawValue
        version = summary.version
        created = summary.registeredAt.map(timestamp)
        port = summary.info.port
        total = decimals(summary.total)
        allocated = decimals(summary.allocated)
        offered = decimals(summary.offered)
        oversubscribed =
            summary.oversubscribed.isEmpty ? nil : decimals(summary.oversubscribed)
        attributes = Dictionary(
            summary.info.attributes.map { ($0.name, text($0.value)) },
            uniquingKeysWith: { first, _ in first })
        tasks = summary.tasks
        usage = summary.usage.map(UsageObject.init)
        drain = summary.drain.map { $0.isDrained ? "drained" : "draining" }
        maintenance = summary.unavailability.map {
            WindowObject(machines: [summary.info.hostname], $0)
        }
    }
}

/// A framework.
public struct FrameworkObject: Codable, Sendable {
    /// Always `framework`.
    public var kind = "framework"
    /// The framework's id.
    public var id: String
    /// Its name.
    public var name: String
    /// `active`, `inactive`, `disconnected` or `removed`.
    public var state: String
    /// When it subscribed last, RFC 3339.
    public var created: String?
    /// The roles in which it wants offers.
    public var roles: [String]
    /// Roles without offers for now.
    public var suppressedRoles: [String]
    /// Who it acts as.
    public var principal: String?
    /// Its own page.
    public var webUrl: String?
    /// How long its tasks live on without it, seconds.
    public var failoverTimeout: Double
    /// What its tasks and executors hold.
    public var allocated: [String: String]
    /// What it is offered.
    public var offered: [String: String]
    /// Its live tasks.
    public var tasks: Int
    /// Its outstanding offers.
    public var offers: Int
    /// Its dominant share of the cluster, 0 to 1.
    public var share: Double

    /// Describes a framework.
    public init(_ summary: FrameworkSummary) {
        id = summary.info.id?.value ?? ""
        name = summary.info.name
        state =
            summary.isRemoved
            ? "removed"
            : summary.isConnected ? (summary.isActive ? "active" : "inactive") : "disconnected"
        created = summary.subscribedAt.map(timestamp)
        roles = summary.info.roles
        suppressedRoles = summary.suppressedRoles
        principal = summary.info.principal
        webUrl = summary.info.webUIURL
        failoverTimeout = seconds(summary.info.failoverTimeout)
        allocated = decimals(summary.allocated)
        offered = decimals(summary.offered)
        tasks = summary.tasks
        offers = summary.offers
        share = Double(summary.shareMillionths) / 1_000_000
    }
}

/// A role.
public struct RoleObject: Codable, Sendable {
    /// Always `role`.
    public var kind = "role"
    /// The role's name.
    public var id: String
    /// The role's name.
    public var name: String
    /// Its weight.
    public var weight: Double
    /// Who subscribes in it.
    public var frameworks: [String]
    /// What its tasks, executors and offers hold.
    public var allocated: [String: String]
    /// Its dominant share of the cluster, 0 to 1.
    public var share: Double
    /// The highest priority that may be used in it; absent for no limit.
    public var priorityLimit: Int?

    /// Describes a role.
    public init(_ summary: RoleSummary) {
        id = summary.name
        name = summary.name
        weight = Double(summary.weightThousandths) / 1000
        frameworks = summary.frameworks.map(\.value)
        allocated = decimals(summary.allocated)
        share = Double(summary.shareMillionths) / 1_000_000
        priorityLimit = summary.priorityLimit
    }
}

/// An outstanding offer.
public struct OfferObject: Codable, Sendable {
    /// Always `offer`.
    public var kind = "offer"
    /// The offer's id.
    public var id: String
    /// The agent's host name.
    public var name: String
    /// To whom.
    public var framework: String
    /// Of which agent.
    public var agent: String
    /// In which role.
    public var role: String
    /// What is offered.
    public var resources: [String: String]
    /// How long it is held, seconds.
    public var age: Double

    /// Describes an offer.
    public init(_ summary: OfferSummary) {
        id = summary.offer.id.value
        name = summary.offer.hostname
        framework = summary.offer.frameworkID.value
        agent = summary.offer.agentID.value
        role = summary.offer.role
        resources = decimals(summary.offer.resources)
        age = seconds(summary.age)
    }
}

/// A task.
public struct TaskObject: Codable, Sendable {
    /// Always `task`.
    public var kind = "task"
    /// The task's id.
    public var id: String
    /// Its name.
    public var name: String
    /// Its framework.
    public var framework: String
    /// Its role.
    public var role: String
    /// Its agent.
    public var agent: String?
    /// That agent's host name.
    public var hostname: String?
    /// Its state, such as `TASK_RUNNING`.
    public var state: String
    /// Why, for programs.
    public var reason: String?
    /// Why, for people.
    public var message: String?
    /// Whether its health check is content.
    public var healthy: Bool?
    /// The last result of its check; absent without one.
    public var check: CheckObject?
    /// When it began to run, RFC 3339.
    public var created: String?
    /// What it holds.
    public var resources: [String: String]
    /// Its first process.
    public var pid: Int?
    /// Free text.
    public var labels: [String: String]

    /// Describes a task.
    public init(_ summary: TaskSummary) {
        id = summary.key.task.value
        name = summary.name
        framework = summary.key.framework.value
        role = summary.role
        agent = summary.agentID?.value
        hostname = summary.hostname
        state = summary.state.name
        reason = summary.lastStatus?.reason?.name
        message = summary.lastStatus?.message
        healthy = summary.lastStatus?.healthy
        check = summary.lastStatus?.checkResult.map { CheckObject($0) }
        created = summary.startedAt.map(timestamp)
        resources = decimals(summary.resources)
        pid = summary.lastStatus?.containerStatus?.pid
        labels = Dictionary(
            summary.labels.map { ($0.key, $0.value ?? "") }, uniquingKeysWith: { first, _ in first }
        )
    }
}

/// The last result of a task's check.
///
/// All of `exitCode`, `status` and `connected` are absent when the check could not be done, or had
/// no answer in time.
public struct CheckObject: Codable, Hashable, Sendable {
    /// `command`, `http` or `tcp`.
    public var kind: String
    /// With what the command exited.
    public var exitCode: Int?
    /// The status code of the answer.
    public var status: Int?
    /// Whether the connection was made.
    public var connected: Bool?

    /// Describes a result.
    public init(_ result: CheckResult) {
        switch result {
        case .command(let code): (kind, exitCode) = ("command", code)
        case .http(let code): (kind, status) = ("http", code)
        case .tcp(let succeeded): (kind, connected) = ("tcp", succeeded)
        }
    }
}

/// The state of the cluster in numbers.
public struct SummaryObject: Codable, Sendable {
    /// Always `cluster`.
    public var kind = "cluster"
    /// The id of this run of the master.
    public var id: String
    /// The name of the cluster.
    public var name: String
    /// The master's version.
    public var version: String
    /// When this master started, RFC 3339.
    public var created: String
    /// The master's host.
    public var hostname: String
    /// Agents by state.
    public var agents: [String: Int]
    /// Frameworks with a subscription.
    public var frameworksConnected: Int
    /// Frameworks without one.
    public var frameworksDisconnected: Int
    /// Offers that are not answered.
    public var offers: Int
    /// Tasks by state.
    public var tasks: [String: Int]
    /// What active agents have.
    public var total: [String: String]
    /// What tasks and executors hold.
    public var allocated: [String: String]
    /// What is offered.
    public var offered: [String: String]
    /// What agents offer beyond their total because it is not used; all of it revocable.
    public var oversubscribed: [String: String]
    /// What the nodes use: `cpus`, `mem` and `disk`, of all processes.
    public var used: [String: String]

    /// Describes the cluster.
    public init(_ summary: ClusterSummary) {
        id = summary.master.id
        name = summary.master.clusterName ?? "proffer"
        version = summary.master.version
        created = timestamp(summary.startedAt)
        hostname = summary.master.hostname
        agents = Dictionary(summary.agents.map { ($0.rawValue, 1) }, uniquingKeysWith: +)
        frameworksConnected = summary.frameworksConnected
        frameworksDisconnected = summary.frameworksDisconnected
        offers = summary.offersOutstanding
        tasks = Dictionary(summary.tasks.map { ($0.name, 1) }, uniquingKeysWith: +)
        total = decimals(summary.total)
        allocated = decimals(summary.allocated)
        offered = decimals(summary.offered)
        oversubscribed = decimals(summary.oversubscribed)
        used = decimals(summary.used)
    }
}

/// Something that went wrong with a request (RFC 9457, with our code).
public struct ProblemObject: Codable, Sendable, Error {
    /// The title of the answer of a master that does not lead and knows of none that does.
    public static let noLeader = "no leader"

    /// The HTTP status.
    public var status: Int
    /// What failed, in a few words that never change.
    public var title: String
    /// Because of what.
    public var detail: String
    /// What to do.
    public var advice: String?

    /// Describes a problem.
    public init(status: Int, title: String, detail: String, advice: String? = nil) {
        self.status = status
        self.title = title
        self.detail = detail
        self.advice = advice
    }
}

/// One file of a sandbox.
public struct FileObject: Codable, Sendable {
    /// Always `file`.
    public var kind = "file"
    /// Its path below the sandbox.
    public var name: String
    /// `file`, `directory`, `link` or `other`.
    public var state: String
    /// Its size.
    public var sizeBytes: Int64
    /// When it was written last, RFC 3339.
    public var modified: String

    /// Describes a file.
    public init(name: String, state: String, sizeBytes: Int64, modified: WallTimeText) {
        self.name = name
        self.state = state
        self.sizeBytes = sizeBytes
        self.modified = modified.text
    }
}

/// Something that happened in the cluster.
public struct EventObject: Codable, Sendable {
    /// `agent`, `framework`, `task`, `offer` or `offer_end`.
    public var kind: String
    /// The id of what it happened to.
    public var id: String
    /// Its name.
    public var name: String?
    /// Its new state.
    public var state: String
    /// The framework concerned.
    public var framework: String?
    /// The agent concerned.
    public var agent: String?
    /// Why.
    public var message: String?
    /// What was offered.
    public var resources: [String: String]?

    /// Describes an event.
    public init(_ event: ClusterEvent) {
        switch event {
        case .agent(let agent, let hostname, let state):
            self.init(kind: "agent", id: agent.value, name: hostname, state: state.rawValue)
        case .framework(let framework, let name, let isConnected, let isRemoved):
            self.init(
                kind: "framework", id: framework.value, name: name,
                state: isRemoved ? "removed" : isConnected ? "connected" : "disconnected")
        case .task(let key, let name, let agent, let state, let message):
            self.init(kind: "task", id: key.task.value, name: name, state: state.name)
            framework = key.framework.value
            self.agent = agent?.value
            self.message = message
        case .offered(let offer, let framework, let agent, let resources):
            self.init(kind: "offer", id: offer.value, name: nil, state: "outstanding")
            self.framework = framework.value
            self.agent = agent.value
            self.resources = decimals(resources)
        case .offerEnded(let offer, let end):
            self.init(kind: "offer_end", id: offer.value, name: nil, state: end.rawValue)
        }
    }

    private init(kind: String, id: String, name: String?, state: String) {
        self.kind = kind
        self.id = id
        self.name = name
        self.state = state
    }
}
