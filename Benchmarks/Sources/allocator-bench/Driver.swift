import ProfferAllocation
import ProfferKernel
import ProfferModel

/// Stands in the master's place: tells the allocator what happens, and answers for frameworks.
struct Driver {
    var allocator = makeAllocator()
    var now = Instant.zero
    /// What is offered and not answered.
    var offers: [Grant] = []

    /// Long enough to mean for ever.
    static let forever = Duration.seconds(365 * 86_400)

    static func agent(_ index: Int) -> AgentID {
        AgentID("7c1b5b1e-3f0a-4b6e-9a53-0d7f9a3c2e11-S\(index)")
    }

    static func framework(_ index: Int) -> FrameworkID {
        let number = String(index)
        let zeros = String(repeating: "0", count: max(0, 4 - number.count))
        return FrameworkID("7c1b5b1e-3f0a-4b6e-9a53-0d7f9a3c2e11-\(zeros)\(number)")
    }

    /// Takes frameworks in, in one role each.
    mutating func addFrameworks(
        _ indices: Range<Int>, capabilities: FrameworkCapabilities = [.multiRole],
        isSuppressed: (Int) -> Bool = { _ in false }, role: (Int) -> String = { _ in "*" }
    ) {
        for index in indices {
            let roles = [role(index)]
            allocator.setFramework(
                AllocatorFramework(
                    id: Self.framework(index), roles: roles,
                    suppressedRoles: isSuppressed(index) ? roles : [],
                    capabilities: capabilities),
                isActive: true)
        }
    }

    /// Takes an agent in, part of which one framework holds.
    mutating func addAgent(
        _ index: Int, _ shape: Shape, owner: Int? = nil, role: String = "*",
        isActive: Bool = true
    ) {
        let id = Self.agent(index)
        allocator.setAgent(
            AgentInfo(hostname: "node-\(index)", resources: shape.total, id: id),
            isActive: isActive)
        if let owner, !shape.used.isEmpty {
            allocator.hold(
                Allocation(
                    framework: Self.framework(owner), role: role, agent: id,
                    resources: shape.used))
        }
    }

    /// Takes agents in whose used parts the frameworks hold in turn.
    mutating func addAgents(
        _ count: Int, _ shape: Shape, owners: Int, allocatingAfterEach: Bool = false,
        role: (Int) -> String = { _ in "*" }
    ) {
        for index in 0..<count {
            addAgent(index, shape, owner: index % owners, role: role(index % owners))
            // Not timed one by one: reading the thread's clock takes as long as a short cycle.
            if allocatingAfterEach { allocator.allocate(at: now, into: &offers) }
        }
        if !allocatingAfterEach { allocator.allocate(at: now, into: &offers) }
    }

    /// Lets the allocator decide.
    @discardableResult
    mutating func cycle() -> Lap { time { allocator.allocate(at: now, into: &offers) } }

    /// Answers every offer with no, and lets time pass until no pause between offers is left.
    @discardableResult
    mutating func giveBackAll(refuse: Duration? = nil) -> Lap {
        let lap = time {
            for offer in offers {
                allocator.recover(offer.allocation, wasOffered: true, refuse: refuse, at: now)
            }
        }
        offers.removeAll(keepingCapacity: true)
        now = now + .seconds(10)
        return lap
    }

    /// Makes the allocator look at every agent again.
    mutating func markAll(_ agents: Int) -> Lap {
        let ids = (0..<agents).map(Self.agent)
        return time {
            for id in ids {
                allocator.setActive(agent: id, false)
                allocator.setActive(agent: id, true)
            }
        }
    }

    /// Lets every framework decline what it is offered for ever, until nothing is offered.
    ///
    /// - Returns: How many offers were declined, and how long the last cycle took.
    mutating func declineEverything(pairs: Int, rounds limit: Int = .max) -> (Int, Lap) {
        var declined = 0
        var last = Lap.zero
        var rounds = 0
        while rounds < limit {
            last = cycle()
            if offers.isEmpty { break }
            declined += offers.count
            giveBackAll(refuse: Self.forever)
            rounds += 1
            if declined > 2 * pairs { break }
        }
        return (declined, last)
    }
}

/// What agents have, and what of it is used already.
struct Shape {
    var total: Resources
    var used: Resources

    init(_ total: String, used: String = "") {
        self.total = Self.resources(total)
        self.used = used.isEmpty ? Resources() : Self.resources(used)
    }

    static func resources(_ text: String) -> Resources {
        do {
            return try Resources(text: text)
        } catch {
            // The text is a literal of this program: nothing from outside comes here.
            fatalError("the bench has written '\(text)': \(error)")
        }
    }

    /// Pieces of the ports 31000 to 32000, with a gap after each.
    static func ports(_ count: Int, upTo end: Int = 32_000) -> String {
        let step = (end - 31_000 + 1) / count
        let pieces = (0..<count).map { index in
            "\(31_000 + index * step)-\(31_000 + (index + 1) * step - 2)"
        }
        return "ports:[" + pieces.joined(separator: ",") + "]"
    }

    /// Of Mesos' DeclineOffers.
    static let decline = Shape(
        "cpus:24;mem:4096;disk:4096;ports:[31000-32000]",
        used: "cpus:16;mem:2014;disk:1024;" + ports(16))
    /// Of its SuppressOffers.
    static let suppress = Shape(
        "cpus:24;mem:4096;disk:4096;ports:[31000-32000]", used: "cpus:16;mem:1024;disk:1024")
    /// Of its AddAndUpdateSlave.
    static let update = Shape(
        "cpus:2;mem:1024;disk:4096;ports:[31000-32000]",
        used: "cpus:1;mem:128;disk:1024;" + ports(4))
    /// Of its benchmarks of quota.
    static let quota = Shape("cpus:2;mem:2048;disk:2048")
}

/// Amounts by name, from the text form.
func quantities(_ text: String) -> ResourceQuantities { Shape.resources(text).quantities }
