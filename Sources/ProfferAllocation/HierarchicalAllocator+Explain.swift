public import ProfferKernel
public import ProfferModel

extension HierarchicalAllocator {
    /// Why a framework gets nothing, or what it would get.
    ///
    /// The verdict on each agent is that of a round. Works on a copy of the allocator, which shares
    /// everything with it that the question does not change; O(agents · checks).
    public func explain(
        _ question: PlacementQuestion, at now: Instant
    ) -> PlacementExplanation {
        var copy = settled()
        return copy.answer(question, at: now)
    }

    private mutating func answer(
        _ question: PlacementQuestion, at now: Instant
    ) -> PlacementExplanation {
        var answer = PlacementExplanation()
        answer.agents = agents.count { $0.isUsed }
        self.now = now
        endRefusals(at: now)
        tree.follow(total)
        let id = question.framework ?? "someone"
        if question.framework == nil { admitSomeone(id, question.demand) }
        guard let framework = frameworkIndex[id] else {
            answer.obstacle = "there is no framework '\(id)'"
            return answer
        }
        answer.shareMillionths = shareMillionths(framework: id)
        answer.roleShareMillionths = shareMillionths(role: question.demand.role)
        answer.quota = quotaState(question.demand.role)
        guard let slot = slot(framework, question.demand.role), slots[slot].isSubscribed else {
            answer.obstacle =
                "the framework is not subscribed in the role '\(question.demand.role)'"
            return answer
        }
        let row = place(of: question.demand, slot, at: now)
        answer.obstacle = obstacle(framework, slot, row, at: now)
        answer.ahead = ahead(of: slot)
        for index in agents.indices { refreshBlocked(index) }
        fill(&answer, slot, row)
        answer.suggestions = suggestions(answer, slot, row)
        return answer
    }

    /// Somebody who could do everything.
    private mutating func admitSomeone(_ id: FrameworkID, _ demand: Demand) {
        setFramework(
            AllocatorFramework(
                id: id, roles: [demand.role],
                capabilities: [
                    .revocableResources, .gpuResources, .sharedResources, .multiRole,
                    .reservationRefinement, .regionAware,
                ], priority: demand.priority), isActive: true)
    }

    /// The place of what is asked for among the demands of a framework in a role; `nil` for any
    /// worthwhile offer.
    private mutating func place(of demand: Demand, _ slot: Int, at now: Instant) -> Int? {
        if demand.resources.entries.isEmpty, demand.ports == 0 {
            return slots[slot].demands.firstIndex { $0.demand.id == demand.id }
        }
        if let known = slots[slot].demands.firstIndex(where: {
            $0.demand.id == demand.id && $0.isAlike(demand)
        }) {
            return known
        }
        var row = row(for: demand, at: now)
        row.remaining = max(1, demand.count)
        slots[slot].demands.append(row)
        return slots[slot].demands.count - 1
    }

    private func obstacle(_ framework: Int, _ slot: Int, _ row: Int?, at now: Instant) -> String? {
        if !frameworks[framework].isActive { return "the framework is not connected" }
        if slots[slot].isSuppressed {
            return "the framework has suppressed offers in the role '\(slots[slot].role)'; "
                + "it has to send REVIVE"
        }
        if let agentHold, isWaitingForAgents, now < agentHold.until {
            return "the master waits until \(agentHold.count) agents are back, \(activeAgents) are"
        }
        if slots[slot].pausedUntil.map({ $0 > now }) ?? false {
            return "the framework has declined whatever it was offered, and is offered the next in "
                + "some seconds; REVIVE or a demand ends that"
        }
        guard let row else {
            return frameworks[framework].hasDemands
                ? "the framework states what it wants, and none of that is left in the role "
                    + "'\(slots[slot].role)'" : nil
        }
        if slots[slot].demands[row].isMet {
            return slots[slot].demands[row].outstanding > 0
                ? "every instance that is wanted is in an offer that is not answered"
                : "no further instance is wanted"
        }
        if let end = slots[slot].demands[row].pausedUntil, end > now {
            return "the gang has had its turn for nothing and waits for the next one"
        }
        let unknown = slots[slot].demands[row].unknown
        if let name = unknown.first { return "no agent has a resource called '\(name)'" }
        return nil
    }

    /// How many who wait come before a framework in a role.
    private func ahead(of slot: Int) -> Int {
        guard tree.clients[slot].isWaiting else { return 0 }
        var walk = OrderWalk()
        walk.begin()
        var count = 0
        while let next = walk.next(tree, skipping: { _ in false }) {
            if next == slot { return count }
            count += 1
        }
        return count
    }

    private func quotaState(_ role: String) -> [PlacementExplanation.QuotaState] {
        guard let node = tree.find(String(role.prefix { $0 != "/" })),
            let place = quotas.place(node)
        else { return [] }
        let row = quotas.rows[place]
        let has = consumed(node)
        return columns.names.indices.compactMap { column in
            let isLimited = row.limited & (1 << UInt64(column)) != 0
            guard isLimited || row.guarantee[column] > 0 else { return nil }
            return PlacementExplanation.QuotaState(
                name: columns.names[column], consumed: Milli(thousandths: has[column]),
                guarantee: Milli(thousandths: row.guarantee[column]),
                limit: isLimited ? Milli(thousandths: row.limit[column]) : nil)
        }
    }

    // MARK: Agents

    private mutating func fill(_ answer: inout PlacementExplanation, _ slot: Int, _ row: Int?) {
        var removed: [PlacementCheck: Int] = [:]
        var alone: [PlacementCheck: Int] = [:]
        var examples: [PlacementCheck: [AgentID]] = [:]
        var misses: [(miss: PlacementExplanation.NearMiss, gap: Int64)] = []
        let most = row.flatMap { slots[slot].demands[$0].demand.gang > 1 ? 1 : nil }
        for index in agents.indices where agents[index].isUsed {
            guard let id = agents[index].info.id else { continue }
            let failed = failures(slot, index, row)
            for check in failed { alone[check, default: 0] += 1 }
            switch verdict(slot, index, demand: row, most: most) {
            case .fits: answer.fitting += 1
            case .fails(let check):
                removed[check, default: 0] += 1
                if examples[check, default: []].count < 5 {
                    examples[check, default: []].append(id)
                }
                let missing = missing(slot, index, row)
                let miss = PlacementExplanation.NearMiss(
                    agent: id, hostname: agents[index].info.hostname,
                    failed: failed.isEmpty ? [check] : failed,
                    missing: columns.quantities(missing))
                misses.append((miss, gap(missing)))
                // Keeping all would be a list as long as the cluster.
                if misses.count > 200 { misses = Self.nearest(misses) }
            }
        }
        answer.steps = PlacementCheck.allCases.compactMap { check in
            let (first, all) = (removed[check] ?? 0, alone[check] ?? 0)
            guard first > 0 || all > 0 else { return nil }
            return PlacementExplanation.Step(
                check: check, removed: first, alone: max(first, all),
                examples: examples[check] ?? [])
        }
        answer.nearest = Self.nearest(misses).map(\.miss)
    }

    private static func nearest(
        _ misses: [(miss: PlacementExplanation.NearMiss, gap: Int64)]
    ) -> [(miss: PlacementExplanation.NearMiss, gap: Int64)] {
        let sorted = misses.enumerated().sorted { left, right in
            let (first, second) = (left.element, right.element)
            if first.miss.failed.count != second.miss.failed.count {
                return first.miss.failed.count < second.miss.failed.count
            }
            return first.gap != second.gap ? first.gap < second.gap : left.offset < right.offset
        }
        return sorted.prefix(5).map(\.element)
    }

    /// Every check that an agent fails, each asked by itself.
    private mutating func failures(_ slot: Int, _ agent: Int, _ row: Int?) -> [PlacementCheck] {
        let framework = slots[slot].framework
        var failed: [PlacementCheck] = []
        if !agents[agent].isActive { failed.append(agents[agent].inactiveBecause) }
        if !isAdmitted(slot, agent, row) { failed.append(.constraints) }
        if !copes(agent, framework, slot) { failed.append(.capabilities) }
        if isFar(agent, framework) { failed.append(.region) }
        if isKeptForGPUs(agent, framework) { failed.append(.gpus) }
        let offered = offerable(slot, agent)
        if !isEnough(offered, slot, row) {
            let isReserved = offered.isEmpty && !agents[agent].free.isEmpty
            failed.append(isReserved ? .reservations : .resources)
        } else {
            failed += failures(slot, agent, row, offered)
        }
        return failed
    }

    private func failures(
        _ slot: Int, _ agent: Int, _ row: Int?, _ offered: Parcel
    ) -> [PlacementCheck] {
        var failed: [PlacementCheck] = []
        if gangs.keeps(agent, against: slot) {
            var rest = offered
            rest.plain = (rest.plain - gangs.kept(agent)).raisedToZero
            if !isEnough(rest, slot, row) { failed.append(.gang) }
        }
        var allowed = offered
        if let check = restrict(slot, &allowed), !isEnough(allowed, slot, row) {
            failed.append(check)
        }
        var wanted = offered
        if let row {
            let demand = slots[slot].demands[row]
            if let bound = demand.demand.perAgent, present(slot, agent, demand) >= bound {
                failed.append(.perAgent)
            }
            wanted = portion(demand, 1, of: offered)
        }
        if isRefused(slot, agent, wanted) { failed.append(.refusal) }
        let isGang = row.map { slots[slot].demands[$0].demand.gang > 1 } ?? false
        if !isGang, holdsTooMuch(slot, with: wanted) {
            failed.append(.offeredLimit)
        }
        return failed
    }

    private func isEnough(_ parcel: Parcel, _ slot: Int, _ row: Int?) -> Bool {
        guard let row else { return isWorthwhile(parcel, slot) }
        return fitting(slots[slot].demands[row], 1, parcel) > 0
    }

    /// The scalars that are missing for one instance, or for the smallest worthwhile offer.
    private func missing(_ slot: Int, _ agent: Int, _ row: Int?) -> Amounts {
        let offered = offerable(slot, agent)
        let has =
            offered.extras.isEmpty
            ? offered.plain : offered.plain + columns.amounts(offered.extras)
        if let row { return (slots[slot].demands[row].shape - has).raisedToZero }
        let gaps = (slots[slot].minimums ?? minimums).map { ($0 - has).raisedToZero }
        return gaps.min { gap($0) < gap($1) } ?? Amounts()
    }

    /// How much that is, in millionths of the cluster, so that cores and mebibytes compare.
    private func gap(_ missing: Amounts) -> Int64 {
        var sum: Int64 = 0
        for column in 0..<missing.width where missing[column] > 0 {
            let share = DominantShare(
                one(column, missing[column]), of: total, counted: ~0)
            sum &+= max(1, share.millionths)
        }
        return sum
    }

    private func one(_ column: Int, _ amount: Int64) -> Amounts {
        var amounts = Amounts()
        amounts[column] = amount
        return amounts
    }

    // MARK: What would help

    private func suggestions(
        _ answer: PlacementExplanation, _ slot: Int, _ row: Int?
    ) -> [String] {
        guard answer.fitting == 0 else { return [] }
        if answer.agents == 0 { return ["start an agent; there is none"] }
        var found: [String] = []
        for miss in answer.nearest where miss.failed.count == 1 {
            guard let check = miss.failed.first, let text = suggestion(check, miss, slot, row),
                !found.contains(text)
            else { continue }
            found.append(text)
        }
        if found.isEmpty, let miss = answer.nearest.first {
            let titles = miss.failed.map(\.title).joined(separator: ", ")
            found.append("the nearest agent, \(miss.hostname), fails: \(titles)")
        }
        return found
    }

    private func suggestion(
        _ check: PlacementCheck, _ miss: PlacementExplanation.NearMiss, _ slot: Int, _ row: Int?
    ) -> String? {
        switch check {
        case .resources:
            let parts = miss.missing.entries.map { "\($0.amount) \($0.name)" }
            if parts.isEmpty { return nil }
            return "ask for \(parts.joined(separator: " and ")) less, or free as much on "
                + miss.hostname
        case .agentActive: return "activate or reconnect the agent \(miss.hostname)"
        case .whitelist: return "put the host \(miss.hostname) on the whitelist"
        case .constraints: return "loosen the constraints so that \(miss.hostname) will do"
        case .refusal:
            return "the framework has refused \(miss.hostname); it can send REVIVE, or the refusal "
                + "ends by itself"
        case .quotaLimit: return "raise the quota limit of the role '\(top(slot))'"
        case .headroom: return "lower the guarantees of other roles, or add agents"
        case .offeredLimit: return "have the framework answer the offers it holds"
        case .gang: return "wait until the turn of the gang that \(miss.hostname) is kept for ends"
        case .perAgent: return "allow more instances on one agent"
        case .reservations: return "unreserve what is reserved on \(miss.hostname)"
        case .gpus: return "give the framework the capability GPU_RESOURCES"
        case .region: return "give the framework the capability REGION_AWARE"
        case .capabilities: return "renew the software of the agent \(miss.hostname)"
        }
    }

    private func top(_ slot: Int) -> String { tree.nodes[markedRole(slot)].path }
}
