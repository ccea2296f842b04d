import ProfferKernel
import ProfferModel

@testable import ProfferAllocation

/// A random life of a small cluster: an allocator lives it, and the model keeps the books.
///
/// The model is told what was granted instead of granting itself, so that a difference does not
/// carry on.
struct Walk {
    /// What may happen on the way.
    struct Style: OptionSet {
        let rawValue: Int
        static let tree = Style(rawValue: 1)
        static let quota = Style(rawValue: 2)
        static let demand = Style(rawValue: 4)
        static let kinds = Style(rawValue: 8)
        static let claims = Style(rawValue: 16)
        /// Demand has no gangs.
        static let single = Style(rawValue: 32)
    }

    static let tops = ["a", "b", "c"]
    static let treeRoles = ["a", "a/x", "a/y", "a/x/u", "b", "b/x", "c"]

    var subject: any Allocator
    var model: ReferenceAllocator
    var dice: SeededGenerator
    var now = Instant.zero
    let style: Style
    /// Whether each grant has to be the one that the model makes, not only one by the rules.
    ///
    /// With quota it is left open who is served first when more becomes available than others are
    /// guaranteed: the agent that brings it, or those that were kept before.
    let isExact: Bool
    var offers: [Grant] = []
    var tasks: [Allocation] = []
    var demands: [FrameworkID: [String: Demand]] = [:]
    var launched: [String: Int] = [:]
    var log: [String] = []
    var problems: [String] = []

    init(
        _ subject: Subject, seed: UInt64, style: Style, _ change: (inout Knobs) -> Void = { _ in }
    ) {
        var knobs = Knobs()
        knobs.seed = seed
        change(&knobs)
        self.subject = subject.make(knobs)
        self.style = style
        isExact =
            subject.features.contains(.tree) && !knobs.hasRandomRoles && !style.contains(.quota)
        knobs.fault = nil
        model = ReferenceAllocator(knobs)
        dice = SeededGenerator(seed: seed)
        for _ in 0..<3 {
            addAgent()
            setFramework()
        }
    }

    mutating func roll(_ sides: Int) -> Int { Int.random(in: 0..<sides, using: &dice) }

    mutating func pick<Element>(_ list: [Element]) -> Element? {
        list.isEmpty ? nil : list[roll(list.count)]
    }

    var roles: [String] { style.contains(.tree) ? Self.treeRoles : Self.tops }
    var agentIDs: [AgentID] { model.agents.keys.sorted() }
    var frameworkIDs: [FrameworkID] { model.frameworks.keys.sorted() }

    /// Tells both the same.
    mutating func both(_ what: String, _ change: (inout any Allocator) -> Void) {
        log.append(what)
        change(&subject)
        var other: any Allocator = model
        change(&other)
        if let other = other as? ReferenceAllocator { model = other }
    }

    mutating func step() {
        switch roll(24) {
        case 0: addAgent()
        case 1: setFramework()
        case 2: removeSomething()
        case 3, 4: setActivity()
        case 5...9: answer()
        case 10, 11, 12: finish()
        case 13: reviveOrSuppress()
        case 14: setWeightOrQuota()
        case 15: convert()
        case 16: now = now + .seconds(roll(8))
        case 17: if style.contains(.demand) { setDemands() }
        case 18: if style.contains(.claims) { claim() }
        default: round()
        }
    }

    // MARK: Agents and frameworks

    private mutating func addAgent() {
        let id = AgentID("n\(roll(6))")
        // One that is there may only grow: what is held stays within it.
        var resources = model.agents[id]?.info.resources ?? Resources()
        resources += Resources([scalar("cpus", 1 + roll(4)), scalar("mem", 50 * (1 + roll(6)))])
        if style.contains(.kinds) {
            if roll(3) == 0 { resources += scalar("cpus", 1 + roll(2), [roles[roll(roles.count)]]) }
            if roll(4) == 0 { resources += scalar("cpus", 1 + roll(2), isRevocable: true) }
            if roll(4) == 0 { resources += ports(100...(100 + UInt64(roll(5)))) }
            if roll(6) == 0, model.agents[id] == nil { resources += scalar("gpus", 1) }
        }
        var attributes = model.agents[id]?.info.attributes ?? []
        if roll(3) == 0 {
            attributes = [Attribute(name: "rack", value: .text("r\(roll(2))"))]
        }
        let info = AgentInfo(
            hostname: "\(id).host", resources: resources, attributes: attributes, id: id)
        let isActive = roll(8) > 0
        both("agent \(id) \(resources) \(attributes.count)") {
            $0.setAgent(info, isActive: isActive)
        }
    }

    private mutating func setFramework() {
        let id = FrameworkID("f\(roll(5))")
        let count = 1 + roll(2)
        let wanted = Set((0..<count).map { _ in roles[roll(roles.count)] }).sorted()
        var capabilities: FrameworkCapabilities = .multiRole
        if roll(2) == 0 { capabilities.insert(.revocableResources) }
        if roll(2) == 0 { capabilities.insert(.gpuResources) }
        if roll(2) == 0 { capabilities.insert(.reservationRefinement) }
        var constraints: [OfferConstraint] = []
        if roll(5) == 0 {
            let rule = AttributeConstraint(
                selector: .attribute("rack"), predicate: .textNotEquals("r0"))
            constraints = [OfferConstraint(role: wanted[0], groups: [[rule]])]
        }
        let framework = AllocatorFramework(
            id: id, roles: wanted, suppressedRoles: roll(6) == 0 ? [wanted[0]] : [],
            capabilities: capabilities, constraints: constraints)
        let isActive = roll(8) > 0
        both("framework \(id) \(wanted) -\(framework.suppressedRoles) \(isActive)") {
            $0.setFramework(framework, isActive: isActive)
        }
    }

    private mutating func removeSomething() {
        // The order of those who come after one has left has a test of its own.
        if style.contains(.demand) || !isExact, roll(2) == 0, let id = pick(agentIDs) {
            offers.removeAll { $0.allocation.agent == id }
            tasks.removeAll { $0.agent == id }
            both("remove \(id)") { $0.removeAgent(id) }
        } else if let id = pick(frameworkIDs) {
            for offer in offers where offer.allocation.framework == id {
                recover(offer.allocation, wasOffered: true, refuse: nil)
            }
            for task in tasks where task.framework == id {
                recover(task, wasOffered: false, refuse: nil)
            }
            offers.removeAll { $0.allocation.framework == id }
            tasks.removeAll { $0.framework == id }
            demands[id] = nil
            both("remove \(id)") { $0.removeFramework(id) }
        }
    }

    private mutating func setActivity() {
        let isActive = roll(3) > 0
        if roll(2) == 0, let id = pick(agentIDs) {
            both("\(id) active \(isActive)") { $0.setActive(agent: id, isActive) }
        } else if let id = pick(frameworkIDs) {
            both("\(id) active \(isActive)") { $0.setActive(framework: id, isActive) }
        }
    }

    private mutating func reviveOrSuppress() {
        guard let id = pick(frameworkIDs),
            let role = pick(model.frameworks[id]?.description.roles ?? [])
        else { return }
        if roll(3) > 0 {
            both("revive \(id) \(role)") { $0.revive(id, roles: [role]) }
        } else {
            both("suppress \(id) \(role)") { $0.suppress(id, roles: [role]) }
        }
    }

    private mutating func setWeightOrQuota() {
        let role = roles[roll(roles.count)]
        if roll(2) == 0 {
            let weight = Int64(500 * (1 + roll(6)))
            both("weight \(role) \(weight)") { $0.setWeight(role: role, thousandths: weight) }
        } else if style.contains(.quota) {
            var quota = Quota(role: Self.tops[roll(3)])
            if roll(2) == 0 {
                quota.guarantees = amounts(["cpus": 1 + roll(5), "mem": 50 * (1 + roll(5))])
            }
            if roll(2) == 0 {
                quota.limits = [QuotaLimit(name: "cpus", amount: Milli(5 + roll(4)))]
            }
            both("quota \(quota)") { $0.setQuota(quota) }
        }
    }

    // MARK: What is held

    private mutating func recover(
        _ allocation: Allocation, wasOffered: Bool, refuse: Duration?
    ) {
        let now = now
        let who = "\(allocation.framework) \(allocation.role) \(allocation.agent)"
        let why = wasOffered ? "refused for \(refuse.map { "\($0)" } ?? "nothing")" : "ended"
        both("recover \(who) \(allocation.resources) \(why)") {
            $0.recover(allocation, wasOffered: wasOffered, refuse: refuse, at: now)
        }
    }

    private mutating func answer() {
        guard !offers.isEmpty else { return }
        let offer = offers.remove(at: roll(offers.count))
        var rest = offer.allocation
        if roll(3) > 0 {
            var part = offer.allocation
            if offer.demandID == nil, roll(2) == 0 { part.resources = half(part.resources) }
            if !part.resources.isEmpty {
                both("use \(part.framework) \(part.role) \(part.agent) \(part.resources)") {
                    $0.use(part)
                }
                tasks.append(part)
                rest.resources -= part.resources
                if let id = offer.demandID {
                    launched["\(part.framework) \(id)", default: 0] += offer.instances
                }
            }
        }
        if rest.resources.isEmpty { return }
        let refusals: [Duration?] = [nil, .zero, .seconds(3), .seconds(20)]
        recover(rest, wasOffered: true, refuse: refusals[roll(4)])
    }

    /// About half of everything that can be split.
    private func half(_ resources: Resources) -> Resources {
        Resources(
            resources.items.map { item in
                guard case .scalar(let amount) = item.value, !item.isIndivisible else {
                    return item
                }
                var part = item
                part.value = .scalar(Milli(thousandths: amount.thousandths / 2))
                return part
            })
    }

    private mutating func finish() {
        guard !tasks.isEmpty else { return }
        recover(tasks.remove(at: roll(tasks.count)), wasOffered: false, refuse: nil)
    }

    /// Reserves a core of an offer, or takes a reservation off.
    private mutating func convert() {
        guard style.contains(.kinds), !offers.isEmpty else { return }
        let index = roll(offers.count)
        var step = offers[index].allocation
        guard offers[index].demandID == nil,
            let item = step.resources.items.first(where: {
                $0.name == "cpus" && !$0.isRevocable && $0.reservations.count < 2
            })
        else { return }
        var after = item
        if item.reservations.isEmpty {
            after.reservations = [Reservation(role: step.role)]
        } else {
            after.reservations = []
        }
        step.resources = Resources([item])
        let result = Resources([after])
        both("convert \(step.agent) \(step.framework) \(step.resources) \(result)") {
            $0.convert(step, into: result)
        }
        offers[index].allocation.resources -= step.resources
        offers[index].allocation.resources += result
    }
}
