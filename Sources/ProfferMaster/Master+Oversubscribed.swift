internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// An agent says what may be offered of it beyond its resources.
    ///
    /// It is not durable: a new master hears it again when the agent comes back. When there is less
    /// of it, offers that hold any are taken back; what tasks hold is for the agent to take.
    mutating func take(
        oversubscribed resources: Resources, of id: AgentID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard var row = agents[id] else { return }
        if let problem = problem(ofOversubscribed: resources) {
            outbox.append(.observe(.invalidCall(nil, call: "OVERSUBSCRIBED", problem: problem)))
            return
        }
        guard resources != row.oversubscribed else { return }
        let isLess = !resources.contains(row.oversubscribed)
        row.oversubscribed = resources
        agents[id] = row
        tellAllocator(row)
        noteSeen(id)
        guard isLess else { return }
        for offer in row.offers
        where offers[offer]?.offer.resources.items.contains(where: \.isRevocable) == true {
            end(offer: offer, .rescinded, at: now, into: &outbox)
        }
    }

    private func problem(ofOversubscribed resources: Resources) -> String? {
        if let problem = problemOfAmounts(resources, "the agent") { return problem }
        for item in resources.items {
            guard case .scalar = item.value, item.isRevocable, item.reservations.isEmpty,
                item.disk == nil, !item.isShared
            else { return "\(item) is no plain amount that can be taken back" }
        }
        return nil
    }
}

extension AgentRow {
    /// What may be held of it: its resources, and what it offers beyond them.
    var offerableInfo: AgentInfo {
        if oversubscribed.isEmpty { return info }
        var info = info
        info.resources += oversubscribed
        return info
    }
}
