import ClusterProbe
import Proffer
import ProfferEmbedded
import Testing

@testable import CustomAllocatorExample

@Suite("Allocator", .serialized, .timeLimit(.minutes(5)))
struct AllocatorTests {
    @Test("a cluster takes an allocator of one's own, and one that packs fills agent after agent")
    func packs() async throws {
        let half = Milli(thousandths: 500)
        try await withProbe(FrameworkInfo(name: "probe"), agents: 3) { options in
            options.allocator = BestFitAllocator()
        } _: { cluster, probe in
            try await cluster.activeAgents(3)
            for number in 1...5 {
                let offer = try await probe.offer("offer \(number)")
                let id = TaskID("task-\(number)")
                probe.launch([TaskInfo(id, "sleep 600", on: offer, cpus: half)], on: offer)
                try await probe.update(id, .running)
            }
            let places = try await cluster.tasks().map(\.agentID)
            // Four halves are all of an agent's two cores; the fifth task needs another agent.
            let counts = Set(places).map { place in places.count { $0 == place } }
            #expect(counts.sorted() == [1, 4])
        }
    }

    @Test("what was refused of the fullest agent is offered of the next one")
    func refuses() async throws {
        try await withProbe(FrameworkInfo(name: "probe"), agents: 2) { options in
            options.allocator = BestFitAllocator()
            options.resources = { Resources(cpus: Milli($0 + 1), mem: Milli(1024)) }
        } _: { cluster, probe in
            try await cluster.activeAgents(2)
            let long = Filters(refuse: .seconds(3600))
            var seen: [Milli] = []
            for _ in 0..<2 {
                let offer = try await probe.offer()
                seen.append(offer.resources.cpus)
                probe.call(.decline(offers: [offer.id], filters: long))
            }
            try await probe.settled()
            #expect(Set(seen) == [Milli(1), Milli(2)])
            #expect(probe.history.offers.count == 2)
            probe.call(.revive(roles: []))
            #expect(try await probe.offer().resources.cpus == Milli(1))
        }
    }
}
