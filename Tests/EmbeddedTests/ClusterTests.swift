import ClusterProbe
import Foundation
import Proffer
import ProfferEmbedded
import ProfferMaster
import Testing

@Suite("Embedded cluster", .serialized, .timeLimit(.minutes(5)))
struct ClusterTests {
    @Test("a cluster without agents accepts frameworks and offers nothing")
    func noAgents() async throws {
        try await withProbe(agents: 0) { cluster, probe in
            _ = try await probe.subscribed()
            try await probe.settled()
            #expect(probe.history.offers.isEmpty)
            #expect(try await cluster.agents().isEmpty)
        }
    }

    @Test("agents differ in host name, rack and ports")
    func agentsDiffer() async throws {
        try await withProbe(agents: 3) { cluster, probe in
            try await cluster.activeAgents(3)
            let offers = [
                try await probe.offer(), try await probe.offer(), try await probe.offer(),
            ]
            #expect(Set(offers.map(\.hostname)) == ["agent-0", "agent-1", "agent-2"])
            let racks = offers.flatMap(\.attributes).filter { $0.name == "rack" }.map(\.value)
            #expect(Set(racks) == [.text("r1"), .text("r2"), .text("r3")])
            let ports = offers.map(\.resources.ports)
            #expect(ports.reduce(IntervalSet()) { $0.union($1) }.intervals.count >= 1)
            #expect(Set(ports.compactMap { $0.prefix(1).first }).count == 3)
        }
    }

    @Test("the event stream tells of agents, frameworks, offers and tasks, until the master ends")
    func events() async throws {
        try await withCluster { cluster in
            let events = cluster.events()
            let probe = try Probe(FrameworkInfo(name: "probe"), cluster.connection)
            let id = try await probe.subscribed()
            let offer = try await probe.offer()
            probe.launch([TaskInfo("t", "true", on: offer)], on: offer)
            try await probe.update("t", .finished)
            await probe.stop(teardown: true)
            try await eventually("the end of the framework") {
                try await cluster.frameworks().allSatisfy(\.isRemoved)
            }
            try await cluster.stopMaster()
            var states: [TaskState] = []
            var ends: [OfferEnd] = []
            var isRemoved = false
            for await event in events {
                switch event {
                case .task(TaskKey(id, "t"), _, _, let state, _): states.append(state)
                case .offerEnded(offer.id, let end): ends.append(end)
                case .framework(id, _, _, let removed): isRemoved = removed
                case .task, .offerEnded, .framework, .offered, .agent: break
                }
            }
            #expect(states.first == .staging)
            #expect(states.last == .finished)
            #expect(ends == [.accepted])
            #expect(isRemoved)
        }
    }

    @Test("without a master every question says that it does not run")
    func noMaster() async throws {
        try await withCluster { cluster in
            try await cluster.stopMaster()
            await #expect(throws: (any Error).self) { try await cluster.answer(.summary) }
            for await _ in cluster.events() { Issue.record("an event without a master") }
            try cluster.startMaster()
            try await cluster.activeAgents(1)
        }
    }

    @Test("master and agents can be stopped and started again and again")
    func repeatedRestarts() async throws {
        try await withProbe { cluster, probe in
            let id = try await probe.subscribed()
            let pid = try await probe.run("t", "sleep 600").containerStatus?.pid
            for round in 1...5 {
                try await cluster.stopMaster()
                try await cluster.stopAgent(0)
                try cluster.startAgent(0)
                try cluster.startMaster()
                #expect(try await probe.subscribed(1 + round) == id)
                try await cluster.activeAgents(1)
                try await eventually("the task") {
                    try await cluster.tasks().contains { $0.state == .running }
                }
            }
            #expect(ProcessTable.isAlive(try #require(pid)))
            #expect(try await cluster.agents().count == 1)
            probe.call(.kill("t", agent: nil, policy: nil))
            try await probe.update("t", .killed)
        }
    }

    @Test("a hundred short tasks all end, and everything they held is free again")
    func manyTasks() async throws {
        try await withProbe(agents: 2) { cluster, probe in
            try await cluster.activeAgents(2)
            let all = (0..<100).map { TaskID("t\($0)") }
            var waiting = all[...]
            while !waiting.isEmpty {
                let offer = try await probe.offer()
                var budget = OfferBudget(offer)
                var tasks: [TaskInfo] = []
                while let id = waiting.first,
                    let resources = budget.take(cpus: Milli(thousandths: 100), mem: Milli(32))
                {
                    waiting.removeFirst()
                    var task = TaskInfo(id, "true", on: offer)
                    task.resources = resources
                    tasks.append(task)
                }
                probe.launch(tasks, on: offer)
            }
            for id in all { try await probe.update(id, .finished) }
            for id in all { #expect(probe.history.states(of: id).last == .finished) }
            try await eventually("nothing to be held") {
                try await cluster.agents().allSatisfy { $0.allocated.isEmpty && $0.tasks == 0 }
            }
        }
    }

    @Test("two clusters in one process know nothing of each other")
    func twoClusters() async throws {
        try await withProbe { first, probe in
            try await withProbe { second, other in
                try await probe.run("t", "sleep 600")
                _ = try await other.subscribed()
                other.call(.kill("t", agent: nil, policy: nil))
                try await other.update("t", .unknown)
                #expect(try await first.tasks().count == 1)
                #expect(try await second.tasks().isEmpty)
            }
        }
    }
}
