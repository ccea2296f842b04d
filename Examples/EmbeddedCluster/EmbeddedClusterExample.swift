import Proffer
import ProfferEmbedded

/// Runs one short task in a cluster of three agents that lives in this process.
@main
struct EmbeddedClusterExample {
    static func main() async throws {
        let cluster = try EmbeddedCluster(agents: 3)
        do {
            try await OneTask().run(connection: cluster.connection)
        } catch {
            print("failed: \(error)")
        }
        await cluster.shutdown()
    }
}

/// Launches one task with the first offer and ends with it.
struct OneTask: Framework {
    let info = FrameworkInfo(name: "one-task")

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) async {
        var isLaunched = false
        for offer in offers {
            var budget = OfferBudget(offer)
            guard !isLaunched, let resources = budget.take(cpus: Milli(1), mem: Milli(64)) else {
                scheduler.decline(offer, refuse: .seconds(3600))
                continue
            }
            isLaunched = true
            scheduler.launch(
                [
                    TaskInfo(
                        name: "greeting", id: "greeting", agentID: offer.agentID,
                        resources: resources,
                        command: CommandInfo(value: "echo hello from a cluster in one process"))
                ], on: offer, refuse: .seconds(3600))
        }
        scheduler.suppress()
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) async {
        print("\(status.taskID) is \(status.state.name)")
        if status.state.isTerminal { scheduler.stop() }
    }
}
