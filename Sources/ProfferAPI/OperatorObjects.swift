internal import ProfferKernel
public import ProfferModel

/// A request to leave an agent.
public struct InverseOfferObject: Codable, Sendable {
    /// Always `inverse_offer`.
    public var kind = "inverse_offer"
    /// Its id.
    public var id: String
    /// Who is asked.
    public var framework: String
    /// Which agent is to be left; absent for all of the framework's.
    public var agent: String?
    /// The tasks that are to end; none when everything is.
    public var tasks: [String]
    /// What they hold.
    public var resources: [String: String]
    /// When they are killed, RFC 3339.
    public var deadline: String
    /// Who needs the room.
    public var reason: String
    /// How long the framework knows of it, seconds.
    public var age: Double
    /// What the framework has said: `accepted`, `declined`, or nothing.
    public var response: String?
    /// When it said so, RFC 3339.
    public var answered: String?

    /// Describes a request.
    public init(_ summary: InverseOfferSummary) {
        id = summary.inverseOffer.id.value
        framework = summary.inverseOffer.frameworkID.value
        agent = summary.inverseOffer.agentID?.value
        tasks = summary.inverseOffer.tasks.map(\.value)
        resources = decimals(summary.inverseOffer.resources)
        deadline = timestamp(summary.inverseOffer.unavailability.start)
        reason = summary.reason
        age = seconds(summary.age)
        switch summary.response {
        case .accepted(let time):
            response = "accepted"
            answered = timestamp(time)
        case .declined(let time):
            response = "declined"
            answered = timestamp(time)
        case nil: break
        }
    }
}

/// The body of an order to reserve, or to take a reservation off.
public struct ReservationChangeObject: Codable, Sendable {
    /// For whom it is, or was, reserved.
    public var role: String
    /// Scalars by name; decimal text or numbers.
    public var resources: [String: String]
    /// Who reserves, or has reserved.
    public var principal: String?
    /// For whom it is reserved so far; absent for what nobody has reserved.
    public var from: String?

    /// Sets every field; what is left out is absent.
    public init(
        role: String, resources: [String: String], principal: String? = nil, from: String? = nil
    ) {
        self.role = role
        self.resources = resources
        self.principal = principal
        self.from = from
    }
}

/// The hosts whose agents may be offered.
public struct WhitelistObject: Codable, Sendable {
    /// Always `whitelist`.
    public var kind = "whitelist"
    /// In the order of their names; absent for every host.
    public var hosts: [String]?

    /// Describes a whitelist.
    public init(_ hosts: [String]?) { self.hosts = hosts }
}

/// The body of a change of the whitelist.
public struct WhitelistChangeObject: Codable, Sendable {
    /// The hosts whose agents may be offered; an empty list is none.
    public var hosts: [String]

    /// Names hosts.
    public init(_ hosts: [String]) { self.hosts = hosts }
}
