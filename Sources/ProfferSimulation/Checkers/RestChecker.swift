internal import ProfferAgent
internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// That the cluster comes to rest when nothing goes wrong any more: L1 to L7, L10, L12.
final class RestChecker: Checker {
    private struct Question: Hashable {
        var framework: Int
        var task: TaskID
    }

    private var questions = OrderedTable<Question, Int64>()
    private var messages = 0
    private var messagesAtQuiet: (at: Int64, count: Int)?
    private var recent: [(at: Int64, count: Int)] = []

    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings) {
        switch occurrence {
        case .masterSent, .agentSent, .executorSent: messages += 1
        case .frameworkSent(let index, let call):
            messages += 1
            if case .reconcile(let list) = call.call {
                for one in list {
                    let question = Question(framework: index, task: one.taskID)
                    if questions[question] == nil { questions[question] = world.now }
                }
            }
        case .frameworkInput(let index, _, .update(let status)):
            if !status.isRecovering {
                questions.remove(Question(framework: index, task: status.taskID))
            }
        case .frameworkBoots(let index, _), .frameworkEnded(let index, _),
            .frameworkRegistered(let index, _):
            for question in Array(questions.keys) where question.framework == index {
                questions.remove(question)
            }
        default: break
        }
    }

    func inspect(_ world: World, _ findings: Findings) { recent.append((world.now, messages)) }

    func conclude(_ world: World, _ findings: Findings) {
        let leaders = world.masters.filter { $0.isUp && $0.isLeading }
        findings.expect(leaders.count == 1, "L1", "\(leaders.count) masters lead")
        guard let leader = leaders.first else { return }
        checkAgents(world, leader, findings)
        checkTasks(world, leader, findings)
        checkOffers(world, leader, findings)
        checkOrphans(world, findings)
        for framework in world.frameworks where !framework.hasEnded {
            findings.expect(framework.isSubscribed, "L1", "\(framework.name) has no master")
            if let complaint = framework.complaint?(framework) {
                findings.report("L5", "\(framework.name): \(complaint)")
            }
        }
        for (question, since) in questions where since + Span.minute < world.now {
            findings.report("L10", "nobody has said what became of \(question.task)")
        }
        checkCalm(world, findings)
    }

    private func checkAgents(_ world: World, _ leader: MasterProcess, _ findings: Findings) {
        guard case .agents(let list)? = leader.ask(.agents) else { return }
        for agent in world.agents {
            let id = agent.report?.info.id
            let summary = list.first { $0.info.id == id }
            findings.expect(
                id != nil && (summary?.state == .active || summary?.state == .deactivated), "L2",
                "\(agent.name) is \(summary?.state.rawValue ?? "not known")")
        }
        let own = world.agents.compactMap { $0.report?.info.id }
        for summary in list where !own.contains(summary.info.id ?? "") {
            findings.expect(
                summary.state == .unreachable || summary.state == .gone, "L2",
                "\(summary.info.id ?? "") is not there and \(summary.state.rawValue)")
        }
    }

    private func checkTasks(_ world: World, _ leader: MasterProcess, _ findings: Findings) {
        guard case .tasks(let list)? = leader.ask(.tasks(nil)) else { return }
        for task in list where task.state == .staging || task.state == .killing {
            findings.report("L3", "\(task.key.task) is still \(task.state.name)")
        }
        for agent in world.agents {
            for task in agent.report?.tasks ?? [] {
                findings.expect(
                    task.unacknowledgedUpdates == 0, "L4",
                    "\(task.unacknowledgedUpdates) updates of \(task.key.task) wait at "
                        + agent.name)
            }
        }
    }

    private func checkOffers(_ world: World, _ leader: MasterProcess, _ findings: Findings) {
        guard case .offers(let list)? = leader.ask(.offers),
            let timeout = world.plan.master.offerTimeout
        else { return }
        for offer in list {
            findings.expect(
                offer.age <= timeout + .seconds(1), "L6",
                "offer \(offer.offer.id) has been outstanding for \(offer.age)")
        }
    }

    private func checkOrphans(_ world: World, _ findings: Findings) {
        for agent in world.agents {
            let known = agent.report?.executors.map(\.containerID) ?? []
            for executor in agent.home.executors {
                findings.expect(
                    known.contains(executor.container), "L7",
                    "an executor \(executor.container) runs on \(agent.name), which does not "
                        + "know it")
            }
        }
    }

    /// In the last half minute no more is said than signs of life and a little work need.
    private func checkCalm(_ world: World, _ findings: Findings) {
        guard let last = recent.last,
            let before = recent.last(where: { $0.at <= last.at - 30 * Span.second })
        else { return }
        let executors = world.agents.reduce(0) { $0 + $1.home.executors.count }
        let tasks = world.agents.reduce(0) { $0 + $1.home.tasks.count }
        let parts = world.agents.count + world.frameworks.count * 4 + executors + tasks
        // Each agent goes to each eager framework once a second and comes back, and who watches
        // the cluster hears of both.
        let eager = world.frameworks.count { $0.isEager } * world.agents.count
        let bound = 60 * (parts + 4 + 2 * eager)
        findings.expect(
            last.count - before.count <= bound, "L12",
            "\(last.count - before.count) messages in half a minute of rest; \(bound) are enough")
    }
}
