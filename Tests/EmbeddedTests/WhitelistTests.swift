import ClusterProbe
import Proffer
import ProfferEmbedded
import ProfferMaster
import Testing

@Suite("Whitelist and limits of priority", .serialized, .timeLimit(.minutes(5)))
struct WhitelistTests {
    private func order(_ call: OperatorCall, _ cluster: EmbeddedCluster) async throws {
        let answer = try await cluster.answer(call)
        guard answer == .done else { throw NeverHappened(description: "\(answer)") }
    }

    @Test("what is not listed is not offered, why says so, and an order outlives the master")
    func whitelist() async throws {
        try await withCluster(agents: 2) { cluster in
            try await cluster.activeAgents(2)
            try await order(.setWhitelist(["agent-1"]), cluster)
            let probe = try Probe(FrameworkInfo(name: "probe"), cluster.connection)
            let id = try await probe.subscribed()
            #expect(try await probe.offer().hostname == "agent-1")
            try await probe.settled()
            #expect(probe.history.offers.count == 1)
            let why = try await cluster.demands(of: id)
            #expect(why.first?.explanation.steps.contains { $0.check == .whitelist } == true)

            try await cluster.stopMaster()
            try cluster.startMaster()
            _ = try await probe.subscribed(2)
            try await cluster.activeAgents(2)
            #expect(try await probe.offer().hostname == "agent-1")
            #expect(try await cluster.answer(.whitelist) == .whitelist(["agent-1"]))
            try await order(.setWhitelist(nil), cluster)
            #expect(try await probe.offer { $0.hostname == "agent-0" }.hostname == "agent-0")
            await probe.stop(teardown: true)
        }
    }

    @Test("a demand above the highest priority of its role is refused with a reason")
    func priority() async throws {
        try await withCluster(agents: 1) { cluster in
            try await order(.setPriorityLimit(role: "*", 5), cluster)
            var options = FrameworkOptions(info: FrameworkInfo(name: "probe"))
            options.demands = [Demand("urgent", cpus: Milli(1), priority: 6)]
            let probe = try Probe(options, cluster.connection)
            try await eventually("a refusal") { !probe.history.refusals.isEmpty }
            #expect(probe.history.refusals.first?.contains("above 5") == true)
            try await probe.settled()
            #expect(probe.history.offers.isEmpty)
            probe.call(.demand([Demand("urgent", cpus: Milli(1), priority: 5)]))
            #expect(try await probe.offer().demandID == "urgent")
            await probe.stop(teardown: true)
        }
    }
}
