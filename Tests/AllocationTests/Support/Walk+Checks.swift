import ProfferKernel
import ProfferModel

@testable import ProfferAllocation

extension Walk {
    /// Lets the allocator grant, and checks every grant and all books.
    mutating func round() {
        var expected: [Grant] = []
        if isExact {
            var copy = model
            copy.allocate(at: now, into: &expected)
        }
        var grants: [Grant] = []
        subject.allocate(at: now, into: &grants)
        model.refusals.removeAll { $0.end <= now }
        log.append("round at \(now.nanoseconds / 1_000_000_000): " + Self.text(grants))
        let isOther = Self.text(grants.merged) != Self.text(expected.merged)
        if isExact, !style.contains(.demand), isOther {
            problems.append(
                "granted \(Self.text(grants.merged)) instead of \(Self.text(expected.merged))")
        }
        for grant in grants {
            check(grant)
            model.record(grant)
            checkQuota(grant)
            offers.append(grant)
        }
        checkGangs(grants)
        checkBooks()
        if style.contains(.single), !style.contains(.quota) { checkNothingLeft() }
    }

    static func text(_ grants: [Grant]) -> String {
        grants.map { grant in
            let allocation = grant.allocation
            let items = allocation.resources.items.map { "\(Resources([$0]))\($0.isRevocable)" }
            let demand = grant.demandID.map { " for \(grant.instances) \($0)" } ?? ""
            return "\(allocation.framework) \(allocation.role) \(allocation.agent) "
                + items.sorted().joined(separator: "+") + demand
        }.joined(separator: "; ")
    }

    private mutating func expect(_ holds: Bool, _ rule: String, _ grant: Grant) {
        if !holds { problems.append("\(rule): \(Self.text([grant]))") }
    }

    private mutating func check(_ grant: Grant) {
        let allocation = grant.allocation
        let member = ReferenceAllocator.Member(
            framework: allocation.framework, role: allocation.role)
        expect(model.waits(member.framework, in: member.role), "nobody waits", grant)
        guard let agent = model.agents[allocation.agent] else {
            return expect(false, "there is no such agent", grant)
        }
        expect(model.admits(agent, member), "the agent is not for it", grant)
        expect(!allocation.resources.isEmpty, "nothing is granted", grant)
        expect(
            model.visible(allocation.agent, to: member).contains(allocation.resources),
            "it is not free for that role", grant)
        expect(
            !model.isRefused(allocation.resources, member, allocation.agent), "it was refused",
            grant)
        if grant.demandID != nil || demands[member.framework]?.isEmpty == false {
            checkDemand(grant)
        } else {
            expect(
                model.isWorthwhile(allocation.resources, member), "it is below the minimum", grant)
        }
    }

    /// To be asked once the grant is booked.
    private mutating func checkQuota(_ grant: Grant) {
        let top = model.top(grant.allocation.role)
        let common = grant.allocation.resources.filter(ReferenceAllocator.isCommon).quantities
        let consumed = model.consumed(top)
        for limit in model.quotas[top]?.limits ?? [] where common[limit.name] > .zero {
            expect(consumed[limit.name] <= limit.amount, "it is above the limit", grant)
        }
        let (available, needed) = (model.available, model.unmetOthers(top))
        let guarantees = model.quotas[top]?.guarantees ?? ResourceQuantities()
        for entry in common.entries {
            let unmetBefore = guarantees[entry.name] - (consumed[entry.name] - entry.amount)
            if entry.amount <= unmetBefore { continue }
            expect(
                available[entry.name] >= needed[entry.name], "others are guaranteed it", grant)
        }
    }

    private mutating func checkDemand(_ grant: Grant) {
        let allocation = grant.allocation
        guard let id = grant.demandID, let demand = demands[allocation.framework]?[id] else {
            return expect(false, "it is not what is wanted", grant)
        }
        var needed = ResourceQuantities()
        for _ in 0..<grant.instances { needed += demand.resources }
        expect(grant.instances >= 1, "it is for no instance", grant)
        expect(demand.role == allocation.role, "it is wanted in another role", grant)
        expect(allocation.resources.quantities == needed, "it does not fit exactly", grant)
        expect(
            allocation.resources.ports.count == UInt64(demand.ports * grant.instances),
            "the ports are too many or too few", grant)
        let covered = offers.filter {
            $0.allocation.framework == allocation.framework && $0.demandID == id
        }
        let count =
            covered.reduce(grant.instances) { $0 + $1.instances }
            + (launched["\(allocation.framework) \(id)"] ?? 0)
        expect(count <= demand.count, "more is offered than wanted", grant)
        if let most = demand.perOffer {
            expect(grant.instances <= most, "the offer is too large", grant)
        }
        if let most = demand.perAgent {
            let here = covered.reduce(grant.instances) {
                $1.allocation.agent == allocation.agent ? $0 + $1.instances : $0
            }
            expect(here <= most, "the agent has too many", grant)
        }
        expect((grant.gang != nil) == (demand.gang > 1), "a gang has a name", grant)
    }

    /// After a round nothing is free that somebody waits for.
    private mutating func checkNothingLeft() {
        for id in frameworkIDs {
            for role in model.frameworks[id]?.description.roles ?? []
            where model.waits(id, in: role) {
                let member = ReferenceAllocator.Member(framework: id, role: role)
                for agentID in agentIDs {
                    guard let agent = model.agents[agentID], model.admits(agent, member) else {
                        continue
                    }
                    let free = model.visible(agentID, to: member)
                    if let list = demands[id] {
                        for demand in list.values where demand.role == role {
                            checkNotLeft(demand, of: member, at: agentID, free)
                        }
                    } else if model.isWorthwhile(free, member),
                        !model.isRefused(free, member, agentID)
                    {
                        problems.append("\(id) is not offered \(free) of \(agentID) in \(role)")
                    }
                }
            }
        }
    }

    private mutating func checkNotLeft(
        _ demand: Demand, of member: ReferenceAllocator.Member, at agent: AgentID, _ free: Resources
    ) {
        let mine = offers.filter {
            $0.allocation.framework == member.framework && $0.demandID == demand.id
        }
        let covered = mine.reduce(launched["\(member.framework) \(demand.id)"] ?? 0) {
            $0 + $1.instances
        }
        let isRefused = model.refusals.contains {
            $0.key.framework == member.framework && $0.key.role == member.role
                && $0.key.agent == agent
        }
        let usable = free.filter { !$0.isRevocable }
        if covered >= demand.count || isRefused || demand.perAgent != nil
            || !usable.quantities.contains(demand.resources)
            || usable.ports.count < UInt64(demand.ports)
        {
            return
        }
        problems.append("\(member) is not offered \(demand.id) of \(agent): \(usable)")
    }

    private mutating func checkGangs(_ grants: [Grant]) {
        var sizes: [GangID: Int] = [:]
        for grant in grants {
            guard let gang = grant.gang else { continue }
            sizes[gang, default: 0] += grant.instances
        }
        for grant in grants {
            guard let gang = grant.gang, let id = grant.demandID,
                let demand = demands[grant.allocation.framework]?[id]
            else { continue }
            expect(sizes[gang] == demand.gang, "a gang is whole", grant)
        }
    }

    /// Shares and free resources are those of the model: nothing is lost and nothing doubled.
    mutating func checkBooks() {
        for id in frameworkIDs
        where subject.shareMillionths(framework: id) != model.shareMillionths(framework: id) {
            problems.append(
                "\(id) has a share of \(subject.shareMillionths(framework: id)) instead of "
                    + "\(model.shareMillionths(framework: id))")
        }
        for role in roles
        where style.contains(.tree)
            && subject.shareMillionths(role: role) != model.shareMillionths(role: role)
        {
            problems.append("the share of \(role) is \(subject.shareMillionths(role: role))")
        }
        guard style.contains(.claims) else { return }
        for id in agentIDs where model.agents[id]?.isActive == true {
            let free = subject.free(id, roles: Self.treeRoles)
            let all = model.free(id, roles: Self.treeRoles)
            // Less can be claimed while something is kept for guarantees or gangs.
            let isKept = style.contains(.quota) || style.contains(.demand)
            if !all.contains(free) || (!isKept && !free.contains(all)) {
                problems.append("\(id) has \(free) free instead of \(all)")
            }
        }
    }

    // MARK: Demand and claims

    mutating func setDemands() {
        guard let id = pick(frameworkIDs),
            let role = pick(model.frameworks[id]?.description.roles ?? [])
        else { return }
        var list: [Demand] = []
        for number in 0..<roll(3) {
            let count = 1 + roll(6)
            list.append(
                demand("d\(number)", role, cpus: 1 + roll(2), mem: 10 * roll(4), count: count) {
                    $0.priority = roll(3)
                    $0.gang = !style.contains(.single) && roll(3) == 0 ? min(count, 2 + roll(2)) : 1
                    $0.perOffer = roll(4) == 0 && $0.gang == 1 ? 1 + roll(2) : nil
                    $0.perAgent = roll(4) == 0 && $0.gang == 1 ? 1 + roll(3) : nil
                })
        }
        // What is offered for the old demand would count for the new one of the same name.
        for offer in offers where offer.allocation.framework == id {
            let allocation = offer.allocation
            let now = now
            both("recover all of \(id)") {
                $0.recover(allocation, wasOffered: true, refuse: nil, at: now)
            }
        }
        offers.removeAll { $0.allocation.framework == id }
        demands[id] =
            list.isEmpty
            ? nil : Dictionary(list.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for demand in list { launched["\(id) \(demand.id)"] = nil }
        log.append("demands \(id) \(list)")
        subject.setDemands(id, list, at: now)
    }

    mutating func claim() {
        guard let id = pick(frameworkIDs), let agent = pick(agentIDs), let other = pick(agentIDs),
            let role = pick(roles)
        else { return }
        let parts = [agent, other].map { agent in
            Allocation(
                framework: id, role: role, agent: agent,
                resources: Resources(cpus: Milli(1), mem: Milli(10)))
        }
        let conflicts = subject.claim(parts, at: now)
        log.append("claim \(id) \(role) \(agent) \(other): \(conflicts)")
        guard conflicts.isEmpty else {
            checkBooks()
            return
        }
        for part in parts {
            let grant = Grant(allocation: part)
            let member = ReferenceAllocator.Member(framework: id, role: role)
            let isRight =
                model.frameworks[id]?.isActive == true
                && model.frameworks[id]?.description.roles.contains(role) == true
                && model.agents[part.agent].map { model.admits($0, member) } == true
                && model.visible(part.agent, to: member).contains(part.resources)
            if !isRight {
                let admits = model.agents[part.agent].map { model.admits($0, member) }
                problems.append(
                    "a claim went against the rules: \(part), "
                        + "active \(model.frameworks[id]?.isActive == true), "
                        + "the agent will do: \(admits == true)")
            }
            model.record(grant)
            offers.append(grant)
        }
        checkBooks()
    }
}
