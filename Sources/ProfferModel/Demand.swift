/// What a framework wants to be offered in one role: so many instances of one shape.
///
/// A framework that states demand gets offers that fit it and no others; one that states none gets
/// whole agents, as in Mesos.
public struct Demand: Hashable, Sendable {
    /// The framework's name for it; offers made for it carry the name.
    public var id: String
    /// The role in which it is wanted.
    public var role: String
    /// The scalars of one instance, unreserved, by name.
    public var resources: ResourceQuantities
    /// How many ports one instance needs, whichever they are.
    public var ports: Int
    /// How many instances are wanted beyond what is launched already.
    ///
    /// Instances in outstanding offers count as covered. What is launched from offers for this
    /// demand is taken off until the framework states its demand anew.
    public var count: Int
    /// The agents that will do: any group whose every constraint holds; empty is every agent.
    public var constraints: [[AttributeConstraint]]
    /// Demands of higher priority are served first, and may have tasks of a lower one preempted.
    public var priority: Int
    /// How many instances have to be there at once to be of use; 1 is each by itself.
    public var gang: Int
    /// The most instances that one offer is to carry; `nil` is no bound but fairness.
    public var perOffer: Int?
    /// The most instances of it on one agent; `nil` is no bound.
    public var perAgent: Int?

    /// Sets every field; what is left out has the default shown.
    public init(
        id: String,
        role: String = "*",
        resources: ResourceQuantities,
        ports: Int = 0,
        count: Int = 1,
        constraints: [[AttributeConstraint]] = [],
        priority: Int = 0,
        gang: Int = 1,
        perOffer: Int? = nil,
        perAgent: Int? = nil
    ) {
        self.id = id
        self.role = role
        self.resources = resources
        self.ports = ports
        self.count = count
        self.constraints = constraints
        self.priority = priority
        self.gang = gang
        self.perOffer = perOffer
        self.perAgent = perAgent
    }

    /// The most demands of one framework.
    public static let countLimit = 1000
    /// The most instances of one demand.
    public static let instanceLimit = 10_000_000
    /// The largest magnitude of a priority.
    public static let priorityLimit = 1_000_000

    /// What is wrong with it, in words for the framework's author, or `nil`.
    public var problem: String? {
        if id.isEmpty || id.utf8.count > 255 {
            return "a demand needs an id of at most 255 bytes"
        }
        if resources.entries.isEmpty, ports == 0 {
            return "the demand '\(id)' asks for nothing; give it resources"
        }
        if let entry = resources.entries.first(where: { $0.amount < .zero }) {
            return "the demand '\(id)' asks for \(entry.amount) \(entry.name); "
                + "an amount cannot be negative"
        }
        if !(0...65_536).contains(ports) {
            return "the demand '\(id)' asks for \(ports) ports; there are 0 to 65536"
        }
        if !(0...Self.instanceLimit).contains(count) {
            return "the demand '\(id)' asks for \(count) instances; "
                + "0 to \(Self.instanceLimit) can be asked for"
        }
        if gang < 1 || gang > max(1, count) {
            return "the demand '\(id)' has a gang of \(gang) of \(count) instances; "
                + "a gang has at least 1 instance and at most all of them"
        }
        if let perOffer, perOffer < 1 {
            return "the demand '\(id)' allows \(perOffer) instances per offer; allow 1 or more"
        }
        if let perAgent, perAgent < 1 {
            return "the demand '\(id)' allows \(perAgent) instances per agent; allow 1 or more"
        }
        if priority.magnitude > Self.priorityLimit.magnitude {
            return "the demand '\(id)' has priority \(priority); "
                + "it is between -\(Self.priorityLimit) and \(Self.priorityLimit)"
        }
        return nil
    }
}

/// A ceiling for one resource of a role.
public struct QuotaLimit: Hashable, Sendable {
    /// The resource's name.
    public var name: String
    /// The most that the role may hold of it; zero is nothing at all.
    public var amount: Milli

    /// Sets every field.
    public init(name: String, amount: Milli) {
        self.name = name
        self.amount = amount
    }
}

/// What a top-level role is promised, and the most it may hold, itself and all roles below it.
public struct Quota: Hashable, Sendable {
    /// The top-level role.
    public var role: String
    /// What is kept available for it, by resource name.
    public var guarantees: ResourceQuantities
    /// The most it may hold, at most one entry for each resource; a resource that is not named has
    /// no limit.
    public var limits: [QuotaLimit]

    /// Sets every field; what is left out has the default shown.
    public init(
        role: String, guarantees: ResourceQuantities = ResourceQuantities(),
        limits: [QuotaLimit] = []
    ) {
        self.role = role
        self.guarantees = guarantees
        self.limits = limits
    }

    /// Whether it promises nothing and limits nothing, as when it is not set.
    public var isDefault: Bool { guarantees.entries.isEmpty && limits.isEmpty }

    /// What is wrong with it, in words for the operator, or `nil`.
    public var problem: String? {
        if role == "*" { return "the role '*' cannot have a quota" }
        if role.contains("/") {
            let top = role.prefix { $0 != "/" }
            return "the role '\(role)' lies below another one; set the quota of '\(top)'"
        }
        if let entry = guarantees.entries.first(where: { $0.amount < .zero }) {
            return "the guarantee of \(entry.amount) \(entry.name) is negative"
        }
        var named: Set<String> = []
        for limit in limits {
            if limit.amount < .zero {
                return "the limit of \(limit.amount) \(limit.name) is negative"
            }
            if !named.insert(limit.name).inserted { return "\(limit.name) has two limits" }
            if guarantees[limit.name] > limit.amount {
                return "the guarantee of \(guarantees[limit.name]) \(limit.name) is above the "
                    + "limit of \(limit.amount)"
            }
        }
        return nil
    }
}

/// Names a gang: offers that carry the same one are accepted together or not at all.
public struct GangID: Hashable, Sendable, CustomStringConvertible {
    /// Unique within one master.
    public var value: UInt64

    /// Names a gang by its number.
    public init(_ value: UInt64) { self.value = value }

    /// For logs and messages.
    public var description: String { "gang-\(value)" }
}
