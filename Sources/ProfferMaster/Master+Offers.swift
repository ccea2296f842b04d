internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// So many offers at most are told in one event, which has to stay below a message's limit.
    private static let offersPerEvent = 1000

    /// The pause between two allocations grows up to so many windows.
    private static let longestPause = 5

    /// Allocates at once after a quiet time, and otherwise when the window has passed: a lone
    /// change is answered immediately and a burst costs one round.
    ///
    /// While tasks end faster than one in a window, the window is wider: an offer and its answer
    /// then serve several of them.
    mutating func allocateIfDue(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        guard lastAllocation + allocationPause <= now else { return }
        allocateIfNeeded(at: now, into: &outbox)
    }

    /// Allocates without waiting for the window, for what must not overtake those who wait.
    mutating func allocateIfNeeded(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        let isRefusalOver = allocator.nextDeadline.map { $0 <= now } ?? false
        guard allocator.needsAllocation || isRefusalOver else { return }
        lastAllocation = now
        let window = configuration.allocationWindow
        allocationPause =
            releaseCount < 2 ? window : min(allocationPause + window, window * Self.longestPause)
        releaseCount = 0
        watchForShortfalls(at: now)
        var grants: [Grant] = []
        allocator.allocate(at: now, into: &grants)
        guard !grants.isEmpty else { return }
        var batches: OrderedDictionary<FrameworkID, [Offer]> = [:]
        for grant in grants {
            guard let offer = makeOffer(grant, at: now, into: &outbox) else {
                allocator.recover(grant.allocation, wasOffered: true, refuse: nil, at: now)
                continue
            }
            batches[grant.allocation.framework, default: []].append(offer)
        }
        for (id, batch) in batches {
            guard let peer = frameworks[id]?.peer else { continue }
            for start in stride(from: 0, to: batch.count, by: Self.offersPerEvent) {
                let end = min(start + Self.offersPerEvent, batch.count)
                outbox.append(.tellFramework(.offers(Array(batch[start..<end])), peer))
            }
        }
        outbox.append(.observe(.allocated(offers: grants.count)))
    }

    private mutating func makeOffer(
        _ granted: Grant, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> Offer? {
        let grant = granted.allocation
        guard frameworks[grant.framework]?.isConnected == true, let agent = agents[grant.agent]
        else { return nil }
        let offer = Offer(
            id: makeOfferID(), frameworkID: grant.framework, agentID: grant.agent,
            hostname: agent.info.hostname, agentPort: agent.info.port, domain: agent.info.domain,
            resources: grant.resources, attributes: agent.info.attributes,
            executorIDs: agent.executors.keys.filter { $0.framework == grant.framework }
                .map(\.executor), unavailability: unavailability(of: agent.info),
            role: grant.role, demandID: granted.demandID,
            instances: granted.instances, gang: granted.gang)
        offers[offer.id] = OfferRow(offer: offer, madeAt: now)
        if let gang = offer.gang { gangs[gang, default: []].append(offer.id) }
        frameworks[grant.framework]?.offers.append(offer.id)
        agents[grant.agent]?.offers.append(offer.id)
        if let timeout = configuration.offerTimeout {
            timers.set(.offer(offer.id), to: now + timeout)
        }
        outbox.append(
            .observe(.offered(offer.id, grant.framework, grant.agent, grant.resources)))
        return offer
    }

    func allocation(_ offer: Offer, _ resources: Resources? = nil) -> Allocation {
        Allocation(
            framework: offer.frameworkID, role: offer.role, agent: offer.agentID,
            resources: resources ?? offer.resources, demandID: offer.demandID)
    }

    /// Forgets an offer without giving its resources back.
    mutating func consume(
        _ id: OfferID, _ end: OfferEnd, at now: Instant, into outbox: inout Outbox<MasterEffect>
    ) -> OfferRow? {
        guard let row = offers.remove(id) else { return nil }
        frameworks[row.offer.frameworkID]?.offers.remove(id)
        agents[row.offer.agentID]?.offers.remove(id)
        timers.set(.offer(id), to: nil)
        if let gang = row.offer.gang {
            gangs[gang]?.remove(id)
            if gangs[gang]?.isEmpty == true { gangs.remove(gang) } else { tornGangs.append(gang) }
        }
        outbox.append(.observe(.offerEnded(id, end, held: now - row.madeAt)))
        return row
    }

    /// Takes an offer back and tells its framework, unless it is to be discarded silently.
    mutating func end(
        offer id: OfferID, _ end: OfferEnd, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = consume(id, end, at: now, into: &outbox) else { return }
        allocator.recover(allocation(row.offer), wasOffered: true, refuse: nil, at: now)
        if end != .discarded, let peer = frameworks[row.offer.frameworkID]?.peer {
            outbox.append(.tellFramework(.rescind(id), peer))
        }
    }

    /// Takes back what is left of gangs of which a part is gone: by itself it is of no use, and
    /// the framework may not accept it.
    mutating func endTornGangs(at now: Instant, into outbox: inout Outbox<MasterEffect>) {
        guard !tornGangs.isEmpty else { return }
        let torn = tornGangs
        tornGangs = []
        for gang in torn {
            for id in gangs[gang] ?? [] { end(offer: id, .rescinded, at: now, into: &outbox) }
        }
        tornGangs = []
    }

    /// How long a refusal lasts: 5 s when nothing or nonsense is said, a year at most, and not at
    /// all for exactly zero.
    func refusal(_ filters: Filters?) -> Duration? {
        guard let asked = filters?.refuse else { return configuration.defaultRefusal }
        if asked == .zero { return nil }
        if asked < .zero { return configuration.defaultRefusal }
        return min(asked, configuration.longestRefusal)
    }

    mutating func decline(
        _ ids: [OfferID], _ filters: Filters?, _ framework: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        for id in ids {
            guard offers[id]?.offer.frameworkID == framework,
                let row = consume(id, .declined, at: now, into: &outbox)
            else {
                // An offer that was rescinded meanwhile: nothing to give back.
                continue
            }
            allocator.recover(
                allocation(row.offer), wasOffered: true, refuse: refusal(filters), at: now)
        }
    }

    /// The roles a REVIVE or SUPPRESS means, or `nil` when one is not the framework's: then
    /// nothing at all changes.
    private func meantRoles(_ roles: [String], _ framework: FrameworkID) -> [String]? {
        let own = frameworks[framework]?.info.roles ?? []
        if roles.isEmpty { return own }
        return roles.allSatisfy(own.contains) ? roles : nil
    }

    mutating func revive(
        _ roles: [String], _ id: FrameworkID, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let meant = meantRoles(roles, id) else {
            outbox.append(
                .observe(
                    .invalidCall(id, call: "REVIVE", problem: "a role is not the framework's")))
            return
        }
        frameworks[id]?.suppressedRoles.removeAll(where: meant.contains)
        if frameworks[id]?.awaitsDemand != true { allocator.revive(id, roles: meant) }
    }

    mutating func suppress(
        _ roles: [String], _ id: FrameworkID, into outbox: inout Outbox<MasterEffect>
    ) {
        guard let meant = meantRoles(roles, id) else {
            outbox.append(
                .observe(
                    .invalidCall(id, call: "SUPPRESS", problem: "a role is not the framework's")))
            return
        }
        let known = frameworks[id]?.suppressedRoles ?? []
        frameworks[id]?.suppressedRoles += meant.filter { !known.contains($0) }
        allocator.suppress(id, roles: meant)
    }
}
