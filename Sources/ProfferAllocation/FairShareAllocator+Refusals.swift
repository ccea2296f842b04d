internal import OrderedCollections
internal import ProfferKernel
internal import ProfferModel

extension FairShareAllocator {
    /// So many returns in a row are answered at once.
    private static let freeReturns = 3
    /// The pause after the first return that is not; it doubles with each further one.
    private static let firstReturnPause = Duration.milliseconds(4)

    /// A framework has given back what it was offered, with or without a refusal.
    mutating func noteReturn(
        _ allocation: Allocation, _ refuse: Duration?, at now: Instant
    ) {
        if let refuse, refuse > .zero {
            refuseOffers(allocation, until: now + refuse)
        } else if let pause = returnPause(allocation) {
            refuseOffers(allocation, until: now + pause)
        }
    }

    private mutating func refuseOffers(_ allocation: Allocation, until end: Instant) {
        // What the new refusal covers for longer needs no entry of its own.
        forgetRefusals(at: allocation.agent) {
            $0.framework == allocation.framework && $0.role == allocation.role && $0.end <= end
                && allocation.resources.contains($0.resources)
        }
        nextSerial += 1
        agents[allocation.agent]?.refusals.append(
            Refusal(
                framework: allocation.framework, role: allocation.role,
                resources: allocation.resources, serial: nextSerial, end: end))
        expiries.set(RefusalKey(agent: allocation.agent, serial: nextSerial), to: end)
    }

    /// Without a pause, a framework that returns everything at once and refuses nothing would be
    /// offered the same again a few hundred times in a second.
    private mutating func returnPause(_ allocation: Allocation) -> Duration? {
        guard options.returnPauseLimit > .zero, var returns = agents[allocation.agent]?.returns
        else { return nil }
        let index =
            returns.firstIndex {
                $0.framework == allocation.framework && $0.role == allocation.role
            } ?? returns.count
        if index == returns.count {
            returns.append(Returns(framework: allocation.framework, role: allocation.role))
        }
        returns[index].count += 1
        agents[allocation.agent]?.returns = returns
        let repetitions = returns[index].count - Self.freeReturns - 1
        guard repetitions >= 0 else { return nil }
        return min(Self.firstReturnPause * (1 << min(repetitions, 16)), options.returnPauseLimit)
    }

    mutating func forgetReturns(_ framework: FrameworkID, _ role: String, at agent: AgentID) {
        guard agents[agent]?.returns.isEmpty == false else { return }
        agents[agent]?.returns.removeAll { $0.framework == framework && $0.role == role }
    }

    /// Forgets what a framework has refused in a role, everywhere.
    ///
    /// O(agents).
    mutating func forgetRefusals(_ framework: FrameworkID, _ role: String) {
        for agent in agents.keys {
            forgetRefusals(at: agent) { $0.framework == framework && $0.role == role }
            forgetReturns(framework, role, at: agent)
        }
    }

    /// Forgets the refusals of one agent that are meant.
    mutating func forgetRefusals(
        at agent: AgentID, where isMeant: (Refusal) -> Bool = { _ in true }
    ) {
        guard let row = agents[agent], !row.refusals.isEmpty else { return }
        var kept: [Refusal] = []
        for refusal in row.refusals {
            if isMeant(refusal) {
                expiries.set(RefusalKey(agent: agent, serial: refusal.serial), to: nil)
            } else {
                kept.append(refusal)
            }
        }
        agents[agent]?.refusals = kept
    }

    /// Ends the refusals that are over.
    mutating func endRefusals(at now: Instant) {
        while let key = expiries.popDue(at: now) {
            agents[key.agent]?.refusals.removeAll { $0.serial == key.serial }
            mark(key.agent)
        }
    }

    /// Whether a framework has refused what it would be offered, or more than that.
    func isRefused(
        _ offered: Resources, _ framework: FrameworkID, _ role: String, at agent: AgentRow
    ) -> Bool {
        agent.refusals.contains {
            $0.framework == framework && $0.role == role && $0.resources.contains(offered)
        }
    }
}
