internal import OrderedCollections
internal import ProfferAllocation
internal import ProfferKernel
internal import ProfferModel

extension Master {
    /// So many parts at most make a claim.
    private static let claimLimit = 10_000

    /// Takes resources that were not offered, all parts or none.
    ///
    /// Who waits is served first: a claim is quick, not before its turn.
    mutating func take(
        _ claim: Claim, _ id: FrameworkID, at now: Instant,
        into outbox: inout Outbox<MasterEffect>
    ) {
        guard let row = frameworks[id], let peer = row.peer else { return }
        let parts = claim.parts.map { part in
            AcceptedOffers(id, part.agentID, part.role, part.resources)
        }
        let operations = claim.parts.map(\.operations)
        var conflicts = problems(of: claim, row)
        var culprit: Culprit?
        if conflicts.isEmpty {
            culprit = tryOut(parts, operations)
            if let culprit {
                conflicts = [
                    ClaimConflict(
                        agentID: claim.parts[culprit.part].agentID, check: nil,
                        message: culprit.problem)
                ]
            }
        }
        if conflicts.isEmpty {
            allocateIfNeeded(at: now, into: &outbox)
            conflicts = allocator.claim(
                parts.map {
                    Allocation(
                        framework: id, role: $0.role, agent: $0.agent, resources: $0.remaining)
                }, at: now)
        }
        guard conflicts.isEmpty else {
            let first = conflicts[0].message
            outbox.append(.observe(.invalidCall(id, call: "CLAIM", problem: first)))
            outbox.append(
                .tellFramework(.claimAnswer(id: claim.id, .conflict(conflicts)), peer))
            // No task is passed over in silence.
            refuse(
                operations, id,
                culprit ?? Culprit(part: 0, problem: "the claim '\(claim.id)': \(first)"),
                into: &outbox)
            return
        }
        outbox.append(.tellFramework(.claimAnswer(id: claim.id, .committed), peer))
        for (part, operations) in zip(parts, operations) {
            var accepted = part
            apply(operations, &accepted, refuse: nil, at: now, into: &outbox)
        }
    }

    private struct PartKey: Hashable {
        var agent: AgentID
        var role: String
    }

    /// What is wrong with a claim whatever is free, part by part.
    private func problems(of claim: Claim, _ row: FrameworkRow) -> [ClaimConflict] {
        func wrong(_ message: String) -> [ClaimConflict] {
            [ClaimConflict(agentID: claim.parts.first?.agentID ?? "", check: nil, message: message)]
        }
        if claim.id.isEmpty || claim.id.utf8.count > 255 {
            return wrong("a claim needs an id of at most 255 bytes")
        }
        if claim.parts.isEmpty { return wrong("the claim names no part") }
        if claim.parts.count > Self.claimLimit {
            return wrong("the claim has more than \(Self.claimLimit) parts; make several")
        }
        var seen: Set<PartKey> = []
        return claim.parts.compactMap { part in
            func conflict(_ check: PlacementCheck?, _ message: String) -> ClaimConflict {
                ClaimConflict(agentID: part.agentID, check: check, message: message)
            }
            if !seen.insert(PartKey(agent: part.agentID, role: part.role)).inserted {
                return conflict(
                    nil,
                    "two parts claim of agent '\(part.agentID)' in role '\(part.role)'; "
                        + "put them together")
            }
            if !row.info.roles.contains(part.role) {
                return conflict(
                    nil, "the role '\(part.role)' is not one of the framework's")
            }
            if part.resources.isEmpty { return conflict(nil, "a part claims no resources") }
            let owner = "the part of agent '\(part.agentID)'"
            if let problem = problemOfResources(part.resources, owner) {
                return conflict(nil, problem)
            }
            guard let agent = agents[part.agentID] else {
                return conflict(.agentActive, "there is no agent '\(part.agentID)'")
            }
            guard agent.state == .active, agent.peer != nil else {
                return conflict(
                    .agentActive, "the agent '\(part.agentID)' is \(agent.state.rawValue)")
            }
            if !isListed(agent.info.hostname) {
                return conflict(
                    .whitelist, "the host '\(agent.info.hostname)' is not on the whitelist")
            }
            return nil
        }
    }
}
