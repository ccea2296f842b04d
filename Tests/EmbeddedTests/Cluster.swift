import ClusterProbe
import Proffer
import ProfferEmbedded
import ProfferMaster

/// Runs `body` with a cluster in this process, which is ended afterwards whatever happens.
func withCluster<Result>(
    agents: Int = 1, _ adjust: (inout EmbeddedClusterOptions) -> Void = { _ in },
    _ body: (EmbeddedCluster) async throws -> Result
) async throws -> Result {
    var options = EmbeddedClusterOptions(agents: agents)
    adjust(&options)
    let cluster = try EmbeddedCluster(options)
    do {
        let result = try await body(cluster)
        await cluster.shutdown()
        return result
    } catch {
        await cluster.shutdown()
        throw error
    }
}

/// Runs `body` with a cluster and one framework in it.
func withProbe<Result>(
    _ info: FrameworkInfo = FrameworkInfo(name: "probe"), agents: Int = 1,
    _ adjust: (inout EmbeddedClusterOptions) -> Void = { _ in },
    _ body: (EmbeddedCluster, Probe) async throws -> Result
) async throws -> Result {
    try await withCluster(agents: agents, adjust) { cluster in
        let probe = try Probe(info, cluster.connection)
        do {
            let result = try await body(cluster, probe)
            await probe.stop()
            return result
        } catch {
            await probe.stop()
            throw error
        }
    }
}

extension EmbeddedCluster {
    /// The tasks of the cluster as its operator sees them.
    func tasks() async throws -> [TaskSummary] {
        guard case .tasks(let tasks) = try await answer(.tasks(nil)) else { return [] }
        return tasks
    }

    /// The frameworks of the cluster as its operator sees them.
    func frameworks() async throws -> [FrameworkSummary] {
        guard case .frameworks(let frameworks) = try await answer(.frameworks) else { return [] }
        return frameworks
    }

    /// The agents of the cluster as its operator sees them.
    func agents() async throws -> [AgentSummary] {
        guard case .agents(let agents) = try await answer(.agents) else { return [] }
        return agents
    }

    /// Waits until so many agents can run tasks.
    func activeAgents(_ count: Int) async throws {
        try await eventually("\(count) active agents") {
            try await agents().count { $0.state == .active } == count
        }
    }
}
