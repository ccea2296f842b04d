internal import ProfferAgent
internal import ProfferKernel
internal import ProfferModel
internal import ProfferSession

/// Queues and histories stay within their bounds (S35), and what an agent keeps rebuilds what it
/// has (S23).
final class BoundsChecker: Checker {
    private var turn = 0

    func inspect(_ world: World, _ findings: Findings) {
        turn += 1
        for master in world.masters where master.isUp {
            findings.expect(
                master.longestQueue <= world.plan.session.windowMessages, "S35",
                "\(master.longestQueue) messages are under way in one session")
        }
        for agent in world.agents where agent.isUp {
            guard let report = agent.report else { continue }
            for task in report.tasks {
                findings.expect(
                    task.unacknowledgedUpdates <= world.plan.agent.updateLimit + 1, "S35",
                    "\(task.unacknowledgedUpdates) updates of \(task.key.task) wait")
            }
        }
        // One agent every two seconds, each in its turn: to start another from its disk is work.
        guard turn.isMultiple(of: 2), !world.agents.isEmpty else { return }
        let agent = world.agents[turn / 2 % world.agents.count]
        if agent.isUp, let report = agent.report { compare(agent, report, findings) }
    }

    /// What is on disk, read anew, gives what is in memory.
    private func compare(_ agent: AgentProcess, _ report: AgentReport, _ findings: Findings) {
        guard agent.isSettled, let again = agent.reportAfterRecovery else { return }
        let living = agent.livingExecutorIDs
        for task in report.tasks where living.contains(task.executorID.value) {
            let other = again.tasks.first { $0.key == task.key }
            findings.expect(
                other?.state == task.state || other?.state.isTerminal == true, "S23",
                "\(task.key.task) is \(task.state.name), and after a restart "
                    + "\(other?.state.name ?? "unknown")")
        }
    }
}
