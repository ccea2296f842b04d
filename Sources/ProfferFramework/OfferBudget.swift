public import ProfferKernel
public import ProfferModel

/// What is left of an offer while tasks are carved out of it.
public struct OfferBudget: Sendable {
    /// The offer.
    public let offer: Offer
    /// What no task has taken yet.
    public private(set) var remaining: Resources

    /// Begins with the whole offer.
    public init(_ offer: Offer) {
        self.offer = offer
        remaining = offer.resources
    }

    /// Takes scalars and ports out, reserved ones first.
    ///
    /// - Parameters:
    ///   - cpus: Cores.
    ///   - mem: Memory, mebibytes.
    ///   - disk: Disk, mebibytes.
    ///   - gpus: Whole GPUs.
    ///   - ports: How many ports, the lowest first.
    ///   - exactPorts: These ports and no others.
    /// - Returns: What was taken, or `nil`, with nothing changed, when there is not enough.
    public mutating func take(
        cpus: Milli = .zero, mem: Milli = .zero, disk: Milli = .zero, gpus: Milli = .zero,
        ports: Int = 0, exactPorts: [UInt64] = []
    ) -> Resources? {
        var rest = remaining
        var taken = Resources()
        for (name, amount) in [("cpus", cpus), ("mem", mem), ("disk", disk), ("gpus", gpus)] {
            guard Self.move(amount, of: name, from: &rest, to: &taken) else { return nil }
        }
        var wanted = exactPorts
        if ports > 0 {
            let free = rest.ports.subtracting(IntervalSet(exactPorts.map { $0...$0 }))
            let chosen = free.prefix(ports)
            guard chosen.count == ports else { return nil }
            wanted += chosen
        }
        for port in wanted {
            guard Self.movePort(port, from: &rest, to: &taken) else { return nil }
        }
        remaining = rest
        return taken
    }

    private static func move(
        _ amount: Milli, of name: String, from rest: inout Resources, to taken: inout Resources
    ) -> Bool {
        var missing = amount
        let candidates = rest.items.filter { $0.name == name && !$0.isIndivisible }
        let ordered =
            candidates.filter { $0.reservedRole != nil }
            + candidates.filter { $0.reservedRole == nil }
        for item in ordered where missing > .zero {
            guard case .scalar(let available) = item.value else { continue }
            var part = item
            part.value = .scalar(min(available, missing))
            rest -= part
            taken += part
            missing -= min(available, missing)
        }
        return missing <= .zero
    }

    private static func movePort(
        _ port: UInt64, from rest: inout Resources, to taken: inout Resources
    ) -> Bool {
        for item in rest.items where item.name == "ports" {
            guard case .ranges(let free) = item.value, free.contains(port) else { continue }
            var part = item
            part.value = .ranges(IntervalSet([port...port]))
            rest -= part
            taken += part
            return true
        }
        return false
    }
}

extension Outbox {
    /// Uses an offer for tasks; the rest is declined for `refuse` (5 seconds when `nil`).
    public mutating func accept<Output>(
        _ offer: Offer, launching tasks: [TaskInfo], refuse: Duration? = nil
    ) where Effect == FrameworkAction<Output> {
        append(
            .call(
                .accept(
                    offers: [offer.id], operations: [Operation(action: .launch(tasks))],
                    filters: refuse.map { Filters(refuse: $0) })))
    }

    /// Gives an offer back for `refuse` (5 seconds when `nil`).
    public mutating func decline<Output>(
        _ offer: Offer, refuse: Duration? = nil
    ) where Effect == FrameworkAction<Output> {
        append(
            .call(.decline(offers: [offer.id], filters: refuse.map { Filters(refuse: $0) })))
    }

    /// Kills a task; repeated by the driver until the task has ended.
    public mutating func kill<Output>(
        _ task: TaskID, agent: AgentID? = nil, policy: KillPolicy? = nil
    ) where Effect == FrameworkAction<Output> {
        append(.call(.kill(task, agent: agent, policy: policy)))
    }

    /// Wants offers again, in every role.
    public mutating func revive<Output>() where Effect == FrameworkAction<Output> {
        append(.call(.revive(roles: [])))
    }

    /// States what is wanted from now on, in place of everything stated before; an empty list
    /// makes the framework a classic one, which is offered whatever is free.
    public mutating func demand<Output>(
        _ wanted: [Demand]
    ) where Effect == FrameworkAction<Output> {
        append(.call(.demand(wanted)))
    }

    /// Uses offers of several agents, all parts or none; the rest is declined for `refuse` (5
    /// seconds when `nil`).
    public mutating func acceptTogether<Output>(
        _ parts: [OfferAcceptance], refuse: Duration? = nil
    ) where Effect == FrameworkAction<Output> {
        append(.call(.acceptTogether(parts, filters: refuse.map { Filters(refuse: $0) })))
    }

    /// Takes resources that were not offered, all parts or none.
    public mutating func claim<Output>(
        _ id: String, _ parts: [ClaimPart]
    ) where Effect == FrameworkAction<Output> {
        append(.call(.claim(Claim(id: id, parts: parts))))
    }

    /// Begins to watch the cluster's state, or ends it.
    public mutating func watchCluster<Output>(
        _ isWanted: Bool = true
    ) where Effect == FrameworkAction<Output> {
        append(.call(.watchCluster(isWanted)))
    }

    /// Wants no offers for now, in any role.
    public mutating func suppress<Output>() where Effect == FrameworkAction<Output> {
        append(.call(.suppress(roles: [])))
    }
}
