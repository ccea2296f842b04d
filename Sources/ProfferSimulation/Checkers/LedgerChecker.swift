internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// Resources and offers of the leading master: S1, S2, S4, S5, S6, S7, S8, S15, S25, S26, S27, S28.
final class LedgerChecker: Checker {
    private var models = OrderedTable<Int, LedgerModel>()
    /// The call that a master is working on.
    private var step = Step()
    private let defaultRefusal = Duration.seconds(5)

    private struct Step {
        var master = -1
        /// Tasks that the call wants launched and that have no answer yet.
        var unanswered = OrderedTable<TaskKey, Bool>()
        /// Whether its offers were good when it came.
        var isGood = false
        var framework: FrameworkID?
        var quotas: [Quota] = []
    }

    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings) {
        switch occurrence {
        case .masterLeads(let index, _, let records):
            var model = LedgerModel()
            for case .quota(let role, let quota?) in records { model.limits[role] = quota.limits }
            models[index] = model
        case .masterEnded(let index, _):
            models.remove(index)
            if step.master == index { step = Step() }
        case .masterInput(let index, _, let input):
            finishStep(findings)
            step = Step(master: index)
            take(input, index, world, findings)
        case .masterWakes(let index, _):
            finishStep(findings)
            step = Step(master: index)
        case .masterEffect(let index, _, let effect):
            if models.contains(index) { take(effect, index, world, findings) }
        default: break
        }
    }

    /// Every task of an acceptance has been answered by the end of its step.
    private func finishStep(_ findings: Findings) {
        if let key = step.unanswered.firstKey {
            findings.report("S6", "the launch of \(key.task) was neither done nor refused")
        }
    }

    // MARK: Inputs

    private func take(
        _ input: MasterInput, _ index: Int, _ world: World, _ findings: Findings
    ) {
        switch input {
        case .peerOpened(let peer, let key): models[index]?.keys[peer] = key
        case .framework(let call, let peer): take(call, peer, index, world)
        case .agent(let message, let peer): take(message, peer, index)
        case .peerClosed(let peer, _):
            if let id = models[index]?.frameworkOf.remove(peer) {
                models[index]?.frameworks[id]?.peer = nil
            }
            if let id = models[index]?.agentOf.remove(peer) {
                models[index]?.agents[id]?.peer = nil
            }
        case .operation(.setQuotas(let quotas, _), _): step.quotas = quotas
        case .operation, .whitelistRead: break
        }
    }

    private func take(_ call: FrameworkCall, _ peer: PeerID, _ index: Int, _ world: World) {
        if case .subscribe(let subscription) = call.call {
            models[index]?.subscriptions[peer] = subscription
            return
        }
        guard let id = models[index]?.frameworkOf[peer], call.frameworkID == id else { return }
        let now = world.processes[index].instant
        step.framework = id
        switch call.call {
        case .accept(let offers, let operations, let filters):
            expect(operations, id)
            step.isGood = isGood(offers, id, index)
            if step.isGood { refuse(offers, filters, id, index, now) }
        case .acceptTogether(let parts, let filters):
            for part in parts { expect(part.operations, id) }
            step.isGood = parts.allSatisfy { isGood($0.offers, id, index) }
            if step.isGood {
                for part in parts { refuse(part.offers, filters, id, index, now) }
            }
        case .claim(let claim):
            for part in claim.parts { expect(part.operations, id) }
            step.isGood = true
        case .decline(let offers, let filters): refuse(offers, filters, id, index, now)
        case .revive(let roles):
            models[index]?.frameworks[id]?.refusals.removeAll {
                roles.isEmpty || roles.contains($0.role)
            }
            models[index]?.frameworks[id]?.suppressed.removeAll {
                roles.isEmpty || roles.contains($0)
            }
        case .suppress(let roles):
            let own = models[index]?.frameworks[id]?.info.roles ?? []
            if roles.allSatisfy(own.contains) {
                models[index]?.frameworks[id]?.suppressed += roles.isEmpty ? own : roles
            }
        case .demand: models[index]?.frameworks[id]?.refusals = []
        case .updateFramework(let subscription):
            models[index]?.frameworks[id]?.updates.append(subscription)
        default: break
        }
    }

    private func expect(_ operations: [Operation], _ id: FrameworkID) {
        for operation in operations {
            switch operation.action {
            case .launch(let tasks), .launchGroup(_, let tasks):
                for task in tasks { step.unanswered[TaskKey(id, task.id)] = true }
            default: break
            }
        }
    }

    private func isGood(_ ids: [OfferID], _ framework: FrameworkID, _ index: Int) -> Bool {
        let list = ids.compactMap { models[index]?.offers[$0] }
        guard list.count == ids.count, Set(ids).count == ids.count, let first = list.first else {
            return false
        }
        return list.allSatisfy {
            $0.frameworkID == framework && $0.agentID == first.agentID && $0.role == first.role
        }
    }

    private func refuse(
        _ ids: [OfferID], _ filters: Filters?, _ framework: FrameworkID, _ index: Int,
        _ now: Instant
    ) {
        var span = filters?.refuse ?? defaultRefusal
        if span < .zero { span = defaultRefusal }
        guard span > .zero else { return }
        // What is refused is what is left after the call, which the end of the offer tells only
        // for declined ones; of accepted ones nothing is known for sure.
        guard step.unanswered.isEmpty else { return }
        for id in ids {
            guard let offer = models[index]?.offers[id], offer.frameworkID == framework else {
                continue
            }
            models[index]?.frameworks[framework]?.refusals.append(
                LedgerModel.Refusal(
                    role: offer.role, agent: offer.agentID, resources: offer.resources,
                    until: now + span))
        }
    }

    private func take(_ message: AgentToMaster, _ peer: PeerID, _ index: Int) {
        switch message {
        case .register(let info, _, _):
            models[index]?.registrations[peer] = Reregistration(info: info)
        case .reregister(let body, _, _): models[index]?.registrations[peer] = body
        case .updateAgent(let info):
            if let id = models[index]?.agentOf[peer] { models[index]?.agents[id]?.info = info }
        case .update(let framework, let status, let position):
            guard let agent = models[index]?.agentOf[peer] else { return }
            let key = TaskKey(framework, status.taskID)
            guard models[index]?.tasks[key]?.agent == agent else { return }
            if status.state.isTerminal || position.latestState.isTerminal {
                models[index]?.tasks.remove(key)
            }
        case .unregister:
            guard let agent = models[index]?.agentOf[peer] else { return }
            models[index]?.release { $1.agent == agent }
        case .executorExited, .message, .usage, .oversubscribed, .pong: break
        }
    }

    // MARK: Effects

    private func take(
        _ effect: MasterEffect, _ index: Int, _ world: World, _ findings: Findings
    ) {
        switch effect {
        case .tellFramework(let event, let peer): take(event, peer, index, world, findings)
        case .tellAgent(let message, let peer): take(message, peer, index, findings)
        case .observe(let observation): take(observation, index, findings)
        case .closePeer(let peer, _):
            if let id = models[index]?.agentOf.remove(peer),
                models[index]?.agents[id]?.peer == peer
            {
                models[index]?.agents[id]?.peer = nil
            }
            if let id = models[index]?.frameworkOf.remove(peer),
                models[index]?.frameworks[id]?.peer == peer
            {
                models[index]?.frameworks[id]?.peer = nil
            }
        case .answer(.done, _):
            for quota in step.quotas { models[index]?.limits[quota.role] = quota.limits }
        case .answer, .commit: break
        }
    }

    private func take(
        _ event: SchedulerEvent, _ peer: PeerID, _ index: Int, _ world: World,
        _ findings: Findings
    ) {
        switch event {
        case .subscribed(let id, _, _):
            guard let subscription = models[index]?.subscriptions[peer] else { return }
            models[index]?.frameworkOf[peer] = id
            models[index]?.frameworks[id] = LedgerModel.Framework(
                peer: peer, info: subscription.framework,
                suppressed: subscription.suppressedRoles,
                constraints: subscription.constraints)
        case .offers(let offers):
            for offer in offers { judge(offer, peer, index, world, findings) }
        case .updateFrameworkAnswer(let problem):
            guard let id = models[index]?.frameworkOf[peer],
                models[index]?.frameworks[id]?.updates.isEmpty == false,
                let update = models[index]?.frameworks[id]?.updates.removeFirst()
            else { return }
            guard problem == nil else { return }
            models[index]?.frameworks[id]?.info = update.framework
            models[index]?.frameworks[id]?.suppressed = update.suppressedRoles
            models[index]?.frameworks[id]?.constraints = update.constraints
            models[index]?.frameworks[id]?.refusals = []
        case .update(let status):
            guard status.uuid == nil, let id = models[index]?.frameworkOf[peer],
                [.error, .dropped, .lost].contains(status.state)
            else { return }
            let key = TaskKey(id, status.taskID)
            findings.expect(
                status.reason != .invalidOffers || models[index]?.tasks[key] == nil, "S6",
                "\(status.taskID) was launched and is refused now")
            step.unanswered.remove(key)
        default: break
        }
    }

    /// Looks at an offer that is being made.
    private func judge(
        _ offer: Offer, _ peer: PeerID, _ index: Int, _ world: World, _ findings: Findings
    ) {
        guard let model = models[index] else { return }
        let now = world.processes[index].instant
        findings.expect(
            model.offers[offer.id] == nil && model.ended[offer.id] == nil, "S5",
            "offer \(offer.id) was made twice")
        models[index]?.offers[offer.id] = offer
        guard let framework = model.frameworks[offer.frameworkID] else {
            findings.report("S7", "offer \(offer.id) for a framework that never subscribed")
            return
        }
        findings.expect(
            framework.peer == peer, "S7",
            "offer \(offer.id) for a framework that is not subscribed over this session")
        findings.expect(
            framework.info.roles.contains(offer.role), "S7",
            "offer \(offer.id) in the role \(offer.role), which is not the framework's")
        findings.expect(
            !framework.suppressed.contains(offer.role), "S7",
            "offer \(offer.id) in the role \(offer.role), which is suppressed")
        if let refusal = framework.refusals.first(where: {
            $0.role == offer.role && $0.agent == offer.agentID && now + .milliseconds(1) < $0.until
                && $0.resources.contains(offer.resources)
        }) {
            findings.report(
                "S7",
                "offer \(offer.id) of \(offer.agentID) was refused, \(refusal.until - now) are left"
            )
        }
        guard let agent = model.agents[offer.agentID] else {
            findings.report("S8", "offer \(offer.id) of an agent that never registered")
            return
        }
        findings.expect(
            agent.peer != nil, "S28", "offer \(offer.id) of an agent without a session")
        findings.expect(
            Self.meets(framework.constraints, agent.info, offer.role), "S27",
            "offer \(offer.id) of an agent that the framework's constraints exclude")
        findings.expect(
            offer.resources.items.allSatisfy { $0.isAllocatable(to: offer.role) }, "S26",
            "offer \(offer.id) holds what is reserved for another role than \(offer.role)")
        judgeAmounts(offer, agent, index, findings)
        framework.refusals.isEmpty ? () : prune(offer.frameworkID, index, now)
    }

    private func prune(_ id: FrameworkID, _ index: Int, _ now: Instant) {
        models[index]?.frameworks[id]?.refusals.removeAll { $0.until < now }
    }

    private func judgeAmounts(
        _ offer: Offer, _ agent: LedgerModel.Agent, _ index: Int, _ findings: Findings
    ) {
        guard let model = models[index] else { return }
        let held = model.held(on: offer.agentID)
        let offered = model.offered(on: offer.agentID)
        findings.expect(
            agent.info.resources.contains(held + offered), "S1",
            "of \(agent.info.resources) on \(offer.agentID) tasks hold \(held) and offers "
                + "\(offered), with \(offer.id)")
        if let problem = model.sharedPort(on: offer.agentID) { findings.report("S2", problem) }
        let top = LedgerModel.top(of: offer.role)
        // What is reserved counts, but is not held back.
        let open = offer.resources.unreserved
        for limit in model.limits[top] ?? [] where open.scalar(limit.name) > .zero {
            let sum = model.consumed(by: top, of: limit.name)
            findings.expect(
                sum <= limit.amount, "S25",
                "with \(offer.id) the role \(top) has \(sum) \(limit.name), above "
                    + "\(limit.amount)")
        }
    }

    private static func meets(
        _ constraints: [OfferConstraint], _ info: AgentInfo, _ role: String
    ) -> Bool {
        let wanted = constraints.filter { $0.role == role }
        if wanted.isEmpty { return true }
        return wanted.flatMap(\.groups).contains { group in
            group.allSatisfy { constraint in
                guard case .attribute(let name) = constraint.selector,
                    case .textEquals(let text) = constraint.predicate
                else { return true }
                return info.attributes.first { $0.name == name }?.value == .text(text)
            }
        }
    }

    private func take(
        _ message: MasterToAgent, _ peer: PeerID, _ index: Int, _ findings: Findings
    ) {
        switch message {
        case .registered(let id, _):
            guard let body = models[index]?.registrations[peer] else { return }
            models[index]?.agentOf[peer] = id
            models[index]?.agents[id] = LedgerModel.Agent(peer: peer, info: body.info)
        case .reregistered(let id, _, _):
            guard let body = models[index]?.registrations.remove(peer) else { return }
            let isRepetition =
                models[index]?.agentOf[peer] == id && models[index]?.agents[id]?.peer == peer
            models[index]?.agentOf[peer] = id
            models[index]?.agents[id] = LedgerModel.Agent(peer: peer, info: body.info)
            if !isRepetition { takeIn(body.tasks, id, index) }
        case .shutdownFramework(let id):
            let agent = models[index]?.agentOf[peer]
            models[index]?.release { $0.framework == id && $1.agent == agent }
        case .updateResources(let resources):
            if let id = models[index]?.agentOf[peer] {
                models[index]?.agents[id]?.info.resources = resources
            }
        case .run(let run):
            findings.expect(
                step.isGood && step.framework == run.framework.id, "S6",
                "a launch that no valid call asked for")
            guard let framework = run.framework.id else { return }
            for task in run.tasks {
                let key = TaskKey(framework, task.id)
                findings.expect(
                    step.unanswered.remove(key) != nil, "S6",
                    "the task \(task.id) was launched, and no call has named it")
                models[index]?.tasks[key] = LedgerModel.Holding(
                    agent: task.agentID, role: run.role, resources: task.resources)
            }
        default: break
        }
    }

    private func takeIn(_ tasks: [AgentTask], _ id: AgentID, _ index: Int) {
        for task in tasks {
            let key = TaskKey(task.frameworkID, task.info.id)
            if let other = models[index]?.tasks[key]?.agent, other != id { continue }
            models[index]?.tasks[key] =
                task.state.isTerminal
                ? nil
                : LedgerModel.Holding(agent: id, role: task.role, resources: task.info.resources)
        }
    }

    private func take(_ observation: MasterObservation, _ index: Int, _ findings: Findings) {
        switch observation {
        case .offered: break
        case .offerEnded(let id, let end, _):
            let wasOpen = models[index]?.offers.remove(id) != nil
            if !wasOpen, models[index]?.ended[id] != nil {
                findings.report("S5", "offer \(id) ended again, as \(end.rawValue)")
            }
            models[index]?.ended[id] = true
        case .agent(let id, _, let state, _):
            if state == .unreachable || state == .gone {
                models[index]?.release { $1.agent == id }
                models[index]?.agents.remove(id)
                for framework in Array(models[index]?.frameworks.keys.map { $0 } ?? []) {
                    models[index]?.frameworks[framework]?.refusals.removeAll { $0.agent == id }
                }
            } else if state == .disconnected {
                models[index]?.agents[id]?.peer = nil
            }
        case .framework(let id, _, _, let isRemoved, _):
            if isRemoved {
                models[index]?.release { key, _ in key.framework == id }
                models[index]?.frameworks.remove(id)
            }
        case .task(let key, _, let agent, let state, let reason, _):
            guard state.isTerminal, reason == .agentDisconnected || reason == .agentRemoved,
                step.unanswered[key] == nil, models[index]?.tasks[key]?.agent == agent
            else { return }
            models[index]?.tasks.remove(key)
        case .invalidCall, .identityRefused, .stray, .preempting, .allocated, .agentsMissing,
            .removalCancelled, .forgotten:
            break
        }
    }

    // MARK: From time to time

    func inspect(_ world: World, _ findings: Findings) {
        for master in world.masters where master.isUp && master.isLeading && !master.isPaused {
            compare(master, findings)
        }
    }

    /// Compares the master's own sums with the ledger's.
    private func compare(_ master: MasterProcess, _ findings: Findings) {
        guard let model = models[master.index],
            case .agents(let list)? = master.ask(.agents)
        else { return }
        for summary in list {
            guard let id = summary.info.id, model.agents.contains(id) else { continue }
            let held = model.held(on: id)
            if let problem = model.sharedPort(on: id) { findings.report("S2", problem) }
            findings.expect(
                summary.allocated.contains(held) && held.contains(summary.allocated), "S15",
                "on \(id) the master has \(summary.allocated) allocated, tasks hold \(held)")
            findings.expect(
                summary.total.contains(summary.allocated + summary.offered), "S1",
                "on \(id) \(summary.allocated) allocated and \(summary.offered) offered exceed "
                    + "\(summary.total)")
            findings.expect(
                !summary.allocated.items.contains { item in
                    if case .scalar(let amount) = item.value { amount < .zero } else { false }
                }, "S1", "on \(id) a negative amount is allocated: \(summary.allocated)")
        }
    }
}
