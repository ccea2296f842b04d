import Proffer
import ProfferEmbedded

/// Runs five tasks in a cluster of three agents whose master packs, and prints where they landed.
@main
struct CustomAllocatorExample {
    static func main() async throws {
        var options = EmbeddedClusterOptions(agents: 3)
        options.allocator = BestFitAllocator()
        let cluster = try EmbeddedCluster(options)
        do {
            try await Spread().run(connection: cluster.connection)
        } catch {
            print("failed: \(error)")
        }
        await cluster.shutdown()
    }
}

/// Launches one task of half a core on every offer; so offers decide where tasks land.
actor Spread: Framework {
    let info = FrameworkInfo(name: "spread")
    private var places: [TaskID: String] = [:]
    private var running = 0

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) {
        for offer in offers {
            var budget = OfferBudget(offer)
            guard places.count < 5,
                let resources = budget.take(cpus: Milli(thousandths: 500), mem: Milli(32))
            else {
                scheduler.decline(offer, refuse: .seconds(3600))
                continue
            }
            let id = TaskID("task-\(places.count + 1)")
            places[id] = offer.hostname
            let task = TaskInfo(
                name: "sleep", id: id, agentID: offer.agentID, resources: resources,
                command: CommandInfo(value: "sleep 600"))
            scheduler.launch([task], on: offer, refuse: .zero)
        }
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) {
        print("\(status.taskID) is \(status.state.name) on \(places[status.taskID] ?? "?")")
        if status.state == .running { running += 1 }
        if running == 5 || status.state.isTerminal { scheduler.stop(teardown: true) }
    }
}
