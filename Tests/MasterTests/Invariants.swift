import OrderedCollections
import ProfferKernel
import ProfferModel
import Testing

@testable import ProfferAllocation
@testable import ProfferMaster

/// What is durable, and whether it was so before anybody was told of what rests on it.
struct Ledger {
    private(set) var agents: OrderedDictionary<AgentID, AgentEntry> = [:]
    private(set) var frameworks: OrderedDictionary<FrameworkID, FrameworkEntry> = [:]
    private(set) var weights: OrderedDictionary<String, Int64> = [:]
    private(set) var quotas: OrderedDictionary<String, Quota> = [:]
    private(set) var whitelist: [String]?
    private(set) var priorityLimits: OrderedDictionary<String, Int> = [:]
    private(set) var maintenance: MaintenanceRecord?

    mutating func keep(_ record: MasterRecord) {
        switch record {
        case .agent(let id, let entry): agents[id] = entry
        case .framework(let id, let entry): frameworks[id] = entry
        case .weight(let role, let weight): weights[role] = weight
        case .quota(let role, let quota): quotas[role] = quota
        case .whitelist(let hosts): whitelist = hosts
        case .priorityLimit(let role, let limit): priorityLimits[role] = limit
        case .maintenance(let record): maintenance = record
        case .epoch: break
        }
    }

    var records: [MasterRecord] {
        agents.map { .agent($0.key, $0.value) } + frameworks.map { .framework($0.key, $0.value) }
            + weights.map { .weight(role: $0.key, $0.value) }
            + quotas.map { .quota(role: $0.key, $0.value) }
            + priorityLimits.map { .priorityLimit(role: $0.key, $0.value) }
            + [.whitelist(whitelist)]
            + (maintenance.map { [.maintenance($0)] } ?? [])
    }

    mutating func follow(
        _ effect: MasterEffect, peers: OrderedDictionary<AgentID, PeerID>
    ) {
        switch effect {
        case .commit(let records): for record in records { keep(record) }
        case .tellFramework(.subscribed(let id, _, _), _):
            #expect(frameworks[id]?.isRemoved == false, "subscribed before it was durable")
        case .tellAgent(.registered(let id, _), _), .tellAgent(.reregistered(let id, _, _), _):
            #expect(agents[id]?.admission == .admitted, "registered before it was durable")
        case .tellAgent(.shutdownFramework(let id), _):
            #expect(frameworks[id]?.isRemoved ?? true, "shut down before it was durable")
        case .tellAgent(.updateResources(let resources), let peer):
            let id = peers.elements.first { $0.value == peer }?.key
            #expect(id.flatMap { agents[$0]?.info.resources } == resources, "told before durable")
        case .tellFramework(.update(let status), _) where status.reason == .agentRemoved:
            let admission = status.agentID.flatMap { agents[$0]?.admission }
            #expect(admission != .admitted, "told of a loss before it was durable")
        case .tellFramework, .tellAgent, .closePeer, .answer, .observe: break
        }
    }
}

/// Who holds something in which role.
private struct Holder: Hashable {
    var framework: FrameworkID
    var role: String
}

extension Stage {
    /// Everything that must hold between any two steps.
    func checkInvariants() {
        checkFrameworks()
        checkTasks()
        checkOffers()
        checkPreemptions()
        if let allocator = master.allocator as? HierarchicalAllocator { check(settled: allocator) }
        if let allocator = master.allocator as? LackingAllocator { check(settled: allocator.inner) }
    }

    private func checkFrameworks() {
        for (id, row) in master.frameworks {
            #expect(master.removedFrameworks[id] == nil)
            if let peer = row.peer { #expect(master.peerFrameworks[peer] == id) }
            #expect(row.isConnected == (master.timers.deadline(of: .failover(id)) == nil))
            #expect(row.completed.count <= master.configuration.completedTasks)
            for task in row.tasks { #expect(master.tasks[TaskKey(id, task)] != nil) }
            #expect(row.unreachable.count <= master.configuration.unreachableTasks)
            for task in row.unreachable {
                #expect(master.tasks[TaskKey(id, task)]?.state == .unreachable)
            }
            for placed in row.executors {
                let key = ExecutorKey(id, placed.executor)
                #expect(master.agents[placed.agent]?.executors[key] != nil)
            }
        }
        #expect(master.removedFrameworks.count <= master.configuration.completedFrameworks)
        for (peer, id) in frameworkPeers.map({ ($0.value, $0.key) }) where !closed.contains(peer) {
            #expect(master.peerFrameworks[peer] == id || closed.contains(peer))
        }
    }

    private func checkTasks() {
        for (key, task) in master.tasks {
            #expect(master.frameworks[key.framework]?.tasks.contains(key.task) == true)
            #expect(master.agents[task.info.agentID]?.tasks.contains(key) == true)
            #expect(task.isReleased == (task.state.isTerminal || task.state == .unreachable))
            let agent = master.agents[task.info.agentID]
            if agent?.isRegistered != true { #expect(task.isReleased) }
        }
        for (id, agent) in master.agents {
            for key in agent.tasks { #expect(master.tasks[key]?.info.agentID == id) }
            for key in agent.executors.keys {
                #expect(
                    master.frameworks[key.framework]?.executors.contains(
                        PlacedExecutor(agent: id, executor: key.executor)) == true)
            }
            for key in agent.endingExecutors { #expect(agent.executors[key] != nil) }
            if let peer = agent.peer { #expect(master.peerAgents[peer] == id) }
        }
    }

    private func checkPreemptions() {
        #expect(
            Set(master.recovering)
                == Set(master.agents.values.filter { $0.state == .recovered }.map(\.id)))
        #expect(master.tornGangs.isEmpty && master.endedVictims.isEmpty)
        #expect(master.emptied.isEmpty && master.vacated.isEmpty)
        checkLost()
        for (id, row) in master.preemptions {
            for key in row.tasks { #expect(master.tasks[key]?.preemption == id) }
            for offer in row.inverseOffers {
                #expect(master.inverseOffers[offer]?.preemption == id)
            }
        }
        for (key, task) in master.tasks {
            if let id = task.preemption {
                #expect(master.preemptions[id]?.tasks.contains(key) == true)
            }
        }
        for row in master.inverseOffers.values {
            let id = row.inverseOffer.id
            if let preemption = row.preemption {
                #expect(master.preemptions[preemption]?.inverseOffers.contains(id) == true)
            } else if let agent = row.inverseOffer.agentID {
                let framework = row.inverseOffer.frameworkID
                let place = PlacedFramework(agent: agent, framework: framework)
                #expect(master.leaveRequests[place] == id)
                #expect(
                    master.agents[agent]?.tasks.contains { $0.framework == framework } == true
                        || master.agents[agent]?.executors.keys.contains {
                            $0.framework == framework
                        } == true)
            }
        }
        for id in master.watchers { #expect(master.frameworks[id]?.watchSerial != nil) }
        if master.watchers.isEmpty { #expect(master.unseenAgents.isEmpty) }
    }

    private func checkLost() {
        let lost = master.agents.values.filter { $0.state == .unreachable || $0.state == .gone }
        #expect(Set(master.lost) == Set(lost.map(\.id)))
        for id in master.silent { #expect(master.agents[id]?.isRegistered == true) }
        for row in master.agents.values where row.state == .disconnected {
            #expect(master.silent.contains(row.id))
        }
        for id in master.condemned.keys {
            #expect(master.silent.contains(id) || master.recovering.contains(id))
        }
        #expect(master.condemned.isEmpty || master.timers.deadline(of: .removal) != nil)
        for (id, questions) in master.questions {
            #expect(!questions.isEmpty && master.frameworks[id]?.isConnected == true)
        }
    }

    private func checkOffers() {
        for (id, row) in master.offers {
            let offer = row.offer
            #expect(master.frameworks[offer.frameworkID]?.isConnected == true)
            #expect(master.frameworks[offer.frameworkID]?.offers.contains(id) == true)
            #expect(master.frameworks[offer.frameworkID]?.info.roles.contains(offer.role) == true)
            #expect(master.agents[offer.agentID]?.state == .active)
            #expect(master.agents[offer.agentID]?.offers.contains(id) == true)
        }
        for agent in master.agents.values { checkRevocable(of: agent) }
        let listed = master.frameworks.values.reduce(0) { $0 + $1.offers.count }
        #expect(listed == master.offers.count)
        #expect(master.agents.values.reduce(0) { $0 + $1.offers.count } == master.offers.count)
        // Every framework knows exactly the offers that the master holds for it.
        for (id, row) in master.frameworks where row.isConnected {
            #expect(Set(offers[id, default: []].map(\.id)) == Set(row.offers))
        }
    }

    /// What can be taken back is never offered beyond what the agent has said there is.
    private func checkRevocable(of agent: AgentRow) {
        var offered = Resources()
        for id in agent.offers {
            offered += master.offers[id]?.offer.resources.revocable ?? Resources()
        }
        if offered.isEmpty { return }
        for key in agent.tasks {
            guard let task = master.tasks[key], !task.isReleased else { continue }
            offered += task.info.resources.revocable
        }
        #expect(agent.oversubscribed.contains(offered))
    }

    /// The allocator and the master must hold the same view, and it must add up.
    private func check(settled unsettled: HierarchicalAllocator) {
        let allocator = unsettled.settled()
        let registered = master.agents.values.filter(\.isRegistered)
        let known = allocator.agents.filter(\.isUsed)
        #expect(Set(known.compactMap(\.info.id)) == Set(registered.map(\.id)))
        var total = ResourceQuantities()
        for row in registered {
            total += row.offerableInfo.resources.quantities
            check(allocator, row)
        }
        #expect(allocator.columns.quantities(allocator.total) == total)
        let used = allocator.frameworks.filter(\.isUsed)
        #expect(Set(used.map(\.description.id)) == Set(master.frameworks.keys))
        for row in used {
            let id = row.description.id
            #expect(row.isActive == master.frameworks[id]?.isConnected)
            var offers: OrderedDictionary<AgentID, OrderedDictionary<String, Resources>> = [:]
            for offer in master.offers.values where offer.offer.frameworkID == id {
                let (agent, role) = (offer.offer.agentID, offer.offer.role)
                offers[agent, default: [:]][role, default: Resources()] += offer.offer.resources
            }
            var offered = ResourceQuantities()
            for resources in offers.values.flatMap(\.values) { offered += resources.quantities }
            #expect(allocator.columns.quantities(row.offered) == offered)
            var held = ResourceQuantities()
            // A shared volume counts once, however many of its holders are in one role.
            for agent in known {
                for slot in row.slots {
                    var all = Resources()
                    for holding in agent.holdings where holding.slot == slot {
                        all += allocator.columns.resources(holding.used)
                        all += allocator.columns.resources(holding.offered)
                    }
                    held += all.quantities
                }
            }
            #expect(allocator.columns.quantities(row.held) == held)
        }
    }

    private func check(_ allocator: HierarchicalAllocator, _ row: AgentRow) {
        guard let index = allocator.agentIndex[row.id] else { return }
        let agent = allocator.agents[index]
        #expect(agent.isActive == master.isOfferable(row))
        #expect(same(agent.info.resources, row.offerableInfo.resources))
        var held: OrderedDictionary<Holder, Resources> = [:]
        for key in row.tasks {
            guard let task = master.tasks[key], !task.isReleased else { continue }
            held[Holder(framework: key.framework, role: task.role), default: Resources()] +=
                task.info.resources
        }
        for (key, executor) in row.executors where !executor.info.resources.isEmpty {
            held[Holder(framework: key.framework, role: executor.role), default: Resources()] +=
                executor.info.resources
        }
        for id in row.offers {
            guard let offer = master.offers[id]?.offer else { continue }
            held[Holder(framework: offer.frameworkID, role: offer.role), default: Resources()] +=
                offer.resources
        }
        var listed: OrderedDictionary<Holder, Resources> = [:]
        for holding in agent.holdings {
            let slot = allocator.slots[holding.slot]
            let holder = Holder(
                framework: allocator.frameworks[slot.framework].description.id, role: slot.role)
            listed[holder, default: Resources()] += allocator.columns.resources(holding.used)
            listed[holder, default: Resources()] += allocator.columns.resources(holding.offered)
        }
        #expect(listed.count == held.count)
        var free = row.offerableInfo.resources
        for (holder, mine) in listed {
            #expect(same(mine, held[holder] ?? Resources()))
            // A shared volume stays free while it is held, and of what can be taken back there may
            // be less than tasks hold until the agent has killed them.
            #expect(
                free.contains(mine.nonShared.nonRevocable), "more is held than there is")
            free -= mine.nonShared
        }
        #expect(same(allocator.columns.resources(agent.free), free))
    }

    private func same(_ left: Resources, _ right: Resources) -> Bool {
        left.contains(right) && right.contains(left)
    }
}
