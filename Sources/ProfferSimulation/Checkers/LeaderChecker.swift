internal import ProfferAgent
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// Epochs, the registry and keys: S18, S19, S20, S21, S22, S31, S32.
final class LeaderChecker: Checker {
    private var highestEpoch: UInt64 = 0
    private var epochOfAgent = LookupTable<Int, UInt64>()
    private var sessionEpochs = LookupTable<Int, UInt64>()
    /// False is one that was kept and given up in one transaction.
    private var keptAgents = OrderedTable<AgentID, Bool>()
    /// Ids that were given up: whoever claims one takes it from nobody.
    private var keptFrameworks = OrderedTable<FrameworkID, Bool>()
    private var keptWeights = LookupTable<Weight, Bool>()
    private var strangers = LookupTable<PeerID, Bool>()
    private var orders = LookupTable<QueryID, OperatorCall>()
    private var strangersOf = -1
    private var released = LookupTable<AgentID, Bool>()
    private var wanted = LookupTable<TaskKey, Bool>()
    private var notices = LookupTable<TaskKey, Instant>()
    private var framework = LookupTable<PeerID, FrameworkID>()
    /// Agents that an operator has had drained at some time.
    private var drained = LookupTable<AgentID, Bool>()
    private var agentOf = LookupTable<Seat, AgentID>()
    private let notice: Duration

    private struct Weight: Hashable {
        var role: String
        var thousandths: Int64?
    }

    /// A session of a master; each counts its own.
    private struct Seat: Hashable {
        var master: Int
        var peer: PeerID
    }

    init(_ plan: Plan) { notice = plan.master.preemptionNotice }

    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings) {
        switch occurrence {
        case .masterLeads(let index, let epoch, let records):
            recall(records, findings)
            findings.expect(
                epoch > highestEpoch || isDeceived(world), "S19",
                "a master leads in epoch \(epoch) after epoch \(highestEpoch)")
            highestEpoch = max(highestEpoch, epoch)
            strangers.removeAll()
            orders.removeAll()
            framework.removeAll()
            strangersOf = index
        case .sessionOpened(let index, let epoch):
            findings.expect(
                epoch >= sessionEpochs[index] ?? 0, "S19",
                "process \(index) has a session in epoch \(epoch) after one in "
                    + "\(sessionEpochs[index] ?? 0)")
            sessionEpochs[index] = max(epoch, sessionEpochs[index] ?? 0)
        case .processEnded(let index): sessionEpochs.remove(index)
        case .masterDurable(_, let epoch, let fence, let records):
            findings.expect(
                world.coordinator.mayWrite(fence), "S18",
                "a master of epoch \(epoch) wrote after it was deposed")
            keep(records)
        case .masterInput(let index, _, let input): take(input, index)
        case .masterEffect(let index, _, let effect): judge(effect, index, world, findings)
        case .masterSent(let index, let epoch, let message, let peer):
            check(message, index, epoch, peer, world, findings)
        case .operatorAnswer(_, let query, .done):
            guard case .setWeight(let role, let weight)? = orders[query] else { return }
            findings.expect(
                keptWeights[Weight(role: role, thousandths: weight)] == true, "S20",
                "the weight of \(role) was confirmed before it was kept")
        case .agentInput(let index, let epoch, .master(let message, _)):
            obey(message, index, epoch, findings)
        default: break
        }
    }

    private func keep(_ records: [MasterRecord]) {
        var agents = LookupTable<AgentID, Bool>()
        var frameworks = LookupTable<FrameworkID, Bool>()
        for record in records {
            switch record {
            case .agent(let id, nil): keptAgents[id] = agents[id].map { _ in false }
            case .agent(let id, _):
                agents[id] = true
                keptAgents[id] = true
            case .framework(let id, nil): keptFrameworks[id] = frameworks[id].map { _ in false }
            case .framework(let id, _):
                frameworks[id] = true
                keptFrameworks[id] = true
            case .weight(let role, let weight):
                keptWeights[Weight(role: role, thousandths: weight)] = true
            case .quota, .epoch, .whitelist, .priorityLimit, .maintenance: break
            }
        }
    }

    /// A new leader knows everything that was kept.
    private func recall(_ records: [MasterRecord], _ findings: Findings) {
        var agents = LookupTable<AgentID, Bool>()
        var frameworks = LookupTable<FrameworkID, Bool>()
        for case .agent(let id, _) in records { agents[id] = true }
        for case .framework(let id, _) in records { frameworks[id] = true }
        for id in keptAgents.keys where agents[id] == nil && keptAgents[id] == true {
            findings.report("S22", "a new leader does not know \(id), which was kept")
        }
        for id in keptFrameworks.keys where frameworks[id] == nil && keptFrameworks[id] == true {
            findings.report("S22", "a new leader does not know \(id), which was kept")
        }
    }

    /// When the coordinator lies about leases, or the clock of a master stands still, two may lead
    /// for a moment; what they write is still only one's.
    private func isDeceived(_ world: World) -> Bool {
        world.coordinator.weather.deceivesUntil > world.now
    }

    private func take(_ input: MasterInput, _ index: Int) {
        switch input {
        case .peerOpened(let peer, let key):
            if index == strangersOf { strangers[peer] = key?.hasPrefix("kx") == true ? true : nil }
        case .operation(let call, let query):
            orders[query] = call
            switch call {
            case .kill(let key): wanted[key] = true
            case .drainAgent(let id, _, _): drained[id] = true
            default: break
            }
        case .framework(let call, _):
            guard let id = call.frameworkID, case .kill(let task, _, _) = call.call else {
                return
            }
            wanted[TaskKey(id, task)] = true
        case .agent, .peerClosed, .whitelistRead: break
        }
    }

    /// Who has claimed to be somebody else gets nothing but a refusal; kills have a reason.
    private func judge(
        _ effect: MasterEffect, _ index: Int, _ world: World, _ findings: Findings
    ) {
        switch effect {
        case .tellFramework(.subscribed(let id, _, _), let peer):
            findings.expect(
                strangers[peer] != true || index != strangersOf, "S32",
                "a stranger is taken for \(id)")
        case .commit(let records):
            for case .agent(let id, nil) in records { released[id] = true }
        case .tellAgent(.registered(let id, _), let peer):
            agentOf[Seat(master: index, peer: peer)] = id
        case .tellAgent(.reregistered(let id, _, _), let peer):
            agentOf[Seat(master: index, peer: peer)] = id
            // The id of an agent that was removed belongs to nobody.
            findings.expect(
                strangers[peer] != true || index != strangersOf || released[id] == true, "S32",
                "a stranger is taken for \(id)")
        case .observe(.preempting(let tasks, _, _)):
            for key in tasks { notices[key] = world.processes[index].instant }
        case .tellAgent(.kill(let key, _), let peer):
            if wanted[key] == true { return }
            let agent = agentOf[Seat(master: index, peer: peer)]
            if agent.map({ drained[$0] == true }) == true { return }
            guard let since = notices[key] else {
                findings.report("S31", "\(key.task) is killed, and nobody has asked for it")
                return
            }
            findings.expect(
                world.processes[index].instant - since >= notice - .milliseconds(2), "S31",
                "\(key.task) is killed before the end of its notice")
        default: break
        }
    }

    private func check(
        _ message: Message, _ index: Int, _ epoch: UInt64, _ peer: PeerID, _ world: World,
        _ findings: Findings
    ) {
        switch message {
        case .event(.heartbeat), .toAgent(.ping): return
        case .event(.subscribed(let id, _, _)):
            findings.expect(
                keptFrameworks[id] != nil, "S21", "\(id) is subscribed before it was kept")
        case .toAgent(.registered(let id, _)), .toAgent(.reregistered(let id, _, _)):
            findings.expect(
                keptAgents[id] != nil, "S21", "\(id) is admitted before it was kept")
        default: break
        }
        findings.expect(
            epoch == highestEpoch || isDeceived(world), "S18",
            "a master of epoch \(epoch) acts in epoch \(highestEpoch)")
    }

    private func obey(
        _ message: MasterToAgent, _ index: Int, _ epoch: UInt64, _ findings: Findings
    ) {
        let highest = epochOfAgent[index] ?? 0
        switch message {
        case .registered, .reregistered: epochOfAgent[index] = max(highest, epoch)
        case .run, .kill, .shutdown, .shutdownFramework, .shutdownExecutor, .acknowledge,
            .updateResources:
            findings.expect(
                epoch >= highest, "S19",
                "an agent of epoch \(highest) obeys a master of epoch \(epoch)")
        case .refused, .ping, .updateFramework, .message: break
        }
    }
}
