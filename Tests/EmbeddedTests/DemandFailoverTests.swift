import ClusterProbe
import Proffer
import ProfferEmbedded
import ProfferMaster
import Testing

@Suite("Demand, quota and watching over a restart of the master", .serialized)
struct DemandFailoverTests {
    private static let half = Milli(thousandths: 500)

    @Test(
        "after a restart of the master a demand is what is missing still, and quotas hold",
        .timeLimit(.minutes(5)))
    func restart() async throws {
        try await withCluster { cluster in
            try await cluster.activeAgents(1)
            try await cluster.set([
                Quota(role: "web", limits: [QuotaLimit(name: "cpus", amount: Milli(1))]),
                Quota(role: "db", guarantees: ResourceQuantities([("cpus", Self.half)])),
            ])
            var options = FrameworkOptions(info: FrameworkInfo(name: "web", roles: ["web"]))
            options.suppressedRoles = ["web"]
            let web = try Probe(options, cluster.connection)
            let id = try await web.subscribed()
            web.call(.demand([Demand("w", role: "web", cpus: Self.half, count: 4)]))
            web.call(.watchCluster(true))
            web.call(.revive(roles: []))
            let offer = try await web.offer()
            #expect(offer.instances == 2)
            web.launch(
                [TaskInfo("first", "sleep 600", on: offer, cpus: Self.half, mem: Milli(64))],
                on: offer)
            try await web.update("first", .running)
            let snapshots = web.history.steps.count(where: \.isSnapshot)
            #expect(snapshots == 1)

            try await cluster.stopMaster()
            try cluster.startMaster()
            #expect(try await web.subscribed(2) == id)
            try await cluster.activeAgents(1)
            let next = try await web.offer()
            #expect(next.demandID == "w")
            #expect(next.instances == 1)
            #expect(next.resources == Resources(cpus: Self.half, mem: Milli(64)))
            web.launch(
                [TaskInfo("second", "sleep 600", on: next, cpus: Self.half, mem: Milli(64))],
                on: next)
            try await web.update("second", .running)
            #expect(web.history.steps.count(where: \.isSnapshot) == 2)
            #expect(try await cluster.demands(of: id).map(\.demand.count) == [2])
            guard case .quotas(let quotas) = try await cluster.answer(.quotas) else {
                throw NeverHappened(description: "no answer")
            }
            #expect(Set(quotas.map(\.quota.role)) == ["web", "db"])
            #expect(quotas.first { $0.quota.role == "web" }?.consumed["cpus"] == Milli(1))
            await web.stop(teardown: true)
        }
    }
}
