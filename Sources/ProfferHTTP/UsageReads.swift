internal import Hummingbird
internal import ProfferAPI
internal import ProfferModel

extension MasterServer {
    /// What is held beside what is used, node by node.
    func addUsage(to group: RouterGroup<BasicRequestContext>) {
        group.get("usage") { request, _ in
            let agents = try await asked(.agents) { answer in
                if case .agents(let list) = answer { list } else { nil }
            }
            let tasks = try await asked(.tasks(nil)) { answer in
                if case .tasks(let list) = answer { list } else { nil }
            }
            let live = Dictionary(grouping: tasks.filter { !$0.state.isTerminal }) { $0.agentID }
            let nodes = agents.map { agent in
                NodeUsageObject(agent, tasks: agent.info.id.flatMap { live[$0] } ?? [])
            }
            return try page(nodes, request, id: \.id)
        }
    }
}
