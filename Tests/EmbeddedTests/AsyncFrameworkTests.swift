import ClusterProbe
import Proffer
import ProfferEmbedded
import Testing

/// Launches two tasks by demand and then one by a claim against what it sees of the cluster.
private actor Planner: Framework {
    let info = FrameworkInfo(name: "planner")
    /// It states demand as soon as it has subscribed.
    let demands: [Demand]? = []
    var cluster = WatchedCluster()
    var offered: [Offer] = []
    var classicOffers = 0
    var ended: [TaskID: TaskState] = [:]
    var outcomes: [String: ClaimOutcome] = [:]

    func subscribed(_ id: FrameworkID, _ scheduler: Scheduler) {
        scheduler.demand([
            Demand("pair", cpus: Milli(thousandths: 500), mem: Milli(64), count: 2, gang: 2)
        ])
        scheduler.watchCluster()
    }

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) {
        classicOffers += offers.count { $0.demandID == nil }
        let wanted = offers.filter { $0.demandID == "pair" }
        guard !wanted.isEmpty else { return }
        offered += wanted
        let parts = wanted.map { offer in
            let tasks = (0..<offer.instances).map {
                TaskInfo(
                    TaskID("\(offer.hostname)-\($0)"), "true", on: offer,
                    cpus: Milli(thousandths: 500), mem: Milli(64))
            }
            return OfferAcceptance(
                offers: [offer.id], operations: [Operation(action: .launch(tasks))])
        }
        scheduler.acceptTogether(parts)
    }

    func clusterChanged(_ step: ClusterState, _ scheduler: Scheduler) { cluster.take(step) }

    func claimAnswered(_ id: String, _ outcome: ClaimOutcome, _ scheduler: Scheduler) {
        outcomes[id] = outcome
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) {
        guard status.state.isTerminal else { return }
        ended[status.taskID] = status.state
        if ended.count == 2 { claim(scheduler) }
        if ended.count == 3 { scheduler.stop() }
    }

    private func claim(_ scheduler: Scheduler) {
        guard let agent = cluster.agents.values.first(where: { _ in true }) else {
            return scheduler.stop()
        }
        let resources = Resources(cpus: Milli(thousandths: 250), mem: Milli(32))
        let task = TaskInfo(
            name: "claimed", id: "claimed", agentID: agent.id, resources: resources,
            command: CommandInfo(value: "true"))
        scheduler.claim(
            "third",
            [
                ClaimPart(
                    agentID: agent.id, role: "*", resources: resources,
                    operations: [Operation(action: .launch([task]))])
            ])
    }
}

/// Has one task, and hears of requests to end it.
private actor Sitter: Framework {
    let info = FrameworkInfo(name: "sitter")
    let demands: [Demand]? = [Demand("seat", cpus: Milli(2), mem: Milli(64))]
    private(set) var asked: [InverseOffer] = []
    private(set) var rescinded: [OfferID] = []
    private(set) var isRunning = false

    func resourceOffers(_ offers: [Offer], _ scheduler: Scheduler) {
        for offer in offers {
            scheduler.launch(
                [TaskInfo("sit", "sleep 600", on: offer, cpus: Milli(2), mem: Milli(64))],
                on: offer)
        }
    }

    func statusUpdate(_ status: TaskStatus, _ scheduler: Scheduler) {
        isRunning = status.state == .running
    }

    func inverseOffers(_ offers: [InverseOffer], _ scheduler: Scheduler) { asked += offers }

    func inverseRescinded(_ offer: OfferID, _ scheduler: Scheduler) {
        rescinded.append(offer)
        scheduler.stop()
    }
}

@Suite("Asynchronous framework", .serialized, .timeLimit(.minutes(5)))
struct AsyncFrameworkTests {
    @Test("demand, a gang, the view of the cluster and a claim go through the asynchronous face")
    func planner() async throws {
        try await withCluster(agents: 2) { cluster in
            try await cluster.activeAgents(2)
            let planner = Planner()
            try await planner.run(connection: cluster.connection)
            #expect(await planner.ended.count == 3)
            #expect(await planner.ended["claimed"] == .finished)
            #expect(await planner.ended.values.allSatisfy { $0 == .finished })
            #expect(await planner.classicOffers == 0, "made before the demand was known")
            #expect(await planner.outcomes == ["third": .committed])
            let offered = await planner.offered
            #expect(offered.reduce(0) { $0 + $1.instances } == 2)
            #expect(
                offered.allSatisfy {
                    $0.resources.cpus == Milli(thousandths: 500 * Int64($0.instances))
                })
        }
    }

    @Test("the asynchronous face hears that a request to leave is void")
    func inverseRescinded() async throws {
        try await withCluster(
            agents: 1,
            {
                $0.master.preemptionDelay = .milliseconds(50)
                $0.master.preemptionNotice = .seconds(3600)
            },
            { cluster in
                try await cluster.activeAgents(1)
                let sitter = Sitter()
                async let end: Void = sitter.run(connection: cluster.connection)
                try await eventually("the task") { await sitter.isRunning }
                var options = FrameworkOptions(info: FrameworkInfo(name: "high"))
                options.demands = [
                    Demand("urgent", cpus: Milli(1), priority: 10)
                ]
                let high = try Probe(options, cluster.connection)
                try await eventually("a request to leave") { await !sitter.asked.isEmpty }
                high.call(.demand([Demand("urgent", cpus: Milli(1), count: 0)]))
                try await end
                #expect(await sitter.rescinded == sitter.asked.map(\.id))
                await high.stop(teardown: true)
            })
    }
}
