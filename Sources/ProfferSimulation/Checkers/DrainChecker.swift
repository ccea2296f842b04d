internal import ProfferKernel
internal import ProfferMaster
internal import ProfferModel

/// Agents that an operator has taken out of use: they get nothing new (S28), and a drain ends (L9).
final class DrainChecker: Checker {
    /// How long after the last fault a drain may take.
    static let patience = 60 * Span.second

    private struct Question: Hashable {
        var master: Int
        var query: QueryID
    }

    private struct Order {
        var agent: AgentID
        var isDrain: Bool
    }

    private var orders = OrderedTable<Question, Order>()
    /// What was confirmed to the operator and not taken back.
    private var withdrawn = OrderedTable<AgentID, Bool>()
    private var isConcluded = false

    func observe(_ occurrence: borrowing Occurrence, in world: World, _ findings: Findings) {
        switch occurrence {
        case .masterInput(let index, _, .operation(.drainAgent(let id, _, _), let query)):
            orders[Question(master: index, query: query)] = Order(agent: id, isDrain: true)
        case .masterInput(let index, _, .operation(.deactivateAgent(let id), let query)):
            orders[Question(master: index, query: query)] = Order(agent: id, isDrain: false)
        case .masterInput(_, _, .operation(.reactivateAgent(let id), _)):
            withdrawn.remove(id)
            // What is not confirmed yet may be so after this, and is over.
            forget { $1.agent == id }
        case .masterEnded(let index, _), .masterLeads(let index, _, _):
            forget { question, _ in question.master == index }
        case .operatorAnswer(let index, let query, .done):
            guard let order = orders.remove(Question(master: index, query: query)) else { return }
            withdrawn[order.agent] = order.isDrain || withdrawn[order.agent] == true
        case .masterEffect(_, _, .tellFramework(.offers(let offers), _)):
            for offer in offers { judge(offer.agentID, "offer \(offer.id)", world, findings) }
        case .masterEffect(_, _, .tellAgent(.run(let run), _)):
            for task in run.tasks { judge(task.agentID, "task \(task.id)", world, findings) }
        default: break
        }
    }

    private func forget(where isOver: (Question, Order) -> Bool) {
        for (question, order) in Array(orders) where isOver(question, order) {
            orders.remove(question)
        }
    }

    private func judge(
        _ agent: AgentID, _ what: String, _ world: World, _ findings: Findings
    ) {
        guard withdrawn[agent] != nil, world.coordinator.weather.deceivesUntil <= world.now else {
            return
        }
        findings.report("S28", "\(what) of \(agent), which is out of use")
    }

    func inspect(_ world: World, _ findings: Findings) {
        guard !isConcluded, world.now >= world.plan.faultPhase + Self.patience,
            let leader = world.masters.first(where: { $0.isUp && $0.isLeading }),
            case .agents(let list)? = leader.ask(.agents)
        else { return }
        isConcluded = true
        for (id, isDrain) in withdrawn where isDrain {
            guard let agent = list.first(where: { $0.info.id == id }), agent.state == .deactivated
            else { continue }
            findings.expect(
                agent.drain?.isDrained == true && agent.tasks == 0, "L9",
                "\(agent.tasks) tasks are left on \(id), which is to be drained")
        }
    }

    func conclude(_ world: World, _ findings: Findings) {}
}
