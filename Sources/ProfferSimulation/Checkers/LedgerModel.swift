internal import ProfferKernel
internal import ProfferModel

/// What a leading master has promised to whom, by what it was told and has said: a ledger of its
/// own, much smaller than the master's tables and kept in another way.
struct LedgerModel {
    struct Refusal {
        var role: String
        var agent: AgentID
        var resources: Resources
        var until: Instant
    }

    struct Framework {
        var peer: PeerID?
        var info: FrameworkInfo
        var suppressed: [String]
        var constraints: [OfferConstraint]
        var refusals: [Refusal] = []
        /// Changes of the description that are not answered yet.
        var updates: [Subscription] = []
    }

    struct Agent {
        var peer: PeerID?
        var info: AgentInfo
    }

    struct Holding {
        var agent: AgentID
        var role: String
        var resources: Resources
    }

    var frameworks = OrderedTable<FrameworkID, Framework>()
    var agents = OrderedTable<AgentID, Agent>()
    var offers = OrderedTable<OfferID, Offer>()
    var ended = LookupTable<OfferID, Bool>()
    var tasks = OrderedTable<TaskKey, Holding>()
    var limits = OrderedTable<String, [QuotaLimit]>()
    var keys = LookupTable<PeerID, String>()
    var subscriptions = LookupTable<PeerID, Subscription>()
    var registrations = LookupTable<PeerID, Reregistration>()
    var frameworkOf = LookupTable<PeerID, FrameworkID>()
    var agentOf = LookupTable<PeerID, AgentID>()

    /// What is held on an agent by tasks.
    func held(on agent: AgentID) -> Resources {
        tasks.values.reduce(into: Resources()) { sum, task in
            if task.agent == agent { sum += task.resources }
        }
    }

    func offered(on agent: AgentID) -> Resources {
        offers.values.reduce(into: Resources()) { sum, offer in
            if offer.agentID == agent { sum += offer.resources }
        }
    }

    /// Everybody who has ports on an agent, with their ports.
    func portHolders(on agent: AgentID) -> [(holder: String, ports: IntervalSet)] {
        var list: [(holder: String, ports: IntervalSet)] = []
        for (key, task) in tasks where task.agent == agent {
            list.append(("the task \(key.task)", task.resources.ports))
        }
        for (id, offer) in offers where offer.agentID == agent {
            list.append(("the offer \(id)", offer.resources.ports))
        }
        return list.filter { !$0.ports.isEmpty }
    }

    /// Two who have the same port on an agent, or `nil`.
    func sharedPort(on agent: AgentID) -> String? {
        let list = portHolders(on: agent)
        for (place, one) in list.enumerated() {
            for other in list[(place + 1)...]
            where !one.ports.intersection(other.ports).isEmpty {
                return "\(one.holder) and \(other.holder) both have ports "
                    + "\(one.ports.intersection(other.ports)) of \(agent)"
            }
        }
        return nil
    }

    /// What a top-level role holds and is offered of one resource.
    func consumed(by top: String, of name: String) -> Milli {
        var sum = Milli.zero
        for task in tasks.values where Self.top(of: task.role) == top {
            sum += task.resources.scalar(name)
        }
        for offer in offers.values where Self.top(of: offer.role) == top {
            sum += offer.resources.scalar(name)
        }
        return sum
    }

    static func top(of role: String) -> String { String(role.prefix { $0 != "/" }) }

    mutating func release(where isMeant: (TaskKey, Holding) -> Bool) {
        for (key, task) in Array(tasks) where isMeant(key, task) { tasks.remove(key) }
    }
}

extension Resources {
    /// The ports of all parts, whatever their reservations.
    var ports: IntervalSet {
        items.reduce(into: IntervalSet()) { set, item in
            if item.name == "ports", case .ranges(let ranges) = item.value {
                set.formUnion(ranges)
            }
        }
    }
}
