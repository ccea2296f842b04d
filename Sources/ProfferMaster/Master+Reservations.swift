internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

/// What operators reserve, of agents and not of offers.
extension Master {
    /// Reserves what nobody uses, in place of another reservation if there is a source.
    mutating func order(
        reserve resources: Resources, source: Resources, of id: AgentID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard agents[id] != nil else { return .notFound("there is no agent '\(id)'") }
        if let problem = problemOfReservation(resources, id) { return .refused(problem) }
        var before = source
        if source.isEmpty {
            for item in resources.items { before += Self.popped(item) }
        } else if let problem = problemOfSource(source, resources) {
            return .refused(problem)
        }
        return convert(before, into: resources, of: id, at: now, into: &outbox)
    }

    /// Takes the last reservation off what nobody uses.
    mutating func order(
        unreserve resources: Resources, of id: AgentID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard agents[id] != nil else { return .notFound("there is no agent '\(id)'") }
        if let problem = problemOfOrder(resources) { return .refused(problem) }
        var after = Resources()
        for item in resources.items {
            guard item.reservations.last?.kind == .dynamic else {
                return .refused("\(item.name) has no dynamic reservation to take off")
            }
            after += Self.popped(item)
        }
        return convert(resources, into: after, of: id, at: now, into: &outbox)
    }

    private static func popped(_ item: Resource) -> Resource {
        var popped = item
        popped.reservations.removeLast()
        return popped
    }

    /// What forbids an operator to touch these resources, whatever is free, or `nil`.
    private func problemOfOrder(_ resources: Resources) -> String? {
        if resources.isEmpty { return "no resources are named" }
        if let problem = problemOfResources(resources, "the order") { return problem }
        if resources.items.contains(where: \.isRevocable) {
            return "revocable resources cannot be reserved"
        }
        if resources.items.contains(where: \.isPersistentVolume) {
            return "a volume keeps its reservation; destroy it first"
        }
        return nil
    }

    private func problemOfReservation(_ resources: Resources, _ id: AgentID) -> String? {
        if let problem = problemOfOrder(resources) { return problem }
        let refines = agents[id]?.info.capabilities.contains(.reservationRefinement) == true
        for item in resources.items {
            guard item.reservations.last?.kind == .dynamic else {
                return "\(item.name) carries no dynamic reservation to make"
            }
            if item.reservations.count > 1, !refines {
                return "the agent does not know reservations within reservations"
            }
            for (index, reservation) in item.reservations.enumerated() {
                if reservation.role == "*" { return "the role '*' cannot have reservations" }
                if let problem = problemOfRole(reservation.role) { return problem }
                if index > 0, reservation.kind == .static {
                    return "only the first reservation of \(item.name) can be static"
                }
                guard index > 0 else { continue }
                let outer = item.reservations[index - 1].role
                if !reservation.role.hasPrefix(outer + "/") {
                    return "'\(reservation.role)' is not below '\(outer)', for which it is reserved"
                        + " already"
                }
            }
        }
        return nil
    }

    /// What forbids to reserve these anew as those, or `nil`: only dynamic reservations can change.
    private func problemOfSource(_ source: Resources, _ resources: Resources) -> String? {
        if let problem = problemOfOrder(source) { return problem }
        func kept(_ resources: Resources) -> Resources {
            var kept = Resources()
            for item in resources.items {
                var one = item
                one.reservations = item.reservations.filter { $0.kind == .static }
                kept += one
            }
            return kept
        }
        let (before, after) = (kept(source), kept(resources))
        guard before.contains(after), after.contains(before) else {
            return "the source \(source) and \(resources) differ in more than dynamic reservations"
        }
        return nil
    }

    /// Turns free resources of an agent into others; what is offered of them is taken back.
    private mutating func convert(
        _ before: Resources, into after: Resources, of id: AgentID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) -> OperatorAnswer {
        guard var row = agents[id], row.isRegistered, let peer = row.peer else {
            return .refused("the agent '\(id)' is not connected")
        }
        var free = row.info.resources
        for key in row.tasks {
            if let task = tasks[key], !task.isReleased { free -= task.info.resources }
        }
        for executor in row.executors.values { free -= executor.info.resources }
        guard free.contains(before) else {
            return .refused("the agent does not have \(before); nobody uses \(free)")
        }
        row.info.resources -= before
        row.info.resources += after
        if let problem = AgentSize.problem(of: row.info) { return .refused(problem) }
        for offer in row.offers {
            let held = offers[offer]?.offer.resources ?? Resources()
            if (free - offered(of: row)).contains(before) { break }
            let isTouched = held.items.contains { item in
                before.items.contains { $0.isSameKind(as: item) }
            }
            guard isTouched else { continue }
            end(offer: offer, .rescinded, at: now, into: &outbox)
        }
        agents[id]?.info.resources = row.info.resources
        outbox.append(.commit([.agent(id, entry(row))]))
        tellAllocator(row)
        noteSeen(id)
        outbox.append(.tellAgent(.updateResources(row.info.resources), peer))
        return .done
    }

    private func offered(of agent: AgentRow) -> Resources {
        (agents[agent.id]?.offers ?? []).reduce(into: Resources()) { sum, id in
            if let row = offers[id] { sum += row.offer.resources }
        }
    }
}
