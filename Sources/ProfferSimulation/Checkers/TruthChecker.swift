internal import ProfferAgent
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// What really runs on the nodes, against what is said of it: S2, S3, S10, S11, S12, S16, S17.
final class TruthChecker: Checker {
    private struct Live {
        var key: TaskKey
        var resources: Resources
        var since: Int64
    }

    private struct Spot: Hashable {
        var node: Int
        var pid: Int
    }

    private var live = OrderedTable<Spot, Live>()
    private var starts = LookupTable<TaskKey, Int>()
    private var running = LookupTable<TaskKey, Int>()
    private var killed = LookupTable<TaskKey, Int>()
    private var over = OrderedTable<TaskKey, TaskState>()
    /// Ends of which only an earlier process of the framework knows.
    private var heardBefore = LookupTable<TaskKey, Bool>()
    private var heard = LookupTable<UpdateID, Bool>()
    private var awareness = LookupTable<FrameworkID, Bool>()
    private var notCheckpointing = LookupTable<FrameworkID, Bool>()
    private var removed = LookupTable<FrameworkID, Bool>()

    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings) {
        switch occurrence {
        case .taskBegan(let node, let pid, let key, let resources):
            begin(Spot(node: node, pid: pid), key, resources, world, findings)
        case .taskEnded(let node, let pid, let key):
            live.remove(Spot(node: node, pid: pid))
            running[key, default: 1] -= 1
        case .agentBoots(let index, _, _):
            // A wish to kill is not kept; the master repeats it.
            for (key, agent) in killList where agent == index { killed.remove(key) }
            killList.removeAll { $0.1 == index }
        case .agentInput(let index, _, .master(.kill(let key, _), _)):
            killed[key] = index
            killList.append((key, index))
        case .agentEffect(let index, .tellExecutor(let event, _)):
            checkLaunch(event, index, world, findings)
        case .masterEffect(let index, _, .tellFramework(.update(let status), let peer)):
            checkWord(status, peer, index, world, findings)
        case .masterEffect(_, _, .observe(.framework(let id, _, _, let isRemoved, _))):
            if isRemoved { removed[id] = true }
        case .frameworkSent(_, let call):
            if let id = call.frameworkID, case .kill(let task, _, _) = call.call {
                unwanted[TaskKey(id, task)] = true
                wishes.append(TaskKey(id, task))
            }
        case .frameworkBoots(_, let info):
            if let id = info.id {
                note(info, id)
                // What its earlier process has wished is gone with it.
                for key in wishes where key.framework == id { unwanted.remove(key) }
                wishes.removeAll { $0.framework == id }
                for key in over.keys where key.framework == id { heardBefore[key] = true }
            }
        case .frameworkRegistered(let index, let id):
            note(world.frameworkInfo(index), id)
        case .policySaw(_, let id, let status):
            checkFinality(status, id, findings)
        default: break
        }
    }

    private var killList: [(TaskKey, Int)] = []
    /// What frameworks have killed.
    private var unwanted = LookupTable<TaskKey, Bool>()
    private var wishes: [TaskKey] = []

    private func note(_ info: FrameworkInfo, _ id: FrameworkID) {
        awareness[id] = info.capabilities.contains(.partitionAware)
        if !info.checkpoint { notCheckpointing[id] = true }
    }

    private func begin(
        _ spot: Spot, _ key: TaskKey, _ resources: Resources, _ world: World,
        _ findings: Findings
    ) {
        starts[key, default: 0] += 1
        running[key, default: 0] += 1
        findings.expect(
            starts[key] == 1, "S11", "\(key.task) of \(key.framework) was started again")
        live[spot] = Live(key: key, resources: resources, since: world.now)
        var sum = Resources()
        for (other, row) in live where other.node == spot.node {
            // Those of a framework that has ended are let go before they are gone.
            guard removed[row.key.framework] != true else { continue }
            let shared = row.resources.ports.intersection(resources.ports)
            findings.expect(
                other == spot || shared.isEmpty, "S2",
                "\(key.task) and \(row.key.task) both use ports \(shared) of node \(spot.node)")
            sum += row.resources
        }
        guard let agent = world.agents.first(where: { $0.node == spot.node }),
            let total = agent.report?.info.resources
        else { return }
        findings.expect(
            total.flattened.contains(sum.flattened), "S3",
            "processes on node \(spot.node) use \(sum) of \(total), with \(key.task)")
    }

    private func checkLaunch(
        _ event: ExecutorEvent, _ index: Int, _ world: World, _ findings: Findings
    ) {
        let infos: [TaskInfo] =
            switch event {
            case .launch(let info, _, _): [info]
            case .launchGroup(let list, _, _): list
            default: []
            }
        for info in infos {
            for (key, agent) in killList where agent == index && key.task == info.id {
                guard killed[key] == index else { continue }
                findings.report(
                    "S16", "the agent launches \(info.id), which it was told to kill")
            }
        }
    }

    /// A master says that a task is over although it still has a process, or may have one.
    private func checkWord(
        _ status: TaskStatus, _ peer: PeerID, _ index: Int, _ world: World, _ findings: Findings
    ) {
        guard status.uuid == nil, status.state.isTerminal || status.state == .unknown,
            status.reason != .agentDisconnected,
            // Nothing is claimed of a task whose agent is not named.
            status.state != .unknown || status.agentID != nil
        else { return }
        guard
            let id = world.masters.first(where: { $0.index == index }).flatMap({ _ in
                frameworkOf(peer, index, world)
            })
        else { return }
        // Who is not partition aware hears "lost" of tasks that may come back.
        if status.state == .lost, awareness[id] != true { return }
        let key = TaskKey(id, status.taskID)
        guard (running[key] ?? 0) > 0, notCheckpointing[id] != true else { return }
        // A task that is on its way out is over for everybody but its process table.
        let isRecorded = world.agents.contains { agent in
            agent.facts.all.contains { record in
                if case .task(key, let kept?) = record { !kept.state.isTerminal } else { false }
            }
        }
        guard isRecorded else { return }
        findings.report(
            "S17",
            "the framework is told \(status.state.name) (\(status.reason?.name ?? "")) of "
                + "\(status.taskID), which runs")
    }

    private func frameworkOf(_ peer: PeerID, _ index: Int, _ world: World) -> FrameworkID? {
        world.masters.first { $0.index == index }?.framework(of: peer)
    }

    /// After an end that an executor or agent has reported, nothing else comes.
    private func checkFinality(
        _ status: TaskStatus, _ id: FrameworkID?, _ findings: Findings
    ) {
        guard let id else { return }
        let key = TaskKey(id, status.taskID)
        if let uuid = status.uuid {
            // What was not acknowledged comes again, in its order, to a process that was started
            // anew: that says nothing new.
            if heard[uuid] == true { return }
            heard[uuid] = true
        }
        // A process that was started anew may be told what an earlier one has heard before the
        // end: the agent, whose acknowledgement was lost, has begun to repeat it.
        let isOfBefore = status.uuid == nil && heardBefore[key] == true
        if let end = over[key], !status.state.isTerminal, status.state != .unknown, !isOfBefore {
            findings.report(
                "S12", "\(status.taskID) is \(status.state.name) after \(end.name)")
        }
        if status.uuid != nil, status.state.isTerminal { over[key] = status.state }
    }

    // MARK: The end

    func conclude(_ world: World, _ findings: Findings) {
        for (spot, row) in live {
            let agent = world.agents.first { $0.node == spot.node }
            let isKnown =
                agent?.report?.tasks.contains { $0.key == row.key && !$0.state.isTerminal }
                ?? false
            findings.expect(
                isKnown, "S10",
                "\(row.key.task) runs on node \(spot.node), and its agent does not know it")
            findings.expect(
                killed[row.key] == nil && unwanted[row.key] == nil, "S16",
                "\(row.key.task) still runs although it was to be killed")
        }
    }
}

extension World {
    /// Who a framework says it is.
    func frameworkInfo(_ index: Int) -> FrameworkInfo {
        frameworks.first { $0.index == index }?.info ?? FrameworkInfo(name: "")
    }
}
